// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/host/compact.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<std::int32_t>;

wkv::slot_list list(ints const& slots) { return {slots.data(), static_cast<int>(slots.size())}; }

ints random_slots(random_source& random, int slots) {
  int const share = random.between(1, 9);
  ints kept;
  for (int i = 0; i < slots; ++i) {
    if (random.below(10) < share) kept.push_back(i);
  }
  return kept;
}

/// What compaction means: row i of the result is row kept[i] of `from`; rows behind are those of `to`.
tensor moved(tensor const& from, tensor to, ints const& kept) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (int h = 0; h < from.heads; ++h) {
      for (int d = 0; d < from.head_dim; ++d) to.at(static_cast<int>(i), h, d) = from.at(kept[i], h, d);
    }
  }
  return to;
}

/// The memory of a plane as it must be: these elements, and canaries everywhere else.
template <class T>
std::vector<float> expected_memory(tensor const& elements, order o) {
  return stored<T>(elements, o).floats();
}

/// Small whole numbers, which every element type holds exactly.
tensor whole_numbers(unsigned seed, int slots, int heads, int head_dim) {
  tensor t = random_tensor(seed, slots, heads, head_dim, 100.f);
  for (float& x : t.numbers) x = static_cast<float>(static_cast<int>(x));
  return t;
}

template <class T>
void check_in_place(order key_order, order value_order, int heads, random_source& random) {
  int const slots = random.between(1, 12);
  int const value_slots = slots + random.below(3);  // capacities may differ
  tensor const k = whole_numbers(1, slots, heads, 5);
  tensor const v = whole_numbers(2, value_slots, heads, 3);
  stored<T> keys(k, key_order);
  stored<T> values(v, value_order);
  ints positions;
  for (int i = 0; i < slots; ++i) positions.push_back(1000 + 10 * i);
  ints expected_positions = positions;
  ints const kept = random_slots(random, slots);
  for (std::size_t i = 0; i < kept.size(); ++i) expected_positions[i] = 1000 + 10 * kept[i];

  REQUIRE(
      wkv::compact_in_place(serial, list(kept), wkv::kv_view{keys.plane, values.plane, positions.data()}));
  CHECK(keys.floats() == expected_memory<T>(moved(k, k, kept), key_order));
  CHECK(values.floats() == expected_memory<T>(moved(v, v, kept), value_order));
  CHECK(positions == expected_positions);
}

template <class T>
void check_copy(order from_order, order to_order, int heads, random_source& random) {
  int const slots = random.between(1, 12);
  tensor const k = whole_numbers(1, slots, heads, 5);
  tensor const v = whole_numbers(2, slots, heads, 3);
  stored<T> const keys(k, from_order);
  stored<T> const values(v, from_order);
  ints const kept = random_slots(random, slots);
  int const capacity = static_cast<int>(kept.size()) + random.between(1, 3);
  tensor const old_k = whole_numbers(3, capacity, heads, 5);
  tensor const old_v = whole_numbers(4, capacity, heads, 3);
  stored<T> to_keys(old_k, to_order);
  stored<T> to_values(old_v, to_order);

  wkv::kv_view const from{keys.plane, values.plane};
  REQUIRE(wkv::compact_copy(serial, list(kept), from, wkv::kv_view{to_keys.plane, to_values.plane}));
  CHECK(to_keys.floats() == expected_memory<T>(moved(k, old_k, kept), to_order));
  CHECK(to_values.floats() == expected_memory<T>(moved(v, old_v, kept), to_order));
  CHECK(keys.floats() == expected_memory<T>(k, from_order));  // the source stays as it was
}

template <class T>
void check_all_orders(unsigned seed) {
  random_source random(seed);
  for (order a : orders) {
    for (order b : orders) {
      for (int heads : {1, 3}) {
        CAPTURE(static_cast<int>(a), static_cast<int>(b), heads);
        for (int i = 0; i < 8; ++i) check_in_place<T>(a, b, heads, random);
        for (int i = 0; i < 8; ++i) check_copy<T>(a, b, heads, random);
      }
    }
  }
}

