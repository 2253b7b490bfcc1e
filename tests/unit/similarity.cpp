// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/similarity.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using floats = std::vector<float>;

wkv::slot_list list_of(std::vector<std::int32_t> const& slots) {
  return {slots.data(), static_cast<int>(slots.size())};
}
float overlap(std::vector<std::int32_t> const& a, std::vector<std::int32_t> const& b) {
  return wkv::overlap(list_of(a), list_of(b));
}

/// Group of each layer, or why not.
wkv::result<ints> group(floats const& matrix, int layers, int groups) {
  std::vector<std::int16_t> table(static_cast<std::size_t>(std::max(layers, 1)), -7);
  WINDOWKV_TRY(wkv::group_similar_layers(matrix.data(), layers, groups, table.data()));
  return ints(table.begin(), table.end());
}

/// A matrix from what neighbours have in common; layers farther apart have nothing.
floats chain(floats const& neighbours) {
  std::size_t const layers = neighbours.size() + 1;
  floats matrix(layers * layers);
  for (std::size_t l = 0; l < layers; ++l) matrix[l * layers + l] = 1;
  for (std::size_t l = 0; l + 1 < layers; ++l) {
    matrix[l * layers + l + 1] = matrix[(l + 1) * layers + l] = neighbours[l];
  }
  return matrix;
}

wkv::selection selection_of(std::vector<std::int32_t> const& slots, int tokens) {
  wkv::selection s;
  s.tokens = tokens;
  s.kept = static_cast<int>(slots.size());
  s.slots = slots.data();
  return s;
}

}  // namespace

TEST_CASE("overlap of two lists", "[similarity]") {
  CHECK(overlap({1, 2, 3}, {1, 2, 3}) == 1.f);
  CHECK(overlap({1, 2, 3}, {2, 3, 4}) == 0.5f);
  CHECK(overlap({0, 1}, {2, 3}) == 0.f);
  CHECK(overlap({2, 3}, {0, 1}) == 0.f);
  CHECK(overlap({5}, {1, 3, 5, 7}) == 0.25f);
  CHECK(overlap({}, {1, 2}) == 0.f);
  CHECK(overlap({}, {}) == 1.f);
}

TEST_CASE("overlaps of all pairs of layers add up over prompts", "[similarity]") {
  std::vector<std::int32_t> const a = {0, 1, 2};
  std::vector<std::int32_t> const b = {1, 2, 3};
  std::vector<std::int32_t> const c = {7, 8, 9};
  wkv::selection const layers[] = {selection_of(a, 10), selection_of(b, 10), selection_of(c, 10)};
  floats matrix(9);
  REQUIRE(message(wkv::add_overlaps(layers, 3, matrix.data())) == "ok");
  CHECK(matrix == floats{1, 0.5f, 0, 0.5f, 1, 0, 0, 0, 1});
  wkv::selection const same[] = {selection_of(a, 20), selection_of(a, 20), selection_of(b, 20)};
  REQUIRE(message(wkv::add_overlaps(same, 3, matrix.data())) == "ok");
  CHECK(matrix == floats{2, 1.5f, 0.5f, 1.5f, 2, 0.5f, 0.5f, 0.5f, 2});
}

TEST_CASE("with lists per KV head the overlap is their mean", "[similarity]") {
  std::vector<std::int32_t> const a = {0, 1, 5, 6, 7};
  std::vector<std::int32_t> const b = {0, 1, 2, 3, 5, 6};
  std::int32_t const a_offsets[] = {0, 2, 5};
  std::int32_t const b_offsets[] = {0, 4, 6};
  wkv::selection both[] = {selection_of(a, 10), selection_of(b, 10)};
  both[0].lists = both[1].lists = 2;
  both[0].offsets = a_offsets;
  both[1].offsets = b_offsets;
  floats matrix(4);
  REQUIRE(message(wkv::add_overlaps(both, 2, matrix.data())) == "ok");
  CHECK(matrix[1] == Approx((2. / 4 + 2. / 3) / 2));
  CHECK(matrix[2] == matrix[1]);
  CHECK(matrix[3] == 1.f);
}

TEST_CASE("neighbours that are most alike merge first", "[similarity]") {
  floats const matrix = chain({0.1f, 0.9f, 0.2f, 0.8f});
  CHECK(*group(matrix, 5, 5) == ints{0, 1, 2, 3, 4});
  CHECK(*group(matrix, 5, 4) == ints{0, 1, 1, 2, 3});
  CHECK(*group(matrix, 5, 3) == ints{0, 1, 1, 2, 2});
  // Averages over pairs: 0.1 / 2 for layer 0, 0.2 / 4 between the pairs; the lower of equals merges.
  CHECK(*group(matrix, 5, 2) == ints{0, 0, 0, 1, 1});
  CHECK(*group(matrix, 5, 1) == ints{0, 0, 0, 0, 0});
}

TEST_CASE("linkage is the average over all pairs", "[similarity]") {
  // 1 and 2 merge first. Then 0 is 0.5 like them on average, 3 is 0.55 though layer 2 alone is less like it.
  floats const matrix = {1,    0.6f, 0.4f, 0,     //
                         0.6f, 1,    0.9f, 0.7f,  //
                         0.4f, 0.9f, 1,    0.4f,  //
                         0,    0.7f, 0.4f, 1};
  CHECK(*group(matrix, 4, 2) == ints{0, 1, 1, 1});
}

