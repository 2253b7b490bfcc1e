// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../documents.hpp"
#include "../model.hpp"
#include "../tokenizer.hpp"
#include "configuration.hpp"

namespace needle {

/// A model with its name.
struct named_model {
  explicit named_model(std::string const& path);

  std::string name;  ///< the file's, without "tinylm_" and what follows the first dot
  model lm;
  tokenizer words;
};

/// Documents of one kind, asked of one model.
struct document_cell {
  std::size_t model;
  task_kind task;
  int context;
  int values;  ///< digits; 0 where the task has none
};

/// Cells of all tasks that each model can do: what it does not answer from its whole cache says nothing about
/// compression. Pairs of model and task with less than 60 % exact answers (5 documents per cell) are left
/// out. Numbers have 4, 6 and 8 digits where one is asked for, 4 and 6 where two are involved.
std::vector<document_cell> cells_of(std::vector<named_model> const& models,
                                    std::vector<task_kind> const& tasks, std::vector<int> const& contexts,
                                    int threads);

/// How one configuration fared relative to the full cache.
struct standing {
  double mean = 0;        ///< over (model, task) pairs, of exact answers relative to the full cache
  double worst = 0;       ///< the lowest of them
  double worst_cell = 0;  ///< the lowest relative accuracy of any (model, task, context, budget)
};

/// Two configurations on the same documents.
struct comparison {
  double difference = 0;      ///< of the means
  double standard_error = 0;  ///< from the differences of single documents
};

/// Answers of many configurations to the same documents.
class study {
 public:
  study(std::vector<named_model> const& models, std::vector<document_cell> cells, std::vector<double> budgets,
        int documents, std::uint64_t seed, int threads);

  /// Evaluates configurations that have not been asked before.
  void evaluate(std::vector<configuration> const& configurations);

  standing of(configuration const& c) const;
  comparison compare(configuration const& c, configuration const& with) const;
  /// Relative accuracy of one model's tasks; NaN where it has none.
  double of_model(configuration const& c, std::size_t model) const;
  /// One line per configuration, cell and budget, without a heading; and that of the full cache.
  std::string csv(std::string const& label, configuration const& c) const;
  std::string csv_of_full() const;
  std::vector<document_cell> const& cells() const { return cells_; }
  /// Exact answers from the whole cache, of the cell's (model, task) pair.
  double full_accuracy(std::size_t cell) const;
  int documents() const { return documents_; }
  std::size_t prompts() const { return cells_.size() * static_cast<std::size_t>(documents_); }

 private:
  using answers = std::vector<std::uint8_t>;  ///< [cell][document][budget]: right or not

  document write(std::size_t cell, int index) const;
  void answer(std::size_t prompt, std::vector<configuration> const& asked, std::vector<answers>& out);
  answers const& answers_to(configuration const& c) const;
  /// What each document counts in the mean: those of a pair sum up to 1 / pairs where the full cache's are.
  std::vector<double> weights() const;
  template <class Matches>
  double relative(answers const& a, Matches const& matches) const;
  std::string csv_line(std::string const& label, std::size_t cell, double budget, int correct) const;

  std::vector<named_model> const& models_;
  std::vector<document_cell> cells_;
  std::vector<double> budgets_;
  int documents_;
  std::uint64_t seed_;
  int threads_;
  answers full_;  ///< [cell][document]
  bool knows_full_ = false;
  std::vector<std::pair<std::string, answers>> known_;
};

}  // namespace needle
