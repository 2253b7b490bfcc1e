// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Layers that share their rows, slots that others read, tokens that share a scale, and page tables with
// entries that cannot be meant.

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "both.hpp"
#include "caches.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::status_code;
using device_mirror = mirror<device_array, wkv::memory_space::device>;

constexpr int tokens = 60;
constexpr int heads = 2;
constexpr int head_dim = 64;

auto method(int layers_per_group) {
  return wkv::default_method(layers_per_group).with_budget(24).with_suffix(8);
}
using method_type = decltype(method(1));

/// A plan, a compression of it, and queries for every layer.
struct fixture {
  wkv::cuda_executor<wkv::head_dims<64>> on{stream(), nullptr};
  wkv::plan<method_type> plan;
  device_array<unsigned char> memory;
  stored<wkv::bfloat16> queries{random_tensor(9, 8, 2 * heads, head_dim), order::slot_head_dim, 8};
  device_plane<wkv::bfloat16> queries_there{queries};
  wkv::cuda_compression<method_type> run;

  fixture(int layers, int layers_per_group, method_type const& m, int budget = 24,
          wkv::schedule when = wkv::schedule::batched, int const* length = nullptr)
      : plan(plan_of(method_type(m).with_budget(budget).with_layer_grouping(
                         wkv::uniform_groups{layers_per_group, m.layer_grouping.scoring}),
                     {layers, 2 * heads, heads, head_dim}, {tokens})),
        memory(dirty_memory(wkv::cuda_workspace_bytes(plan, when))),
        run(*wkv::begin(on, plan, memory.workspace(), when, length)) {}
  fixture(int layers, int layers_per_group) : fixture(layers, layers_per_group, method(1)) {}

  auto source() const { return wkv::suffix_queries{queries_there.plane}; }
  template <class KvOf>
  wkv::status compress(KvOf const& kv_of) {
    return wkv::compress(
        on, run, [&](int) { return source(); }, kv_of);
  }
};

/// A cache on both sides.
template <class Cache>
struct mirrored_cache {
  Cache cache;
  device_mirror there;
  device_array<std::int32_t> positions;
  decltype(there.view(cache.view(), nullptr)) view;

  explicit mirrored_cache(unsigned seed) : mirrored_cache(random_source(seed)) {}
  bool is(std::vector<bytes> const& expected) const { return there.contents() == expected; }

 private:
  explicit mirrored_cache(random_source random)
      : cache(random, tokens + 2, heads, head_dim, head_dim),
        there((make_finite(cache.model), cache.model)),
        positions(cache.positions),
        view(there.view(cache.view(), positions.data())) {}
};

void check_refused(wkv::status const& got, status_code code, std::string const& text) {
  CAPTURE(message(got));
  CHECK(got.code() == code);
  CHECK(message(got).find(text) != std::string::npos);
}

}  // namespace

TEST_CASE("rows that layers share are moved once", "[shared][compact][sanitize]") {
  WKV_NEEDS_DEVICE();
  for (bool is_by_layer : {false, true}) {
    CAPTURE(is_by_layer);
    auto const when = is_by_layer ? wkv::schedule::by_layer : wkv::schedule::batched;
    fixture f(4, 2, method(1), 24, when);
    mirrored_cache<fused_cache> first(1);
    mirrored_cache<fused_cache> second(2);
    auto const kv_of = [&](int l) { return l < 2 ? first.view : second.view; };
    if (is_by_layer) {
      for (int l = 0; l < 4; ++l) {
        REQUIRE(message(wkv::compress_layer(f.on, f.run, l, f.source(), kv_of)) == "ok");
      }
    } else {
      REQUIRE(message(f.compress(kv_of)) == "ok");
    }
    auto const selections = selections_of(f.run);
    REQUIRE(selections.size() == 2);
    std::vector<int> const kept = selections[0].slots;
    REQUIRE(kept.back() == tokens - 1);
    REQUIRE(static_cast<int>(kept.size()) == 24);
    bool const is_first_right = first.is(first.cache.model.moved(first.cache.model.contents(), kept));
    bool const is_second_right =
        second.is(second.cache.model.moved(second.cache.model.contents(), selections[1].slots));
    CHECK(is_first_right);
    CHECK(is_second_right);
    CHECK(first.positions.get() == moved_positions(first.cache.positions, kept));
    auto const counts = fetch(f.run.counts(), f.plan.groups);
    auto const report = wkv::report(f.run, counts.data());
    std::int64_t const row = std::int64_t{2} * heads * head_dim * 2;
    CHECK(report.layer[0].bytes_before == tokens * row);
    CHECK(report.layer[0].bytes_after == 24 * row);
    CHECK(report.layer[1].bytes_before == 0);
    CHECK(report.layer[1].tokens_after == 24);
    CHECK(report.layer[3].bytes_after == 0);
    CHECK(report.bytes_after() == 2 * 24 * row);
  }
}

