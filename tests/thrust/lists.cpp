// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Every KV head keeps its own tokens; selectors that stop early; heads that merge by other rules than the
// mean.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "any_cache.hpp"
#include "device/caches.hpp"
#include "system.hpp"
#include "windowkv/thrust/compress.cuh"

namespace thrust_lists {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::fill;
using wkv::head_merge;

/// One layer scored from given token scores; the budget does not count the suffix.
template <class Selector, class Sharing>
auto method_of(int suffix, int heads, int budget, Selector const& selector, Sharing const& sharing) {
  using scoring =
      wkv::scoring<wkv::external_scores, wkv::max_pooling, wkv::fixed_windows, wkv::window_top_mean>;
  scoring const one{suffix, {heads}, {0, 0}, {1}, {2}};
  return wkv::method<scoring, scoring, wkv::uniform_budget, wkv::uniform_groups, Selector, Sharing>{
      one, one, {false}, {}, selector, budget, sharing};
}

struct request {
  int lists;
  int groups;
  int review;
};

/// Compares the selections of random requests; `sharing_of(random, request)` is who keeps what.
template <class Selector, class SharingOf>
void compare(unsigned seed, Selector selector, SharingOf sharing_of) {
  random_source random(seed);
  for (int i = 0; i < 50; ++i) {
    request const r{random.between(1, 4), 1, random.between(1, random.below(4) == 0 ? 700 : 60)};
    int const heads = r.lists * random.between(1, 3);
    int const suffix = random.below(4);
    int const first = random.below(r.review);
    std::vector<wkv::token_range> const ranges{{first, first + 1}};
    resident<wkv::token_range> const there(ranges);
    selector.rule = random.below(2) == 0 ? fill::within_budget : fill::drop_whole_windows;
    selector.sinks = random.below(3) == 0 ? random.below(9) : 0;
    selector.ranges = ranges.data();
    selector.range_count = random.below(4) == 0 ? 1 : 0;
    selector.device_ranges = there.data();
    auto method = method_of(suffix, heads, random.below(r.review + 2), selector, sharing_of(random, r));
    auto& scoring = method.localization;
    scoring.pooling = {random.below(4), random.below(4)};
    scoring.windows = {random.between(1, 6)};
    scoring.heads = random.below(2) == 0 ? head_merge::at_windows : head_merge::at_tokens;
    scoring.reduction = static_cast<wkv::head_reduction>(random.below(3));
    bool const is_odd = random.below(2) == 0;
    CAPTURE(seed, i, r.lists, r.review, heads, suffix, selector.sinks, static_cast<int>(selector.rule),
            selector.range_count, static_cast<int>(scoring.heads), static_cast<int>(scoring.reduction),
            is_odd);
    wkv::model_shape const shape{1, r.lists, r.lists, 1};
    // A budget that cannot hold the protected window is make_plan's to refuse.
    if (!wkv::make_plan(method, shape, {r.review + suffix})) continue;
    both runs(method, shape, r.review + suffix);
    if (runs.plan.group[0].keeps_all == 0) {
      int const count = heads * r.review;
      runs.score(0, is_odd ? odd_scores(random, count) : plain_scores(random, count), heads);
    }
    wkv::selection const chosen = runs.select();
    CHECK(chosen.kept <= runs.plan.group[0].max_kept);
    CHECK(chosen.rows() <= runs.plan.group[0].max_rows);
  }
}

/// A selection of one layer with a list per KV head, from random scores on both backends.
auto moving_method(int heads, int budget) {
  return method_of(3, heads, budget, wkv::top_windows{}, wkv::each_kv_head{wkv::adaptive_heads{}});
}
struct chosen_lists {
  both<decltype(moving_method(1, 1))> runs;
  wkv::selection on_host;
  wkv::deferred_selection chosen;

