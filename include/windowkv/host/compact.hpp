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
#include "windowkv/core/slot_list.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

namespace detail {

/// Calls visit(source, destination, bytes) for the listed slots' pieces of `elements` elements that start at
/// (head, unit), ascending, so that they may be moved in place. Of `tokens` slots that share a row, the first
/// brings it.
template <class Source, class Destination, class Visit>
void visit_pieces(Source const& from, Destination const& to, slot_list const& kept, int tokens, int head,
                  int unit, int elements, Visit&& visit) {
  using element = typename Destination::element_type;
  auto const bytes = static_cast<std::size_t>(elements) * sizeof(element);
  for (int i = 0; i < kept.count; i += tokens) {
    auto const* const source = from.address(kept.slots[i] / tokens, head, unit);
    element* const destination = to.address(i / tokens, head, unit);
    if (destination != source) visit(source, destination, bytes);
  }
}

/// What is kept of a plane: one list for all heads, or one for each.
struct kept_rows {
  std::int32_t const* slots;
  int count;  ///< of the one list
  int lists = 1;
  std::int32_t const* offsets = nullptr;  ///< [lists + 1]

  explicit kept_rows(slot_list const& list) : slots(list.slots), count(list.count) {}
  explicit kept_rows(selection const& chosen)
      : slots(chosen.slots), count(chosen.kept), lists(chosen.lists), offsets(chosen.offsets) {}

  slot_list list(int head) const {
    if (lists == 1) return {slots, count};
    return {slots + offsets[head], offsets[head + 1] - offsets[head]};
  }
};

/// Moves the listed rows of one plane, and what belongs to them, in the largest pieces that are contiguous on
/// both sides: visit(source, destination, bytes) for each. `tokens` slots share one row.
template <class ParallelFor, class Source, class Destination, class Visit>
void move_plane(host_executor<ParallelFor> const& on, Source const& from, Destination const& to,
                kept_rows const& kept, int tokens, Visit const& visit) {
  if constexpr (!is_absent_v<Source>) {
    int const units = from.units();
    int const a = run_of(from.layout, from.heads, units);
    int const b = run_of(to.layout, to.heads, units);
    int const run = a < b ? a : b;
    if (kept.lists == 1 && run == from.heads * units) {
      visit_pieces(from, to, kept.list(0), tokens, 0, 0, run, visit);
    } else {
      int const piece = a % run == 0 && b % run == 0 ? (run < units ? run : units) : 1;
      on.parallel_for(from.heads, [&](int head) {
        for (int unit = 0; unit < units; unit += piece) {
          visit_pieces(from, to, kept.list(head), tokens, head, unit, piece, visit);
        }
      });
    }
    if constexpr (has_side_v<typename Source::accessor_type>) {
      move_plane(on, from.accessor.side, to.accessor.side, kept, tokens * from.granularity(), visit);
    }
  }
}

/// Copies pieces that may overlap.
struct move_memory {
  void operator()(void const* from, void* to, std::size_t bytes) const { std::memmove(to, from, bytes); }
};

template <class ParallelFor, class FromKeys, class FromValues, class ToKeys, class ToValues>
void move_rows(host_executor<ParallelFor> const& on, kept_rows const& kept,
               kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  move_plane(on, from.keys, to.keys, kept, 1, move_memory{});
  move_plane(on, from.values, to.values, kept, 1, move_memory{});
  slot_list const list = kept.list(0);
  for (int i = 0; to.positions != nullptr && i < list.count; ++i) {
    to.positions[i] = from.positions != nullptr ? from.positions[list.slots[i]] : list.slots[i];
  }
}

template <class KeyPlane, class ValuePlane, class Visit>
void visit_moves(kept_rows const& kept, kv_view<KeyPlane, ValuePlane> const& kv, Visit const& visit) {
  move_plane(host_executor<>{}, kv.keys, kv.keys, kept, 1, visit);
  move_plane(host_executor<>{}, kv.values, kv.values, kept, 1, visit);
}

/// Slots that share something stay or go together: the list must consist of whole groups of `tokens` slots,
/// but for the last, which may be the start of one.
inline status validate_granularity(slot_list const& kept, int tokens) {
  if (tokens == 1) return {};
  for (int i = 0; i < kept.count; ++i) {
    int const expected = i % tokens == 0 ? kept.slots[i] / tokens * tokens : kept.slots[i - 1] + 1;
    WINDOWKV_TRY(require(kept.slots[i] == expected,
                         "slot_list.slots (slots that share a scale stay together): slot", kept.slots[i],
                         "in the place of slot", expected));
  }
  return {};
}

/// Refuses to write slots that others read, too.
inline status validate_shared(slot_list const& kept, int shared_slots) {
  int first_written = 0;
  while (first_written < kept.count && kept.slots[first_written] == first_written) ++first_written;
  if (first_written == kept.count || first_written >= shared_slots) return {};
  return status::failure(status_code::unsupported,
                         "kv_view.shared_slots: compaction in place would write slot", first_written,
                         "of the shared", shared_slots);
}

/// The listed slots must exist in all planes, and keep together what must stay together.
template <class KeyPlane, class ValuePlane>
status validate_kept(slot_list const& kept, kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(validate_slots(kept, kv.keys.slots));
  if constexpr (!is_absent_v<ValuePlane>) WINDOWKV_TRY(validate_slots(kept, kv.values.slots));
  return validate_granularity(kept, granularity_of(kv));
}
template <class KeyPlane, class ValuePlane>
status validate_move(slot_list const& kept, kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(validate_kept(kept, kv));
  return validate_shared(kept, kv.shared_slots);
}

template <class KeyPlane, class ValuePlane>
status validate_move(selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  if (chosen.lists > 1) WINDOWKV_TRY(validate_separable(kv, chosen.lists));
  for (int list = 0; list < chosen.lists; ++list) WINDOWKV_TRY(validate_move(chosen.list(list), kv));
  return {};
}

}  // namespace detail

