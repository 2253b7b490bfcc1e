// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/compact_kernel.cuh
/// Moving rows. A block owns a slice of columns of one plane and takes the kept rows of it in ascending
/// batches: all loads of a batch come before its stores, and a destination never lies behind its source, so
/// rows may move in place. Copies elsewhere may cut the rows over blocks as well.
///
/// Grid: x cuts the rows (1 in place), y is the slice of columns (keys and their scales, values and theirs,
/// then positions), z the item.

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/cuda/detail/column_cut.cuh"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/table.cuh"

namespace windowkv::detail {

inline constexpr int compact_threads = 256;
inline constexpr int compact_steps = 4;  // rows that a thread has under way

/// Blocks per multiprocessor that the compiler is asked to leave registers for: 48 per thread are enough for
/// page tables and scales, 64 for tables of addresses. 0: as it likes.
template <class Plane>
inline constexpr int blocks_of_plane_v = has_side_v<typename Plane::accessor_type> ||
                                                 has_table_v<typename Plane::layout_type>
                                             ? (has_base_v<typename Plane::layout_type> ? 5 : 4)
                                             : 0;
template <memory_space Space>
inline constexpr int blocks_of_plane_v<no_plane<Space>> = 0;

/// A multiprocessor of sm_75 has threads for no more than 4.
template <class... Planes>
inline constexpr int compact_blocks_v = ((blocks_of_plane_v<Planes> == 4) || ...)   ? 4
                                        : ((blocks_of_plane_v<Planes> == 0) && ...) ? 0
                                        : WINDOWKV_DEVICE_ARCH == 750               ? 4
                                                                                    : 5;

/// One layer that moves in place.
template <class KeyPlane, class ValuePlane>
struct move_item {
  plane_reference<KeyPlane> keys;
  plane_reference<ValuePlane> values;
  std::int32_t* positions = nullptr;
  std::int32_t const* slots = nullptr;
  selection_counts const* counts = nullptr;

  using from_key_plane = KeyPlane;
  using from_value_plane = ValuePlane;
  static constexpr bool is_in_place = true;
  static constexpr int blocks_per_multiprocessor = compact_blocks_v<KeyPlane, ValuePlane>;
  /// True if the kept slots, which ascend, are the first: they are where they belong.
  __device__ bool is_done(int kept) const { return kept == 0 || slots[kept - 1] == kept - 1; }
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

  using from_key_plane = FromKeys;
  using from_value_plane = FromValues;
  static constexpr bool is_in_place = false;
  static constexpr int blocks_per_multiprocessor = compact_blocks_v<FromKeys, FromValues, ToKeys, ToValues>;
  __device__ bool is_done(int /*kept*/) const { return false; }
  __device__ auto const& from_keys() const { return keys; }
  __device__ auto const& from_values() const { return values; }
  __device__ auto const& to_keys() const { return kept_keys; }
  __device__ auto const& to_values() const { return kept_values; }
  __device__ std::int32_t const* from_positions() const { return positions; }
  __device__ std::int32_t* to_positions() const { return kept_positions; }
};

template <class Plane>
__device__ auto const& accessor_of(plane_reference<Plane> const& p) {
  return p.accessor();
}
template <class Layout, class Accessor, memory_space Space>
__device__ Accessor const& accessor_of(plane<Layout, Accessor, Space> const& p) {
  return p.accessor;
}

template <class Item>
struct compact_table {
  using key_cut = plane_cut<typename Item::from_key_plane>;
  using value_cut = plane_cut<typename Item::from_value_plane>;
  static constexpr int capacity = static_cast<int>(
      (most_parameter_bytes - sizeof(key_cut) - sizeof(value_cut) - alignof(Item)) / sizeof(Item));

  key_cut keys;
  value_cut values;
  Item items[capacity];
};

/// Takes the rows in ascending batches; `load(row)` and `store(row, word)` move one word of one row.
template <class Word, class Load, class Store>
__device__ void move_rows(int rows, int first_in_step, int rows_per_step, bool is_used, Load&& load,
                          Store&& store) {
  int const batch = compact_steps * rows_per_step;
  int const stride = batch * static_cast<int>(gridDim.x);
  for (int first = static_cast<int>(blockIdx.x) * batch; first < rows; first += stride) {
    Word word[compact_steps];
    WINDOWKV_UNROLL
    for (int s = 0; s < compact_steps; ++s) {
      int const row = first + s * rows_per_step + first_in_step;
      word[s] = load(row < rows ? row : rows - 1);  // what is not needed is not stored
    }
    __syncthreads();  // no row is overwritten that somebody still has to load
    WINDOWKV_UNROLL
    for (int s = 0; s < compact_steps; ++s) {
      int const row = first + s * rows_per_step + first_in_step;
      if (is_used && row < rows) store(row, word[s]);
    }
  }
}

/// One word of every row of a plane.
template <class Word, class Plane>
struct word_column {
  using element_type = typename Plane::element_type;
  static constexpr bool has_base = has_base_v<decltype(Plane::layout)>;

  Plane const& plane;
  int head;
  int unit;
  int offset;          ///< bytes
  element_type* data;  ///< with the offset, where the layout starts from it

