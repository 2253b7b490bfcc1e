// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The paper's method assembled from what a CUDA programmer has at hand: a strided batched GEMM of cuBLAS,
// plain kernels for softmax, sum over rows and window scores, radix sorts of CUB, a gather per layer.

#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include <cub/device/device_radix_sort.cuh>

#include "cuda_support.cuh"

namespace wkv_bench {

inline void check(cublasStatus_t outcome, char const* what) {
  if (outcome != CUBLAS_STATUS_SUCCESS)
    throw std::runtime_error(std::string(what) + ": " + cublasGetStatusString(outcome));
}

template <class Merge>
__device__ float reduce_over_block(float value, Merge merge) {
  __shared__ float shared[32];
  for (int step = 16; step > 0; step /= 2) value = merge(value, __shfl_xor_sync(~0u, value, step));
  __syncthreads();
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  value = shared[threadIdx.x % 32 < blockDim.x / 32 ? threadIdx.x % 32 : 0];
  // Lanes beyond the number of warps repeat the first entry, which only a maximum forgives.
  if constexpr (!Merge::is_idempotent) value = threadIdx.x % 32 < blockDim.x / 32 ? value : 0.f;
  for (int step = 16; step > 0; step /= 2) value = merge(value, __shfl_xor_sync(~0u, value, step));
  return value;
}
struct larger {
  static constexpr bool is_idempotent = true;
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};
struct sum_of {
  static constexpr bool is_idempotent = false;
  __device__ float operator()(float a, float b) const { return a + b; }
};

/// One block per row of [heads * suffix][tokens], in place; row i of a head sees tokens - suffix + i + 1.
static __global__ void softmax_rows(float* logits, int tokens, int suffix) {
  float* const row = logits + std::int64_t{blockIdx.x} * tokens;
  int const visible = tokens - suffix + static_cast<int>(blockIdx.x) % suffix + 1;
  float most = -INFINITY;
  for (int j = static_cast<int>(threadIdx.x); j < visible; j += static_cast<int>(blockDim.x))
    most = fmaxf(most, row[j]);
  most = reduce_over_block(most, larger{});
  float sum = 0.f;
  for (int j = static_cast<int>(threadIdx.x); j < visible; j += static_cast<int>(blockDim.x))
    sum += __expf(row[j] - most);
  sum = reduce_over_block(sum, sum_of{});
  float const factor = 1.f / sum;
  for (int j = static_cast<int>(threadIdx.x); j < tokens; j += static_cast<int>(blockDim.x))
    row[j] = j < visible ? __expf(row[j] - most) * factor : 0.f;
}

/// [heads][suffix][tokens] to [heads][tokens].
static __global__ void sum_rows(float const* probabilities, float* scores, int tokens, int suffix) {
  int const j = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (j >= tokens) return;
  float const* const head = probabilities + std::int64_t{blockIdx.y} * suffix * tokens;
  float sum = 0.f;
  for (int i = 0; i < suffix; ++i) sum += head[std::int64_t{i} * tokens + j];
  scores[std::int64_t{blockIdx.y} * tokens + j] = sum;
}

/// Mean over heads of each head's mean of its `most` largest scores in windows of 8. Blocks of 32 windows x
/// 8 heads.
static __global__ void score_windows(float const* scores, float* window_scores, int* window_ids, int tokens,
                                     int heads, int windows, int most) {
  constexpr int width = 8;
  __shared__ float shared[8][33];
  int const w = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  float sum = 0.f;
  for (int h = static_cast<int>(threadIdx.y); h < heads && w < windows; h += 8) {
    float const* const p = scores + std::int64_t{h} * tokens + w * width;
    float best[width];
#pragma unroll
    for (int j = 0; j < width; ++j) best[j] = p[j];
    if (most < width) {  // odd-even transposition sort, descending
#pragma unroll
      for (int round = 0; round < width; ++round) {
#pragma unroll
        for (int j = round % 2; j + 1 < width; j += 2) {
          float const a = fmaxf(best[j], best[j + 1]);
          best[j + 1] = fminf(best[j], best[j + 1]);
          best[j] = a;
        }
      }
    }
#pragma unroll
    for (int j = 0; j < width; ++j) sum += j < most ? best[j] : 0.f;
  }
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || w >= windows) return;
  for (int y = 1; y < 8; ++y) sum += shared[y][threadIdx.x];
  window_scores[w] = sum / static_cast<float>(heads * most);
  window_ids[w] = w;
}

