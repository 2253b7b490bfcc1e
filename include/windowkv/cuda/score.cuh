// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/score.cuh
/// Stage 1 on CUDA: what a layer's queries and keys say of its tokens, left in the workspace for `select`.

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/cuda/detail/column_cut.cuh"
#include "windowkv/cuda/detail/fold_kernel.cuh"
#include "windowkv/cuda/detail/given_kernel.cuh"
#include "windowkv/cuda/detail/key_tiles.cuh"
#include "windowkv/cuda/detail/launch.cuh"
#include "windowkv/cuda/detail/softmax_kernel.cuh"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/cuda/memory.cuh"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// Device facts and the tuning to use.
struct launch_facts : device_facts {
  cuda_tuning tuning;
};
template <class HeadDims>
result<launch_facts> launch_facts_of(cuda_executor<HeadDims> const& on) {
  WINDOWKV_TRY_ASSIGN(device, current_device());
  launch_facts facts;
  static_cast<device_facts&>(facts) = device;
  facts.tuning = on.tuning != nullptr ? *on.tuning : tuning_for(device.capability);
  WINDOWKV_TRY(facts.tuning.validate());
  return facts;
}

/// Numbers as they are, in a layout that says where they lie side by side.
template <class Plane>
inline constexpr bool has_plain_elements_v =
    has_run_v<typename Plane::layout_type>&& has_axes_v<typename Plane::layout_type>&&
        std::is_same_v<typename Plane::accessor_type, element_accessor<typename Plane::element_type>>;

/// True if keys and queries are of types that tensor cores multiply.
template <class KeyPlane, class QueryPlane>
inline constexpr bool has_tensor_types_v =
    has_plain_elements_v<KeyPlane>&& has_plain_elements_v<QueryPlane>&&
        std::is_same_v<std::remove_const_t<typename KeyPlane::element_type>,
                       std::remove_const_t<typename QueryPlane::element_type>> &&
    (std::is_same_v<std::remove_const_t<typename KeyPlane::element_type>, float16> ||
     std::is_same_v<std::remove_const_t<typename KeyPlane::element_type>, bfloat16>);

/// True if these planes can go to the tensor cores of this device: of keys, 16 bytes lie side by side at
/// multiples of 16 bytes (so paged and packed ones can); of queries, whole rows at multiples of 4.
template <class KeyPlane, class QueryPlane>
bool fits_tensor_cores(KeyPlane const& keys, QueryPlane const& queries, int capability) {
  if constexpr (has_tensor_types_v<KeyPlane, QueryPlane>) {
    using element = std::remove_const_t<typename KeyPlane::element_type>;
    int const key_run = keys.layout.run(1, keys.head_dim);
    int const query_run = queries.layout.run(1, queries.head_dim);
    return capability >= (std::is_same_v<element, float16> ? 75 : 80) && key_run % 8 == 0 &&
           run_alignment(keys, key_run) >= 16 && query_run == queries.head_dim &&
           run_alignment(queries, query_run) >= 4;
  } else {
    static_cast<void>(keys);
    static_cast<void>(queries);
    static_cast<void>(capability);
    return false;
  }
}

/// The reset of the group's ticket that goes along with its first scoring layer, or null. On a workspace for
/// the whole batch every layer has a place of its own, so no group waits for another's selection.
template <class Method>
unsigned* record_scoring_on_device(cuda_compression<Method>& run, int layer) {
  using access = compression_access;
  plan_data const& p = run.plan();
  int const group = p.layer[layer].group;
  bool const is_first = record_scoring(run, layer) == 0;
  if (access::memory(run).schedule == schedule::batched)
    access::buffer_owner(run, p.group[group].score_buffer) = -1;
  return is_first ? access::memory(run).tickets + group : nullptr;
}

