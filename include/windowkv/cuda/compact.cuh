// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/compact.cuh
/// Stage 3 on CUDA: moves the kept rows to the front, or copies them elsewhere.

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/cuda/detail/compact_kernel.cuh"
#include "windowkv/cuda/detail/launch.cuh"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/cuda/memory.cuh"
#include "windowkv/cuda/score.cuh"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// True if the plane's rows can be moved 16 bytes at a time.
template <class Plane>
bool has_wide_rows(Plane const& p) {
  if constexpr (std::is_same_v<typename Plane::layout_type, dense_layout>) {
    constexpr std::int64_t elements = 16 / static_cast<std::int64_t>(sizeof(typename Plane::element_type));
    return p.layout.dim_stride == 1 && p.head_dim % elements == 0 && p.layout.head_stride % elements == 0 &&
           p.layout.slot_stride % elements == 0 && is_aligned_to(p.data, 16);
  } else {
    static_cast<void>(p);
    return false;  // nothing is known about the layout
  }
}

template <class Plane>
column_cut cut_columns(Plane const& p, bool is_wide) {
  column_cut cut;
  cut.elements_per_unit = is_wide ? 16 / static_cast<int>(sizeof(typename Plane::element_type)) : 1;
  cut.units_per_head = p.head_dim / cut.elements_per_unit;
  cut.units = p.heads * cut.units_per_head;
  return cut;
}

inline bool operator==(column_cut const& a, column_cut const& b) {
  return a.units_per_head == b.units_per_head && a.elements_per_unit == b.elements_per_unit &&
         a.units == b.units;
}

/// Layers for one launch; `Item` is a `move_item` or a `copy_item`.
template <class HeadDims, class Item>
class compact_batch {
 public:
  compact_batch(cuda_executor<HeadDims> const& on, launch_facts const& facts) : on_(on), facts_(facts) {}

  /// Adds a layer whose rows are cut this way; launches first what cannot go along with it.
  status add(Item const& item, column_cut const& keys, column_cut const& values, int max_kept) {
    if (items_ > 0 &&
        (items_ == compact_table<Item>::capacity || !(keys == table_.keys) || !(values == table_.values))) {
      WINDOWKV_TRY(launch());
    }
    table_.keys = keys;
    table_.values = values;
    table_.items[items_++] = item;
    if (max_kept > most_kept_) most_kept_ = max_kept;
    return {};
  }

  status launch() {
    if (items_ == 0) return {};
    // Slices of 256 bytes; narrower ones where there are too few blocks to fill the device.
    std::int64_t const wanted = std::int64_t{facts_.multiprocessors} * facts_.tuning.compact_blocks;
    int slice_units = table_.keys.elements_per_unit > 1 ? 16 : 32;
    while (slice_units > 4 && blocks_with(slice_units) < wanted) slice_units /= 2;
    std::int64_t const blocks = blocks_with(slice_units);
    std::int64_t rows_cuts = 1;
    if (!Item::is_in_place) {
      std::int64_t const batch = compact_steps * (compact_threads / slice_units);
      rows_cuts = (wanted + blocks - 1) / blocks;
      if (rows_cuts > (most_kept_ + batch - 1) / batch) rows_cuts = (most_kept_ + batch - 1) / batch;
      if (rows_cuts < 1) rows_cuts = 1;
    }
    cut_into(table_.keys, slice_units);
    cut_into(table_.values, slice_units);
    dim3 const grid(static_cast<unsigned>(rows_cuts),
                    static_cast<unsigned>(table_.keys.slices + table_.values.slices + 1),
                    static_cast<unsigned>(items_));
    items_ = 0;
    most_kept_ = 0;
    return detail::launch(on_.stream, grid, compact_threads, 0, compact_kernel<Item>, table_);
  }

 private:
  static void cut_into(column_cut& cut, int slice_units) {
    cut.slice_units = slice_units;
    cut.slices = (cut.units + slice_units - 1) / slice_units;
  }
  std::int64_t blocks_with(int slice_units) const {
    return std::int64_t{items_} * ((table_.keys.units + slice_units - 1) / slice_units +
                                   (table_.values.units + slice_units - 1) / slice_units);
  }

  cuda_executor<HeadDims> const& on_;
  launch_facts facts_;
  int items_ = 0;
  int most_kept_ = 0;
  compact_table<Item> table_;
};

template <class HeadDims, class KeyPlane, class ValuePlane>
using move_batch = compact_batch<HeadDims, move_item<KeyPlane, ValuePlane>>;
template <class HeadDims, class FromKeys, class FromValues, class ToKeys, class ToValues>
using copy_batch = compact_batch<HeadDims, copy_item<FromKeys, FromValues, ToKeys, ToValues>>;

