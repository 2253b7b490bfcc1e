// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/compact.cuh
/// Stage 3 on Thrust: moves the kept rows to the front, or copies them elsewhere.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// Moves the kept rows of one column, `width` dims of one head, in ascending order: a destination never lies
/// behind its source, and columns do not share elements, so it is exact in place.
template <class Source, class Destination>
struct move_column {
  Source from;
  Destination to;
  int width;
  std::int32_t const* slots;
  selection_counts const* counts;

  WINDOWKV_HD void operator()(std::int64_t column) const {
    std::int64_t const columns_per_head = from.head_dim / width;
    std::int64_t const head = column / columns_per_head;
    std::int64_t const begin = column % columns_per_head * width;
    for (int i = 0; i < counts->kept; ++i) {
      for (std::int64_t d = begin; d < begin + width; ++d) {
        *to.address(i, head, d) = *from.address(slots[i], head, d);
      }
    }
  }
};

/// Positions of the source, or the slots themselves where it has none.
struct move_positions {
  std::int32_t const* from;
  std::int32_t* to;
  std::int32_t const* slots;
  selection_counts const* counts;

  WINDOWKV_HD void operator()(std::int64_t /*item*/) const {
    for (int i = 0; i < counts->kept; ++i) to[i] = from != nullptr ? from[slots[i]] : slots[i];
  }
};

template <class Policy, class Source, class Destination>
void move_plane(thrust_executor<Policy> const& on, deferred_selection const& chosen, Source const& from,
                Destination const& to) {
  // Whole heads suit a processor's caches, single dims a device's many threads.
  int const width = thrust_executor<Policy>::space == memory_space::host ? from.head_dim : 1;
  for_each_index(on, std::int64_t{from.heads} * (from.head_dim / width),
                 move_column<Source, Destination>{from, to, width, chosen.slots, chosen.counts});
}

template <class Policy, class From, class To>
void move_rows(thrust_executor<Policy> const& on, deferred_selection const& chosen, From const& from,
               To const& to) {
  move_plane(on, chosen, from.keys, to.keys);
  move_plane(on, chosen, from.values, to.values);
  if (to.positions != nullptr) {
    for_each_index(on, 1, move_positions{from.positions, to.positions, chosen.slots, chosen.counts});
  }
}

inline status validate_selection(deferred_selection const& chosen) {
  WINDOWKV_TRY(require_not_null("selection.slots", chosen.slots));
  return require_not_null("selection.counts", chosen.counts);
}

}  // namespace detail::on_thrust

/// Copies the selected rows of `from` to slots [0, counts->kept) of `to`, which must not overlap it, holds
/// `chosen.max_kept` rows at least and may differ in layout. Positions are written where `to` has them: those
/// of `from`, or the slots themselves.
template <class Policy, class FromKeys, class FromValues, class ToKeys, class ToValues>
status compact_copy(thrust_executor<Policy> const& on, deferred_selection const& chosen,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  constexpr memory_space space = thrust_executor<Policy>::space;
  WINDOWKV_TRY(detail::validate_kv<space>(from));
  WINDOWKV_TRY(detail::validate_kv<space>(to));
  WINDOWKV_TRY(detail::on_thrust::validate_selection(chosen));
  WINDOWKV_TRY(detail::require_slots(from, chosen.tokens));
  WINDOWKV_TRY(detail::validate_copy(from, to, chosen.max_kept));
  detail::on_thrust::move_rows(on, chosen, from, to);
  return {};
}

/// Compacts one layer in place to what its group selected. A layer outside all groups is left alone. A layer
/// can be compacted once.
template <class Policy, class Method, class KeyPlane, class ValuePlane>
status compact(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
               deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0) return {};
  WINDOWKV_TRY(detail::validate_layer<thrust_executor<Policy>::space>(p, layer, kv));
  WINDOWKV_TRY(detail::must_compact(run, layer, chosen));
  if (!compression_access::group(run, g).is_selected) {
    return status::failure(status_code::wrong_order, "compact", "the layer's group has not been selected")
        .at_layer(layer);
  }
  WINDOWKV_TRY(detail::on_thrust::validate_selection(chosen).at_layer(layer));
  if (p.group[g].keeps_all == 0) detail::on_thrust::move_rows(on, chosen, kv, kv);
  detail::layer_state& state = compression_access::layer(run, layer);
  state.row_bytes = kv.keys.row_bytes() + kv.values.row_bytes();
  state.is_compacted = true;
  state.length = p.group[g].max_kept;
  return {};
}

}  // namespace windowkv
