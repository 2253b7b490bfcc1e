// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/simd.hpp
/// One vector register of floats, by the GNU vector extensions that GCC and Clang share: plain loops are not
/// dependably vectorised by both.

#include <cstdint>
#include <cstring>

#include "windowkv/config.hpp"

namespace windowkv::detail {

inline constexpr int simd_floats = WINDOWKV_SIMD_FLOATS;
using floats = float __attribute__((vector_size(WINDOWKV_SIMD_FLOATS * sizeof(float))));
using ints = std::int32_t __attribute__((vector_size(WINDOWKV_SIMD_FLOATS * sizeof(std::int32_t))));

inline floats load_floats(float const* from) {
  floats v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
inline void store_floats(float* to, floats const& v) { std::memcpy(to, &v, sizeof v); }
inline floats splat(float x) { return x - floats{}; }  // exact for every x, NaN and -0 included
inline floats select(ints const& mask, floats const& yes, floats const& no) {
  ints y;
  ints n;
  std::memcpy(&y, &yes, sizeof y);
  std::memcpy(&n, &no, sizeof n);
  ints const picked = (mask & y) | (~mask & n);
  floats out;
  std::memcpy(&out, &picked, sizeof out);
  return out;
}
/// The larger of both; where `b` is NaN, `a`.
inline floats larger(floats const& a, floats const& b) { return select(b > a, b, a); }

/// 2^x, within 2 units in the last place for x in [-126, 127]; 0 below, NaN for NaN, 2^127 above. Exact for
/// whole numbers. The polynomial is Cephes' exp2f.
inline floats exp2(floats const& x) {
  ints const is_number = x == x;
  floats const limited = select(x > 127.f, splat(127.f), select(x < -126.f, splat(-126.f), x));
  floats const safe = select(is_number, limited, floats{});
  floats const half = select(safe < 0.f, splat(-0.5f), splat(0.5f));
  ints const whole = __builtin_convertvector(safe + half, ints);
  floats const r = limited - __builtin_convertvector(whole, floats);  // NaN stays NaN
  floats p = r * 1.535336188319500e-4f + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  p = p * r + 1.f;
  ints const exponent = (whole + 127) << 23;
  floats scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return select(x < -126.f, floats{}, p * scale);
}

}  // namespace windowkv::detail
