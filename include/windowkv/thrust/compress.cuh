// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/compress.cuh
/// The driver on Thrust: score, select and compact in the right order, for a whole cache at once or layer by
/// layer. This header is the whole backend.

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
namespace detail::on_thrust {

template <class Policy, class Method, class QueryPlane, class Kv>
status score_from(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                  suffix_queries<QueryPlane> const& source, Kv const& kv) {
  return score(on, run, layer, source, kv.keys);
}
template <class Policy, class Method, class Source, class Kv>
status score_from(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                  Source const& source, Kv const& /*kv*/) {
  return score(on, run, layer, source);
}

}  // namespace detail::on_thrust

/// One step for an engine that compresses while it prefills: as on the host, see host/compress.hpp. Every
/// view involved is validated before anything is scored or moved.
template <class Policy, class Method, class Source, class KvOf>
status compress_layer(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                      Source const& source, KvOf&& kv_of) {
  using access = compression_access;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  group_plan const& group = p.group[g];
  auto const is_ready = [&](int l) { return p.layer[l].group == g && !access::layer(run, l).is_compacted; };
  for (int l = group.first_layer; l <= layer; ++l) {
    if (is_ready(l)) WINDOWKV_TRY(detail::validate_layer<thrust_executor<Policy>::space>(p, l, kv_of(l)));
  }
  WINDOWKV_TRY(detail::on_thrust::score_from(on, run, layer, source, kv_of(layer)));
  if (group.keeps_all == 0 && access::group(run, g).scored_layers < group.scoring_layers) return {};
  WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
  for (int l = group.first_layer; l <= layer; ++l) {
    if (is_ready(l)) WINDOWKV_TRY(compact(on, run, l, chosen, kv_of(l)));
  }
  return {};
}

/// Compresses the cache of one prompt, all layers at once and in place, with a compression that has just
/// begun.
///
/// @param source_of  callable: source_of(layer) is the layer's `suffix_queries`, `attention_rows` or
///                   `token_scores`; asked for scoring layers only
/// @param kv_of      callable: kv_of(layer) is the layer's `kv_view`
/// The views of all layers are validated before the first row moves. What was done is known when the work has
/// run: `report(run, counts)` with a copy of `run.counts()`.
template <class Policy, class Method, class SourceOf, class KvOf>
status compress(thrust_executor<Policy> const& on, thrust_compression<Method>& run, SourceOf&& source_of,
                KvOf&& kv_of) {
  plan_data const& p = run.plan();
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.layer[l].group < 0) continue;
    WINDOWKV_TRY(detail::validate_layer<thrust_executor<Policy>::space>(p, l, kv_of(l)));
  }
  for (int l = 0; l < p.shape.layers; ++l) {  // decide everything first: a refusal leaves the cache as it was
    if (p.layer[l].scores == 0) continue;
    WINDOWKV_TRY(detail::on_thrust::score_from(on, run, l, source_of(l), kv_of(l)));
    if (p.completes_group(l)) WINDOWKV_TRY(select(on, run, p.layer[l].group).error());
  }
  for (int l = 0; l < p.shape.layers; ++l) {
    int const g = p.layer[l].group;
    if (g < 0) continue;
    WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
    WINDOWKV_TRY(compact(on, run, l, chosen, kv_of(l)));
  }
  return {};
}

}  // namespace windowkv
