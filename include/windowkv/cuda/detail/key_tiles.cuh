// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/key_tiles.cuh
/// Logits of suffix rows against tiles of 32 keys, in the layout of a matrix instruction: c[m][j][x] of lane
/// l is row 16 m + l / 4 + 8 (x / 2) of the warp against token 8 j + 2 (l % 4) + x % 2 of a pair of tiles of
/// 8 tokens. Queries stay in registers, keys stream through shared memory.
///
/// Rows behind a head's S repeat its last row: they are never used, and never differ from a row that is.

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/table.cuh"

namespace windowkv::detail {

/// What the calling block and warp work on.
struct row_place {
  int kv_head;
  int row_block;
  int first_tile;  ///< of the block, within the KV head
  int tiles;       ///< of the block
  int warp_tile;   ///< first of the warp, within the block

  template <class Table>
  __device__ row_place(Table const& table, int warp_tiles) {
    int const block = static_cast<int>(blockIdx.y);
    kv_head = block / table.rows.blocks;
    row_block = block % table.rows.blocks;
    int const most = table.rows.heads_per_block * table.rows.tiles_per_head;
    first_tile = row_block * most;
    tiles = table.rows.tiles - first_tile < most ? table.rows.tiles - first_tile : most;
    warp_tile = static_cast<int>(threadIdx.x / 32) * warp_tiles;
  }

  /// Query head of a tile of the block, and suffix row of its row `r`, not clamped to S.
  template <class Table>
  __device__ int query_head(Table const& table, int tile) const {
    return kv_head * table.heads_per_kv + (first_tile + tile) / table.rows.tiles_per_head;
  }
  template <class Table>
  __device__ int suffix_row(Table const& table, int tile, int r) const {
    return (first_tile + tile) % table.rows.tiles_per_head * row_tile + r;
  }
  /// Index of a row among those of all KV heads.
  template <class Table>
  __device__ std::int64_t row(Table const& table, int tile, int r) const {
    return (std::int64_t{kv_head} * table.rows.tiles + first_tile + tile) * row_tile + r;
  }
};

/// Where a lane's row `half` of tile `m` of its warp reads its query.
struct query_row {
  int slot;
  int head;

  template <class Table>
  __device__ query_row(Table const& table, row_place const& place, int first_query_row, int m, int r) {
    int const last = place.tiles - 1;
    int const tile = place.warp_tile + m < last ? place.warp_tile + m : last;
    int const row = place.suffix_row(table, tile, r);
    slot = first_query_row + (row < table.suffix ? row : table.suffix - 1);
    head = place.query_head(table, tile);
  }
};

template <class Layout>
inline constexpr bool has_packs_v = false;
template <>
inline constexpr bool has_packs_v<packed_layout> = true;
template <class InPage, class Index>
inline constexpr bool has_packs_v<paged_layout<InPage, Index>> = has_packs_v<InPage>;

/// Tensor cores: 16-bit keys and queries of one type, keys in aligned pieces of 16 bytes, D = HeadDim.
template <class Table, int HeadDim>
class tensor_tiles {
 public:
  using item_type = typename Table::item_type;
  using element = std::remove_const_t<typename Table::key_plane::element_type>;
  static constexpr int warp_tiles = row_tiles_per_warp(HeadDim);
  // Of the largest block: 128 registers per thread. Where rows lie in packs, a few more are needed.
  static constexpr int blocks_per_multiprocessor =
      has_packs_v<typename Table::key_plane::layout_type> ? 1 : 2;
  // 16 bytes more than the row holds: the 8 rows of a tile then lie in different banks.
  static constexpr int row_bytes = HeadDim * 2 + 16;
  static constexpr int stage_bytes = tile_tokens_cuda * row_bytes;

  WINDOWKV_HD static std::size_t shared_bytes(Table const& table) {
    return static_cast<std::size_t>(table.key_stages) * stage_bytes;
  }

