// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/select.hpp
/// Stage 2 on the host: from a group's merged token scores to the slots it keeps.

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/slot_list.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/detail/allocate_heads.hpp"
#include "windowkv/host/detail/selection_writer.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

inline constexpr int windows_per_item = 256;

/// Pooled score of token j: the pooling's fold over the tokens of its span that exist.
template <class Pooling>
float pooled_score(Pooling const& pooling, float const* scores, int review, int j) {
  int const begin = j > pooling.after ? j - pooling.after : 0;
  int const end = pooling.before < review - j ? j + pooling.before + 1 : review;
  auto state = pooling.init();
  for (int i = begin; i < end; ++i) pooling.add(state, scores[i]);
  return pooling.finish(state, end - begin);
}

/// Rows of the group's score buffer that belong to one list.
struct list_rows {
  float const* scores;  ///< [rows][R]
  int rows;
};
inline list_rows rows_of_list(plan_data const& p, score_buffer const& buffer, int list) {
  int const rows = p.score_rows / p.lists;
  return {buffer.scores + static_cast<std::int64_t>(list) * rows * p.review, rows};
}

/// Score of window w: each row's fold over its pooled tokens, then the rows as one.
template <class Scoring>
float window_score(Scoring const& scoring, plan_data const& p, list_rows const& list, int w) {
  int const begin = scoring.windows.begin(w, p.review);
  int const end = scoring.windows.end(w, p.review);
  head_reducer reduced{scoring.reduction};
  for (int row = 0; row < list.rows; ++row) {
    float const* scores = list.scores + static_cast<std::int64_t>(row) * p.review;
    auto state = scoring.window_scorer.init();
    for (int j = begin; j < end; ++j) {
      scoring.window_scorer.add(state, pooled_score(scoring.pooling, scores, p.review, j));
    }
    reduced.add(scoring.window_scorer.finish(state, end - begin), row == 0);
  }
  return reduced.finish(list.rows);
}

/// What a token counts when it is asked how much of the scores is kept: the mean over heads and scoring
/// layers, or, where every KV head has a list, the head's own scores.
struct token_masses {
  plan_data const& p;
  score_buffer const& buffer;
  int list;

  double operator()(std::int64_t token) const {
    if (p.lists == 1) return static_cast<double>(buffer.mass[token]);
    list_rows const own = rows_of_list(p, buffer, list);
    double sum = 0;
    for (std::int64_t row = 0; row < own.rows; ++row) {
      sum += static_cast<double>(own.scores[row * p.review + token]);
    }
    return sum;
  }
  double of(int begin, int end) const {
    double sum = 0;
    for (int token = begin; token < end; ++token) sum += (*this)(token);
    return sum;
  }
};

inline bool is_better_key(std::uint64_t a, std::uint64_t b) { return a > b; }

/// Brings the kept windows to the front of `keys`, best first, and returns their number.
template <class WindowGrouping, class Selector>
int keep_best(WindowGrouping const& windows, Selector const& selector, plan_data const& p, int budget,
              token_masses const& masses, std::uint64_t* keys) {
  fill const rule = selector.rule;
  // Every window holds a token, so a budget of b tokens never reaches behind the best b windows.
  int const candidates = rule == fill::within_budget && budget < p.windows ? budget : p.windows;
  if (candidates < p.windows) std::nth_element(keys, keys + candidates, keys + p.windows, is_better_key);
  std::sort(keys, keys + candidates, is_better_key);
  auto const window_at = [&](int rank) { return index_of_rank_key(keys[rank]); };
  int kept = 0;
  if (rule == fill::within_budget) {
    for (int tokens = 0; kept < candidates; ++kept) {
      int const w = window_at(kept);
      tokens += windows.end(w, p.review) - windows.begin(w, p.review);
      if (tokens > budget) break;
    }
  } else {
    int const must_drop = p.review - budget;
    int dropped = 0;
    kept = p.windows;
    while (kept > 0 && dropped < must_drop) dropped += windows.nominal_tokens(window_at(--kept), p.review);
  }
  if constexpr (stops_early_v<Selector>) {
    double const all = masses.of(0, p.review);
    double mass = 0;
    int tokens = 0;
    for (int rank = 0; rank < kept; ++rank) {
      int const w = window_at(rank);
      int const begin = windows.begin(w, p.review);
      int const end = windows.end(w, p.review);
      bool const is_protected = selector.protects(begin, end);
      if (!is_protected && selector.is_enough(mass, all, tokens)) return rank;
      mass += masses.of(begin, end);
      tokens += end - begin;
    }
  }
  static_cast<void>(masses);
  return kept;
}

