// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/selectors.hpp
/// A selector decides how far down the ranking windows stay, and which windows stay whatever they score.
/// What stays is always the head of one ranking (core/rank.hpp), so a larger budget only adds windows.
///
/// Optionally a selector stops earlier: with `bool is_enough(double kept, double all, int tokens) const` no
/// window stays behind the first point of the ranking at which it is true, for the mass that the kept
/// windows hold, the mass of all windows, and the kept tokens. Once true it must stay true. Mass is the sum
/// of token scores, which are not negative then.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// How a budget of tokens becomes a number of windows.
enum class fill : std::uint8_t {
  /// Keep from the best while the next window fits: never more tokens than the budget.
  within_budget,
  /// Drop from the worst until the dropped windows, each counted at its nominal width, make up for R -
  /// budget.
  /// The authors' rule; a short last window can leave up to W - 1 tokens more than the budget.
  drop_whole_windows,
};

/// Tokens [begin, end) of the prompt.
struct token_range {
  std::int32_t begin = 0;
  std::int32_t end = 0;
};

/// The best windows of one ranking. Above all others rank the windows that hold a token of `ranges` (they
/// always stay: make_plan refuses a budget that cannot hold them), then those that hold one of the first
/// `sinks` tokens (they stay as far as the budget reaches).
struct top_windows {
  fill rule = fill::within_budget;
  int sinks = 0;
  token_range const* ranges = nullptr;  ///< host memory [range_count], must outlive the plan
  int range_count = 0;
  token_range const* device_ranges = nullptr;  ///< the same in device memory, for backends that work there

  /// The selector as device code may read it.
  top_windows on_device() const { return {rule, sinks, device_ranges, range_count, device_ranges}; }
  status validate_on_device() const {
    if (range_count == 0) return {};
    return detail::require_not_null("top_windows.device_ranges", device_ranges);
  }

  WINDOWKV_HD bool in_ranges(int begin, int end) const {
    for (int i = 0; i < range_count; ++i) {
      if (ranges[i].begin < ranges[i].end && begin < ranges[i].end && ranges[i].begin < end) return true;
    }
    return false;
  }
  WINDOWKV_HD bool protects(int begin, int end) const { return begin < sinks || in_ranges(begin, end); }

  status validate(int tokens) const {
    WINDOWKV_TRY(detail::require_at_least("top_windows.sinks", sinks, 0));
    WINDOWKV_TRY(detail::require_at_least("top_windows.range_count", range_count, 0));
    if (range_count > 0) WINDOWKV_TRY(detail::require_not_null("top_windows.ranges", ranges));
    for (int i = 0; i < range_count; ++i) {
      WINDOWKV_TRY(detail::require_at_least("top_windows.ranges.begin", ranges[i].begin, 0));
      WINDOWKV_TRY(detail::require_at_least("top_windows.ranges.end", ranges[i].end, ranges[i].begin));
      WINDOWKV_TRY(detail::require_at_most("top_windows.ranges.end", ranges[i].end, tokens));
    }
    return {};
  }
};

/// The fewest windows that hold `share` of the mass of the token scores, the best first: between `least`
/// tokens (of the review part) and the budget, which is the ceiling. Protected windows as in `top_windows`.
/// How much stays depends on the prompt: little where attention is concentrated.
struct top_mass : top_windows {
  float share = 0.95f;
  int least = 0;

  WINDOWKV_HD bool is_enough(double kept, double all, int tokens) const {
    return tokens >= least && kept >= static_cast<double>(share) * all;
  }
  top_mass on_device() const {
    top_mass there = *this;
    there.ranges = device_ranges;
    return there;
  }
  status validate(int tokens) const {
    if (!(share >= 0.f && share <= 1.f)) {
      return status::failure(status_code::invalid_argument, "top_mass.share", "must lie in [0, 1]");
    }
    WINDOWKV_TRY(detail::require_at_least("top_mass.least", least, 0));
    return top_windows::validate(tokens);
  }
};

namespace detail {
template <class T, class = void>
struct stops_early : std::false_type {};
template <class T>
struct stops_early<T, std::void_t<decltype(bool{std::declval<T const&>().is_enough(0., 0., 0)})>>
    : std::true_type {};

template <class T, class = void>
struct is_selector : std::false_type {};
template <class T>
struct is_selector<T, std::void_t<decltype(fill{std::declval<T const&>().rule}),
                                  decltype(int{std::declval<T const&>().sinks}),
                                  decltype(bool{std::declval<T const&>().protects(0, 1)}),
                                  decltype(bool{std::declval<T const&>().in_ranges(0, 1)}),
                                  decltype(status{std::declval<T const&>().validate(0)})>>
    : std::is_trivially_copyable<T> {};
}  // namespace detail

/// True if T may stop before the budget is spent.
template <class T>
inline constexpr bool stops_early_v = detail::stops_early<T>::value;

template <class T>
inline constexpr bool is_selector_v = detail::is_selector<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept selector = is_selector_v<T>;
#endif

}  // namespace windowkv
