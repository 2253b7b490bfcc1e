// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Caches of every layout and element type: rows move as a plain account of them says, byte by byte, and keys
// are scored as on the host.
#include "any_cache.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "device/caches.hpp"
#include "system.hpp"
#include "windowkv/thrust/compress.cuh"

namespace thrust_any_cache {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using resident_mirror = mirror<resident, space>;

auto method_of(int suffix, int window, int budget) {
  return wkv::paper_method(window)
      .with_token_scorer(wkv::external_scores{1})
      .with_window_scorer(wkv::window_mean{})
      .with_budget_shape(wkv::uniform_budget{})
      .with_suffix(suffix)
      .with_budget(budget);
}

/// A random selection on both backends, in place and, where tokens share nothing, as a copy.
template <class Cache, class To = Cache>
void check_moves(unsigned seed, int key_units, int value_units) {
  constexpr int g = Cache::granularity;
  random_source random(seed);
  int const heads = random.between(1, 3);
  int const suffix = random.between(1, 7);
  int const tokens = suffix + g * random.between(5, 60 / g);
  int const window = g * random.between(1, 2);
  CAPTURE(seed, key_units, value_units, heads, tokens, suffix, window);
  Cache cache(random, tokens + random.below(4), heads, key_units, value_units);
  std::vector<bytes> const before = cache.model.contents();
  both runs(method_of(suffix, window, random.between(suffix, tokens - 1)), {1, heads, heads, 64}, tokens);
  runs.score(0, plain_scores(random, runs.plan.review), 1);
  wkv::selection const expected = runs.select();
  ints const kept = slots_of(expected);
  auto const chosen = *wkv::select(backend(), runs.run, 0);
  resident_mirror there(cache.model);
  resident<std::int32_t> const positions(cache.positions);
  auto const kv = there.view(cache.view(), positions.data());
  if constexpr (g == 1) {
    To to(random, chosen.max_kept + random.below(3), heads, key_units, value_units);
    std::vector<bytes> const into = to.model.contents();
    resident_mirror to_there(to.model);
    resident<std::int32_t> const to_positions(to.positions);
    REQUIRE(message(wkv::compact_copy(backend(), chosen, kv,
                                      to_there.view(to.view(), to_positions.data()))) == "ok");
    bool const is_copied = to_there.contents() == cache.model.copied(before, to.model, into, kept);
    bool const is_untouched = there.contents() == before;
    CHECK(is_copied);
    CHECK(is_untouched);
  } else {
    CHECK(message(wkv::compact_copy(backend(), chosen, kv, kv))
              .find("granularity (tokens that share a scale) of a queued copy") == 0);
  }
  REQUIRE(message(wkv::compact(backend(), runs.run, 0, chosen, kv)) == "ok");
  bool const is_moved = there.contents() == cache.model.moved(before, kept);  // too long to be printed
  CHECK(is_moved);
  CHECK(positions.get() == moved_positions(cache.positions, kept));
}

template <class Element, class Kind>
void check_scores(unsigned seed) {
  constexpr int dims = wkv::detail::dims_of_v<typename Element::type>;
  random_source random(seed);
  int const units = dims > 8 ? 2 : 8;
  int const suffix = random.between(1, 9);
  int const tokens = suffix + Element::granularity * random.between(5, 30);
  int const heads = random.between(1, 2);
  wkv::model_shape const shape{1, 2 * heads, heads, units * dims};
  CAPTURE(seed, tokens, suffix, heads);
  cache_model model;
  Kind kind;
  Element element;
  auto const keys = element.make(kind, model, random, {tokens, heads, units, units * dims});
  make_finite(model);
  resident_mirror there(model);
  stored<float> const queries(random_tensor(seed, suffix, 2 * heads, units * dims, 0.5f),
                              order::head_slot_dim);
  resident_plane<float> const queries_there(queries);
  both runs(wkv::paper_method().with_suffix(suffix).with_budget(0).with_layer_grouping(wkv::no_sharing{}),
            shape, tokens);
  REQUIRE(message(wkv::score(serial, runs.host, 0, wkv::suffix_queries{queries.plane}, keys)) == "ok");
  REQUIRE(message(wkv::score(backend(), runs.run, 0, wkv::suffix_queries{queries_there.plane},
                             there.plane(keys))) == "ok");
  std::vector<float> const expected = runs.host_scores();
  CHECK(worst_error(runs.scores().data(), {expected.begin(), expected.end()}, runs.plan.review) < 1e-5);
}

}  // namespace