/// Rows of `units` x 16 bytes: those of the kept windows, then the suffix. blockIdx.y: keys or values.
static __global__ void gather_rows(uint4 const* keys, uint4 const* values, uint4* kept_keys,
                                   uint4* kept_values, int const* window_ids, int windows, int tokens,
                                   int suffix, int units) {
  constexpr int width = 8;
  int const row = static_cast<int>(blockIdx.x * blockDim.y + threadIdx.y);
  int const from_windows = windows * width;
  if (row >= from_windows + suffix) return;
  std::int64_t const source = row < from_windows ? window_ids[row / width] * width + row % width
                                                 : tokens - suffix + row - from_windows;
  uint4 const* const from = blockIdx.y == 0 ? keys : values;
  uint4* const to = blockIdx.y == 0 ? kept_keys : kept_values;
  for (int u = static_cast<int>(threadIdx.x); u < units; u += static_cast<int>(blockDim.x))
    to[std::int64_t{row} * units + u] = from[source * units + u];
}

/// Windows of 8. Queries are [heads][suffix][dim], keys and values [slot][kv head][dim].
struct unfused_shape {
  int query_heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int tokens = 0;
  int suffix = 0;
  int most = 8;            ///< scores of a window that count
  int most_kept_rows = 0;  ///< of a layer, for the memory of the copies

  int windows() const { return (tokens - suffix) / 8; }
  std::size_t logits() const { return std::size_t(query_heads) * std::size_t(suffix) * std::size_t(tokens); }
};

class unfused_pipeline {
 public:
  unfused_pipeline(device& on, unfused_shape const& shape) : on_(on), s_(shape) {
    if ((s_.tokens - s_.suffix) % 8 != 0) throw std::runtime_error("unfused: whole windows only");
    auto const windows = static_cast<std::size_t>(s_.windows());
    logits_ = device_memory(s_.logits() * sizeof(float));
    scores_ = device_memory(s_.logits() / static_cast<std::size_t>(s_.suffix) * sizeof(float));
    window_scores_ = device_memory(2 * windows * sizeof(float));
    window_ids_ = device_memory(3 * windows * sizeof(int));
    auto const row_bytes = static_cast<std::size_t>(s_.kv_heads * s_.head_dim) * sizeof(__nv_bfloat16);
    kept_ = device_memory(2 * static_cast<std::size_t>(s_.most_kept_rows) * row_bytes);
    std::size_t pairs = 0;
    std::size_t keys = 0;
    check(cub::DeviceRadixSort::SortPairsDescending(nullptr, pairs, window_scores_.as<float>(),
                                                    window_scores_.as<float>(), window_ids_.as<int>(),
                                                    window_ids_.as<int>(), s_.windows()),
          "SortPairsDescending");
    check(cub::DeviceRadixSort::SortKeys(nullptr, keys, window_ids_.as<int>(), window_ids_.as<int>(),
                                         s_.windows()),
          "SortKeys");
    sort_memory_ = device_memory(pairs > keys ? pairs : keys);
    check(cublasCreate(&cublas_), "cublasCreate");
    cublas_memory_ = device_memory(std::size_t{32} << 20);
    check(cublasSetStream(cublas_, on.stream), "cublasSetStream");
    check(cublasSetWorkspace(cublas_, cublas_memory_.as<void>(), cublas_memory_.bytes()),
          "cublasSetWorkspace");
  }
  unfused_pipeline(unfused_pipeline const&) = delete;
  unfused_pipeline& operator=(unfused_pipeline const&) = delete;
  ~unfused_pipeline() { cublasDestroy(cublas_); }

