// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/budgets.hpp
/// A budget says how many tokens every layer of each group keeps. Host only; from shape and configuration,
/// never from data. `allocate(request, out)` writes one count per group; `counts_suffix` says whether the
/// counts include the suffix. The paper's counts may be negative or exceed the prompt: make_plan gives both a
/// meaning.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/policy/detail/exact_allocation.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// What a budget is made from.
struct budget_request {
  int tokens_per_layer = 0;  ///< C: the mean over layers
  int available = 0;         ///< tokens a layer has (N, or R when the suffix is not counted)
  int suffix = 0;            ///< S: tokens at the end of the prompt that always stay
  int minimum = 0;           ///< tokens that always stay (suffix and protected tokens) as far as counted
  int groups = 0;            ///< G
  int layers_per_group = 0;  ///< g: layers of the largest group
  std::int32_t const* group_layers = nullptr;  ///< layers of each group [G]
};

/// Every layer keeps C tokens.
struct uniform_budget {
  bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    for (int i = 0; i < request.groups; ++i) out[i] = request.tokens_per_layer;
    return {};
  }
};

/// The authors' arithmetic series over groups, exactly (paper, eq. 6-8; the suffix is not counted): the last
/// group gets floor(C g / beta), the first 2C - last, group i first - i * step with
/// step = floor((first - last) / (G - 1)). One group gets C (the original divides by zero).
struct arithmetic_budget {
  int beta = 14;
  bool counts_suffix = false;

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(detail::require_at_least("arithmetic_budget.beta", beta, 1));
    std::int64_t const c = request.tokens_per_layer;
    std::int64_t const last = c * request.layers_per_group / beta;
    std::int64_t const first = 2 * c - last;
    WINDOWKV_TRY(detail::require_at_most("arithmetic_budget: tokens of the last group", last, INT32_MAX));
    WINDOWKV_TRY(detail::require_at_least("arithmetic_budget: tokens of the first group", first, INT32_MIN));
    if (request.groups == 1) {
      out[0] = request.tokens_per_layer;
      return {};
    }
    std::int64_t const gaps = request.groups - 1;
    std::int64_t const difference = first - last;
    std::int64_t const step =
        difference / gaps - (difference % gaps < 0 ? 1 : 0);  // rounds towards -infinity
    for (int i = 0; i < request.groups; ++i) {
      std::int64_t const count = first - i * step;
      out[i] = static_cast<std::int32_t>(count < INT32_MAX ? count : INT32_MAX);
    }
    out[request.groups - 1] = static_cast<std::int32_t>(last);
    return {};
  }
};

/// The caller's own counts, one per group.
struct table_budget {
  std::int32_t const* tokens = nullptr;  ///< host memory [groups], read by make_plan only
  int groups = 0;
  bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(detail::require_not_null("table_budget.tokens", tokens));
    WINDOWKV_TRY(detail::require_equal("table_budget.groups", groups, request.groups));
    for (int i = 0; i < groups; ++i) out[i] = tokens[i];
    return {};
  }
};

/// Any budget's shape with an exact sum: the counts of `Shape` become weights, every count is clamped to
/// [minimum, available], what a clamp takes away is handed to the other groups, and the sum over all layers
/// is exactly L * min(C, available) (largest remainder).
template <class Shape>
struct exact_budget {
  Shape shape{};
  bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    std::int32_t weights[max_layers] = {};
    WINDOWKV_TRY(shape.allocate(request, weights));
    int const mean =
        request.tokens_per_layer < request.available ? request.tokens_per_layer : request.available;
    int const least = request.minimum < mean ? request.minimum : mean;
    detail::allocate_exactly({request.groups, request.group_layers, weights, mean, least, request.available},
                             out);
    return {};
  }
};
template <class Shape>
exact_budget(Shape) -> exact_budget<Shape>;

/// Any budget's largest count for every group: one count for all layers, which engines need whose layers
/// share their slots or their lengths (`engine_tier`). There a layer costs the largest count whatever it
/// keeps itself, so that what the other groups give up saves no memory; here they keep it. The mean over
/// layers is then no longer C but the largest count: with the arithmetic series nearly 2C, with
/// `uniform_budget`, which spends C everywhere, just C.
template <class Shape>
struct padded_budget {
  Shape shape{};
  bool counts_suffix = shape.counts_suffix;  ///< the counts stay what the shape means by them

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(shape.allocate(request, out));
    std::int32_t largest = INT32_MIN;
    for (int i = 0; i < request.groups; ++i) largest = out[i] > largest ? out[i] : largest;
    for (int i = 0; i < request.groups; ++i) out[i] = largest;
    return {};
  }
};
template <class Shape>
padded_budget(Shape) -> padded_budget<Shape>;

namespace detail {

template <class T, class = void>
struct is_budget : std::false_type {};
template <class T>
struct is_budget<T, std::void_t<decltype(bool{std::declval<T const&>().counts_suffix}),
                                decltype(status{std::declval<T const&>().allocate(
                                    std::declval<budget_request const&>(), std::declval<std::int32_t*>())})>>
    : std::is_trivially_copyable<T> {};

}  // namespace detail

template <class T>
inline constexpr bool is_budget_v = detail::is_budget<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept budget = is_budget_v<T>;
#endif

}  // namespace windowkv
