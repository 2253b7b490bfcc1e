// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/given_kernel.cuh
/// Scores that the engine has computed already, finished or nearly.

#include <cuda_runtime.h>

#include <cstdint>

#include "windowkv/cuda/detail/softmax_kernel.cuh"
#include "windowkv/cuda/detail/table.cuh"

namespace windowkv::detail {

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
