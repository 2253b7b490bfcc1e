// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Caches of every layout and element type: rows move as a plain account of them says, byte by byte, and keys
// are scored as on the host.

#include "any_cache.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "both.hpp"
#include "caches.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using device_mirror = mirror<device_array, wkv::memory_space::device>;

auto given_method(int suffix, int window, int budget) {
  using scoring = wkv::scoring<wkv::external_scores, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>;
  return method_of(scoring{suffix, {1}, {}, {window}, {}}).with_budget(budget);
}

/// Moves a random selection in place.
template <class Cache>
void check_in_place(unsigned seed, int key_units, int value_units, int tokens = 60) {
  constexpr int g = Cache::granularity;
  random_source random(seed);
  int const heads = random.between(1, 3);
  int const suffix = random.between(1, 7);
  int const review = (tokens - suffix) / g * g;
  int const window = g * random.between(1, 2);
  int const count = review + suffix;
  CAPTURE(seed, key_units, value_units, heads, suffix, window, count);
  Cache cache(random, count + random.below(4), heads, key_units, value_units);
  std::vector<bytes> const before = cache.model.contents();

  auto const plan = plan_of(given_method(suffix, window, random.between(suffix, count - 1)),
                            {1, heads, heads, 64}, {count});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  auto const on = executor_of<64>();
  auto run = wkv::begin(on, plan, memory.workspace());
  REQUIRE(message(run) == "ok");
  std::vector<float> scores;
  for (int i = 0; i < plan.review; ++i) scores.push_back(random.symmetric());
  device_array<float> const there(scores);
  REQUIRE(message(wkv::score(on, *run, 0, wkv::token_scores{there.data(), 1, plan.review, 0})) == "ok");
  auto const chosen = wkv::select(on, *run, 0);
  REQUIRE(message(chosen) == "ok");
  device_mirror mirrored(cache.model);
  device_array<std::int32_t> const positions(cache.positions);
  REQUIRE(message(wkv::compact(on, *run, 0, *chosen, mirrored.view(cache.view(), positions.data()))) == "ok");
  ints const kept = selection_of(*run, 0).slots;
  bool const is_same = mirrored.contents() == cache.model.moved(before, kept);  // too long to be printed
  CHECK(is_same);
  CHECK(positions.get() == moved_positions(cache.positions, kept));
}

/// Copies a random selection into a cache of other layouts.
template <class From, class To>
void check_copy(unsigned seed, int key_units, int value_units) {
  random_source random(seed);
  int const heads = random.between(1, 3);
  int const tokens = random.between(20, 60);
  ints const kept = random_slots(random, tokens, random.between(0, tokens));
  int const count = static_cast<int>(kept.size());
  CAPTURE(seed, key_units, value_units, heads, tokens, count);
  From from(random, tokens + random.below(4), heads, key_units, value_units);
  To to(random, count + 2 + random.below(4), heads, key_units, value_units);
  std::vector<bytes> const before = from.model.contents();
  std::vector<bytes> const into = to.model.contents();
  device_mirror from_there(from.model);
  device_mirror to_there(to.model);
  device_array<std::int32_t> const from_positions(from.positions);
  device_array<std::int32_t> const to_positions(to.positions);
  given_selection const given(kept, tokens, count + 2);
  REQUIRE(message(wkv::compact_copy(executor_of<64>(), given.chosen,
                                    from_there.view(from.view(), from_positions.data()),
                                    to_there.view(to.view(), to_positions.data()))) == "ok");
  bool const is_same = to_there.contents() == from.model.copied(before, to.model, into, kept);
  bool const is_untouched = from_there.contents() == before;
  CHECK(is_same);
  CHECK(is_untouched);
  std::vector<std::int32_t> expected = to.positions;
  for (std::size_t i = 0; i < kept.size(); ++i)
    expected[i] = from.positions[static_cast<std::size_t>(kept[i])];
  CHECK(to_positions.get() == expected);
}

enum class cores { any, tensor, plain };