/// Two heads of 2 in 4 slots; refuses must leave everything as it is.
struct small_cache {
  tensor const numbers = whole_numbers(1, 4, 2, 2);
  stored<float> keys{numbers, order::slot_head_dim};
  stored<float> values{numbers, order::slot_head_dim};
  ints positions{0, 1, 2, 3};

  auto view() { return wkv::kv_view{keys.plane, values.plane, positions.data()}; }
  bool is_untouched() const {
    return keys.floats() == expected_memory<float>(numbers, order::slot_head_dim) &&
           values.floats() == keys.floats() && positions == ints{0, 1, 2, 3};
  }
};

}  // namespace

TEST_CASE("compaction moves the listed rows in every layout and element type, and nothing else",
          "[compact]") {
  check_all_orders<float>(1);
  check_all_orders<wkv::float16>(2);
  check_all_orders<wkv::bfloat16>(3);
}

TEST_CASE("heads that lie apart move head by head", "[compact]") {
  // A slot is contiguous but the heads have gaps: neither whole rows nor single elements.
  std::vector<float> memory(4 * 20, stored<float>::canary);
  auto const plane = wkv::strided(memory.data(), 4, 2, 3, {20, 8, 1});
  for (int s = 0; s < 4; ++s) {
    for (int h = 0; h < 2; ++h) {
      for (int d = 0; d < 3; ++d) *plane.address(s, h, d) = static_cast<float>(100 * s + 10 * h + d);
    }
  }
  std::vector<float> expected = memory;
  for (int h = 0; h < 2; ++h) {
    for (int d = 0; d < 3; ++d) {
      expected[static_cast<std::size_t>(8 * h + d)] = static_cast<float>(100 + 10 * h + d);
      expected[static_cast<std::size_t>(20 + 8 * h + d)] = static_cast<float>(300 + 10 * h + d);
    }
  }
  stored<float> values(whole_numbers(1, 4, 2, 3), order::slot_head_dim);
  REQUIRE(wkv::compact_in_place(serial, list({1, 3}), wkv::kv_view{plane, values.plane}));
  CHECK(memory == expected);
}

TEST_CASE("an empty list and a full list change nothing", "[compact]") {
  small_cache cache;
  CHECK(wkv::compact_in_place(serial, {}, cache.view()).ok());
  CHECK(cache.is_untouched());
  CHECK(wkv::compact_in_place(serial, list({0, 1, 2, 3}), cache.view()).ok());
  CHECK(cache.is_untouched());
}

TEST_CASE("bad lists are refused and nothing moves", "[compact]") {
  small_cache cache;
  auto const problem = [&](wkv::slot_list const& kept) {
    return message(wkv::compact_in_place(serial, kept, cache.view()));
  };
  CHECK(problem({nullptr, 1}) == "slot_list.slots: must not be null");
  CHECK(problem({nullptr, -1}) == "slot_list.count: got -1, must be at least 0");
  CHECK(problem(list({-1, 2})) == "slot_list.slots (ascending): got -1, must be at least 0");
  CHECK(problem(list({1, 1})) == "slot_list.slots (ascending): got 1, must be at least 2");
  CHECK(problem(list({1, 3, 2})) == "slot_list.slots (ascending): got 2, must be at least 4");
  CHECK(problem(list({1, 4})) == "slot_list.slots: got 4, must be at most 3");
  CHECK(problem(list({INT32_MAX, INT32_MIN})) ==
        "slot_list.slots (ascending): got -2147483648, must be at least 2147483648");
  CHECK(cache.is_untouched());
  cache.values.plane.slots = 3;
  CHECK(problem(list({1, 3})) == "slot_list.slots: got 3, must be at most 2");
  CHECK(cache.is_untouched());
}

