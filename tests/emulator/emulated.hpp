// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Helpers of the emulator's own tests.

#include <string>
#include <vector>

#include "cuda_emulator.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/launch.cuh"

namespace emulated {

namespace detail = windowkv::detail;

#if defined(__has_feature)
#define EMULATED_HAS_FEATURE(x) __has_feature(x)
#else
#define EMULATED_HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || EMULATED_HAS_FEATURE(address_sanitizer)
inline constexpr bool with_address_sanitizer = true;
#else
inline constexpr bool with_address_sanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__) || EMULATED_HAS_FEATURE(thread_sanitizer)
inline constexpr bool with_thread_sanitizer = true;
#else
inline constexpr bool with_thread_sanitizer = false;
#endif

/// Every order of threads and blocks, and some seeds.
inline std::vector<cuda_emulator::options> all_orders() {
  std::vector<cuda_emulator::options> all(5);
  all[1].order = cuda_emulator::order::descending;
  for (std::size_t i = 2; i < all.size(); ++i) {
    all[i].order = cuda_emulator::order::shuffled;
    all[i].seed = i;
  }
  return all;
}

/// Launches and throws what fails.
template <class... Parameters>
void launch(int blocks, int threads, void (*kernel)(Parameters...),
            std::common_type_t<Parameters> const&... arguments) {
  windowkv::status const s =
      detail::launch(nullptr, dim3(static_cast<unsigned>(blocks)), threads, 0, kernel, arguments...);
  if (!s) throw cuda_emulator::error(s.message().c_str());
}

/// What the emulator or a sanitizer says while a child process runs `test`, or "wrong" where that returns
/// false; empty if nothing was found.
std::string report_of(bool (*test)());

/// The message of the error, or an empty one.
template <class Function>
std::string error_of(Function function) {
  try {
    function();
  } catch (cuda_emulator::error const& e) {
    return e.what();
  }
  return {};
}

inline bool contains(std::string const& text, char const* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace emulated
