// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/compact.cuh
/// Stage 3 on CUDA: moves the kept rows to the front, or copies them elsewhere.

#include <cuda_runtime.h>

#include <cstdint>

#include "windowkv/core/batch.hpp"
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

/// Layers for one launch; `Item` is a `move_item` or a `copy_item`.
template <class HeadDims, class Item>
class compact_batch {
 public:
  using table_type = compact_table<Item>;

  compact_batch(cuda_executor<HeadDims> const& on, launch_facts const& facts) : on_(on), facts_(facts) {}

  /// Adds a layer whose rows are cut this way; launches first what cannot go along with it.
  status add(Item const& item, typename table_type::key_cut const& keys,
             typename table_type::value_cut const& values, int max_kept) {
    if (items_ > 0 && (items_ == table_type::capacity || !is_cut_alike(keys, table_.keys) ||
                       !is_cut_alike(values, table_.values))) {
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
    int slice_words = table_.keys.own.word_bytes == wide_word_bytes ? 16 : 32;
    while (slice_words > 4 && items_ * cut_into(slice_words) < wanted) slice_words /= 2;
    int const slices = cut_into(slice_words);
    std::int64_t const blocks = std::int64_t{items_} * slices;
    std::int64_t rows_cuts = 1;
    if (!Item::is_in_place) {
      std::int64_t const batch = compact_steps * (compact_threads / slice_words);
      rows_cuts = (wanted + blocks - 1) / blocks;
      if (rows_cuts > (most_kept_ + batch - 1) / batch) rows_cuts = (most_kept_ + batch - 1) / batch;
      if (rows_cuts < 1) rows_cuts = 1;
    }
    dim3 const grid(static_cast<unsigned>(rows_cuts), static_cast<unsigned>(slices + 1),
                    static_cast<unsigned>(items_));
    items_ = 0;
    most_kept_ = 0;
    return detail::launch(on_.stream, grid, compact_threads, 0, compact_kernel<Item>, table_);
  }

 private:
  /// Cuts all planes into slices of at most `slice_words` words and returns how many there are.
  int cut_into(int slice_words) {
    int slices = 0;
    auto const cut = [&](column_cut& columns) {
      columns.slice_words = slice_words;
      while (columns.slice_words / 2 >= columns.words) columns.slice_words /= 2;
      columns.slices = (columns.words + columns.slice_words - 1) / columns.slice_words;
      slices += columns.slices;
    };
    for_each_cut(table_.keys, cut);
    for_each_cut(table_.values, cut);
    return slices;
  }

  cuda_executor<HeadDims> const& on_;
  launch_facts facts_;
  int items_ = 0;
  int most_kept_ = 0;
  table_type table_;
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
  return batch.add(item, cut_plane(kv.keys, kv.keys), cut_plane(kv.values, kv.values), chosen.max_kept);
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
  return batch.add(item, cut_plane(from.keys, to.keys), cut_plane(from.values, to.values), chosen.max_kept);
}

/// What is not known before the work runs: where the suffix begins.
template <class Method>
status validate_device_length(cuda_compression<Method> const& run, int layer, int granularity) {
  bool const has_length = compression_access::memory(run).device_tokens != nullptr;
  plan_data const& p = run.plan();
  return require(!has_length || granularity == 1 || p.group[p.layer[layer].group].keeps_all != 0,
                 "granularity (tokens that share a scale), with device_tokens", granularity, "must equal", 1,
                 status_code::unsupported)
      .at_layer(layer);
}

}  // namespace detail

/// Queues the copy of the selected rows of `from`, and of their scales, to slots [0, kept) of `to`, which
/// must not overlap it: 1 launch. The two may differ in layout and capacity, not in element type, heads or
/// head dimension. Positions are written where `to` has them: those of `from`, or the slots themselves.
/// Scales that several tokens share are refused: nobody can look whether the selection keeps such tokens
/// together.
template <class HeadDims, class FromKeys, class FromValues, class ToKeys, class ToValues>
status compact_copy(cuda_executor<HeadDims> const& on, deferred_selection const& chosen,
                    kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to) {
  WINDOWKV_TRY(detail::validate_deferred_copy<memory_space::device>(chosen, from, to));
  WINDOWKV_TRY_ASSIGN(facts, detail::launch_facts_of(on));
  detail::copy_batch<HeadDims, FromKeys, FromValues, ToKeys, ToValues> batch(on, facts);
  WINDOWKV_TRY(detail::add_copy(batch, chosen, from, to));
  return batch.launch();
}

/// Queues the compaction of one layer, in place, to what its group selected: 1 launch. A layer outside all
/// groups is left alone. A layer can be compacted once; of layers that share storage, compact one. Memory
/// outside the kept rows of the view's heads and dims is not touched. Where anything may move, `shared_slots`
/// are refused, and so are windows or a suffix that could part tokens which share a scale.
template <class HeadDims, class Method, class KeyPlane, class ValuePlane>
status compact(cuda_executor<HeadDims> const& on, cuda_compression<Method>& run, int layer,
               deferred_selection const& chosen, kv_view<KeyPlane, ValuePlane> const& kv) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_layer_index(p, layer));
  if (p.layer[layer].group < 0) return {};
  WINDOWKV_TRY(detail::validate_deferred_move<memory_space::device>(run, layer, kv));
  WINDOWKV_TRY(detail::validate_device_length(run, layer, detail::granularity_of(kv)));
  WINDOWKV_TRY(detail::must_compact(run, layer, chosen));
  WINDOWKV_TRY(detail::validate_deferred(chosen).at_layer(layer));
  WINDOWKV_TRY_ASSIGN(facts, detail::launch_facts_of(on));
  detail::move_batch<HeadDims, KeyPlane, ValuePlane> batch(on, facts);
  WINDOWKV_TRY(detail::add_move(batch, chosen, kv).at_layer(layer));
  WINDOWKV_TRY(batch.launch().at_layer(layer));
  detail::record_compaction(run, layer, chosen, kv, false);
  return {};
}

}  // namespace windowkv
