// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/attention_scores.hpp
/// The host's attention: rows of queries in the lanes of vector registers, keys broadcast, tiles of a few
/// tokens.
///
/// Rows of one KV head are its query heads times the rows of a query block (the suffix, or some rows of the
/// prompt), row = head_in_group * rows + i. Pass 1 finds
/// each row's softmax maximum and denominator, pass 2 computes the probabilities again and folds them. Work
/// is cut into chunks of a fixed number of tokens and partial results are combined in chunk order, so that
/// the number of threads changes nothing.

#include <cmath>
#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/plan.hpp"
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

  /// Hides what is not there: tokens behind `count`, and a block's own tokens from the queries before them.
  void mask(std::int64_t first_row, int first_token, int count, query_block const& block) {
    for (int t = 0; t < tile_tokens; ++t) {
      int const own_token = first_token + t - block.first();
      for (std::int64_t half = 0; half < 2; ++half) {
        float lane[simd_floats];
        store_floats(lane, value[t][half]);
        for (int i = 0; i < simd_floats; ++i) {
          std::int64_t const query = (first_row + half * simd_floats + i) % block.rows;
          if (t >= count || query < own_token) lane[i] = lowest_logit;
        }
        value[t][half] = load_floats(lane);
      }
    }
  }
};

/// The block's rows, which are those of `queries` from `first` on, as [kv head][panel][dim][row of the
/// panel], scaled by log2(e) / sqrt(D), so that softmax is a ratio of powers of 2.
template <class QueryPlane>
void pack_queries(QueryPlane const& queries, int first, query_block const& block, float* packed) {
  model_shape const& shape = block.shape;
  std::int64_t const rows = rows_per_kv_head(block);
  std::int64_t const padded = padded_rows_per_kv_head(block);
  float const scale = log2_e / std::sqrt(static_cast<float>(shape.head_dim));
  for (int kv = 0; kv < shape.kv_heads; ++kv) {
    for (std::int64_t row = 0; row < padded; ++row) {
      float* out = packed + (kv * padded + row / panel_rows * panel_rows) * shape.head_dim + row % panel_rows;
      std::int64_t const head = std::int64_t{kv} * block.heads_per_kv_head() + row / block.rows;
      for (std::int64_t d = 0; d < shape.head_dim; ++d) {
        out[d * panel_rows] = row < rows ? queries.load(first + row % block.rows, head, d) * scale : 0.f;
      }
    }
  }
}

/// Pass 1 over one chunk of tokens for one KV head: maximum and sum of 2^(logit - maximum) of every row.
template <class KeyPlane>
void softmax_partials(query_block const& block, KeyPlane const& keys, int kv, int chunk,
                      workspace_layout const& memory) {
  std::int64_t const padded = padded_rows_per_kv_head(block);
  std::int64_t const rows = rows_per_kv_head(block);
  std::int64_t const all_rows = padded * block.shape.kv_heads;
  float* const row_max = memory.partial_max + chunk * all_rows + kv * padded;
  float* const row_sum = memory.partial_sum + chunk * all_rows + kv * padded;
  for (std::int64_t row = 0; row < padded; ++row) {
    row_max[row] = lowest_logit;
    row_sum[row] = 0.f;
  }
  int const begin = chunk * score_chunk;
  int const end = block.tokens - begin < score_chunk ? block.tokens : begin + score_chunk;
  for (int token = begin; token < end; token += tile_tokens) {
    int const count = end - token < tile_tokens ? end - token : tile_tokens;
    bool const needs_mask = count < tile_tokens || token + count > block.first();
    key_tile<KeyPlane> const tile(keys, kv, token, count);
    for (std::int64_t row = 0; row < rows; row += panel_rows) {
      float const* panel = memory.packed_queries + (kv * padded + row) * block.shape.head_dim;
      logit_tile logits(tile, panel, block.shape.head_dim);
      if (needs_mask) logits.mask(row, token, count, block);
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
inline void combine_partials(query_block const& block, workspace_layout const& memory) {
  std::int64_t const rows = padded_rows_per_kv_head(block) * block.shape.kv_heads;
  int const chunks = chunk_count(block.tokens);
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

/// The softmax denominators as the engine knows them: natural logarithms, that of (query head, row of the
/// block) at data[head * head_stride + row]; null where they must be found.
struct known_denominators {
  float const* data = nullptr;
  std::int64_t head_stride = 0;
};

/// The same from the engine's log-sum-exp: no pass over the keys.
inline void use_log_sum_exp(query_block const& block, known_denominators const& known,
                            workspace_layout const& memory) {
  std::int64_t const padded = padded_rows_per_kv_head(block);
  std::int64_t const rows = rows_per_kv_head(block);
  for (std::int64_t kv = 0; kv < block.shape.kv_heads; ++kv) {
    for (std::int64_t row = 0; row < padded; ++row) {
      std::int64_t const head = kv * block.heads_per_kv_head() + row / block.rows;
      float const logarithm = row < rows ? known.data[head * known.head_stride + row % block.rows] : 0.f;
      memory.partial_max[kv * padded + row] = logarithm * log2_e;
      memory.partial_sum[kv * padded + row] = 1.f;
    }
  }
}

/// Leaves the softmax of every row of the block in memory: from the keys, or from the engine's log-sum-exp.
template <class ParallelFor, class KeyPlane>
void find_softmax(host_executor<ParallelFor> const& on, query_block const& block, KeyPlane const& keys,
                  known_denominators const& known, workspace_layout const& memory) {
  if (known.data != nullptr) return use_log_sum_exp(block, known, memory);
  int const kv_heads = block.shape.kv_heads;
  on.parallel_for(chunk_count(block.tokens) * kv_heads,
                  [&](int item) { softmax_partials(block, keys, item % kv_heads, item / kv_heads, memory); });
  combine_partials(block, memory);
}

/// Pass 2 for one tile of tokens and one KV head, the first `count` of which are scored. For each query head
/// `start(query_head, token_in_tile)` is the fold's state before the block's rows, and
/// `emit(query_head, token_in_tile, state)` gets it back behind them. Rows that do not see a token are left
/// out.
template <class TokenScorer, class KeyPlane, class Start, class Emit>
void fold_tile(query_block const& block, TokenScorer const& scorer, KeyPlane const& keys, int kv, int first,
               int count, workspace_layout const& memory, Start&& start, Emit&& emit) {
  std::int64_t const rows = rows_per_kv_head(block);
  std::int64_t const first_row = kv * padded_rows_per_kv_head(block);
  key_tile<KeyPlane> const tile(keys, kv, first, count);
  typename TokenScorer::state_type state[tile_tokens];
  int head = kv * block.heads_per_kv_head();
  int row_of_head = 0;
  for (std::int64_t row = 0; row < rows; row += panel_rows) {
    float const* panel = memory.packed_queries + (first_row + row) * block.shape.head_dim;
    logit_tile const logits(tile, panel, block.shape.head_dim);
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
        for (int t = 0; t < count; ++t) state[t] = start(head, t);
      }
      int const seen = block.first() + row_of_head - first + 1;  // tokens of the tile that this query sees
      if (count == tile_tokens && seen >= tile_tokens) {
        for (int t = 0; t < tile_tokens; ++t) scorer.add(state[t], probability[t][i]);
      } else {
        for (int t = 0; t < count && t < seen; ++t) scorer.add(state[t], probability[t][i]);
      }
      if (++row_of_head < block.rows) continue;
      for (int t = 0; t < count; ++t) emit(head, t, state[t]);
      row_of_head = 0;
      ++head;
    }
  }
}

}  // namespace windowkv::detail
