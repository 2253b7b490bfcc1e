// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/batch.hpp
/// What backends that only queue their work check before they queue any of it, for one layer, a group or a
/// whole batch, and what they record of it.

#include <cstdint>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"

namespace windowkv::detail {

inline status validate_deferred(deferred_selection const& chosen) {
  WINDOWKV_TRY(require_not_null("selection.slots", chosen.slots));
  if (chosen.lists > 1) WINDOWKV_TRY(require_not_null("selection.offsets", chosen.offsets));
  return require_not_null("selection.counts", chosen.counts);
}

/// One layer's cache, before its compaction in place is queued. Nobody can look at the selection then: shared
/// slots are refused wherever something could move, and so are windows that could part slots which must stay
/// together.
template <memory_space Backend, class Method, class Memory, class KeyPlane, class ValuePlane>
status validate_deferred_move(deferred_compression<Method, Memory> const& run, int layer,
                              kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(validate_layer<Backend>(p, layer, kv));
  if (p.lists > 1) WINDOWKV_TRY(validate_separable(kv, p.lists).at_layer(layer));
  int const group = p.layer[layer].group;
  if (p.group[group].keeps_all != 0) return {};
  WINDOWKV_TRY(require(kv.shared_slots == 0, "kv_view.shared_slots (of a queued compaction in place)",
                       kv.shared_slots, "must equal", 0, status_code::unsupported)
                   .at_layer(layer));
  return respects_granularity(run.plan(), group, granularity_of(kv)).at_layer(layer);
}

/// The same for copies, which do not know the plan: slots that share something are refused.
template <memory_space Backend, class FromKeys, class FromValues, class ToKeys, class ToValues>
status validate_deferred_copy(deferred_selection const& chosen, kv_view<FromKeys, FromValues> const& from,
                              kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(validate_deferred(chosen));
  WINDOWKV_TRY(validate_kv<Backend>(from));
  WINDOWKV_TRY(validate_kv<Backend>(to));
  if (chosen.lists > 1) {
    WINDOWKV_TRY(validate_separable(from, chosen.lists));
    WINDOWKV_TRY(validate_separable(to, chosen.lists));
  }
  WINDOWKV_TRY(require_slots(from, chosen.tokens));
  WINDOWKV_TRY(require(granularity_of(from) == 1, "granularity (tokens that share a scale) of a queued copy",
                       granularity_of(from), "must equal", 1, status_code::unsupported));
  return validate_copy(from, to, chosen.max_kept);
}

/// f(l) for the layers of the group up to `layer` that have not been compacted.
template <class Run, class F>
status for_each_ready_layer(Run const& run, int group, int layer, F&& f) {
  plan_data const& p = run.plan();
  for (int l = p.group[group].first_layer; l <= layer; ++l) {
    if (p.layer[l].group == group && !compression_access::layer(run, l).is_compacted) WINDOWKV_TRY(f(l));
  }
  return {};
}

/// All that may be compacted once `layer` has been scored.
template <memory_space Backend, class Run, class KvOf>
status validate_ready_layers(Run const& run, int group, int layer, KvOf&& kv_of) {
  return for_each_ready_layer(run, group, layer, [&](int l) -> status {
    auto const kv = kv_of(l);
    auto const storage = storage_of(kv);
    WINDOWKV_TRY(validate_deferred_move<Backend>(run, l, kv));
    return for_each_ready_layer(run, group, l - 1, [&](int other) {
      return validate_sharing(run.plan(), l, storage, other, storage_of(kv_of(other)));
    });
  });
}

/// Records that a layer is compacted; `moved`: with the rows of another one.
template <class Run, class Kv>
void record_compaction(Run& run, int layer, deferred_selection const& chosen, Kv const& kv, bool moved) {
  layer_state& state = compression_access::layer(run, layer);
  state.row_bytes = moved ? 0 : kv.keys.row_bytes() + kv.values.row_bytes();
  state.storage = storage_of(kv);
  state.is_compacted = true;
  state.length = chosen.max_kept;
  state.rows = chosen.max_rows;
}

/// The compressions of one batch.
template <class Run>
struct run_list {
  Run* runs;
  int count;

  template <class F>
  status for_each_layer(F&& f) const {
    for (int s = 0; s < count; ++s) {
      for (int l = 0; l < runs[s].plan().shape.layers; ++l) WINDOWKV_TRY(f(s, runs[s], l));
    }
    return {};
  }
};

inline status validate_same_model(model_shape const& a, model_shape const& b) {
  WINDOWKV_TRY(require_equal("model_shape.query_heads (of a batch)", a.query_heads, b.query_heads));
  WINDOWKV_TRY(require_equal("model_shape.kv_heads (of a batch)", a.kv_heads, b.kv_heads));
  return require_equal("model_shape.head_dim (of a batch)", a.head_dim, b.head_dim);
}

/// Everything that can be refused is, before anything is queued.
template <memory_space Backend, class Run, class SourceOf, class KvOf>
status validate_batch(run_list<Run> const& batch, SourceOf&& source_of, KvOf&& kv_of) {
  WINDOWKV_TRY(require_at_least("compressions", batch.count, 0));
  for (int s = 1; s < batch.count; ++s) {
    WINDOWKV_TRY(validate_same_model(batch.runs[s].plan().shape, batch.runs[0].plan().shape));
  }
  for (int s = 0; s < batch.count; ++s) {
    WINDOWKV_TRY(validate_sharing(batch.runs[s].plan(), [&](int l) { return kv_of(s, l); }));
  }
  return batch.for_each_layer([&](int s, Run& run, int l) -> status {
    plan_data const& p = run.plan();
    if (p.layer[l].group < 0) return {};
    auto const kv = kv_of(s, l);
    WINDOWKV_TRY(validate_deferred_move<Backend>(run, l, kv));
    if (compression_access::layer(run, l).is_compacted) {
      return status::failure(status_code::wrong_order, "compact", "the layer has been compacted already")
          .at_layer(l);
    }
    WINDOWKV_TRY_ASSIGN(scores_now, must_score(run, l));
    if (!scores_now) return {};
    return with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
      return validate_source<Backend>(p, scoring, source_of(s, l), kv).at_layer(l);
    });
  });
}

}  // namespace windowkv::detail
