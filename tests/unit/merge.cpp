// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// How the scores of heads and of layers become one.
#include <algorithm>
#include <cmath>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::head_merge;
using wkv::layer_merge;

constexpr wkv::model_shape shape{3, 4, 2, 8};
constexpr int tokens = 61;
constexpr int suffix = 7;
constexpr int review = tokens - suffix;

auto method_of(head_merge heads, layer_merge layers) {
  auto method =
      wkv::paper_method().with_suffix(suffix).with_budget(20).with_budget_shape(wkv::uniform_budget{false});
  method.localization.heads = heads;
  method.localization.layers = layers;
  method.layer_grouping = wkv::uniform_groups{3, wkv::scoring_layers::all};
  return method;
}

std::vector<double> naive_layer(sequence<float> const& data, int layer) {
  return naive_scores(read(data.at(layer).queries.plane), read(data.at(layer).keys.plane), suffix);
}

std::vector<double> merged(std::vector<std::vector<double>> const& layers, layer_merge how) {
  std::vector<double> out = layers[0];
  if (how == layer_merge::first) return out;
  for (std::size_t l = 1; l < layers.size(); ++l) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = how == layer_merge::mean ? out[i] + layers[l][i] : std::max(out[i], layers[l][i]);
    }
  }
  if (how == layer_merge::mean) {
    for (double& x : out) x /= static_cast<double>(layers.size());
  }
  return out;
}

/// Token scores of the group after all its layers have scored.
template <class Method, class QueriesOf>
std::vector<float> group_scores(Method const& method, sequence<float>& data, QueriesOf queries_of) {
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  for (int l = 0; l < shape.layers; ++l) REQUIRE(wkv::score(serial, *run, l, queries_of(l), data.kv(l).keys));
  float const* const scores = run->token_scores(0);
  return {scores, scores + plan->score_rows * plan->review};
}

/// Selects from three layers' given token scores.
wkv::result<std::vector<int>> kept_from(layer_merge how, std::vector<std::vector<float>> const& layers) {
  auto method =
      wkv::default_method().with_token_scorer(wkv::external_scores{1}).with_suffix(1).with_budget(3);
  method.localization.layers = how;
  method.localization.pooling = {0, 0};
  method.selector.sinks = 0;
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, {static_cast<int>(layers[0].size()) + 1}));
  scratch const memory(plan.workspace_bytes);
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(plan, memory.get()));
  for (int l = 0; l < 3; ++l) {
    auto const& scores = layers[static_cast<std::size_t>(l)];
    WINDOWKV_TRY(
        wkv::score(serial, run, l, wkv::token_scores{scores.data(), 1, static_cast<int>(scores.size()), 0}));
  }
  WINDOWKV_TRY_ASSIGN(chosen, wkv::select(serial, run, 0));
  return windows_of(chosen);
}

}  // namespace

TEST_CASE("heads and layers merge as the reference does", "[merge]") {
  sequence<float> data(shape, tokens, suffix);
  std::vector<std::vector<double>> by_head;
  std::vector<std::vector<double>> by_mean;
  for (int l = 0; l < 3; ++l) {
    by_head.push_back(naive_layer(data, l));
    by_mean.push_back(row_mean(by_head.back(), 4));
  }
  auto const queries_of = [&](int l) { return data.queries(l); };
  for (layer_merge layers : {layer_merge::first, layer_merge::mean, layer_merge::maximum}) {
    CAPTURE(static_cast<int>(layers));
    auto const apart = group_scores(method_of(head_merge::at_windows, layers), data, queries_of);
    REQUIRE(apart.size() == 4 * review);
    CHECK(worst_error(apart.data(), merged(by_head, layers), review) < 1e-5);
    auto const together = group_scores(method_of(head_merge::at_tokens, layers), data, queries_of);
    REQUIRE(together.size() == review);
    CHECK(worst_error(together.data(), merged(by_mean, layers), review) < 1e-5);
  }
}

TEST_CASE("permuting heads changes nothing", "[merge]") {
  sequence<float> data(shape, tokens, suffix);
  sequence<float> permuted(shape, tokens, suffix);
  int const from[] = {3, 2, 0, 1};  // whole KV groups and heads inside them
  for (int l = 0; l < 3; ++l) {
    for (int d = 0; d < 8; ++d) {
      for (int i = 0; i < suffix; ++i) {
        for (int h = 0; h < 4; ++h) {
          *permuted.at(l).queries.plane.address(i, h, d) = data.at(l).queries.plane.load(i, from[h], d);
        }
      }
      for (int j = 0; j < tokens; ++j) {
        for (int h = 0; h < 2; ++h)
          *permuted.at(l).keys.plane.address(j, h, d) = data.at(l).keys.plane.load(j, 1 - h, d);
      }
    }
  }
  auto const method = method_of(head_merge::at_tokens, layer_merge::maximum);
  auto const a = group_scores(method, data, [&](int l) { return data.queries(l); });
  auto const b = group_scores(method, permuted, [&](int l) { return permuted.queries(l); });
  CHECK(a != b);  // the order of the sum differs, so at least one rounding should: else this tests nothing
  CHECK(worst_error(a.data(), {b.begin(), b.end()}, review) < 1e-5);
}

TEST_CASE("layers merge by the rule, NaN below every number", "[merge]") {
  std::vector<std::vector<float>> const layers = {{12, 1, 1, 1, 5}, {0, 8, 1, 1, 5}, {0, 0, 7, 1, 5}};
  using ints = std::vector<int>;
  CHECK(*kept_from(layer_merge::maximum, layers) == ints{0, 1});
  CHECK(*kept_from(layer_merge::mean, layers) == ints{0, 4});  // sums 12, 9, 9, 3, 15
  CHECK(*kept_from(layer_merge::maximum, {{not_a_number, 1, not_a_number, 2, 0},
                                          {not_a_number, not_a_number, 5, 0, 0},
                                          {-9, 0, not_a_number, 0, 0}}) == ints{2, 3});
  CHECK(*kept_from(layer_merge::mean,
                   {{not_a_number, 1, not_a_number, 2, 0}, {9, 0, 5, 0, 0}, {9, 0, not_a_number, 0, 0}}) ==
        ints{1, 3});
}

TEST_CASE("followers equal their leader", "[merge]") {
  auto const method = wkv::paper_method().with_suffix(suffix).with_budget(20);
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  sequence<float> data(shape, tokens, suffix);
  auto const report = wkv::compress(
      serial, *plan, memory.get(), [&](int l) { return data.queries(l); }, [&](int l) { return data.kv(l); });
  REQUIRE(report);
  std::vector<int> const kept = slots_of(report->group[0]);
  REQUIRE(kept.size() < tokens);
  for (int l = 0; l < 3; ++l) {
    auto const& positions = data.at(l).positions;
    CHECK(std::vector<int>(positions.begin(), positions.begin() + report->layer[l].tokens_after) == kept);
  }
}
