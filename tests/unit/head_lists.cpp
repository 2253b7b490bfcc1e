// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Selections with a list per KV head, applied: in place, as copies, flattened, by the engine's own mover, in
// paged and scaled caches; and what cannot be.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr int slots = 12;
constexpr int heads = 3;
constexpr int dims = 4;

/// Lists of 4, 0 and 6 slots.
struct example {
  std::vector<std::int32_t> list{1, 2, 7, 11, 0, 3, 4, 5, 9, 10};
  std::vector<std::int32_t> offsets{0, 4, 4, 10};
  wkv::selection chosen;

  example() {
    chosen.group = 0;
    chosen.tokens = slots;
    chosen.kept = 6;
    chosen.slots = list.data();
    chosen.lists = heads;
    chosen.offsets = offsets.data();
  }
};

/// Element (slot, head, dim) says where it came from.
float name_of(int slot, int head, int dim) { return static_cast<float>(slot * 100 + head * 10 + dim); }
tensor named() {
  tensor t(slots, heads, dims);
  for (int s = 0; s < slots; ++s) {
    for (int h = 0; h < heads; ++h) {
      for (int d = 0; d < dims; ++d) t.at(s, h, d) = name_of(s, h, d);
    }
  }
  return t;
}

/// Every head has its own rows in front, and what lies behind them is what lay there.
template <class Plane>
void check_moved(Plane const& plane, wkv::selection const& chosen, bool in_place) {
  for (int h = 0; h < heads; ++h) {
    wkv::slot_list const list = chosen.list(h);
    for (int s = 0; s < (in_place ? slots : list.count); ++s) {
      for (int d = 0; d < dims; ++d) {
        CAPTURE(h, s, d);
        CHECK(plane.load(s, h, d) == name_of(s < list.count ? list.slots[s] : s, h, d));
      }
    }
  }
}

}  // namespace

TEST_CASE("a selection says what each head keeps", "[head_lists]") {
  example const e;
  CHECK(e.chosen.rows() == 10);
  CHECK(e.chosen.list(0).count == 4);
  CHECK(e.chosen.list(1).count == 0);
  CHECK(e.chosen.list(2).count == 6);
  CHECK(e.chosen.list(2).slots[1] == 3);
  wkv::selection one;
  one.kept = 4;
  one.slots = e.list.data();
  CHECK(one.rows() == 4);
  CHECK(one.list(2).count == 4);  // one list serves every head
}

TEST_CASE("heads move by their own lists, in any layout", "[head_lists]") {
  example const e;
  for (order const o : orders) {
    stored<float> keys(named(), o);
    stored<float> values(named(), order::head_slot_dim);
    REQUIRE(wkv::compact_in_place(serial, e.chosen, wkv::kv_view{keys.plane, values.plane}).ok());
    check_moved(keys.plane, e.chosen, true);
    check_moved(values.plane, e.chosen, true);

    stored<float> const from(named(), o);
    stored<float> to(tensor(6, heads, dims), order::slot_head_dim);
    stored<float> to_values(tensor(6, heads, dims), o);
    stored<float> const from_values(named(), order::head_dim_slot);
    REQUIRE(wkv::compact_copy(serial, e.chosen, wkv::kv_view{from.plane, from_values.plane},
                              wkv::kv_view{to.plane, to_values.plane})
                .ok());
    check_moved(to.plane, e.chosen, false);
    check_moved(to_values.plane, e.chosen, false);
  }
}

TEST_CASE("lists are flattened into one matrix", "[head_lists]") {
  example const e;
  stored<float> keys(named(), order::head_slot_dim);
  std::vector<float> flat(static_cast<std::size_t>(e.chosen.rows()) * dims, -1.f);
  auto const there =
      wkv::make_plane(flat.data(), e.chosen.kept, heads, dims, wkv::ragged_layout{e.offsets.data(), dims},
                      wkv::element_accessor<float>{});
  REQUIRE(wkv::compact_copy(serial, e.chosen, wkv::kv_view{keys.plane}, wkv::kv_view{there}).ok());
  for (int h = 0; h < heads; ++h) {
    for (int i = e.offsets[static_cast<std::size_t>(h)]; i < e.offsets[static_cast<std::size_t>(h) + 1];
         ++i) {
      for (int d = 0; d < dims; ++d) {
        CHECK(flat[static_cast<std::size_t>(i * dims + d)] ==
              name_of(e.list[static_cast<std::size_t>(i)], h, d));
      }
    }
  }
  auto const null_offsets = wkv::make_plane(flat.data(), 6, heads, dims, wkv::ragged_layout{nullptr, dims},
                                            wkv::element_accessor<float>{});
  CHECK(message(wkv::compact_copy(serial, e.chosen, wkv::kv_view{keys.plane}, wkv::kv_view{null_offsets})) ==
        "ragged_layout.offsets: must not be null");
  auto const overlapping = wkv::make_plane(
      flat.data(), 6, heads, dims, wkv::ragged_layout{e.offsets.data(), 3}, wkv::element_accessor<float>{});
  CHECK(message(wkv::compact_copy(serial, e.chosen, wkv::kv_view{keys.plane}, wkv::kv_view{overlapping})) ==
        "ragged_layout.row_stride: got 3, must be at least 4");
}