TEST_CASE("bad views are refused and nothing moves", "[compact]") {
  small_cache cache;
  ints const kept{1, 3};
  auto const problem = [&](auto change) {
    auto view = cache.view();
    change(view);
    return message(wkv::compact_in_place(serial, list(kept), view));
  };
  CHECK(problem([](auto& v) { v.keys.data = nullptr; }) == "keys.data: must not be null");
  CHECK(problem([](auto& v) { v.values.data = nullptr; }) == "values.data: must not be null");
  CHECK(problem([](auto& v) { v.values.heads = 1; }) == "values.heads: got 1, must equal 2");
  CHECK(problem([](auto& v) { v.keys.layout.dim_stride = 0; }) ==
        "layout.dim_stride: got 0, must be at least 1");
  CHECK(problem([](auto& v) { v.values.layout.slot_stride = 3; }) ==
        "layout (elements overlap): stride: got 3, must be at least 4");
  CHECK(cache.is_untouched());
}

TEST_CASE("keys that are rotated by slot need positions", "[compact]") {
  small_cache cache;
  ints const kept{1, 3};
  wkv::kv_view bare{cache.keys.plane, cache.values.plane, nullptr, wkv::key_rotation::at_attention};
  wkv::status const refused = wkv::compact_in_place(serial, list(kept), bare);
  CHECK(refused.code() == wkv::status_code::unsupported);
  CHECK(message(refused) ==
        "kv_view.positions: must be given for keys that are rotated at attention time: moving a slot would "
        "move "
        "its position");
  small_cache target;
  CHECK_FALSE(wkv::compact_copy(serial, list(kept), cache.view(), bare).ok());
  CHECK_FALSE(wkv::compact_copy(serial, list(kept), bare, target.view()).ok());
  CHECK(cache.is_untouched());
  CHECK(target.is_untouched());
  bare.positions = cache.positions.data();
  CHECK(wkv::compact_in_place(serial, list(kept), bare).ok());
  CHECK(cache.positions == ints{1, 3, 2, 3});
}

TEST_CASE("a copy writes positions: those of the source, or its slots", "[compact]") {
  small_cache from;
  small_cache to;
  from.positions = {10, 11, 12, 13};
  REQUIRE(wkv::compact_copy(serial, list({1, 3}), from.view(), to.view()));
  CHECK(to.positions == ints{11, 13, 2, 3});
  REQUIRE(
      wkv::compact_copy(serial, list({0, 2}), wkv::kv_view{from.keys.plane, from.values.plane}, to.view()));
  CHECK(to.positions == ints{0, 2, 2, 3});
}

TEST_CASE("a copy into what does not fit is refused and nothing moves", "[compact]") {
  small_cache from;
  small_cache to;
  auto const problem = [&](auto change) {
    auto view = to.view();
    change(view);
    return message(wkv::compact_copy(serial, list({0, 1, 3}), from.view(), view));
  };
  CHECK(problem([](auto& v) { v.keys.slots = 2; }) == "destination keys.slots: got 2, must be at least 3");
  CHECK(problem([](auto& v) { v.values.slots = 2; }) ==
        "destination values.slots: got 2, must be at least 3");
  CHECK(problem([](auto& v) { v.keys.head_dim = 1; }) == "destination keys.head_dim: got 1, must equal 2");
  CHECK(problem([](auto& v) { v.values.head_dim = 1; }) ==
        "destination values.head_dim: got 1, must equal 2");
  CHECK(problem([](auto& v) { v.keys.heads = v.values.heads = 1; }) ==
        "destination keys.heads: got 1, must equal 2");
  CHECK(to.is_untouched());
  CHECK(problem([](auto&) {}) == "ok");
}

TEST_CASE("a copy may read from read-only memory", "[compact]") {
  small_cache from;
  small_cache to;
  auto const keys = wkv::slot_head_dim<float const>(from.keys.plane.data, 4, 2, 2);
  auto const values = wkv::slot_head_dim<float const>(from.values.plane.data, 4, 2, 2);
  REQUIRE(wkv::compact_copy(serial, list({3}), wkv::kv_view{keys, values}, to.view()));
  CHECK(to.keys.plane.load(0, 1, 1) == from.numbers.at(3, 1, 1));
}
