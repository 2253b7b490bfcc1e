// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/score.cuh
/// Stage 1 on Thrust: token scores of one layer, merged into its group's score buffer.

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"
#include "windowkv/thrust/memory.cuh"

namespace windowkv {
namespace detail::on_thrust {

/// "No maximum yet": finite, so that the difference of two never is NaN.
inline constexpr float no_maximum = -3e38f;

/// q.k / sqrt(D). Rows are numbered head * observers + i, row i of a head being the query of token first + i.
template <class QueryPlane, class KeyPlane>
struct query_logits {
  QueryPlane queries;
  KeyPlane keys;
  int observers;  ///< rows of a head: those of the suffix, or of the whole prompt
  int first;
  int heads_per_kv;
  float scale;

  query_logits(plan_data const& p, QueryPlane const& q, KeyPlane const& k)
      : queries(q),
        keys(k),
        observers(observers_of(p)),
        first(p.prompt.tokens - observers),
        heads_per_kv(p.shape.query_heads / p.shape.kv_heads),
        scale(1.f / std::sqrt(static_cast<float>(p.shape.head_dim))) {}

  /// Tokens that a row sees: all up to its own.
  WINDOWKV_HD std::int64_t seen(std::int64_t row) const { return first + row % observers + 1; }
  WINDOWKV_HD float operator()(std::int64_t row, std::int64_t token) const {
    std::int64_t const head = row / observers;
    std::int64_t const slot = queries.slots - observers + row % observers;
    float dot = 0.f;
    for (int d = 0; d < queries.head_dim; ++d) {
      dot += queries.load(slot, head, d) * keys.load(token, head / heads_per_kv, d);
    }
    return dot * scale;
  }
};

/// Maximum of some logits, and the sum of exp(logit - maximum).
struct softmax_sum {
  float maximum = no_maximum;
  float sum = 0.f;

  WINDOWKV_HD void add(float logit) {
    if (logit > maximum) {
      sum *= std::exp(maximum - logit);
      maximum = logit;
    }
    sum += std::exp(logit - maximum);
  }
  WINDOWKV_HD void add(softmax_sum const& other) {
    float const larger = other.maximum > maximum ? other.maximum : maximum;
    sum = sum * std::exp(maximum - larger) + other.sum * std::exp(other.maximum - larger);
    maximum = larger;
  }
};

/// The sum of one row over one piece of the keys, chunk by chunk.
template <class Logits>
struct softmax_partials {
  Logits logits;
  std::int64_t rows;
  std::int64_t piece_tokens;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t item) const {
    std::int64_t const row = item % rows;
    std::int64_t const first = item / rows * piece_tokens;
    std::int64_t const seen = logits.seen(row);
    std::int64_t const end = first + piece_tokens < seen ? first + piece_tokens : seen;
    softmax_sum total;
    for (std::int64_t begin = first; begin < end; begin += score_chunk) {
      softmax_sum chunk;
      for (std::int64_t token = begin; token < end && token < begin + score_chunk; ++token) {
        chunk.add(logits(row, token));
      }
      total.add(chunk);
    }
    maxima[item] = total.maximum;
    sums[item] = total.sum;
  }
};

/// Combines a row's pieces in order; leaves its maximum and the reciprocal of its denominator in the first.
struct combine_partials {
  std::int64_t rows;
  int pieces;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t row) const {
    softmax_sum total;
    for (int i = 0; i < pieces; ++i) total.add(softmax_sum{maxima[i * rows + row], sums[i * rows + row]});
    maxima[row] = total.maximum;
    sums[row] = 1.f / total.sum;
  }
};

/// The same from the engine's log-sum-exp [Hq][observers].
struct use_log_sum_exp {
  float const* log_sum_exp;
  float* maxima;
  float* sums;

  WINDOWKV_HD void operator()(std::int64_t row) const {
    maxima[row] = log_sum_exp[row];
    sums[row] = 1.f;
  }
};

/// The scorer's fold over the probabilities of the rows that see a token, `probability(i)` for row i. The
/// rows of a suffix follow the review tokens and all see them; of the whole prompt's, a token's own is the
/// first.
template <class TokenScorer, class Probability>
WINDOWKV_HD float fold_observers(TokenScorer const& scorer, int observers, std::int64_t token,
                                 Probability const& probability) {
  int const first = observes_prompt_v<TokenScorer> ? static_cast<int>(token) : 0;
  auto state = scorer.init();
  for (int i = first; i < observers; ++i) scorer.add(state, probability(i));
  return scorer.finish(state, observers - first);
}

/// Score of one (head, token) from queries and keys.
template <class TokenScorer, class Logits>
struct score_of_keys {
  TokenScorer scorer;
  Logits logits;
  float const* maxima;
  float const* reciprocals;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    std::int64_t const first = head * logits.observers;
    return fold_observers(scorer, logits.observers, token, [&](int i) {
      return std::exp(logits(first + i, token) - maxima[first + i]) * reciprocals[first + i];
    });
  }
};

