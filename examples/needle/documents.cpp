// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "documents.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

namespace needle {
namespace {

using sentence = std::vector<int>;

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

document_writer::document_writer(tokenizer const& words)
    : names_(words.encode(
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

document document_writer::needle(random_source& random, int context, int digits, double depth) const {
  constexpr std::size_t fact_count = 4;
  std::vector<int> names = names_;
  random.shuffle(names);
  std::vector<sentence> values(fact_count), facts(fact_count);
  for (std::size_t i = 0; i < fact_count; ++i) {
    for (int k = 0; k < digits; ++k) values[i].push_back(random.pick(digits_));
    facts[i] = fact_begin_ + sentence{names[i], is_} + values[i] + sentence{stop_};
  }
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
    std::vector<int> cities = cities_;
    random.shuffle(cities);
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

}  // namespace needle