/// Scores of keys that are stored like this, on the host and on the device.
template <class Element, class Kind, class Query = wkv::float16>
void check_scores(unsigned seed, int units, cores expected) {
  constexpr int dims = wkv::detail::dims_of_v<typename Element::type>;
  random_source random(seed);
  int const suffix = random.between(1, 17);
  int const tokens = suffix + Element::granularity * random.between(5, 40);
  int const heads = random.between(1, 2);
  wkv::model_shape const shape{1, 3 * heads, heads, units * dims};
  CAPTURE(seed, tokens, suffix, heads, units, dims);
  cache_model model;
  Kind kind;
  Element element;
  auto const keys = element.make(kind, model, random, {tokens + random.below(5), heads, units, units * dims});
  make_finite(model);
  device_mirror mirrored(model);
  auto const keys_there = mirrored.plane(keys);
  stored<Query> const queries(random_tensor(seed, suffix + 1, 3 * heads, units * dims, 0.5f),
                              order::slot_head_dim, 8);
  device_plane<Query> const queries_there(queries);
  if (expected != cores::any) {
    bool const is_fast = wkv::detail::fits_tensor_cores(keys_there, queries_there.plane, 90);
    CHECK(is_fast == (expected == cores::tensor));
  }

  auto const method =
      method_of(scoring_of(suffix, wkv::suffix_attention{}, wkv::average_pooling{}, 4, wkv::window_mean{}))
          .with_budget(suffix);
  both<std::decay_t<decltype(method)>, wkv::cuda_executor<wkv::head_dims<64, 128>>> pair(method, shape,
                                                                                         tokens);
  REQUIRE(message(wkv::score(serial, pair.host, 0, wkv::suffix_queries{queries.plane}, keys)) == "ok");
  REQUIRE(message(wkv::score(pair.on, pair.run, 0, wkv::suffix_queries{queries_there.plane}, keys_there)) ==
          "ok");
  auto const got = device_token_scores(pair.run, 0);
  auto const wanted = as_doubles(pair.host.token_scores(0), shape.query_heads * pair.plan.review);
  REQUIRE(got.size() == wanted.size());
  CHECK(worst_error(got.data(), wanted, pair.plan.review) <= 1e-5);
}

}  // namespace

TEMPLATE_TEST_CASE("any cache: compaction in place", "[any_cache][compact][sanitize]", nhd_pages, hnd_pages,
                   fused_cache, odd_pages, vllm_pages, odd_packs, slot_lists, address_tables, fp8_pages,
                   int8_scales, int4_scales, channel_scales, ggml_rows, opaque_rows, latents) {
  WKV_NEEDS_DEVICE();
  for (unsigned seed = 1; seed <= 3; ++seed) {
    check_in_place<TestType>(seed, 16, 16);
    check_in_place<TestType>(seed, 64, 32);
    check_in_place<TestType>(seed, 32, 48);
  }
  check_in_place<TestType>(4, 16, 16, 700);  // more rows than a batch holds
}

TEMPLATE_TEST_CASE("any cache: compaction in place of odd rows", "[any_cache][compact][sanitize]", odd_pages,
                   odd_packs, slot_lists, int8_scales, int4_scales, channel_scales, ggml_rows, opaque_rows) {
  WKV_NEEDS_DEVICE();
  for (unsigned seed = 1; seed <= 3; ++seed) {
    check_in_place<TestType>(seed, 1, 3);
    check_in_place<TestType>(seed, 6, 5);
  }
}

TEST_CASE("any cache: copies between layouts", "[any_cache][compact][sanitize]") {
  WKV_NEEDS_DEVICE();
  using dense = plain_cache<wkv::bfloat16, dense_kind<order::head_slot_dim>>;
  using dense_int8 = host_cache<token_scaled<std::int8_t, true>, dense_kind<order::slot_head_dim>,
                                token_scaled<std::int8_t, false>, dense_kind<order::padded>>;
  using ggml_pages = host_cache<plain<wkv::q8_0_block>, engine_pages<std::int32_t, true>,
                                plain<wkv::q4_0_block>, dense_kind<order::slot_head_dim>>;
  using dense_latents = host_cache<plain<wkv::bfloat16>, dense_kind<order::slot_head_dim>, nothing, nothing>;
  for (unsigned seed = 1; seed <= 4; ++seed) {
    for (int units : {16, 8, 4}) {
      CAPTURE(units);
      check_copy<nhd_pages, dense>(seed, units, units);
      check_copy<dense, fused_cache>(seed, units, units);
      check_copy<slot_lists, nhd_pages>(seed, units, 2 * units);
      check_copy<vllm_pages, hnd_pages>(seed, 2 * units, units);
      check_copy<odd_packs, slot_lists>(seed, units, units - 1);
      check_copy<int8_scales, dense_int8>(seed, units, units + 3);
      check_copy<ggml_rows, ggml_pages>(seed, units / 4, units / 2);
      check_copy<latents, dense_latents>(seed, units, units);
    }
  }
}