  __device__ word_column(Plane const& p, int h, int u, int bytes)
      : plane(p), head(h), unit(u), offset(bytes), data(has_base ? shifted(p.data, bytes) : p.data) {}

  __device__ auto* at(int row) const {
    auto* const element = plane.layout.address(data, row, head, unit);
    return words(has_base ? element : shifted(element, offset));
  }

 private:
  using byte = std::conditional_t<std::is_const_v<element_type>, unsigned char const, unsigned char>;
  using word = std::conditional_t<std::is_const_v<element_type>, Word const, Word>;

  __device__ static element_type* shifted(element_type* p, int bytes) {
    return reinterpret_cast<element_type*>(reinterpret_cast<byte*>(p) + bytes);
  }
  __device__ static word* words(element_type* p) { return reinterpret_cast<word*>(p); }
};

/// Where `SharesRows`, `cut.tokens` slots share one row.
template <bool SharesRows, class Word, class From, class To>
__device__ void move_slice(From const& from, To const& to, column_cut const& cut, int slice,
                           std::int32_t const* slots, int kept) {
  int const thread = static_cast<int>(threadIdx.x);
  int const own_word = slice * cut.slice_words + thread % cut.slice_words;
  int const word = own_word < cut.words ? own_word : cut.words - 1;
  int const piece = word / cut.words_per_piece;
  int const head = piece / cut.pieces_per_head;
  int const unit = piece % cut.pieces_per_head * cut.units_per_piece;
  int const offset = word % cut.words_per_piece * static_cast<int>(sizeof(Word));
  int const tokens = SharesRows ? cut.tokens : 1;
  int const rows = SharesRows ? (kept + tokens - 1) / tokens : kept;
  word_column<Word, From> const source(from, head, unit, offset);
  word_column<Word, To> const destination(to, head, unit, offset);
  move_rows<Word>(
      rows, thread / cut.slice_words, compact_threads / cut.slice_words, own_word < cut.words,
      [&](int row) {
        return load_streaming(source.at(SharesRows ? slots[row * tokens] / tokens : slots[row]));
      },
      [&](int row, Word const& value) { store_streaming(destination.at(row), value); });
}

/// An unsigned integer of so many bytes, a power of two.
template <int Bytes>
using bits_of_size =
    std::conditional_t<Bytes == 1, unsigned char,
                       std::conditional_t<Bytes == 2, unsigned short,
                                          std::conditional_t<Bytes == 4, unsigned, unsigned long long>>>;

template <bool SharesRows, class From, class To>
__device__ void move_plane_slice(From const& from, To const& to, column_cut const& cut, int slice,
                                 std::int32_t const* slots, int kept) {
  using element = typename To::element_type;
  constexpr int narrow = narrow_word_bytes<element>;
  constexpr int least = static_cast<int>(alignof(element));
  if (cut.word_bytes == wide_word_bytes) {
    move_slice<SharesRows, uint4>(from, to, cut, slice, slots, kept);
  } else if (least >= narrow || cut.word_bytes == narrow) {
    move_slice<SharesRows, bits_of_size<narrow>>(from, to, cut, slice, slots, kept);
  } else {
    move_slice<SharesRows, bits_of_size<least>>(from, to, cut, slice, slots, kept);
  }
}

/// Moves the slice if it is one of the plane's or of what moves along with it; else leaves the number that it
/// has among those that follow, and returns false.
template <bool SharesRows = false, class From, class To, class Cut>
__device__ bool move_if_own(From const& from, To const& to, Cut const& cut, int& slice,
                            std::int32_t const* slots, int kept) {
  if constexpr (!std::is_empty_v<Cut>) {
    if (slice < cut.own.slices) {
      move_plane_slice<SharesRows>(from, to, cut.own, slice, slots, kept);
      return true;
    }
    slice -= cut.own.slices;
    if constexpr (has_side_cut_v<Cut>) {
      constexpr bool shares = SharesRows || has_granularity_v<std::decay_t<decltype(accessor_of(from))>>;
      return move_if_own<shares>(accessor_of(from).side, accessor_of(to).side, cut.side, slice, slots, kept);
    }
  }
  return false;
}

template <class Item>
__global__ void __launch_bounds__(compact_threads, Item::blocks_per_multiprocessor)
    compact_kernel(compact_table<Item> const __grid_constant__ table) {
  auto const& item = table.items[blockIdx.z];
  int const kept = item.counts->kept;
  if (item.is_done(kept)) return;
  int slice = static_cast<int>(blockIdx.y);
  if (move_if_own(item.from_keys(), item.to_keys(), table.keys, slice, item.slots, kept)) return;
  if (move_if_own(item.from_values(), item.to_values(), table.values, slice, item.slots, kept)) return;
  std::int32_t const* const from = item.from_positions();
  std::int32_t* const to = item.to_positions();
  if (to == nullptr) return;
  std::int32_t const* const slots = item.slots;
  move_rows<std::int32_t>(
      kept, static_cast<int>(threadIdx.x), compact_threads, true,
      [&](int row) { return from != nullptr ? from[slots[row]] : slots[row]; },
      [&](int row, std::int32_t position) { to[row] = position; });
}

}  // namespace windowkv::detail
