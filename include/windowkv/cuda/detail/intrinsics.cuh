// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/intrinsics.cuh
/// Every instruction that C++ has no word for, so that kernels are plain C++ around these few functions. All
/// lanes of a warp call a warp's function together.

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"

/// Declares an object in shared memory: one per block, uninitialised. T must be trivial.
#define WINDOWKV_SHARED(T, name) __shared__ T name

namespace windowkv::detail {

inline constexpr unsigned all_lanes = 0xffffffffu;

/// The block's dynamic shared memory, aligned to 16 bytes.
__device__ inline unsigned char* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char windowkv_dynamic_shared[];
  return windowkv_dynamic_shared;
}

__device__ inline std::uint32_t shared_address(void const* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

/// c += a b^T for one warp: a is 16 x 16, b 8 x 16 (rows of keys), c 16 x 8, in the fragment layout of PTX's
/// mma.m16n8k16. Lane l holds c[0], c[1] at (row l / 4, columns 2 (l % 4) and + 1), c[2], c[3] eight rows
/// below. fp16 needs compute capability 7.5, bf16 8.0.
template <class T>
__device__ void multiply_tile(float (&c)[4], std::uint32_t const (&a)[4], std::uint32_t b0,
                              std::uint32_t b1) {
  static_assert(std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>);
  if constexpr (WINDOWKV_DEVICE_ARCH >= 800 && std::is_same_v<T, bfloat16>) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else if constexpr (WINDOWKV_DEVICE_ARCH >= 800) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},"
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  } else if constexpr (WINDOWKV_DEVICE_ARCH >= 750 && std::is_same_v<T, float16>) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
  } else {
    __trap();  // never launched there: score.cuh takes the plain kernel
  }
}

/// Four 8 x 8 matrices of 16-bit elements: lane l gives the address of row l % 8 of matrix l / 8 (16 bytes in
/// shared memory, aligned); out[m] are the elements (row l / 4, columns 2 (l % 4) and + 1) of matrix m.
__device__ inline void load_tiles(std::uint32_t (&out)[4], void const* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3},[%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(shared_address(row))
               : "memory");
}

/// Starts to copy 16 bytes (both sides aligned to 16) from global to shared memory.
__device__ inline void copy_async(void* shared, void const* global) {
  if constexpr (WINDOWKV_DEVICE_ARCH >= 800) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0],[%1],16;"
                 :
                 : "r"(shared_address(shared)), "l"(global)
                 : "memory");
  } else {
    *static_cast<uint4*>(shared) = *static_cast<uint4 const*>(global);
  }
}
/// Ends a group of the calling thread's copies.
__device__ inline void commit_copies() {
  if constexpr (WINDOWKV_DEVICE_ARCH >= 800) asm volatile("cp.async.commit_group;" ::: "memory");
}
/// Waits until at most `Pending` of the calling thread's latest groups are under way.
template <int Pending>
__device__ void wait_for_copies() {
  if constexpr (WINDOWKV_DEVICE_ARCH >= 800) {
    asm volatile("cp.async.wait_group %0;" : : "n"(Pending) : "memory");
  }
}

/// x, and the compiler computes anew what depends on it instead of keeping it in registers.
__device__ inline int not_kept(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// Four bytes of any type, aligned to 4.
__device__ inline std::uint32_t load_word(void const* p) { return *static_cast<std::uint32_t const*>(p); }

/// 2^x to 2 ulp; denormal results are 0.
__device__ inline float fast_exp2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0,%1;" : "=f"(y) : "f"(x));
  return y;
}

/// The value of the lane whose number differs in the bits of `mask`.
__device__ inline float shuffle_xor(float value, int mask) { return __shfl_xor_sync(all_lanes, value, mask); }
__device__ inline bool any_lane(bool predicate) { return __any_sync(all_lanes, predicate) != 0; }

/// Takes the next number of a counter in global memory. What the calling thread (and those it has met at a
/// barrier) wrote before is visible to every thread that takes a later number, and to those it meets.
__device__ inline unsigned take_ticket(unsigned* counter) {
  __threadfence();
  unsigned const number = atomicAdd(counter, 1u);
  __threadfence();
  return number;
}

/// Adds to a counter in shared memory; integers only, so the order does not matter.
__device__ inline void add_shared(int* counter, int amount) { atomicAdd(counter, amount); }

/// Loads and stores of data that is used once: they leave the caches to others.
template <class T>
__device__ T load_streaming(T const* p) {
  return __ldcs(p);
}
template <class T>
__device__ void store_streaming(T* p, T const& value) {
  __stcs(p, value);
}

}  // namespace windowkv::detail
