// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/poolings.hpp
/// Token scores to token scores: pooled[j] folds the scores of [j - after, j + before] that lie in the review
/// part. A span may lean either way. Anchored windows are maximum pooling that looks back only (after = W -
/// 1, before = 0), followed by single tokens: a token stays when a peak stands at most W - 1 tokens before
/// it.

#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/policy/fold.hpp"

namespace windowkv {

/// Scores as they are.
struct no_pooling {
  static constexpr int after = 0;
  static constexpr int before = 0;
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float score) const { state = score; }
  WINDOWKV_HD float finish(state_type const& state, int /*tokens*/) const { return state; }
};

/// Largest score of the span; NaN only where every score of the span is NaN. SnapKV's pooling is the
/// symmetric case {k/2, k/2}.
struct max_pooling {
  int after = 0;   ///< tokens a peak reaches forward to
  int before = 0;  ///< tokens a peak reaches back to

  struct state_type {
    float largest;
    bool is_empty;
  };
  WINDOWKV_HD state_type init() const { return {0.f, true}; }
  WINDOWKV_HD void add(state_type& state, float score) const {
    if (state.is_empty || ranks_above(score, state.largest)) state = {score, false};
  }
  WINDOWKV_HD float finish(state_type const& state, int /*tokens*/) const { return state.largest; }
};

/// Mean over the span. At the edges the span is cut: the mean is over the tokens that exist, or, with
/// `zero_padded`, the sum is still divided by the full length (torch's avg_pool1d, as SnapKV uses it).
struct average_pooling {
  int after = 0;
  int before = 0;
  bool zero_padded = false;

  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float score) const { state += score; }
  WINDOWKV_HD float finish(state_type const& state, int tokens) const {
    return state / (zero_padded ? static_cast<float>(after) + static_cast<float>(before) + 1.f
                                : static_cast<float>(tokens));
  }
};

namespace detail {
template <class T, class = void>
struct is_pooling : std::false_type {};
template <class T>
struct is_pooling<T, std::void_t<decltype(int{std::declval<T const&>().after}),
                                 decltype(int{std::declval<T const&>().before})>> : is_fold<T> {};
}  // namespace detail

template <class T>
inline constexpr bool is_pooling_v = detail::is_pooling<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept pooling = is_pooling_v<T>;
#endif

}  // namespace windowkv
