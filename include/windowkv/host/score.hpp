// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/score.hpp
/// Stage 1 on the host: token scores of one layer, merged into its group's score buffer.

#include <cstdint>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/host/detail/suffix_scores.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// What remains to be done for `layer`: false if it does not score, an error if it may not score now.
template <class Method>
result<bool> must_score(compression<Method> const& run, int layer) {
  using access = compression_access;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(require_at_least("layer", layer, 0));
  WINDOWKV_TRY(require_at_most("layer", layer, std::int64_t{p.shape.layers} - 1));
  int const g = p.layer[layer].group;
  if (g < 0 || p.layer[layer].scores == 0 || p.group[g].keeps_all != 0) return false;
  if (access::layer(run, layer).has_scored) {
    return status::failure(status_code::wrong_order, "score", "the layer has scored already").at_layer(layer);
  }
  int const owner = access::buffer_owner(run, p.group[g].score_buffer);
  if (owner >= 0 && owner != g && !access::group(run, owner).is_selected) {
    return status::failure(status_code::wrong_order, "score: the score buffer still holds group", owner,
                           "which must be selected before group", g)
        .at_layer(layer);
  }
  return true;
}

/// Records that the layer has scored, and returns what merges its scores into its group.
template <class Method>
score_merger begin_scoring(compression<Method>& run, int layer) {
  using access = compression_access;
  plan_data const& p = run.plan();
  int const g = p.layer[layer].group;
  auto const [heads, layers] = with_scoring(run.plan().method, p.prompt.task, [](auto const& scoring) {
    return std::pair<head_merge, layer_merge>(scoring.heads, scoring.layers);
  });
  score_merger const merger{
      p,      buffer_of(p, access::memory(run), g),     heads,
      layers, access::group(run, g).scored_layers == 0, 1.f / static_cast<float>(p.group[g].scoring_layers)};
  access::buffer_owner(run, p.group[g].score_buffer) = g;
  access::layer(run, layer).has_scored = true;
  ++access::group(run, g).scored_layers;
  return merger;
}

template <class Method, class QueryPlane, class KeyPlane>
status validate_queries_and_keys(compression<Method> const& run, suffix_queries<QueryPlane> const& source,
                                 KeyPlane const& keys) {
  static_assert(QueryPlane::space == memory_space::host && KeyPlane::space == memory_space::host,
                "windowkv: the host backend reads host memory, and this view is of device memory");
  plan_data const& p = run.plan();
  QueryPlane const& q = source.queries;
  WINDOWKV_TRY(require(q.slots >= p.suffix, "queries.slots (suffix rows)", q.slots, "must be at least",
                       p.suffix, status_code::insufficient_queries));
  WINDOWKV_TRY(validate_plane(q, "queries.data", "queries.slots", "queries.heads", "queries.head_dim"));
  WINDOWKV_TRY(require_aligned("queries.log_sum_exp", source.log_sum_exp, alignof(float)));
  WINDOWKV_TRY(require_equal("queries.heads", q.heads, p.shape.query_heads));
  WINDOWKV_TRY(require_equal("queries.head_dim", q.head_dim, p.shape.head_dim));
  WINDOWKV_TRY(validate_plane(keys, "keys.data", "keys.slots", "keys.heads", "keys.head_dim"));
  WINDOWKV_TRY(require_equal("keys.heads", keys.heads, p.shape.kv_heads));
  WINDOWKV_TRY(require_equal("keys.head_dim", keys.head_dim, p.shape.head_dim));
  return require_at_least("keys.slots (tokens of the prompt)", keys.slots, p.prompt.tokens);
}

/// Bound on (extent x stride) of given scores: head, row and token offsets add up, and count floats.
inline constexpr std::int64_t most_score_elements = INT64_MAX / 16;

