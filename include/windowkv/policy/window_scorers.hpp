// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/window_scorers.hpp
/// A window scorer folds the token scores of one window, lowest token first, into one score: `init()`,
/// `add(state, score)`, `finish(state, tokens)`. The order is fixed, so a scorer gives the same bits
/// everywhere.

#include "windowkv/config.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/policy/fold.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Mean over the window's tokens: the paper's rule for aggregation ("average").
struct window_mean {
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float score) const { state += score; }
  WINDOWKV_HD float finish(state_type const& state, int tokens) const {
    return state / static_cast<float>(tokens);
  }
};

/// Mean over the window's `top` best tokens (all of them in a shorter window): the paper's rule for
/// localization
/// ("max") with top = W / 2. NaN ranks below every number. With top = 0 every window scores NaN, as the
/// authors' code does for W = 1; `paper_method` alone uses that.
struct window_top_mean {
  static constexpr int max_top = 64;
  static constexpr int max_few = 4;
  int top = 4;

  struct state_type {
    float few[max_few];   // the best, descending, while `top` is small: device code keeps them in registers
    float many[max_top];  // likewise, otherwise
    int kept;
  };
  WINDOWKV_HD state_type init() const {
    state_type state;
    for (float& score : state.few) score = 0.f;
    state.kept = 0;
    return state;
  }
  WINDOWKV_HD void add(state_type& state, float score) const {
    if (top <= max_few) {
      add_to_few(state, score);
    } else {
      add_to_many(state, score);
    }
  }
  WINDOWKV_HD float finish(state_type const& state, int /*tokens*/) const {
    float sum = 0.f;
    if (top <= max_few) {
      WINDOWKV_UNROLL
      for (int i = 0; i < max_few; ++i) {
        if (i < state.kept) sum += state.few[i];
      }
    } else {
      for (int i = 0; i < state.kept; ++i) sum += state.many[i];
    }
    return sum / static_cast<float>(state.kept);
  }
  status validate() const {
    WINDOWKV_TRY(detail::require_at_least("window_top_mean.top", top, 0));
    return detail::require_at_most("window_top_mean.top", top, max_top);
  }

 private:
  /// Lets the score sink to its place, with constant indices only.
  WINDOWKV_HD void add_to_few(state_type& state, float score) const {
    bool const grows = state.kept < top;
    if (grows) ++state.kept;
    WINDOWKV_UNROLL
    for (int i = 0; i < max_few; ++i) {
      bool const is_empty = grows && i + 1 == state.kept;
      if (i < state.kept && (is_empty || ranks_above(score, state.few[i]))) {
        float const sinks = state.few[i];
        state.few[i] = score;
        score = sinks;
      }
    }
  }
  WINDOWKV_HD void add_to_many(state_type& state, float score) const {
    if (state.kept == top) {
      if (!ranks_above(score, state.many[top - 1])) return;
      --state.kept;
    }
    int i = state.kept++;
    for (; i > 0 && ranks_above(score, state.many[i - 1]); --i) state.many[i] = state.many[i - 1];
    state.many[i] = score;
  }
};

template <class T>
inline constexpr bool is_window_scorer_v = detail::is_fold<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept window_scorer = is_window_scorer_v<T>;
#endif

}  // namespace windowkv
