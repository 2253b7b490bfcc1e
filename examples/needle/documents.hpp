// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "tokenizer.hpp"

namespace needle {

/// What a document asks for.
enum class task_kind {
  needle,  ///< one fact among filler sentences: "what is the magic number of alice ?"
  city,    ///< evidence all over the document: "which city was visited most ?"
  pair,    ///< two facts in one answer: "what is the magic number of alice and bob ?"
  hop,     ///< two facts in a row: "who is the friend of alice and what is the magic number ?"
  list,    ///< several places in their order: "which cities were visited by alice ?"
};

constexpr std::array<task_kind, 5> all_tasks{task_kind::needle, task_kind::city, task_kind::pair,
                                             task_kind::hop, task_kind::list};
char const* name_of(task_kind task);
/// Whether documents of the task hold numbers, whose digits can be chosen.
constexpr bool has_digits(task_kind task) { return task != task_kind::city && task != task_kind::list; }

/// Random numbers that are the same on every platform (the standard's distributions are not).
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : engine_(seed) {}

  /// Uniform in [0, n).
  int below(int n) {
    auto const count = static_cast<std::uint64_t>(n);
    std::uint64_t const limit = UINT64_MAX - UINT64_MAX % count;
    std::uint64_t x = engine_();
    while (x >= limit) x = engine_();
    return static_cast<int>(x % count);
  }
  bool chance(double probability) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < probability; }

  template <class T>
  T const& pick(std::vector<T> const& items) {
    return items[static_cast<std::size_t>(below(static_cast<int>(items.size())))];
  }
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i > 1; --i)
      std::swap(items[i - 1], items[static_cast<std::size_t>(below(static_cast<int>(i)))]);
  }

 private:
  std::mt19937_64 engine_;
};

struct document {
  std::vector<int> prompt;  ///< text and question
  std::vector<int> answer;
};

constexpr int depth_bins = 10;
/// Documents take turns at the depths; document i's fact stands at (bin + .5) / 10 of the text.
constexpr int depth_bin(int document_index) { return document_index % depth_bins; }

constexpr int smallest_context = 128;

/// Writes documents in the small language that the models were trained on.
class document_writer {
 public:
  explicit document_writer(tokenizer const& words);

  /// A document of at most `context` tokens with its answer: four facts of `digits` digits, one of them, at
  /// relative `depth`, asked for.
  document needle(random_source& random, int context, int digits, double depth) const;
  /// 24 visits to five cities, one of which gets about half of them.
  document city(random_source& random, int context) const;

  /// Four facts at random depths, two of which are asked for; a comma stands between the two values.
  document pair(random_source& random, int context, int digits) const;
  /// Four facts and who is whose friend, all at random depths; asks for somebody's friend and that one's
  /// number. (At the smallest context no more than 10 digits fit.)
  document hop(random_source& random, int context, int digits) const;
  /// Three visits each of four people; asks for the cities of one, in the order of the text, with commas.
  document list(random_source& random, int context) const;

  /// A document of any task. Tasks without digits, or without a depth, ignore these. Throws
  /// std::runtime_error when the model's vocabulary lacks a word of the task.
  document write(task_kind task, random_source& random, int context, int digits, double depth) const;

 private:
  using sentence = std::vector<int>;
  sentence filler(random_source& random) const;
  void add_noun_phrase(random_source& random, sentence& to) const;
  void fill(random_source& random, std::vector<sentence>& body, int tokens) const;
  document finish(std::vector<sentence> const& body, sentence const& question, sentence answer) const;
  std::vector<int> shuffled(random_source& random, std::vector<int> items) const;
  std::vector<sentence> random_values(random_source& random, int digits) const;
  sentence fact(int name, sentence const& value) const;
  sentence encode(task_kind task, char const* text) const;

  tokenizer words_;  // not every model has the words of every task
  std::vector<int> names_, cities_, nouns_, adjectives_, verbs_, prepositions_, adverbs_, digits_;
  sentence fact_begin_, question_begin_, question_end_, city_question_;
  int start_, stop_, comma_, is_, the_, a_, visited_;
};

}  // namespace needle
