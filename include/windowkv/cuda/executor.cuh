// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/executor.cuh
/// Where the CUDA backend runs.

#include <cuda_runtime.h>

#include "windowkv/cuda/tuning.cuh"

namespace windowkv {

/// Head dimensions for which the tensor-core kernels are instantiated (of 64, 96, 128 and 256; a user who
/// serves one model names its own and compiles less). Other dimensions run on the plain kernel, which is
/// correct for every dimension, stride and element type, and slower.
template <int... HeadDims>
struct head_dims {};

/// The CUDA executor: all work is queued on `stream`, which belongs to the caller, on the device that is
/// current. Stages allocate nothing, copy nothing between host and device and synchronise with nothing, so
/// that they can be captured in a CUDA graph. `tuning` overrides what tuning.cuh says for the device.
template <class HeadDims = head_dims<64, 96, 128, 256>>
struct cuda_executor {
  cudaStream_t stream = nullptr;
  cuda_tuning const* tuning = nullptr;
};

}  // namespace windowkv
