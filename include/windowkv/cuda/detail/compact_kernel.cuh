// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/compact_kernel.cuh
/// Moving rows. A block owns a slice of columns of one plane and takes the kept rows of it in ascending
/// batches: all loads of a batch come before its stores, and a destination never lies behind its source, so
/// rows may move in place. Copies elsewhere may cut the rows over blocks as well.
///
/// Grid: x cuts the rows (1 in place), y is the slice of columns (keys, values, then positions), z the item.

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/table.cuh"

namespace windowkv::detail {

inline constexpr int compact_threads = 256;
inline constexpr int compact_steps = 4;  // rows that a thread has under way

/// One layer that moves in place.
template <class KeyPlane, class ValuePlane>
struct move_item {
  plane_reference<KeyPlane> keys;
  plane_reference<ValuePlane> values;
  std::int32_t* positions = nullptr;
  std::int32_t const* slots = nullptr;
  selection_counts const* counts = nullptr;
  std::int32_t tokens = 0;

  static constexpr bool is_in_place = true;
  __device__ bool is_done(int kept) const { return kept == tokens; }
  __device__ auto const& from_keys() const { return keys; }
  __device__ auto const& from_values() const { return values; }
  __device__ auto const& to_keys() const { return keys; }
  __device__ auto const& to_values() const { return values; }
  __device__ std::int32_t const* from_positions() const { return positions; }
  __device__ std::int32_t* to_positions() const { return positions; }
};

/// One layer that is copied elsewhere.
template <class FromKeys, class FromValues, class ToKeys, class ToValues>
struct copy_item {
  plane_reference<FromKeys> keys;
  plane_reference<FromValues> values;
  plane_reference<ToKeys> kept_keys;
  plane_reference<ToValues> kept_values;
  std::int32_t const* positions = nullptr;
  std::int32_t* kept_positions = nullptr;
  std::int32_t const* slots = nullptr;
  selection_counts const* counts = nullptr;

  static constexpr bool is_in_place = false;
  __device__ bool is_done(int /*kept*/) const { return false; }
  __device__ auto const& from_keys() const { return keys; }
  __device__ auto const& from_values() const { return values; }
  __device__ auto const& to_keys() const { return kept_keys; }
  __device__ auto const& to_values() const { return kept_values; }
  __device__ std::int32_t const* from_positions() const { return positions; }
  __device__ std::int32_t* to_positions() const { return kept_positions; }
};

/// How the columns of one plane are cut. A unit is what a thread moves at once: 16 bytes or one element.
struct column_cut {
  int units_per_head = 0;
  int elements_per_unit = 1;
  int units = 0;        ///< of a row: heads x units_per_head
  int slice_units = 1;  ///< a power of two, at most `compact_threads`
  int slices = 0;
};

template <class Item>
struct compact_table {
  static constexpr int capacity = static_cast<int>((most_parameter_bytes - 128) / sizeof(Item));

  column_cut keys;
  column_cut values;
  Item items[capacity];
};

/// Takes the rows in ascending batches; `load(slot)` and `store(row, value)` move one unit of one row.
template <class Unit, class Load, class Store>
__device__ void move_rows(std::int32_t const* slots, int kept, int first_in_step, int rows_per_step,
                          bool is_used, Load&& load, Store&& store) {
  int const batch = compact_steps * rows_per_step;
  int const stride = batch * static_cast<int>(gridDim.x);
  for (int first = static_cast<int>(blockIdx.x) * batch; first < kept; first += stride) {
    Unit unit[compact_steps];
    WINDOWKV_UNROLL
    for (int s = 0; s < compact_steps; ++s) {
      int const row = first + s * rows_per_step + first_in_step;
      unit[s] = load(slots[row < kept ? row : kept - 1]);  // what is not needed is not stored
    }
    __syncthreads();  // no row is overwritten that somebody still has to load
    WINDOWKV_UNROLL
    for (int s = 0; s < compact_steps; ++s) {
      int const row = first + s * rows_per_step + first_in_step;
      if (is_used && row < kept) store(row, unit[s]);
    }
  }
}

template <class Unit, class From, class To>
__device__ void move_slice(From const& from, To const& to, column_cut const& cut, int slice,
                           std::int32_t const* slots, int kept) {
  int const thread = static_cast<int>(threadIdx.x);
  int const own_unit = slice * cut.slice_units + thread % cut.slice_units;
  int const unit = own_unit < cut.units ? own_unit : cut.units - 1;
  int const head = unit / cut.units_per_head;
  int const dim = unit % cut.units_per_head * cut.elements_per_unit;
  move_rows<Unit>(
      slots, kept, thread / cut.slice_units, compact_threads / cut.slice_units, own_unit < cut.units,
      [&](std::int32_t slot) {
        return load_streaming(reinterpret_cast<Unit const*>(from.address(slot, head, dim)));
      },
      [&](int row, Unit const& value) {
        store_streaming(reinterpret_cast<Unit*>(to.address(row, head, dim)), value);
      });
}

/// An unsigned integer that is moved for an element of the same size.
template <std::size_t Bytes>
using bits_of_size =
    std::conditional_t<Bytes == 1, unsigned char,
                       std::conditional_t<Bytes == 2, unsigned short,
                                          std::conditional_t<Bytes == 4, unsigned, unsigned long long>>>;

template <class From, class To>
__device__ void move_plane_slice(From const& from, To const& to, column_cut const& cut, int slice,
                                 std::int32_t const* slots, int kept) {
  using element = typename To::element_type;
  if (cut.elements_per_unit > 1) {
    move_slice<uint4>(from, to, cut, slice, slots, kept);
  } else {
    static_assert(sizeof(element) <= 8, "windowkv: elements of at most 8 bytes");
    move_slice<bits_of_size<sizeof(element)>>(from, to, cut, slice, slots, kept);
  }
}

template <class Item>
__global__ void __launch_bounds__(compact_threads)
    compact_kernel(compact_table<Item> const __grid_constant__ table) {
  auto const& item = table.items[blockIdx.z];
  int const kept = item.counts->kept;
  if (item.is_done(kept)) return;
  int slice = static_cast<int>(blockIdx.y);
  if (slice < table.keys.slices) {
    move_plane_slice(item.from_keys(), item.to_keys(), table.keys, slice, item.slots, kept);
    return;
  }
  slice -= table.keys.slices;
  if (slice < table.values.slices) {
    move_plane_slice(item.from_values(), item.to_values(), table.values, slice, item.slots, kept);
    return;
  }
  std::int32_t const* const from = item.from_positions();
  std::int32_t* const to = item.to_positions();
  if (to == nullptr) return;
  move_rows<std::int32_t>(
      item.slots, kept, static_cast<int>(threadIdx.x), compact_threads, true,
      [&](std::int32_t slot) { return from != nullptr ? from[slot] : slot; },
      [&](int row, std::int32_t position) { to[row] = position; });
}

}  // namespace windowkv::detail
