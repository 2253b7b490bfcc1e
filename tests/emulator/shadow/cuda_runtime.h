// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Stands before CUDA's header of this name: the CUDA dialect for a C++ compiler, and the emulator behind it.
// Kernels are launched through windowkv/cuda/detail/launch.cuh only.

#if defined(__CUDACC__)
#error "the emulator is for host compilers"
#endif

#include <driver_types.h>
#include <vector_types.h>

// NOLINTBEGIN(bugprone-reserved-identifier,bugprone-macro-parentheses): the names are CUDA's
#define __host__
#define __device__
#define __global__
#define __grid_constant__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
// Blocks run one after the other, so a static is a block's. WINDOWKV_SHARED is better: it is fresh for every
// block and its ends are watched.
#define __shared__ static

inline char const* cudaGetErrorString(cudaError_t code) {
  switch (code) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorLaunchOutOfResources:
      return "too many resources requested for launch";
  }
  return "unrecognized error code";
}

// Objects, as these names occur in other headers, too. The scheduler sets them at every switch.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;
inline constexpr int warpSize = 32;

#include "device_functions.hpp"
// NOLINTEND(bugprone-reserved-identifier,bugprone-macro-parentheses)
