// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "documents.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace needle {
namespace {

using sentence = std::vector<int>;

constexpr std::size_t fact_count = 4;

int size(sentence const& s) { return static_cast<int>(s.size()); }

int total_size(std::vector<sentence> const& body) {
  int sum = 0;
  for (sentence const& s : body) sum += size(s);
  return sum;
}

sentence operator+(sentence a, sentence const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The value that occurs most often, or -1 when two occur equally often.
int most_frequent(std::vector<int> const& values) {
  std::map<int, int> counts;
  for (int v : values) ++counts[v];
  int best = -1, best_count = 0;
  for (auto const& [value, count] : counts) {
    if (count == best_count) best = -1;
    if (count > best_count) best = value, best_count = count;
  }
  return best;
}

}  // namespace

char const* name_of(task_kind task) {
  switch (task) {
    case task_kind::needle:
      return "needle";
    case task_kind::city:
      return "city";
    case task_kind::pair:
      return "pair";
    case task_kind::hop:
      return "hop";
    case task_kind::list:
      return "list";
  }
  return "";
}

document_writer::document_writer(tokenizer const& words)
    : words_(words),
      names_(words.encode(
          "alice bob carol david erin frank grace henry irene jack karen leo maria nick olga peter "
          "quinn rosa sam tina ursula victor wendy xavier yara zack amber bruno clara dylan elsa "
          "felix gina hugo iris julia kevin laura mason nora oscar paula ralph sofia tom uma vera "
          "walter")),
      cities_(words.encode("paris london tokyo madrid berlin rome vienna oslo cairo lima delhi dublin athens "
                           "prague lisbon seoul")),
      nouns_(
          words.encode("farmer baker teacher doctor river mountain garden basket letter window table horse "
                       "market bridge forest lamp boat kitchen song picture castle village road stone tree "
                       "bird cat dog wagon field tower coat")),
      adjectives_(
          words.encode("old young red blue green small large quiet heavy bright cold warm narrow simple "
                       "golden empty")),
      verbs_(words.encode(
          "carried painted found watched moved opened followed cleaned repaired left sold bought "
          "hid built dropped kept")),
      prepositions_(words.encode("near behind under beside above inside")),
      adverbs_(words.encode("slowly quickly often again today yesterday")),
      digits_(words.encode("0123456789")),
      fact_begin_(words.encode("the magic number of")),
      question_begin_(words.encode("question : what is the magic number of")),
      question_end_(words.encode("? answer :")),
      city_question_(words.encode("question : which city was visited most ? answer :")),
      start_(words.token("<bos>")),
      stop_(words.token(".")),
      comma_(words.token(",")),
      is_(words.token("is")),
      the_(words.token("the")),
      a_(words.token("a")),
      visited_(words.token("visited")) {}

void document_writer::add_noun_phrase(random_source& random, sentence& to) const {
  to.push_back(random.chance(.7) ? the_ : a_);
  if (random.chance(.5)) to.push_back(random.pick(adjectives_));
  to.push_back(random.pick(nouns_));
}

document_writer::sentence document_writer::filler(random_source& random) const {
  sentence s;
  add_noun_phrase(random, s);
  s.push_back(random.pick(verbs_));
  add_noun_phrase(random, s);
  if (random.chance(.35)) {
    s.push_back(random.pick(prepositions_));
    add_noun_phrase(random, s);
  } else if (random.chance(.2 / .65)) {
    s.push_back(random.pick(adverbs_));
  }
  s.push_back(stop_);
  return s;
}

/// Adds filler sentences up to `tokens` tokens in all, and shuffles.
void document_writer::fill(random_source& random, std::vector<sentence>& body, int tokens) const {
  int used = total_size(body);
  for (sentence s = filler(random); used + size(s) <= tokens; s = filler(random)) {
    used += size(s);
    body.push_back(std::move(s));
  }
  random.shuffle(body);
}

document document_writer::finish(std::vector<sentence> const& body, sentence const& question,
                                 sentence answer) const {
  document d{{start_}, std::move(answer)};
  for (sentence const& s : body) d.prompt.insert(d.prompt.end(), s.begin(), s.end());
  d.prompt = std::move(d.prompt) + question;
  return d;
}

std::vector<int> document_writer::shuffled(random_source& random, std::vector<int> items) const {
  random.shuffle(items);
  return items;
}

std::vector<document_writer::sentence> document_writer::random_values(random_source& random,
                                                                      int digits) const {
  std::vector<sentence> values(fact_count);
  for (sentence& value : values)
    for (int k = 0; k < digits; ++k) value.push_back(random.pick(digits_));
  return values;
}

document_writer::sentence document_writer::fact(int name, sentence const& value) const {
  return fact_begin_ + sentence{name, is_} + value + sentence{stop_};
}

/// Text with words that only models trained for the task know.
document_writer::sentence document_writer::encode(task_kind task, char const* text) const {
  try {
    return words_.encode(text);
  } catch (std::runtime_error const& error) {
    throw std::runtime_error(std::string("this model does not know the task ") + name_of(task) + ": " +
                             error.what());
  }
}

document document_writer::needle(random_source& random, int context, int digits, double depth) const {
  std::vector<int> const names = shuffled(random, names_);
  std::vector<sentence> const values = random_values(random, digits);
  std::vector<sentence> facts;
  for (std::size_t i = 0; i < fact_count; ++i) facts.push_back(fact(names[i], values[i]));
  sentence const question = question_begin_ + sentence{names[0]} + question_end_;

  std::vector<sentence> body;
  fill(random, body, context - 1 - size(question) - digits - 1 - total_size(facts));
  auto const insert = [&](std::size_t at, sentence const& s) {
    body.insert(body.begin() + static_cast<std::ptrdiff_t>(at), s);
  };
  for (std::size_t i = 1; i < fact_count; ++i)
    insert(static_cast<std::size_t>(random.below(static_cast<int>(body.size()) + 1)), facts[i]);
  double const wanted = depth * total_size(body);
  std::size_t at = 0;
  for (int before = 0; at < body.size() && before < wanted; ++at) before += size(body[at]);
  insert(at, facts[0]);
  return finish(body, question, values[0]);
}

document document_writer::city(random_source& random, int context) const {
  constexpr int visit_count = 24;
  std::vector<int> visits;
  while (most_frequent(visits) < 0) {
    std::vector<int> const cities = shuffled(random, cities_);
    std::vector<int> const others(cities.begin() + 1, cities.begin() + 5);
    visits.clear();
    for (int i = 0; i < visit_count; ++i)
      visits.push_back(random.chance(.5) ? cities[0] : random.pick(others));
  }
  std::vector<sentence> body;
  body.reserve(visits.size());
  for (int city : visits) body.push_back({random.pick(names_), visited_, city, stop_});
  fill(random, body, context - 1 - size(city_question_) - 2);
  return finish(body, city_question_, {most_frequent(visits)});
}

document document_writer::pair(random_source& random, int context, int digits) const {
  std::vector<int> const names = shuffled(random, names_);
  std::vector<sentence> const values = random_values(random, digits);
  std::vector<sentence> body;
  for (std::size_t i = 0; i < fact_count; ++i) body.push_back(fact(names[i], values[i]));
  sentence const question = question_begin_ + sentence{names[0]} + encode(task_kind::pair, "and") +
                            sentence{names[1]} + question_end_;
  sentence const answer = values[0] + sentence{comma_} + values[1];
  fill(random, body, context - 1 - size(question) - size(answer) - 1);
  return finish(body, question, answer);
}

document document_writer::hop(random_source& random, int context, int digits) const {
  std::vector<int> const names = shuffled(random, names_);
  std::vector<sentence> const values = random_values(random, digits);
  std::vector<sentence> body;
  for (std::size_t i = 0; i < fact_count; ++i) {
    body.push_back(fact(names[i], values[i]));
    body.push_back(encode(task_kind::hop, "the friend of") +
                   sentence{names[fact_count + i], is_, names[i], stop_});
  }
  sentence const question = encode(task_kind::hop, "question : who is the friend of") +
                            sentence{names[fact_count]} +
                            encode(task_kind::hop, "and what is the magic number") + question_end_;
  sentence const answer = sentence{names[0], comma_} + values[0];
  fill(random, body, context - 1 - size(question) - size(answer) - 1);
  return finish(body, question, answer);
}

document document_writer::list(random_source& random, int context) const {
  constexpr std::size_t people = 4, visits_each = 3;
  std::vector<int> const names = shuffled(random, names_);
  std::vector<sentence> body;
  for (std::size_t i = 0; i < people; ++i) {
    std::vector<int> const cities = shuffled(random, cities_);
    for (std::size_t k = 0; k < visits_each; ++k) body.push_back({names[i], visited_, cities[k], stop_});
  }
  sentence const question =
      encode(task_kind::list, "question : which cities were visited by") + sentence{names[0]} + question_end_;
  fill(random, body, context - 1 - size(question) - static_cast<int>(2 * visits_each));
  sentence answer;
  for (sentence const& s : body) {
    if (s[0] != names[0]) continue;
    if (!answer.empty()) answer.push_back(comma_);
    answer.push_back(s[2]);
  }
  return finish(body, question, answer);
}

document document_writer::write(task_kind task, random_source& random, int context, int digits,
                                double depth) const {
  switch (task) {
    case task_kind::needle:
      return needle(random, context, digits, depth);
    case task_kind::city:
      return city(random, context);
    case task_kind::pair:
      return pair(random, context, digits);
    case task_kind::hop:
      return hop(random, context, digits);
    case task_kind::list:
      return list(random, context);
  }
  throw std::invalid_argument("unknown task");
}

}  // namespace needle
