// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file config.hpp
/// The only header that asks which compiler is at work; every macro of the library starts with WINDOWKV_.

/// Marks per-element maths that runs on the host and, under nvcc, on the device too.
#if defined(__CUDACC__)
#define WINDOWKV_HD __host__ __device__
#else
#define WINDOWKV_HD
#endif

/// Compute capability that device code is compiled for, times 100 (900: 9.0); 0 in host code.
#if defined(__CUDA_ARCH__)
#define WINDOWKV_DEVICE_ARCH __CUDA_ARCH__
#else
#define WINDOWKV_DEVICE_ARCH 0
#endif

/// Unrolls the loop that follows, in device code: wholly or by a factor.
#if defined(__CUDA_ARCH__)
#define WINDOWKV_UNROLL _Pragma("unroll")
#define WINDOWKV_UNROLL_BY(n) WINDOWKV_PRAGMA(unroll n)
#define WINDOWKV_PRAGMA(text) _Pragma(#text)
#else
#define WINDOWKV_UNROLL
#define WINDOWKV_UNROLL_BY(n)
#endif

/// 1 where C++20 concepts are available: they sharpen diagnostics and never change meaning.
#if defined(__cpp_concepts) && __cpp_concepts >= 201907L
#define WINDOWKV_HAS_CONCEPTS 1
#else
#define WINDOWKV_HAS_CONCEPTS 0
#endif

/// Floats in one vector register of the instruction set that is compiled for. It decides how many rows are
/// worked on at a time, never a result.
#if !defined(WINDOWKV_SIMD_FLOATS)
#if defined(__AVX512F__)
#define WINDOWKV_SIMD_FLOATS 16
#elif defined(__AVX__)
#define WINDOWKV_SIMD_FLOATS 8
#else
#define WINDOWKV_SIMD_FLOATS 4
#endif
#endif

namespace windowkv {

/// Most layers a plan can describe. Plans are plain data of fixed size, so that they can be copied to another
/// rank or written to disk as they are.
inline constexpr int max_layers = 256;

/// Most heads, of queries or of external scores.
inline constexpr int max_heads = 1024;

/// Largest head dimension D that the host backend scores (a tile of keys is kept on the stack).
inline constexpr int max_head_dim = 1024;

/// Alignment in bytes that a workspace needs.
inline constexpr int workspace_alignment = 64;

}  // namespace windowkv
