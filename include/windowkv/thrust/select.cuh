// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/select.cuh
/// Stage 2 on Thrust: from a group's merged token scores to the slots it keeps. Nothing comes back to the
/// host.

#include <thrust/functional.h>
#include <thrust/scan.h>
#include <thrust/sort.h>
#include <thrust/transform_scan.h>

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/heads.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/windows.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// Score and rank key of one window of one list.
template <class Scoring, class Selector>
struct rank_window {
  Scoring scoring;
  Selector selector;
  list_rows rows;
  int window_count;
  float* window_scores;
  std::uint64_t* keys;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    int const w = static_cast<int>(item % window_count);
    float const score = rows.window_score(scoring, static_cast<int>(item / window_count), w);
    window_scores[item] = score;
    keys[item] = window_key(selector, score, w, scoring.windows.begin(w, rows.review),
                            scoring.windows.end(w, rows.review));
  }
};

/// Budgets that the host knows, of some lists. They travel with the functor: nothing has to be kept alive.
struct write_budgets {
  static constexpr int most = 64;
  std::int32_t values[most];
  std::int32_t* budgets;

  WINDOWKV_HD void operator()(std::int64_t list) const { budgets[list] = values[list]; }
};

/// Lists that compete enter one by one; one item, and so one thread, then hands out what they win.
template <class Contest>
struct enter_contest {
  Contest contest;
  WINDOWKV_HD void operator()(std::int64_t list) const { contest.enter(static_cast<int>(list)); }
};
template <class Contest>
struct settle_contest {
  Contest contest;
  WINDOWKV_HD void operator()(std::int64_t /*item*/) const { contest.settle(); }
};

/// Tokens that a ranked window counts for.
template <class WindowGrouping>
struct weight_of_key {
  WindowGrouping windows;
  fill rule;
  int review;

  WINDOWKV_HD std::int64_t operator()(std::uint64_t key) const {
    int const w = index_of_rank_key(key);
    return rule == fill::within_budget ? windows.end(w, review) - windows.begin(w, review)
                                       : windows.nominal_tokens(w, review);
  }
};

/// The sorted windows of all lists, and what the budgets pay for.
struct rankings {
  fill rule;
  int review;
  int window_count;
  std::uint64_t const* keys;
  std::int64_t const* running;  ///< tokens of the windows up to each, over all lists
  std::int32_t const* budgets;

  WINDOWKV_HD int window_at(int list, int rank) const {
    return index_of_rank_key(keys[first_of(list) + rank]);
  }
  WINDOWKV_HD bool pays_for(int list, int rank) const {
    std::int64_t const first = first_of(list);
    std::int64_t const before = list > 0 ? running[first - 1] : 0;
    std::int64_t const behind = running[first + window_count - 1] - running[first + rank];
    return rule == fill::within_budget ? running[first + rank] - before <= budgets[list]
                                       : behind >= std::int64_t{review} - budgets[list];
  }
  WINDOWKV_HD std::int64_t first_of(int list) const { return std::int64_t{list} * window_count; }
};

/// Where a list's ranking ends if its selector stops early. One item per list walks down its ranking, so that
/// masses are added in the order of the host backend.
template <class WindowGrouping, class Selector>
struct find_end {
  WindowGrouping windows;
  Selector selector;
  list_rows rows;
  rankings ranked;
  std::int32_t* ends;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    int const list = static_cast<int>(item);
    int paid = 0;
    while (paid < ranked.window_count && ranked.pays_for(list, paid)) ++paid;
    ends[list] = enough_of(windows, selector, rows, list, paid, ranked.keys + ranked.first_of(list));
  }
};

/// Whether the window at one rank of a list is kept, filed under the window.
template <class WindowGrouping>
struct mark_rank {
  WindowGrouping windows;
  list_rows rows;
  rankings ranked;
  std::int32_t const* ends;  ///< [lists], or null where the budget alone decides
  kept_sums* sums;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    int const list = static_cast<int>(item / ranked.window_count);
    int const rank = static_cast<int>(item % ranked.window_count);
    bool const is_kept = ranked.pays_for(list, rank) && (ends == nullptr || rank < ends[list]);
    int const w = ranked.window_at(list, rank);
    int const begin = windows.begin(w, rows.review);
    int const end = windows.end(w, rows.review);
    double const mass = rows.mass_of(list, begin, end);
    sums[ranked.first_of(list) + w] = {list, is_kept ? 1 : 0, is_kept ? end - begin : 0, mass,
                                       is_kept ? mass : 0.};
  }
};

