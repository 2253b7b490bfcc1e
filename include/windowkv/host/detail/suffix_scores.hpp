// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/suffix_scores.hpp
/// The host scorer: rows of queries in the lanes of vector registers, keys broadcast, tiles of a few tokens.
///
/// Rows of one KV head are its query heads times the S suffix rows, row = head_in_group * S + i. Pass 1 finds
/// each row's softmax maximum and denominator, pass 2 computes the probabilities again and folds them. Work
/// is cut into chunks of a fixed number of tokens and partial results are combined in chunk order, so that
/// the number of threads changes nothing.

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/host/detail/simd.hpp"
#include "windowkv/host/executor.hpp"

namespace windowkv::detail {

inline constexpr int tile_tokens = 4;
inline constexpr int panel_rows = 2 * simd_floats;  // rows in the two registers per token that a tile keeps
static_assert(row_padding % panel_rows == 0, "rows are padded to whole panels");

inline constexpr float log2_e = 1.44269504088896340736f;
/// Stands for a hidden logit and for "no maximum yet": finite, so that differences of two never are NaN.
inline constexpr float lowest_logit = -3e38f;

/// Keys of up to `tile_tokens` tokens as rows of floats: the cache itself where it holds contiguous floats,
/// else a copy.
template <class KeyPlane>
class key_tile {
 public:
  key_tile(KeyPlane const& keys, int head, int first, int count) {
    int const units = keys.units();
    int const run = run_of(keys.layout, 1, units);
    for (int t = 0; t < tile_tokens; ++t) {
      int const slot = first + (t < count ? t : 0);
      if constexpr (std::is_same_v<typename KeyPlane::accessor_type, element_accessor<float>> ||
                    std::is_same_v<typename KeyPlane::accessor_type, element_accessor<float const>>) {
        if (run == units) {
          rows_[t] = keys.address(slot, head, 0);
          continue;
        }
      }
      copy_row(keys, head, slot, run, copy_[t]);
      rows_[t] = copy_[t];
    }
  }
  float at(int token, std::int64_t dim) const { return rows_[token][dim]; }

 private:
  static void copy_row(KeyPlane const& keys, int head, int slot, int run, float* out) {
    constexpr int dims = KeyPlane::dims_per_element;
    int const units = keys.units();
    for (int unit = 0; unit < units; unit += run) {
      auto const* const elements = keys.address(slot, head, unit);
      for (int i = 0; i < run; ++i) {
        for (int d = 0; d < dims; ++d) {
          int const dim = (unit + i) * dims + d;
          out[dim] = keys.accessor.load(elements[i], slot, head, dim);
        }
      }
    }
  }

  float const* rows_[tile_tokens];
  float copy_[tile_tokens][max_head_dim];
};

/// Logits of one tile against one panel of rows, in units of log2 (the queries are scaled).
struct logit_tile {
  floats value[tile_tokens][2] = {};

  template <class KeyPlane>
  logit_tile(key_tile<KeyPlane> const& keys, float const* panel, int head_dim) {
    for (std::int64_t d = 0; d < head_dim; ++d) {
      floats const low = load_floats(panel + d * panel_rows);
      floats const high = load_floats(panel + d * panel_rows + simd_floats);
      for (int t = 0; t < tile_tokens; ++t) {
        float const k = keys.at(t, d);
        value[t][0] += k * low;
        value[t][1] += k * high;
      }
    }
  }

