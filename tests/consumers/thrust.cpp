// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Not compiled by nvcc, which would find these headers by itself.
#include <cuda_runtime_api.h>
#include <thrust/version.h>

bool finds_thrust() { return THRUST_VERSION > 0 && CUDART_VERSION > 0; }
