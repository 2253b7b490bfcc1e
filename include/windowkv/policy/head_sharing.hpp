// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/head_sharing.hpp
/// Which KV heads of a layer keep the same tokens: all of them (one list), or each its own (a list per KV
/// head; an engine that stores a K and a V row per query head gets a list per query head by saying so in its
/// `model_shape`). Where each has its own list, a head budget says how many tokens each keeps.
///
/// A head budget is one of two kinds:
///  - fixed: `tokens(group, list, even)` is what a list keeps of the review part when an even share is `even`
///    tokens; `validate(groups, lists)` refuses a table that does not fit.
///  - adaptive: the lists of a group compete. `reserve(even)` tokens are sure for each list. For the rest the
///    windows of all lists rank together, their scores times `weight(best, all)` (sums of the list's window
///    scores: of those within an even share, and of all). A list that `won` tokens, its reserve included,
///    gets `share(won, even)`; with `is_exact` the shares are rounded so that they sum to lists * even,
///    otherwise each to the nearest, halves to even. `validate()` refuses bad settings.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Every list keeps as much as the others.
struct equal_heads {
  WINDOWKV_HD int tokens(int /*group*/, int /*list*/, int even) const { return even; }
  status validate(int /*groups*/, int /*lists*/) const { return {}; }
};

/// The caller's own counts, tokens of the review part, as HeadKV's offline head scores give them (arXiv
/// 2410.19258). What exceeds the review part is not passed on.
struct table_heads {
  std::int32_t const* counts = nullptr;  ///< host memory [groups][lists], must outlive the plan
  int groups = 0;
  int lists = 0;

  int tokens(int group, int list, int /*even*/) const { return counts[std::int64_t{group} * lists + list]; }
  status validate(int plan_groups, int plan_lists) const {
    WINDOWKV_TRY(detail::require_not_null("table_heads.counts", counts));
    WINDOWKV_TRY(detail::require_equal("table_heads.groups", groups, plan_groups));
    WINDOWKV_TRY(detail::require_equal("table_heads.lists", lists, plan_lists));
    for (std::int64_t i = 0; i < std::int64_t{groups} * lists; ++i) {
      WINDOWKV_TRY(detail::require_at_least("table_heads.counts", counts[i], 0));
    }
    return {};
  }
};

/// AdaKV (arXiv 2407.11550, algorithm 1): heads win tokens in a common ranking; `floor` of the even share is
/// sure for each. With `normalize` a head's scores count times the share of its mass that an even budget
/// would keep (KVCache-Factory, AdaKV's code). `is_exact` false rounds every head for itself, as both codes
/// do: then the sum may be off by some tokens.
struct adaptive_heads {
  double floor = 0.2;  ///< a double, as the codes round what they multiply by it
  bool normalize = false;
  bool is_exact = true;

  WINDOWKV_HD int reserve(int /*even*/) const { return 0; }
  WINDOWKV_HD double weight(double best, double all) const { return normalize && all > 0 ? best / all : 1.; }
  WINDOWKV_HD double share(int won, int even) const {
    return won * (1. - floor) + static_cast<int>(even * floor);
  }
  status validate() const {
    if (floor >= 0. && floor <= 1.) return {};
    return status::failure(status_code::invalid_argument, "adaptive_heads.floor", "must lie in [0, 1]");
  }
};

/// The same idea as kvpress has it: the best `safe` of an even share stay in every head, the other tokens of
/// all heads compete for what is left.
struct safeguarded_heads {
  double safe = 0.2;  ///< likewise a double
  static constexpr bool is_exact = true;

  WINDOWKV_HD int reserve(int even) const { return static_cast<int>(even * safe); }
  WINDOWKV_HD double weight(double /*best*/, double /*all*/) const { return 1.; }
  WINDOWKV_HD double share(int won, int /*even*/) const { return won; }
  status validate() const {
    if (safe >= 0. && safe <= 1.) return {};
    return status::failure(status_code::invalid_argument, "safeguarded_heads.safe", "must lie in [0, 1]");
  }
};

namespace detail {
template <class T, class = void>
struct is_fixed_head_budget : std::false_type {};
template <class T>
struct is_fixed_head_budget<T, std::void_t<decltype(int{std::declval<T const&>().tokens(0, 0, 0)}),
                                           decltype(status{std::declval<T const&>().validate(0, 0)})>>
    : std::is_trivially_copyable<T> {};
template <class T, class = void>
struct is_adaptive_head_budget : std::false_type {};
template <class T>
struct is_adaptive_head_budget<T, std::void_t<decltype(int{std::declval<T const&>().reserve(0)}),
                                              decltype(double{std::declval<T const&>().weight(0., 0.)}),
                                              decltype(double{std::declval<T const&>().share(0, 0)}),
                                              decltype(bool{std::declval<T const&>().is_exact}),
                                              decltype(status{std::declval<T const&>().validate()})>>
    : std::is_trivially_copyable<T> {};
}  // namespace detail

template <class T>
inline constexpr bool is_adaptive_head_budget_v = detail::is_adaptive_head_budget<T>::value;
template <class T>
inline constexpr bool is_head_budget_v =
    detail::is_fixed_head_budget<T>::value || is_adaptive_head_budget_v<T>;

/// One list of kept tokens for all heads of a layer (WindowKV, ChunkKV, TOVA).
struct all_heads {
  using head_budget_type = equal_heads;
  static constexpr bool per_kv_head = false;
  equal_heads budget{};
};

/// A list for each KV head (SnapKV on grouped queries, AdaKV, key-based scores).
template <class HeadBudget = equal_heads>
struct each_kv_head {
  static_assert(is_head_budget_v<HeadBudget>,
                "windowkv: HeadBudget must have tokens and validate, or reserve, weight, share, is_exact and "
                "validate (see policy/head_sharing.hpp)");
  using head_budget_type = HeadBudget;
  static constexpr bool per_kv_head = true;
  HeadBudget budget{};
};
template <class HeadBudget>
each_kv_head(HeadBudget) -> each_kv_head<HeadBudget>;
each_kv_head()->each_kv_head<equal_heads>;

namespace detail {
template <class T>
inline constexpr bool is_each_kv_head_v = false;
template <class HeadBudget>
inline constexpr bool is_each_kv_head_v<each_kv_head<HeadBudget>> = true;
}  // namespace detail

template <class T>
inline constexpr bool is_head_sharing_v = std::is_same_v<T, all_heads> || detail::is_each_kv_head_v<T>;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept head_budget = is_head_budget_v<T>;
template <class T>
concept head_sharing = is_head_sharing_v<T>;
#endif

}  // namespace windowkv