  /// Hides what is not there: tokens behind `count`, and suffix tokens from the queries before them.
  void mask(std::int64_t first_row, int first_token, int count, plan_data const& p) {
    for (int t = 0; t < tile_tokens; ++t) {
      int const suffix_token = first_token + t - p.review;
      for (std::int64_t half = 0; half < 2; ++half) {
        float lane[simd_floats];
        store_floats(lane, value[t][half]);
        for (int i = 0; i < simd_floats; ++i) {
          std::int64_t const query = (first_row + half * simd_floats + i) % p.suffix;
          if (t >= count || query < suffix_token) lane[i] = lowest_logit;
        }
        value[t][half] = load_floats(lane);
      }
    }
  }
};

/// [kv head][panel][dim][row of the panel], scaled by log2(e) / sqrt(D), so that softmax is a ratio of powers
/// of 2.
template <class QueryPlane>
void pack_queries(QueryPlane const& queries, plan_data const& p, float* packed) {
  int const heads_per_kv = p.shape.query_heads / p.shape.kv_heads;
  std::int64_t const rows = rows_per_kv_head(p);
  std::int64_t const padded = padded_rows_per_kv_head(p);
  int const first = queries.slots - p.suffix;
  float const scale = log2_e / std::sqrt(static_cast<float>(p.shape.head_dim));
  for (int kv = 0; kv < p.shape.kv_heads; ++kv) {
    for (std::int64_t row = 0; row < padded; ++row) {
      float* out =
          packed + (kv * padded + row / panel_rows * panel_rows) * p.shape.head_dim + row % panel_rows;
      std::int64_t const head = std::int64_t{kv} * heads_per_kv + row / p.suffix;
      for (std::int64_t d = 0; d < p.shape.head_dim; ++d) {
        out[d * panel_rows] = row < rows ? queries.load(first + row % p.suffix, head, d) * scale : 0.f;
      }
    }
  }
}

/// Pass 1 over one chunk of tokens for one KV head: maximum and sum of 2^(logit - maximum) of every row.
template <class KeyPlane>
void softmax_partials(plan_data const& p, KeyPlane const& keys, int kv, int chunk,
                      workspace_layout const& memory) {
  std::int64_t const padded = padded_rows_per_kv_head(p);
  std::int64_t const rows = rows_per_kv_head(p);
  std::int64_t const all_rows = padded * p.shape.kv_heads;
  float* const row_max = memory.partial_max + chunk * all_rows + kv * padded;
  float* const row_sum = memory.partial_sum + chunk * all_rows + kv * padded;
  for (std::int64_t row = 0; row < padded; ++row) {
    row_max[row] = lowest_logit;
    row_sum[row] = 0.f;
  }
  int const begin = chunk * score_chunk;
  int const end = p.prompt.tokens - begin < score_chunk ? p.prompt.tokens : begin + score_chunk;
  for (int token = begin; token < end; token += tile_tokens) {
    int const count = end - token < tile_tokens ? end - token : tile_tokens;
    bool const needs_mask = count < tile_tokens || token + count > p.review;
    key_tile<KeyPlane> const tile(keys, kv, token, count);
    for (std::int64_t row = 0; row < rows; row += panel_rows) {
      float const* panel = memory.packed_queries + (kv * padded + row) * p.shape.head_dim;
      logit_tile logits(tile, panel, p.shape.head_dim);
      if (needs_mask) logits.mask(row, token, count, p);
      for (std::int64_t half = 0; half < 2; ++half) {
        float* const at_max = row_max + row + half * simd_floats;
        float* const at_sum = row_sum + row + half * simd_floats;
        floats const old_max = load_floats(at_max);
        floats new_max = old_max;
        for (auto const& value : logits.value) new_max = larger(new_max, value[half]);
        floats sum = load_floats(at_sum) * exp2(old_max - new_max);
        for (auto const& value : logits.value) sum += exp2(value[half] - new_max);
        store_floats(at_max, new_max);
        store_floats(at_sum, sum);
      }
    }
  }
}

/// Leaves each row's maximum in partial_max[row] and the reciprocal of its denominator in partial_sum[row].
inline void combine_partials(plan_data const& p, workspace_layout const& memory) {
  std::int64_t const rows = padded_rows_per_kv_head(p) * p.shape.kv_heads;
  int const chunks = chunk_count(p.prompt.tokens);
  for (std::int64_t row = 0; row < rows; row += simd_floats) {
    floats total_max = splat(lowest_logit);
    for (int c = 0; c < chunks; ++c)
      total_max = larger(total_max, load_floats(memory.partial_max + c * rows + row));
    floats sum{};
    for (int c = 0; c < chunks; ++c) {
      floats const scale = exp2(load_floats(memory.partial_max + c * rows + row) - total_max);
      sum += load_floats(memory.partial_sum + c * rows + row) * scale;
    }
    store_floats(memory.partial_max + row, total_max);
    store_floats(memory.partial_sum + row, 1.f / sum);
  }
}

/// The same from the engine's log-sum-exp [Hq][S]: no pass over the keys.
inline void use_log_sum_exp(plan_data const& p, float const* log_sum_exp, workspace_layout const& memory) {
  std::int64_t const padded = padded_rows_per_kv_head(p);
  std::int64_t const rows = rows_per_kv_head(p);
  for (int kv = 0; kv < p.shape.kv_heads; ++kv) {
    for (std::int64_t row = 0; row < padded; ++row) {
      std::int64_t const at = kv * padded + row;
      memory.partial_max[at] = row < rows ? log_sum_exp[kv * rows + row] * log2_e : 0.f;
      memory.partial_sum[at] = 1.f;
    }
  }
}

/// Pass 2 for one tile of review tokens and one KV head: `emit(query_head, token_in_tile, score)` for each.
template <class TokenScorer, class KeyPlane, class Emit>
void fold_tile(plan_data const& p, TokenScorer const& scorer, KeyPlane const& keys, int kv, int first,
               int count, workspace_layout const& memory, Emit&& emit) {
  int const heads_per_kv = p.shape.query_heads / p.shape.kv_heads;
  std::int64_t const rows = rows_per_kv_head(p);
  std::int64_t const first_row = kv * padded_rows_per_kv_head(p);
  key_tile<KeyPlane> const tile(keys, kv, first, count);
  typename TokenScorer::state_type state[tile_tokens];
  int head = kv * heads_per_kv;
  int row_of_head = 0;
  for (std::int64_t row = 0; row < rows; row += panel_rows) {
    float const* panel = memory.packed_queries + (first_row + row) * p.shape.head_dim;
    logit_tile const logits(tile, panel, p.shape.head_dim);
    float probability[tile_tokens][panel_rows];
    for (std::int64_t half = 0; half < 2; ++half) {
      std::int64_t const lane = first_row + row + half * simd_floats;
      floats const maximum = load_floats(memory.partial_max + lane);
      floats const reciprocal = load_floats(memory.partial_sum + lane);
      for (int t = 0; t < tile_tokens; ++t) {
        store_floats(probability[t] + half * simd_floats, exp2(logits.value[t][half] - maximum) * reciprocal);
      }
    }
    std::int64_t const panel_end = rows - row < panel_rows ? rows - row : panel_rows;
    for (std::int64_t i = 0; i < panel_end; ++i) {
      if (row_of_head == 0) {
        for (auto& s : state) s = scorer.init();
      }
      for (int t = 0; t < tile_tokens; ++t) scorer.add(state[t], probability[t][i]);
      if (++row_of_head < p.suffix) continue;
      for (int t = 0; t < count; ++t) emit(head, t, scorer.finish(state[t], p.suffix));
      row_of_head = 0;
      ++head;
    }
  }
}

/// Merges the token scores of one layer into what the group's earlier scoring layers left. Means are sums
/// that the last scoring layer divides: without a product there is nothing that a compiler could fuse with
/// the sum, so every backend gets the same bits.
struct score_merger {
  plan_data const& p;
  score_buffer into;
  head_merge heads;
  layer_merge layers;
  bool is_first_layer;
  bool is_last_layer;
  float scoring_layers;