template <class Batch, class KeyPlane, class ValuePlane>
status add_move(Batch& batch, deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  move_item<KeyPlane, ValuePlane> item;
  item.keys = plane_reference<KeyPlane>(kv.keys);
  item.values = plane_reference<ValuePlane>(kv.values);
  item.positions = kv.positions;
  item.slots = chosen.slots;
  item.counts = chosen.counts;
  item.tokens = chosen.tokens;
  return batch.add(item, cut_columns(kv.keys, has_wide_rows(kv.keys)),
                   cut_columns(kv.values, has_wide_rows(kv.values)), chosen.max_kept);
}

template <class Batch, class FromKeys, class FromValues, class ToKeys, class ToValues>
status add_copy(Batch& batch, deferred_selection const& chosen, kv_view<FromKeys, FromValues> const& from,
                kv_view<ToKeys, ToValues> const& to) {
  copy_item<FromKeys, FromValues, ToKeys, ToValues> item;
  item.keys = plane_reference<FromKeys>(from.keys);
  item.values = plane_reference<FromValues>(from.values);
  item.kept_keys = plane_reference<ToKeys>(to.keys);
  item.kept_values = plane_reference<ToValues>(to.values);
  item.positions = from.positions;
  item.kept_positions = to.positions;
  item.slots = chosen.slots;
  item.counts = chosen.counts;
  return batch.add(item, cut_columns(from.keys, has_wide_rows(from.keys) && has_wide_rows(to.keys)),
                   cut_columns(from.values, has_wide_rows(from.values) && has_wide_rows(to.values)),
                   chosen.max_kept);
}

inline status validate_deferred(deferred_selection const& chosen) {
  WINDOWKV_TRY(require_not_null("selection.slots", chosen.slots));
  return require_not_null("selection.counts", chosen.counts);
}

template <class Method>
void record_compaction(cuda_compression<Method>& run, int layer, deferred_selection const& chosen,
                       std::int64_t row_bytes) {
  layer_state& state = compression_access::layer(run, layer);
  state.row_bytes = row_bytes;
  state.is_compacted = true;
  state.length = chosen.max_kept;
}

}  // namespace detail

/// Queues the copy of the selected rows of `from` to slots [0, kept) of `to`, which must not overlap it: 1
/// launch. The two may differ in layout and capacity, not in element type, heads or head dimension. Positions
/// are written where `to` has them: those of `from`, or the slots themselves.
template <class HeadDims, class FromKeys, class FromValues, class ToKeys, class ToValues>
status compact_copy(cuda_executor<HeadDims> const& on, deferred_selection const& chosen,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(detail::validate_deferred(chosen));
  WINDOWKV_TRY(detail::validate_kv<memory_space::device>(from));
  WINDOWKV_TRY(detail::validate_kv<memory_space::device>(to));
  WINDOWKV_TRY(detail::require_slots(from, chosen.tokens));
  WINDOWKV_TRY(detail::validate_copy(from, to, chosen.max_kept));
  WINDOWKV_TRY_ASSIGN(facts, detail::launch_facts_of(on));
  detail::copy_batch<HeadDims, FromKeys, FromValues, ToKeys, ToValues> batch(on, facts);
  WINDOWKV_TRY(detail::add_copy(batch, chosen, from, to));
  return batch.launch();
}

/// Queues the compaction of one layer, in place, to what its group selected: 1 launch. A layer outside all
/// groups is left alone. A layer can be compacted once. Memory outside the kept rows of the view's heads and
/// dims is not touched.
template <class HeadDims, class Method, class KeyPlane, class ValuePlane>
status compact(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
               deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  if (p.layer[layer].group < 0) return {};
  WINDOWKV_TRY(detail::validate_layer<memory_space::device>(p, layer, kv));
  WINDOWKV_TRY(detail::must_compact(run, layer, chosen));
  WINDOWKV_TRY(detail::validate_deferred(chosen).at_layer(layer));
  WINDOWKV_TRY_ASSIGN(facts, detail::launch_facts_of(on));
  detail::move_batch<HeadDims, KeyPlane, ValuePlane> batch(on, facts);
  WINDOWKV_TRY(detail::add_move(batch, chosen, kv).at_layer(layer));
  WINDOWKV_TRY(batch.launch().at_layer(layer));
  detail::record_compaction(run, layer, chosen, kv.keys.row_bytes() + kv.values.row_bytes());
  return {};
}

}  // namespace windowkv