  chosen_lists(random_source& random, int heads, int tokens, int head_dim)
      : runs(moving_method(heads, random.between(1, tokens - 4)), {1, heads, heads, head_dim}, tokens) {
    runs.score(0, plain_scores(random, heads * runs.plan.review), heads);
    on_host = runs.select();
    chosen = *wkv::select(backend(), runs.run, 0);
  }
};

void check_moves(order key_order, order value_order, int heads, random_source& random) {
  int const tokens = random.between(9, 40);
  chosen_lists c(random, heads, tokens, 5);
  stored<float> keys(random_tensor(1, tokens, heads, 5), key_order);
  stored<float> values(random_tensor(2, tokens, heads, 3), value_order);
  resident_plane<float> const there_keys(keys);
  resident_plane<float> const there_values(values);
  wkv::kv_view const there{there_keys.plane, there_values.plane};
  auto const rows = static_cast<std::size_t>(c.chosen.max_rows);

  // Flattened, heads one behind the other.
  std::vector<float> flat(rows * 8, -1.f);
  resident<float> const there_flat(flat);
  auto const flattened = [&](auto const& plane, auto* data, std::int32_t const* offsets) {
    using plane_type = std::decay_t<decltype(plane)>;
    return wkv::make_plane<plane_type::space>(data, c.chosen.max_kept, heads, plane.head_dim,
                                              wkv::ragged_layout{offsets, std::int64_t{plane.head_dim}},
                                              wkv::element_accessor<float>{});
  };
  auto const flat_kv = [&](auto const& from, float* data, std::int32_t const* offsets) {
    return wkv::kv_view{flattened(from.keys, data, offsets),
                        flattened(from.values, data + rows * 5, offsets)};
  };
  wkv::kv_view const here{keys.plane, values.plane};
  REQUIRE(message(wkv::compact_copy(serial, c.on_host, here,
                                    flat_kv(here, flat.data(), c.on_host.offsets))) == "ok");
  REQUIRE(message(wkv::compact_copy(backend(), c.chosen, there,
                                    flat_kv(there, there_flat.data(), c.chosen.offsets))) == "ok");
  CHECK(there_flat.get() == flat);

  REQUIRE(message(wkv::compact(serial, c.runs.host, 0, c.on_host, here)) == "ok");
  REQUIRE(message(wkv::compact(backend(), c.runs.run, 0, c.chosen, there)) == "ok");
  CHECK(there_keys.floats() == keys.floats());
  CHECK(there_values.floats() == values.floats());
  CHECK(c.runs.run.max_length(0) == c.runs.plan.max_kept(0));
}

template <class T>
wkv::kv_view<wkv::dense_plane<T>, wkv::dense_plane<T>> without_positions(sequence<T>& data, int layer) {
  return {data.at(layer).keys.plane, data.at(layer).values.plane};
}
template <class T>
auto without_positions(resident_sequence<T> const& data, int layer) {
  auto kv = data.kv(layer);
  kv.positions = nullptr;
  return kv;
}

}  // namespace

TEST_CASE("thrust: lists of equal and of given lengths are those of the host", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  compare(1, wkv::top_windows{}, [](random_source&, request const&) { return wkv::each_kv_head{}; });
  std::vector<std::int32_t> counts;
  compare(2, wkv::top_windows{}, [&](random_source& random, request const& r) {
    counts.clear();
    for (int i = 0; i < r.lists; ++i) counts.push_back(random.below(r.review + 3));
    return wkv::each_kv_head{wkv::table_heads{counts.data(), 1, r.lists}};
  });
}

TEST_CASE("thrust: lists that compete are those of the host", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  compare(3, wkv::top_windows{}, [](random_source& random, request const&) {
    wkv::adaptive_heads heads;
    heads.floor = static_cast<float>(random.below(5)) / 4.f;
    heads.normalize = random.below(2) == 0;
    heads.is_exact = random.below(2) == 0;
    return wkv::each_kv_head{heads};
  });
  compare(4, wkv::top_windows{}, [](random_source& random, request const&) {
    return wkv::each_kv_head{wkv::safeguarded_heads{static_cast<float>(random.below(5)) / 4.f}};
  });
}

TEST_CASE("thrust: selectors that stop early stop where the host does", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (float share : {0.f, 0.3f, 0.9f, 1.f}) {
    wkv::top_mass selector;
    selector.share = share;
    selector.least = share > 0.5f ? 0 : 5;
    compare(5, selector, [](random_source&, request const&) { return wkv::all_heads{}; });
    compare(6, selector, [](random_source&, request const&) { return wkv::each_kv_head{}; });
  }
}

TEST_CASE("thrust: more lists than one step writes budgets for", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(7);
  int const lists = 150;
  std::vector<std::int32_t> counts;
  for (int i = 0; i < lists; ++i) counts.push_back(random.below(30));
  both runs(method_of(2, lists, 10, wkv::top_windows{},
                      wkv::each_kv_head{wkv::table_heads{counts.data(), 1, lists}}),
            {1, lists, lists, 1}, 32);
  runs.score(0, plain_scores(random, lists * 30), lists);
  CHECK(runs.select().kept == 2 + *std::max_element(counts.begin(), counts.end()));
}

TEST_CASE("thrust: every list of a prompt that fits keeps everything", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  both runs(moving_method(3, 100), {1, 3, 3, 1}, 23);
  CHECK(runs.select().rows() == 3 * 23);
}

TEST_CASE("thrust: every head's rows move by its own list", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(8);
  for (order a : orders) {
    for (order b : orders) {
      for (int heads : {1, 3}) {
        CAPTURE(static_cast<int>(a), static_cast<int>(b), heads);
        check_moves(a, b, heads, random);
      }
    }
  }
}

TEST_CASE("thrust: scales of every head's tokens move along", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (unsigned seed = 1; seed <= 4; ++seed) {
    random_source random(seed);
    int const tokens = random.between(9, 50);
    chosen_lists c(random, 2, tokens, 16);
    cache_model model;
    paged_kind<std::int32_t, false> key_kind;
    paged_kind<std::int32_t, true> value_kind;
    token_scaled<std::int8_t, true> keys;
    token_scaled<std::int8_t, true> values;
    wkv::kv_view const kv{keys.make(key_kind, model, random, {tokens, 2, 16, 16}),
                          values.make(value_kind, model, random, {tokens, 2, 16, 16})};
    mirror<resident, space> there(model);
    auto const kv_there = there.view(kv, nullptr);
    REQUIRE(message(wkv::compact(serial, c.runs.host, 0, c.on_host, kv)) == "ok");
    REQUIRE(message(wkv::compact(backend(), c.runs.run, 0, c.chosen, kv_there)) == "ok");
    bool const is_moved = there.contents() == model.contents();  // too long to be printed
    CHECK(is_moved);
  }
}

