// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file windowkv.cuh
/// Everything of windowkv.hpp, and the CUDA backend. Needs nvcc and CUB (the CUDA Toolkit has both).

#include "windowkv/cuda/compact.cuh"
#include "windowkv/cuda/compress.cuh"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/cuda/memory.cuh"
#include "windowkv/cuda/score.cuh"
#include "windowkv/cuda/select.cuh"
#include "windowkv/cuda/tuning.cuh"
#include "windowkv/windowkv.hpp"
