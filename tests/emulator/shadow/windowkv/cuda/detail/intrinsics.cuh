// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/intrinsics.cuh
/// The emulator's version of the library's header: the same names, with the same meaning. What it adds is
/// that misuse is an error.

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "call_site.hpp"
#include "device_side.hpp"
#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"

/// The static's address is another one in every instance of a template, as the object is on a device.
#define WINDOWKV_SHARED(T, name)        \
  static char windowkv_shared_##name{}; \
  T& name = ::cuda_emulator::static_shared<T>(&windowkv_shared_##name)

namespace windowkv::detail {

inline constexpr unsigned all_lanes = 0xffffffffu;

inline unsigned char* dynamic_shared() {
  return static_cast<unsigned char*>(::cuda_emulator::dynamic_shared());
}

template <class T>
void multiply_tile(float (&c)[4], std::uint32_t const (&a)[4], std::uint32_t b0, std::uint32_t b1,
                   ::cuda_emulator::call_site where = {}) {
  constexpr bool is_float16 = std::is_same_v<T, float16>;
  static_assert(is_float16 || std::is_same_v<T, bfloat16>);
  if (::cuda_emulator::current_options().capability < (is_float16 ? 75 : 80)) __trap(where);
  ::cuda_emulator::multiply_input const in{{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  auto const operation =
      is_float16 ? &::cuda_emulator::multiply_float16_lanes : &::cuda_emulator::multiply_bfloat16_lanes;
  ::cuda_emulator::meet_warp(all_lanes, operation, &in, &c, where);
}

/// Every lane reads the row whose address it gives; lanes whose elements it gets must be synchronised with
/// whoever wrote it only through that lane.
inline void load_tiles(std::uint32_t (&out)[4], void const* row, ::cuda_emulator::call_site where = {}) {
  if (::cuda_emulator::current_options().capability < 75) __trap(where);
  ::cuda_emulator::require_shared(row, sizeof(uint4), where);
  uint4 const in = *static_cast<uint4 const*>(row);
  ::cuda_emulator::meet_warp(all_lanes, &::cuda_emulator::load_tiles_lanes, &in, &out, where);
}

inline void copy_async(void* shared, void const* global, ::cuda_emulator::call_site where = {}) {
  ::cuda_emulator::require_shared(shared, sizeof(uint4), where);
  ::cuda_emulator::require_global(global, sizeof(uint4), where);
  if (::cuda_emulator::defer_copy({shared, global})) return;
  *static_cast<uint4*>(shared) = *static_cast<uint4 const*>(global);
}
inline void commit_copies() { ::cuda_emulator::end_copy_group(); }
template <int Pending>
void wait_for_copies() {
  static_assert(Pending >= 0);
  for (auto copy = ::cuda_emulator::next_landing_copy(Pending); copy.to != nullptr;
       copy = ::cuda_emulator::next_landing_copy(Pending)) {
    *static_cast<uint4*>(copy.to) = *static_cast<uint4 const*>(copy.from);
  }
}

inline int not_kept(int x) { return x; }

inline std::uint32_t load_word(void const* p, ::cuda_emulator::call_site where = {}) {
  ::cuda_emulator::require_global(p, sizeof(std::uint32_t), where);
  std::uint32_t word;
  std::memcpy(&word, p, sizeof word);
  return word;
}

inline float fast_exp2(float x) {
  float const y = std::exp2(x);
  return y < std::numeric_limits<float>::min() ? 0.f : y;
}

inline float shuffle_xor(float value, int mask, ::cuda_emulator::call_site where = {}) {
  return __shfl_xor_sync(all_lanes, value, mask, 32, where);
}
inline bool any_lane(bool predicate, ::cuda_emulator::call_site where = {}) {
  return __any_sync(all_lanes, predicate ? 1 : 0, where) != 0;
}

/// The only order between blocks that ThreadSanitizer knows of.
inline unsigned take_ticket(unsigned* counter, ::cuda_emulator::call_site where = {}) {
  ::cuda_emulator::require_global(counter, sizeof *counter, where);
  return __atomic_fetch_add(counter, 1u, __ATOMIC_ACQ_REL);
}

inline void add_shared(int* counter, int amount, ::cuda_emulator::call_site where = {}) {
  ::cuda_emulator::require_shared(counter, sizeof *counter, where);
  atomicAdd(counter, amount);
}

/// The types of __ldcs and __stcs.
template <class T>
inline constexpr bool is_streamable_v =
    (std::is_arithmetic_v<T> && !std::is_same_v<T, bool> && sizeof(T) <= 8) || std::is_same_v<T, int2> ||
    std::is_same_v<T, uint2> || std::is_same_v<T, float2> || std::is_same_v<T, int4> ||
    std::is_same_v<T, uint4> || std::is_same_v<T, float4>;

template <class T>
T load_streaming(T const* p, ::cuda_emulator::call_site where = {}) {
  static_assert(is_streamable_v<T>, "no type of __ldcs");
  ::cuda_emulator::require_global(p, sizeof(T), where);
  return *p;
}
template <class T>
void store_streaming(T* p, T const& value, ::cuda_emulator::call_site where = {}) {
  static_assert(is_streamable_v<T>, "no type of __stcs");
  ::cuda_emulator::require_global(p, sizeof(T), where);
  *p = value;
}

}  // namespace windowkv::detail