inline status validate_rows(plan_data const& p, attention_rows const& source) {
  WINDOWKV_TRY(require(source.rows >= p.suffix, "attention_rows.rows", source.rows, "must be at least",
                       p.suffix, status_code::insufficient_queries));
  WINDOWKV_TRY(require_not_null("attention_rows.data", source.data));
  WINDOWKV_TRY(require_equal("attention_rows.heads", source.heads, p.shape.query_heads));
  WINDOWKV_TRY(require_at_least("attention_rows.tokens", source.tokens, p.review));
  WINDOWKV_TRY(require_aligned("attention_rows.data", source.data, alignof(float)));
  WINDOWKV_TRY(require_at_least("attention_rows.row_stride", source.row_stride, 0));
  WINDOWKV_TRY(
      require_at_most("attention_rows.row_stride", source.row_stride, most_score_elements / source.rows));
  WINDOWKV_TRY(require_at_least("attention_rows.head_stride", source.head_stride, 0));
  return require_at_most("attention_rows.head_stride", source.head_stride,
                         most_score_elements / source.heads);
}

inline status validate_token_scores(plan_data const& p, head_merge heads, token_scores const& source) {
  WINDOWKV_TRY(require_not_null("token_scores.data", source.data));
  WINDOWKV_TRY(require_at_least("token_scores.tokens", source.tokens, p.review));
  WINDOWKV_TRY(require_at_least("token_scores.heads", source.heads, 1));
  if (heads == head_merge::at_windows)
    WINDOWKV_TRY(require_equal("token_scores.heads", source.heads, p.score_rows));
  WINDOWKV_TRY(require_aligned("token_scores.data", source.data, alignof(float)));
  WINDOWKV_TRY(require_at_least("token_scores.head_stride", source.head_stride, 0));
  return require_at_most("token_scores.head_stride", source.head_stride, most_score_elements / source.heads);
}

}  // namespace detail

/// Scores one layer from its suffix queries and its keys, and merges the result into its group.
///
/// Softmax(q.k / sqrt(D)) of the last S queries over all N keys, causal inside the last S x S block,
/// accumulated in fp32; query head h reads KV head floor(h / (Hq / Hkv)). Two passes over the keys (one with
/// the engine's log-sum-exp), O(N) memory from the workspace. A layer that does not score in the plan is left
/// out at no cost.
///
/// @param source host memory; at least S rows, else `insufficient_queries`
/// @param keys   host memory; at least N slots, slot = prompt token
/// NaN and infinite elements are allowed: their scores follow IEEE rules, and NaN ranks below everything.
template <class ParallelFor, class Method, class QueryPlane, class KeyPlane>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  WINDOWKV_TRY(detail::validate_queries_and_keys(run, source, keys).at_layer(layer));
  plan_data const& p = run.plan();
  detail::score_merger const merger = detail::begin_scoring(run, layer);
  if (p.review == 0) return {};
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) -> status {
    static_assert(
        is_attention_scorer_v<decltype(scoring.token_scorer)>,
        "windowkv: a method with external_scores is scored from token_scores, not from queries and keys");
    detail::workspace_layout const& memory = compression_access::memory(run);
    detail::score_suffix_attention(on, p, scoring, source, keys, memory, merger);
    return {};
  });
}

/// Scores one layer from the softmax rows of the engine's own attention.
template <class ParallelFor, class Method>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             attention_rows const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_rows(p, source).at_layer(layer));
  detail::score_merger const merger = detail::begin_scoring(run, layer);
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) -> status {
    static_assert(
        is_attention_scorer_v<decltype(scoring.token_scorer)>,
        "windowkv: a method with external_scores is scored from token_scores, not from attention rows");
    int const first_row = source.rows - p.suffix;
    detail::merge_token_scores(on, p, source.heads, merger, [&](int head, int token) {
      auto state = scoring.token_scorer.init();
      float const* element = source.data + head * source.head_stride + first_row * source.row_stride + token;
      for (int row = 0; row < p.suffix; ++row)
        scoring.token_scorer.add(state, element[row * source.row_stride]);
      return scoring.token_scorer.finish(state, p.suffix);
    });
    return {};
  });
}

/// Scores one layer from finished token scores; the method's token scorer is not asked.
template <class ParallelFor, class Method>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             token_scores const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) -> status {
    WINDOWKV_TRY(detail::validate_token_scores(p, scoring.heads, source).at_layer(layer));
    detail::score_merger const merger = detail::begin_scoring(run, layer);
    detail::merge_token_scores(on, p, source.heads, merger, [&](int head, int token) {
      return source.data[head * source.head_stride + token];
    });
    return {};
  });
}

}  // namespace windowkv
