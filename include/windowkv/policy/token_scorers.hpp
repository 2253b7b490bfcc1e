// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/token_scorers.hpp
/// How much a cached token matters to the end of the prompt: one float per (query head, review token).
///
/// A token scorer is a fold over the S suffix rows of one (query head, token): it sees the softmax
/// probability with which each suffix query attends to the token, first row first, and returns the token's
/// score. Backends own the loops, the softmax and the memory; K is never repeated for grouped queries.
///
/// A scorer whose score is a weighted sum of the probabilities may say so with
/// `float weight(int row, int rows) const`: backends that find it may add in any order, and need not hold the
/// probabilities of a token together.

#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/policy/fold.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Sum of the attention probabilities of the suffix queries (WindowKV, SnapKV): paper, eq. 2.
struct suffix_attention {
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const { state += probability; }
  WINDOWKV_HD float finish(state_type const& state, int /*rows*/) const { return state; }
  WINDOWKV_HD float weight(int /*row*/, int /*rows*/) const { return 1.f; }
};

/// The same sum, later rows first in weight: the last suffix query counts 1, the one before it `decay`, then
/// decay^2 and so on. What the next tokens will attend to resembles what the last query attends to more than
/// what the first of the suffix does; measured in docs/paper.md. decay = 1 is `suffix_attention`, 0 the last
/// query alone.
struct recent_attention {
  float decay = 0.8f;

  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const { state = state * decay + probability; }
  WINDOWKV_HD float finish(state_type const& state, int /*rows*/) const { return state; }
  WINDOWKV_HD float weight(int row, int rows) const {
    float product = 1.f;
    for (int i = row + 1; i < rows; ++i) product *= decay;
    return product;
  }
  status validate() const {
    if (decay >= 0.f && decay <= 1.f) return {};
    return status::failure(status_code::invalid_argument, "recent_attention.decay", "must lie in [0, 1]");
  }
};

/// The engine supplies the token scores (`token_scores`, compression.hpp); queries and keys are never read
/// and need no workspace. `heads` is the number of score rows per layer, 0 for one per query head.
struct external_scores {
  int heads = 0;
};

/// True if T folds suffix probabilities into a token score.
template <class T>
inline constexpr bool is_attention_scorer_v = detail::is_fold<T>::value;

namespace detail {
template <class T, class = void>
struct is_weighted_sum : std::false_type {};
template <class T>
struct is_weighted_sum<T, std::void_t<decltype(float{std::declval<T const&>().weight(0, 1)})>> : is_fold<T> {
};
}  // namespace detail

/// True if T's score is a weighted sum of the suffix probabilities.
template <class T>
inline constexpr bool is_weighted_sum_v = detail::is_weighted_sum<T>::value;

/// True if T is any token scorer: an attention fold, or `external_scores`.
template <class T>
inline constexpr bool is_token_scorer_v = is_attention_scorer_v<T> || std::is_same_v<T, external_scores>;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept token_scorer = is_token_scorer_v<T>;
#endif

}  // namespace windowkv
