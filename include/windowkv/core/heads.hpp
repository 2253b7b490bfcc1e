// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/heads.hpp
/// What backends share of the arithmetic by which the lists of a group compete for its tokens.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/rank.hpp"

namespace windowkv::detail {

/// Rank key of a window among those of all lists: protected ones stay in front, the others rank by their
/// weighted score; ties go to the lower list.
WINDOWKV_HD inline std::uint64_t contest_key(std::uint64_t key, float score, double weight, int list,
                                             int windows) {
  std::int32_t const place = list * windows + index_of_rank_key(key);
  bool const is_preferred = key >> 32 >= preferred_rank_key(0) >> 32;
  if (is_preferred) return (key >> 32 << 32) | (0xffffffffu - static_cast<std::uint32_t>(place));
  return rank_key(static_cast<float>(static_cast<double>(score) * weight), place);
}

/// What each list gets for the tokens it won. Exact: whole parts, then the largest remainders, lower lists
/// first.
template <class HeadBudget>
WINDOWKV_HD void share_tokens(int lists, int review, HeadBudget const& heads, int even,
                              std::int32_t const* won, std::int32_t* budgets) {
  std::int64_t left = static_cast<std::int64_t>(lists) * even;
  for (int list = 0; list < lists; ++list) {
    double const share = heads.share(won[list], even);
    int const whole = static_cast<int>(heads.is_exact ? std::floor(share) : std::nearbyint(share));
    budgets[list] = whole < 0 ? 0 : whole < review ? whole : review;
    left -= budgets[list];
  }
  while (heads.is_exact && left > 0) {
    int best = -1;
    double most = 0;
    for (int list = 0; list < lists; ++list) {
      double const lack = heads.share(won[list], even) - budgets[list];
      if (budgets[list] < review && (best < 0 || lack > most)) {
        best = list;
        most = lack;
      }
    }
    if (best < 0) return;
    ++budgets[best];
    --left;
  }
}

}  // namespace windowkv::detail
