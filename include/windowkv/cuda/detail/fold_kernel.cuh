// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/fold_kernel.cuh
/// The second pass of scoring knows the denominators and folds probabilities into token or window scores.
/// Grid as in the first (softmax_kernel.cuh).

#include <cuda_runtime.h>

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/key_tiles.cuh"
#include "windowkv/cuda/detail/softmax_kernel.cuh"
#include "windowkv/cuda/detail/table.cuh"
#include "windowkv/policy/token_scorers.hpp"

namespace windowkv::detail {

/// What the second pass makes of the probabilities.
template <class TokenScorer, class WindowScorer>
struct fold_rule {
  TokenScorer token_scorer;
  WindowScorer window_scorer;
  int window_width = 1;
  score_form form = score_form::token_sums;
};

/// Shared memory of the second pass, behind the key tiles.
template <bool IsWeightedSum>
struct fold_memory {
  static constexpr int row_floats = tile_tokens_cuda + 4;  // the pad spreads rows over the banks

  float* offsets;        ///< [rows of the block]
  float* columns;        ///< [tiles or heads of the block][span]: token scores
  float* window_parts;   ///< [2][heads of the block][windows of the span]
  float* probabilities;  ///< [rows of the block][tile], for folds that need a token's rows together

  /// Counts floats (with a null base) and hands them out.
  WINDOWKV_HD int carve(float* base, int tiles, bool has_windows) {
    int used = 0;
    auto const take = [&](int count) {
      float* const at = base == nullptr ? nullptr : base + used;
      used += count;
      return at;
    };
    offsets = take(tiles * row_tile);
    columns = take(tiles * span_tokens);
    window_parts = take(has_windows ? 2 * tiles * span_tokens : 0);
    probabilities = take(IsWeightedSum ? 0 : tiles * row_tile * row_floats);
    return used;
  }
};

/// Folds the columns of one span of tokens into what the item's scores shall be. All threads of the block,
/// behind a barrier.
template <class Table, class Rule>
__device__ void finish_span(Table const& table, typename Table::item_type const& item,
                            sequence_facts const& facts, row_place const& place, Rule const& rule,
                            float const* columns, float* window_parts, int columns_per_head, int first_token,
                            int count) {
  int const thread = static_cast<int>(threadIdx.x);
  int const threads = static_cast<int>(blockDim.x);
  int const heads = place.tiles / table.rows.tiles_per_head;
  int const part = place.kv_head * table.rows.blocks + place.row_block;
  auto const token_score = [&](int head, int token) {
    float score = columns[head * columns_per_head * span_tokens + token];
    for (int i = 1; i < columns_per_head; ++i) {
      score += columns[(head * columns_per_head + i) * span_tokens + token];
    }
    return score;
  };
  if (rule.form == score_form::token_sums) {
    for (int token = thread; token < count; token += threads) {
      float sum = 0.f;
      for (int head = 0; head < heads; ++head) sum += token_score(head, token);
      item.scores[std::int64_t{part} * facts.review + first_token + token] = sum;
    }
    return;
  }
  int const first_head = place.query_head(table, 0);
  if (rule.form == score_form::token_rows) {
    for (int i = thread; i < heads * span_tokens; i += threads) {
      int const head = i / span_tokens;
      int const token = i % span_tokens;
      if (token >= count) continue;
      item.scores[std::int64_t{first_head + head} * facts.review + first_token + token] =
          token_score(head, token);
    }
    return;
  }
  int const windows = (count + rule.window_width - 1) / rule.window_width;
  float* const masses = window_parts + heads * span_tokens;
  for (int i = thread; i < heads * windows; i += threads) {
    int const head = i / windows;
    int const begin = i % windows * rule.window_width;
    int const end = begin + rule.window_width < count ? begin + rule.window_width : count;
    auto state = rule.window_scorer.init();
    float mass = 0.f;
    for (int token = begin; token < end; ++token) {
      float const score = token_score(head, token);
      rule.window_scorer.add(state, score);
      mass += score;
    }
    window_parts[i] = rule.window_scorer.finish(state, end - begin);
    masses[i] = mass;
  }
  __syncthreads();
  std::int64_t const parts = std::int64_t{table.kv_heads} * table.rows.blocks;
  for (int w = thread; w < windows; w += threads) {
    float sum = 0.f;
    float mass = 0.f;
    for (int head = 0; head < heads; ++head) {
      sum += window_parts[head * windows + w];
      mass += masses[head * windows + w];
    }
    std::int64_t const window = first_token / rule.window_width + w;
    item.scores[part * facts.windows + window] = sum;
    item.scores[(parts + part) * facts.windows + window] = mass;
  }
}

/// Clears the probabilities of rows without weight: an infinite one must not turn into NaN.
template <int WarpTiles>
__device__ void clear_padding(float (&p)[WarpTiles][2][4], float const (&weight)[2 * WarpTiles]) {
  WINDOWKV_UNROLL
  for (int i = 0; i < 8 * WarpTiles; ++i) {
    if (weight[i / 8 * 2 + i % 4 / 2] == 0.f) p[i / 8][i / 4 % 2][i % 4] = 0.f;
  }
}

/// Sums of the warp's weighted probabilities over the rows of each of its tiles, for 16 tokens. In each step
/// a lane hands one half of its sums to the lane that adds up that half, so that all lanes share the adding.
template <int WarpTiles>
__device__ void add_columns(float const (&p)[WarpTiles][2][4], float const (&weight)[2 * WarpTiles],
                            row_place const& place, float* columns) {
  int const lane = static_cast<int>(threadIdx.x) % 32;
  float sum[4 * WarpTiles];  // [tile][8 tokens][token of the lane]
  WINDOWKV_UNROLL
  for (int i = 0; i < 4 * WarpTiles; ++i) {
    float const* const x = p[i / 4][i / 2 % 2];
    sum[i] = x[i % 2] * weight[i / 4 * 2] + x[2 + i % 2] * weight[i / 4 * 2 + 1];
  }
  int index = 0;
  WINDOWKV_UNROLL
  for (int step = 0; step < 3; ++step) {
    int const mask = 4 << step;
    int const half = (4 * WarpTiles) >> (step + 1);
    if (half == 0) {
      sum[0] += shuffle_xor(sum[0], mask);
      continue;
    }
    bool const is_upper = (lane & mask) != 0;
    WINDOWKV_UNROLL
    for (int i = 0; i < half; ++i) {
      float const handed = is_upper ? sum[i] : sum[i + half];
      sum[i] = (is_upper ? sum[i + half] : sum[i]) + shuffle_xor(handed, mask);
    }
    index += is_upper ? half : 0;
  }
  int const tile = place.warp_tile + index / 4;
  bool const is_writer = lane < 16 * WarpTiles;  // with one tile, two lanes hold each sum
  if (is_writer && tile < place.tiles) {
    columns[tile * span_tokens + index / 2 % 2 * 8 + 2 * (lane % 4) + index % 2] = sum[0];
  }
}

/// The warp's probabilities of 16 tokens, for folds that need a token's rows together.
template <int WarpTiles>
__device__ void store_probabilities(float const (&p)[WarpTiles][2][4], row_place const& place, int row_floats,
                                    float* probabilities) {
  int const lane = static_cast<int>(threadIdx.x) % 32;
  WINDOWKV_UNROLL
  for (int m = 0; m < WarpTiles; ++m) {
    int const tile = place.warp_tile + m;
    if (tile >= place.tiles) continue;
    WINDOWKV_UNROLL
    for (int x = 0; x < 8; ++x) {
      int const row = tile * row_tile + lane / 4 + x % 4 / 2 * 8;
      probabilities[row * row_floats + x / 4 * 8 + 2 * (lane % 4) + x % 2] = p[m][x / 4][x % 4];
    }
  }
}

/// Pass 2, over the review tokens. Threads as in pass 1.
template <class Tiles, class Table, class TokenScorer, class WindowScorer>
__global__ void __launch_bounds__(max_block_threads,
                                  is_weighted_sum_v<TokenScorer> ? Tiles::blocks_per_multiprocessor : 1)
    fold_kernel(Table const __grid_constant__ table, fold_rule<TokenScorer, WindowScorer> const rule) {
  constexpr bool is_weighted_sum = is_weighted_sum_v<TokenScorer>;
  constexpr int rows = 2 * Tiles::warp_tiles;
  using memory_type = fold_memory<is_weighted_sum>;
  auto const& item = table.items[blockIdx.z];
  sequence_facts const& facts = table.sequences[item.sequence];
  int const tokens = facts.tokens_now();
  int const review = facts.review_now();
  if (item.ticket != nullptr && blockIdx.x + blockIdx.y + threadIdx.x == 0) *item.ticket = 0;
  if (review == 0) return;
  tile_range const range(review, facts.chunk_tokens);
  if (range.is_empty()) return;
  int const thread = static_cast<int>(threadIdx.x);
  int const lane = thread % 32;
  row_place const place(table, Tiles::warp_tiles);
  memory_type memory;
  memory.carve(reinterpret_cast<float*>(dynamic_shared() + Tiles::shared_bytes(table)), place.tiles,
               rule.form == score_form::window_sums);
  Tiles tiles(table, item, place, tokens, range.first, range.end);

  int const chunks = (tokens + facts.chunk_tokens - 1) / facts.chunk_tokens;
  for (int r = thread; r < place.tiles * row_tile; r += static_cast<int>(blockDim.x)) {
    int const tile = r / row_tile;
    int const row = place.suffix_row(table, tile, r % row_tile);
    int const used = row < table.suffix ? row : table.suffix - 1;
    memory.offsets[r] =
        item.log_sum_exp != nullptr
            ? item.log_sum_exp[std::int64_t{place.query_head(table, tile)} * table.suffix + used] *
                  1.44269504088896340736f
            : combined_offset(item.row_max, item.row_sum, place.row(table, tile, r % row_tile),
                              table.rows.rows, chunks);
  }
  __syncthreads();
  float offset[rows];
  float weight[rows];
  WINDOWKV_UNROLL
  for (int r = 0; r < rows; ++r) {
    int const tile = place.warp_tile + r / 2;
    int const in_tile = lane / 4 + 8 * (r % 2);
    int const row = place.suffix_row(table, tile, in_tile);
    offset[r] = tile < place.tiles ? memory.offsets[tile * row_tile + in_tile] : 0.f;
    if constexpr (is_weighted_sum) {
      weight[r] = row < table.suffix ? rule.token_scorer.weight(row, table.suffix) : 0.f;
    }
  }

  for (int tile = range.first; tile < range.end; ++tile) {
    int const first_token = tile * tile_tokens_cuda;
    int const first_column = first_token % span_tokens;
    tiles.acquire(tile);
    for (int pair = 0; pair < 2; ++pair) {
      float c[Tiles::warp_tiles][2][4];
      tiles.multiply(pair, c);
      WINDOWKV_UNROLL
      for (int m = 0; m < Tiles::warp_tiles; ++m) {
        WINDOWKV_UNROLL
        for (int x = 0; x < 8; ++x) {
          float& value = c[m][x / 4][x % 4];
          value = fast_exp2(fmaf(value, table.scale, -offset[2 * m + x % 4 / 2]));
        }
      }
      int const column = first_column + 16 * pair;
      if constexpr (is_weighted_sum) {
        if (table.suffix % row_tile != 0) clear_padding<Tiles::warp_tiles>(c, weight);
        add_columns<Tiles::warp_tiles>(c, weight, place, memory.columns + column);
      } else {
        store_probabilities<Tiles::warp_tiles>(c, place, memory_type::row_floats,
                                               memory.probabilities + 16 * pair);
      }
    }
    if constexpr (!is_weighted_sum) {
      __syncthreads();
      int const heads = place.tiles / table.rows.tiles_per_head;
      for (int i = thread; i < heads * tile_tokens_cuda; i += static_cast<int>(blockDim.x)) {
        int const head = i / tile_tokens_cuda;
        int const token = i % tile_tokens_cuda;
        float const* const row = memory.probabilities +
                                 head * table.rows.tiles_per_head * row_tile * memory_type::row_floats +
                                 token;
        auto state = rule.token_scorer.init();
        for (int s = 0; s < table.suffix; ++s) rule.token_scorer.add(state, row[s * memory_type::row_floats]);
        memory.columns[head * span_tokens + first_column + token] =
            rule.token_scorer.finish(state, table.suffix);
      }
    }
    bool const ends_span = (first_token + tile_tokens_cuda) % span_tokens == 0 || tile + 1 == range.end;
    if (!ends_span) continue;
    int const span = first_token - first_column;
    __syncthreads();
    finish_span(
        table, item, facts, place, rule, memory.columns, memory.window_parts,
        is_weighted_sum ? table.rows.tiles_per_head : 1, span,
        review - span < first_column + tile_tokens_cuda ? review - span : first_column + tile_tokens_cuda);
    __syncthreads();
  }
}

}  // namespace windowkv::detail