TEST_CASE("an engine's own mover gets the pieces of every head", "[head_lists]") {
  example const e;
  stored<float> keys(named(), order::slot_head_dim);
  stored<float> values(named(), order::padded);
  REQUIRE(wkv::for_each_byte_move(
              e.chosen, wkv::kv_view{keys.plane, values.plane},
              [](void const* from, void* to, std::size_t bytes) { std::memmove(to, from, bytes); })
              .ok());
  check_moved(keys.plane, e.chosen, true);
  check_moved(values.plane, e.chosen, true);
}

TEST_CASE("pages serve heads that keep other tokens", "[head_lists]") {
  example const e;
  constexpr int page = 4;
  std::int32_t const table[] = {2, 0, 3};
  std::vector<float> pool(4 * page * heads * dims, -1.f);
  auto const keys = wkv::paged(pool.data(), 4, page, heads, dims, table, 3, slots);
  for (int s = 0; s < slots; ++s) {
    for (int h = 0; h < heads; ++h) {
      for (int d = 0; d < dims; ++d) *keys.address(s, h, d) = name_of(s, h, d);
    }
  }
  REQUIRE(wkv::compact_in_place(serial, e.chosen, wkv::kv_view{keys}).ok());
  check_moved(keys, e.chosen, true);
}

TEST_CASE("scales of their own move with each head; scales in common cannot", "[head_lists]") {
  example const e;
  std::vector<std::int8_t> elements(slots * heads * dims);
  std::vector<float> scales(slots * heads);
  for (int s = 0; s < slots; ++s) {
    for (int h = 0; h < heads; ++h) {
      scales[static_cast<std::size_t>(s * heads + h)] = static_cast<float>(s * 10 + h + 1);
      for (int d = 0; d < dims; ++d) elements[static_cast<std::size_t>((s * heads + h) * dims + d)] = 1;
    }
  }
  auto const plain = wkv::slot_head_dim(elements.data(), slots, heads, dims);
  auto const keys = wkv::with_scales(plain, wkv::slot_head_dim(scales.data(), slots, heads, 1));
  REQUIRE(wkv::compact_in_place(serial, e.chosen, wkv::kv_view{keys}).ok());
  for (int h = 0; h < heads; ++h) {
    wkv::slot_list const list = e.chosen.list(h);
    for (int s = 0; s < list.count; ++s)
      CHECK(keys.load(s, h, 0) == static_cast<float>(list.slots[s] * 10 + h + 1));
  }
  auto const common = wkv::with_scales(plain, wkv::slot_head_dim(scales.data(), slots, 1, 1));
  CHECK(message(wkv::compact_in_place(serial, e.chosen, wkv::kv_view{common})) ==
        "scales.heads: got 1, must equal (every KV head keeps its own tokens) 3");
}

TEST_CASE("what heads have in common is refused, and nothing has moved", "[head_lists]") {
  example e;
  stored<float> keys(named(), order::slot_head_dim);
  auto const before = keys.memory;
  std::vector<std::int32_t> positions(slots);
  CHECK(message(wkv::compact_in_place(serial, e.chosen,
                                      wkv::kv_view{keys.plane, keys.plane, positions.data()})) != "ok");
  stored<float> values(named(), order::slot_head_dim);
  wkv::kv_view const with_positions{keys.plane, values.plane, positions.data()};
  CHECK(wkv::compact_in_place(serial, e.chosen, with_positions).code() == wkv::status_code::unsupported);
  auto const rows = wkv::slot_head_dim(reinterpret_cast<wkv::opaque<sizeof(float)>*>(keys.plane.data), slots,
                                       1, heads * dims);
  CHECK(message(wkv::compact_in_place(serial, e.chosen, wkv::kv_view{rows})) ==
        "keys.heads: got 1, must equal (every KV head keeps its own tokens) 3");
  e.list[9] = 12;  // behind the cache
  CHECK(!wkv::compact_in_place(serial, e.chosen, wkv::kv_view{keys.plane}).ok());
  e.list[9] = 9;  // twice
  CHECK(!wkv::compact_in_place(serial, e.chosen, wkv::kv_view{keys.plane}).ok());
  CHECK(keys.memory == before);
}
