// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/float8.hpp
/// 8-bit floating point storage types of the OCP 8-bit Floating Point Specification (revision 1.0), identical
/// in memory to `__nv_fp8_e4m3` and `__nv_fp8_e5m2` and readable without the CUDA headers.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"

namespace windowkv {

/// E4M3: 4 bits of exponent (bias 7), 3 of mantissa; no infinity, NaN is 0x7f and 0xff; largest 448.
struct float8_e4m3 {
  std::uint8_t bits;

  WINDOWKV_HD explicit operator float() const {
    std::uint32_t const sign = (bits & 0x80u) << 24;
    std::uint32_t const magnitude = bits & 0x7fu;
    if (magnitude == 0x7f) return detail::float_from_bits(sign | 0x7fc00000u);
    if (magnitude >= 8) return detail::float_from_bits(sign | ((magnitude << 20) + 0x3c000000u));
    float const subnormal = static_cast<float>(magnitude) * 0.001953125f;  // 2^-9
    return sign != 0 ? -subnormal : subnormal;
  }
};

/// E5M2: the upper half of a binary16: 5 bits of exponent (bias 15), 2 of mantissa; infinity and NaN as
/// there.
struct float8_e5m2 {
  std::uint8_t bits;

  WINDOWKV_HD explicit operator float() const {
    float16 half;
    half.bits = static_cast<std::uint16_t>(bits << 8);
    return static_cast<float>(half);
  }
};

static_assert(sizeof(float8_e4m3) == 1 && sizeof(float8_e5m2) == 1);

}  // namespace windowkv
