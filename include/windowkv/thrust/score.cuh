// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/score.cuh
/// Stage 1 on Thrust: token scores of one layer, merged into its group's score buffer.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// "No maximum yet": finite, so that the difference of two never is NaN.
inline constexpr float no_maximum = -3e38f;

/// q.k / sqrt(D). Suffix rows are numbered head * S + i.
template <class QueryPlane, class KeyPlane>
struct suffix_logits {
  QueryPlane queries;
  KeyPlane keys;
  int suffix;
  int review;
  int heads_per_kv;
  float scale;

  suffix_logits(plan_data const& p, QueryPlane const& q, KeyPlane const& k)
      : queries(q),
        keys(k),
        suffix(p.suffix),
        review(p.review),
        heads_per_kv(p.shape.query_heads / p.shape.kv_heads),
        scale(1.f / std::sqrt(static_cast<float>(p.shape.head_dim))) {}

  WINDOWKV_HD float operator()(std::int64_t row, std::int64_t token) const {
    std::int64_t const head = row / suffix;
    std::int64_t const slot = queries.slots - suffix + row % suffix;
    float dot = 0.f;
    for (int d = 0; d < queries.head_dim; ++d) {
      dot += queries.load(slot, head, d) * keys.load(token, head / heads_per_kv, d);
    }
    return dot * scale;
  }
};

/// Maximum of one row's logits over one chunk of tokens, and the sum of exp(logit - maximum).
template <class Logits>
struct softmax_partials {
  Logits logits;
  std::int64_t rows;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    std::int64_t const row = item % rows;
    std::int64_t const begin = item / rows * score_chunk;
    std::int64_t const seen = logits.review + row % logits.suffix + 1;  // causal inside the suffix
    std::int64_t const end = begin + score_chunk < seen ? begin + score_chunk : seen;
    float maximum = no_maximum;
    float sum = 0.f;
    for (std::int64_t token = begin; token < end; ++token) {
      float const logit = logits(row, token);
      if (logit > maximum) {
        sum *= std::exp(maximum - logit);
        maximum = logit;
      }
      sum += std::exp(logit - maximum);
    }
    maxima[item] = maximum;
    sums[item] = sum;
  }
};

/// Combines a row's chunks in order; leaves its maximum and the reciprocal of its denominator in the first.
struct combine_partials {
  std::int64_t rows;
  int chunks;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t row) const {
    float maximum = no_maximum;
    for (int c = 0; c < chunks; ++c) {
      if (maxima[c * rows + row] > maximum) maximum = maxima[c * rows + row];
    }
    float sum = 0.f;
    for (int c = 0; c < chunks; ++c) sum += sums[c * rows + row] * std::exp(maxima[c * rows + row] - maximum);
    maxima[row] = maximum;
    sums[row] = 1.f / sum;
  }
};

/// The same from the engine's log-sum-exp [Hq][S].
struct use_log_sum_exp {
  float const* log_sum_exp;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t row) const {
    maxima[row] = log_sum_exp[row];
    sums[row] = 1.f;
  }
};

/// Score of one (head, token) from queries and keys.
template <class TokenScorer, class Logits>
struct score_of_keys {
  TokenScorer scorer;
  Logits logits;
  float const* maxima;
  float const* reciprocals;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    auto state = scorer.init();
    for (int i = 0; i < logits.suffix; ++i) {
      std::int64_t const row = head * logits.suffix + i;
      scorer.add(state, std::exp(logits(row, token) - maxima[row]) * reciprocals[row]);
    }
    return scorer.finish(state, logits.suffix);
  }
};

/// Score of one (head, token) from the engine's softmax rows.
template <class TokenScorer>
struct score_of_rows {
  TokenScorer scorer;
  attention_rows source;
  int suffix;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    float const* const first =
        source.data + head * source.head_stride + (source.rows - suffix) * source.row_stride + token;
    auto state = scorer.init();
    for (int i = 0; i < suffix; ++i) scorer.add(state, first[i * source.row_stride]);
    return scorer.finish(state, suffix);
  }
};

/// Score of one (head, token) as the engine gives it.
struct score_as_given {
  token_scores source;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    return source.data[head * source.head_stride + token];
  }
};

/// How the scores of one layer go into the buffer of its group. Sums and divisions in the order of the host
/// backend, and no product: every backend gets the same bits.
struct merge_rule {
  score_buffer into;
  int review;
  head_merge heads;
  layer_merge layers;
  bool is_first_layer;
  bool is_last_layer;
  float scoring_layers;

  WINDOWKV_HD void average(float& merged, float score) const {
    merged = is_first_layer ? score : merged + score;
    if (is_last_layer) merged /= scoring_layers;
  }
  WINDOWKV_HD void merge(float& merged, float score) const {
    if (layers == layer_merge::mean) {
      average(merged, score);
    } else if (is_first_layer || ranks_above(score, merged)) {
      merged = score;
    }
  }
};

