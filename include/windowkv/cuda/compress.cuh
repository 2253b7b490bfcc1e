// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/compress.cuh
/// The driver on CUDA: whole caches and whole batches in a few launches, or layer by layer.

#include <cuda_runtime.h>

#include <type_traits>
#include <utility>

#include "windowkv/core/batch.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/cuda/compact.cuh"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/cuda/memory.cuh"
#include "windowkv/cuda/score.cuh"
#include "windowkv/cuda/select.cuh"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

template <class HeadDims, class Method, class QueryPlane, class Kv>
status score_from(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
                  suffix_queries<QueryPlane> const& source, Kv const& kv) {
  return score(on, run, layer, source, kv.keys);
}
template <class HeadDims, class Method, class Source, class Kv>
status score_from(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
                  Source const& source, Kv const& /*kv*/) {
  return score(on, run, layer, source);
}

template <class HeadDims, class Method, class SourceOf, class KvOf>
status score_all(cuda_executor<HeadDims> const& on, run_list<cuda_compression<Method>> const& batch,
                 SourceOf&& source_of, KvOf&& kv_of) {
  using source_type = std::decay_t<decltype(source_of(0, 0))>;
  using key_plane = decltype(kv_of(0, 0).keys);
  auto const scores = [](cuda_compression<Method> const& run, int l) {
    plan_data const& p = run.plan();
    return p.layer[l].scores != 0 && p.layer[l].group >= 0 && p.group[p.layer[l].group].keeps_all == 0;
  };
  if constexpr (has_query_plane_v<source_type>) {
    WINDOWKV_TRY_ASSIGN(facts, launch_facts_of(on));
    score_batch<HeadDims, Method, key_plane, typename source_type::query_plane> pending(on, facts);
    WINDOWKV_TRY(batch.for_each_layer([&](int s, cuda_compression<Method>& run, int l) -> status {
      return scores(run, l) ? pending.add(run, l, source_of(s, l), kv_of(s, l).keys) : status{};
    }));
    return pending.launch();
  } else {
    return batch.for_each_layer([&](int s, cuda_compression<Method>& run, int l) -> status {
      return scores(run, l) ? score(on, run, l, source_of(s, l)) : status{};
    });
  }
}

template <class HeadDims, class Method>
status select_all(cuda_executor<HeadDims> const& on, run_list<cuda_compression<Method>> const& batch) {
  select_batch<HeadDims, Method> pending(on);
  for (int s = 0; s < batch.count; ++s) {
    for (int g = 0; g < batch.runs[s].plan().groups; ++g) {
      if (!compression_access::group(batch.runs[s], g).is_selected)
        WINDOWKV_TRY(pending.add(batch.runs[s], g));
    }
  }
  return pending.launch();
}

/// Records the layer's compaction, and adds it to the launch unless another layer's moves the same rows.
template <class Batch, class Method, class Kv>
status add_layer(Batch& pending, cuda_compression<Method>& run, int layer, deferred_selection const& chosen,
                 Kv const& kv) {
  WINDOWKV_TRY_ASSIGN(moved, has_moved(run, layer, storage_of(kv)));
  record_compaction(run, layer, chosen, kv, moved);
  return moved ? status{} : add_move(pending, chosen, kv);
}

}  // namespace detail

