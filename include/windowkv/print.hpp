// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file print.hpp
/// Plans and reports as text for people. Not part of the umbrella header.

#include <cstdio>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/selection.hpp"

namespace windowkv {

/// One line for the prompt, one for each group.
inline void print(std::FILE* to, plan_data const& p) {
  std::fprintf(to, "N=%d tokens, %s: S=%d, R=%d, %d windows; L=%d, G=%d; workspace %llu bytes\n",
               p.prompt.tokens, p.prompt.task == task::localization ? "localization" : "aggregation",
               p.suffix, p.review, p.windows, p.shape.layers, p.groups,
               static_cast<unsigned long long>(p.workspace_bytes));
  for (int g = 0; g < p.groups; ++g) {
    group_plan const& group = p.group[g];
    std::fprintf(to, "  group %d: layers %d..%d (%d), %d score; keeps %s%d tokens per layer", g,
                 group.first_layer, group.last_layer, group.layers, group.scoring_layers,
                 group.keeps_all != 0 ? "all " : "at most ", group.max_kept);
    if (p.lists > 1) {
      std::fprintf(to, " and head, %lld rows in %d lists", static_cast<long long>(group.max_rows), p.lists);
    }
    std::fprintf(to, "\n");
  }
}

/// Totals, then one line for each group.
inline void print(std::FILE* to, compression_report const& r) {
  std::fprintf(to, "tokens %lld -> %lld, bytes %lld -> %lld\n", static_cast<long long>(r.tokens_before()),
               static_cast<long long>(r.tokens_after()), static_cast<long long>(r.bytes_before()),
               static_cast<long long>(r.bytes_after()));
  for (int g = 0; g < r.groups; ++g) {
    selection const& chosen = r.group[g];
    std::fprintf(to, "  group %d: %d of %d tokens in %d windows, %.1f %% of the review scores retained", g,
                 chosen.kept, chosen.tokens, chosen.windows, 100.0 * static_cast<double>(chosen.retained));
    if (chosen.lists > 1)
      std::fprintf(to, "; %d rows in %d lists, one per KV head", chosen.rows(), chosen.lists);
    std::fprintf(to, "\n");
  }
}

}  // namespace windowkv
