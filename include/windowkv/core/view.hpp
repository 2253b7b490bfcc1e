// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/view.hpp
/// Views of memory that the engine owns: a *layout* says where an element is (core/layout.hpp), an *accessor*
/// how it reads as a float (core/accessor.hpp), a *plane* joins the two for one role (keys, values, queries)
/// of one layer, and a `kv_view` is the keys and the values of one layer of one sequence. Views are small
/// values; they own nothing.

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/accessor.hpp"
#include "windowkv/core/half.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Where memory lives. Part of a view's type: a device view handed to the host backend does not compile.
enum class memory_space { host, device };

/// One tensor role of one layer of one sequence: `slots` rows of `heads` x `head_dim` numbers.
/// For queries a slot is a suffix row and the heads are query heads.
template <class Layout, class Accessor, memory_space Space = memory_space::host>
struct plane {
  using layout_type = Layout;
  using accessor_type = Accessor;
  using element_type = typename Accessor::element_type;
  static constexpr memory_space space = Space;
  static constexpr int dims_per_element = detail::dims_per_element_v<Accessor>;

  element_type* data = nullptr;
  int slots = 0;  ///< rows that may be addressed (capacity)
  int heads = 0;
  int head_dim = 0;  ///< in numbers; of opaque elements, in elements
  Layout layout{};
  Accessor accessor{};

  /// Elements of one head of one slot.
  WINDOWKV_HD int units() const { return head_dim / dims_per_element; }

  WINDOWKV_HD element_type* address(std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return layout.address(data, slot, head, unit);
  }
  WINDOWKV_HD float load(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return accessor.load(*address(slot, head, dim / dims_per_element), slot, head, dim);
  }
  /// Bytes of one row over all heads, with its share of what moves along.
  std::int64_t row_bytes() const {
    std::int64_t const own = std::int64_t{heads} * units() * std::int64_t{sizeof(element_type)};
    if constexpr (detail::has_side_v<Accessor>) return own + accessor.side.row_bytes() / granularity();
    return own;
  }
  /// Consecutive slots that must stay together.
  int granularity() const {
    if constexpr (detail::has_granularity_v<Accessor>) return accessor.granularity();
    return 1;
  }
};

template <class T, memory_space Space = memory_space::host>
using dense_plane = plane<dense_layout, element_accessor<T>, Space>;

/// Plane with any layout and accessor.
template <memory_space Space = memory_space::host, class Layout, class Accessor>
plane<Layout, Accessor, Space> make_plane(typename Accessor::element_type* data, int slots, int heads,
                                          int head_dim, Layout const& layout, Accessor const& accessor) {
  return {data, slots, heads, head_dim, layout, accessor};
}

/// Plane over [slot][head][dim] memory (NHD: llama.cpp rows, SGLang, vLLM pages).
template <class T>
dense_plane<T> slot_head_dim(T* data, int slots, int heads, int head_dim) {
  std::int64_t const units = head_dim / dense_plane<T>::dims_per_element;
  return {data, slots, heads, head_dim, dense_layout{heads * units, units, 1}, {}};
}

/// Plane over [head][slot][dim] memory (HND: PyTorch's [B, H, N, D] for one sequence).
template <class T>
dense_plane<T> head_slot_dim(T* data, int slots, int heads, int head_dim) {
  std::int64_t const units = head_dim / dense_plane<T>::dims_per_element;
  return {data, slots, heads, head_dim, dense_layout{units, slots * units, 1}, {}};
}

/// Plane over [head][dim][slot] memory (values stored transposed: llama.cpp without flash attention).
template <class T>
dense_plane<T> head_dim_slot(T* data, int slots, int heads, int head_dim) {
  std::int64_t const n = slots;
  return {data, slots, heads, head_dim, dense_layout{1, head_dim / dense_plane<T>::dims_per_element * n, n},
          {}};
}

/// Plane with any strides (in elements).
template <class T>
dense_plane<T> strided(T* data, int slots, int heads, int head_dim, dense_layout strides) {
  return {data, slots, heads, head_dim, strides, {}};
}

