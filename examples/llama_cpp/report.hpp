// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file report.hpp

#include <cstddef>
#include <string>
#include <vector>

#include "continuation.hpp"

namespace llama_demo {

/// One cache after its compression.
struct measurement {
  std::string name;
  int cells = 0;                ///< with a token of the prompt
  std::size_t state_bytes = 0;  ///< of the sequence
  double milliseconds = 0;      ///< taken by the compression
  continuation decoded;
};

void print_table(std::vector<measurement> const& measurements);

/// Collects what must hold, and says so.
class checklist {
 public:
  void expect(bool holds, std::string const& what);
  /// `reference` is the same cache with the tokens hidden, `control` one with others hidden.
  void expect_same(std::string const& name, difference const& reference, difference const& control);
  bool all_hold() const { return failures_ == 0; }

 private:
  int failures_ = 0;
};

}  // namespace llama_demo