/// Merges one token's scores of all heads.
template <class ScoreOf>
struct merge_token {
  ScoreOf score_of;
  merge_rule rule;
  int heads;

  WINDOWKV_HD void operator()(std::int64_t token) const {
    float sum = 0.f;
    for (std::int64_t head = 0; head < heads; ++head) {
      float const score = score_of(head, token);
      sum += score;
      if (rule.heads == head_merge::at_windows)
        rule.merge(rule.into.scores[head * rule.review + token], score);
    }
    float const mean = sum / static_cast<float>(heads);
    if (rule.heads == head_merge::at_tokens) rule.merge(rule.into.scores[token], mean);
    rule.average(rule.into.mass[token], mean);
  }
};

/// Records that the layer has scored, and merges `score_of(head, token)` into its group.
template <class Policy, class Method, class Scoring, class ScoreOf>
void merge_layer(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                 Scoring const& scoring, int heads, ScoreOf const& score_of) {
  plan_data const& p = run.plan();
  int const g = p.layer[layer].group;
  int const earlier = record_scoring(run, layer);
  int const scoring_layers = p.group[g].scoring_layers;
  merge_rule const rule{compression_access::memory(run).buffer_of(p, g),
                        p.review,
                        scoring.heads,
                        scoring.layers,
                        earlier == 0,
                        earlier + 1 == scoring_layers,
                        static_cast<float>(scoring_layers)};
  for_each_index(on, p.review, merge_token<ScoreOf>{score_of, rule, heads});
}

template <class Policy, class Method, class Scoring, class QueryPlane, class KeyPlane>
void score_keys(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                Scoring const& scoring, suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  plan_data const& p = run.plan();
  thrust_memory const& memory = compression_access::memory(run);
  using logits = suffix_logits<QueryPlane, KeyPlane>;
  logits const logit_of(p, source.queries, keys);
  std::int64_t const rows = suffix_rows(p);
  int const chunks = chunk_count(p.prompt.tokens);
  float* const maxima = memory.partial_max;
  float* const sums = memory.partial_sum;
  if (source.log_sum_exp != nullptr) {
    for_each_index(on, rows, use_log_sum_exp{source.log_sum_exp, maxima, sums});
  } else {
    for_each_index(on, rows * chunks, softmax_partials<logits>{logit_of, rows, maxima, sums});
    for_each_index(on, rows, combine_partials{rows, chunks, maxima, sums});
  }
  using token_scorer = decltype(scoring.token_scorer);
  token_scorer const scorer = resident<thrust_executor<Policy>::space>(scoring.token_scorer);
  merge_layer(on, run, layer, scoring, p.shape.query_heads,
              score_of_keys<token_scorer, logits>{scorer, logit_of, maxima, sums});
}

}  // namespace detail::on_thrust

/// Scores one layer from its suffix queries and its keys, and merges the result into its group: as on the
/// host, see host/score.hpp. `source` and `keys` are in the executor's memory, `log_sum_exp` too.
template <class Policy, class Method, class QueryPlane, class KeyPlane>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  WINDOWKV_TRY(
      detail::validate_queries_and_keys<thrust_executor<Policy>::space>(p, source, keys).at_layer(layer));
  detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
    detail::require_attention_scorer<decltype(scoring.token_scorer)>();
    detail::on_thrust::score_keys(on, run, layer, scoring, source, keys);
  });
  return {};
}

/// Scores one layer from the softmax rows of the engine's own attention, in the executor's memory.
template <class Policy, class Method>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             attention_rows const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  WINDOWKV_TRY(detail::validate_rows(p, source).at_layer(layer));
  detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
    using token_scorer = decltype(scoring.token_scorer);
    detail::require_attention_scorer<token_scorer>();
    detail::on_thrust::merge_layer(
        on, run, layer, scoring, source.heads,
        detail::on_thrust::score_of_rows<token_scorer>{
            detail::resident<thrust_executor<Policy>::space>(scoring.token_scorer), source, p.suffix});
  });
  return {};
}

/// Scores one layer from finished token scores in the executor's memory; the method's token scorer is not
/// asked.
template <class Policy, class Method>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             token_scores const& source) {
  WINDOWKV_TRY_ASSIGN(scores_now, detail::must_score(run, layer));
  if (!scores_now) return {};
  plan_data const& p = run.plan();
  return detail::with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) -> status {
    WINDOWKV_TRY(detail::validate_token_scores(p, scoring.heads, source).at_layer(layer));
    detail::on_thrust::merge_layer(on, run, layer, scoring, source.heads,
                                   detail::on_thrust::score_as_given{source});
    return {};
  });
}

}  // namespace windowkv
