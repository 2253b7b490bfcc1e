// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/common.hpp
/// What the headers of the engines share. None of them includes a header of its engine: shapes, pointers and
/// tables come as numbers. Functions take the memory space as first template argument, host by default; with
/// `memory_space::device` tables are taken as they are, for the host cannot look at them.

#include <cstdint>

#include "windowkv/core/accessor.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/core/overlap.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop {

/// Order of the axes within a page, outermost first; D is innermost in both.
enum class axis_order : std::uint8_t {
  nhd,  ///< [token][head][dim]
  hnd,  ///< [head][token][dim]
};

/// Plane over pages that a table of int32_t or int64_t lists.
template <class T, memory_space Space, class Index = std::int32_t, class InPage = dense_layout>
using paged_plane = plane<paged_layout<InPage, Index>, element_accessor<T>, Space>;

template <class T, memory_space Space, class Index = std::int32_t>
using paged_view = kv_view<paged_plane<T, Space, Index>, paged_plane<T, Space, Index>>;

/// A cache of one plane.
template <class T, memory_space Space, class Index = std::int32_t>
using paged_latents = kv_view<paged_plane<T, Space, Index>>;

/// The cache, its keys and its values each read times a scale for the whole tensor: fp8, which engines
/// declare as uint8, is viewed as `float8_e4m3` or `float8_e5m2` (same bytes), then `scaled`.
template <class KeyLayout, class K, class ValueLayout, class V, memory_space Space>
kv_view<plane<KeyLayout, scaled_accessor<K>, Space>, plane<ValueLayout, scaled_accessor<V>, Space>> scaled(
    kv_view<plane<KeyLayout, element_accessor<K>, Space>,
            plane<ValueLayout, element_accessor<V>, Space>> const& kv,
    float key_scale, float value_scale) {
  return {with_scale(kv.keys, key_scale), with_scale(kv.values, value_scale), kv.positions, kv.rotation,
          kv.shared_slots};
}

namespace detail {

using windowkv::detail::require;
using windowkv::detail::require_at_least;
using windowkv::detail::require_at_most;
using windowkv::detail::require_equal;
using windowkv::detail::require_not_null;

/// Elements of `head_dim` numbers.
template <class T>
result<std::int64_t> units_of(char const* name, int head_dim) {
  constexpr int dims = windowkv::detail::dims_of_v<T>;
  WINDOWKV_TRY(require_at_least(name, head_dim, 1));
  WINDOWKV_TRY(require(head_dim % dims == 0, name, head_dim,
                       "must be a multiple of the numbers in an element,", dims));
  return std::int64_t{head_dim / dims};
}

/// Stride of the axis around one of `extent` steps of `stride`, where no offset overflows.
inline result<std::int64_t> around(char const* name, std::int64_t extent, std::int64_t stride) {
  WINDOWKV_TRY(require_at_least(name, extent, 1));
  WINDOWKV_TRY(require(extent <= INT64_MAX / 64 / stride, name, extent,
                       "overflows an offset: must be at most", INT64_MAX / 64 / stride));
  return extent * stride;
}

/// Strides of a page, and what it takes, with nothing between its elements.
struct page_layout {
  dense_layout in_page{};
  std::int64_t elements = 0;
};
struct page_names {
  char const* tokens;
  char const* heads;
};
inline result<page_layout> packed_page(axis_order order, int tokens, int heads, std::int64_t units,
                                       page_names const& names) {
  if (order == axis_order::nhd) {
    WINDOWKV_TRY_ASSIGN(slot, around(names.heads, heads, units));
    WINDOWKV_TRY_ASSIGN(page, around(names.tokens, tokens, slot));
    return page_layout{{slot, units, 1}, page};
  }
  WINDOWKV_TRY_ASSIGN(head, around(names.tokens, tokens, units));
  WINDOWKV_TRY_ASSIGN(page, around(names.heads, heads, head));
  return page_layout{{units, head, 1}, page};
}

/// The view, if nothing in it will be refused later.
template <class KeyPlane, class ValuePlane>
result<kv_view<KeyPlane, ValuePlane>> checked(kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(windowkv::detail::validate_plane(kv.keys, windowkv::detail::key_names));
  if constexpr (!is_absent_v<ValuePlane>) {
    WINDOWKV_TRY(windowkv::detail::validate_plane(kv.values, windowkv::detail::value_names));
    WINDOWKV_TRY(windowkv::detail::require_apart(kv.keys, kv.values, "keys and values"));
  }
  return kv;
}
template <class Layout, class Accessor, memory_space Space>
result<plane<Layout, Accessor, Space>> checked(plane<Layout, Accessor, Space> const& p,
                                               windowkv::detail::plane_names const& names) {
  WINDOWKV_TRY(windowkv::detail::validate_plane(p, names));
  return p;
}

}  // namespace detail
}  // namespace windowkv::interop
