// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/allocate_heads.hpp
/// How the lists of a group share its tokens where they compete (policy/head_sharing.hpp).

#include <algorithm>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/heads.hpp"
#include "windowkv/core/plan.hpp"

namespace windowkv::detail {

/// Sorts each list's rank keys, and writes how many tokens of the review part each list gets.
template <class HeadBudget, class WindowGrouping>
void allocate_heads(plan_data const& p, HeadBudget const& heads, WindowGrouping const& windows, int even,
                    workspace_layout const& memory, std::int32_t* budgets) {
  auto const is_better = [](std::uint64_t a, std::uint64_t b) { return a > b; };
  std::int64_t const all = static_cast<std::int64_t>(p.lists) * p.windows;
  std::uint64_t* const contest = memory.rank_keys + all;
  std::int32_t won[max_heads];
  head_contest<HeadBudget, WindowGrouping> const lists{
      heads,   windows, p.lists, p.review, p.windows, even, memory.rank_keys, memory.window_scores,
      contest, won,     budgets};
  for (int list = 0; list < p.lists; ++list) {
    std::uint64_t* const keys = memory.rank_keys + static_cast<std::int64_t>(list) * p.windows;
    std::sort(keys, keys + p.windows, is_better);
    lists.enter(list);
  }
  std::sort(contest, contest + all, is_better);
  lists.settle();
}

}  // namespace windowkv::detail
