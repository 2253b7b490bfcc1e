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

/// The lists of a group while they compete: enter all of them, sort `contest` in descending order, settle.
template <class HeadBudget, class WindowGrouping>
struct head_contest {
  HeadBudget heads;
  WindowGrouping windows;
  int lists;
  int review;
  int window_count;
  int even;                   ///< tokens of an even share
  std::uint64_t const* keys;  ///< [lists][Nw], rank keys, each list's in descending order
  float const* scores;        ///< [lists][Nw], window scores
  std::uint64_t* contest;     ///< [lists][Nw], rank keys among all lists; 0, below all: does not compete
  std::int32_t* won;          ///< [lists], tokens
  std::int32_t* budgets;      ///< [lists], what comes of it

  /// Finds what is sure to the list, and lets its other windows compete.
  WINDOWKV_HD void enter(int list) const {
    std::int64_t const first = static_cast<std::int64_t>(list) * window_count;
    int const sure = heads.reserve(even);
    double best = 0;
    double all = 0;
    int reserved = 0;  // windows
    won[list] = 0;
    for (int rank = 0, tokens = 0; rank < window_count; ++rank) {
      int const w = index_of_rank_key(keys[first + rank]);
      auto const score = static_cast<double>(scores[first + w]);
      tokens += tokens_of(w);
      all += score;
      if (tokens <= even) best += score;
      if (tokens <= sure) {
        won[list] = tokens;
        reserved = rank + 1;
      }
    }
    double const weight = heads.weight(best, all);
    for (int rank = 0; rank < window_count; ++rank) {
      std::uint64_t const key = keys[first + rank];
      float const score = scores[first + index_of_rank_key(key)];
      contest[first + rank] = rank < reserved ? 0 : contest_key(key, score, weight, list, window_count);
    }
  }

  /// Hands out the tokens down the common ranking.
  WINDOWKV_HD void settle() const {
    std::int64_t pool = static_cast<std::int64_t>(even) * lists;
    for (int list = 0; list < lists; ++list) pool -= won[list];
    std::int64_t const contestants = static_cast<std::int64_t>(lists) * window_count;
    for (std::int64_t rank = 0; rank < contestants && contest[rank] != 0; ++rank) {
      std::int32_t const place = index_of_rank_key(contest[rank]);
      int const tokens = tokens_of(place % window_count);
      pool -= tokens;
      if (pool < 0) break;
      won[place / window_count] += tokens;
    }
    share_tokens(lists, review, heads, even, won, budgets);
  }

 private:
  WINDOWKV_HD int tokens_of(int w) const { return windows.end(w, review) - windows.begin(w, review); }
};

}  // namespace windowkv::detail
