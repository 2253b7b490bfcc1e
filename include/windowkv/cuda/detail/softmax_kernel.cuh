// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/softmax_kernel.cuh
/// The first pass of scoring finds each row's maximum and denominator, chunk by chunk, and on the way the
/// row's sums over 8 tokens where these are all that is asked for.
///
/// Grid: x cuts the prompt into runs of whole chunks, y is (KV head, block of rows), z the item of the table.

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/key_tiles.cuh"
#include "windowkv/cuda/detail/table.cuh"

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
      : table_(table),
        item_(item),
        review_(review),
        real_tiles_(place.tiles - place.warp_tile),
        first_row_(static_cast<int>(place.row(table, place.warp_tile, row_in_tile(0)))),
        keeps_units_(keeps_units) {}

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
      row_place const place(table_, WarpTiles);  // not kept: registers are scarce
      WINDOWKV_UNROLL
      for (int r = 0; r < rows; ++r) {
        int const last_seen = review_ + place.suffix_row(table_, place.warp_tile + r / 2, row_in_tile(r));
        WINDOWKV_UNROLL
        for (int x = 0; x < 4; ++x) {
          if (column + 8 * (x / 2) + x % 2 > last_seen) c[r / 2][x / 2][2 * (r % 2) + x % 2] = -HUGE_VALF;
        }
      }
    }
    move_references(first_token, c);
    float units[rows][2];
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      WINDOWKV_UNROLL
      for (int j = 0; j < 2; ++j) {
        float const* const x = c[r / 2][j] + 2 * (r % 2);
        float const e0 = fast_exp2(fmaf(x[0], table_.scale, -reference_[r]));
        float const e1 = fast_exp2(fmaf(x[1], table_.scale, -reference_[r]));
        sum_[r] += e0 + e1;
        units[r][j] = e0 + e1;
        if constexpr (IsMasked) {  // units hold review tokens only
          int const token = column + 8 * j;
          units[r][j] = (token < review_ ? e0 : 0.f) + (token + 1 < review_ ? e1 : 0.f);
        }
      }
    }
    if (keeps_units_) keep_units(first_token / unit_tokens, units);
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
  __device__ bool is_real(int r) const { return r / 2 < real_tiles_; }
  __device__ int row(int r) const { return first_row_ + r / 2 * row_tile + 8 * (r % 2); }
  __device__ float* unit_address(int unit, int r) const {
    return item_.scores + std::int64_t{unit} * table_.rows.rows + row(r);
  }

  /// Adds up what the four lanes of a quad hold of each row and unit, every lane a quarter of the sums, and
  /// writes them.
  __device__ void keep_units(int first_unit, float const (&units)[rows][2]) {
    constexpr int half = rows / 2;
    bool const is_odd = (lane() & 1) != 0;
    bool const is_upper = (lane() & 2) != 0;
    float pairs[rows];
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      pairs[r] = (is_odd ? units[r][1] : units[r][0]) + shuffle_xor(is_odd ? units[r][0] : units[r][1], 1);
    }
    int const unit = first_unit + (is_odd ? 1 : 0);
    float* const to = unit_address(unit, 0);
    WINDOWKV_UNROLL
    for (int i = 0; i < half; ++i) {
      float const sum =
          (is_upper ? pairs[i + half] : pairs[i]) + shuffle_xor(is_upper ? pairs[i] : pairs[i + half], 2);
      int const r = is_upper ? i + half : i;
      if (is_real(r) && unit * unit_tokens < review_) to[r / 2 * row_tile + 8 * (r % 2)] = sum;
    }
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
    __syncwarp();  // the lanes of a quad write each other's units
    WINDOWKV_UNROLL
    for (int r = 0; r < rows; ++r) {
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 1));
      largest[r] = fmaxf(largest[r], shuffle_xor(largest[r], 2));
      float const moved = fmaxf(reference_[r], ceilf(largest[r]));
      float const factor = fast_exp2(reference_[r] - moved);
      sum_[r] *= factor;
      reference_[r] = moved;
      if (!keeps_units_ || !is_real(r) || factor == 1.f) continue;
      int const end = first_token / unit_tokens;
      for (int unit = first_unit_ + lane() % 4; unit < end && unit * unit_tokens < review_; unit += 4) {
        *unit_address(unit, r) *= factor;
      }
    }
  }

  Table const& table_;
  typename Table::item_type const& item_;
  int review_;
  int real_tiles_;
  int first_row_;
  bool keeps_units_;
  int first_unit_ = 0;
  float reference_[rows] = {};
  float sum_[rows] = {};
};

/// Pass 1. Threads: 32 per `warp_tiles` row tiles of the block.
template <class Tiles, class Table>
__global__ void __launch_bounds__(max_block_threads, Tiles::blocks_per_multiprocessor)
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

}  // namespace windowkv::detail
