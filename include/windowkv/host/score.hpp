// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/score.hpp
/// Stage 1 on the host: token scores of one layer, merged into its group's score buffer.

#include <cstdint>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/detail/suffix_scores.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// Records that the layer has scored, and returns what merges its scores into its group.
template <class Method>
score_merger begin_scoring(compression<Method>& run, int layer) {
  plan_data const& p = run.plan();
  int const g = p.layer[layer].group;
  auto const [heads, layers] = with_scoring(run.plan().method, p.prompt.task, [](auto const& scoring) {
    return std::pair<head_merge, layer_merge>(scoring.heads, scoring.layers);
  });
  int const earlier = record_scoring(run, layer);
  int const scoring_layers = p.group[g].scoring_layers;
  return {p,
          buffer_of(p, compression_access::memory(run), g),
          heads,
          layers,
          earlier == 0,
          earlier + 1 == scoring_layers,
          static_cast<float>(scoring_layers)};
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
  WINDOWKV_TRY(
      detail::validate_queries_and_keys<memory_space::host>(run.plan(), source, keys).at_layer(layer));
  plan_data const& p = run.plan();
  detail::score_merger const merger = detail::begin_scoring(run, layer);
  if (p.review == 0) return {};
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) -> status {
    detail::require_attention_scorer<decltype(scoring.token_scorer)>();
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
    detail::require_attention_scorer<decltype(scoring.token_scorer)>();
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