/// True if kernels can be told the policies of `a` for `b`, too. Compares bytes: where padding differs, a
/// launch more is all that it costs.
template <class Method>
bool has_same_rules(plan<Method> const& a, plan<Method> const& b) {
  if (a.prompt.task != b.prompt.task) return false;
  auto const is_same = [](auto const& x, auto const& y) {
    static_assert(std::is_trivially_copyable_v<std::decay_t<decltype(x)>>);
    return std::memcmp(&x, &y, sizeof x) == 0;  // NOLINT(bugprone-suspicious-memory-comparison)
  };
  if (!is_same(a.method.selector, b.method.selector)) return false;
  return a.prompt.task == task::localization ? is_same(a.method.localization, b.method.localization)
                                             : is_same(a.method.aggregation, b.method.aggregation);
}

/// What the layers of one launch have in common.
struct launch_kind {
  score_form form = score_form::token_sums;
  bool has_log_sum_exp = false;
  bool is_fast = false;
  int suffix = 0;

  friend bool operator==(launch_kind const& a, launch_kind const& b) {
    return a.form == b.form && a.has_log_sum_exp == b.has_log_sum_exp && a.is_fast == b.is_fast &&
           a.suffix == b.suffix;
  }
};

/// Items for one launch of each pass. `add` until it refuses, then `launch`.
template <class HeadDims, class Method, class KeyPlane, class QueryPlane>
class score_batch {
 public:
  using table_type = score_table<KeyPlane, QueryPlane>;

  score_batch(cuda_executor<HeadDims> const& on, launch_facts const& facts) : on_(on), facts_(facts) {}

  bool is_empty() const { return items_ == 0; }

  /// Adds a layer that has been validated and must score; launches first what cannot go along with it.
  status add(cuda_compression<Method>& run, int layer, suffix_queries<QueryPlane> const& source,
             KeyPlane const& keys) {
    plan_data const& p = run.plan();
    cuda_memory& memory = compression_access::memory(run);
    launch_kind kind;
    kind.has_log_sum_exp = source.log_sum_exp != nullptr;
    kind.is_fast = fits_tensor_cores(keys, source.queries, facts_.capability);
    kind.form = with_scoring(run.plan().method, p.prompt.task,
                             [&](auto const& scoring) { return form_of(p, scoring, kind.has_log_sum_exp); });
    kind.suffix = p.suffix;
    if (!is_empty() &&
        (!(kind == kind_) || !has_same_rules(run_->plan(), run.plan()) || items_ == table_type::capacity ||
         (run_ != &run && sequences_ == max_table_sequences))) {
      WINDOWKV_TRY(launch());
    }
    if (is_empty()) start_table(p);
    if (sequences_ == 0 || run_ != &run)
      table_.sequences[sequences_++] = sequence_facts(p, memory.device_tokens);
    kind_ = kind;
    run_ = &run;
    if (most_tokens_ < p.prompt.tokens) most_tokens_ = p.prompt.tokens;

    std::int64_t const slot = memory.score_slot[layer];
    auto& item = table_.items[items_++];
    item.keys = plane_reference<KeyPlane>(keys);
    item.queries = plane_reference<QueryPlane>(source.queries);
    item.log_sum_exp = source.log_sum_exp;
    item.scores = memory.scores + slot * memory.slot_floats;
    item.row_max = memory.row_max + slot * memory.row_floats;
    item.row_sum = memory.row_sum + slot * memory.row_floats;
    item.ticket = record_scoring_on_device(run, layer);
    item.first_query_row = source.queries.slots - p.suffix;
    item.sequence = sequences_ - 1;
    memory.record[layer] = {kind.form, table_.kv_heads * table_.rows.blocks,
                            static_cast<float>(p.shape.query_heads)};
    return {};
  }

  /// Queues the passes: one if the denominators are known or not needed yet, else two.
  status launch() {
    if (is_empty()) return {};
    status const queued =
        with_scoring(run_->plan().method, run_->plan().prompt.task,
                     [&](auto const& scoring) { return launch_for_head_dim(scoring, HeadDims{}); });
    items_ = 0;
    sequences_ = 0;
    most_tokens_ = 0;
    return queued;
  }

