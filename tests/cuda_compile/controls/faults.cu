// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Kernels with each of the faults that check.cmake looks for.

template <int Values>
__device__ float keep_many(float const* in) {
  float value[Values];
#pragma unroll
  for (int i = 0; i < Values; ++i) value[i] = in[i];
  __syncthreads();  // all loads are behind us, none may be repeated
  float sum = 0.f;
#pragma unroll
  for (int i = 0; i < Values; ++i) sum = sum * value[i] + value[Values - 1 - i];
  return sum;
}

/// Spills: 64 registers for 100 values.
__global__ void __launch_bounds__(1024) select_kernel(float const* in, float* out) {
  out[threadIdx.x] = keep_many<100>(in);
}

/// Too many registers.
__global__ void __launch_bounds__(256) given_scores_kernel(float const* in, float* out) {
  out[threadIdx.x] = keep_many<100>(in);
}

/// Local memory.
__global__ void compact_kernel(float const* in, float* out, int at) {
  float value[20] = {};
  for (int i = 0; i < at; ++i) value[i % 20] = in[i];
  out[threadIdx.x] = value[at % 20];
}

__global__ void nobody_knows_me(float* out) { out[0] = 1.f; }