TEST_CASE("ties go to the lower layer", "[similarity]") {
  CHECK(*group(floats(16, 0.f), 4, 2) == ints{0, 0, 0, 1});
  CHECK(*group(floats(16, 1.f), 4, 3) == ints{0, 0, 1, 2});
  CHECK(*group({1}, 1, 1) == ints{0});
}

TEST_CASE("any matrix gives exactly so many groups of neighbours", "[similarity]") {
  random_source random(6);
  for (int i = 0; i < 500; ++i) {
    int const layers = random.between(1, 40);
    int const groups = random.between(1, layers);
    auto const l = static_cast<std::size_t>(layers);
    floats matrix(l * l);
    for (float& x : matrix) x = static_cast<float>(random.below(5));
    auto const table = group(matrix, layers, groups);
    REQUIRE(message(table) == "ok");
    CHECK(table->front() == 0);
    CHECK(table->back() == groups - 1);
    for (std::size_t j = 1; j < l; ++j) {
      int const step = (*table)[j] - (*table)[j - 1];
      CHECK((step == 0 || step == 1));
    }
  }
}

TEST_CASE("similarity refuses what it cannot read", "[similarity]") {
  floats matrix(9);
  std::int16_t table[3];
  std::vector<std::int32_t> const a = {0, 1, 2};
  wkv::selection layers[] = {selection_of(a, 10), selection_of(a, 10), selection_of(a, 11)};
  CHECK(message(wkv::add_overlaps(nullptr, 3, matrix.data())) == "add_overlaps: chosen: must not be null");
  CHECK(message(wkv::add_overlaps(layers, 3, nullptr)) == "add_overlaps: matrix: must not be null");
  CHECK(message(wkv::add_overlaps(layers, 0, matrix.data())) ==
        "add_overlaps: layers: got 0, must be at least 1");
  CHECK(message(wkv::add_overlaps(layers, 257, matrix.data())) ==
        "add_overlaps: layers: got 257, must be at most 256");
  CHECK(message(wkv::add_overlaps(layers, 3, matrix.data())) ==
        "layer 2: selection.tokens: got 11, must equal 10");
  layers[1].lists = 2;
  CHECK(message(wkv::add_overlaps(layers, 3, matrix.data())) ==
        "layer 1: selection.lists: got 2, must equal 1");
  CHECK(matrix == floats(9));  // nothing was added

  CHECK(message(wkv::group_similar_layers(nullptr, 3, 2, table)) ==
        "group_similar_layers: matrix: must not be null");
  CHECK(message(wkv::group_similar_layers(matrix.data(), 3, 2, nullptr)) ==
        "group_similar_layers: table: must not be null");
  CHECK(message(group(matrix, 0, 1)) == "group_similar_layers: layers: got 0, must be at least 1");
  CHECK(message(group(matrix, 257, 1)) == "group_similar_layers: layers: got 257, must be at most 256");
  CHECK(message(group(matrix, 3, 0)) == "group_similar_layers: groups: got 0, must be at least 1");
  CHECK(message(group(matrix, 3, 4)) == "group_similar_layers: groups: got 4, must be at most 3");
  matrix[5] = not_a_number;
  CHECK(message(group(matrix, 3, 2)) ==
        "layer 1: group_similar_layers: matrix: likeness to layer: got 2, must not be NaN; layers: 3");
}

TEST_CASE("from calibration prompts to groups that a plan uses", "[similarity]") {
  // Layers 0 to 2 have the same queries and keys, so have 3 and 4; 5 is alone.
  wkv::model_shape const shape{6, 2, 2, 8};
  int const twin[] = {0, 0, 0, 1, 1, 2};
  floats matrix(36);
  for (unsigned prompt = 0; prompt < 3; ++prompt) {
    int const tokens = 120 + static_cast<int>(prompt);
    std::vector<tensor> queries, keys;
    for (int t : twin) {
      unsigned const seed = 10 * prompt + 2 * static_cast<unsigned>(t);
      queries.push_back(random_tensor(seed, 32, shape.query_heads, shape.head_dim, 3.f));
      keys.push_back(random_tensor(seed + 1, tokens, shape.kv_heads, shape.head_dim, 3.f));
    }
    auto const plane = [](tensor& t) {
      return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim);
    };
    auto const plan = wkv::make_plan(wkv::snapkv().with_suffix(8).with_budget(24), shape, {tokens});
    REQUIRE(plan);
    scratch const memory(plan->workspace_bytes);
    auto const report = wkv::compress(
        serial, *plan, memory.get(),
        [&](int l) { return wkv::suffix_queries{plane(queries[static_cast<std::size_t>(l)])}; },
        [&](int l) { return wkv::kv_view{plane(keys[static_cast<std::size_t>(l)])}; });
    REQUIRE(message(report) == "ok");
    REQUIRE(message(wkv::add_overlaps(report->group, shape.layers, matrix.data())) == "ok");
  }
  CHECK(matrix[1] == 3.f);
  CHECK(matrix[3] < 3.f);
  std::int16_t table[6];
  REQUIRE(message(wkv::group_similar_layers(matrix.data(), 6, 3, table)) == "ok");
  CHECK(ints(table, table + 6) == ints{0, 0, 0, 1, 1, 2});
  auto const plan =
      wkv::make_plan(wkv::snapkv().with_layer_grouping(wkv::table_groups{table, 6}), shape, {2000});
  REQUIRE(message(plan) == "ok");
  CHECK(plan->groups == 3);
  CHECK(plan->group[0].layers == 3);
  CHECK(plan->leads_group(3));
}
