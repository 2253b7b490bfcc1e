// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/launch.cuh
/// The emulator's version of the library's header. A launch has run when it returns.

#include <cuda_runtime.h>

#include <cstddef>
#include <tuple>
#include <type_traits>

#include "cuda_emulator.hpp"
#include "device_side.hpp"
#include "windowkv/status.hpp"

namespace windowkv::detail {

inline status device_status(char const* what, cudaError_t error) {
  if (error == cudaSuccess) return {};
  return status::failure(status_code::device_error, what, static_cast<int>(error), "must be", cudaSuccess);
}

struct device_facts {
  int capability = 0;
  int multiprocessors = 0;
};

inline result<device_facts> current_device() {
  auto const& options = ::cuda_emulator::current_options();
  return device_facts{options.capability, options.multiprocessors};
}

/// The kernel gets copies of its parameters, as on a device. Throws cuda_emulator::error for what the kernel
/// does wrong.
template <class... Parameters>
status launch(cudaStream_t /*stream*/, dim3 grid, int threads, std::size_t shared_bytes,
              void (*kernel)(Parameters...), std::common_type_t<Parameters> const&... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...));
  static_assert((std::size_t{0} + ... + sizeof(Parameters)) <= 32764, "CUDA's limit for parameters");
  if (shared_bytes > ::cuda_emulator::most_shared_bytes(::cuda_emulator::current_options().capability)) {
    return device_status("cudaFuncSetAttribute: cudaError_t", cudaErrorInvalidValue);
  }
  WINDOWKV_TRY(
      device_status("cudaLaunchKernelEx: cudaError_t", ::cuda_emulator::admit_launch(grid, threads)));
  std::tuple<Parameters...> const parameters(arguments...);
  ::cuda_emulator::run(grid, dim3(static_cast<unsigned>(threads)), shared_bytes,
                       [&] { std::apply(kernel, parameters); });
  return {};
}

}  // namespace windowkv::detail