/// Share of the review part's mass that a list keeps.
inline float retained_share(plan_data const& p, token_masses const& masses, slot_list const& kept) {
  double const total = masses.of(0, p.review);
  double held = 0;
  for (int i = 0; i < kept.count && kept.slots[i] < p.review; ++i) held += masses(kept.slots[i]);
  return total == held ? 1.f : static_cast<float>(held / total);
}

/// Scores and ranks the windows of all lists.
template <class ParallelFor, class Scoring, class Selector>
void rank_windows(host_executor<ParallelFor> const& on, plan_data const& p, Scoring const& scoring,
                  Selector const& selector, score_buffer const& buffer, workspace_layout const& memory) {
  int const pieces = (p.windows + windows_per_item - 1) / windows_per_item;
  on.parallel_for(pieces * p.lists, [&](int item) {
    int const list = item / pieces;
    list_rows const rows = rows_of_list(p, buffer, list);
    int const begin = item % pieces * windows_per_item;
    int const end = p.windows - begin < windows_per_item ? p.windows : begin + windows_per_item;
    for (int w = begin; w < end; ++w) {
      std::int64_t const at = static_cast<std::int64_t>(list) * p.windows + w;
      float const score = window_score(scoring, p, rows, w);
      memory.window_scores[at] = score;
      memory.rank_keys[at] = window_key(selector, score, w, scoring.windows.begin(w, p.review),
                                        scoring.windows.end(w, p.review));
    }
  });
}

template <class ParallelFor, class Method, class Scoring>
void select_group(host_executor<ParallelFor> const& on, plan<Method> const& p, group_plan const& group,
                  Scoring const& scoring, workspace_layout const& memory, selection& chosen) {
  auto const& selector = p.method.selector;
  auto const& heads = p.method.head_sharing.budget;
  score_buffer const buffer = buffer_of(p, memory, chosen.group);
  rank_windows(on, p, scoring, selector, buffer, memory);
  std::int32_t budgets[max_heads];
  if constexpr (is_adaptive_head_budget_v<std::decay_t<decltype(heads)>>) {
    allocate_heads(p, heads, scoring.windows, group.review_budget, memory, budgets);
  } else {
    for (int list = 0; list < p.lists; ++list) {
      int const tokens = heads.tokens(chosen.group, list, group.review_budget);
      budgets[list] = tokens < p.review ? tokens : p.review;
    }
  }
  selection_writer out(p, memory, chosen);
  double retained = 0;
  for (int list = 0; list < p.lists; ++list) {
    token_masses const masses{p, buffer, list};
    std::uint64_t* const keys = memory.rank_keys + static_cast<std::int64_t>(list) * p.windows;
    int const kept = keep_best(scoring.windows, selector, p, budgets[list], masses, keys);
    slot_list const slots = out.add_list(scoring.windows, keys, kept, group.suffix);
    retained += static_cast<double>(retained_share(p, masses, slots));
  }
  out.finish();
  chosen.retained = static_cast<float>(retained / p.lists);
}

}  // namespace detail

/// Selects what a group keeps, once all its scoring layers have scored; a group whose prompt fits its budget
/// keeps everything without scores. Asked again, returns the same selection.
///
/// Windows are ranked by one total order (core/rank.hpp); what stays is the head of the ranking that the
/// plan's budget pays for, protected windows first, and the suffix. With a list per KV head each has a
/// ranking of its own. The selection points into the workspace.
template <class ParallelFor, class Method>
result<selection> select(host_executor<ParallelFor> const& on, compression<Method>& run, int group) {
  using access = compression_access;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_group_index(p, group));
  detail::group_state& state = access::group(run, group);
  if (state.is_selected) return state.chosen;
  group_plan const& planned = p.group[group];
  detail::workspace_layout const& memory = access::memory(run);
  selection chosen;
  chosen.group = group;
  chosen.tokens = p.prompt.tokens;
  if (planned.keeps_all != 0) {
    detail::selection_writer out(p, memory, chosen);
    for (int list = 0; list < p.lists; ++list) out.add_everything();
    out.finish();
  } else {
    WINDOWKV_TRY(detail::must_have_scored(run, group));
    detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      detail::select_group(on, run.plan(), planned, scoring, memory, chosen);
    });
  }
  state.chosen = chosen;
  state.is_selected = true;
  return chosen;
}

}  // namespace windowkv
