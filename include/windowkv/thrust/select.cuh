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
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// Score and rank key of one window.
template <class Scoring, class Selector>
struct rank_window {
  Scoring scoring;
  Selector selector;
  int review;
  int rows;
  float const* token_scores;
  float* window_scores;
  std::uint64_t* keys;

  WINDOWKV_HD void operator()(std::int64_t index) const {
    int const w = static_cast<int>(index);
    int const begin = scoring.windows.begin(w, review);
    int const end = scoring.windows.end(w, review);
    float sum = 0.f;
    for (std::int64_t row = 0; row < rows; ++row) {
      auto state = scoring.window_scorer.init();
      for (int j = begin; j < end; ++j)
        scoring.window_scorer.add(state, pooled(token_scores + row * review, j));
      sum += scoring.window_scorer.finish(state, end - begin);
    }
    float const score = sum / static_cast<float>(rows);
    window_scores[w] = score;
    keys[w] = selector.in_ranges(begin, end)  ? protected_rank_key(w)
              : selector.protects(begin, end) ? preferred_rank_key(w)
                                              : rank_key(score, w);
  }

  /// The pooling's fold over the tokens of its span that exist.
  WINDOWKV_HD float pooled(float const* scores, int j) const {
    int const begin = j > scoring.pooling.after ? j - scoring.pooling.after : 0;
    int const end = scoring.pooling.before < review - j ? j + scoring.pooling.before + 1 : review;
    auto state = scoring.pooling.init();
    for (int i = begin; i < end; ++i) scoring.pooling.add(state, scores[i]);
    return scoring.pooling.finish(state, end - begin);
  }
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

/// Whether the window at one rank is kept, filed under the window.
template <class WindowGrouping>
struct mark_rank {
  WindowGrouping windows;
  fill rule;
  int review;
  int budget;
  int window_count;
  std::uint64_t const* keys;
  std::int64_t const* running;
  float const* token_mass;
  kept_sums* sums;

  WINDOWKV_HD void operator()(std::int64_t rank) const {
    std::int64_t const behind = running[window_count - 1] - running[rank];
    bool const is_kept =
        rule == fill::within_budget ? running[rank] <= budget : behind >= std::int64_t{review} - budget;
    int const w = index_of_rank_key(keys[rank]);
    int const begin = windows.begin(w, review);
    int const end = windows.end(w, review);
    double mass = 0;
    for (int j = begin; j < end; ++j) mass += static_cast<double>(token_mass[j]);
    sums[w] = {is_kept ? 1 : 0, is_kept ? end - begin : 0, mass, is_kept ? mass : 0.};
  }
};

struct add_sums {
  WINDOWKV_HD kept_sums operator()(kept_sums const& a, kept_sums const& b) const {
    return {a.windows + b.windows, a.tokens + b.tokens, a.mass + b.mass, a.kept_mass + b.kept_mass};
  }
};

/// Writes the selection: items are the windows, then the slots of the suffix, then the counts.
template <class WindowGrouping>
struct list_kept {
  WindowGrouping windows;
  int review;
  int tokens;
  int suffix;
  int window_count;
  kept_sums const* sums;
  std::int32_t* window_ids;
  std::int32_t* slots;
  selection_counts* counts;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    if (item < window_count) {
      int const w = static_cast<int>(item);
      kept_sums const before = sums_before(w);
      if (sums[w].windows == before.windows) return;
      window_ids[before.windows] = w;
      int const begin = windows.begin(w, review);
      int const end = windows.end(w, review);
      for (int j = begin; j < end; ++j) slots[before.tokens + (j - begin)] = j;
      return;
    }
    kept_sums const total = sums_before(window_count);
    int const i = static_cast<int>(item - window_count);
    if (i < suffix) {
      slots[total.tokens + i] = tokens - suffix + i;
    } else {
      bool const keeps_all_mass = total.mass == total.kept_mass;
      counts->kept = total.tokens + suffix;
      counts->windows = total.windows;
      counts->retained = keeps_all_mass ? 1.f : static_cast<float>(total.kept_mass / total.mass);
    }
  }

  WINDOWKV_HD kept_sums sums_before(int w) const { return w > 0 ? sums[w - 1] : kept_sums{0, 0, 0., 0.}; }
};

/// The selection of a group that keeps everything.
struct list_all {
  int tokens;
  int window_count;
  std::int32_t* window_ids;
  std::int32_t* slots;
  selection_counts* counts;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    int const i = static_cast<int>(item);
    slots[i] = i;
    if (i < window_count) window_ids[i] = i;
    if (i == 0) *counts = {tokens, window_count, 1.f};
  }
};

template <class Policy, class Scoring, class Selector>
void select_group(thrust_executor<Policy> const& on, plan_data const& p, int group, Scoring const& scoring,
                  Selector const& selector, thrust_memory const& memory) {
  using grouping = decltype(scoring.windows);
  group_plan const& planned = p.group[group];
  score_buffer const buffer = memory.buffer_of(p, group);
  std::uint64_t* const keys = memory.rank_keys;
  std::uint64_t* const keys_end = keys + p.windows;
  for_each_index(on, p.windows,
                 rank_window<Scoring, Selector>{scoring, selector, p.review, p.score_rows, buffer.scores,
                                                memory.window_scores, keys});
  thrust::sort(on.policy, keys, keys_end, thrust::greater<std::uint64_t>());
  thrust::transform_inclusive_scan(on.policy, keys, keys_end, memory.running,
                                   weight_of_key<grouping>{scoring.windows, selector.rule, p.review},
                                   thrust::plus<std::int64_t>());
  for_each_index(on, p.windows,
                 mark_rank<grouping>{scoring.windows, selector.rule, p.review, planned.review_budget,
                                     p.windows, keys, memory.running, buffer.mass, memory.sums});
  thrust::inclusive_scan(on.policy, memory.sums, memory.sums + p.windows, memory.sums, add_sums{});
  for_each_index(
      on, std::int64_t{p.windows} + planned.suffix + 1,
      list_kept<grouping>{scoring.windows, p.review, p.prompt.tokens, planned.suffix, p.windows, memory.sums,
                          memory.windows[group], memory.slots[group], memory.counts + group});
}

}  // namespace detail::on_thrust

/// Selects what a group keeps, once all its scoring layers have scored: the selection of the host backend
/// (host/select.hpp), bit for bit from the same token scores. Its contents are in the executor's memory, and
/// there when the queued work has run. Asked again, returns the same selection and queues nothing.
template <class Policy, class Method>
result<deferred_selection> select(thrust_executor<Policy> const& on, thrust_compression<Method>& run,
                                  int group) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_group_index(p, group));
  detail::group_state& state = compression_access::group(run, group);
  if (state.is_selected) return run.selected(group);
  detail::thrust_memory const& memory = compression_access::memory(run);
  if (p.group[group].keeps_all != 0) {
    detail::for_each_index(on, p.prompt.tokens,
                           detail::on_thrust::list_all{p.prompt.tokens, p.windows, memory.windows[group],
                                                       memory.slots[group], memory.counts + group});
  } else {
    WINDOWKV_TRY(detail::must_have_scored(run, group));
    constexpr memory_space space = thrust_executor<Policy>::space;
    detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      detail::on_thrust::select_group(on, p, group, detail::resident_scoring<space>(scoring),
                                      detail::resident<space>(run.plan().method.selector), memory);
    });
  }
  state.is_selected = true;
  return run.selected(group);
}

}  // namespace windowkv
