// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/launch.cuh
/// The one place where kernels are launched and the device is asked what it is.

#include <cuda_runtime.h>

#include <cstddef>
#include <type_traits>

#include "windowkv/status.hpp"

namespace windowkv::detail {

inline status device_status(char const* what, cudaError_t error) {
  if (error == cudaSuccess) return {};
  return status::failure(status_code::device_error, what, static_cast<int>(error), "must be", cudaSuccess);
}

/// What launch shapes depend on.
struct device_facts {
  int capability = 0;  ///< 10 major + minor
  int multiprocessors = 0;
};

/// Of the current device.
inline result<device_facts> current_device() {
  int device = 0;
  int major = 0;
  int minor = 0;
  device_facts facts;
  WINDOWKV_TRY(device_status("cudaGetDevice: cudaError_t", cudaGetDevice(&device)));
  WINDOWKV_TRY(device_status("cudaDeviceGetAttribute: cudaError_t",
                             cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device)));
  WINDOWKV_TRY(device_status("cudaDeviceGetAttribute: cudaError_t",
                             cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device)));
  WINDOWKV_TRY(
      device_status("cudaDeviceGetAttribute: cudaError_t",
                    cudaDeviceGetAttribute(&facts.multiprocessors, cudaDevAttrMultiProcessorCount, device)));
  facts.capability = 10 * major + minor;
  return facts;
}

/// Queues kernel(arguments...) on the stream. A launch that CUDA refuses is a failed status.
template <class... Parameters>
status launch(cudaStream_t stream, dim3 grid, int threads, std::size_t shared_bytes,
              void (*kernel)(Parameters...), std::common_type_t<Parameters> const&... arguments) {
  constexpr std::size_t granted = 48 * 1024;  // beyond it a kernel has to ask
  if (shared_bytes > granted) {
    WINDOWKV_TRY(device_status(
        "cudaFuncSetAttribute: cudaError_t",
        cudaFuncSetAttribute(reinterpret_cast<void const*>(kernel),
                             cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes))));
  }
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned>(threads));
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  return device_status("cudaLaunchKernelEx: cudaError_t", cudaLaunchKernelEx(&config, kernel, arguments...));
}

}  // namespace windowkv::detail
