// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/method.hpp
/// A method bundles one policy of each kind. Two are named: what the authors' code keeps, and what we would
/// run. Every part can be exchanged: `default_method().with_budget(2048).with_window_scorer(my_scorer{})`.

#include <cstdint>

#include "windowkv/policy/budgets.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/layer_groupings.hpp"
#include "windowkv/policy/poolings.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/policy/tasks.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/policy/window_groupings.hpp"
#include "windowkv/policy/window_scorers.hpp"

namespace windowkv {

/// Where the heads that share a list merge. For linear rules (no pooling, window_mean) and means both give
/// the same.
enum class head_merge : std::uint8_t {
  at_windows,  ///< every head pools and scores the windows, then those scores merge (paper)
  at_tokens,   ///< the token scores merge first, then pooling and windows
};

/// How the scores of heads that share a list become one. NaN ranks below every number.
enum class head_reduction : std::uint8_t { mean, maximum, sum };

/// How the token scores of a group's scoring layers become one.
enum class layer_merge : std::uint8_t {
  first,  ///< the first scoring layer alone: no other layer is read
  mean,
  maximum,  ///< a fact that any layer looks for stays; NaN ranks below every number
};

/// How the prompt's tokens become window scores, for one task. Of what a scorer yields per head, the heads
/// that share a list of kept tokens (`head_sharing`) are merged.
template <class TokenScorer, class Pooling, class WindowGrouping, class WindowScorer>
struct scoring {
  static_assert(
      is_token_scorer_v<TokenScorer>,
      "windowkv: TokenScorer must fold attention probabilities (state_type, init, add, finish), score "
      "cached rows (score), or be external_scores (see policy/token_scorers.hpp)");
  static_assert(is_pooling_v<Pooling>,
                "windowkv: Pooling must have after, before, state_type, init, add and finish (see "
                "policy/poolings.hpp)");
  static_assert(is_window_grouping_v<WindowGrouping>,
                "windowkv: WindowGrouping must have count, begin, end, nominal_tokens and validate "
                "(see policy/window_groupings.hpp)");
  static_assert(
      is_window_scorer_v<WindowScorer>,
      "windowkv: WindowScorer must have state_type, init, add and finish (see policy/window_scorers.hpp)");

  /// S: the last queries of the prompt, which observe it; their own tokens always stay. Scorers that observe
  /// the whole prompt, or no queries, may do with 0.
  int suffix = 16;
  TokenScorer token_scorer{};
  Pooling pooling{};
  WindowGrouping windows{};
  WindowScorer window_scorer{};
  head_merge heads = head_merge::at_windows;
  layer_merge layers = layer_merge::first;
  head_reduction reduction = head_reduction::mean;

  template <class Other>
  constexpr auto with_token_scorer(Other other) const {
    return scoring<Other, Pooling, WindowGrouping, WindowScorer>{suffix,        other, pooling, windows,
                                                                 window_scorer, heads, layers,  reduction};
  }
  template <class Other>
  constexpr auto with_pooling(Other other) const {
    return scoring<TokenScorer, Other, WindowGrouping, WindowScorer>{
        suffix, token_scorer, other, windows, window_scorer, heads, layers, reduction};
  }
  template <class Other>
  constexpr auto with_windows(Other other) const {
    return scoring<TokenScorer, Pooling, Other, WindowScorer>{
        suffix, token_scorer, pooling, other, window_scorer, heads, layers, reduction};
  }
  template <class Other>
  constexpr auto with_window_scorer(Other other) const {
    return scoring<TokenScorer, Pooling, WindowGrouping, Other>{suffix, token_scorer, pooling, windows,
                                                                other,  heads,        layers,  reduction};
  }
  constexpr scoring with_layers(layer_merge merge) const {
    scoring changed = *this;
    changed.layers = merge;
    return changed;
  }
  constexpr scoring with_heads(head_merge where, head_reduction how = head_reduction::mean) const {
    scoring changed = *this;
    changed.heads = where;
    changed.reduction = how;
    return changed;
  }
};

/// The whole method. `Localization` and `Aggregation` are `scoring`s; the prompt's task picks one at run
/// time.
template <class Localization, class Aggregation, class Budget, class LayerGrouping, class Selector,
          class HeadSharing = all_heads>
struct method {
  static_assert(
      is_budget_v<Budget>,
      "windowkv: Budget must have counts_suffix and allocate(request, out) (see policy/budgets.hpp)");
  static_assert(is_layer_grouping_v<LayerGrouping>,
                "windowkv: LayerGrouping must have group_of, scores, scoring and validate "
                "(see policy/layer_groupings.hpp)");
  static_assert(is_selector_v<Selector>,
                "windowkv: Selector must have rule, sinks, protects, in_ranges and validate (see "
                "policy/selectors.hpp)");
  static_assert(is_head_sharing_v<HeadSharing>,
                "windowkv: HeadSharing must be all_heads or each_kv_head (see policy/head_sharing.hpp)");

  using head_sharing_type = HeadSharing;

  Localization localization{};
  Aggregation aggregation{};
  Budget budget{};
  LayerGrouping layer_grouping{};
  Selector selector{};
  int tokens_per_layer = 1024;  ///< C: tokens kept per layer, the mean over layers
  HeadSharing head_sharing{};

