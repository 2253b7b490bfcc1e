// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Scoring reads any layout and any readable element: the same scores, bit for bit, as from plain rows of
// floats.
#include <cstdint>
#include <cstring>
#include <vector>

#include "any_cache.hpp"
#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

/// Bytes that read as finite numbers, whatever they are part of.
void make_finite(cache_model& model) {
  for (arena& a : model.arenas) {
    for (unsigned char& byte : *a.memory) byte = static_cast<unsigned char>(byte & 0x3b);
  }
}

template <class KeyPlane>
std::vector<float> token_scores(wkv::model_shape const& shape, int tokens, stored<float> const& queries,
                                KeyPlane const& keys) {
  auto const plan =
      wkv::make_plan(wkv::default_method().with_budget(tokens / 2), shape, {tokens, wkv::task::aggregation});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(message(wkv::score(serial, *run, 0, wkv::suffix_queries{queries.plane}, keys)) == "ok");
  float const* const scores = run->token_scores(0);
  return {scores, scores + plan->score_rows * plan->review};
}

template <class Element, class Kind>
void check_scores(random_source& random) {
  constexpr int dims = wkv::detail::dims_of_v<typename Element::type>;
  int const tokens = Element::granularity * random.between(20, 50);
  int const heads = random.between(1, 3);
  int const units = dims > 8 ? random.between(1, 3) : 4 * random.between(1, 5);
  wkv::model_shape const shape{1, 2 * heads, heads, units * dims};
  CAPTURE(tokens, heads, units, dims);
  stored<float> const queries(random_tensor(7, 16, 2 * heads, units * dims, 0.02f), order::slot_head_dim);
  cache_model model;
  Kind kind;
  Element element;
  auto const keys = element.make(kind, model, random, {tokens + random.below(5), heads, units, units * dims});
  make_finite(model);
  stored<float> const plain(read(keys), order::slot_head_dim);
  std::vector<float> const got = token_scores(shape, tokens, queries, keys);
  std::vector<float> const expected = token_scores(shape, tokens, queries, plain.plane);
  REQUIRE(!got.empty());
  REQUIRE(got.size() == expected.size());
  CHECK(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0);
}

}  // namespace

TEMPLATE_TEST_CASE("scores do not depend on how keys are stored", "[any_cache][score]", plain_element<float>,
                   plain_element<wkv::float16>, plain_element<wkv::q8_0_block>,
                   plain_element<wkv::q4_0_block>, scaled_fp8, (token_scaled<std::int8_t, true>),
                   (token_scaled<wkv::int4_pair, false>), channel_scaled<2>) {
  random_source random(11);
  for (int i = 0; i < 3; ++i) {
    check_scores<TestType, dense_kind<order::head_dim_slot>>(random);
    check_scores<TestType, paged_kind<std::int32_t, true>>(random);
    check_scores<TestType, packed_kind>(random);
    check_scores<TestType, pointer_kind>(random);
  }
}
