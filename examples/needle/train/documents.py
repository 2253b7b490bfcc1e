# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

"""Synthetic text for tiny long-context models: a vocabulary of words, in which every digit is one token.

A document is a shuffled pile of sentences: filler ("the old farmer carried a basket ."), facts ("the magic
number of alice is 4 0 2 7 1 .") and visits ("bob visited paris ."). Questions about facts and visits follow.
Documents of a further task ask for more at once: `pair` for the numbers of two people, `hop` for somebody's
friend and the friend's number, `list` for all cities that somebody visited, in their order.
"""

from collections import Counter
from dataclasses import dataclass
from itertools import permutations

import numpy as np

NAMES = """
    alice bob carol david erin frank grace henry irene jack karen leo maria nick olga peter quinn rosa sam
    tina ursula victor wendy xavier yara zack amber bruno clara dylan elsa felix gina hugo iris julia kevin
    laura mason nora oscar paula ralph sofia tom uma vera walter
""".split()
CITIES = """
    paris london tokyo madrid berlin rome vienna oslo cairo lima delhi dublin athens prague lisbon seoul
""".split()
NOUNS = """
    farmer baker teacher doctor river mountain garden basket letter window table horse market bridge forest
    lamp boat kitchen song picture castle village road stone tree bird cat dog wagon field tower coat
""".split()
ADJECTIVES = """
    old young red blue green small large quiet heavy bright cold warm narrow simple golden empty
""".split()
VERBS = """
    carried painted found watched moved opened followed cleaned repaired left sold bought hid built dropped
    kept
""".split()
PREPOSITIONS = "near behind under beside above inside".split()
ADVERBS = "slowly quickly often again today yesterday".split()
SPECIAL = "<bos> . ? : ,".split()
DIGITS = list("0123456789")
TEMPLATE_WORDS = "the a magic number of is what question answer which city was visited most and then".split()
# The order is the token ids: part of the weights' meaning.
COMMON_WORDS = (
    SPECIAL + DIGITS + TEMPLATE_WORDS + NAMES + CITIES + NOUNS + ADJECTIVES + VERBS + PREPOSITIONS + ADVERBS
)
# Only models that learn `hop` or `list` have these.
VOCABULARY = COMMON_WORDS + "friend who cities were by".split()
ID = {word: i for i, word in enumerate(VOCABULARY)}


def encode(text):
    return [ID[word] for word in text.split()]


def decode(tokens):
    return " ".join(VOCABULARY[t] for t in tokens)


BOS, STOP, COMMA, IS = (ID[word] for word in ("<bos>", ".", ",", "is"))
DIGIT_IDS, NAME_IDS, CITY_IDS = (encode(" ".join(words)) for words in (DIGITS, NAMES, CITIES))
NOUN_IDS, ADJECTIVE_IDS, VERB_IDS = (encode(" ".join(words)) for words in (NOUNS, ADJECTIVES, VERBS))
PREPOSITION_IDS, ADVERB_IDS = (encode(" ".join(words)) for words in (PREPOSITIONS, ADVERBS))
CITY_QUESTION = encode("question : which city was visited most ? answer :")
FACT_INTRO = 6  # tokens of a fact before its digits

# Weights in the loss. The first token of an answer, or of its next part, must be found; the others follow it
# in the text.
FIRST_WEIGHT, ANSWER_WEIGHT, STOP_WEIGHT, TEXT_WEIGHT, COPY_WEIGHT = 3.0, 1.0, 0.3, 0.05, 0.3


def fact_intro(name):
    return encode("the magic number of") + [name, IS]


def fact(name, digits):
    return fact_intro(name) + digits + [STOP]


def number_question(name):
    return encode("question : what is the magic number of") + [name] + encode("? answer :")


def pair_question(names):
    return number_question(names[0])[:-3] + [ID["and"], names[1]] + encode("? answer :")


def friend_fact(name, friend):
    return encode("the friend of") + [name, IS, friend, STOP]


def hop_question(name):
    end = encode("and what is the magic number ? answer :")
    return encode("question : who is the friend of") + [name] + end


def list_question(name):
    return encode("question : which cities were visited by") + [name] + encode("? answer :")


def joined(parts):
    """The parts of an answer, with commas between them."""
    return sum(([COMMA] + part for part in parts[1:]), parts[0])


