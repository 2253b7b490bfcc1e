// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/compress.hpp
/// The driver: score, select and compact in the right order, for a whole cache at once or layer by layer.

#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/compact.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/host/score.hpp"
#include "windowkv/host/select.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
/// One step for an engine that compresses while it prefills: call it for every layer, in ascending order,
/// when the layer's prefill is done. It scores the layer if the plan says so and, as soon as the layer's
/// group can be selected, compacts every layer of the group that is ready. So at no time more than one group
/// is uncompressed (with a leader that is its group's first layer: one layer). Layers that share storage are
/// compacted once if they are ready in one call; a layer whose memory has been used again for another is not
/// taken for it.
///
/// @param source  `suffix_queries`, `attention_rows`, `token_scores` or `no_queries` of this layer; not read
///                if it does not score
/// @param kv_of   callable: kv_of(l) is the `kv_view` of layer l, for this layer and the earlier ones of its
/// group
/// @return a failed status if anything is refused; every view involved is validated before anything is scored
/// or moved, so the call may be repeated with better ones
template <class ParallelFor, class Method, class Source, class KvOf>
status compress_layer(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
                      Source const& source, KvOf&& kv_of) {
  using access = compression_access;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  group_plan const& group = p.group[g];
  auto const is_ready = [&](int l) { return p.layer[l].group == g && !access::layer(run, l).is_compacted; };
  for (int l = group.first_layer; l <= layer; ++l) {
    if (!is_ready(l)) continue;
    WINDOWKV_TRY(detail::validate_layer<memory_space::host>(p, l, kv_of(l)));
    for (int other = group.first_layer; other < l; ++other) {
      if (!is_ready(other)) continue;
      WINDOWKV_TRY(detail::validate_sharing(p, l, detail::storage_of(kv_of(l)), other,
                                            detail::storage_of(kv_of(other))));
    }
  }
  WINDOWKV_TRY(detail::score_layer(on, run, layer, source, kv_of(layer)));
  if (group.keeps_all == 0 && access::group(run, g).scored_layers < group.scoring_layers) return {};
  WINDOWKV_TRY_ASSIGN(chosen, select(on, run, g));
  for (int l = group.first_layer; l <= layer; ++l) {
    if (is_ready(l)) WINDOWKV_TRY(detail::validate_move(chosen, kv_of(l)).at_layer(l));
  }
  detail::forget_storage(run);
  for (int l = group.first_layer; l <= layer; ++l) {
    if (is_ready(l)) WINDOWKV_TRY(detail::compact_layer(on, run, l, chosen, kv_of(l)));
  }
  return {};
}

/// Compresses the caches of a batch, in place: sequences of any lengths, budgets and tasks of one method.
/// Nothing of a sequence depends on the others. No allocation, no synchronisation.
///
/// @param runs       [count], begun and not advanced, each with a plan and a workspace of its own
/// @param source_of  callable: source_of(sequence, layer) is the layer's `suffix_queries`, `attention_rows`
/// or
///                   `token_scores`; asked for scoring layers only
/// @param kv_of      callable: kv_of(sequence, layer) is the layer's `kv_view`
/// @return a failed status if anything of any sequence is refused: no row has moved then. `report(runs[i])`
/// sums up
template <class ParallelFor, class Method, class SourceOf, class KvOf>
status compress(host_executor<ParallelFor> const& on, compression<Method>* runs, int count,
                SourceOf&& source_of, KvOf&& kv_of) {
  WINDOWKV_TRY(detail::require_at_least("compressions", count, 0));
  auto const for_each_layer = [&](auto&& f) -> status {
    for (int s = 0; s < count; ++s) {
      plan_data const& p = runs[s].plan();
      for (int l = 0; l < p.shape.layers; ++l) {
        if (p.layer[l].group >= 0) WINDOWKV_TRY(f(s, l, runs[s], p.layer[l].group));
      }
    }
    return {};
  };
  auto const validate = [&](int s, int l, compression<Method>& run, int /*group*/) -> status {
    if (compression_access::layer(run, l).is_compacted) {
      return status::failure(status_code::wrong_order, "compact", "the layer has been compacted already")
          .at_layer(l);
    }
    return detail::validate_layer<memory_space::host>(run.plan(), l, kv_of(s, l));
  };
  auto const decide = [&](int s, int l, compression<Method>& run, int group) -> status {
    if (run.plan().layer[l].scores == 0) return {};
    WINDOWKV_TRY(detail::score_layer(on, run, l, source_of(s, l), kv_of(s, l)));
    return run.plan().completes_group(l) ? select(on, run, group).error() : status{};
  };
  auto const validate_moves = [&](int s, int l, compression<Method>& run, int group) -> status {
    WINDOWKV_TRY_ASSIGN(chosen, select(on, run, group));
    return detail::validate_move(chosen, kv_of(s, l)).at_layer(l);
  };
  auto const move = [&](int s, int l, compression<Method>& run, int group) -> status {
    WINDOWKV_TRY_ASSIGN(chosen, select(on, run, group));
    return detail::compact_layer(on, run, l, chosen, kv_of(s, l));
  };
  WINDOWKV_TRY(for_each_layer(validate));
  for (int s = 0; s < count; ++s) {
    WINDOWKV_TRY(detail::validate_sharing(runs[s].plan(), [&](int l) { return kv_of(s, l); }));
  }
  for (int s = 0; s < count; ++s) detail::forget_storage(runs[s]);
  WINDOWKV_TRY(for_each_layer(decide));
  WINDOWKV_TRY(for_each_layer(validate_moves));
  return for_each_layer(move);
}

/// Compresses the cache of one prompt, all layers at once and in place. No allocation, no synchronisation.
///
/// @param memory     host memory, `p.workspace_bytes` bytes; the report points into it
/// @param source_of  callable: source_of(layer) is the layer's `suffix_queries`, `attention_rows` or
///                   `token_scores`; asked for scoring layers only
/// @param kv_of      callable: kv_of(layer) is the layer's `kv_view`
/// @return the report, or a failed status; the views of all layers are validated before the first row moves
template <class ParallelFor, class Method, class SourceOf, class KvOf>
result<compression_report> compress(host_executor<ParallelFor> const& on, plan<Method> const& p,
                                    workspace const& memory, SourceOf&& source_of, KvOf&& kv_of) {
  WINDOWKV_TRY_ASSIGN(run, begin(p, memory));
  WINDOWKV_TRY(compress(
      on, &run, 1, [&](int /*sequence*/, int layer) { return source_of(layer); },
      [&](int /*sequence*/, int layer) { return kv_of(layer); }));
  return report(run);
}

}  // namespace windowkv
