// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/view.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv::dense_layout;
using wkv_test::message;

template <class Plane>
std::string problem(Plane const& plane) {
  return message(wkv::detail::validate_plane(plane, {"data", "slots", "heads", "head_dim"}));
}
std::string problem(dense_layout const& layout, int slots, int heads, int head_dim) {
  return message(layout.validate(slots, heads, head_dim, 4));
}

}  // namespace

TEST_CASE("a layout finds its elements", "[view]") {
  std::vector<float> memory(5 * 3 * 4);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
  float* const base = memory.data();

  auto const nhd = wkv::slot_head_dim(base, 5, 3, 4);
  CHECK(nhd.load(0, 0, 0) == 0.f);
  CHECK(nhd.load(2, 1, 3) == 2 * 12 + 1 * 4 + 3);
  CHECK(nhd.load(4, 2, 3) == 59.f);
  auto const hnd = wkv::head_slot_dim(base, 5, 3, 4);
  CHECK(hnd.load(2, 1, 3) == 1 * 20 + 2 * 4 + 3);
  CHECK(hnd.load(4, 2, 3) == 59.f);
  auto const transposed = wkv::head_dim_slot(base, 5, 3, 4);
  CHECK(transposed.load(2, 1, 3) == 1 * 20 + 3 * 5 + 2);
  CHECK(transposed.load(4, 2, 3) == 59.f);
  auto const strided = wkv::strided(base + 1, 5, 1, 2, {11, 7, 3});
  CHECK(strided.load(4, 0, 1) == 1 + 4 * 11 + 3);
  CHECK(strided.address(4, 0, 1) == base + 48);
  for (auto const& plane : {nhd, hnd, transposed, strided}) CHECK(problem(plane) == "ok");
  CHECK(nhd.row_bytes() == 48);
}

TEST_CASE("an accessor reads every element type as a float", "[view]") {
  wkv::float16 const h[] = {wkv::float16(1.5f), wkv::float16(-2.f)};
  wkv::bfloat16 const b[] = {wkv::bfloat16(1.5f), wkv::bfloat16(-2.f)};
  CHECK(wkv::slot_head_dim(h, 2, 1, 1).load(1, 0, 0) == -2.f);
  CHECK(wkv::slot_head_dim(b, 2, 1, 1).load(0, 0, 0) == 1.5f);
  CHECK(wkv::slot_head_dim(b, 1, 1, 2).row_bytes() == 4);
}

TEST_CASE("a plane without memory or extent is refused", "[view]") {
  float x[24] = {};
  CHECK(problem(wkv::slot_head_dim<float>(nullptr, 2, 3, 4)) == "data: must not be null");
  CHECK(problem(wkv::slot_head_dim(x, 0, 3, 4)) == "slots: got 0, must be at least 1");
  CHECK(problem(wkv::slot_head_dim(x, -2, 3, 4)) == "slots: got -2, must be at least 1");
  CHECK(problem(wkv::slot_head_dim(x, 2, 0, 4)) == "heads: got 0, must be at least 1");
  CHECK(problem(wkv::slot_head_dim(x, 2, -3, 4)) == "heads: got -3, must be at least 1");
  CHECK(problem(wkv::slot_head_dim(x, 2, 3, 0)) == "head_dim: got 0, must be at least 1");
  CHECK(problem(wkv::dense_plane<float>{x, 2, 3, 4, {}, {}}) ==
        "layout.slot_stride: got 0, must be at least 1");
}

TEST_CASE("a misaligned pointer is refused", "[view]") {
  alignas(8) unsigned char bytes[64] = {};
  auto const at = [&](int offset) {
    return problem(wkv::slot_head_dim(reinterpret_cast<float*>(bytes + offset), 1, 1, 1));
  };
  CHECK(at(0) == "ok");
  CHECK(at(1) == "data: got 1, bytes off an alignment of 4");
  CHECK(at(6) == "data: got 2, bytes off an alignment of 4");
  auto const half = wkv::slot_head_dim(reinterpret_cast<wkv::float16*>(bytes + 3), 1, 1, 1);
  CHECK(problem(half) == "data: got 1, bytes off an alignment of 2");
  wkv::status const s = wkv::detail::validate_plane(half, {"data", "slots", "heads", "head_dim"});
  CHECK(s.code() == wkv::status_code::misaligned);
}

TEST_CASE("strides that are not positive are refused", "[view]") {
  CHECK(problem({0, 4, 1}, 2, 3, 4) == "layout.slot_stride: got 0, must be at least 1");
  CHECK(problem({12, -4, 1}, 2, 3, 4) == "layout.head_stride: got -4, must be at least 1");
  CHECK(problem({12, 4, 0}, 2, 3, 4) == "layout.dim_stride: got 0, must be at least 1");
}

TEST_CASE("strides that make elements overlap are refused", "[view]") {
  std::string const overlap = "layout (elements overlap): stride: got ";
  CHECK(problem({12, 4, 1}, 2, 3, 4) == "ok");
  CHECK(problem({11, 4, 1}, 2, 3, 4) == overlap + "11, must be at least 12");
  CHECK(problem({12, 3, 1}, 2, 3, 4) == overlap + "3, must be at least 4");
  CHECK(problem({4, 7, 1}, 2, 3, 4) == overlap + "7, must be at least 8");
  CHECK(problem({4, 8, 1}, 2, 3, 4) == "ok");
  CHECK(problem({1, 8, 1}, 2, 3, 4) == overlap + "1, must be at least 2");
  CHECK(problem({1, 8, 2}, 2, 3, 4) == "ok");
}

TEST_CASE("an axis of one element may have any positive stride", "[view]") {
  CHECK(problem({1, 4, 1}, 1, 3, 4) == "ok");
  CHECK(problem({4, 1, 1}, 2, 1, 4) == "ok");
  CHECK(problem({3, 1, 1}, 2, 3, 1) == "ok");
  CHECK(problem({INT64_MAX, INT64_MAX, INT64_MAX}, 1, 1, 1) == "ok");
  CHECK(problem({INT64_MAX, 4, 1}, 1, 3, 4) == "ok");
}

TEST_CASE("strides that overflow an offset are refused", "[view]") {
  std::string const overflow = "layout (offset overflows): stride: got ";
  std::int64_t const most = INT64_MAX / 4 - 12;  // 12 elements precede
  CHECK(problem({most, 4, 1}, 2, 3, 4) == "ok");
  CHECK(problem({most + 1, 4, 1}, 2, 3, 4) ==
        overflow + std::to_string(most + 1) + ", must be at most " + std::to_string(most));
  CHECK(problem({most / 2 + 1, 4, 1}, 3, 3, 4) ==
        overflow + std::to_string(most / 2 + 1) + ", must be at most " + std::to_string(most / 2));
  CHECK(problem({INT64_MAX, INT64_MAX - 1, 1}, 2, 2, 4).find(overflow) == 0);
  CHECK(problem({1, INT64_MAX / 8, INT64_MAX / 16}, INT32_MAX, INT32_MAX, INT32_MAX).find(overflow) == 0);
}
