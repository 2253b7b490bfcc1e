// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/thrust/compact.cuh"

#include <cstdint>
#include <vector>

#include "system.hpp"

namespace thrust_compact {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<std::int32_t>;

auto method_of(int budget) {
  return wkv::paper_method(2)
      .with_token_scorer(wkv::external_scores{1})
      .with_window_scorer(wkv::window_mean{})
      .with_budget_shape(wkv::uniform_budget{})
      .with_suffix(2)
      .with_budget(budget);
}

/// A selection of one layer, made from random scores on both backends.
struct chosen_slots {
  both<decltype(method_of(1))> runs;
  wkv::selection on_host;
  wkv::deferred_selection chosen;

  chosen_slots(random_source& random, int heads, int tokens)
      : runs(method_of(random.between(1, tokens)), {1, heads, heads, 5}, tokens) {
    if (runs.plan.group[0].keeps_all == 0) runs.score(0, plain_scores(random, tokens - 2), 1);
    on_host = runs.select();
    chosen = *wkv::select(backend(), runs.run, 0);
  }
  wkv::slot_list slots() const { return {on_host.slots, on_host.kept}; }
};

ints some_positions(int slots) {
  ints all;
  for (int i = 0; i < slots; ++i) all.push_back(1000 + 10 * i);
  return all;
}

template <class T>
void check_in_place(order key_order, order value_order, int heads, random_source& random) {
  int const tokens = random.between(3, 40);
  chosen_slots c(random, heads, tokens);
  stored<T> keys(random_tensor(1, tokens + random.below(3), heads, 5), key_order);
  stored<T> values(random_tensor(2, tokens + random.below(3), heads, 3), value_order);
  ints positions = some_positions(tokens);
  resident_plane<T> const there_keys(keys);
  resident_plane<T> const there_values(values);
  resident<std::int32_t> const there_positions(positions);

  REQUIRE(wkv::compact(serial, c.runs.host, 0, c.on_host,
                       wkv::kv_view{keys.plane, values.plane, positions.data()}));
  wkv::kv_view const there{there_keys.plane, there_values.plane, there_positions.data()};
  REQUIRE(message(wkv::compact(backend(), c.runs.run, 0, c.chosen, there)) == "ok");
  CHECK(there_keys.floats() == keys.floats());
  CHECK(there_values.floats() == values.floats());
  CHECK(there_positions.get() == positions);
  CHECK(c.runs.run.max_length(0) == c.runs.plan.max_kept(0));
}

template <class T>
void check_copy(order from_order, order to_order, int heads, random_source& random) {
  int const tokens = random.between(3, 40);
  chosen_slots c(random, heads, tokens);
  stored<T> const keys(random_tensor(1, tokens, heads, 5), from_order);
  stored<T> const values(random_tensor(2, tokens, heads, 3), from_order);
  int const capacity = c.chosen.max_kept + random.below(3);
  stored<T> to_keys(random_tensor(3, capacity, heads, 5), to_order);
  stored<T> to_values(random_tensor(4, capacity, heads, 3), to_order);
  ints positions = some_positions(tokens);
  ints to_positions(static_cast<std::size_t>(capacity), -1);
  resident_plane<T> const there_keys(keys);
  resident_plane<T> const there_values(values);
  resident_plane<T> const there_to_keys(to_keys);
  resident_plane<T> const there_to_values(to_values);
  resident<std::int32_t> const there_positions(positions);
  resident<std::int32_t> const there_to_positions(to_positions);
  bool const has_positions = random.below(2) == 0;

  REQUIRE(wkv::compact_copy(
      serial, c.slots(), wkv::kv_view{keys.plane, values.plane, has_positions ? positions.data() : nullptr},
      wkv::kv_view{to_keys.plane, to_values.plane, to_positions.data()}));
  wkv::kv_view const from{there_keys.plane, there_values.plane,
                          has_positions ? there_positions.data() : nullptr};
  wkv::kv_view const to{there_to_keys.plane, there_to_values.plane, there_to_positions.data()};
  REQUIRE(message(wkv::compact_copy(backend(), c.chosen, from, to)) == "ok");
  CHECK(there_to_keys.floats() == to_keys.floats());
  CHECK(there_to_values.floats() == to_values.floats());
  CHECK(there_to_positions.get() == to_positions);
  CHECK(there_keys.floats() == keys.floats());  // the source stays as it was
  CHECK(there_values.floats() == values.floats());
}

template <class T>
void check_all_orders(unsigned seed) {
  random_source random(seed);
  for (order a : orders) {
    for (order b : orders) {
      for (int heads : {1, 2, 3}) {
        CAPTURE(static_cast<int>(a), static_cast<int>(b), heads);
        check_in_place<T>(a, b, heads, random);
        check_copy<T>(a, b, heads, random);
      }
    }
  }
}

}  // namespace

