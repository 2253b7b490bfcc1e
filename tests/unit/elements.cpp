// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Elements that hold less or more than a number, and scales beside them: what they read as.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/accessor.hpp"
#include "windowkv/core/float8.hpp"
#include "windowkv/core/quantised.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

/// An 8-bit floating point number from its definition.
double decoded(int bits, int mantissa_bits, int bias) {
  int const mantissa = bits & ((1 << mantissa_bits) - 1);
  int const exponent = (bits & 0x7f) >> mantissa_bits;
  double const fraction = std::ldexp(mantissa, -mantissa_bits);
  double const magnitude =
      exponent == 0 ? std::ldexp(fraction, 1 - bias) : std::ldexp(1 + fraction, exponent - bias);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

template <class Block>
Block block_of(float scale, std::vector<unsigned char> const& rest) {
  Block block;
  wkv::float16 const half(scale);
  block.bytes[0] = static_cast<unsigned char>(half.bits & 0xff);
  block.bytes[1] = static_cast<unsigned char>(half.bits >> 8);
  std::memcpy(block.bytes + 2, rest.data(), rest.size());
  return block;
}

}  // namespace

TEST_CASE("every code of both 8-bit floats", "[elements]") {
  for (int code = 0; code < 256; ++code) {
    CAPTURE(code);
    float const e4m3 = static_cast<float>(wkv::float8_e4m3{static_cast<std::uint8_t>(code)});
    float const e5m2 = static_cast<float>(wkv::float8_e5m2{static_cast<std::uint8_t>(code)});
    if ((code & 0x7f) == 0x7f) {
      CHECK(std::isnan(e4m3));
    } else {
      CHECK(static_cast<double>(e4m3) == decoded(code, 3, 7));
      CHECK(std::signbit(e4m3) == (code >= 128));
    }
    if ((code & 0x7f) > 0x7c) {
      CHECK(std::isnan(e5m2));
    } else if ((code & 0x7f) == 0x7c) {
      CHECK(e5m2 == (code >= 128 ? -infinity : infinity));
    } else {
      CHECK(static_cast<double>(e5m2) == decoded(code, 2, 15));
      CHECK(std::signbit(e5m2) == (code >= 128));
    }
  }
  CHECK(static_cast<float>(wkv::float8_e4m3{0x7e}) == 448.f);
  CHECK(static_cast<float>(wkv::float8_e5m2{0x7b}) == 57344.f);
}

TEST_CASE("4-bit pairs and ggml's blocks", "[elements]") {
  CHECK(wkv::int4_pair{0x7f}.load(0) == -1.f);
  CHECK(wkv::int4_pair{0x7f}.load(1) == 7.f);
  CHECK(wkv::int4_pair{0x80}.load(0) == 0.f);
  CHECK(wkv::int4_pair{0x80}.load(1) == -8.f);

  std::vector<unsigned char> quants(32);
  for (int i = 0; i < 32; ++i) quants[static_cast<std::size_t>(i)] = static_cast<unsigned char>(8 * i - 128);
  auto const q8 = block_of<wkv::q8_0_block>(0.25f, quants);
  for (int i = 0; i < 32; ++i) CHECK(q8.load(i) == 0.25f * static_cast<float>(8 * i - 128));

  std::vector<unsigned char> nibbles(16);
  for (int i = 0; i < 16; ++i)
    nibbles[static_cast<std::size_t>(i)] = static_cast<unsigned char>(i | ((15 - i) << 4));
  auto const q4 = block_of<wkv::q4_0_block>(2.f, nibbles);
  for (int i = 0; i < 16; ++i) {
    CHECK(q4.load(i) == 2.f * static_cast<float>(i - 8));
    CHECK(q4.load(i + 16) == 2.f * static_cast<float>(7 - i));
  }
}

TEST_CASE("planes of blocks count dims in numbers and strides in blocks", "[elements]") {
  std::vector<wkv::q8_0_block> memory(2 * 3 * 4);
  for (std::size_t i = 0; i < memory.size(); ++i) {
    memory[i] = block_of<wkv::q8_0_block>(1.f, std::vector<unsigned char>(32, static_cast<unsigned char>(i)));
  }
  auto const rows = wkv::slot_head_dim(memory.data(), 2, 3, 128);
  CHECK(rows.units() == 4);
  CHECK(rows.row_bytes() == 3 * 4 * 34);
  CHECK(rows.load(1, 2, 127) == 23.f);
  CHECK(rows.load(1, 2, 31) == 20.f);
  CHECK(rows.load(0, 1, 32) == 5.f);
  CHECK(wkv::head_slot_dim(memory.data(), 2, 3, 128).load(1, 2, 127) == 23.f);
  CHECK(wkv::head_slot_dim(memory.data(), 2, 3, 128).load(1, 0, 0) == 4.f);
  CHECK(wkv::head_dim_slot(memory.data(), 2, 3, 128).load(1, 0, 32) == 3.f);
}

TEST_CASE("scales: for the tensor, for a token, for a channel of several tokens", "[elements]") {
  std::vector<std::int8_t> numbers{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  auto const plain = wkv::slot_head_dim(numbers.data(), 4, 2, 2);
  CHECK(wkv::with_scale(plain, 0.5f).load(3, 1, 1) == 8.f);

  std::vector<float> const scales{1,   2,   4,    8,    16,   32,   64,    128,
                                  256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  auto const per_head = wkv::with_scales(plain, wkv::slot_head_dim(scales.data(), 4, 2, 1));
  CHECK(per_head.load(2, 1, 0) == 11.f * 32.f);
  CHECK(per_head.row_bytes() == 4 + 8);
  auto const per_token = wkv::with_scales(plain, wkv::slot_head_dim(scales.data(), 4, 1, 1));
  CHECK(per_token.load(2, 1, 0) == 11.f * 4.f);
  auto const per_group = wkv::with_scales(plain, wkv::slot_head_dim(scales.data(), 4, 2, 2));
  CHECK(per_group.load(2, 1, 1) == 12.f * 2048.f);

  auto const channels = wkv::with_channel_scales(plain, wkv::slot_head_dim(scales.data(), 2, 2, 2), 2);
  CHECK(channels.granularity() == 2);
  CHECK(channels.load(1, 1, 0) == 7.f * 4.f);
  CHECK(channels.load(2, 1, 0) == 11.f * 64.f);
  CHECK(channels.row_bytes() == 4 + 16 / 2);

  std::vector<wkv::int4_pair> pairs{{0x21}, {0x43}};
  auto const grouped =
      wkv::with_scales(wkv::slot_head_dim(pairs.data(), 1, 1, 4), wkv::slot_head_dim(scales.data(), 1, 1, 2));
  CHECK(grouped.load(0, 0, 1) == 2.f);
  CHECK(grouped.load(0, 0, 2) == 6.f);
}

TEST_CASE("what can be read, and what can only be moved", "[elements]") {
  CHECK(wkv::is_readable_v<wkv::element_accessor<float>>);
  CHECK(wkv::is_readable_v<wkv::element_accessor<wkv::float8_e5m2 const>>);
  CHECK(wkv::is_readable_v<wkv::element_accessor<wkv::q4_0_block>>);
  CHECK_FALSE(wkv::is_readable_v<wkv::element_accessor<wkv::opaque<34>>>);
}