 private:
  void start_table(plan_data const& p) {
    table_.rows = row_tiling_of(p);
    table_.kv_heads = p.shape.kv_heads;
    table_.heads_per_kv = p.shape.query_heads / p.shape.kv_heads;
    table_.head_dim = p.shape.head_dim;
    table_.suffix = p.suffix;
    table_.key_stages = facts_.tuning.key_stages;
    table_.scale = 1.44269504088896340736f / std::sqrt(static_cast<float>(p.shape.head_dim));
  }

  template <class Scoring, int... HeadDim>
  status launch_for_head_dim(Scoring const& scoring, head_dims<HeadDim...>) {
    if constexpr (has_tensor_types_v<KeyPlane, QueryPlane>) {
      status queued;
      bool const is_done =
          kind_.is_fast && ((table_.head_dim == HeadDim &&
                             (queued = launch_passes<tensor_tiles<table_type, HeadDim>>(scoring), true)) ||
                            ...);
      if (is_done) return queued;
    }
    return launch_passes<plain_tiles<table_type>>(scoring);
  }

  template <class Tiles, class Scoring>
  status launch_passes(Scoring const& scoring) {
    using token_scorer = std::decay_t<decltype(scoring.token_scorer)>;
    using window_scorer = std::decay_t<decltype(scoring.window_scorer)>;
    score_form const form = kind_.form;
    bool const is_one_pass = form == score_form::row_sums;
    int const tiles =
        table_.rows.tiles_per_block() < table_.rows.tiles ? table_.rows.tiles_per_block() : table_.rows.tiles;
    int const threads = 32 * ((tiles + Tiles::warp_tiles - 1) / Tiles::warp_tiles);
    int const rows = table_.kv_heads * table_.rows.blocks;
    int const chunk = chunk_tokens_of(most_tokens_);
    std::int64_t const wanted = std::int64_t{facts_.multiprocessors} * facts_.tuning.score_blocks;
    std::int64_t const chunks = (most_tokens_ + chunk - 1) / chunk;
    std::int64_t const cuts = (wanted + std::int64_t{rows} * items_ - 1) / (std::int64_t{rows} * items_);
    dim3 const grid(static_cast<unsigned>(cuts < chunks ? cuts : chunks), static_cast<unsigned>(rows),
                    static_cast<unsigned>(items_));
    std::size_t const key_bytes = Tiles::shared_bytes(table_);
    if (!kind_.has_log_sum_exp) {
      WINDOWKV_TRY(detail::launch(on_.stream, grid, threads, key_bytes, softmax_kernel<Tiles, table_type>,
                                  table_, is_one_pass));
      if (is_one_pass) return {};
      for (int i = 0; i < items_; ++i) table_.items[i].ticket = nullptr;  // reset by the first pass
    }
    fold_rule<token_scorer, window_scorer> rule{scoring.token_scorer, scoring.window_scorer, 1, form};
    if constexpr (std::is_same_v<std::decay_t<decltype(scoring.windows)>, fixed_windows>) {
      rule.window_width = scoring.windows.width;
    }
    fold_memory<is_weighted_sum_v<token_scorer>> memory;
    int const fold_floats = memory.carve(nullptr, tiles, form == score_form::window_sums);
    return detail::launch(on_.stream, grid, threads,
                          key_bytes + static_cast<std::size_t>(fold_floats) * sizeof(float),
                          fold_kernel<Tiles, table_type, token_scorer, window_scorer>, table_, rule);
  }

  cuda_executor<HeadDims> const& on_;
  launch_facts facts_;
  cuda_compression<Method>* run_ = nullptr;
  int items_ = 0;
  int sequences_ = 0;
  int most_tokens_ = 0;
  launch_kind kind_;
  table_type table_;
};

