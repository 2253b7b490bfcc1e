// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/compress.cuh
/// The driver on Thrust: score, select and compact in the right order, for a whole cache at once or layer by
/// layer. This header is the whole backend.

#include "windowkv/core/batch.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/compact.cuh"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"
#include "windowkv/thrust/score.cuh"
#include "windowkv/thrust/select.cuh"

namespace windowkv {
/// One step for an engine that compresses while it prefills: as on the host, see host/compress.hpp. Every
/// view involved is validated before anything is scored or moved.
template <class Policy, class Method, class Source, class KvOf>
status compress_layer(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                      Source const& source, KvOf&& kv_of) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  group_plan const& group = p.group[g];
  WINDOWKV_TRY(detail::validate_ready_layers<thrust_executor<Policy>::space>(run, g, layer, kv_of));
  WINDOWKV_TRY(detail::on_thrust::score_layer(on, run, layer, source, kv_of(layer)));
  if (group.keeps_all == 0 && compression_access::group(run, g).scored_layers < group.scoring_layers)
    return {};
  WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
  detail::forget_storage(run);
  return detail::for_each_ready_layer(
      run, g, layer, [&](int l) { return detail::on_thrust::compact_layer(on, run, l, chosen, kv_of(l)); });
}

/// Compresses a batch of prompts, all layers at once and in place, one prompt after the other: what becomes
/// of one does not depend on the others.
///
/// @param runs       [count] compressions, just begun, each with its own workspace. Their plans are for one
///                   model.
/// @param source_of  callable: source_of(sequence, layer) is the layer's `suffix_queries`, `attention_rows`,
///                   `token_scores` or `no_queries`; asked for scoring layers only
/// @param kv_of      callable: kv_of(sequence, layer) is the layer's `kv_view`
/// @return a failed status if anything is refused, with nothing queued. What was done is known when the work
///         has run: `report(run, counts)` with a copy of `run.counts()`.
template <class Policy, class Method, class SourceOf, class KvOf>
status compress(thrust_executor<Policy> const& on, thrust_compression<Method>* runs, int count,
                SourceOf&& source_of, KvOf&& kv_of) {
  detail::run_list<thrust_compression<Method>> const batch{runs, count};
  WINDOWKV_TRY(detail::validate_batch<thrust_executor<Policy>::space>(batch, source_of, kv_of));
  status const decided = batch.for_each_layer([&](int s, thrust_compression<Method>& run, int l) -> status {
    plan_data const& p = run.plan();
    if (p.layer[l].scores == 0) return {};
    WINDOWKV_TRY(detail::on_thrust::score_layer(on, run, l, source_of(s, l), kv_of(s, l)));
    return p.completes_group(l) ? select(on, run, p.layer[l].group).error() : status{};
  });
  WINDOWKV_TRY(decided);
  for (int s = 0; s < count; ++s) detail::forget_storage(runs[s]);
  return batch.for_each_layer([&](int s, thrust_compression<Method>& run, int l) -> status {
    int const g = run.plan().layer[l].group;
    if (g < 0) return {};
    WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
    return detail::on_thrust::compact_layer(on, run, l, chosen, kv_of(s, l));
  });
}

/// The same for one prompt: source_of(layer) and kv_of(layer).
template <class Policy, class Method, class SourceOf, class KvOf>
status compress(thrust_executor<Policy> const& on, thrust_compression<Method>& run, SourceOf&& source_of,
                KvOf&& kv_of) {
  return compress(
      on, &run, 1, [&](int, int layer) { return source_of(layer); },
      [&](int, int layer) { return kv_of(layer); });
}

}  // namespace windowkv
