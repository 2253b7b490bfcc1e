// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/compact.hpp
/// Stage 3 on the host: moves the kept rows to the front, or copies them elsewhere. Ascending, so that a
/// destination never lies behind its source; everything is validated before the first byte moves.

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Kept slots, strictly ascending; host memory.
struct slot_list {
  std::int32_t const* slots = nullptr;
  int count = 0;
};

namespace detail {

/// How much of one slot is contiguous: all heads, one head, or one element.
enum class grain { all_heads, one_head, one_element };

inline grain grain_of(dense_layout const& layout, int heads, int head_dim) {
  if (layout.dim_stride != 1 && head_dim > 1) return grain::one_element;
  return heads == 1 || layout.head_stride == head_dim ? grain::all_heads : grain::one_head;
}
template <class Layout>
grain grain_of(Layout const&, int /*heads*/, int /*head_dim*/) {
  return grain::one_element;  // nothing is known about the layout
}

/// Copies `count` listed slots of the contiguous pieces that start at (head, dim), ascending; works in place.
template <class Source, class Destination>
void move_pieces(Source const& from, Destination const& to, slot_list const& kept, int head, int dim,
                 int elements) {
  using element = typename Destination::element_type;
  auto const bytes = static_cast<std::size_t>(elements) * sizeof(element);
  for (int i = 0; i < kept.count; ++i) {
    auto const* const source = from.address(kept.slots[i], head, dim);
    element* const destination = to.address(i, head, dim);
    if (destination != source) std::memmove(destination, source, bytes);
  }
}

template <class ParallelFor, class Source, class Destination>
void move_plane(host_executor<ParallelFor> const& on, Source const& from, Destination const& to,
                slot_list const& kept) {
  grain const a = grain_of(from.layout, from.heads, from.head_dim);
  grain const b = grain_of(to.layout, to.heads, to.head_dim);
  if (a == grain::all_heads && b == grain::all_heads) {
    move_pieces(from, to, kept, 0, 0, from.heads * from.head_dim);
    return;
  }
  bool const by_head = a != grain::one_element && b != grain::one_element;
  on.parallel_for(from.heads, [&](int head) {
    if (by_head) {
      move_pieces(from, to, kept, head, 0, from.head_dim);
    } else {
      for (int dim = 0; dim < from.head_dim; ++dim) move_pieces(from, to, kept, head, dim, 1);
    }
  });
}

inline status validate_slots(slot_list const& kept, int slots) {
  WINDOWKV_TRY(require_at_least("slot_list.count", kept.count, 0));
  if (kept.count > 0) WINDOWKV_TRY(require_not_null("slot_list.slots", kept.slots));
  std::int64_t least = 0;
  for (int i = 0; i < kept.count; ++i) {
    WINDOWKV_TRY(require_at_least("slot_list.slots (ascending)", kept.slots[i], least));
    least = std::int64_t{kept.slots[i]} + 1;
  }
  if (kept.count == 0) return {};
  return require_at_most("slot_list.slots", kept.slots[kept.count - 1], std::int64_t{slots} - 1);
}

}  // namespace detail

/// Moves the listed rows of keys, values and positions (where the view has them) to slots [0, count), in
/// order. Rows behind are left as they are; memory outside the view's heads and dims is not touched. Returns
/// a failed status, with nothing moved, for lists that do not ascend or leave the view.
template <class ParallelFor, class KeyPlane, class ValuePlane>
status compact_in_place(host_executor<ParallelFor> const& on, slot_list const& kept,
                        kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(kv));
  WINDOWKV_TRY(detail::validate_slots(kept, kv.keys.slots));
  WINDOWKV_TRY(detail::validate_slots(kept, kv.values.slots));
  detail::move_plane(on, kv.keys, kv.keys, kept);
  detail::move_plane(on, kv.values, kv.values, kept);
  if (kv.positions != nullptr) {
    for (int i = 0; i < kept.count; ++i) kv.positions[i] = kv.positions[kept.slots[i]];
  }
  return {};
}

/// Copies the listed rows of `from` to slots [0, count) of `to`, which must not overlap it. The two may
/// differ in layout and capacity, not in element type, heads or head dimension. Positions are written where
/// `to` has them: those of `from`, or the slots themselves.
template <class ParallelFor, class FromKeys, class FromValues, class ToKeys, class ToValues>
status compact_copy(host_executor<ParallelFor> const& on, slot_list const& kept,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(from));
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(to));
  WINDOWKV_TRY(detail::validate_slots(kept, from.keys.slots));
  WINDOWKV_TRY(detail::validate_slots(kept, from.values.slots));
  WINDOWKV_TRY(detail::validate_copy(from, to, kept.count));
  detail::move_plane(on, from.keys, to.keys, kept);
  detail::move_plane(on, from.values, to.values, kept);
  if (to.positions != nullptr) {
    for (int i = 0; i < kept.count; ++i) {
      to.positions[i] = from.positions != nullptr ? from.positions[kept.slots[i]] : kept.slots[i];
    }
  }
  return {};
}

/// Compacts one layer in place to what its group selected, and records its new length. A layer outside all
/// groups is left alone. A layer can be compacted once.
template <class ParallelFor, class Method, class KeyPlane, class ValuePlane>
status compact(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
               selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  if (p.layer[layer].group < 0) return {};
  WINDOWKV_TRY(detail::validate_layer<memory_space::host>(p, layer, kv));
  WINDOWKV_TRY(detail::must_compact(run, layer, chosen));
  detail::layer_state& state = compression_access::layer(run, layer);
  WINDOWKV_TRY(compact_in_place(on, {chosen.slots, chosen.kept}, kv).at_layer(layer));
  state.row_bytes = kv.keys.row_bytes() + kv.values.row_bytes();
  state.is_compacted = true;
  state.length = chosen.kept;
  return {};
}

}  // namespace windowkv