def visit(rng, city):
    return [rng.choice(NAME_IDS), ID["visited"], city, STOP]


def filler(rng):
    def thing():
        article = [ID["the"] if rng.random() < 0.7 else ID["a"]]
        adjective = [rng.choice(ADJECTIVE_IDS)] if rng.random() < 0.5 else []
        return article + adjective + [rng.choice(NOUN_IDS)]

    sentence = thing() + [rng.choice(VERB_IDS)] + thing()
    ending = rng.random()
    if ending < 0.35:
        sentence += [rng.choice(PREPOSITION_IDS)] + thing()
    elif ending < 0.55:
        sentence.append(rng.choice(ADVERB_IDS))
    return sentence + [STOP]


def fill(rng, sentences, room):
    """Adds filler sentences until the next one would not fit into `room` tokens."""
    used = sum(map(len, sentences))
    while used + len(sentence := filler(rng)) <= room:
        sentences.append(sentence)
        used += len(sentence)


def scatter(rng, told, fillers):
    """Both in one list, in a random order in which `told` keeps its own."""
    marks = [True] * len(told) + [False] * len(fillers)
    rng.shuffle(marks)
    told, fillers = iter(told), iter(fillers)
    return [next(told if mark else fillers) for mark in marks]


def random_digits(rng, count):
    return [rng.choice(DIGIT_IDS) for _ in range(count)]


def random_visits(rng, count, others, share):
    """Cities of `count` visits, one of which is visited most; `share` is its expected share."""
    cities = rng.sample(CITY_IDS, others + 1)
    while True:
        visited = [cities[0] if rng.random() < share else rng.choice(cities[1:]) for _ in range(count)]
        ranking = Counter(visited).most_common(2)
        if len(ranking) == 1 or ranking[0][1] > ranking[1][1]:
            return visited, ranking[0][0]


# ---- training --------------------------------------------------------------------------------------------


@dataclass
class Mix:
    """What the documents of a training phase are made of."""

    facts: tuple = (1, 8)  # fewest and most
    copies: float = 0.0  # share of documents that are a repeated random string
    cities: float = 0.25  # share of the others with visits and a question about them
    restated: float = 0.0  # share of the questions that are replaced by the fact, again
    lookalikes: float = 0.0  # share of the facts whose digits begin like those of another
    reach: int = 0  # positions may jump so that the last one is up to this
    further: float = 0.0  # share of the documents with one of the further tasks
    tasks: tuple = ()  # which ones


class Tape:
    """Grows a document: tokens and, for each, its weight in the loss when it is predicted."""

    def __init__(self):
        self.tokens, self.weights, self.starts = [BOS], [0.0], []

    def add(self, tokens, weights):
        self.starts.append(len(self.tokens))
        self.tokens += tokens
        self.weights += weights

    def ask(self, question, answer):
        before = [COMMA] + answer[:-1]
        answer_weights = [FIRST_WEIGHT if token == COMMA else ANSWER_WEIGHT for token in before]
        self.add(question + answer + [STOP], [TEXT_WEIGHT] * len(question) + answer_weights + [STOP_WEIGHT])

    def finish(self, length):
        padding = length - len(self.tokens)
        return self.tokens[:length] + [BOS] * padding, self.weights[:length] + [0.0] * padding


