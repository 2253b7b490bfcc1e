// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/select.hpp
/// Stage 2 on the host: from a group's merged token scores to the slots it keeps.

#include <algorithm>
#include <cstdint>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/executor.hpp"
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

/// Score of window w: each row's fold over its pooled tokens, then the mean over rows.
template <class Scoring>
float window_score(Scoring const& scoring, plan_data const& p, float const* token_scores, int w) {
  int const begin = scoring.windows.begin(w, p.review);
  int const end = scoring.windows.end(w, p.review);
  float sum = 0.f;
  for (int row = 0; row < p.score_rows; ++row) {
    float const* scores = token_scores + static_cast<std::int64_t>(row) * p.review;
    auto state = scoring.window_scorer.init();
    for (int j = begin; j < end; ++j) {
      scoring.window_scorer.add(state, pooled_score(scoring.pooling, scores, p.review, j));
    }
    sum += scoring.window_scorer.finish(state, end - begin);
  }
  return sum / static_cast<float>(p.score_rows);
}

/// Brings the kept windows to the front of `keys`, best first, and returns their number.
template <class WindowGrouping>
int keep_best(WindowGrouping const& windows, fill rule, plan_data const& p, int budget, std::uint64_t* keys) {
  auto const is_better = [](std::uint64_t a, std::uint64_t b) { return a > b; };
  // Every window holds a token, so a budget of b tokens never reaches behind the best b windows.
  int const candidates = rule == fill::within_budget && budget < p.windows ? budget : p.windows;
  if (candidates < p.windows) std::nth_element(keys, keys + candidates, keys + p.windows, is_better);
  std::sort(keys, keys + candidates, is_better);
  auto const window_at = [&](int rank) { return index_of_rank_key(keys[rank]); };
  if (rule == fill::within_budget) {
    int tokens = 0;
    int kept = 0;
    for (; kept < candidates; ++kept) {
      int const w = window_at(kept);
      tokens += windows.end(w, p.review) - windows.begin(w, p.review);
      if (tokens > budget) break;
    }
    return kept;
  }
  int const must_drop = p.review - budget;
  int dropped = 0;
  int kept = p.windows;
  while (kept > 0 && dropped < must_drop) dropped += windows.nominal_tokens(window_at(--kept), p.review);
  return kept;
}

/// Writes the slots of the kept windows (ascending) and the suffix.
template <class WindowGrouping>
int list_slots(WindowGrouping const& windows, plan_data const& p, std::int32_t const* window_ids,
               int window_count, int suffix, std::int32_t* slots) {
  int kept = 0;
  for (int i = 0; i < window_count; ++i) {
    int const end = windows.end(window_ids[i], p.review);
    for (int slot = windows.begin(window_ids[i], p.review); slot < end; ++slot) slots[kept++] = slot;
  }
  for (int slot = p.prompt.tokens - suffix; slot < p.prompt.tokens; ++slot) slots[kept++] = slot;
  return kept;
}

/// Share of the review part's mass that stays.
inline float retained_share(plan_data const& p, float const* mass, selection const& chosen) {
  double total = 0;
  double kept = 0;
  for (int j = 0; j < p.review; ++j) total += static_cast<double>(mass[j]);
  for (int i = 0; i < chosen.kept && chosen.slots[i] < p.review; ++i) {
    kept += static_cast<double>(mass[chosen.slots[i]]);
  }
  return total == kept ? 1.f : static_cast<float>(kept / total);
}

template <class ParallelFor, class Scoring, class Selector>
void select_group(host_executor<ParallelFor> const& on, plan_data const& p, group_plan const& group,
                  Scoring const& scoring, Selector const& selector, workspace_layout const& memory,
                  selection& chosen) {
  score_buffer const buffer = buffer_of(p, memory, chosen.group);
  on.parallel_for((p.windows + windows_per_item - 1) / windows_per_item, [&](int item) {
    int const begin = item * windows_per_item;
    int const end = p.windows - begin < windows_per_item ? p.windows : begin + windows_per_item;
    for (int w = begin; w < end; ++w) {
      float const score = window_score(scoring, p, buffer.scores, w);
      int const window_begin = scoring.windows.begin(w, p.review);
      int const window_end = scoring.windows.end(w, p.review);
      memory.window_scores[w] = score;
      memory.rank_keys[w] = selector.in_ranges(window_begin, window_end)  ? protected_rank_key(w)
                            : selector.protects(window_begin, window_end) ? preferred_rank_key(w)
                                                                          : rank_key(score, w);
    }
  });
  std::int32_t* const window_ids = memory.windows[chosen.group];
  std::int32_t* const slots = memory.slots[chosen.group];
  chosen.windows = keep_best(scoring.windows, selector.rule, p, group.review_budget, memory.rank_keys);
  for (int i = 0; i < chosen.windows; ++i) window_ids[i] = index_of_rank_key(memory.rank_keys[i]);
  std::sort(window_ids, window_ids + chosen.windows);
  chosen.window_ids = window_ids;
  chosen.kept = list_slots(scoring.windows, p, window_ids, chosen.windows, group.suffix, slots);
  chosen.slots = slots;
  chosen.retained = retained_share(p, buffer.mass, chosen);
}

}  // namespace detail

/// Selects what a group keeps, once all its scoring layers have scored; a group whose prompt fits its budget
/// keeps everything without scores. Asked again, returns the same selection.
///
/// Windows are ranked by one total order (core/rank.hpp); what stays is the head of the ranking that the
/// plan's budget pays for, protected windows first, and the suffix. The selection points into the workspace.
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
    chosen.kept = p.prompt.tokens;
    chosen.slots = memory.slots[group];
    chosen.windows = p.windows;
    chosen.window_ids = memory.windows[group];
    for (int i = 0; i < chosen.kept; ++i) memory.slots[group][i] = i;
    for (int i = 0; i < chosen.windows; ++i) memory.windows[group][i] = i;
  } else {
    WINDOWKV_TRY(detail::must_have_scored(run, group));
    detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      detail::select_group(on, p, planned, scoring, run.plan().method.selector, memory, chosen);
    });
  }
  state.chosen = chosen;
  state.is_selected = true;
  return chosen;
}

}  // namespace windowkv