/// Queues the compression of a batch of prompts, all layers at once and in place: one launch (two where the
/// keys must be read twice) to score all scoring layers of all sequences, one to select, one to compact.
/// Batches too large for a kernel's parameters (about 250 scoring or 300 compacted layers over all sequences,
/// 64 sequences), and sequences of another task or with other policies, take one more of each.
///
/// Results of a sequence do not depend on the batch it is in.
///
/// @param runs       [count] compressions, just begun with `schedule::batched`, each with its own workspace.
///                   Their plans are for one model.
/// @param source_of  callable: source_of(sequence, layer) is the layer's `suffix_queries`, `attention_rows`
/// or
///                   `token_scores` (device memory); asked for scoring layers only. The latter two take one
///                   launch per scoring layer.
/// @param kv_of      callable: kv_of(sequence, layer) is the layer's `kv_view` (device memory)
/// @return a failed status if anything is refused, with nothing queued; or `device_error`, after which the
///         compressions can only be begun anew
template <class HeadDims, class Method, class SourceOf, class KvOf>
status compress(cuda_executor<HeadDims> const& on, cuda_compression<Method>* runs, int count,
                SourceOf&& source_of, KvOf&& kv_of) {
  using namespace detail;
  run_list<cuda_compression<Method>> const batch{runs, count};
  WINDOWKV_TRY(validate_batch<memory_space::device>(batch, source_of, kv_of));
  for (int s = 0; s < count; ++s) {
    WINDOWKV_TRY(require(compression_access::memory(runs[s]).schedule == schedule::batched, "schedule",
                         static_cast<int>(compression_access::memory(runs[s]).schedule),
                         "must be batched, which is", static_cast<int>(schedule::batched)));
  }
  WINDOWKV_TRY(batch.for_each_layer([&](int s, cuda_compression<Method>& run, int l) -> status {
    if (run.plan().layer[l].group < 0) return {};
    return validate_device_length(run, l, granularity_of(kv_of(s, l)));
  }));
  WINDOWKV_TRY_ASSIGN(facts, launch_facts_of(on));
  WINDOWKV_TRY(score_all(on, batch, source_of, kv_of));
  WINDOWKV_TRY(select_all(on, batch));
  for (int s = 0; s < count; ++s) forget_storage(runs[s]);
  using view = std::decay_t<decltype(kv_of(0, 0))>;
  move_batch<HeadDims, typename view::key_plane, typename view::value_plane> pending(on, facts);
  WINDOWKV_TRY(batch.for_each_layer([&](int s, cuda_compression<Method>& run, int l) -> status {
    int const g = run.plan().layer[l].group;
    if (g < 0) return {};
    auto const kv = kv_of(s, l);
    return add_layer(pending, run, l, run.selected(g), kv);
  }));
  return pending.launch();
}

/// The same for one prompt: source_of(layer) and kv_of(layer).
template <class HeadDims, class Method, class SourceOf, class KvOf>
status compress(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, SourceOf&& source_of,
                KvOf&& kv_of) {
  return compress(
      on, &run, 1, [&](int, int layer) { return source_of(layer); },
      [&](int, int layer) { return kv_of(layer); });
}

/// One step for an engine that compresses while it prefills: call it for every layer, in ascending order,
/// when the layer's prefill has been queued. Queues the layer's scoring if the plan says so and, as soon as
/// the layer's group can be selected, the selection and the compaction of every layer of the group that is
/// ready. A workspace of `schedule::by_layer` is enough.
///
/// @param source  `suffix_queries`, `attention_rows` or `token_scores` of this layer; not read if it does not
///                score
/// @param kv_of   callable: kv_of(l) is the `kv_view` of layer l, for this layer and the earlier ones of its
///                group
template <class HeadDims, class Method, class Source, class KvOf>
status compress_layer(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
                      Source const& source, KvOf&& kv_of) {
  using namespace detail;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  group_plan const& group = p.group[g];
  WINDOWKV_TRY(validate_ready_layers<memory_space::device>(run, g, layer, kv_of));
  WINDOWKV_TRY(for_each_ready_layer(
      run, g, layer, [&](int l) { return validate_device_length(run, l, granularity_of(kv_of(l))); }));
  WINDOWKV_TRY(score_from(on, run, layer, source, kv_of(layer)));
  if (group.keeps_all == 0 && compression_access::group(run, g).scored_layers < group.scoring_layers)
    return {};
  WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
  WINDOWKV_TRY_ASSIGN(facts, launch_facts_of(on));
  forget_storage(run);
  using view = std::decay_t<decltype(kv_of(layer))>;
  move_batch<HeadDims, typename view::key_plane, typename view::value_plane> pending(on, facts);
  WINDOWKV_TRY(for_each_ready_layer(
      run, g, layer, [&](int l) { return add_layer(pending, run, l, chosen, kv_of(l)).at_layer(l); }));
  return pending.launch();
}

}  // namespace windowkv
