// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/score_kernels.cuh
/// The two passes of scoring. `softmax_kernel` finds each row's maximum and denominator, chunk by chunk, and
/// on the way the row's sums over 8 tokens where these are all that is asked for. `fold_kernel` knows the
/// denominators and folds probabilities into token or window scores.
///
/// Grid: x cuts the prompt into runs of whole chunks, y is (KV head, block of rows), z the item of the table.

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/key_tiles.cuh"
#include "windowkv/cuda/detail/table.cuh"
#include "windowkv/policy/token_scorers.hpp"

namespace windowkv::detail {

inline constexpr int max_block_threads = 32 * max_block_warps;
/// "No maximum yet": finite, so that a difference of two never is NaN.
inline constexpr float lowest_reference = -3e38f;
/// A row's reference moves when a logit exceeds it by more than this (in log2): sums then stay far from
/// overflow, and the reference hardly ever moves.
inline constexpr float reference_slack = 40.f;

/// The tiles of keys that the calling block reads: its chunks of the first `tokens` tokens.
struct tile_range {
  int first = 0;
  int end = 0;
  int per_chunk = 0;

  __device__ tile_range(int tokens, int chunk_tokens) {
    int const chunks = (tokens + chunk_tokens - 1) / chunk_tokens;
    int const blocks = static_cast<int>(gridDim.x);
    int const per_block = (chunks + blocks - 1) / blocks;
    int const first_chunk = static_cast<int>(blockIdx.x) * per_block;
    int const end_chunk = first_chunk + per_block < chunks ? first_chunk + per_block : chunks;
    int const tiles = (tokens + tile_tokens_cuda - 1) / tile_tokens_cuda;
    per_chunk = chunk_tokens / tile_tokens_cuda;
    first = first_chunk * per_chunk;
    end = end_chunk * per_chunk < tiles ? end_chunk * per_chunk : tiles;
  }
  __device__ bool is_empty() const { return first >= end; }
  __device__ bool starts_chunk(int tile) const { return tile % per_chunk == 0; }
  __device__ bool ends_chunk(int tile) const { return (tile + 1) % per_chunk == 0 || tile + 1 == end; }
};

/// Softmax sums of the rows that the calling lane shares with the other three lanes of its quad.
template <class Table, int WarpTiles>
class row_softmax {
 public:
  __device__ row_softmax(Table const& table, typename Table::item_type const& item, row_place const& place,
                         int review, bool keeps_units)
      : table_(table), item_(item), place_(place), review_(review), keeps_units_(keeps_units) {}

  __device__ void start_chunk(int first_token) {
    first_unit_ = first_token / unit_tokens;
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      reference_[r] = lowest_reference;
      sum_[r] = 0.f;
    }
  }

