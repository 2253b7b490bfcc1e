// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Moving rows: the same bytes as on the host, and no others.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "both.hpp"
#include "caches.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;

template <class T>
bool same_bytes(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

struct cache_shape {
  int heads;
  int key_dim;
  int value_dim;
};

template <class T>
struct cache {
  stored<T> keys;
  stored<T> values;
  std::vector<std::int32_t> positions;

  cache(cache_shape const& s, int slots, order key_order, order value_order, std::size_t margin,
        unsigned seed)
      : keys(random_tensor(seed, slots, s.heads, s.key_dim), key_order, margin),
        values(random_tensor(seed + 1, slots, s.heads, s.value_dim), value_order, margin) {
    for (int i = 0; i < slots; ++i) positions.push_back(1000 + 7 * i);
  }
  auto view(bool has_positions) {
    return wkv::kv_view{keys.plane, values.plane, has_positions ? positions.data() : nullptr};
  }
};
template <class T>
struct device_cache {
  device_plane<T> keys;
  device_plane<T> values;
  device_array<std::int32_t> positions;

  explicit device_cache(cache<T> const& c) : keys(c.keys), values(c.values), positions(c.positions) {}
  auto view(bool has_positions) const {
    return wkv::kv_view{keys.plane, values.plane, has_positions ? positions.data() : nullptr};
  }
  void check_equal(cache<T> const& c) const {
    CHECK(same_bytes(keys.memory.get(), c.keys.memory));
    CHECK(same_bytes(values.memory.get(), c.values.memory));
    CHECK(positions.get() == c.positions);
  }
};

/// In place, through a compression whose group keeps `kept` of `tokens`: the scores say which.
template <class T>
void check_in_place(cache_shape const& s, int tokens, int kept, order key_order, order value_order,
                    std::size_t margin, wkv::cuda_tuning const* tuning = nullptr) {
  CAPTURE(s.heads, s.key_dim, s.value_dim, tokens, kept, static_cast<int>(key_order),
          static_cast<int>(value_order), margin);
  auto const method =
      method_of(wkv::scoring<wkv::external_scores, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>{
                    1, {1}, {}, {1}, {}})
          .with_budget(kept);
  auto const plan = plan_of(method, {1, s.heads, s.heads, s.key_dim}, {tokens});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  auto const on = executor_of<64>(tuning);
  auto run = wkv::begin(on, plan, memory.workspace());
  REQUIRE(run);
  std::vector<float> scores;
  random_source random(3);
  for (int i = 0; i < plan.review; ++i) scores.push_back(random.symmetric());
  device_array<float> const there(scores);
  REQUIRE(message(wkv::score(on, *run, 0, wkv::token_scores{there.data(), 1, plan.review, 0})) == "ok");
  auto const chosen = wkv::select(on, *run, 0);
  REQUIRE(chosen);
  cache<T> expected(s, tokens + 3, key_order, value_order, margin, 5);
  device_cache<T> const got(expected);
  REQUIRE(message(wkv::compact(on, *run, 0, *chosen, got.view(true))) == "ok");
  ints const slots = selection_of(*run, 0).slots;
  REQUIRE(static_cast<int>(slots.size()) == std::min(kept, tokens));
  REQUIRE(message(wkv::compact_in_place(serial, {slots.data(), static_cast<int>(slots.size())},
                                        expected.view(true))) == "ok");
  got.check_equal(expected);
}

template <class T>
void check_copy(cache_shape const& s, int tokens, int kept, order from_order, order to_order,
                std::size_t margin, bool from_positions, bool to_positions,
                wkv::cuda_tuning const* tuning = nullptr) {
  CAPTURE(s.heads, s.key_dim, s.value_dim, tokens, kept, static_cast<int>(from_order),
          static_cast<int>(to_order), margin, from_positions, to_positions);
  random_source random(static_cast<unsigned>(tokens + kept));
  ints const slots = random_slots(random, tokens, kept);
  given_selection const given(slots, tokens, kept + 2);
  cache<T> from(s, tokens + 1, from_order, order::slot_head_dim, margin, 5);
  cache<T> to(s, kept + 4, to_order, order::head_slot_dim, margin, 11);
  device_cache<T> const from_there(from);
  device_cache<T> const to_there(to);
  REQUIRE(message(wkv::compact_copy(executor_of<64>(tuning), given.chosen, from_there.view(from_positions),
                                    to_there.view(to_positions))) == "ok");
  REQUIRE(message(wkv::compact_copy(serial, {slots.data(), kept}, from.view(from_positions),
                                    to.view(to_positions))) == "ok");
  to_there.check_equal(to);
  from_there.check_equal(from);
}

}  // namespace

