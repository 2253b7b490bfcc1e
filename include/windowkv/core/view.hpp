// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/view.hpp
/// Views of memory that the engine owns: a *layout* says where an element is, an *accessor* how it reads as a
/// float, a *plane* joins the two for one role (keys, values, queries) of one layer, and a `kv_view` is the
/// keys and the values of one layer of one sequence. Views are small values; they own nothing.

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Where memory lives. Part of a view's type: a device view handed to the host backend does not compile.
enum class memory_space { host, device };

/// Element offset = slot * slot_stride + head * head_stride + dim * dim_stride (strides in elements,
/// positive). [slot][head][dim], [head][slot][dim] and a transposed [head][dim][slot] are all just strides.
struct dense_layout {
  std::int64_t slot_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t dim_stride = 0;

  WINDOWKV_HD std::int64_t operator()(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return slot * slot_stride + head * head_stride + dim * dim_stride;
  }

  /// Refuses strides that are not positive, that make two elements share an address, or that overflow.
  status validate(int slots, int heads, int head_dim, std::int64_t element_bytes) const;
};

/// Reads an element of type T (float, float16 or bfloat16) as a float.
template <class T>
struct element_accessor {
  using element_type = T;
  WINDOWKV_HD float load(T const* data, std::int64_t offset) const {
    return static_cast<float>(data[offset]);
  }
};

/// One tensor role of one layer of one sequence: `slots` rows of `heads` x `head_dim` elements.
/// For queries a slot is a suffix row and the heads are query heads.
template <class Layout, class Accessor, memory_space Space = memory_space::host>
struct plane {
  using layout_type = Layout;
  using accessor_type = Accessor;
  using element_type = typename Accessor::element_type;
  static constexpr memory_space space = Space;

  element_type* data = nullptr;
  int slots = 0;  ///< rows that may be addressed (capacity)
  int heads = 0;
  int head_dim = 0;
  Layout layout{};
  Accessor accessor{};

  WINDOWKV_HD element_type* address(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return data + layout(slot, head, dim);
  }
  WINDOWKV_HD float load(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return accessor.load(data, layout(slot, head, dim));
  }
  /// Bytes of one row over all heads.
  std::int64_t row_bytes() const {
    return std::int64_t{heads} * head_dim * std::int64_t{sizeof(element_type)};
  }
};

template <class T, memory_space Space = memory_space::host>
using dense_plane = plane<dense_layout, element_accessor<T>, Space>;

/// Plane over [slot][head][dim] memory (NHD: llama.cpp rows, SGLang, vLLM pages).
template <class T>
dense_plane<T> slot_head_dim(T* data, int slots, int heads, int head_dim) {
  std::int64_t const d = head_dim;
  return {data, slots, heads, head_dim, dense_layout{heads * d, d, 1}, {}};
}

/// Plane over [head][slot][dim] memory (HND: PyTorch's [B, H, N, D] for one sequence).
template <class T>
dense_plane<T> head_slot_dim(T* data, int slots, int heads, int head_dim) {
  std::int64_t const d = head_dim;
  return {data, slots, heads, head_dim, dense_layout{d, slots * d, 1}, {}};
}

/// Plane over [head][dim][slot] memory (values stored transposed: llama.cpp without flash attention).
template <class T>
dense_plane<T> head_dim_slot(T* data, int slots, int heads, int head_dim) {
  std::int64_t const n = slots;
  return {data, slots, heads, head_dim, dense_layout{1, head_dim * n, n}, {}};
}

/// Plane with any strides (in elements).
template <class T>
dense_plane<T> strided(T* data, int slots, int heads, int head_dim, dense_layout strides) {
  return {data, slots, heads, head_dim, strides, {}};
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

/// The cache of one layer of one sequence. Keys and values may differ in everything but the number of heads.
template <class KeyPlane, class ValuePlane>
struct kv_view {
  using key_plane = KeyPlane;
  using value_plane = ValuePlane;

  KeyPlane keys;
  ValuePlane values;
  /// Original position of every slot [slots], moved along with the rows; null where slot = position.
  std::int32_t* positions = nullptr;
  key_rotation rotation = key_rotation::stored;
};
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane) -> kv_view<KeyPlane, ValuePlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane, std::int32_t*) -> kv_view<KeyPlane, ValuePlane>;
template <class KeyPlane, class ValuePlane>
kv_view(KeyPlane, ValuePlane, std::int32_t*, key_rotation) -> kv_view<KeyPlane, ValuePlane>;

namespace detail {

struct extent_and_stride {
  std::int64_t extent;
  std::int64_t stride;
};

template <class Plane>
status validate_plane(Plane const& p, char const* data_name, char const* slots_name, char const* heads_name,
                      char const* head_dim_name) {
  WINDOWKV_TRY(require_not_null(data_name, p.data));
  WINDOWKV_TRY(require_at_least(slots_name, p.slots, 1));
  WINDOWKV_TRY(require_at_least(heads_name, p.heads, 1));
  WINDOWKV_TRY(require_at_least(head_dim_name, p.head_dim, 1));
  WINDOWKV_TRY(require_aligned(data_name, p.data, alignof(typename Plane::element_type)));
  return p.layout.validate(p.slots, p.heads, p.head_dim, std::int64_t{sizeof(typename Plane::element_type)});
}

}  // namespace detail

inline status dense_layout::validate(int slots, int heads, int head_dim, std::int64_t element_bytes) const {
  WINDOWKV_TRY(detail::require_at_least("layout.slot_stride", slot_stride, 1));
  WINDOWKV_TRY(detail::require_at_least("layout.head_stride", head_stride, 1));
  WINDOWKV_TRY(detail::require_at_least("layout.dim_stride", dim_stride, 1));
  detail::extent_and_stride axes[3] = {{slots, slot_stride}, {heads, head_stride}, {head_dim, dim_stride}};
  for (int i = 1; i < 3; ++i) {  // insertion sort by stride, innermost first
    for (int j = i; j > 0 && axes[j].stride < axes[j - 1].stride; --j) {
      auto const swapped = axes[j];
      axes[j] = axes[j - 1];
      axes[j - 1] = swapped;
    }
  }
  std::int64_t const most = INT64_MAX / element_bytes;
  std::int64_t span = 1;  // elements from the first to behind the last of the axes seen so far
  for (auto const& axis : axes) {
    if (axis.extent == 1) continue;  // an axis of one element never steps
    if (axis.stride < span) {
      return status::failure(status_code::invalid_argument, "layout (elements overlap): stride", axis.stride,
                             "must be at least", span);
    }
    if (axis.stride > (most - span) / (axis.extent - 1)) {
      return status::failure(status_code::invalid_argument, "layout (offset overflows): stride", axis.stride,
                             "must be at most", (most - span) / (axis.extent - 1));
    }
    span += (axis.extent - 1) * axis.stride;
  }
  return {};
}

}  // namespace windowkv
