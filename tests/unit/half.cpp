// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/half.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv::bfloat16;
using wkv::float16;

template <class T>
T from_bits(unsigned bits) {
  T value;
  value.bits = static_cast<std::uint16_t>(bits);
  return value;
}

float decode_float16(unsigned bits) {
  int const exponent = static_cast<int>(bits >> 10 & 31u);
  int const mantissa = static_cast<int>(bits & 1023u);
  float const sign = (bits & 0x8000u) != 0 ? -1.f : 1.f;
  if (exponent == 31) return mantissa != 0 ? wkv_test::not_a_number : sign * wkv_test::infinity;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(mantissa), -24);
  return sign * std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
}

float decode_bfloat16(unsigned bits) { return wkv::detail::float_from_bits(bits << 16); }

bool same(float a, float b) {
  return (std::isnan(a) && std::isnan(b)) || wkv::detail::float_bits(a) == wkv::detail::float_bits(b);
}

template <class T, class Decode>
int wrong_round_trips(Decode decode) {
  int wrong = 0;
  for (unsigned bits = 0; bits < 65536; ++bits) {
    float const value = static_cast<float>(from_bits<T>(bits));
    T const back(value);
    bool const is_right = same(value, decode(bits)) &&
                          (std::isnan(value) ? std::isnan(static_cast<float>(back)) : back.bits == bits);
    wrong += is_right ? 0 : 1;
  }
  return wrong;
}

/// Counts the float16 conversions that are wrong around the middle of two neighbours, in both signs.
int wrong_float16_roundings() {
  int wrong = 0;
  for (unsigned low = 0; low < 0x7bff; ++low) {
    float const middle = (decode_float16(low) + decode_float16(low + 1)) / 2;
    for (unsigned sign_bit : {0u, 0x8000u}) {
      float const sign = sign_bit != 0 ? -1.f : 1.f;
      wrong += float16(sign * middle).bits == ((low + (low & 1u)) | sign_bit) ? 0 : 1;
      wrong += float16(sign * std::nextafter(middle, 0.f)).bits == (low | sign_bit) ? 0 : 1;
      wrong += float16(sign * std::nextafter(middle, 1e38f)).bits == ((low + 1) | sign_bit) ? 0 : 1;
    }
  }
  return wrong;
}

/// The same for bfloat16, whose neighbours differ in the upper half of a float.
int wrong_bfloat16_roundings() {
  int wrong = 0;
  for (unsigned low = 0; low < 0x7f80; ++low) {
    for (unsigned sign_bit : {0u, 0x8000u}) {
      auto const converted = [&](unsigned lower_half) {
        return unsigned{bfloat16(wkv::detail::float_from_bits((low | sign_bit) << 16 | lower_half)).bits};
      };
      wrong += converted(0x7fff) == (low | sign_bit) ? 0 : 1;
      wrong += converted(0x8000) == ((low + (low & 1u)) | sign_bit) ? 0 : 1;
      wrong += converted(0x8001) == ((low + 1) | sign_bit) ? 0 : 1;
    }
  }
  return wrong;
}

}  // namespace

TEST_CASE("every 16-bit pattern reads as its value and survives a round trip", "[half]") {
  CHECK(wrong_round_trips<float16>(decode_float16) == 0);
  CHECK(wrong_round_trips<bfloat16>(decode_bfloat16) == 0);
}

TEST_CASE("conversions round to nearest, ties to even", "[half]") {
  CHECK(wrong_float16_roundings() == 0);
  CHECK(wrong_bfloat16_roundings() == 0);
}

TEST_CASE("float16 of literal numbers", "[half]") {
  CHECK(float16(1.f).bits == 0x3c00);
  CHECK(float16(-2.f).bits == 0xc000);
  CHECK(float16(-0.f).bits == 0x8000);
  CHECK(float16(1.f + 0x1p-11f).bits == 0x3c00);      // tie, to even
  CHECK(float16(1.f + 3 * 0x1p-11f).bits == 0x3c02);  // tie, to even
  CHECK(float16(65504.f).bits == 0x7bff);
  CHECK(float16(65519.996f).bits == 0x7bff);
  CHECK(float16(65520.f).bits == 0x7c00);  // overflow
  CHECK(float16(-1e30f).bits == 0xfc00);
  CHECK(float16(wkv_test::infinity).bits == 0x7c00);
  CHECK(float16(0x1p-24f).bits == 0x0001);  // smallest subnormal
  CHECK(float16(0x1p-25f).bits == 0x0000);  // tie, to even
  CHECK(float16(0x1.000002p-25f).bits == 0x0001);
  CHECK(float16(3 * 0x1p-25f).bits == 0x0002);  // tie, to even
  CHECK(float16(0x1.ffep-15f).bits == 0x0400);  // a tie that becomes the smallest normal
  CHECK(float16(1e-40f).bits == 0x0000);        // a binary32 subnormal
  CHECK((float16(wkv_test::not_a_number).bits & 0x7fff) > 0x7c00);
  CHECK((float16(wkv::detail::float_from_bits(0xff800001)).bits & 0x7fff) > 0x7c00);
}

TEST_CASE("bfloat16 of literal numbers", "[half]") {
  CHECK(bfloat16(1.f).bits == 0x3f80);
  CHECK(bfloat16(-0.f).bits == 0x8000);
  CHECK(bfloat16(1.f + 0x1p-8f).bits == 0x3f80);
  CHECK(bfloat16(1.f + 3 * 0x1p-8f).bits == 0x3f82);
  CHECK(bfloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
  CHECK(bfloat16(-wkv_test::infinity).bits == 0xff80);
  // A NaN whose payload lies in the lower half must not become infinity.
  CHECK(bfloat16(wkv::detail::float_from_bits(0x7f800001)).bits == 0x7fc0);
  CHECK(bfloat16(wkv::detail::float_from_bits(0xffffffff)).bits == 0xffff);
}

#if defined(__FLT16_MAX__)
TEST_CASE("float16 agrees with the compiler's _Float16", "[half]") {
  int wrong = 0;
  for (std::uint64_t i = 0; i < 400'000; ++i) {
    float const value = wkv::detail::float_from_bits(static_cast<std::uint32_t>(i * 2654435761u));
    auto const expected = static_cast<_Float16>(value);
    wrong += same(static_cast<float>(float16(value)), static_cast<float>(expected)) ? 0 : 1;
  }
  CHECK(wrong == 0);
}
#endif