TEST_CASE("one by one, memory that is used again for another layer moves again", "[shared][compact]") {
  WKV_NEEDS_DEVICE();
  fixture f(2, 2);
  mirrored_cache<nhd_pages> place(1);
  for (int l = 0; l < 2; ++l)
    REQUIRE(message(wkv::score(f.on, f.run, l, f.source(), place.view.keys)) == "ok");
  auto const chosen = wkv::select(f.on, f.run, 0);
  REQUIRE(message(chosen) == "ok");
  REQUIRE(message(wkv::compact(f.on, f.run, 1, *chosen, place.view)) == "ok");
  std::vector<int> const kept = selection_of(f.run, 0).slots;
  auto const once = place.cache.model.moved(place.cache.model.contents(), kept);
  CHECK(place.is(once));
  REQUIRE(message(wkv::compact(f.on, f.run, 0, *chosen, place.view)) == "ok");
  CHECK(place.is(place.cache.model.moved(once, kept)));
  auto const counts = fetch(f.run.counts(), 1);
  CHECK(wkv::report(f.run, counts.data()).layer[0].bytes_before > 0);
}

TEST_CASE("layers that share what they may not are refused", "[shared][errors]") {
  WKV_NEEDS_DEVICE();
  fixture f(2, 1);
  mirrored_cache<nhd_pages> one(1);
  mirrored_cache<nhd_pages> other(2);
  auto const before = one.there.contents();
  check_refused(f.compress([&](int) { return one.view; }), status_code::invalid_argument,
                "layer 1: kv_view: the layer shares storage with layer");
  fixture pair(2, 2);
  auto const same_keys = [&](int l) {
    auto kv = one.view;
    if (l == 1) kv.values = other.view.values;
    return kv;
  };
  check_refused(pair.compress(same_keys), status_code::invalid_argument,
                "layer 1: kv_view: the layer shares its keys, but not its values");
  fixture by_layer(2, 2, method(1), 24, wkv::schedule::by_layer);
  REQUIRE(message(wkv::compress_layer(by_layer.on, by_layer.run, 0, by_layer.source(), same_keys)) == "ok");
  check_refused(wkv::compress_layer(by_layer.on, by_layer.run, 1, by_layer.source(), same_keys),
                status_code::invalid_argument, "layer 1: kv_view: the layer shares its keys");
  CHECK(one.is(before));
  auto const two_caches = [&](int l) { return l == 0 ? one.view : other.view; };
  CHECK(message(wkv::compress_layer(by_layer.on, by_layer.run, 1, by_layer.source(), two_caches)) == "ok");
}

TEST_CASE("slots that others read are not written", "[shared][errors]") {
  WKV_NEEDS_DEVICE();
  mirrored_cache<nhd_pages> cache(1);
  auto const before = cache.there.contents();
  auto const with_prefix = [&](int) {
    auto kv = cache.view;
    kv.shared_slots = 4;
    return kv;
  };
  fixture f(1, 1);
  check_refused(f.compress(with_prefix), status_code::unsupported, "kv_view.shared_slots");
  check_refused(wkv::compress_layer(f.on, f.run, 0, f.source(), with_prefix), status_code::unsupported,
                "layer 0: kv_view.shared_slots");
  REQUIRE(message(wkv::score(f.on, f.run, 0, f.source(), cache.view.keys)) == "ok");
  auto const chosen = wkv::select(f.on, f.run, 0);
  REQUIRE(message(chosen) == "ok");
  check_refused(wkv::compact(f.on, f.run, 0, *chosen, with_prefix(0)), status_code::unsupported,
                "layer 0: kv_view.shared_slots");
  mirrored_cache<nhd_pages> to(2);
  REQUIRE(message(wkv::compact_copy(f.on, *chosen, with_prefix(0), to.view)) == "ok");
  auto shared_target = to.view;
  shared_target.shared_slots = 1;
  check_refused(wkv::compact_copy(f.on, *chosen, cache.view, shared_target), status_code::invalid_argument,
                "destination kv_view.shared_slots");

  fixture keeping(1, 1, method(1), tokens);  // nothing moves
  CHECK(message(keeping.compress(with_prefix)) == "ok");
  CHECK(cache.is(before));
}

