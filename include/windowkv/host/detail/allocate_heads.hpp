// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/allocate_heads.hpp
/// How the lists of a group share its tokens where they compete (policy/head_sharing.hpp).

#include <algorithm>
#include <cstdint>

#include "windowkv/core/heads.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/policy/head_sharing.hpp"

namespace windowkv::detail {

/// Sorts each list's rank keys, and writes how many tokens of the review part each list gets.
template <class HeadBudget, class WindowGrouping>
void allocate_heads(plan_data const& p, HeadBudget const& heads, WindowGrouping const& windows, int even,
                    workspace_layout const& memory, std::int32_t* budgets) {
  auto const is_better = [](std::uint64_t a, std::uint64_t b) { return a > b; };
  auto const tokens_of = [&](std::uint64_t key) {
    int const w = index_of_rank_key(key);
    return windows.end(w, p.review) - windows.begin(w, p.review);
  };
  std::uint64_t* const contest = memory.rank_keys + static_cast<std::int64_t>(p.lists) * p.windows;
  std::int64_t contestants = 0;
  std::int64_t pool = static_cast<std::int64_t>(even) * p.lists;
  std::int32_t won[max_heads];
  for (int list = 0; list < p.lists; ++list) {
    std::int64_t const first = static_cast<std::int64_t>(list) * p.windows;
    std::uint64_t* const keys = memory.rank_keys + first;
    float const* const scores = memory.window_scores + first;
    std::sort(keys, keys + p.windows, is_better);
    double best = 0;
    double all = 0;
    int reserved = 0;  // windows
    won[list] = 0;
    for (int rank = 0, tokens = 0; rank < p.windows; ++rank) {
      tokens += tokens_of(keys[rank]);
      double const score = static_cast<double>(scores[index_of_rank_key(keys[rank])]);
      all += score;
      if (tokens <= even) best += score;
      if (tokens <= heads.reserve(even)) {
        won[list] = tokens;
        reserved = rank + 1;
      }
    }
    pool -= won[list];
    double const weight = heads.weight(best, all);
    for (int rank = reserved; rank < p.windows; ++rank) {
      contest[contestants++] =
          contest_key(keys[rank], scores[index_of_rank_key(keys[rank])], weight, list, p.windows);
    }
  }
  std::sort(contest, contest + contestants, is_better);
  for (std::int64_t rank = 0; rank < contestants; ++rank) {
    std::int32_t const place = index_of_rank_key(contest[rank]);
    int const w = place % p.windows;
    int const tokens = windows.end(w, p.review) - windows.begin(w, p.review);
    pool -= tokens;
    if (pool < 0) break;
    won[place / p.windows] += tokens;
  }
  share_tokens(p.lists, p.review, heads, even, won, budgets);
}

}  // namespace windowkv::detail
