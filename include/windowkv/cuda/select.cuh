// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/select.cuh
/// Stage 2 on CUDA: from what a group's layers scored to the slots it keeps.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/cuda/detail/launch.cuh"
#include "windowkv/cuda/detail/select_kernel.cuh"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/cuda/memory.cuh"
#include "windowkv/cuda/score.cuh"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// Groups for one launch. `add` them, then `launch`.
template <class HeadDims, class Method>
class select_batch {
 public:
  explicit select_batch(cuda_executor<HeadDims> const& on) : on_(on) {}

  /// Adds a group that may be selected; launches first what cannot go along with it.
  status add(cuda_compression<Method>& run, int group) {
    using access = compression_access;
    plan_data const& p = run.plan();
    cuda_memory& memory = access::memory(run);
    group_plan const& planned = p.group[group];
    if (items_ > 0 &&
        (items_ == select_table::item_capacity ||
         sources_ + planned.scoring_layers > select_table::source_capacity ||
         (run_ != &run && sequences_ == max_table_sequences) || !has_same_rules(run_->plan(), run.plan()))) {
      WINDOWKV_TRY(launch());
    }
    if (planned.keeps_all == 0) {  // then N > S, so S is the method's
      with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
        if constexpr (is_attention_scorer_v<std::decay_t<decltype(scoring.token_scorer)>>) {
          table_.rows = row_tiling_of(p);
        }
      });
      table_.score_rows = p.score_rows;
      table_.suffix = p.suffix;
    }
    if (sequences_ == 0 || run_ != &run)
      table_.sequences[sequences_++] = sequence_facts(p, memory.device_tokens);
    run_ = &run;

    select_item& item = table_.items[items_++];
    std::int64_t const slot = memory.group_slot(p, group) * p.windows;
    item.window_scores = memory.window_scores + slot;
    item.window_mass = memory.window_mass + slot;
    item.window_ranks = memory.window_ranks + slot;
    item.slots = memory.slots[group];
    item.window_ids = memory.windows[group];
    item.counts = memory.counts + group;
    item.ticket = memory.tickets + group;
    item.budget = planned.budget;
    item.suffix = planned.suffix;
    item.review_budget = planned.review_budget;
    item.sequence = static_cast<std::int16_t>(sequences_ - 1);
    item.counts_suffix = run.plan().method.budget.counts_suffix;
    item.keeps_all = planned.keeps_all != 0;
    item.first_source = static_cast<std::int16_t>(sources_);
    item.sources = 0;
    item.is_staged = false;
    item.windows_per_block = select_threads;
    if (!item.keeps_all) add_sources(run, group, item);
    std::int64_t const work = item.keeps_all ? p.prompt.tokens : p.windows;
    item.blocks = static_cast<std::int32_t>((work + item.windows_per_block - 1) / item.windows_per_block);
    if (item.blocks < 1) item.blocks = 1;
    if (item.blocks > most_blocks_) most_blocks_ = item.blocks;
    access::group(run, group).is_selected = true;
    return {};
  }

  status launch() {
    if (items_ == 0) return {};
    status const queued =
        with_scoring(run_->plan().method, run_->plan().prompt.task, [&](auto const& scoring) {
          auto on_device_scoring = scoring;
          on_device_scoring.windows = on_device(scoring.windows);
          auto const selector = on_device(run_->plan().method.selector);
          using scoring_type = std::decay_t<decltype(scoring)>;
          using selector_type = std::decay_t<decltype(selector)>;
          static_assert(
              sizeof(select_table) + sizeof(scoring_type) + sizeof(selector_type) <= most_parameter_bytes,
              "windowkv: the method's policies are too large to be a kernel's parameters");
          return detail::launch(
              on_.stream, dim3(static_cast<unsigned>(most_blocks_), static_cast<unsigned>(items_)),
              select_threads, select_floats * sizeof(float), select_kernel<scoring_type, selector_type>,
              table_, on_device_scoring, selector);
        });
    items_ = 0;
    sources_ = 0;
    sequences_ = 0;
    most_blocks_ = 1;
    return queued;
  }

 private:
  void add_sources(cuda_compression<Method>& run, int group, select_item& item) {
    plan_data const& p = run.plan();
    cuda_memory const& memory = compression_access::memory(run);
    for (int l = p.group[group].first_scoring_layer; l <= p.group[group].last_scoring_layer; ++l) {
      if (p.layer[l].group != group || p.layer[l].scores == 0) continue;
      score_record const& record = memory.record[l];
      std::int64_t const slot = memory.score_slot[l];
      score_source& source = table_.sources[sources_++];
      source.scores = memory.scores + slot * memory.slot_floats;
      source.row_max = memory.row_max + slot * memory.row_floats;
      source.row_sum = memory.row_sum + slot * memory.row_floats;
      source.divisor = record.divisor;
      source.parts = static_cast<std::int16_t>(record.parts);
      source.form = record.form;
      ++item.sources;
    }
    with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      score_form const form = table_.sources[item.first_source].form;
      if (form == score_form::row_sums) item.windows_per_block = select_threads / 32 * 8;
      if constexpr (std::is_same_v<std::decay_t<decltype(scoring.windows)>, fixed_windows>) {
        int const width = scoring.windows.width;
        std::int64_t const reach = std::int64_t{scoring.pooling.after} + scoring.pooling.before;
        item.is_staged = form == score_form::token_sums && width <= staged_own_tokens &&
                         reach <= staged_tokens - staged_own_tokens;
        if (item.is_staged) item.windows_per_block = staged_own_tokens / width;
      }
    });
  }

  cuda_executor<HeadDims> const& on_;
  cuda_compression<Method>* run_ = nullptr;
  int items_ = 0;
  int sources_ = 0;
  int sequences_ = 0;
  int most_blocks_ = 1;
  select_table table_;
};

}  // namespace detail

/// Queues the selection of what a group keeps, once all its scoring layers have been queued: 1 launch. A
/// group whose prompt fits its budget keeps everything without scores. Asked again, returns the same
/// selection and queues nothing.
///
/// Windows are ranked by one total order (core/rank.hpp): the head of the ranking that the budget pays for
/// stays, protected windows first, and the suffix; lists ascend. The returned value's contents lie in the
/// workspace (device memory) and are written when the work runs.
template <class HeadDims, class Method>
result<deferred_selection> select(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run,
                                  int group) {
  WINDOWKV_TRY(detail::validate_group_index(run.plan(), group));
  if (!compression_access::group(run, group).is_selected) {
    WINDOWKV_TRY(detail::must_have_scored(run, group));
    detail::select_batch<HeadDims, Method> batch(on);
    WINDOWKV_TRY(batch.add(run, group));
    WINDOWKV_TRY(batch.launch());
  }
  return run.selected(group);
}

}  // namespace windowkv