  __device__ tensor_tiles(Table const& table, item_type const& item, row_place const& place, int tokens,
                          int first_tile, int end_tile)
      : table_(table), item_(item), head_(place.kv_head), tokens_(tokens), end_tile_(end_tile) {
    for (int s = 0; s + 1 < table_.key_stages; ++s) start_copy(first_tile + s, s);
    int const lane = static_cast<int>(threadIdx.x) % 32;
    WINDOWKV_UNROLL
    for (int m = 0; m < warp_tiles; ++m) {
      query_row const low(table, place, item.first_query_row, m, lane / 4);
      query_row const high(table, place, item.first_query_row, m, lane / 4 + 8);
      auto const* const a = item.queries.address(low.slot, low.head, 2 * (lane % 4));
      auto const* const b = item.queries.address(high.slot, high.head, 2 * (lane % 4));
      WINDOWKV_UNROLL
      for (int k = 0; k < HeadDim / 16; ++k) {
        queries_[m][k][0] = load_word(a + 16 * k);
        queries_[m][k][1] = load_word(b + 16 * k);
        queries_[m][k][2] = load_word(a + 16 * k + 8);
        queries_[m][k][3] = load_word(b + 16 * k + 8);
      }
    }
  }

  /// Brings a tile of keys; all threads of the block, in order of tiles.
  __device__ void acquire(int tile) {
    int const stages = table_.key_stages;
    if (stages == 2) {
      wait_for_copies<0>();
    } else if (stages == 3) {
      wait_for_copies<1>();
    } else {
      wait_for_copies<2>();
    }
    __syncthreads();  // also: nobody reads the stage before any more, which the next copy overwrites
    start_copy(tile + stages - 1, stage_ == 0 ? stages - 1 : stage_ - 1);
    current_ = dynamic_shared() + stage_ * stage_bytes;
    stage_ = stage_ + 1 == stages ? 0 : stage_ + 1;
  }

  /// Logits against tokens [16 pair, 16 pair + 16) of the tile.
  __device__ void multiply(int pair, float (&c)[warp_tiles][2][4]) {
    int const lane = static_cast<int>(threadIdx.x) % 32;
    unsigned char const* const row =
        current_ + (16 * pair + lane % 8 + lane / 16 * 8) * row_bytes + lane / 8 % 2 * 16;
    WINDOWKV_UNROLL
    for (int m = 0; m < warp_tiles; ++m) {
      WINDOWKV_UNROLL
      for (int x = 0; x < 8; ++x) c[m][x / 4][x % 4] = 0.f;
    }
    WINDOWKV_UNROLL
    for (int k = 0; k < HeadDim / 16; ++k) {
      std::uint32_t b[4];
      load_tiles(b, row + 32 * k);
      WINDOWKV_UNROLL
      for (int m = 0; m < warp_tiles; ++m) {
        multiply_tile<element>(c[m][0], queries_[m][k], b[0], b[1]);
        multiply_tile<element>(c[m][1], queries_[m][k], b[2], b[3]);
      }
    }
  }

 private:
  __device__ void start_copy(int tile, int stage) {
    constexpr int pieces = HeadDim / 8;        // of 16 bytes, per row
    constexpr int rows_at_once = 32 / pieces;  // per warp
    int const lane = static_cast<int>(threadIdx.x) % 32;
    int const piece = lane % pieces;
    int const first_row = static_cast<int>(threadIdx.x) / 32 * rows_at_once + lane / pieces;
    if (tile < end_tile_ && lane / pieces < rows_at_once) {
      unsigned char* const to = dynamic_shared() + stage * stage_bytes + piece * 16;
      int const first_token = tile * tile_tokens_cuda;
      int const last = tokens_ - 1 - first_token;
      int const step = static_cast<int>(blockDim.x) / 32 * rows_at_once;
      auto const& keys = keys_now();
      for (int row = first_row; row < tile_tokens_cuda; row += step) {
        copy_async(to + row * row_bytes,
                   keys.address(first_token + (row < last ? row : last), head_, piece * 8));
      }
    }
    commit_copies();
  }