TEMPLATE_TEST_CASE("thrust: any cache moves as the host moves it", "[thrust][any_cache]", nhd_pages,
                   hnd_pages, fused_cache, odd_pages, vllm_pages, odd_packs, slot_lists, address_tables,
                   fp8_pages, int8_scales, int4_scales, channel_scales, ggml_rows, opaque_rows, latents) {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (unsigned seed = 1; seed <= 4; ++seed) check_moves<TestType>(seed, 16, 16);
}

TEST_CASE("thrust: copies between layouts", "[thrust][any_cache]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (unsigned seed = 1; seed <= 4; ++seed) {
    check_moves<nhd_pages, slot_lists>(seed, 5, 7);
    check_moves<vllm_pages, hnd_pages>(seed, 16, 8);
    check_moves<odd_packs, nhd_pages>(seed, 8, 3);
  }
}

TEMPLATE_TEST_CASE("thrust: scores of every element", "[thrust][any_cache]", plain<wkv::float16>,
                   plain<wkv::q8_0_block>, plain<wkv::q4_0_block>, scaled_fp8,
                   (token_scaled<std::int8_t, true>), (token_scaled<wkv::int4_pair, false>),
                   channel_scaled<2>) {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (unsigned seed = 1; seed <= 2; ++seed) {
    check_scores<TestType, paged_kind<std::int32_t, true>>(seed);
    check_scores<TestType, packed_kind>(seed);
    check_scores<TestType, pointer_kind>(seed);
  }
}

TEST_CASE("thrust: rows that layers share are moved once, and shared slots never", "[thrust][any_cache]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  constexpr int tokens = 50;
  random_source random(7);
  latents cache(random, tokens, 2, 16, 0);
  make_finite(cache.model);
  std::vector<bytes> const before = cache.model.contents();
  resident_mirror there(cache.model);
  resident<std::int32_t> const positions(cache.positions);
  auto const kv = there.view(cache.view(), positions.data());
  stored<float> const queries(random_tensor(3, 8, 4, 16), order::slot_head_dim);
  resident_plane<float> const queries_there(queries);
  auto const source_of = [&](int) { return wkv::suffix_queries{queries_there.plane}; };
  auto const kv_of = [&](int) { return kv; };
  auto const method = wkv::default_method(2).with_suffix(8).with_budget(20);
  both runs(method, {2, 4, 2, 16}, tokens);

  auto prefixed = kv;
  prefixed.shared_slots = 2;
  CHECK(message(wkv::compress(backend(), runs.run, source_of, [&](int) {
          return prefixed;
        })).find("layer 0: kv_view.shared_slots") == 0);
  both apart(wkv::default_method(1).with_suffix(8).with_budget(20), {2, 4, 2, 16}, tokens);
  CHECK(message(wkv::compress(backend(), apart.run, source_of, kv_of))
            .find("layer 1: kv_view: the layer shares storage with layer") == 0);
  bool const is_untouched = there.contents() == before;
  CHECK(is_untouched);

  REQUIRE(message(wkv::compress(backend(), runs.run, source_of, kv_of)) == "ok");
  auto const counts = fetch(runs.run.counts(), 1);
  ints const kept = fetch(runs.run.selected(0).slots, counts[0].kept);
  REQUIRE(kept.size() == 20);
  bool const is_moved = there.contents() == cache.model.moved(before, kept);
  CHECK(is_moved);
  wkv::compression_report const done = wkv::report(runs.run, counts.data());
  CHECK(done.layer[0].bytes_after == 20 * 2 * 16 * 2);
  CHECK(done.layer[1].bytes_after == 0);
  CHECK(done.layer[1].tokens_after == 20);

  both keeping(wkv::default_method(2).with_suffix(8).with_budget(tokens), {2, 4, 2, 16}, tokens);
  CHECK(message(wkv::compress(backend(), keeping.run, source_of, [&](int) { return prefixed; })) == "ok");
}

