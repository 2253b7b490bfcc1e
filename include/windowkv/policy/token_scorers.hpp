// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/token_scorers.hpp
/// How much a cached token matters: one float per (head, review token). There are four kinds, told apart by
/// their members:
///
///  - A fold over the attention that S suffix queries pay to a token, one per query head: it sees the softmax
///    probabilities, first row first, and returns the score. Backends own the loops, the softmax and the
///    memory; K is never repeated for grouped queries.
///  - The same over every query of the prompt that sees the token, for folds with `observes_prompt`; the
///  state
///    is a float then, so that O(N) memory does.
///  - A row scorer (policy/row_scorers.hpp) reads the cached rows, one score per KV head.
///  - `external_scores`: the engine supplies them.
///
/// A fold over suffix rows whose score is a weighted sum of the probabilities may say so with
/// `float weight(int row, int rows) const`: backends that find it may add in any order, and need not hold the
/// probabilities of a token together.

#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/policy/fold.hpp"
#include "windowkv/policy/row_scorers.hpp"
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
  float decay = 0.6f;

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

/// Mean over the suffix queries plus `gamma` times the variance over them (with n - 1): CAKE's eviction
/// indicator (arXiv 2503.12491, eq. 10; gamma 200 in its code). One query has no variance.
struct mean_variance_attention {
  float gamma = 200.f;

  struct state_type {
    float count;
    float mean;
    float squares;  // sum of squared distances from the mean so far (Welford)
  };
  WINDOWKV_HD state_type init() const { return {0.f, 0.f, 0.f}; }
  WINDOWKV_HD void add(state_type& state, float probability) const {
    state.count += 1.f;
    float const distance = probability - state.mean;
    state.mean += distance / state.count;
    state.squares += distance * (probability - state.mean);
  }
  WINDOWKV_HD float finish(state_type const& state, int rows) const {
    return state.mean + (rows > 1 ? gamma * (state.squares / (state.count - 1.f)) : 0.f);
  }
};

/// Sum of the attention of every query that sees the token (H2O, arXiv 2306.14048; KVCache-Factory's form:
/// after prefill, all rows of the causal softmax).
struct accumulated_attention {
  static constexpr bool observes_prompt = true;
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const { state += probability; }
  WINDOWKV_HD float finish(state_type const& state, int /*rows*/) const { return state; }
};

/// Mean attention of the queries that see the token (kvpress' ObservedAttention): does not favour tokens that
/// have been there longer.
struct observed_attention {
  static constexpr bool observes_prompt = true;
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const { state += probability; }
  WINDOWKV_HD float finish(state_type const& state, int rows) const {
    return state / static_cast<float>(rows);
  }
};

/// The engine supplies the token scores (`token_scores`, compression.hpp); queries and keys are never read
/// and need no workspace. `heads` is the number of score rows per layer, 0 for one per query head.
struct external_scores {
  int heads = 0;
};

namespace detail {

template <class T, class = void>
struct observes_prompt : std::false_type {};
template <class T>
struct observes_prompt<T, std::enable_if_t<T::observes_prompt>>
    : std::bool_constant<std::is_same_v<typename T::state_type, float>> {};

template <class T, class = void>
struct is_weighted_sum : std::false_type {};
template <class T>
struct is_weighted_sum<T, std::void_t<decltype(float{std::declval<T const&>().weight(0, 1)})>> : is_fold<T> {
};

template <class T>
inline constexpr bool is_value_weighted_v = false;

}  // namespace detail

/// True if T folds attention probabilities into a token score.
template <class T>
inline constexpr bool is_attention_scorer_v = detail::is_fold<T>::value;

/// True if T folds the attention of all queries of the prompt, not of the suffix alone.
template <class T>
inline constexpr bool observes_prompt_v = std::conjunction_v<detail::is_fold<T>, detail::observes_prompt<T>>;

/// True if T's score is a weighted sum of the suffix probabilities.
template <class T>
inline constexpr bool is_weighted_sum_v = detail::is_weighted_sum<T>::value;

/// A fold's scores times what a row scorer gives for the token: value-aware weights, as in VATP (arXiv
/// 2406.12335: x ||V||_1, `value_norm`) and CriticalKV (arXiv 2502.03805: (score + 1e-4) x ||W_o V||_1,
/// `projected_value_norm`). Host and Thrust backends.
template <class Fold, class Weight>
struct value_weighted : Fold {
  static_assert(is_attention_scorer_v<Fold> && is_row_scorer_v<Weight>,
                "windowkv: value_weighted multiplies an attention fold by a row scorer");
  Weight weight_of{};
  float epsilon = 0.f;  ///< added to the fold's score first

  value_weighted() = default;
  WINDOWKV_HD value_weighted(Fold fold, Weight weight, float added = 0.f)
      : Fold(fold), weight_of(weight), epsilon(added) {}

  /// Hides the fold's: a product with another factor for every token is no weighted sum.
  void weight(int row, int rows) const = delete;
};
namespace detail {
template <class Fold, class Weight>
inline constexpr bool is_value_weighted_v<value_weighted<Fold, Weight>> = true;
}  // namespace detail

/// True if T is any token scorer.
template <class T>
inline constexpr bool is_token_scorer_v =
    is_attention_scorer_v<T> || is_row_scorer_v<T> || std::is_same_v<T, external_scores>;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept token_scorer = is_token_scorer_v<T>;
#endif

}  // namespace windowkv
