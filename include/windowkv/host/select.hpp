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
#include "windowkv/core/windows.hpp"
#include "windowkv/host/detail/allocate_heads.hpp"
#include "windowkv/host/detail/selection_writer.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

inline constexpr int windows_per_item = 256;

inline bool is_better_key(std::uint64_t a, std::uint64_t b) { return a > b; }

/// Brings the kept windows to the front of `keys`, best first, and returns their number.
template <class WindowGrouping, class Selector>
int keep_best(WindowGrouping const& windows, Selector const& selector, plan_data const& p, int budget,
              list_rows const& rows, int list, std::uint64_t* keys) {
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
    return enough_of(windows, selector, rows, list, kept, keys);
  } else {
    static_cast<void>(rows);
    static_cast<void>(list);
    return kept;
  }
}

/// Share of the review part's mass that a list keeps.
inline float retained_share(list_rows const& rows, int list, slot_list const& kept) {
  double const total = rows.mass_of(list, 0, rows.review);
  double held = 0;
  for (int i = 0; i < kept.count && kept.slots[i] < rows.review; ++i) {
    held += rows.mass_of(list, kept.slots[i]);
  }
  return total == held ? 1.f : static_cast<float>(held / total);
}

/// Scores and ranks the windows of all lists.
template <class ParallelFor, class Scoring, class Selector>
void rank_windows(host_executor<ParallelFor> const& on, plan_data const& p, Scoring const& scoring,
                  Selector const& selector, list_rows const& rows, workspace_layout const& memory) {
  int const pieces = (p.windows + windows_per_item - 1) / windows_per_item;
  on.parallel_for(pieces * p.lists, [&](int item) {
    int const list = item / pieces;
    int const begin = item % pieces * windows_per_item;
    int const end = p.windows - begin < windows_per_item ? p.windows : begin + windows_per_item;
    for (int w = begin; w < end; ++w) {
      std::int64_t const at = static_cast<std::int64_t>(list) * p.windows + w;
      float const score = rows.window_score(scoring, list, w);
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
  list_rows const rows(p, buffer_of(p, memory, chosen.group));
  rank_windows(on, p, scoring, selector, rows, memory);
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
    std::uint64_t* const keys = memory.rank_keys + static_cast<std::int64_t>(list) * p.windows;
    int const kept = keep_best(scoring.windows, selector, p, budgets[list], rows, list, keys);
    slot_list const slots = out.add_list(scoring.windows, keys, kept, group.suffix);
    retained += static_cast<double>(retained_share(rows, list, slots));
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
