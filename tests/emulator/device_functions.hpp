// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// CUDA's functions, for shadow/cuda_runtime.h. All are what the programming guide says of them, for the types
// that kernels here use.

#include <cmath>
#include <cstring>
#include <string>
#include <type_traits>

#include "call_site.hpp"
#include "device_side.hpp"

namespace cuda_emulator {

template <class T>
unsigned long long to_bits(T value) {
  static_assert(sizeof(T) <= sizeof(unsigned long long) && std::is_trivially_copyable_v<T>);
  unsigned long long bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}
template <class To, class From>
To reinterpret_bits(From from) {
  static_assert(sizeof(To) <= sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

template <class T>
T shuffle(unsigned mask, T value, int source, call_site where) {
  static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "a type that CUDA shuffles");
  shuffle_input const in{to_bits(value), source};
  unsigned long long out = 0;
  meet_warp(mask, &shuffle_lanes, &in, &out, where);
  return reinterpret_bits<T>(out);
}

/// Not merged with other operations, whatever the compiler's flags.
inline float rounded(float value) {
  float volatile kept = value;
  return kept;
}

/// Relaxed, as CUDA's are.
template <class T, class Function>
T update(T* p, Function function) {
  static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
  T old = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(p, &old, function(old), true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}

}  // namespace cuda_emulator

// NOLINTBEGIN(bugprone-reserved-identifier): the names are CUDA's
inline void __syncthreads(cuda_emulator::call_site where = {}) { cuda_emulator::meet_block(false, where); }
inline int __syncthreads_count(int predicate, cuda_emulator::call_site where = {}) {
  return static_cast<int>(cuda_emulator::meet_block(predicate != 0, where));
}
inline int __syncthreads_or(int predicate, cuda_emulator::call_site where = {}) {
  return cuda_emulator::meet_block(predicate != 0, where) != 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate, cuda_emulator::call_site where = {}) {
  return cuda_emulator::meet_block(predicate == 0, where) == 0 ? 1 : 0;
}

inline void __syncwarp(unsigned mask = ~0u, cuda_emulator::call_site where = {}) {
  cuda_emulator::meet_warp(mask, &cuda_emulator::synchronise_lanes, &mask, nullptr, where);
}

// `width` divides the warp into parts that shuffle among themselves.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, cuda_emulator::call_site where = {}) {
  int const lane = static_cast<int>(cuda_emulator::lane());
  return cuda_emulator::shuffle(mask, value, (lane & ~(width - 1)) | (source & (width - 1)), where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 cuda_emulator::call_site where = {}) {
  int const lane = static_cast<int>(cuda_emulator::lane());
  int const source = lane - static_cast<int>(delta);
  return cuda_emulator::shuffle(mask, value, source >= (lane & ~(width - 1)) ? source : lane, where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   cuda_emulator::call_site where = {}) {
  int const lane = static_cast<int>(cuda_emulator::lane());
  int const source = lane + static_cast<int>(delta);
  return cuda_emulator::shuffle(mask, value, source <= (lane | (width - 1)) ? source : lane, where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  cuda_emulator::call_site where = {}) {
  int const lane = static_cast<int>(cuda_emulator::lane());
  int const source = lane ^ lane_mask;  // parts before the own one may be read, later ones not
  return cuda_emulator::shuffle(mask, value, source <= (lane | (width - 1)) ? source : lane, where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, cuda_emulator::call_site where = {}) {
  bool const in = predicate != 0;
  unsigned votes = 0;
  cuda_emulator::meet_warp(mask, &cuda_emulator::ballot_lanes, &in, &votes, where);
  return votes;
}
inline int __any_sync(unsigned mask, int predicate, cuda_emulator::call_site where = {}) {
  return __ballot_sync(mask, predicate, where) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, cuda_emulator::call_site where = {}) {
  return __ballot_sync(mask, predicate == 0 ? 1 : 0, where) == 0 ? 1 : 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, cuda_emulator::call_site where = {}) {
  unsigned long long const in = cuda_emulator::to_bits(value);
  unsigned same = 0;
  cuda_emulator::meet_warp(mask, &cuda_emulator::match_lanes, &in, &same, where);
  return same;
}

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }

inline unsigned __float_as_uint(float x) { return cuda_emulator::reinterpret_bits<unsigned>(x); }
inline int __float_as_int(float x) { return cuda_emulator::reinterpret_bits<int>(x); }
inline float __uint_as_float(unsigned x) { return cuda_emulator::reinterpret_bits<float>(x); }
inline float __int_as_float(int x) { return cuda_emulator::reinterpret_bits<float>(x); }

inline float __fadd_rn(float a, float b) { return cuda_emulator::rounded(a + b); }
inline float __fsub_rn(float a, float b) { return cuda_emulator::rounded(a - b); }
inline float __fmul_rn(float a, float b) { return cuda_emulator::rounded(a * b); }
inline float __fdiv_rn(float a, float b) { return cuda_emulator::rounded(a / b); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }

template <class T>
T atomicAdd(T* p, std::common_type_t<T> amount) {
  static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
  return __atomic_fetch_add(p, amount, __ATOMIC_RELAXED);
}
template <class T>
T atomicOr(T* p, std::common_type_t<T> bits) {
  static_assert(std::is_integral_v<T> && sizeof(T) >= 4);
  return __atomic_fetch_or(p, bits, __ATOMIC_RELAXED);
}
template <class T>
T atomicMax(T* p, std::common_type_t<T> value) {
  return cuda_emulator::update(p, [value](T old) { return old < value ? value : old; });
}
template <class T>
T atomicMin(T* p, std::common_type_t<T> value) {
  return cuda_emulator::update(p, [value](T old) { return value < old ? value : old; });
}

[[noreturn]] inline void __trap(cuda_emulator::call_site where = {}) {
  throw cuda_emulator::error(std::string("__trap at ") + where.file + ":" + std::to_string(where.line));
}
// NOLINTEND(bugprone-reserved-identifier)