  /// Takes the logits of 16 tokens. Only the last tokens need the mask: it is peeled out of the main loop.
  template <bool IsMasked>
  __device__ void add(int first_token, float (&c)[WarpTiles][2][4]) {
    int const column = first_token + 2 * (lane() % 4);
    if constexpr (IsMasked) {
      WINDOWKV_UNROLL
      for (int r = 0; r < rows; ++r) {
        int const last_seen = review_ + place_.suffix_row(table_, place_.warp_tile + r / 2, row_in_tile(r));
        WINDOWKV_UNROLL
        for (int x = 0; x < 4; ++x) {
          if (column + 8 * (x / 2) + x % 2 > last_seen) c[r / 2][x / 2][2 * (r % 2) + x % 2] = -HUGE_VALF;
        }
      }
    }
    move_references(first_token, c);
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      WINDOWKV_UNROLL
      for (int j = 0; j < 2; ++j) {
        float const* const x = c[r / 2][j] + 2 * (r % 2);
        float const e0 = fast_exp2(fmaf(x[0], table_.scale, -reference_[r]));
        float const e1 = fast_exp2(fmaf(x[1], table_.scale, -reference_[r]));
        sum_[r] += e0 + e1;
        if (!keeps_units_) continue;
        float unit = e0 + e1;
        if constexpr (IsMasked) {  // units hold review tokens only
          int const token = column + 8 * j;
          unit = (token < review_ ? e0 : 0.f) + (token + 1 < review_ ? e1 : 0.f);
        }
        unit += shuffle_xor(unit, 1);
        unit += shuffle_xor(unit, 2);
        int const index = first_token / unit_tokens + j;
        if (lane() % 4 == 0 && is_real(r) && index * unit_tokens < review_) *unit_address(index, r) = unit;
      }
    }
  }

  __device__ void finish_chunk(int chunk) {
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      float sum = sum_[r];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      if (lane() % 4 == 0 && is_real(r)) {
        std::int64_t const at = std::int64_t{chunk} * table_.rows.rows + row(r);
        item_.row_max[at] = reference_[r];
        item_.row_sum[at] = sum;
      }
    }
  }

 private:
  static constexpr int rows = 2 * WarpTiles;

  __device__ static int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static int row_in_tile(int r) { return lane() / 4 + 8 * (r % 2); }
  __device__ bool is_real(int r) const { return place_.warp_tile + r / 2 < place_.tiles; }
  __device__ std::int64_t row(int r) const {
    return place_.row(table_, place_.warp_tile + r / 2, row_in_tile(r));
  }
  __device__ float* unit_address(int unit, int r) const {
    return item_.scores + std::int64_t{unit} * table_.rows.rows + row(r);
  }

  /// Raises references that these logits exceed by far. A reference is a whole number, so that what was
  /// summed before changes by a power of two, exactly.
  __device__ void move_references(int first_token, float const (&c)[WarpTiles][2][4]) {
    float largest[rows];
    bool must_move = false;
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      float const* const x = c[r / 2][0] + 2 * (r % 2);
      float const* const y = c[r / 2][1] + 2 * (r % 2);
      largest[r] = fmaxf(fmaxf(x[0], x[1]), fmaxf(y[0], y[1])) * table_.scale;
      must_move = must_move || largest[r] > reference_[r] + reference_slack;
    }
    if (!any_lane(must_move)) return;
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 1));
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 2));
      float const moved = fmaxf(reference_[r], ceilf(largest[r]));
      float const factor = fast_exp2(reference_[r] - moved);
      sum_[r] *= factor;
      reference_[r] = moved;
      if (!keeps_units_ || lane() % 4 != 0 || !is_real(r) || factor == 1.f) continue;
      for (int unit = first_unit_; unit < first_token / unit_tokens && unit * unit_tokens < review_; ++unit) {
        *unit_address(unit, r) *= factor;
      }
    }
  }

  Table const& table_;
  typename Table::item_type const& item_;
  row_place const& place_;
  int review_;
  bool keeps_units_;
  int first_unit_ = 0;
  float reference_[rows] = {};
  float sum_[rows] = {};
};

/// Pass 1. Threads: 32 per `warp_tiles` row tiles of the block.
template <class Tiles, class Table>
__global__ void __launch_bounds__(max_block_threads, 1)
    softmax_kernel(Table const __grid_constant__ table, bool const keeps_units) {
  auto const& item = table.items[blockIdx.z];
  sequence_facts const& facts = table.sequences[item.sequence];
  int const tokens = facts.tokens_now();
  int const review = facts.review_now();
  if (item.ticket != nullptr && blockIdx.x + blockIdx.y + threadIdx.x == 0) *item.ticket = 0;
  if (review == 0) return;
  tile_range const range(tokens, facts.chunk_tokens);
  if (range.is_empty()) return;
  row_place const place(table, Tiles::warp_tiles);
  Tiles tiles(table, item, place, tokens, range.first, range.end);
  row_softmax<Table, Tiles::warp_tiles> softmax(table, item, place, review, keeps_units);
  for (int tile = range.first; tile < range.end; ++tile) {
    int const first_token = tile * tile_tokens_cuda;
    if (range.starts_chunk(tile)) softmax.start_chunk(first_token);
    tiles.acquire(tile);
    for (int pair = 0; pair < 2; ++pair) {
      float c[Tiles::warp_tiles][2][4];
      tiles.multiply(pair, c);
      if (first_token + tile_tokens_cuda <= review) {
        softmax.template add<false>(first_token + 16 * pair, c);
      } else {
        softmax.template add<true>(first_token + 16 * pair, c);
      }
    }
    if (range.ends_chunk(tile)) softmax.finish_chunk(tile / range.per_chunk);
  }
}