TEST_CASE("tokens that share a scale are not parted", "[shared][errors]") {
  WKV_NEEDS_DEVICE();
  mirrored_cache<channel_scales> cache(1);  // 3 tokens each
  auto const before = cache.there.contents();
  auto const kv_of = [&](int) { return cache.view; };
  fixture f(1, 1);  // windows of 8
  check_refused(f.compress(kv_of), status_code::invalid_argument, "granularity (tokens that share a scale)");
  check_refused(wkv::compress_layer(f.on, f.run, 0, f.source(), kv_of), status_code::invalid_argument,
                "layer 0: granularity");
  auto const in_threes = method(1).with_windows(wkv::fixed_windows{6});
  fixture odd_suffix(1, 1, method_type(in_threes).with_suffix(7));
  check_refused(odd_suffix.compress(kv_of), status_code::invalid_argument, "the suffix starts at token");
  device_array<int> const length({tokens});
  fixture unknown(1, 1, method_type(in_threes).with_suffix(6), 24, wkv::schedule::batched, length.data());
  check_refused(unknown.compress(kv_of), status_code::unsupported, "with device_tokens");
  fixture good(1, 1, method_type(in_threes).with_suffix(6));
  given_selection const given(range(0, 6), tokens, 6);
  mirrored_cache<channel_scales> to(2);
  check_refused(wkv::compact_copy(good.on, given.chosen, cache.view, to.view), status_code::unsupported,
                "granularity (tokens that share a scale) of a queued copy");
  CHECK(cache.is(before));
  REQUIRE(message(good.compress(kv_of)) == "ok");
  bool const is_right = cache.is(cache.cache.model.moved(before, selection_of(good.run, 0).slots));
  CHECK(is_right);
}

TEST_CASE("keys and values that are one memory are refused", "[shared][errors]") {
  WKV_NEEDS_DEVICE();
  fixture f(1, 1);
  mirrored_cache<nhd_pages> cache(1);
  auto const keys = cache.view.keys;
  check_refused(f.compress([&](int) {
    return wkv::kv_view{keys, keys};
  }),
                status_code::invalid_argument, "keys and values");
  auto no_table = keys;
  no_table.layout.pages = nullptr;
  check_refused(f.compress([&](int) { return wkv::kv_view{no_table}; }), status_code::invalid_argument,
                "layout.pages: must not be null");
  auto short_table = keys;
  short_table.layout.entries = 3;
  check_refused(f.compress([&](int) { return wkv::kv_view{short_table}; }), status_code::invalid_argument,
                "layout.entries");
}

TEST_CASE("entries outside the pool are clamped to it", "[shared][sanitize]") {
  WKV_NEEDS_DEVICE();
  random_source random(5);
  hnd_pages cache(random, tokens, heads, head_dim, head_dim);
  make_finite(cache.model);
  device_mirror there(cache.model);
  auto kv = there.view(cache.view(), nullptr);
  std::int64_t const last = kv.keys.layout.pool_pages - 1;
  std::vector<std::int64_t> wild(cache.keys.layout.pages, cache.keys.layout.pages + kv.keys.layout.entries);
  wild[2] = -1;
  wild[3] = INT64_MIN;
  wild[5] = last + 1;
  wild[6] = INT64_MAX;
  std::vector<std::int64_t> tame = wild;
  for (std::int64_t& page : tame) page = page < 0 || page > last ? last : page;
  device_array<std::int64_t> const wild_there(wild);
  device_array<std::int64_t> const tame_there(tame);

  auto const window_scores = [&](std::int64_t const* table) {
    fixture f(1, 1);
    auto keys = kv.keys;
    keys.layout.pages = table;
    auto queries = wkv::with_scale(f.queries_there.plane, 1.f);  // no tensor cores
    REQUIRE(message(wkv::score(f.on, f.run, 0, wkv::suffix_queries{queries}, keys)) == "ok");
    REQUIRE(message(wkv::select(f.on, f.run, 0)) == "ok");
    return bits(fetch(f.run.window_scores(0), f.plan.windows));
  };
  CHECK(window_scores(wild_there.data()) == window_scores(tame_there.data()));

  auto const copied = [&](std::int64_t const* table) {
    auto from = wkv::kv_view{kv.keys};
    from.keys.layout.pages = table;
    mirrored_cache<host_cache<plain<wkv::float16>, engine_pages<std::int32_t, false>, nothing, nothing>> to(
        3);
    std::vector<int> const kept = range(1, 50);
    given_selection const given(kept, tokens, 49);
    REQUIRE(message(wkv::compact_copy(executor_of<64>(), given.chosen, from, to.view)) == "ok");
    return to.there.contents();
  };
  bool const is_same = copied(wild_there.data()) == copied(tame_there.data());
  CHECK(is_same);

  // In place, rows of the same page may overwrite each other; nothing outside the pool is touched.
  auto const before = there.contents();
  fixture f(1, 1);
  kv.keys.layout.pages = wild_there.data();
  kv.values.layout.pages = wild_there.data();
  REQUIRE(message(f.compress([&](int) { return kv; })) == "ok");
  auto const after = there.contents();
  std::size_t const pool =
      static_cast<std::size_t>((last + 1) * kv.keys.layout.page_stride) * sizeof(wkv::float16);
  for (std::size_t a = 0; a < after.size(); ++a) {
    bool const is_front_untouched =
        std::equal(after[a].begin(), after[a].begin() + arena::margin, before[a].begin());
    bool const is_back_untouched =
        std::equal(after[a].begin() + arena::margin + static_cast<std::ptrdiff_t>(pool), after[a].end(),
                   before[a].begin() + arena::margin + static_cast<std::ptrdiff_t>(pool));
    CHECK(is_front_untouched);
    CHECK(is_back_untouched);
  }
}