/// Sums start anew with each list.
struct add_sums {
  WINDOWKV_HD kept_sums operator()(kept_sums const& a, kept_sums const& b) const {
    if (a.list != b.list) return b;
    return {b.list, a.windows + b.windows, a.tokens + b.tokens, a.mass + b.mass, a.kept_mass + b.kept_mass};
  }
};

/// A group's selection as it is written.
struct selection_parts {
  int lists;
  int review;
  int tokens;
  int suffix;
  int window_count;
  kept_sums const* sums;
  std::int32_t* window_ids;
  std::int32_t* slots;
  std::int32_t* offsets;
  std::int32_t* window_offsets;
  selection_counts* counts;

  /// Sums over the windows of a list before w.
  WINDOWKV_HD kept_sums sums_before(std::int64_t list, int w) const {
    return w > 0 ? sums[list * window_count + w - 1] : kept_sums{0, 0, 0, 0., 0.};
  }
};

/// Where the lists begin, and what they hold together. One item.
struct count_kept {
  selection_parts to;

  WINDOWKV_HD void operator()(std::int64_t /*item*/) const {
    selection_counts all;
    double retained = 0;
    for (int list = 0; list < to.lists; ++list) {
      kept_sums const total = to.sums_before(list, to.window_count);
      int const kept = total.tokens + to.suffix;
      to.offsets[list] = all.rows;
      to.window_offsets[list] = all.windows;
      all.rows += kept;
      all.windows += total.windows;
      if (kept > all.kept) all.kept = kept;
      bool const keeps_all_mass = total.mass == total.kept_mass;
      retained +=
          static_cast<double>(keeps_all_mass ? 1.f : static_cast<float>(total.kept_mass / total.mass));
    }
    to.offsets[to.lists] = all.rows;
    to.window_offsets[to.lists] = all.windows;
    all.retained = static_cast<float>(retained / to.lists);
    *to.counts = all;
  }
};

/// Writes the lists: items are the windows of a list and the slots of its suffix, list by list.
template <class WindowGrouping>
struct list_kept {
  WindowGrouping windows;
  selection_parts to;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    std::int64_t const items = std::int64_t{to.window_count} + to.suffix;
    std::int64_t const list = item / items;
    int const i = static_cast<int>(item % items);
    std::int32_t* const slots = to.slots + to.offsets[list];
    if (i >= to.window_count) {
      int const newest = i - to.window_count;
      slots[to.sums_before(list, to.window_count).tokens + newest] = to.tokens - to.suffix + newest;
      return;
    }
    kept_sums const before = to.sums_before(list, i);
    if (to.sums_before(list, i + 1).windows == before.windows) return;
    to.window_ids[to.window_offsets[list] + before.windows] = i;
    int const begin = windows.begin(i, to.review);
    int const end = windows.end(i, to.review);
    for (int j = begin; j < end; ++j) slots[before.tokens + (j - begin)] = j;
  }
};

/// The selection of a group that keeps everything: items are the slots of a list, list by list.
struct list_all {
  selection_parts to;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    int const list = static_cast<int>(item / to.tokens);
    int const i = static_cast<int>(item % to.tokens);
    to.slots[item] = i;
    if (i < to.window_count) to.window_ids[std::int64_t{list} * to.window_count + i] = i;
    if (i > 0) return;
    to.offsets[list] = list * to.tokens;
    to.window_offsets[list] = list * to.window_count;
    if (list > 0) return;
    to.offsets[to.lists] = to.lists * to.tokens;
    to.window_offsets[to.lists] = to.lists * to.window_count;
    *to.counts = {to.tokens, to.lists * to.window_count, 1.f, to.lists * to.tokens};
  }
};

inline selection_parts parts_of(plan_data const& p, int group, thrust_memory const& memory) {
  std::int32_t* const offsets = memory.offsets[group];
  return {p.lists,
          p.review,
          p.prompt.tokens,
          p.group[group].suffix,
          p.windows,
          memory.sums,
          memory.windows[group],
          memory.slots[group],
          offsets,
          offsets + p.lists + 1,
          memory.counts + group};
}

template <class Policy>
void sort_keys(thrust_executor<Policy> const& on, std::uint64_t* keys, std::int64_t count) {
  thrust::sort(on.policy, keys, keys + count, thrust::greater<std::uint64_t>());
}