/// Queues one layer's scores from what the engine has computed already.
template <class HeadDims, class Method, class Source>
status score_given(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer, int heads,
                   head_merge merge, Source const& source) {
  plan_data const& p = run.plan();
  cuda_memory& memory = compression_access::memory(run);
  bool const merges_heads = merge == head_merge::at_tokens;
  unsigned* const ticket = record_scoring_on_device(run, layer);
  memory.record[layer] = {merges_heads ? score_form::token_sums : score_form::token_rows, 1, 1.f};
  int const blocks = (p.review + max_block_threads - 1) / max_block_threads;
  return launch(on.stream, dim3(static_cast<unsigned>(blocks > 0 ? blocks : 1)), max_block_threads, 0,
                given_scores_kernel<Source>, source, sequence_facts(p, memory.device_tokens), heads,
                merges_heads, memory.scores + memory.score_slot[layer] * memory.slot_floats, ticket);
}

}  // namespace detail

/// Queues the scoring of one layer from its suffix queries and its keys.
///
/// Softmax(q.k / sqrt(D)) of the last S queries over all N keys, causal inside the last S x S block, in fp32.
/// 16-bit keys of D in `HeadDims` that lie in aligned pieces of 16 bytes (dense or paged rows, packs of 8) go
/// through the tensor cores; any others through the plain kernel. The keys are read once if the method's
/// window scores are linear in the probabilities (window_mean without pooling, windows of a multiple of 8,
/// one scoring layer per group) or if the log-sum-exp is given, else twice: 1 or 2 launches. Sums have a
/// fixed order: the same bits every time.
///
/// @param source device memory; at least S rows, else `insufficient_queries`
/// @param keys   device memory; at least N slots, slot = prompt token; read when the work runs
template <class HeadDims, class Method, class QueryPlane, class KeyPlane>
status score(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  WINDOWKV_TRY(
      detail::validate_queries_and_keys<memory_space::device>(run.plan(), source, keys).at_layer(layer));
  detail::with_scoring(run.plan().method, run.plan().prompt.task, [](auto const& scoring) {
    detail::require_attention_scorer<std::decay_t<decltype(scoring.token_scorer)>>();
  });
  WINDOWKV_TRY_ASSIGN(facts, detail::launch_facts_of(on));
  detail::score_batch<HeadDims, Method, KeyPlane, QueryPlane> batch(on, facts);
  WINDOWKV_TRY(batch.add(run, layer, source, keys));
  return batch.launch();
}

/// The same of a view's keys.
template <class HeadDims, class Method, class QueryPlane, class KeyPlane, class ValuePlane>
status score(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return score(on, run, layer, source, kv.keys);
}

/// Queues the scoring of one layer from the softmax rows of the engine's own attention (device memory).
template <class HeadDims, class Method>
status score(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
             attention_rows const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_rows(p, source).at_layer(layer));
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
    using token_scorer = std::decay_t<decltype(scoring.token_scorer)>;
    detail::require_attention_scorer<token_scorer>();
    detail::given_rows<token_scorer> const rows{scoring.token_scorer,
                                                source.data + (source.rows - p.suffix) * source.row_stride,
                                                source.head_stride, source.row_stride, p.suffix};
    return detail::score_given(on, run, layer, source.heads, scoring.heads, rows);
  });
}

/// Queues the scoring of one layer from finished token scores (device memory).
template <class HeadDims, class Method>
status score(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
             token_scores const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  return detail::with_scoring(run.plan().method, run.plan().prompt.task, [&](auto const& scoring) -> status {
    WINDOWKV_TRY(detail::validate_token_scores(run.plan(), scoring.heads, source).at_layer(layer));
    return detail::score_given(on, run, layer, source.heads, scoring.heads,
                               detail::given_tokens{source.data, source.head_stride});
  });
}

}  // namespace windowkv
