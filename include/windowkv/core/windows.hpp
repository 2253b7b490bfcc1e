// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/windows.hpp
/// How the rows of a score buffer become the window scores of a list, and what a token counts when it is
/// asked how much of the scores is kept: one rule for all backends that hold token scores, in one order of
/// additions, so that they get the same bits.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"

namespace windowkv::detail {

/// Pooled score of token j: the pooling's fold over the tokens of its span that exist.
template <class Pooling>
WINDOWKV_HD float pooled_score(Pooling const& pooling, float const* scores, int review, int j) {
  int const begin = j > pooling.after ? j - pooling.after : 0;
  int const end = pooling.before < review - j ? j + pooling.before + 1 : review;
  auto state = pooling.init();
  for (int i = begin; i < end; ++i) pooling.add(state, scores[i]);
  return pooling.finish(state, end - begin);
}

/// The rows of a group's score buffer, and which of them belong to a list.
struct list_rows {
  float const* scores;  ///< [lists][rows][R], merged by the method's rules
  float const* mass;    ///< [R], the plain mean over heads and scoring layers
  int lists;
  int rows;  ///< of one list
  int review;

  list_rows(plan_data const& p, score_buffer const& buffer)
      : scores(buffer.scores),
        mass(buffer.mass),
        lists(p.lists),
        rows(p.score_rows / p.lists),
        review(p.review) {}

  WINDOWKV_HD float const* row(int list, std::int64_t index) const {
    return scores + (static_cast<std::int64_t>(list) * rows + index) * review;
  }

  /// Score of window w of a list: each row's fold over its pooled tokens, then the rows as one.
  template <class Scoring>
  WINDOWKV_HD float window_score(Scoring const& scoring, int list, int w) const {
    int const begin = scoring.windows.begin(w, review);
    int const end = scoring.windows.end(w, review);
    head_reducer reduced{scoring.reduction};
    for (int r = 0; r < rows; ++r) {
      float const* const tokens = row(list, r);
      auto state = scoring.window_scorer.init();
      for (int j = begin; j < end; ++j) {
        scoring.window_scorer.add(state, pooled_score(scoring.pooling, tokens, review, j));
      }
      reduced.add(scoring.window_scorer.finish(state, end - begin), r == 0);
    }
    return reduced.finish(rows);
  }

  /// Mass of a token: the mean over heads and scoring layers, or, where every KV head has a list, the head's
  /// own scores.
  WINDOWKV_HD double mass_of(int list, std::int64_t token) const {
    if (lists == 1) return static_cast<double>(mass[token]);
    double sum = 0;
    for (int r = 0; r < rows; ++r) sum += static_cast<double>(row(list, r)[token]);
    return sum;
  }
  /// Mass of tokens [begin, end).
  WINDOWKV_HD double mass_of(int list, int begin, int end) const {
    double sum = 0;
    for (int token = begin; token < end; ++token) sum += mass_of(list, token);
    return sum;
  }
};

/// Of the first `kept` windows of a list's ranking, how many stay before the selector has enough; protected
/// windows always do.
template <class WindowGrouping, class Selector>
WINDOWKV_HD int enough_of(WindowGrouping const& windows, Selector const& selector, list_rows const& rows,
                          int list, int kept, std::uint64_t const* rank_keys) {
  double const all = rows.mass_of(list, 0, rows.review);
  double mass = 0;
  int tokens = 0;
  for (int rank = 0; rank < kept; ++rank) {
    int const w = index_of_rank_key(rank_keys[rank]);
    int const begin = windows.begin(w, rows.review);
    int const end = windows.end(w, rows.review);
    bool const is_protected = selector.protects(begin, end);
    if (!is_protected && selector.is_enough(mass, all, tokens)) return rank;
    mass += rows.mass_of(list, begin, end);
    tokens += end - begin;
  }
  return kept;
}

}  // namespace windowkv::detail
