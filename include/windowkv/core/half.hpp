// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/half.hpp
/// 16-bit storage types, readable without the CUDA headers and identical in memory to `__half` and
/// `__nv_bfloat16`: an array of those may be viewed as an array of these.

#include <cstdint>
#include <cstring>

#include "windowkv/config.hpp"

namespace windowkv {
namespace detail {

WINDOWKV_HD inline std::uint32_t float_bits(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
WINDOWKV_HD inline float float_from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// Shifts right by `count` (1 to 31), rounding to nearest, ties to even.
WINDOWKV_HD inline std::uint32_t shift_right_rounded(std::uint32_t value, int count) {
  std::uint32_t const half = 1u << (count - 1);
  std::uint32_t const is_odd = (value >> count) & 1u;
  return (value + half - 1u + is_odd) >> count;
}

}  // namespace detail

/// IEEE 754 binary16. Conversions round to nearest even; NaN stays NaN.
struct float16 {
  std::uint16_t bits;

  float16() = default;
  WINDOWKV_HD explicit float16(float value) {
    std::uint32_t const f = detail::float_bits(value);
    std::uint32_t const sign = (f >> 16) & 0x8000u;
    std::uint32_t const magnitude = f & 0x7fffffffu;
    std::uint32_t h;
    if (magnitude > 0x7f800000u) {
      h = 0x7e00u;  // NaN
    } else if (magnitude >= 0x47800000u) {
      h = 0x7c00u;  // 65536 and above, infinity
    } else if (magnitude >= 0x38800000u) {
      h = detail::shift_right_rounded(magnitude - 0x38000000u, 13);
    } else if (magnitude >= 0x33000000u) {
      int const shift = 126 - static_cast<int>(magnitude >> 23);  // subnormal half: 2^-24 is its unit
      h = detail::shift_right_rounded((magnitude & 0x7fffffu) | 0x800000u, shift);
    } else {
      h = 0;
    }
    bits = static_cast<std::uint16_t>(sign | h);
  }
  WINDOWKV_HD explicit operator float() const {
    std::uint32_t const sign = (bits & 0x8000u) << 16;
    std::uint32_t const exponent = (bits >> 10) & 0x1fu;
    std::uint32_t const mantissa = bits & 0x3ffu;
    if (exponent == 31) return detail::float_from_bits(sign | 0x7f800000u | (mantissa << 13));
    if (exponent != 0) return detail::float_from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13));
    float const subnormal = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
    return sign != 0 ? -subnormal : subnormal;
  }
};

/// bfloat16: the upper half of a binary32. Conversions round to nearest even; NaN stays NaN.
struct bfloat16 {
  std::uint16_t bits;

  bfloat16() = default;
  WINDOWKV_HD explicit bfloat16(float value) {
    std::uint32_t const f = detail::float_bits(value);
    bool const is_nan = (f & 0x7fffffffu) > 0x7f800000u;
    bits = static_cast<std::uint16_t>(is_nan ? (f >> 16) | 0x40u : detail::shift_right_rounded(f, 16));
  }
  WINDOWKV_HD explicit operator float() const {
    return detail::float_from_bits(static_cast<std::uint32_t>(bits) << 16);
  }
};

static_assert(sizeof(float16) == 2 && alignof(float16) == 2);
static_assert(sizeof(bfloat16) == 2 && alignof(bfloat16) == 2);

}  // namespace windowkv