TEST_CASE("any cache: 16 bytes move at a time where they can", "[any_cache][compact]") {
  random_source random(1);
  auto const word_bytes = [](auto const& plane) {
    return wkv::detail::cut_plane(plane, plane).own.word_bytes;
  };
  auto const check = [&](auto const& cache, int keys, int values) {
    CHECK(word_bytes(cache.keys) == keys);
    CHECK(word_bytes(cache.values) == values);
  };
  check(nhd_pages(random, 20, 2, 16, 16), 16, 16);
  check(hnd_pages(random, 20, 2, 16, 12), 16, 2);   // 24 bytes of a head lie together
  check(nhd_pages(random, 20, 2, 16, 12), 16, 16);  // and 48 of a slot
  check(fused_cache(random, 20, 3, 24, 24), 16, 16);
  check(vllm_pages(random, 20, 2, 16, 16), 16, 2);
  check(slot_lists(random, 20, 2, 16, 4), 16, 16);
  check(address_tables(random, 20, 2, 16, 16), 16, 2);  // the values' addresses may be anything
  check(fp8_pages(random, 20, 2, 16, 32), 16, 16);
  check(int8_scales(random, 20, 1, 16, 17), 16, 1);
  check(ggml_rows(random, 20, 2, 4, 8), 16, 2);  // 272 bytes of a slot; 144 of a head, 198 apart
  check(ggml_rows(random, 20, 1, 4, 8), 2, 16);  // 136 bytes; 144 of a slot, 288 apart
  check(opaque_rows(random, 20, 2, 1, 1), 1, 16);
  auto const scales = int8_scales(random, 20, 4, 16, 16).keys.accessor.side;
  CHECK(word_bytes(scales) == 4);
  nhd_pages const cache(random, 20, 2, 16, 16);
  auto shifted = cache.keys;
  shifted.data += 4;
  CHECK(word_bytes(shifted) == 2);
  CHECK(wkv::detail::cut_plane(cache.keys, shifted).own.word_bytes == 2);
}

TEST_CASE("any cache: few threads", "[any_cache][race]") {
  WKV_NEEDS_DEVICE();
  check_in_place<nhd_pages>(1, 16, 16);
  check_in_place<int8_scales>(2, 16, 16, 40);
  check_in_place<channel_scales>(3, 4, 4, 40);
  check_copy<vllm_pages, hnd_pages>(1, 16, 16);
  check_scores<plain<wkv::bfloat16>, engine_pages<std::int32_t, true>, wkv::bfloat16>(1, 64, cores::tensor);
  check_scores<token_scaled<std::int8_t, true>, paged_kind<std::int32_t, true>>(2, 8, cores::plain);
}

TEST_CASE("any cache: 16-bit keys in aligned pieces go to tensor cores", "[any_cache][score][sanitize]") {
  WKV_NEEDS_DEVICE();
  for (unsigned seed = 1; seed <= 3; ++seed) {
    int const units = seed == 3 ? 128 : 64;
    check_scores<plain<wkv::float16>, engine_pages<std::int32_t, false>>(seed, units, cores::tensor);
    check_scores<plain<wkv::float16>, engine_pages<std::int64_t, true>>(seed, units, cores::tensor);
    check_scores<plain<wkv::float16>, packs_of_16_bytes>(seed, units, cores::tensor);
    check_scores<plain<wkv::float16>, fused_pages<std::int32_t>>(seed, units, cores::tensor);
    check_scores<plain<wkv::float16>, listed_kind>(seed, units, cores::tensor);
    check_scores<plain<wkv::bfloat16>, aligned_pointers, wkv::bfloat16>(seed, units, cores::tensor);
    check_scores<plain<wkv::bfloat16>, pointer_kind, wkv::bfloat16>(seed, units, cores::plain);
    check_scores<plain<wkv::float16>, paged_kind<std::int32_t, false>>(seed, units, cores::plain);
    check_scores<plain<wkv::float16>, packed_kind>(seed, units, cores::plain);  // packs of 8 bytes
    check_scores<plain<wkv::float16>, tokens_fastest>(seed, units, cores::plain);
    check_scores<plain<wkv::float16>, engine_pages<std::int32_t, false>, wkv::bfloat16>(seed, units,
                                                                                        cores::plain);
  }
}

TEMPLATE_TEST_CASE("any cache: scores of every element", "[any_cache][score][sanitize]", plain<float>,
                   plain<wkv::q8_0_block>, plain<wkv::q4_0_block>, scaled_fp8,
                   (token_scaled<std::int8_t, true>), (token_scaled<wkv::int4_pair, false>),
                   channel_scaled<2>) {
  WKV_NEEDS_DEVICE();
  int const units = wkv::detail::dims_of_v<typename TestType::type> > 8 ? 2 : 20;
  for (unsigned seed = 1; seed <= 2; ++seed) {
    check_scores<TestType, paged_kind<std::int32_t, true>>(seed, units, cores::plain);
    check_scores<TestType, dense_kind<order::head_dim_slot>, float>(seed, units, cores::plain);
  }
}
