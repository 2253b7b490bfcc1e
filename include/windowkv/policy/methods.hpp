// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/methods.hpp
/// Published methods by name, each a short expression of the library's parts, with the settings of its paper
/// or code. All choose single tokens, layer by layer, as many in each, both tasks alike, unless they say
/// otherwise. C counts the suffix; set it with `with_budget`. Every part can be exchanged, as with
/// `paper_method()` and `default_method()` (policy/method.hpp).
///
/// Methods that score cached rows alone (`streaming_llm`, `key_norm`, `key_diff`, `lag_kv`, `random_tokens`)
/// need `no_queries`; `tova` and the SnapKV family the queries of the suffix; `h2o` and `expected_attention`
/// those of the whole prompt.

#include <cstdint>

#include "windowkv/policy/budgets.hpp"
#include "windowkv/policy/expected_attention.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/lag_relative.hpp"
#include "windowkv/policy/layer_groupings.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/policy/poolings.hpp"
#include "windowkv/policy/preferences.hpp"
#include "windowkv/policy/pyramid_budgets.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/policy/window_groupings.hpp"
#include "windowkv/policy/window_scorers.hpp"

namespace windowkv {
namespace detail {

/// Single tokens, layer by layer, the same for both tasks; heads that share a list merge by their mean.
template <class TokenScorer, class HeadSharing, class Pooling = no_pooling>
auto token_method(int suffix, TokenScorer scorer, HeadSharing sharing, Pooling pooling = {}, int sinks = 0) {
  using scoring_type = scoring<TokenScorer, Pooling, fixed_windows, window_mean>;
  scoring_type const both{suffix, scorer, pooling, {1}, {}, head_merge::at_tokens, layer_merge::first};
  return method<scoring_type, scoring_type, uniform_budget, no_sharing, top_windows, HeadSharing>{
      both, both, {}, {}, top_windows{fill::within_budget, sinks, nullptr, 0}, 1024, sharing};
}

}  // namespace detail

/// SnapKV (arXiv 2404.14469): the attention of the last 32 queries, maximum over 7 tokens, a list for each KV
/// head. The settings are those of the paper's runs; the class its authors released averages instead, over 5
/// tokens (`average_pooling{2, 2, true}`).
inline auto snapkv() {
  return detail::token_method(32, suffix_attention{}, each_kv_head<>{}, max_pooling{3, 3});
}

/// H2O (arXiv 2306.14048), after the prefill: the tokens that all queries together attended to most, and the
/// most recent ones. 8 of those as KVCache-Factory runs it; the paper spends half of C on them
/// (`with_suffix(C / 2)`).
inline auto h2o() { return detail::token_method(8, accumulated_attention{}, each_kv_head<>{}); }

/// StreamingLLM (arXiv 2309.17453): 4 attention sinks and the most recent tokens, whatever they say.
inline auto streaming_llm() { return detail::token_method(0, recency{}, all_heads{}, no_pooling{}, 4); }

/// PyramidKV (arXiv 2406.02069): SnapKV's scores, more tokens for lower layers. Suffix and kernel as in
/// KVCache-Factory, its authors' code.
inline auto pyramid_kv() { return snapkv().with_suffix(8).with_budget_shape(pyramid_budget{}); }

/// TOVA (arXiv 2401.06104): the attention of the last query alone, one list for all heads.
inline auto tova() { return detail::token_method(1, suffix_attention{}, all_heads{}); }

/// AdaKV (arXiv 2407.11550): SnapKV's scores, the heads of a layer compete for its tokens; a fifth of an even
/// share is sure for each.
inline auto ada_kv() { return snapkv().with_head_sharing(each_kv_head<adaptive_heads>{{0.2}}); }

/// ChunkKV (arXiv 2502.00299): chunks of consecutive tokens by the attention of the last 8 queries, one list
/// for all heads. The paper also reuses a layer's list in the `layers_per_group` - 1 layers above it.
inline auto chunk_kv(int chunk = 10, int layers_per_group = 1) {
  auto const base = detail::token_method(8, suffix_attention{}, all_heads{});
  auto const chunks = base.localization.with_windows(fixed_windows{chunk})
                          .with_heads(head_merge::at_tokens, head_reduction::sum);
  return base.with_localization(chunks).with_aggregation(chunks).with_layer_grouping(
      uniform_groups{layers_per_group});
}

/// Small keys first (arXiv 2406.11430, L2Norm). The paper leaves the first two layers whole:
/// `with_layer_grouping(uniform_groups{1, scoring_layers::first, evictable})`.
inline auto key_norm() { return detail::token_method(0, inverse_key_norm{}, each_kv_head<>{}); }

/// KeyDiff (arXiv 2504.15364): keys that differ from the average key.
inline auto key_diff() { return detail::token_method(0, key_dissimilarity{}, each_kv_head<>{}); }

/// LagKV (arXiv 2504.04704): keys and values that stand out against the 128 tokens behind them. 4 sinks.
inline auto lag_kv() {
  return detail::token_method(0, lag_relative{}, each_kv_head<>{}, no_pooling{}, lag_relative{}.sinks);
}

/// Expected Attention (arXiv 2510.00636): what the queries to come, a normal distribution fitted to the
/// prompt's, will attend to. 4 sinks. The source must hold the prompt's queries BEFORE RoPE, unlike anywhere
/// else.
inline auto expected_attention() {
  return detail::token_method(0, expected_future_attention{}, each_kv_head<>{}, no_pooling{},
                              expected_future_attention{}.sinks);
}

/// CAKE (arXiv 2503.12491): mean plus 200 times the variance of the attention of the last 32 queries, average
/// over 5 tokens, and budgets in proportion to `preferences` (host memory [layers], read by make_plan only),
/// which are measured first (policy/preferences.hpp). L * C tokens exactly.
inline auto cake(float const* preferences, int layers) {
  return detail::token_method(32, mean_variance_attention{200.f}, each_kv_head<>{},
                              average_pooling{2, 2, true})
      .with_budget_shape(exact_budget<preference_budget>{{preferences, layers}, true});
}

/// Measures what `cake` needs to know of every layer: as token scorer a statistic, `attention_entropy` or
/// `attention_variance`, for `layer_statistic`. Its selections mean nothing.
template <class Statistic>
auto cake_statistic(Statistic statistic) {
  return detail::token_method(32, statistic, all_heads{}).with_budget(1);
}

/// SnapKV with dice for scores: the suffix stays, of the rest any tokens, others for each layer and KV head.
/// What a method must beat before its scores mean anything.
inline auto random_tokens(std::uint32_t seed = 1) {
  return detail::token_method(32, random_order{seed}, each_kv_head<>{});
}

}  // namespace windowkv