  /// Where every head scores for itself: its score of one token.
  void merge_head(int head, int token, float score) const {
    if (heads == head_merge::at_windows)
      merge(into.scores[static_cast<std::int64_t>(head) * p.review + token], score);
  }
  /// The mean over heads, once all heads have scored the token.
  void merge_mean(int token, float score) const {
    if (heads == head_merge::at_tokens) merge(into.scores[token], score);
    average(into.mass[token], score);
  }

 private:
  void average(float& merged, float score) const {
    merged = is_first_layer ? score : merged + score;
    if (is_last_layer) merged /= scoring_layers;
  }
  void merge(float& merged, float score) const {
    if (layers == layer_merge::mean) {
      average(merged, score);
    } else if (is_first_layer || ranks_above(score, merged)) {
      merged = score;
    }
  }
};

/// Token scores of one layer from its queries and keys.
template <class ParallelFor, class Scoring, class QueryPlane, class KeyPlane>
void score_suffix_attention(host_executor<ParallelFor> const& on, plan_data const& p, Scoring const& scoring,
                            suffix_queries<QueryPlane> const& source, KeyPlane const& keys,
                            workspace_layout const& memory, score_merger const& merger) {
  pack_queries(source.queries, p, memory.packed_queries);
  if (source.log_sum_exp != nullptr) {
    use_log_sum_exp(p, source.log_sum_exp, memory);
  } else {
    on.parallel_for(chunk_count(p.prompt.tokens) * p.shape.kv_heads, [&](int item) {
      softmax_partials(p, keys, item % p.shape.kv_heads, item / p.shape.kv_heads, memory);
    });
    combine_partials(p, memory);
  }
  auto const heads = static_cast<float>(p.shape.query_heads);
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    int const begin = chunk * score_chunk;
    int const end = p.review - begin < score_chunk ? p.review : begin + score_chunk;
    float head_sum[score_chunk] = {};
    for (int kv = 0; kv < p.shape.kv_heads; ++kv) {
      for (int first = begin; first < end; first += tile_tokens) {
        int const count = end - first < tile_tokens ? end - first : tile_tokens;
        fold_tile(p, scoring.token_scorer, keys, kv, first, count, memory, [&](int head, int t, float score) {
          head_sum[first - begin + t] += score;
          merger.merge_head(head, first + t, score);
        });
      }
    }
    for (int token = begin; token < end; ++token) merger.merge_mean(token, head_sum[token - begin] / heads);
  });
}

/// The same for scores that are given: `score_of(head, token)` for every head of the source.
template <class ParallelFor, class ScoreOf>
void merge_token_scores(host_executor<ParallelFor> const& on, plan_data const& p, int source_heads,
                        score_merger const& merger, ScoreOf&& score_of) {
  auto const heads = static_cast<float>(source_heads);
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    int const begin = chunk * score_chunk;
    int const end = p.review - begin < score_chunk ? p.review : begin + score_chunk;
    for (int token = begin; token < end; ++token) {
      float sum = 0.f;
      for (int head = 0; head < source_heads; ++head) {
        float const score = score_of(head, token);
        sum += score;
        merger.merge_head(head, token, score);
      }
      merger.merge_mean(token, sum / heads);
    }
  });
}

}  // namespace windowkv::detail
