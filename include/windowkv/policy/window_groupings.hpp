// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/window_groupings.hpp
/// A window grouping cuts the review tokens [0, R) into ordered, non-empty windows that cover it:
/// `count(R)`, `begin(i, R)`, `end(i, R)`; `nominal_tokens(i, R)` is what dropping window i counts for in
/// `fill::drop_whole_windows`; `validate(R)` refuses a grouping that does not fit R.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Windows of `width` consecutive tokens (paper: 8); the last may be shorter. Width 1: single tokens.
struct fixed_windows {
  int width = 8;

  WINDOWKV_HD int count(int review) const { return review / width + (review % width != 0 ? 1 : 0); }
  WINDOWKV_HD int begin(int i, int /*review*/) const { return i * width; }
  WINDOWKV_HD int end(int i, int review) const {
    return review - i * width < width ? review : (i + 1) * width;
  }
  WINDOWKV_HD int nominal_tokens(int /*i*/, int /*review*/) const { return width; }
  status validate(int /*review*/) const {
    return detail::require_at_least("window_grouping.width", width, 1);
  }
};

/// Windows that start where the caller says: sentences, paragraphs, pages.
struct boundary_windows {
  /// First token of each window [windows], strictly ascending from 0; windows that start at or behind R are
  /// left out. Host memory, must outlive the plan.
  std::int32_t const* begins = nullptr;
  int windows = 0;
  /// The same numbers in device memory, for backends that work there.
  std::int32_t const* device_begins = nullptr;

  /// The grouping as device code may read it.
  boundary_windows on_device() const { return {device_begins, windows, device_begins}; }
  status validate_on_device() const {
    if (windows == 0) return {};
    return detail::require_not_null("boundary_windows.device_begins", device_begins);
  }

  WINDOWKV_HD int count(int review) const {
    int low = 0;
    int high = windows;
    while (low < high) {  // windows that start before the review ends
      int const middle = low + (high - low) / 2;
      if (begins[middle] < review) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
  WINDOWKV_HD int begin(int i, int /*review*/) const { return begins[i]; }
  WINDOWKV_HD int end(int i, int review) const {
    return i + 1 < windows && begins[i + 1] < review ? begins[i + 1] : review;
  }
  WINDOWKV_HD int nominal_tokens(int i, int review) const { return end(i, review) - begin(i, review); }
  status validate(int review) const {
    if (review == 0) return {};
    WINDOWKV_TRY(detail::require_not_null("boundary_windows.begins", begins));
    WINDOWKV_TRY(detail::require_at_least("boundary_windows.windows", windows, 1));
    WINDOWKV_TRY(detail::require_equal("boundary_windows.begins[0]", begins[0], 0));
    for (int i = 1; i < windows; ++i) {
      WINDOWKV_TRY(detail::require_at_least("boundary_windows.begins (ascending)", begins[i],
                                            std::int64_t{begins[i - 1]} + 1));
    }
    return {};
  }
};

namespace detail {
template <class T, class = void>
struct is_window_grouping : std::false_type {};
template <class T>
struct is_window_grouping<T, std::void_t<decltype(int{std::declval<T const&>().count(0)}),
                                         decltype(int{std::declval<T const&>().begin(0, 0)}),
                                         decltype(int{std::declval<T const&>().end(0, 0)}),
                                         decltype(int{std::declval<T const&>().nominal_tokens(0, 0)}),
                                         decltype(status{std::declval<T const&>().validate(0)})>>
    : std::is_trivially_copyable<T> {};
}  // namespace detail

template <class T>
inline constexpr bool is_window_grouping_v = detail::is_window_grouping<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept window_grouping = is_window_grouping_v<T>;
#endif

}  // namespace windowkv