TEST_CASE("thrust: views that heads cannot part are refused", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(9);
  chosen_lists c(random, 2, 20, 5);
  resident_plane<float> const keys(stored<float>(random_tensor(1, 20, 2, 5), order::slot_head_dim));
  resident_plane<float> const values(stored<float>(random_tensor(2, 20, 2, 3), order::slot_head_dim));
  resident<std::int32_t> const positions(std::vector<std::int32_t>(20));
  auto const problem = [&](auto change) {
    wkv::kv_view kv{keys.plane, values.plane};
    wkv::deferred_selection chosen = c.chosen;
    change(kv, chosen);
    std::string const of_copy = message(wkv::compact_copy(backend(), chosen, kv, kv));
    std::string const of_move = message(wkv::compact(backend(), c.runs.run, 0, chosen, kv));
    CHECK(of_move.find(of_copy) != std::string::npos);  // "layer 0: " in front
    return of_move;
  };
  CHECK(problem([&](auto& kv, auto&) {
          kv.positions = positions.data();
        }).find("layer 0: kv_view.positions: must be null where every KV head keeps its own tokens") == 0);
  CHECK(problem([](auto&, auto& chosen) { chosen.offsets = nullptr; }) ==
        "layer 0: selection.offsets: must not be null");
  auto one_value_head = wkv::kv_view{keys.plane, values.plane};
  one_value_head.values.heads = 1;
  one_value_head.values.layout.head_stride = 1;
  CHECK(message(wkv::compact(backend(), c.runs.run, 0, c.chosen, one_value_head)) ==
        "layer 0: values.heads: got 1, must equal 2");
  resident<float> const factors(std::vector<float>(20, 1.f));
  resident<std::int8_t> const numbers(std::vector<std::int8_t>(20 * 2 * 5));
  auto const shared_scales =
      wkv::with_scales(wkv::make_plane<space>(numbers.data(), 20, 2, 5, wkv::dense_layout{10, 5, 1},
                                              wkv::element_accessor<std::int8_t>{}),
                       wkv::make_plane<space>(factors.data(), 20, 1, 1, wkv::dense_layout{1, 1, 1},
                                              wkv::element_accessor<float>{}));
  CHECK(message(wkv::compact(backend(), c.runs.run, 0, c.chosen, wkv::kv_view{shared_scales})) ==
        "layer 0: scales.heads: got 1, must equal (every KV head keeps its own tokens) 2");
}

TEST_CASE("thrust: a cache with a list per KV head is compressed as on the host", "[thrust][lists]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  constexpr wkv::model_shape shape{4, 4, 2, 8};
  int const tokens = 90;
  auto const method =
      wkv::default_method(2).with_budget(30).with_head_sharing(wkv::each_kv_head{wkv::adaptive_heads{}});
  sequence<float> host_data(shape, tokens, 20);
  resident_sequence<float> const data(host_data);
  resident_sequence<float> const by_layer_data(host_data);
  both runs(method, shape, tokens);
  both by_layer(method, shape, tokens);
  auto const expected = wkv::compress(
      serial, runs.plan, runs.host_memory.get(), [&](int l) { return host_data.queries(l); },
      [&](int l) { return without_positions(host_data, l); });
  REQUIRE(message(expected) == "ok");
  REQUIRE(message(wkv::compress(
              backend(), runs.run, [&](int l) { return data.queries(l); },
              [&](int l) { return without_positions(data, l); })) == "ok");
  for (int l = 0; l < shape.layers; ++l) {
    REQUIRE(message(wkv::compress_layer(backend(), by_layer.run, l, by_layer_data.queries(l),
                                        [&](int k) { return without_positions(by_layer_data, k); })) == "ok");
  }
  CHECK(data.contents() == host_data.contents());
  CHECK(by_layer_data.contents() == host_data.contents());
  for (auto const* run : {&runs.run, &by_layer.run}) {
    wkv::compression_report const done = wkv::report(*run, fetch(run->counts(), runs.plan.groups).data());
    CHECK(done.bytes_before() == expected->bytes_before());
    CHECK(done.bytes_after() == expected->bytes_after());
    CHECK(done.tokens_after() == expected->tokens_after());
    for (int g = 0; g < done.groups; ++g) {
      CHECK(done.group[g].lists == 2);
      CHECK(fetch(done.group[g].offsets, 3) == copied(expected->group[g].offsets, 3));
      CHECK(done.group[g].retained == Approx(expected->group[g].retained).epsilon(1e-4));
    }
  }
}

}  // namespace thrust_lists
