// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/score.hpp
/// Stage 1 on the host: token scores of one layer, merged into its group's score buffer.

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/head_rows.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/detail/token_scores.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/status.hpp"

namespace windowkv {
namespace detail {

/// Records that the layer has scored, and returns what merges its scores into its group.
template <class Method>
score_merger begin_scoring(compression<Method>& run, int layer) {
  plan_data const& p = run.plan();
  int const g = p.layer[layer].group;
  return merger_of(run, layer, buffer_of(p, compression_access::memory(run), g));
}

/// Scores of one layer, which must score now, from what its task's scorer reads.
template <class ParallelFor, class Method, class Scoring, class Source, class Kv>
status score_with(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
                  Scoring const& scoring, Source const& source, Kv const& kv) {
  plan_data const& p = run.plan();
  auto const& scorer = scoring.token_scorer;
  using token_scorer = std::decay_t<decltype(scorer)>;
  WINDOWKV_TRY(validate_source<memory_space::host>(p, scoring, source, kv).at_layer(layer));
  workspace_layout const& memory = compression_access::memory(run);
  score_merger const merger = begin_scoring(run, layer);
  if (p.review == 0) return {};
  if constexpr (std::is_same_v<Source, token_scores>) {
    merge_token_scores(on, p, source, merger);
  } else if constexpr (is_row_scorer_v<token_scorer>) {
    find_row_scores(on, p, scorer, rows_of(p, layer, source, kv), memory);
    merge_token_scores(on, p, {memory.row_scores, p.shape.kv_heads, p.review, p.review}, merger);
  } else {
    if constexpr (is_value_weighted_v<token_scorer>) {
      find_row_scores(on, p, scorer.weight_of, rows_of(p, layer, source, kv), memory);
    }
    if constexpr (std::is_same_v<Source, attention_rows>) {
      score_attention_rows(on, p, scorer, source, memory, merger);
    } else if constexpr (observes_prompt_v<token_scorer>) {
      score_prompt_attention(on, p, scorer, source, kv.keys, memory, merger);
    } else {
      score_suffix_attention(on, p, scorer, source, kv.keys, memory, merger);
    }
  }
  return {};
}

template <class ParallelFor, class Method, class Source, class Kv>
status score_layer(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
                   Source const& source, Kv const& kv) {
  WINDOWKV_TRY_ASSIGN(scores_now, must_score(run, layer));
  if (!scores_now) return {};
  return with_scoring(run.plan().method, run.plan().prompt.task,
                      [&](auto const& scoring) { return score_with(on, run, layer, scoring, source, kv); });
}

}  // namespace detail

/// Scores one layer from its queries and its cache, and merges the result into its group. What is read of
/// them depends on the method's token scorer:
///
///  - A fold over the suffix: softmax(q.k / sqrt(D)) of the last S queries over all N keys, causal inside the
///    last S x S block, accumulated in fp32; query head h reads KV head floor(h / (Hq / Hkv)). Two passes
///    over the keys (one with the engine's log-sum-exp), O(N) memory from the workspace.
///  - A fold over the prompt: the same of the last N rows of `source`, O(N^2) time, O(N) memory.
///  - A row scorer: keys, values and queries as its flags say.
///
/// A layer that does not score in the plan is left out at no cost.
///
/// @param source host memory; at least S rows (N for a fold over the prompt), else `insufficient_queries`
/// @param kv     host memory; at least N slots, slot = prompt token
/// NaN and infinite elements are allowed: their scores follow IEEE rules, and NaN ranks below everything.
template <class ParallelFor, class Method, class QueryPlane, class KeyPlane, class ValuePlane>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::score_layer(on, run, layer, source, kv);
}
/// The same for scorers that do not read values.
template <class ParallelFor, class Method, class QueryPlane, class KeyPlane>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  return detail::score_layer(on, run, layer, source, kv_view{keys});
}

/// Scores one layer by a row scorer that needs no queries.
template <class ParallelFor, class Method, class KeyPlane, class ValuePlane>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             no_queries const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::score_layer(on, run, layer, source, kv);
}

/// Scores one layer from the softmax rows of the engine's own attention; values weigh in where the scorer is
/// `value_weighted`.
template <class ParallelFor, class Method, class KeyPlane, class ValuePlane>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             attention_rows const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::score_layer(on, run, layer, source, kv);
}
template <class ParallelFor, class Method>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             attention_rows const& source) {
  return detail::score_layer(on, run, layer, source, detail::no_cache{});
}

/// Scores one layer from finished token scores; the method's token scorer is not asked.
template <class ParallelFor, class Method>
status score(host_executor<ParallelFor> const& on, compression<Method>& run, int layer,
             token_scores const& source) {
  return detail::score_layer(on, run, layer, source, detail::no_cache{});
}

}  // namespace windowkv