  /// Window scores of one layer.
  void score(__nv_bfloat16 const* queries, __nv_bfloat16 const* keys) const {
    int const rows = s_.query_heads / s_.kv_heads * s_.suffix;
    float const scale = 1.f / std::sqrt(static_cast<float>(s_.head_dim));
    float const zero = 0.f;
    check(cublasGemmStridedBatchedEx(
              cublas_, CUBLAS_OP_T, CUBLAS_OP_N, s_.tokens, rows, s_.head_dim, &scale, keys, CUDA_R_16BF,
              s_.kv_heads * s_.head_dim, s_.head_dim, queries, CUDA_R_16BF, s_.head_dim,
              std::int64_t{rows} * s_.head_dim, &zero, logits_.as<float>(), CUDA_R_32F, s_.tokens,
              std::int64_t{rows} * s_.tokens, s_.kv_heads, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmStridedBatchedEx");
    softmax_rows<<<blocks(s_.query_heads * s_.suffix), 1024, 0, on_.stream>>>(logits_.as<float>(), s_.tokens,
                                                                              s_.suffix);
    sum_rows<<<dim3(blocks((s_.tokens + 255) / 256), blocks(s_.query_heads)), 256, 0, on_.stream>>>(
        logits_.as<float>(), scores_.as<float>(), s_.tokens, s_.suffix);
    score_windows<<<blocks((s_.windows() + 31) / 32), dim3(32, 8), 0, on_.stream>>>(
        scores_.as<float>(), window_scores_.as<float>(), window_ids_.as<int>(), s_.tokens, s_.query_heads,
        s_.windows(), s_.most);
    check(cudaGetLastError(), "unfused score");
  }

  /// Ids of the windows that were selected last.
  int const* window_ids() const { return window_ids_.as<int>() + 2 * std::int64_t{s_.windows()}; }

  /// Ids of the best `count` windows of the layer scored last, ascending.
  int const* select(int count) {
    int const n = s_.windows();
    int* const ids = window_ids_.as<int>();
    float* const scores = window_scores_.as<float>();
    std::size_t bytes = sort_memory_.bytes();
    check(cub::DeviceRadixSort::SortPairsDescending(sort_memory_.as<void>(), bytes, scores, scores + n, ids,
                                                    ids + n, n, 0, 32, on_.stream),
          "SortPairsDescending");
    check(cub::DeviceRadixSort::SortKeys(sort_memory_.as<void>(), bytes, ids + n, ids + 2 * std::int64_t{n},
                                         count, 0, 32, on_.stream),
          "SortKeys");
    return window_ids();
  }

  /// Kept rows of one layer to memory of their own; where an engine would free the old, the next layer
  /// writes over them.
  void gather(__nv_bfloat16 const* keys, __nv_bfloat16 const* values, int const* window_ids, int windows) {
    int const units = s_.kv_heads * s_.head_dim / 8;
    int const rows = windows * 8 + s_.suffix;
    if (rows > s_.most_kept_rows) throw std::runtime_error("unfused: more rows than planned");
    auto* const kept = kept_.as<uint4>();
    gather_rows<<<dim3(blocks((rows + 7) / 8), 2), dim3(32, 8), 0, on_.stream>>>(
        reinterpret_cast<uint4 const*>(keys), reinterpret_cast<uint4 const*>(values), kept,
        kept + std::int64_t{s_.most_kept_rows} * units, window_ids, windows, s_.tokens, s_.suffix, units);
    check(cudaGetLastError(), "unfused gather");
  }

 private:
  static unsigned blocks(int count) { return static_cast<unsigned>(count); }

  device& on_;
  unfused_shape s_;
  device_memory logits_;         // [query heads][suffix][tokens]
  device_memory scores_;         // [query heads][tokens]
  device_memory window_scores_;  // [2][windows]: as scored, sorted
  device_memory window_ids_;     // [3][windows]: ascending, by score, kept ascending
  device_memory kept_;
  device_memory sort_memory_;
  device_memory cublas_memory_;
  cublasHandle_t cublas_ = nullptr;
};

}  // namespace wkv_bench