/// What each list keeps of the review part, in memory.budgets; the lists' rank keys are sorted.
template <class Policy, class HeadBudget, class WindowGrouping>
void find_budgets(thrust_executor<Policy> const& on, plan_data const& p, int group, HeadBudget const& heads,
                  WindowGrouping const& windows, thrust_memory const& memory) {
  int const even = p.group[group].review_budget;
  if constexpr (is_adaptive_head_budget_v<HeadBudget>) {
    std::int64_t const all = std::int64_t{p.lists} * p.windows;
    using contest = head_contest<HeadBudget, WindowGrouping>;
    contest const lists{resident<thrust_executor<Policy>::space>(heads),
                        windows,
                        p.lists,
                        p.review,
                        p.windows,
                        even,
                        memory.rank_keys,
                        memory.window_scores,
                        memory.rank_keys + all,
                        memory.ends,
                        memory.budgets};
    for_each_index(on, p.lists, enter_contest<contest>{lists});
    sort_keys(on, lists.contest, all);
    for_each_index(on, 1, settle_contest<contest>{lists});
  } else {
    for (int first = 0; first < p.lists; first += write_budgets::most) {
      write_budgets some{};
      some.budgets = memory.budgets + first;
      int const count = p.lists - first < write_budgets::most ? p.lists - first : write_budgets::most;
      for (int i = 0; i < count; ++i) {
        int const tokens = heads.tokens(group, first + i, even);
        some.values[i] = tokens < p.review ? tokens : p.review;
      }
      for_each_index(on, count, some);
    }
  }
}

template <class Policy, class Method, class Scoring>
void select_group(thrust_executor<Policy> const& on, plan<Method> const& p, int group, Scoring const& scoring,
                  thrust_memory const& memory) {
  using grouping = decltype(scoring.windows);
  using selector_type = decltype(p.method.selector);
  selector_type const selector = resident<thrust_executor<Policy>::space>(p.method.selector);
  list_rows const rows(p, memory.buffer_of(p, group));
  std::int64_t const all = std::int64_t{p.lists} * p.windows;
  std::uint64_t* const keys = memory.rank_keys;
  for_each_index(
      on, all,
      rank_window<Scoring, selector_type>{scoring, selector, rows, p.windows, memory.window_scores, keys});
  for (std::int64_t first = 0; first < all; first += p.windows) sort_keys(on, keys + first, p.windows);
  find_budgets(on, p, group, p.method.head_sharing.budget, scoring.windows, memory);
  thrust::transform_inclusive_scan(on.policy, keys, keys + all, memory.running,
                                   weight_of_key<grouping>{scoring.windows, selector.rule, p.review},
                                   thrust::plus<std::int64_t>());
  rankings const ranked{selector.rule, p.review, p.windows, keys, memory.running, memory.budgets};
  std::int32_t const* ends = nullptr;
  if constexpr (stops_early_v<selector_type>) {
    ends = memory.ends;
    for_each_index(on, p.lists,
                   find_end<grouping, selector_type>{scoring.windows, selector, rows, ranked, memory.ends});
  }
  for_each_index(on, all, mark_rank<grouping>{scoring.windows, rows, ranked, ends, memory.sums});
  thrust::inclusive_scan(on.policy, memory.sums, memory.sums + all, memory.sums, add_sums{});
  selection_parts const to = parts_of(p, group, memory);
  for_each_index(on, 1, count_kept{to});
  for_each_index(on, (std::int64_t{p.windows} + to.suffix) * p.lists,
                 list_kept<grouping>{scoring.windows, to});
}

}  // namespace detail::on_thrust

/// Selects what a group keeps, once all its scoring layers have scored: the selection of the host backend
/// (host/select.hpp), bit for bit from the same token scores. Its contents are in the executor's memory, and
/// there when the queued work has run; nothing is waited for. Asked again, returns the same selection and
/// queues nothing.
///
/// With a list per KV head the lists are sorted one after the other. Two steps are serial: where lists
/// compete for their tokens, one thread hands these out; where the selector stops early, one thread per list
/// walks down its ranking.
///
/// @return a failed status, with nothing queued, for a group out of range or one whose layers have not scored
template <class Policy, class Method>
result<deferred_selection> select(thrust_executor<Policy> const& on, thrust_compression<Method>& run,
                                  int group) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_group_index(p, group));
  detail::group_state& state = compression_access::group(run, group);
  if (state.is_selected) return run.selected(group);
  detail::thrust_memory const& memory = compression_access::memory(run);
  if (p.group[group].keeps_all != 0) {
    detail::for_each_index(on, std::int64_t{p.prompt.tokens} * p.lists,
                           detail::on_thrust::list_all{detail::on_thrust::parts_of(p, group, memory)});
  } else {
    WINDOWKV_TRY(detail::must_have_scored(run, group));
    constexpr memory_space space = thrust_executor<Policy>::space;
    detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      detail::on_thrust::select_group(on, run.plan(), group, detail::resident_scoring<space>(scoring),
                                      memory);
    });
  }
  state.is_selected = true;
  return run.selected(group);
}

}  // namespace windowkv
