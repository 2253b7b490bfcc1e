// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// For the stand-ins of CUB's block primitives.

#include <cuda_runtime.h>

#include <string>

#include "cuda_emulator.hpp"

namespace cuda_emulator {

/// The number of the calling thread in its block, which must have `Threads` of them.
template <int Threads>
unsigned thread_of_block() {
  if (blockDim.x * blockDim.y * blockDim.z != static_cast<unsigned>(Threads)) {
    throw error("a CUB primitive for " + std::to_string(Threads) + " threads in a block of another size");
  }
  return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
}

}  // namespace cuda_emulator
