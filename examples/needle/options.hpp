// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "documents.hpp"

namespace needle {

/// What the command line asks for.
struct options {
  std::string weights;  ///< empty where the build names no default
  std::vector<int> contexts{512, 1024};
  std::vector<double> budgets{.08, .12};
  std::vector<int> values{4, 6, 8};  ///< digits of a fact, in tasks that have digits
  std::vector<task_kind> tasks{task_kind::needle};
  bool all_tasks = false;  ///< those that the model has words for, instead of `tasks`
  std::vector<std::string> methods{"full", "streaming-llm", "snapkv", "paper-g1", "paper-g8", "default"};
  int documents = 50;  ///< per task, context and value
  std::uint64_t seed = 1;
  std::string json;
  std::string figure;
  std::string curves;
  int threads = 0;  ///< 0: as many as the machine runs at once
  std::string document;
  std::string question;
  bool help = false;
};

/// The command line is wrong; `what()` says how.
class usage_error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws usage_error.
options parse_options(std::vector<std::string> const& arguments);

std::string help_text();

}  // namespace needle