  /// C, with the budget's shape as it is.
  constexpr method with_budget(int tokens) const {
    method changed = *this;
    changed.tokens_per_layer = tokens;
    return changed;
  }
  /// S, for both tasks.
  constexpr method with_suffix(int tokens) const {
    method changed = *this;
    changed.localization.suffix = tokens;
    changed.aggregation.suffix = tokens;
    return changed;
  }
  template <class Other>
  constexpr auto with_localization(Other other) const {
    return method<Other, Aggregation, Budget, LayerGrouping, Selector, HeadSharing>{
        other, aggregation, budget, layer_grouping, selector, tokens_per_layer, head_sharing};
  }
  template <class Other>
  constexpr auto with_aggregation(Other other) const {
    return method<Localization, Other, Budget, LayerGrouping, Selector, HeadSharing>{
        localization, other, budget, layer_grouping, selector, tokens_per_layer, head_sharing};
  }
  /// The shape of the budget over layer groups.
  template <class Other>
  constexpr auto with_budget_shape(Other other) const {
    return method<Localization, Aggregation, Other, LayerGrouping, Selector, HeadSharing>{
        localization, aggregation, other, layer_grouping, selector, tokens_per_layer, head_sharing};
  }
  template <class Other>
  constexpr auto with_layer_grouping(Other other) const {
    return method<Localization, Aggregation, Budget, Other, Selector, HeadSharing>{
        localization, aggregation, budget, other, selector, tokens_per_layer, head_sharing};
  }
  template <class Other>
  constexpr auto with_selector(Other other) const {
    return method<Localization, Aggregation, Budget, LayerGrouping, Other, HeadSharing>{
        localization, aggregation, budget, layer_grouping, other, tokens_per_layer, head_sharing};
  }
  /// Which KV heads share a list of kept tokens.
  template <class Other>
  constexpr auto with_head_sharing(Other other) const {
    return method<Localization, Aggregation, Budget, LayerGrouping, Selector, Other>{
        localization, aggregation, budget, layer_grouping, selector, tokens_per_layer, other};
  }
  /// The same token scorer for both tasks.
  template <class Other>
  constexpr auto with_token_scorer(Other other) const {
    return with_localization(localization.with_token_scorer(other))
        .with_aggregation(aggregation.with_token_scorer(other));
  }
  /// The same window grouping for both tasks.
  template <class Other>
  constexpr auto with_windows(Other other) const {
    return with_localization(localization.with_windows(other))
        .with_aggregation(aggregation.with_windows(other));
  }
  /// The same window scorer for both tasks.
  template <class Other>
  constexpr auto with_window_scorer(Other other) const {
    return with_localization(localization.with_window_scorer(other))
        .with_aggregation(aggregation.with_window_scorer(other));
  }
};

/// What the authors' code keeps (arXiv 2503.17922; defaults of its scripts): windows of 8; localization
/// scores them by the mean of each head's best 4 tokens over the last 32 queries, aggregation by the mean
/// over the last 16; the first of every 8 layers selects for all; an arithmetic budget series that does not
/// count the suffix; whole windows are dropped. C is 2048 as in the paper's main table.
inline auto paper_method(int window = 8) {
  using localization = scoring<suffix_attention, no_pooling, fixed_windows, window_top_mean>;
  using aggregation = scoring<suffix_attention, no_pooling, fixed_windows, window_mean>;
  return method<localization, aggregation, arithmetic_budget, uniform_groups, top_windows>{
      localization{32, {}, {}, {window}, {window / 2}, head_merge::at_windows, layer_merge::first},
      aggregation{16, {}, {}, {window}, {}, head_merge::at_windows, layer_merge::first},
      arithmetic_budget{},
      uniform_groups{},
      top_windows{fill::drop_whole_windows, 0, nullptr, 0},
      2048};
}

/// What we would run: the paper's idea without its two cliffs, and with exact sums.
///  - Localization keeps *anchored* windows: a token stays when an attention peak stands at most 7 tokens
///  before
///    it, so a fact is never cut by a grid. Aggregation keeps single tokens.
///  - The last 8 queries observe, later ones count more, by 0.6 per row. (Prompts that end in more than a few
///    tokens of template, the same for every prompt, may want `with_suffix(16)`.)
///  - Every layer of a group votes (maximum for localization, mean for aggregation) instead of the first
///  alone.
///  - The budget counts the suffix and sums to exactly L x C over the layers, in the paper's shape: the last
///  group
///    gets 8/14 of the mean. The first 4 tokens (attention sinks) stay.
inline auto default_method(int layers_per_group = 8) {
  using localization = scoring<recent_attention, max_pooling, fixed_windows, window_mean>;
  using aggregation = scoring<recent_attention, no_pooling, fixed_windows, window_mean>;
  constexpr int paper_beta = 14;
  constexpr int paper_layers_per_group = 8;
  int const beta = (paper_beta * layers_per_group + paper_layers_per_group / 2) / paper_layers_per_group;
  return method<localization, aggregation, exact_budget<arithmetic_budget>, uniform_groups, top_windows>{
      localization{8, {}, {7, 0}, {1}, {}, head_merge::at_tokens, layer_merge::maximum},
      aggregation{8, {}, {}, {1}, {}, head_merge::at_tokens, layer_merge::mean},
      exact_budget<arithmetic_budget>{arithmetic_budget{beta > 1 ? beta : 1}, true},
      uniform_groups{layers_per_group, scoring_layers::all},
      top_windows{fill::within_budget, 4, nullptr, 0},
      1024};
}

}  // namespace windowkv