/// Logarithm to base 2 of a row's whole denominator: 2^(logit - offset) is the probability.
__device__ inline float combined_offset(float const* row_max, float const* row_sum, std::int64_t row,
                                        std::int64_t rows, int chunks) {
  float largest = lowest_reference;
  float sum = 0.f;
  WINDOWKV_UNROLL_BY(8)
  for (int c = 0; c < chunks; ++c) {
    float const next = row_max[c * rows + row];
    float const next_sum = row_sum[c * rows + row];
    float const larger = fmaxf(largest, next);
    sum = sum * fast_exp2(largest - larger) + next_sum * fast_exp2(next - larger);
    largest = larger;
  }
  return largest + log2f(sum);
}

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

/// Pass 2, over the review tokens. Threads as in pass 1.
template <class Tiles, class Table, class TokenScorer, class WindowScorer>
__global__ void __launch_bounds__(max_block_threads, 1)
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
        int const block_tile = place.warp_tile + m;
        bool const is_real = block_tile < place.tiles;
        WINDOWKV_UNROLL
        for (int j = 0; j < 2; ++j) {
          float p[4];
          WINDOWKV_UNROLL
          for (int x = 0; x < 4; ++x) {
            p[x] = fast_exp2(fmaf(c[m][j][x], table.scale, -offset[2 * m + x / 2]));
          }
          int const column = 16 * pair + 8 * j + 2 * (lane % 4);
          if constexpr (is_weighted_sum) {
            float low = p[0] * weight[2 * m] + p[2] * weight[2 * m + 1];
            float high = p[1] * weight[2 * m] + p[3] * weight[2 * m + 1];
            WINDOWKV_UNROLL
            for (int mask = 4; mask <= 16; mask *= 2) {
              low += shuffle_xor(low, mask);
              high += shuffle_xor(high, mask);
            }
            if (lane < 4 && is_real) {
              float* const to = memory.columns + block_tile * span_tokens + first_column + column;
              to[0] = low;
              to[1] = high;
            }
          } else if (is_real) {
            float* const to =
                memory.probabilities + (block_tile * row_tile + lane / 4) * memory_type::row_floats + column;
            to[0] = p[0];
            to[1] = p[1];
            to[8 * memory_type::row_floats] = p[2];
            to[8 * memory_type::row_floats + 1] = p[3];
          }
        }
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

/// Finished or nearly finished scores from the engine: one thread per token. `Source` gives
/// `score(head, token)`; heads are added in order.
template <class Source>
__global__ void __launch_bounds__(max_block_threads)
    given_scores_kernel(Source const source, sequence_facts const facts, int const heads,
                        bool const merges_heads, float* const scores, unsigned* const ticket) {
  int const token = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (ticket != nullptr && token == 0) *ticket = 0;
  if (token >= facts.review_now()) return;
  float sum = 0.f;
  for (int head = 0; head < heads; ++head) {
    float const score = source.score(head, token);
    if (merges_heads) {
      sum += score;
    } else {
      scores[std::int64_t{head} * facts.review + token] = score;
    }
  }
  if (merges_heads) scores[token] = sum / static_cast<float>(heads);
}

/// Token scores as given.
struct given_tokens {
  float const* data;
  std::int64_t head_stride;
  __device__ float score(int head, int token) const { return data[head * head_stride + token]; }
};

/// The token scorer's fold over the engine's attention rows.
template <class TokenScorer>
struct given_rows {
  TokenScorer scorer;
  float const* data;  ///< of the first suffix row
  std::int64_t head_stride;
  std::int64_t row_stride;
  int rows;
  __device__ float score(int head, int token) const {
    auto state = scorer.init();
    float const* const element = data + head * head_stride + token;
    for (int row = 0; row < rows; ++row) scorer.add(state, element[row * row_stride]);
    return scorer.finish(state, rows);
  }
};

}  // namespace windowkv::detail