TEMPLATE_TEST_CASE("compact in place: every order of planes", "[compact][sanitize]", wkv::float16,
                   wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  for (order o : orders) {
    for (std::size_t margin : {0u, 5u, 8u}) {
      check_in_place<TestType>({2, 16, 8}, 90, 40, o, order::slot_head_dim, margin);
      check_in_place<TestType>({3, 7, 13}, 50, 20, order::head_slot_dim, o, margin);
    }
  }
}

TEMPLATE_TEST_CASE("compact in place: shapes", "[compact]", wkv::float16, float) {
  WKV_NEEDS_DEVICE();
  for (cache_shape const& s :
       {cache_shape{1, 1, 1}, {1, 8, 8}, {2, 64, 64}, {4, 128, 8}, {1, 72, 5}, {5, 24, 40}, {1, 1, 300}}) {
    for (std::size_t margin : {5u, 8u}) {
      check_in_place<TestType>(s, 200, 77, order::slot_head_dim, order::head_slot_dim, margin);
    }
  }
}

TEMPLATE_TEST_CASE("compact in place: more rows than a batch holds", "[compact]", wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  for (int kept : {1, 63, 64, 65, 256, 257, 700, 1023, 1099}) {  // batches: 64 to 256 rows; positions: 1024
    check_in_place<TestType>({1, 16, 16}, 1100, kept, order::slot_head_dim, order::slot_head_dim, 8);
    check_in_place<TestType>({1, 3, 2}, 1100, kept, order::slot_head_dim, order::head_dim_slot, 5);
  }
  check_in_place<TestType>({1, 8, 8}, 1100, 1100, order::slot_head_dim, order::slot_head_dim,
                           0);  // nothing to do
}

TEST_CASE("compact: however the columns are cut", "[compact]") {
  WKV_NEEDS_DEVICE();
  for (int blocks : {1, 2, 4, 50, 1000}) {
    wkv::cuda_tuning tuning;
    tuning.compact_blocks = blocks;
    check_in_place<wkv::bfloat16>({4, 128, 72}, 300, 170, order::slot_head_dim, order::head_slot_dim, 8,
                                  &tuning);
    check_in_place<float>({3, 33, 5}, 300, 170, order::slot_head_dim, order::head_slot_dim, 8, &tuning);
    check_copy<wkv::bfloat16>({4, 128, 72}, 300, 270, order::slot_head_dim, order::head_slot_dim, 8, true,
                              true, &tuning);
    check_copy<float>({3, 33, 5}, 300, 270, order::slot_head_dim, order::head_slot_dim, 8, true, true,
                      &tuning);
  }
}

TEMPLATE_TEST_CASE("compact copy: between layouts", "[compact][sanitize]", wkv::float16, wkv::bfloat16,
                   float) {
  WKV_NEEDS_DEVICE();
  for (order from : orders) {
    for (order to : orders) {
      for (std::size_t margin : {0u, 5u}) {
        check_copy<TestType>({2, 16, 8}, 90, 41, from, to, margin, true, true);
        check_copy<TestType>({2, 7, 3}, 90, 41, from, to, margin, margin == 0, true);
      }
    }
  }
  check_copy<TestType>({1, 8, 8}, 600, 599, order::slot_head_dim, order::slot_head_dim, 0, true, false);
  check_copy<TestType>({1, 8, 8}, 600, 600, order::slot_head_dim, order::slot_head_dim, 0, false, true);
  check_copy<TestType>({1, 8, 8}, 60, 0, order::slot_head_dim, order::slot_head_dim, 0, true, true);
}

TEST_CASE("compact: few threads", "[compact][race]") {
  WKV_NEEDS_DEVICE();
  check_in_place<wkv::bfloat16>({1, 16, 8}, 200, 150, order::slot_head_dim, order::slot_head_dim, 8);
  check_copy<float>({1, 3, 2}, 90, 40, order::slot_head_dim, order::head_dim_slot, 5, true, true);
}