TEST_CASE("thrust: tokens that share a scale are not parted", "[thrust][any_cache]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(8);
  channel_scales cache(random, 40, 2, 16, 16);  // 3 tokens each
  make_finite(cache.model);
  resident_mirror there(cache.model);
  auto const kv = there.view(cache.view(), nullptr);
  std::vector<float> const scores = plain_scores(random, 40);
  resident<float> const scores_there(scores);
  auto const problem = [&](int suffix, int window) {
    both runs(method_of(suffix, window, 20), {1, 2, 2, 16}, 40);
    wkv::token_scores const source{scores_there.data(), 1, 40, 0};
    return message(wkv::compress(
        backend(), runs.run, [&](int) { return source; }, [&](int) { return kv; }));
  };
  CHECK(problem(4, 2) ==
        "layer 0: granularity (tokens that share a scale): a window starts at token: got 2, must be a "
        "multiple of 3");
  CHECK(problem(3, 3) ==
        "layer 0: granularity (tokens that share a scale): the suffix starts at token: got 37, must be a "
        "multiple of 3");
  CHECK(problem(4, 3) == "ok");
}

TEST_CASE("thrust: a batch, every prompt as if it were alone", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  wkv::model_shape const shape{3, 4, 2, 8};
  auto const method = wkv::default_method(2).with_budget(20);
  ints const tokens{70, 10, 33, 120};
  using runs_on_both = both<std::decay_t<decltype(method)>>;
  auto const compress_all = [&](std::vector<ints> const& groups) {
    std::vector<std::vector<float>> contents;
    std::vector<ints> kept;
    for (ints const& group : groups) {
      std::vector<std::unique_ptr<runs_on_both>> owned;
      std::vector<wkv::thrust_compression<std::decay_t<decltype(method)>>> runs;
      std::vector<resident_sequence<float>> data;
      for (int s : group) {
        int const n = tokens[static_cast<std::size_t>(s)];
        wkv::task const kind = s % 2 == 0 ? wkv::task::localization : wkv::task::aggregation;
        owned.push_back(std::make_unique<runs_on_both>(method, shape, n, kind));
        runs.push_back(std::move(owned.back()->run));
        data.emplace_back(
            sequence<float>(shape, n, 20, order::slot_head_dim, static_cast<unsigned>(100 * s + 1)));
      }
      auto const at = [&](int s) -> resident_sequence<float> const& {
        return data[static_cast<std::size_t>(s)];
      };
      REQUIRE(message(wkv::compress(
                  backend(), runs.data(), static_cast<int>(runs.size()),
                  [&](int s, int l) { return at(s).queries(l); },
                  [&](int s, int l) { return at(s).kv(l); })) == "ok");
      for (std::size_t s = 0; s < runs.size(); ++s) {
        contents.push_back(data[s].contents());
        auto const counts = fetch(runs[s].counts(), runs[s].plan().groups);
        for (int g = 0; g < runs[s].plan().groups; ++g)
          kept.push_back(fetch(runs[s].selected(g).slots, counts[static_cast<std::size_t>(g)].kept));
      }
    }
    return std::pair(contents, kept);
  };
  auto const together = compress_all({{0, 1, 2, 3}});
  auto const alone = compress_all({{0}, {1}, {2}, {3}});
  bool const is_same = together == alone;
  CHECK(is_same);
  CHECK(compress_all({{}}).first.empty());
}

TEST_CASE("thrust: a batch with a bad view is refused before anything moves", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  wkv::model_shape const shape{2, 4, 2, 8};
  auto const method = wkv::default_method(2).with_budget(20);
  using compression = wkv::thrust_compression<std::decay_t<decltype(method)>>;
  both first(method, shape, 40);
  both second(method, shape, 50);
  both other(method, {2, 4, 1, 8}, 50);
  resident_sequence<float> const data(sequence<float>(shape, 50, 20));
  std::vector<float> const before = data.contents();
  compression runs[2] = {std::move(first.run), std::move(second.run)};
  auto const source_of = [&](int, int l) { return data.queries(l); };
  auto const bad = [&](int s, int l) {
    auto kv = data.kv(l);
    if (s == 1 && l == 1) kv.values.slots = 49;
    return kv;
  };
  CHECK(message(wkv::compress(backend(), runs, 2, source_of, bad)) ==
        "layer 1: values.slots (tokens of the prompt): got 49, must be at least 50");
  CHECK(message(wkv::compress(backend(), runs, -1, source_of, bad)) ==
        "compressions: got -1, must be at least 0");
  runs[1] = std::move(other.run);
  CHECK(message(wkv::compress(backend(), runs, 2, source_of, bad)) ==
        "model_shape.kv_heads (of a batch): got 1, must equal 2");
  CHECK(data.contents() == before);
}

}  // namespace thrust_any_cache