/// Plane over a pool of [page][slot of the page][head][dim] memory and one sequence's page table.
/// For other pages, `make_plane` with a `paged_layout`.
template <class T, class Index>
plane<paged_layout<dense_layout, Index>, element_accessor<T>> paged(T* pool, std::int64_t pool_pages,
                                                                    int page_size, int heads, int head_dim,
                                                                    Index const* pages, int entries,
                                                                    int slots) {
  auto const in_page = slot_head_dim(pool, page_size, heads, head_dim).layout;
  return {pool,
          slots,
          heads,
          head_dim,
          {pages, entries, page_size, page_size * in_page.slot_stride, pool_pages, in_page},
          {}};
}

/// Plane over a pool of [slot][head][dim] rows of which the sequence has those listed [slots] (SGLang).
template <class T, class Index>
plane<paged_layout<dense_layout, Index>, element_accessor<T>> listed_slots(T* pool, std::int64_t pool_slots,
                                                                           int heads, int head_dim,
                                                                           Index const* list, int slots) {
  return paged(pool, pool_slots, 1, heads, head_dim, list, slots, slots);
}

/// The plane, its elements read times `scale`.
template <class Layout, class T, memory_space Space>
plane<Layout, scaled_accessor<T>, Space> with_scale(plane<Layout, element_accessor<T>, Space> const& p,
                                                    float scale) {
  return {p.data, p.slots, p.heads, p.head_dim, p.layout, {scale}};
}

/// The plane, its elements read times the scales of their token: `scales` has the same slots, as many heads
/// or 1, and a head_dim that divides D. The scales move along with the elements.
template <class Layout, class T, memory_space Space, class SidePlane>
plane<Layout, token_scaled_accessor<T, SidePlane>, Space> with_scales(
    plane<Layout, element_accessor<T>, Space> const& p, SidePlane const& scales) {
  static_assert(SidePlane::space == Space, "windowkv: the scales must be in the memory space of the plane");
  return {p.data,     p.slots,  p.heads,
          p.head_dim, p.layout, {scales, scales.head_dim > 0 ? p.head_dim / scales.head_dim : 1}};
}

/// The plane, its elements read times a scale per channel that `tokens` consecutive slots share: `scales` has
/// slots / tokens slots (rounded up), the same heads and D. Such slots stay or go together.
template <class Layout, class T, memory_space Space, class SidePlane>
plane<Layout, channel_scaled_accessor<T, SidePlane>, Space> with_channel_scales(
    plane<Layout, element_accessor<T>, Space> const& p, SidePlane const& scales, int tokens) {
  static_assert(SidePlane::space == Space, "windowkv: the scales must be in the memory space of the plane");
  return {p.data, p.slots, p.heads, p.head_dim, p.layout, {scales, tokens}};
}

/// The same plane, where its pointer is to device memory: `in_device_memory(slot_head_dim(keys, ...))`.
template <class Layout, class Accessor>
plane<Layout, Accessor, memory_space::device> in_device_memory(plane<Layout, Accessor> const& p) {
  return {p.data, p.slots, p.heads, p.head_dim, p.layout, p.accessor};
}

/// How the cached keys carry their positions.
enum class key_rotation {
  stored,        ///< rotated (RoPE) before they were stored: slots may move freely. Nearly every engine.
  at_attention,  ///< rotated by slot when attended to: moving a slot moves its position. Refused unless the
                 ///< view carries `positions` for the engine to rotate by.
};

/// Stands for values that do not exist: caches with one plane per layer (MLA latents).
template <memory_space Space = memory_space::host>
struct no_plane {
  using element_type = unsigned char;
  static constexpr memory_space space = Space;

  std::int64_t row_bytes() const { return 0; }
};
template <class Plane>
inline constexpr bool is_absent_v = false;
template <memory_space Space>
inline constexpr bool is_absent_v<no_plane<Space>> = true;

/// The cache of one layer of one sequence. Keys and values may differ in everything but the number of heads;
/// `kv_view{keys}` is a cache of one plane.
template <class KeyPlane, class ValuePlane = no_plane<KeyPlane::space>>
struct kv_view {
  using key_plane = KeyPlane;
  using value_plane = ValuePlane;

