// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The 16-bit types against those of CUDA, where its headers are at hand: the same bits mean the same number.
#include <windowkv/core/half.hpp>

#include "catch.hpp"

#if __has_include(<cuda_fp16.h>) && __has_include(<cuda_bf16.h>)
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>

namespace {

template <class To, class From>
To with_bits_of(From const& from) {
  static_assert(sizeof(To) == sizeof(From) && alignof(To) == alignof(From));
  To to;
  std::memcpy(static_cast<void*>(&to), &from, sizeof to);
  return to;
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

TEST_CASE("float16 and bfloat16 are __half and __nv_bfloat16 in memory", "[half]") {
  int differing = 0;
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    auto const pattern = static_cast<std::uint16_t>(bits);
    auto const ours16 = with_bits_of<windowkv::float16>(pattern);
    auto const ours_b16 = with_bits_of<windowkv::bfloat16>(pattern);
    if (!same(static_cast<float>(ours16), __half2float(with_bits_of<__half>(ours16)))) ++differing;
    if (!same(static_cast<float>(ours_b16), __bfloat162float(with_bits_of<__nv_bfloat16>(ours_b16))))
      ++differing;
  }
  CHECK(differing == 0);
}

TEST_CASE("floats round to float16 and bfloat16 as CUDA rounds them", "[half]") {
  std::mt19937 random(1);
  int differing = 0;
  for (int i = 0; i < 200000; ++i) {
    auto const value = with_bits_of<float>(static_cast<std::uint32_t>(random()));
    if (std::isnan(value)) continue;
    auto const theirs16 = with_bits_of<windowkv::float16>(__float2half_rn(value));
    auto const theirs_b16 = with_bits_of<windowkv::bfloat16>(__float2bfloat16_rn(value));
    if (windowkv::float16(value).bits != theirs16.bits) ++differing;
    if (windowkv::bfloat16(value).bits != theirs_b16.bits) ++differing;
  }
  CHECK(differing == 0);
}

#else

TEST_CASE("float16 and bfloat16 are __half and __nv_bfloat16 in memory", "[half]") {
  WKV_SKIP("no CUDA headers");
}

#endif
