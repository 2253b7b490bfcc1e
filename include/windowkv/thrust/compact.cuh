// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/compact.cuh
/// Stage 3 on Thrust: moves the kept rows to the front, or copies them elsewhere.

#include <cstdint>
#include <numeric>

#include "windowkv/config.hpp"
#include "windowkv/core/batch.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/slot_list.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// The kept slots of a KV head, as they are when the work runs.
struct kept_slots {
  std::int32_t const* slots;
  std::int32_t const* offsets;  ///< [lists + 1], or null where all heads share one list
  selection_counts const* counts;

  explicit kept_slots(deferred_selection const& chosen)
      : slots(chosen.slots), offsets(chosen.lists > 1 ? chosen.offsets : nullptr), counts(chosen.counts) {}

  WINDOWKV_HD slot_list of(std::int64_t head) const {
    if (offsets == nullptr) return {slots, counts->kept};
    return {slots + offsets[head], offsets[head + 1] - offsets[head]};
  }
};

/// Moves the kept rows of one column, `width` elements of one head, in ascending order: a destination never
/// lies behind its source, and columns do not share elements, so it is exact in place. Pieces of `piece`
/// elements lie side by side. Of `tokens` slots that share a row, the first brings it.
template <class Source, class Destination>
struct move_column {
  Source from;
  Destination to;
  int width;
  int piece;
  int tokens;
  kept_slots kept;

  WINDOWKV_HD void operator()(std::int64_t column) const {
    std::int64_t const columns_per_head = from.units() / width;
    std::int64_t const head = column / columns_per_head;
    std::int64_t const begin = column % columns_per_head * width;
    slot_list const list = kept.of(head);
    for (int i = 0; i < list.count; i += tokens) {
      for (std::int64_t unit = begin; unit < begin + width; unit += piece) {
        auto* const out = to.address(i / tokens, head, unit);
        auto const* const in = from.address(list.slots[i] / tokens, head, unit);
        for (int k = 0; k < piece; ++k) out[k] = in[k];
      }
    }
  }
};

/// Positions of the source, or the slots themselves where it has none.
struct move_positions {
  std::int32_t const* from;
  std::int32_t* to;
  kept_slots kept;

  WINDOWKV_HD void operator()(std::int64_t /*item*/) const {
    slot_list const list = kept.of(0);
    for (int i = 0; i < list.count; ++i) to[i] = from != nullptr ? from[list.slots[i]] : list.slots[i];
  }
};

template <class Policy, class Source, class Destination>
void move_plane(thrust_executor<Policy> const& on, deferred_selection const& chosen, Source const& from,
                Destination const& to, int tokens = 1) {
  if constexpr (!is_absent_v<Source>) {
    // Whole heads suit a processor's caches, single elements a device's many threads.
    bool const has_caches = thrust_executor<Policy>::space == memory_space::host;
    int const width = has_caches ? from.units() : 1;
    int const piece =
        has_caches ? std::gcd(run_of(from.layout, 1, from.units()), run_of(to.layout, 1, from.units())) : 1;
    for_each_index(on, std::int64_t{from.heads} * (from.units() / width),
                   move_column<Source, Destination>{from, to, width, piece, tokens, kept_slots(chosen)});
    if constexpr (has_side_v<typename Source::accessor_type>) {
      move_plane(on, chosen, from.accessor.side, to.accessor.side, tokens * from.granularity());
    }
  }
}

template <class Policy, class From, class To>
void move_rows(thrust_executor<Policy> const& on, deferred_selection const& chosen, From const& from,
               To const& to) {
  move_plane(on, chosen, from.keys, to.keys);
  move_plane(on, chosen, from.values, to.values);
  if (to.positions != nullptr) {
    for_each_index(on, 1, move_positions{from.positions, to.positions, kept_slots(chosen)});
  }
}

}  // namespace detail::on_thrust

/// Copies the selected rows of `from`, and of their scales, to slots [0, counts->kept) of `to`, which must
/// not overlap it, holds `chosen.max_kept` rows at least and may differ in layout; both are in the executor's
/// memory. Positions are written where `to` has them: those of `from`, or the slots themselves. Scales that
/// several tokens share are refused: nobody can look whether the selection keeps such tokens together.
///
/// With a list per KV head every head's rows go by its own list, and views need what `compact` asks of them.
/// A destination with `ragged_layout{chosen.offsets, ...}` becomes the flattened cache [counts->rows][D]; it
/// has room for `chosen.max_rows` rows.
template <class Policy, class FromKeys, class FromValues, class ToKeys, class ToValues>
status compact_copy(thrust_executor<Policy> const& on, deferred_selection const& chosen,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(detail::validate_deferred_copy<thrust_executor<Policy>::space>(chosen, from, to));
  detail::on_thrust::move_rows(on, chosen, from, to);
  return {};
}

namespace detail::on_thrust {

/// Rows that the layer shares with one that has been compacted in this call are not moved again.
template <class Policy, class Method, class KeyPlane, class ValuePlane>
status compact_layer(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                     deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  WINDOWKV_TRY(validate_deferred_move<thrust_executor<Policy>::space>(run, layer, kv));
  WINDOWKV_TRY(must_compact(run, layer, chosen));
  if (!compression_access::group(run, g).is_selected) {
    return status::failure(status_code::wrong_order, "compact", "the layer's group has not been selected")
        .at_layer(layer);
  }
  WINDOWKV_TRY(validate_deferred(chosen).at_layer(layer));
  WINDOWKV_TRY_ASSIGN(moved, has_moved(run, layer, storage_of(kv)));
  if (!moved && p.group[g].keeps_all == 0) move_rows(on, chosen, kv, kv);
  record_compaction(run, layer, chosen, kv, moved);
  return {};
}

}  // namespace detail::on_thrust

/// Compacts one layer in place to what its group selected. A layer outside all groups is left alone. A layer
/// can be compacted once; of layers that share storage, compact one. Where anything may move, `shared_slots`
/// are refused, and so are windows or a suffix that could part tokens which share a scale. With a list per KV
/// head the view needs as many heads as there are lists, scales of their own for each head, and no positions.
template <class Policy, class Method, class KeyPlane, class ValuePlane>
status compact(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
               deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  detail::forget_storage(run);
  return detail::on_thrust::compact_layer(on, run, layer, chosen, kv);
}

}  // namespace windowkv