  KeyPlane keys;
  ValuePlane values{};
  /// Original position of every slot [slots], moved along with the rows; null where slot = position.
  std::int32_t* positions = nullptr;
  key_rotation rotation = key_rotation::stored;
  /// The first slots that others read, too (a shared prefix): they are never written. Compaction in place is
  /// refused where it would; copies and page-table edits are what such a cache allows.
  int shared_slots = 0;
};
template <class KeyPlane>
kv_view(KeyPlane) -> kv_view<KeyPlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane) -> kv_view<KeyPlane, ValuePlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane, std::int32_t*) -> kv_view<KeyPlane, ValuePlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane, std::int32_t*, key_rotation) -> kv_view<KeyPlane, ValuePlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane, std::int32_t*, key_rotation, int) -> kv_view<KeyPlane, ValuePlane>;

namespace detail {

/// How messages call the parts of a plane.
struct plane_names {
  char const* data;
  char const* slots;
  char const* heads;
  char const* head_dim;
};
inline constexpr plane_names key_names{"keys.data", "keys.slots", "keys.heads", "keys.head_dim"};
inline constexpr plane_names value_names{"values.data", "values.slots", "values.heads", "values.head_dim"};
inline constexpr plane_names query_names{"queries.data", "queries.slots", "queries.heads",
                                         "queries.head_dim"};
inline constexpr plane_names scale_names{"scales.data", "scales.slots", "scales.heads", "scales.head_dim"};

template <class Plane>
status validate_plane(Plane const& p, plane_names const& names) {
  using element = typename Plane::element_type;
  if constexpr (has_base_v<typename Plane::layout_type>) {
    WINDOWKV_TRY(require_not_null(names.data, p.data));
    WINDOWKV_TRY(require_aligned(names.data, p.data, alignof(element)));
  }
  WINDOWKV_TRY(require_at_least(names.slots, p.slots, 1));
  WINDOWKV_TRY(require_at_least(names.heads, p.heads, 1));
  WINDOWKV_TRY(require_at_least(names.head_dim, p.head_dim, 1));
  WINDOWKV_TRY(require(p.head_dim % Plane::dims_per_element == 0, names.head_dim, p.head_dim,
                       "must be a multiple of the numbers in an element,", Plane::dims_per_element));
  WINDOWKV_TRY(p.layout.validate(p.slots, p.heads, p.units(), std::int64_t{sizeof(element)}));
  if constexpr (has_table_v<typename Plane::layout_type> && Plane::space == memory_space::host) {
    WINDOWKV_TRY(p.layout.validate_table(p.slots, static_cast<int>(alignof(element))));
  }
  if constexpr (has_side_v<typename Plane::accessor_type>) {
    auto const& side = p.accessor.side;
    int const tokens = p.granularity();
    WINDOWKV_TRY(require_at_least("granularity (tokens that share a scale)", tokens, 1));
    WINDOWKV_TRY(validate_plane(side, scale_names));
    WINDOWKV_TRY(require_at_least(scale_names.slots, side.slots, pages_of(p.slots, tokens)));
    if (side.heads != 1 || has_granularity_v<typename Plane::accessor_type>) {
      WINDOWKV_TRY(require_equal(scale_names.heads, side.heads, p.heads));
    }
    WINDOWKV_TRY(require(p.head_dim % side.head_dim == 0, scale_names.head_dim, side.head_dim,
                         "must divide the head dimension", p.head_dim));
    if constexpr (has_granularity_v<typename Plane::accessor_type>) {
      WINDOWKV_TRY(require_equal(scale_names.head_dim, side.head_dim, p.head_dim));
    }
  }
  return {};
}

/// Which memory a plane views: planes of several layers with the same one share storage.
struct storage_identity {
  void const* data = nullptr;
  void const* table = nullptr;
  std::int64_t offset = 0;

  friend bool operator==(storage_identity const& a, storage_identity const& b) {
    return a.data == b.data && a.table == b.table && a.offset == b.offset;
  }
};
template <class Plane>
storage_identity identity_of(Plane const& p) {
  if constexpr (is_absent_v<Plane>) {
    return {};
  } else if constexpr (has_table_v<typename Plane::layout_type>) {
    return {p.data, p.layout.table(), p.layout.table_offset()};
  } else {
    return {p.data, nullptr, 0};
  }
}

}  // namespace detail
}  // namespace windowkv
