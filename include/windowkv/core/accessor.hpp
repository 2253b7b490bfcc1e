// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/accessor.hpp
/// Accessors: how an element of memory reads as numbers. Only scoring reads; whatever has an `element_type`
/// can be moved. An accessor is a trivially copyable value with
///
///     using element_type
///     float load(element_type const& element, slot, head, dim) const   if it can be read; `dim` is the
///     head's
///
/// and, where they are not 1, `dims_per_element` (static) and `granularity()`: tokens that share something
/// and must stay together. An accessor with a `side` plane (scales) has it moved along with the elements.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

template <class T, class = void>
inline constexpr bool is_block_v = false;
template <class T>
inline constexpr bool is_block_v<T, std::void_t<decltype(float{std::declval<T const&>().load(0)})>> =
    T::dims >= 1;

template <class T, class = void>
inline constexpr int dims_of_v = 1;
template <class T>
inline constexpr int dims_of_v<T, std::void_t<decltype(T::dims)>> = T::dims;

template <class T>
inline constexpr bool is_number_v = std::is_constructible_v<float, T const&>;

/// The element's number for `dim` of the head.
template <class T>
WINDOWKV_HD float load_element(T const& element, std::int64_t dim) {
  if constexpr (is_block_v<T>) {
    return element.load(static_cast<int>(dim % T::dims));
  } else {
    return static_cast<float>(element);
  }
}

}  // namespace detail

/// Elements as they are: numbers (float, float16, bfloat16, float8_e4m3, ...), blocks that hold their own
/// scales (q8_0_block), or `opaque` ones, which can only be moved.
template <class T>
struct element_accessor {
  using element_type = T;
  static constexpr int dims_per_element = detail::dims_of_v<T>;

  template <class U = T, class = std::enable_if_t<detail::is_number_v<U> || detail::is_block_v<U>>>
  WINDOWKV_HD float load(U const& element, std::int64_t /*slot*/, std::int64_t /*head*/,
                         std::int64_t dim) const {
    return detail::load_element(element, dim);
  }
};

/// Elements times one scale for the whole tensor (fp8 with a scale per tensor).
template <class T>
struct scaled_accessor {
  using element_type = T;
  static constexpr int dims_per_element = detail::dims_of_v<T>;

  float scale = 1.f;

  WINDOWKV_HD float load(T const& element, std::int64_t /*slot*/, std::int64_t /*head*/,
                         std::int64_t dim) const {
    return detail::load_element(element, dim) * scale;
  }
  /// Elements are moved as they are, so where they go the scale must be the same.
  bool reads_like(scaled_accessor const& other) const { return scale == other.scale; }
};

/// Elements times a scale from a plane of its own, which is moved along: scales [slots][heads or 1][groups],
/// each for D / groups consecutive dims. `SidePlane` is any readable plane.
template <class T, class SidePlane>
struct token_scaled_accessor {
  using element_type = T;
  using side_plane = SidePlane;
  static constexpr int dims_per_element = detail::dims_of_v<T>;

  SidePlane side;
  int dims_per_scale = 1;

  WINDOWKV_HD float load(T const& element, std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return detail::load_element(element, dim) *
           side.load(slot, side.heads == 1 ? 0 : head, static_cast<std::int32_t>(dim) / dims_per_scale);
  }
};

/// Elements times a scale per channel that `tokens` consecutive slots share (KIVI's keys): scales
/// [slots / tokens, rounded up][heads][D]. Such slots can only stay or go together.
template <class T, class SidePlane>
struct channel_scaled_accessor {
  using element_type = T;
  using side_plane = SidePlane;
  static constexpr int dims_per_element = detail::dims_of_v<T>;

  SidePlane side;
  int tokens = 1;

  int granularity() const { return tokens; }
  WINDOWKV_HD float load(T const& element, std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return detail::load_element(element, dim) *
           side.load(static_cast<std::int32_t>(slot) / tokens, head, dim);
  }
};

namespace detail {

template <class Accessor, class = void>
inline constexpr int dims_per_element_v = 1;
template <class Accessor>
inline constexpr int dims_per_element_v<Accessor, std::void_t<decltype(Accessor::dims_per_element)>> =
    Accessor::dims_per_element;

template <class Accessor, class = void>
inline constexpr bool has_side_v = false;
template <class Accessor>
inline constexpr bool has_side_v<Accessor, std::void_t<typename Accessor::side_plane>> = true;

template <class Accessor, class = void>
inline constexpr bool has_granularity_v = false;
template <class Accessor>
inline constexpr bool
    has_granularity_v<Accessor, std::void_t<decltype(std::declval<Accessor const&>().granularity())>> = true;

template <class Accessor, class = void>
inline constexpr bool can_differ_v = false;
template <class Accessor>
inline constexpr bool can_differ_v<Accessor, std::void_t<decltype(std::declval<Accessor const&>().reads_like(
                                                 std::declval<Accessor const&>()))>> = true;

template <class Accessor, class = void>
inline constexpr bool is_readable = false;
template <class Accessor>
inline constexpr bool is_readable<Accessor, std::void_t<decltype(float{std::declval<Accessor const&>().load(
                                                std::declval<typename Accessor::element_type const&>(),
                                                std::int64_t{}, std::int64_t{}, std::int64_t{})})>> = true;

}  // namespace detail

/// True if elements read as numbers, so that keys can be scored.
template <class Accessor>
inline constexpr bool is_readable_v = detail::is_readable<Accessor>;

}  // namespace windowkv