  /// Page tables need more registers than are left: their layout is read anew for every tile.
  __device__ auto const& keys_now() const {
    if constexpr (has_table_v<typename Table::key_plane::layout_type>) {
      return table_.items[not_kept(static_cast<int>(blockIdx.z))].keys;
    } else {
      return item_.keys;
    }
  }

  Table const& table_;
  item_type const& item_;
  int head_;
  int tokens_;
  int end_tile_;
  int stage_ = 0;  // that the next tile is in
  unsigned char const* current_ = nullptr;
  std::uint32_t queries_[warp_tiles][HeadDim / 16][4];
};

/// CUDA cores: any readable plane, any D.
template <class Table>
class plain_tiles {
 public:
  using item_type = typename Table::item_type;
  static constexpr int warp_tiles = 2;
  static constexpr int blocks_per_multiprocessor = 1;
  static constexpr int pair_tokens = 16;

  WINDOWKV_HD static std::size_t shared_bytes(Table const& table) {
    return static_cast<std::size_t>(pair_tokens * row_floats(table.head_dim)) * sizeof(float);
  }

  __device__ plain_tiles(Table const& table, item_type const& item, row_place const& place, int tokens,
                         int /*first_tile*/, int /*end_tile*/)
      : table_(table), item_(item), place_(place), tokens_(tokens) {}

  __device__ void acquire(int tile) { first_token_ = tile * tile_tokens_cuda; }

  __device__ void multiply(int pair, float (&c)[warp_tiles][2][4]) {
    auto* const keys = reinterpret_cast<float*>(dynamic_shared());
    int const stride = row_floats(table_.head_dim);
    __syncthreads();  // the keys of the pair before are no longer read
    for (int i = static_cast<int>(threadIdx.x); i < pair_tokens * table_.head_dim;
         i += static_cast<int>(blockDim.x)) {
      int const row = i / table_.head_dim;
      int const dim = i % table_.head_dim;
      int const token = first_token_ + pair * pair_tokens + row;
      int const slot = token < tokens_ ? token : tokens_ - 1;
      keys[row * stride + dim] = item_.keys.load_float(slot, place_.kv_head, dim);
    }
    __syncthreads();
    int const lane = static_cast<int>(threadIdx.x) % 32;
    float const* const key = keys + 2 * (lane % 4) * stride;
    WINDOWKV_UNROLL
    for (int m = 0; m < warp_tiles; ++m) {
      query_row const low(table_, place_, item_.first_query_row, m, lane / 4);
      query_row const high(table_, place_, item_.first_query_row, m, lane / 4 + 8);
      float sum[2][4] = {};
      for (int d = 0; d < table_.head_dim; ++d) {
        float const q0 = item_.queries.load_float(low.slot, low.head, d);
        float const q1 = item_.queries.load_float(high.slot, high.head, d);
        WINDOWKV_UNROLL
        for (int j = 0; j < 2; ++j) {
          float const k0 = key[8 * j * stride + d];
          float const k1 = key[(8 * j + 1) * stride + d];
          sum[j][0] += q0 * k0;
          sum[j][1] += q0 * k1;
          sum[j][2] += q1 * k0;
          sum[j][3] += q1 * k1;
        }
      }
      WINDOWKV_UNROLL
      for (int x = 0; x < 8; ++x) c[m][x / 4][x % 4] = sum[x / 4][x % 4];
    }
  }

 private:
  /// Rows apart by an odd number of floats lie in different banks.
  WINDOWKV_HD static int row_floats(int head_dim) { return head_dim | 1; }

  Table const& table_;
  item_type const& item_;
  row_place place_;
  int tokens_;
  int first_token_ = 0;
};

}  // namespace windowkv::detail
