// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <string>
#include <vector>

#include "documents.hpp"
#include "model.hpp"
#include "options.hpp"
#include "tokenizer.hpp"

namespace needle {

/// Documents and exact answers.
struct score {
  int correct = 0;
  int documents = 0;

  void add(bool is_correct) {
    correct += is_correct ? 1 : 0;
    ++documents;
  }
  void add(score const& other) {
    correct += other.correct;
    documents += other.documents;
  }
  double accuracy() const { return documents == 0 ? 0 : static_cast<double>(correct) / documents; }
};

/// What one method did with one budget to the documents of one task, context length and value length. The
/// quantities below the scores are means over the documents, the times the least of any: documents of a cell
/// are alike, and a machine does other things, too.
struct measurement {
  std::string method;
  double budget = 1;  ///< 1 for the full cache
  task_kind task = task_kind::needle;
  int context = 0;
  int values = 0;  ///< digits; 0 for tasks without
  score total;
  std::array<score, depth_bins> by_depth;  ///< empty but for the needle task
  double kept_tokens = 0;                  ///< per layer
  double bytes_before = 0;
  double bytes_after = 0;
  double compress_ms = 0;
  double decode_ms_per_token = 0;
};

/// Ordered by task, context, value length, method, budget. All but the times are the same for any number of
/// threads.
std::vector<measurement> run_experiment(model const& lm, tokenizer const& words, options const& o);

/// The model's answer to a question about the user's text.
struct reply {
  std::string method;
  double budget = 1;
  std::string text;
  double kept_tokens = 0;
  int prompt_tokens = 0;
};
std::vector<reply> answer_question(model const& lm, tokenizer const& words, options const& o);

}  // namespace needle
