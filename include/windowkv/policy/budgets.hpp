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
#include "windowkv/status.hpp"

namespace windowkv {

/// What a budget is made from.
struct budget_request {
  int tokens_per_layer = 0;  ///< C: the mean over layers
  int available = 0;         ///< tokens a layer has (N, or R when the suffix is not counted)
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

namespace detail {

/// Spreads `total` (a sum of whole tokens per layer) over the groups in proportion to `weights`, within
/// [least, most] each, so that the sum over layers is exact. Groups of unequal size make this an integer
/// puzzle: the tokens of each size class move in steps that both classes can pay, starting from the exact
/// uniform split.
void allocate_exactly(budget_request const& request, int tokens_per_layer, int least, int most,
                      std::int32_t const* weights, std::int32_t* out);

}  // namespace detail

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
    detail::allocate_exactly(request, mean, least, request.available, weights, out);
    return {};
  }
};
template <class Shape>
exact_budget(Shape) -> exact_budget<Shape>;

namespace detail {

template <class T, class = void>
struct is_budget : std::false_type {};
template <class T>
struct is_budget<T, std::void_t<decltype(bool{std::declval<T const&>().counts_suffix}),
                                decltype(status{std::declval<T const&>().allocate(
                                    std::declval<budget_request const&>(), std::declval<std::int32_t*>())})>>
    : std::is_trivially_copyable<T> {};

/// Real-valued counts in proportion to the weights, clamped, with the same sum over layers (water filling).
inline void fill_proportionally(budget_request const& request, int tokens_per_layer, int least, int most,
                                std::int32_t const* weights, double* target) {
  bool is_fixed[max_layers] = {};
  double remaining = 0;
  for (int i = 0; i < request.groups; ++i)
    remaining += double{1} * tokens_per_layer * request.group_layers[i];
  for (int round = 0; round <= request.groups; ++round) {
    double weight_sum = 0;
    double free_layers = 0;
    for (int i = 0; i < request.groups; ++i) {
      if (is_fixed[i]) continue;
      free_layers += request.group_layers[i];
      if (weights[i] > 0) weight_sum += double{1} * weights[i] * request.group_layers[i];
    }
    double excess = 0;  // above `most` minus below `least`: the sign says which clamp binds
    for (int i = 0; i < request.groups; ++i) {
      if (is_fixed[i]) continue;
      double const weight = weights[i] > 0 ? weights[i] : 0;
      target[i] = weight_sum > 0 ? remaining * weight / weight_sum : remaining / free_layers;
      if (target[i] > most) excess += (target[i] - most) * request.group_layers[i];
      if (target[i] < least) excess -= (least - target[i]) * request.group_layers[i];
    }
    bool any = false;
    for (int i = 0; i < request.groups; ++i) {
      if (is_fixed[i]) continue;
      bool const clamps = excess >= 0 ? target[i] > most : target[i] < least;
      if (!clamps) continue;
      target[i] = excess >= 0 ? most : least;
      remaining -= target[i] * request.group_layers[i];
      is_fixed[i] = true;
      any = true;
    }
    if (!any) break;
  }
  for (int i = 0; i < request.groups; ++i) {
    target[i] = target[i] < least ? least : target[i] > most ? most : target[i];
  }
}

inline std::int64_t greatest_common_divisor(std::int64_t a, std::int64_t b) {
  while (b != 0) {
    std::int64_t const remainder = a % b;
    a = b;
    b = remainder;
  }
  return a;
}

inline void allocate_exactly(budget_request const& request, int tokens_per_layer, int least, int most,
                             std::int32_t const* weights, std::int32_t* out) {
  auto const smaller = [](std::int64_t a, std::int64_t b) { return a < b ? a : b; };
  double target[max_layers] = {};
  fill_proportionally(request, tokens_per_layer, least, most, weights, target);

  struct size_class {
    int layers;  // of each of its groups
    int groups;
    double wanted;        // sum of the targets of its groups
    std::int64_t tokens;  // sum of the counts of its groups
  };
  size_class classes[max_layers] = {};
  int class_of[max_layers] = {};
  int class_count = 0;
  int main_class = 0;
  for (int i = 0; i < request.groups; ++i) {
    int c = 0;
    while (c < class_count && classes[c].layers != request.group_layers[i]) ++c;
    if (c == class_count) classes[class_count++] = {request.group_layers[i], 0, 0, 0};
    class_of[i] = c;
    classes[c].groups += 1;
    classes[c].wanted += target[i];
    classes[c].tokens += tokens_per_layer;
    if (classes[c].groups > classes[main_class].groups) main_class = c;
  }
  size_class& main = classes[main_class];
  for (int c = 0; c < class_count; ++c) {
    if (c == main_class) continue;
    size_class& other = classes[c];
    std::int64_t const divisor = greatest_common_divisor(main.layers, other.layers);
    std::int64_t const gained = main.layers / divisor;  // tokens `other` gains per step ...
    std::int64_t const paid = other.layers / divisor;   // ... and `main` pays
    std::int64_t const other_groups = other.groups;
    std::int64_t const main_groups = main.groups;
    std::int64_t const most_up =
        smaller((other_groups * most - other.tokens) / gained, (main.tokens - main_groups * least) / paid);
    std::int64_t const most_down =
        smaller((other.tokens - other_groups * least) / gained, (main_groups * most - main.tokens) / paid);
    double const ideal = (other.wanted - static_cast<double>(other.tokens)) / static_cast<double>(gained);
    auto const nearest = static_cast<std::int64_t>(ideal < 0 ? ideal - 0.5 : ideal + 0.5);
    std::int64_t const steps = nearest > most_up ? most_up : nearest < -most_down ? -most_down : nearest;
    other.tokens += steps * gained;
    main.tokens -= steps * paid;
  }

  for (int c = 0; c < class_count; ++c) {  // inside a class every token costs the same: largest remainder
    double const shift = (static_cast<double>(classes[c].tokens) - classes[c].wanted) / classes[c].groups;
    std::int64_t missing = classes[c].tokens;
    for (int i = 0; i < request.groups; ++i) {
      if (class_of[i] != c) continue;
      double const shifted = target[i] + shift;
      target[i] = shifted < least ? least : shifted > most ? most : shifted;
      out[i] = static_cast<std::int32_t>(target[i]);
      missing -= out[i];
    }
    while (missing != 0) {
      std::int64_t const sign = missing > 0 ? 1 : -1;
      auto const room = [&](int i) {
        return class_of[i] != c ? 0 : sign > 0 ? most - out[i] : out[i] - least;
      };
      int best = -1;
      std::int64_t takers = 0;
      for (int i = 0; i < request.groups; ++i) {
        if (room(i) == 0) continue;
        ++takers;
        double const lead = best < 0 ? 1 : (target[i] - out[i]) - (target[best] - out[best]);
        if (best < 0 || static_cast<double>(sign) * lead > 0) best = i;
      }
      std::int64_t const even = sign * missing / takers;  // more than one token each: clamps left much over
      for (int i = 0; i < request.groups && even > 0; ++i) {
        std::int64_t const share = smaller(room(i), even);
        out[i] += static_cast<std::int32_t>(sign * share);
        missing -= sign * share;
      }
      if (even > 0) continue;
      out[best] += static_cast<std::int32_t>(sign);
      missing -= sign;
    }
  }
}

}  // namespace detail

template <class T>
inline constexpr bool is_budget_v = detail::is_budget<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept budget = is_budget_v<T>;
#endif

}  // namespace windowkv