def repeated_string(rng, length):
    """A random string again and again; its repeats are what is learned. Teaches to copy."""
    period = rng.randint(8, min(length // 2 - 1, 48))
    string = [rng.randrange(len(SPECIAL), len(COMMON_WORDS)) for _ in range(period)]
    tokens = ([BOS] + string * (length // period + 1))[:length]
    return tokens, [0.0] * (period + 1) + [COPY_WEIGHT] * (length - period - 1)


def jumping_positions(rng, length, starts, reach):
    """Positions that skip ahead at up to four starts of sentences: short documents train far distances."""
    steps = np.ones(length, np.int64)
    steps[0] = 0
    cuts = [s for s in rng.sample(starts, min(rng.randint(1, 4), len(starts))) if s < length]
    skipped = rng.random() * max(0, reach - length)
    for cut in cuts:
        steps[cut] += int(skipped / len(cuts))
    return np.cumsum(steps)


def lay_out(rng, length, sentences, question_of, pending, reach):
    """Tells the sentences in their order and asks the pending questions: at the end, some of them earlier."""
    tape = Tape()
    ask_early = rng.random() < 0.3
    known = []
    for sentence in sentences:
        question = question_of.get(tuple(sentence))
        # Nobody can predict the digits of a fact: they do not count in the loss.
        learned = FACT_INTRO if question else len(sentence)
        tape.add(sentence, [TEXT_WEIGHT] * learned + [0.0] * (len(sentence) - learned))
        known += [question] if question else []
        if ask_early and known and rng.random() < 0.35:
            early = rng.choice(known)
            if early in pending:
                pending.remove(early)
                tape.ask(*early)
    for question in pending:
        tape.ask(*question)
    return (*tape.finish(length), jumping_positions(rng, length, tape.starts, reach))


def random_facts(rng, mix):
    facts = []
    for name in rng.sample(NAME_IDS, rng.randint(*mix.facts)):
        digits = random_digits(rng, rng.randint(4, 8))
        if facts and mix.lookalikes and rng.random() < mix.lookalikes:
            same = rng.randint(1, 3)
            digits[:same] = rng.choice(facts)[1][:same]
        facts.append((name, digits))
    return facts


def pair_task(rng, length, mix):
    """Sentences, and the most questions to ask about them, with answers."""
    facts = []
    while len(facts) < 2:
        facts = random_facts(rng, mix)[: length // 32]
    rng.shuffle(facts)
    asked = rng.sample(list(permutations(facts, 2)), len(facts))
    questions = [(pair_question([n for n, _ in two]), joined([digits for _, digits in two])) for two in asked]
    return [fact(*f) for f in facts], questions


def hop_task(rng, length, mix):
    facts = random_facts(rng, mix)[: length // 40]
    names = [name for name, _ in facts]
    friends = rng.sample([name for name in NAME_IDS if name not in names], len(facts))
    told = [fact(*f) for f in facts] + [friend_fact(*pair) for pair in zip(friends, names)]
    rng.shuffle(told)
    questions = []
    for friend, (name, digits) in rng.sample(list(zip(friends, facts)), len(facts)):
        restated = rng.random() < mix.restated
        hop = (hop_question(friend), joined([[name], digits]))
        questions.append((friend_fact(friend, name)[:-2], [name]) if restated else hop)
    return told, questions


def random_itineraries(rng, people, fewest, most):
    """(who, city) of visits in a random order; nobody is in a city twice."""
    visits = []
    for name in rng.sample(NAME_IDS, people):
        visits += [(name, city) for city in rng.sample(CITY_IDS, rng.randint(fewest, most))]
    rng.shuffle(visits)
    return visits


def list_task(rng, length, mix):
    visits = random_itineraries(rng, rng.randint(2, 4), 1, 4)[: length // 12]
    told = [[name, ID["visited"], city, STOP] for name, city in visits]
    questions = [
        (list_question(name), joined([[city] for other, city in visits if other == name]))
        for name in sorted({name for name, _ in visits}, key=lambda _: rng.random())
    ]
    return told, questions


TASKS = {"pair": pair_task, "hop": hop_task, "list": list_task}


def further_document(rng, length, mix):
    """A training document of one of the further tasks, with the questions at the end."""
    told, questions = TASKS[rng.choice(mix.tasks)](rng, length, mix)
    room = length - 1 - sum(map(len, told))
    asked = []
    for question, answer in questions:
        if len(question + answer) + 1 <= room:
            room -= len(question + answer) + 1
            asked.append((question, answer))
    fillers = []
    fill(rng, fillers, room)
    tape = Tape()
    for sentence in scatter(rng, told, fillers):
        # What follows an "is" cannot be predicted, and does not count in the loss.
        learned = sentence.index(IS) + 1 if IS in sentence else len(sentence)
        tape.add(sentence, [TEXT_WEIGHT] * learned + [0.0] * (len(sentence) - learned))
    for question in asked:
        tape.ask(*question)
    return (*tape.finish(length), jumping_positions(rng, length, tape.starts, mix.reach))


def training_document(rng, length, mix):
    """Tokens, loss weights and positions of one document of `length` tokens."""
    if mix.further and rng.random() < mix.further:
        return further_document(rng, length, mix)
    if rng.random() < mix.copies:
        return (*repeated_string(rng, length), np.arange(length))
    facts = random_facts(rng, mix)
    asked = rng.sample(facts, min(len(facts), max(1, length // 38)))
    with_city = rng.random() < mix.cities
    room = length - 1 - sum(len(number_question(name) + digits) + 1 for name, digits in asked)
    room -= with_city * (len(CITY_QUESTION) + 2)

    sentences, pending = [], []
    question_of = {}  # the sentence of a fact -> its question and answer
    for name, digits in facts:
        sentence = fact(name, digits)
        if sum(map(len, sentences)) + len(sentence) <= room:
            sentences.append(sentence)
            question = fact_intro(name) if rng.random() < mix.restated else number_question(name)
            question_of[tuple(sentence)] = (question, digits)
            if (name, digits) in asked:
                pending.append((question, digits))
    rng.shuffle(pending)
    left = room - sum(map(len, sentences))
    if with_city and left > 24:
        count = min(rng.randint(5, 24), left // 4)
        visited, winner = random_visits(rng, count, rng.randint(1, 5), rng.uniform(0.4, 0.8))
        sentences += [visit(rng, city) for city in visited]
        pending.insert(rng.randint(0, len(pending)), (CITY_QUESTION, [winner]))
    fill(rng, sentences, room)
    rng.shuffle(sentences)
    return lay_out(rng, length, sentences, question_of, pending, mix.reach)


def training_batch(rng, count, length, mix):
    tokens, weights, positions = zip(*(training_document(rng, length, mix) for _ in range(count)))
    return np.array(tokens, np.int64), np.array(weights, np.float32), np.array(positions, np.int64)


# ---- evaluation ------------------------------------------------------------------------------------------


def needle_document(rng, length, needles, digits):
    """A prompt that asks for one of several facts, and its digits; at most `length` tokens together."""
    facts = [(name, random_digits(rng, digits)) for name in rng.sample(NAME_IDS, needles)]
    question = number_question(facts[0][0])
    sentences = [fact(*f) for f in facts]
    fill(rng, sentences, length - 1 - len(question) - digits - 1)
    rng.shuffle(sentences)
    return [BOS] + sum(sentences, []) + question, facts[0][1]


def city_document(rng, length, visits=24, share=0.5):
    """A prompt that asks for the most visited city, and that city."""
    visited, winner = random_visits(rng, visits, 4, share)
    sentences = [visit(rng, city) for city in visited]
    fill(rng, sentences, length - 1 - len(CITY_QUESTION) - 2)
    rng.shuffle(sentences)
    return [BOS] + sum(sentences, []) + CITY_QUESTION, [winner]


def told_document(rng, length, told, question, answer):
    """The same for the further tasks: `told` keeps its order among the filler sentences."""
    fillers = []
    fill(rng, fillers, length - 1 - sum(map(len, told)) - len(question + answer) - 1)
    return [BOS] + sum(scatter(rng, told, fillers), []) + question, answer


def pair_document(rng, length, digits=6):
    """A prompt that asks for two of four facts."""
    facts = [(name, random_digits(rng, digits)) for name in rng.sample(NAME_IDS, 4)]
    told = [fact(*f) for f in facts]
    rng.shuffle(told)
    question = pair_question([name for name, _ in facts[:2]])
    return told_document(rng, length, told, question, joined([digits for _, digits in facts[:2]]))


def hop_document(rng, length, digits=6):
    """A prompt that asks for somebody's friend and the friend's number, with four of both facts."""
    names = rng.sample(NAME_IDS, 8)
    facts = [(name, random_digits(rng, digits)) for name in names[:4]]
    told = [fact(*f) for f in facts] + [friend_fact(*pair) for pair in zip(names[4:], names)]
    rng.shuffle(told)
    return told_document(rng, length, told, hop_question(names[4]), joined([[names[0]], facts[0][1]]))


def list_document(rng, length, cities=3):
    """A prompt that asks for all cities that one of four people visited."""
    visits = random_itineraries(rng, 4, cities, cities)
    told = [[name, ID["visited"], city, STOP] for name, city in visits]
    name = rng.choice(visits)[0]
    answer = joined([[city] for other, city in visits if other == name])
    return told_document(rng, length, told, list_question(name), answer)
