// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/rank.hpp"

#include <cstdint>
#include <limits>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv::rank_key;
using wkv_test::infinity;
using wkv_test::not_a_number;

constexpr float denormal = std::numeric_limits<float>::denorm_min();
constexpr float largest = std::numeric_limits<float>::max();

}  // namespace

TEST_CASE("larger scores rank higher", "[rank]") {
  float const ascending[] = {-infinity, -largest, -1.5f, -1.f,    -denormal, 0.f,
                             denormal,  1.f,      1.5f,  largest, infinity};
  for (int i = 0; i < 11; ++i) {
    for (int j = 0; j < 11; ++j) {
      CAPTURE(ascending[i], ascending[j]);
      CHECK(wkv::ranks_above(ascending[i], ascending[j]) == (i > j));
      if (i != j) CHECK((rank_key(ascending[i], 7) > rank_key(ascending[j], 3)) == (i > j));
    }
  }
}

TEST_CASE("NaN ranks below everything, whatever its sign and payload", "[rank]") {
  for (std::uint32_t bits : {0x7fc00000u, 0xffc00000u, 0x7f800001u, 0xff800001u, 0x7fffffffu, 0xffffffffu}) {
    float const some_nan = wkv::detail::float_from_bits(bits);
    CHECK(wkv::ranks_above(-infinity, some_nan));
    CHECK_FALSE(wkv::ranks_above(some_nan, -infinity));
    CHECK(rank_key(some_nan, 0) < rank_key(-infinity, INT32_MAX));
    CHECK(rank_key(some_nan, 4) == rank_key(not_a_number, 4));  // NaNs tie, and the index decides
    CHECK(rank_key(some_nan, 4) > rank_key(not_a_number, 5));
  }
}

TEST_CASE("zeros are equal and ties go to the smaller index", "[rank]") {
  CHECK_FALSE(wkv::ranks_above(0.f, -0.f));
  CHECK_FALSE(wkv::ranks_above(-0.f, 0.f));
  CHECK(rank_key(0.f, 3) == rank_key(-0.f, 3));
  CHECK(rank_key(-0.f, 3) > rank_key(0.f, 4));
  CHECK(rank_key(2.f, 0) > rank_key(2.f, 1));
  CHECK(rank_key(2.f, INT32_MAX - 1) > rank_key(2.f, INT32_MAX));
}

TEST_CASE("protected windows rank above infinity, in order", "[rank]") {
  CHECK(wkv::protected_rank_key(INT32_MAX) > rank_key(infinity, 0));
  CHECK(wkv::protected_rank_key(0) > wkv::protected_rank_key(1));
}

TEST_CASE("a key gives its index back", "[rank]") {
  for (std::int32_t index : {0, 1, 255, 1 << 20, INT32_MAX}) {
    CHECK(wkv::index_of_rank_key(rank_key(-3.f, index)) == index);
    CHECK(wkv::index_of_rank_key(rank_key(not_a_number, index)) == index);
    CHECK(wkv::index_of_rank_key(wkv::protected_rank_key(index)) == index);
  }
}
