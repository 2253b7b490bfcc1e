// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "experiment.hpp"
#include "options.hpp"

namespace needle {

/// A table per task, context and value length on stdout, and one over all of a task's when there are several.
void print_tables(std::vector<measurement> const& measurements);

void print_replies(std::vector<reply> const& replies);

/// {"settings": {...}, "results": [{...}, ...]}, one result per task, context, value length, method and
/// budget.
std::string to_json(options const& o, std::vector<measurement> const& measurements);

/// Throws std::runtime_error where the file cannot be written.
void write_file(std::string const& path, std::string const& content);

}  // namespace needle
