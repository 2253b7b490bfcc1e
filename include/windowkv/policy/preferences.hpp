// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/preferences.hpp
/// Budgets by measured need (CAKE, arXiv 2503.12491): a layer whose suffix attends to many tokens, and to
/// others from query to query, prefers a larger cache. First measure, then plan:
///
///     auto entropy = make_plan(cake_statistic(attention_entropy{}), shape, request);
///     auto variance = make_plan(cake_statistic(attention_variance{}), shape, request);
///     for every layer, with one workspace for both:
///       auto run = begin(*entropy, memory);
///       score(on, *run, layer, queries, kv);
///       double const e = layer_statistic(*run, layer);   // and v from the other plan likewise
///       preferences[layer] = cake_preference(e, v);
///     auto plan = make_plan(cake(preferences, layers).with_budget(C), shape, request);
///
/// `cake_statistic` and `cake` are in policy/methods.hpp. All of it is per prompt; preferences that were
/// averaged over prompts do as well, and cost nothing when it counts.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/policy/budgets.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// What a token adds to the entropy of the suffix queries' attention: the sum of -p log(p + 1e-10). A layer's
/// statistic is the sum over the review tokens and query heads; large where attention is spread out.
struct attention_entropy {
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const {
    state -= probability * std::log(probability + 1e-10f);
  }
  WINDOWKV_HD float finish(state_type const& state, int /*rows*/) const { return state; }
};

/// Variance over the suffix queries (with n - 1) of the attention to a token; 0 for one query. A layer's
/// statistic is the sum over the review tokens and query heads; large where attention shifts.
struct attention_variance {
  using state_type = mean_variance_attention::state_type;
  WINDOWKV_HD state_type init() const { return mean_variance_attention{}.init(); }
  WINDOWKV_HD void add(state_type& state, float probability) const {
    mean_variance_attention{}.add(state, probability);
  }
  WINDOWKV_HD float finish(state_type const& state, int rows) const {
    return rows > 1 ? state.squares / (state.count - 1.f) : 0.f;
  }
};

/// Sum of a layer's token scores over its review tokens and query heads, once the layer has scored. Host
/// backend; elsewhere sum `run.token_mass(group)`, which is the mean over the heads, where it lies.
template <class Run>
double layer_statistic(Run const& run, int layer) {
  auto const& p = run.plan();
  float const* const mass = run.token_mass(p.layer[layer].group);
  double sum = 0;
  for (int token = 0; token < p.review; ++token) sum += static_cast<double>(mass[token]);
  return sum * p.score_heads;
}

/// CAKE's preference of a layer, entropy^(1 / tau1) variance^(1 / tau2); its code tunes the
/// temperatures per model, 1 is neutral. Only the proportions between layers matter.
inline float cake_preference(double entropy, double variance, double tau1 = 1., double tau2 = 1.) {
  return static_cast<float>(std::pow(entropy, 1. / tau1) * std::pow(variance, 1. / tau2));
}

/// Tokens in proportion to measured preferences: every layer keeps the suffix, and of the other C - S tokens
/// per layer the share that its group's preference has of the sum over all layers. Each count is rounded for
/// itself; inside `exact_budget` the sum is exact, and what a layer cannot hold goes to the others.
struct preference_budget {
  float const* preferences = nullptr;  ///< of a layer of each group [groups]; host, read by make_plan only
  int groups = 0;
  static constexpr bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(detail::require_not_null("preference_budget.preferences", preferences));
    WINDOWKV_TRY(detail::require_equal("preference_budget.groups", groups, request.groups));
    double sum = 0;
    double layers = 0;
    for (int i = 0; i < groups; ++i) {
      if (!(preferences[i] >= 0.f && std::isfinite(preferences[i]))) {
        return status::failure(status_code::invalid_argument, "preference_budget.preferences: that of group",
                               i, "must be a finite number, not below 0; groups:", groups);
      }
      sum += static_cast<double>(preferences[i]) * request.group_layers[i];
      layers += request.group_layers[i];
    }
    if (!(sum > 0)) {
      return status::failure(status_code::invalid_argument, "preference_budget.preferences",
                             "must not all be 0");
    }
    int const suffix = request.suffix < request.tokens_per_layer ? request.suffix : request.tokens_per_layer;
    double const tokens = layers * (request.tokens_per_layer - suffix);
    for (int i = 0; i < groups; ++i) {
      double const count = suffix + std::nearbyint(tokens * static_cast<double>(preferences[i]) / sum);
      out[i] = static_cast<std::int32_t>(count < INT32_MAX ? count : INT32_MAX);
    }
    return {};
  }
};

}  // namespace windowkv
