// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "windowkv_compressor.hpp"

namespace needle {
namespace {

/// The paper's windows of 8 and its leader per group, with 16 observing queries for either task.
auto paper(int layers_per_group) {
  return wkv::paper_method()
      .with_suffix(suffix_tokens)
      .with_layer_grouping(wkv::uniform_groups{layers_per_group});
}

}  // namespace

std::vector<method_entry> paper_methods() {
  std::vector<method_entry> entries;
  std::string const groups = "WindowKV's paper: windows of 8, groups of ";
  for (int g : {1, 2, 4, 8})
    entries.push_back(
        entry_of("paper-g" + std::to_string(g), groups + std::to_string(g) + " layers",
                 [g](model_config const&) { return paper(g).with_budget_shape(wkv::uniform_budget{}); }));
  for (int g : {2, 4}) {
    // Uniform budgets count the suffix; the paper's series does not, so here it comes off the budget.
    auto const make = [g](model_config const& c, compression_request const& r) {
      wkv::arithmetic_budget const series{(14 * g + 4) / 8};  // beta 14 is meant for groups of 8
      return compress_by(paper(g).with_budget_shape(series), c,
                         {r.tokens, std::max(1, r.keep - suffix_tokens), r.task});
    };
    entries.push_back(
        {{"paper-g" + std::to_string(g) + "-pyramid", "the same with the paper's falling budgets"}, make});
  }
  return entries;
}

}  // namespace needle