/// Moves the listed rows of keys, values, their scales and positions (where the view has them) to slots
/// [0, count), in order. Rows behind are left as they are; memory outside the view's heads and dims is not
/// touched. Returns a failed status, with nothing moved, for lists that do not ascend, leave the view, part
/// slots that share a scale, or would write a shared slot.
template <class ParallelFor, class KeyPlane, class ValuePlane>
status compact_in_place(host_executor<ParallelFor> const& on, slot_list const& kept,
                        kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(kv));
  WINDOWKV_TRY(detail::validate_move(kept, kv));
  detail::move_rows(on, detail::kept_rows(kept), kv, kv);
  return {};
}

/// The same for a selection: with a list per KV head every head's rows go by its own list, to slots
/// [0, list.count) of that head. Such a view needs as many heads as there are lists, scales of their own for
/// each head, and no positions.
template <class ParallelFor, class Selection, class KeyPlane, class ValuePlane,
          class = std::enable_if_t<std::is_same_v<Selection, selection>>>  // `{...}` is a slot_list
status compact_in_place(host_executor<ParallelFor> const& on, Selection const& chosen,
                        kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(kv));
  WINDOWKV_TRY(detail::validate_move(chosen, kv));
  detail::move_rows(on, detail::kept_rows(chosen), kv, kv);
  return {};
}

/// For engines with a mover of their own: calls visit(from, to, bytes) for every piece of memory that
/// compact_in_place would move, keys before values and scales behind what they belong to, within each in an
/// order that is safe in place (a piece may overlap its own destination). Positions are the caller's. Refuses
/// what compact_in_place refuses.
template <class KeyPlane, class ValuePlane, class Visit>
status for_each_byte_move(slot_list const& kept, kv_view<KeyPlane, ValuePlane> const& kv, Visit&& visit) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(kv));
  WINDOWKV_TRY(detail::validate_move(kept, kv));
  detail::visit_moves(detail::kept_rows(kept), kv, visit);
  return {};
}
template <class Selection, class KeyPlane, class ValuePlane, class Visit,
          class = std::enable_if_t<std::is_same_v<Selection, selection>>>
status for_each_byte_move(Selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv, Visit&& visit) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(kv));
  WINDOWKV_TRY(detail::validate_move(chosen, kv));
  detail::visit_moves(detail::kept_rows(chosen), kv, visit);
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
  WINDOWKV_TRY(detail::validate_kept(kept, from));
  WINDOWKV_TRY(detail::validate_copy(from, to, kept.count));
  detail::move_rows(on, detail::kept_rows(kept), from, to);
  return {};
}

/// The same for a selection; with a list per KV head as in `compact_in_place`. A destination with
/// `ragged_layout` becomes the flattened cache [rows()][D].
template <class ParallelFor, class Selection, class FromKeys, class FromValues, class ToKeys, class ToValues,
          class = std::enable_if_t<std::is_same_v<Selection, selection>>>
status compact_copy(host_executor<ParallelFor> const& on, Selection const& chosen,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(from));
  WINDOWKV_TRY(detail::validate_kv<memory_space::host>(to));
  if (chosen.lists > 1) {
    WINDOWKV_TRY(detail::validate_separable(from, chosen.lists));
    WINDOWKV_TRY(detail::validate_separable(to, chosen.lists));
  }
  for (int list = 0; list < chosen.lists; ++list)
    WINDOWKV_TRY(detail::validate_kept(chosen.list(list), from));
  WINDOWKV_TRY(detail::validate_copy(from, to, chosen.kept));
  detail::move_rows(on, detail::kept_rows(chosen), from, to);
  return {};
}

namespace detail {

/// Rows that the layer shares with one that has been compacted in this call are not moved again.
template <class ParallelFor, class Method, class KeyPlane, class ValuePlane>
status compact_layer(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
                     selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(validate_layer_index(p, layer));
  if (p.layer[layer].group < 0) return {};
  WINDOWKV_TRY(validate_layer<memory_space::host>(p, layer, kv));
  WINDOWKV_TRY(must_compact(run, layer, chosen));
  layer_state& state = compression_access::layer(run, layer);
  auto const storage = storage_of(kv);
  WINDOWKV_TRY_ASSIGN(moved, has_moved(run, layer, storage));
  if (!moved) WINDOWKV_TRY(compact_in_place(on, chosen, kv).at_layer(layer));
  state.row_bytes = moved ? 0 : kv.keys.row_bytes() + kv.values.row_bytes();
  state.storage = storage;
  state.is_compacted = true;
  state.length = chosen.kept;
  state.rows = chosen.rows();
  return {};
}

}  // namespace detail

/// Compacts one layer in place to what its group selected, and records its new length. A layer outside all
/// groups is left alone. A layer can be compacted once. Of layers that share storage, compact one.
template <class ParallelFor, class Method, class KeyPlane, class ValuePlane>
status compact(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
               selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  detail::forget_storage(run);
  return detail::compact_layer(on, run, layer, chosen, kv);
}

}  // namespace windowkv