/// Score of one (head, token) from the engine's softmax rows.
template <class TokenScorer>
struct score_of_rows {
  TokenScorer scorer;
  attention_rows source;
  int observers;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    float const* const first =
        source.data + head * source.head_stride + (source.rows - observers) * source.row_stride + token;
    return fold_observers(scorer, observers, token, [&](int i) { return first[i * source.row_stride]; });
  }
};

/// Score of one (head, token) as it is given.
struct score_as_given {
  token_scores source;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    return source.data[head * source.head_stride + token];
  }
};

/// A fold's score times the token's weight.
template <class ScoreOf>
struct weighted_score {
  ScoreOf score_of;
  float epsilon;
  float const* weights;  ///< [Hkv][R]
  int review;
  int heads_per_kv;

  WINDOWKV_HD float operator()(std::int64_t head, std::int64_t token) const {
    return (score_of(head, token) + epsilon) * weights[head / heads_per_kv * review + token];
  }
};

/// Merges one token's scores of all heads.
template <class ScoreOf>
struct merge_token {
  ScoreOf score_of;
  score_merger merger;
  int heads_per_list;
  int lists;

  WINDOWKV_HD void operator()(std::int64_t token) const {
    merger.merge_token(token, heads_per_list, lists, [&](int head) { return score_of(head, token); });
  }
};

/// One item of a row scorer's pass, for one KV head.
template <class RowScorer, class Rows>
struct run_pass {
  RowScorer scorer;
  Rows rows;
  int pass;
  int items;
  float* scratch;
  std::int64_t scratch_floats;

  WINDOWKV_HD void operator()(std::int64_t index) const {
    Rows of_head = rows;
    of_head.head = static_cast<int>(index / items);
    scorer.run(pass, static_cast<int>(index % items), of_head, scratch + of_head.head * scratch_floats);
  }
};

/// A row scorer's score of one (KV head, token).
template <class RowScorer, class Rows>
struct score_row {
  RowScorer scorer;
  Rows rows;
  int review;
  float const* scratch;
  std::int64_t scratch_floats;
  float* scores;

  WINDOWKV_HD void operator()(std::int64_t index) const {
    Rows of_head = rows;
    of_head.head = static_cast<int>(index / review);
    scores[index] = scorer.score(static_cast<int>(index % review), of_head,
                                 static_cast<float const*>(scratch + of_head.head * scratch_floats));
  }
};

/// What a row scorer gives for every review token of one layer: memory.row_scores.
template <class Policy, class RowScorer, class Rows>
void find_row_scores(thrust_executor<Policy> const& on, plan_data const& p, RowScorer const& scorer,
                     Rows const& rows, thrust_memory const& memory) {
  RowScorer const there = resident<thrust_executor<Policy>::space>(scorer);
  if constexpr (passes_of<RowScorer>::value > 0) {
    windowkv::row_shape const shape{p.prompt.tokens, p.shape.head_dim, rows.query_heads};
    for (int pass = 0; pass < RowScorer::passes; ++pass) {
      int const items = scorer.items(pass, shape);
      for_each_index(on, std::int64_t{items} * p.shape.kv_heads,
                     run_pass<RowScorer, Rows>{there, rows, pass, items, memory.scratch, p.needs.scratch});
    }
  }
  for_each_index(
      on, std::int64_t{p.review} * p.shape.kv_heads,
      score_row<RowScorer, Rows>{there, rows, p.review, memory.scratch, p.needs.scratch, memory.row_scores});
}

/// Leaves the softmax of every observing row in memory: from the keys, or from the engine's log-sum-exp.
template <class Policy, class Logits>
void find_softmax(thrust_executor<Policy> const& on, plan_data const& p, Logits const& logits,
                  float const* log_sum_exp, thrust_memory const& memory) {
  std::int64_t const rows = observing_rows(p);
  float* const maxima = memory.partial_max;
  float* const sums = memory.partial_sum;
  if (log_sum_exp != nullptr) {
    for_each_index(on, rows, use_log_sum_exp{log_sum_exp, maxima, sums});
    return;
  }
  int const pieces = softmax_pieces(p);
  std::int64_t const piece_tokens = pieces > 1 ? score_chunk : p.prompt.tokens;
  for_each_index(on, rows * pieces, softmax_partials<Logits>{logits, rows, piece_tokens, maxima, sums});
  for_each_index(on, rows, combine_partials{rows, pieces, maxima, sums});
}

/// Merges one layer's scores into its group.
template <class Policy, class ScoreOf>
void merge_scores(thrust_executor<Policy> const& on, plan_data const& p, score_merger const& merger,
                  int heads, ScoreOf const& score_of) {
  for_each_index(on, p.review, merge_token<ScoreOf>{score_of, merger, heads / p.lists, p.lists});
}
/// The same for a fold's scores, weighted by memory.row_scores where the scorer says so.
template <class Policy, class TokenScorer, class ScoreOf>
void merge_folds(thrust_executor<Policy> const& on, plan_data const& p, TokenScorer const& scorer,
                 thrust_memory const& memory, score_merger const& merger, ScoreOf const& score_of) {
  if constexpr (is_value_weighted_v<TokenScorer>) {
    merge_scores(on, p, merger, p.shape.query_heads,
                 weighted_score<ScoreOf>{score_of, scorer.epsilon, memory.row_scores, p.review,
                                         p.shape.query_heads / p.shape.kv_heads});
  } else {
    static_cast<void>(scorer);
    static_cast<void>(memory);
    merge_scores(on, p, merger, p.shape.query_heads, score_of);
  }
}