TEST_CASE("thrust: compaction moves what the host moves, in every layout and type", "[thrust][compact]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  check_all_orders<float>(1);
  check_all_orders<wkv::float16>(2);
  check_all_orders<wkv::bfloat16>(3);
}

TEST_CASE("thrust: what cannot be compacted is refused and nothing moves", "[thrust][compact]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  auto const method = method_of(6).with_layer_grouping(wkv::no_sharing{});
  both runs(method, {2, 2, 2, 5}, 12);
  random_source random(4);
  resident_plane<float> const keys(stored<float>(random_tensor(1, 12, 2, 5), order::slot_head_dim));
  resident_plane<float> const values(stored<float>(random_tensor(2, 12, 2, 3), order::head_dim_slot));
  std::vector<float> const keys_before = keys.floats();
  std::vector<float> const values_before = values.floats();
  auto const problem = [&](int layer, wkv::deferred_selection const& chosen, auto change) {
    wkv::kv_view view{keys.plane, values.plane};
    change(view);
    return message(wkv::compact(backend(), runs.run, layer, chosen, view));
  };
  auto const as_it_is = [](auto&) {};
  CHECK(problem(0, runs.run.selected(0), as_it_is) ==
        "layer 0: compact: the layer's group has not been selected");
  runs.score(0, plain_scores(random, 10), 1);
  runs.select(0);
  wkv::deferred_selection const chosen = *wkv::select(backend(), runs.run, 0);
  CHECK(problem(2, chosen, as_it_is) == "layer: got 2, must be at most 1");
  CHECK(problem(1, chosen, as_it_is) == "layer 1: selection.group: got 0, must equal 1");
  CHECK(problem(0, {0, 12, 6}, as_it_is) == "layer 0: selection.slots: must not be null");
  CHECK(problem(0, chosen, [](auto& v) { v.keys.slots = 11; }) ==
        "layer 0: keys.slots (tokens of the prompt): got 11, must be at least 12");
  CHECK(problem(0, chosen, [](auto& v) { v.values.data = nullptr; }) ==
        "layer 0: values.data: must not be null");
  CHECK(problem(0, chosen, [](auto& v) { v.values.heads = 1; }) ==
        "layer 0: values.heads: got 1, must equal 2");
  CHECK(problem(0, chosen, [](auto& v) {
          v.rotation = wkv::key_rotation::at_attention;
        }).find("layer 0: kv_view.positions") == 0);

  resident_plane<float> const small_keys(stored<float>(random_tensor(1, 5, 2, 5), order::slot_head_dim));
  wkv::kv_view const from{keys.plane, values.plane};
  CHECK(message(wkv::compact_copy(backend(), chosen, from, wkv::kv_view{small_keys.plane, values.plane})) ==
        "destination keys.slots: got 5, must be at least 6");
  CHECK(message(wkv::compact_copy(backend(), chosen, wkv::kv_view{small_keys.plane, values.plane}, from)) ==
        "keys.slots (tokens of the prompt): got 5, must be at least 12");
  CHECK(message(wkv::compact_copy(backend(), {}, from, from)) == "selection.slots: must not be null");
  CHECK(keys.floats() == keys_before);
  CHECK(values.floats() == values_before);
  CHECK(problem(0, chosen, as_it_is) == "ok");
  CHECK(keys.floats() != keys_before);
  CHECK(problem(0, chosen, as_it_is) == "layer 0: compact: the layer has been compacted already");
}

}  // namespace thrust_compact
