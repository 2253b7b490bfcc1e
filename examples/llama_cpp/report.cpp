// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "report.hpp"

#include <cstdio>

namespace llama_demo {
namespace {

constexpr double same_below = 1e-2;   // rounding of the cache's types and of another order of summation
constexpr double other_above = 1e-1;  // other tokens are another context

double mebibytes(std::size_t bytes) { return static_cast<double>(bytes) / (1024. * 1024.); }

std::string number(char const* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

}  // namespace

void print_table(std::vector<measurement> const& measurements) {
  std::printf("\n%-30s %7s %9s %10s %10s %12s %9s\n", "", "cells", "attended", "state MiB", "cache MiB",
              "compress ms", "ms/token");
  for (measurement const& m : measurements) {
    std::printf("%-30s %7d %9d %10.2f %10.2f %12.2f %9.2f\n", m.name.c_str(), m.cells,
                m.decoded.attended_cells, mebibytes(m.state_bytes), mebibytes(m.decoded.cache_bytes),
                m.milliseconds, m.decoded.milliseconds);
  }
  std::printf("\n");
}

void checklist::expect(bool holds, std::string const& what) {
  std::printf("%-6s %s\n", holds ? "ok" : "FAILED", what.c_str());
  if (!holds) ++failures_;
}

void checklist::expect_same(std::string const& name, difference const& reference, difference const& control) {
  expect(reference.worst < same_below,
         name + ": logits as with hidden tokens, relative L2 " + number("%.2e", reference.worst));
  expect(reference.same_choice == reference.tokens, name + ": same likeliest token, " +
                                                        std::to_string(reference.same_choice) + " of " +
                                                        std::to_string(reference.tokens));
  expect(control.smallest > other_above,
         name + ": control with other tokens hidden differs, relative L2 at least " +
             number("%.2f", control.smallest));
}

}  // namespace llama_demo