/// Scores of one layer, which must score now, from what its task's scorer reads.
template <class Policy, class Method, class Scoring, class Source, class Kv>
status score_with(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                  Scoring const& scoring, Source const& source, Kv const& kv) {
  constexpr memory_space space = thrust_executor<Policy>::space;
  plan_data const& p = run.plan();
  auto const& scorer = scoring.token_scorer;
  using token_scorer = std::decay_t<decltype(scorer)>;
  WINDOWKV_TRY(validate_source<space>(p, scoring, source, kv).at_layer(layer));
  thrust_memory const& memory = compression_access::memory(run);
  score_merger const merger = merger_of(run, layer, memory.buffer_of(p, p.layer[layer].group));
  if (p.review == 0) return {};
  if constexpr (std::is_same_v<Source, token_scores>) {
    merge_scores(on, p, merger, source.heads, score_as_given{source});
  } else if constexpr (is_row_scorer_v<token_scorer>) {
    find_row_scores(on, p, scorer, rows_of(p, layer, source, kv), memory);
    merge_scores(on, p, merger, p.shape.kv_heads,
                 score_as_given{{memory.row_scores, p.shape.kv_heads, p.review, p.review}});
  } else {
    if constexpr (is_value_weighted_v<token_scorer>) {
      find_row_scores(on, p, scorer.weight_of, rows_of(p, layer, source, kv), memory);
    }
    if constexpr (std::is_same_v<Source, attention_rows>) {
      merge_folds(on, p, scorer, memory, merger,
                  score_of_rows<token_scorer>{resident<space>(scorer), source, observers_of(p)});
    } else {
      using logits = query_logits<typename Source::query_plane, std::decay_t<decltype(kv.keys)>>;
      logits const logit_of(p, source.queries, kv.keys);
      find_softmax(on, p, logit_of, source.log_sum_exp, memory);
      merge_folds(on, p, scorer, memory, merger,
                  score_of_keys<token_scorer, logits>{resident<space>(scorer), logit_of, memory.partial_max,
                                                      memory.partial_sum});
    }
  }
  return {};
}

template <class Policy, class Method, class Source, class Kv>
status score_layer(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
                   Source const& source, Kv const& kv) {
  WINDOWKV_TRY_ASSIGN(scores_now, must_score(run, layer));
  if (!scores_now) return {};
  return with_scoring(run.plan().method, run.plan().prompt.task,
                      [&](auto const& scoring) { return score_with(on, run, layer, scoring, source, kv); });
}

}  // namespace detail::on_thrust

/// Scores one layer from its queries and its cache, and merges the result into its group: as on the host, see
/// host/score.hpp, by every kind of token scorer. `source` (with its log-sum-exp), `kv` and whatever a row
/// scorer points to are in the executor's memory, and read when the work runs; nothing is waited for. A fold
/// over the prompt takes O(N^2) time and O(Hq N) memory.
///
/// @return a failed status, with nothing queued, for a layer out of order, views of other shapes than the
///         plan's, or too few rows (`insufficient_queries`)
template <class Policy, class Method, class QueryPlane, class KeyPlane, class ValuePlane>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::on_thrust::score_layer(on, run, layer, source, kv);
}
/// The same for scorers that do not read values.
template <class Policy, class Method, class QueryPlane, class KeyPlane>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             suffix_queries<QueryPlane> const& source, KeyPlane const& keys) {
  return detail::on_thrust::score_layer(on, run, layer, source, kv_view{keys});
}

/// Scores one layer by a row scorer that needs no queries.
template <class Policy, class Method, class KeyPlane, class ValuePlane>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             no_queries const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::on_thrust::score_layer(on, run, layer, source, kv);
}

/// Scores one layer from the softmax rows of the engine's own attention, in the executor's memory; values
/// weigh in where the scorer is `value_weighted`.
template <class Policy, class Method, class KeyPlane, class ValuePlane>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             attention_rows const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  return detail::on_thrust::score_layer(on, run, layer, source, kv);
}
template <class Policy, class Method>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             attention_rows const& source) {
  return detail::on_thrust::score_layer(on, run, layer, source, detail::no_cache{});
}

/// Scores one layer from finished token scores in the executor's memory; the method's token scorer is not
/// asked.
template <class Policy, class Method>
status score(thrust_executor<Policy> const& on, thrust_compression<Method>& run, int layer,
             token_scores const& source) {
  return detail::on_thrust::score_layer(on, run, layer, source, detail::no_cache{});
}

}  // namespace windowkv
