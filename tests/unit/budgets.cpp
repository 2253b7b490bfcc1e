// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/budgets.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv_test::message;
using ints = std::vector<int>;

struct request {
  int tokens_per_layer;
  ints group_layers;
  int available = 1 << 20;
  int minimum = 0;
};

template <class Budget>
wkv::result<ints> allocate(Budget const& budget, request const& r) {
  std::vector<std::int32_t> out(r.group_layers.size(), -77);
  wkv::budget_request policy_request;
  policy_request.tokens_per_layer = r.tokens_per_layer;
  policy_request.available = r.available;
  policy_request.minimum = r.minimum;
  policy_request.groups = static_cast<int>(r.group_layers.size());
  policy_request.layers_per_group = *std::max_element(r.group_layers.begin(), r.group_layers.end());
  policy_request.group_layers = r.group_layers.data();
  WINDOWKV_TRY(budget.allocate(policy_request, out.data()));
  return ints(out.begin(), out.end());
}

std::int64_t total(ints const& counts, ints const& group_layers) {
  return std::inner_product(counts.begin(), counts.end(), group_layers.begin(), std::int64_t{0});
}

ints groups_of(int layers, int layers_per_group) {
  ints groups;
  for (; layers > 0; layers -= layers_per_group) groups.push_back(std::min(layers, layers_per_group));
  return groups;
}

constexpr wkv::arithmetic_budget paper{};

}  // namespace

TEST_CASE("the paper's series, literally", "[budgets]") {
  CHECK(*allocate(paper, {2048, {8, 8, 8, 8}}) == ints{2926, 2341, 1756, 1170});
  CHECK(*allocate(paper, {1024, {8, 8, 8, 8}}) == ints{1463, 1171, 879, 585});
  CHECK(*allocate(paper, {512, {8, 8, 8, 8}}) == ints{732, 586, 440, 292});
  CHECK(*allocate(paper, {2048, {7, 7, 7, 7}}) == ints{3072, 2390, 1708, 1024});
  CHECK(*allocate(paper, {2048, {8, 8}}) == ints{2926, 1170});
  CHECK(*allocate(paper, {2048, {8}}) == ints{2048});
  CHECK(*allocate(paper, {0, {8, 8}}) == ints{0, 0});
}

TEST_CASE("a negative step rounds towards minus infinity", "[budgets]") {
  CHECK(*allocate(wkv::arithmetic_budget{1}, {512, {8, 8, 8, 8}}) == ints{-3072, -682, 1708, 4096});
  CHECK(*allocate(wkv::arithmetic_budget{4}, {10, {8, 8, 8, 8}}) == ints{0, 7, 14, 20});
}

TEST_CASE("the series refuses what it cannot compute", "[budgets]") {
  CHECK(message(allocate(wkv::arithmetic_budget{0}, {10, {8, 8}})) ==
        "arithmetic_budget.beta: got 0, must be at least 1");
  CHECK(message(allocate(wkv::arithmetic_budget{1}, {INT32_MAX, {8, 8}})) ==
        "arithmetic_budget: tokens of the last group: got 17179869176, must be at most 2147483647");
  // 2C - last does not fit an int: refuse or saturate, but never hand out a negative count.
  auto const huge = allocate(paper, {INT32_MAX, {8, 8, 8, 8}});
  if (huge) CHECK(*std::min_element(huge->begin(), huge->end()) > 0);
}

TEST_CASE("uniform and table budgets", "[budgets]") {
  CHECK(*allocate(wkv::uniform_budget{}, {100, {8, 3}}) == ints{100, 100});
  std::int32_t const table[] = {5, -1, 7};
  CHECK(*allocate(wkv::table_budget{table, 3}, {100, {1, 1, 1}}) == ints{5, -1, 7});
  CHECK(message(allocate(wkv::table_budget{table, 3}, {100, {1, 1}})) ==
        "table_budget.groups: got 3, must equal 2");
  CHECK(message(allocate(wkv::table_budget{nullptr, 2}, {100, {1, 1}})) ==
        "table_budget.tokens: must not be null");
}

TEST_CASE("an exact budget has the shape of its series and an exact sum", "[budgets]") {
  wkv::exact_budget<wkv::arithmetic_budget> const exact{};
  CHECK(*allocate(exact, {1024, {8, 8, 8, 8}, 8192, 20}) == ints{1462, 1170, 879, 585});
  CHECK(*allocate(exact, {100, {8, 8, 4}, 1000, 0}) == ints{132, 92, 52});  // a short last group
  CHECK(*allocate(exact, {1024, {8, 8, 8, 8}, 1200, 20}) ==
        ints{1200, 1200, 1018, 678});                                             // the surplus moves on
  CHECK(*allocate(exact, {24, {8, 8, 8, 8}, 1000, 20}) == ints{31, 25, 20, 20});  // from below, too
  CHECK(*allocate(exact, {20, {8, 8, 8, 8}, 1000, 20}) == ints{20, 20, 20, 20});
  CHECK(*allocate(exact, {5, {8, 8, 8, 8}, 1000, 20}) == ints{5, 5, 5, 5});  // less than the minimum
  CHECK(*allocate(exact, {500, {8, 8, 8, 8}, 100, 20}) == ints{100, 100, 100, 100});
  CHECK(*allocate(exact, {INT32_MAX, {8, 8, 8, 8}, 100, 20}) == ints{100, 100, 100, 100});
  CHECK(*allocate(exact, {300, {8}, 1000, 20}) == ints{300});
  CHECK(*allocate(exact, {0, {8, 8}, 1000, 0}) == ints{0, 0});
}

TEST_CASE("an exact budget takes any shape", "[budgets]") {
  std::int32_t const table[] = {3, 1, 0, -5};
  wkv::exact_budget const exact{wkv::table_budget{table, 4}};
  CHECK(*allocate(exact, {100, {2, 2, 2, 2}, 1000, 0}) == ints{300, 100, 0, 0});
  CHECK(*allocate(exact, {100, {2, 2, 2, 2}, 1000, 10}) == ints{285, 95, 10, 10});
  CHECK(*allocate(wkv::exact_budget<wkv::uniform_budget>{}, {7, {3, 2, 1}, 100, 2}) == ints{7, 7, 7});
  CHECK(message(allocate(exact, {100, {2, 2}, 1000, 0})) == "table_budget.groups: got 4, must equal 2");
}

TEST_CASE("an exact budget: sum, limits and shape over many requests", "[budgets]") {
  wkv_test::random_source random(1);
  for (int i = 0; i < 20'000; ++i) {
    int const layers = random.between(1, 64);
    int const per_group = random.between(1, 20);
    request const r{random.between(0, 400), groups_of(layers, per_group), random.between(0, 800),
                    random.between(0, 40)};
    auto const counts = allocate(
        wkv::exact_budget<wkv::arithmetic_budget>{{random.between(per_group, 3 * per_group)}, true}, r);
    int const mean = std::min(r.tokens_per_layer, r.available);
    bool right = counts.ok() && total(*counts, r.group_layers) == std::int64_t{layers} * mean;
    for (std::size_t g = 0; right && g < counts->size(); ++g) {
      int const count = (*counts)[g];
      right = count >= std::min(r.minimum, mean) && count <= r.available;
      // The short last group can only move in steps that its neighbours can pay: up to one token per layer.
      bool const same_size = g > 0 && r.group_layers[g] == r.group_layers[g - 1];
      if (g > 0) right = right && count <= (*counts)[g - 1] + (same_size ? 0 : per_group);
    }
    if (!right) {
      CAPTURE(layers, per_group, r.tokens_per_layer, r.available, r.minimum);
      FAIL(message(counts) << ": " << Catch::Detail::stringify(counts ? *counts : ints{}));
    }
  }
}

TEST_CASE("an exact budget: groups of any sizes and weights", "[budgets]") {
  wkv_test::random_source random(2);
  for (int i = 0; i < 20'000; ++i) {
    request r{random.between(0, 300), {}, random.between(0, 600), random.between(0, 30)};
    ints weights;
    for (int groups = random.between(1, 12); groups > 0; --groups) {
      r.group_layers.push_back(random.between(1, 9));
      weights.push_back(random.between(-100, 1000));
    }
    wkv::exact_budget const exact{wkv::table_budget{weights.data(), static_cast<int>(weights.size())}};
    auto const counts = allocate(exact, r);
    int const mean = std::min(r.tokens_per_layer, r.available);
    int const layers = std::accumulate(r.group_layers.begin(), r.group_layers.end(), 0);
    bool right = counts.ok() && total(*counts, r.group_layers) == std::int64_t{layers} * mean;
    for (std::size_t g = 0; right && g < counts->size(); ++g) {
      right = (*counts)[g] >= std::min(r.minimum, mean) && (*counts)[g] <= r.available;
    }
    if (!right) FAIL(message(counts) << ": " << Catch::Detail::stringify(counts ? *counts : ints{}));
  }
}

TEST_CASE("a padded budget gives every group the largest count of its shape", "[budgets]") {
  CHECK(*allocate(wkv::padded_budget<wkv::arithmetic_budget>{}, {2048, {8, 8, 8, 8}}) ==
        ints{2926, 2926, 2926, 2926});
  CHECK(*allocate(wkv::padded_budget{wkv::arithmetic_budget{1}}, {512, {8, 8, 8, 8}}) ==
        ints{4096, 4096, 4096, 4096});  // the last group's
  CHECK(*allocate(wkv::padded_budget{wkv::exact_budget<wkv::arithmetic_budget>{}},
                  {1024, {8, 8, 8, 8}, 1200, 20}) == ints{1200, 1200, 1200, 1200});
  CHECK(*allocate(wkv::padded_budget{wkv::uniform_budget{}}, {100, {8, 3}}) == ints{100, 100});
  std::int32_t const table[] = {-5, -9, -1};
  CHECK(*allocate(wkv::padded_budget{wkv::table_budget{table, 3}}, {100, {1, 1, 1}}) == ints{-1, -1, -1});
  CHECK(message(allocate(wkv::padded_budget{wkv::table_budget{table, 3}}, {100, {1, 1}})) ==
        "table_budget.groups: got 3, must equal 2");
  // The counts mean what the shape's mean.
  CHECK_FALSE(wkv::padded_budget{wkv::arithmetic_budget{}}.counts_suffix);
  CHECK(wkv::padded_budget{wkv::uniform_budget{}}.counts_suffix);
  CHECK_FALSE(wkv::padded_budget{wkv::uniform_budget{false}}.counts_suffix);
  CHECK(wkv::is_budget_v<wkv::padded_budget<wkv::exact_budget<wkv::arithmetic_budget>>>);
}

TEST_CASE("a padded budget plans one count for all layers", "[budgets]") {
  wkv::model_shape const shape{20, 2, 1, 4};
  auto const method = wkv::default_method(8).with_budget(100);
  auto const series = wkv::make_plan(method, shape, {1000, wkv::task::localization});
  auto const padded = wkv::make_plan(method.with_budget_shape(wkv::padded_budget{method.budget}), shape,
                                     {1000, wkv::task::localization});
  REQUIRE(series);
  REQUIRE(padded);
  ints const counts = wkv_test::budgets_of(*series);
  CHECK(wkv_test::budgets_of(*padded) == ints(3, *std::max_element(counts.begin(), counts.end())));
  for (int l = 0; l < 20; ++l) CHECK(padded->max_kept(l) == series->max_kept(0));
}

TEST_CASE("the default method plans exactly L x min(C, N) tokens", "[budgets]") {
  auto const check = [](int layers, int per_group, int budget, int tokens, wkv::task task) {
    auto const plan = wkv::make_plan(wkv::default_method(per_group).with_budget(budget),
                                     wkv::model_shape{layers, 2, 1, 4}, {tokens, task});
    bool right = plan.ok();
    std::int64_t sum = 0;
    int const minimum = right ? plan->suffix + 4 : 0;
    for (int l = 0; right && l < layers; ++l) {
      sum += plan->max_kept(l);
      right = plan->max_kept(l) >= std::min({minimum, budget, tokens}) && plan->max_kept(l) <= tokens;
    }
    if (!right || sum != std::int64_t{layers} * std::min(budget, tokens)) {
      CAPTURE(layers, per_group, budget, tokens, sum, message(plan));
      FAIL("not exact");
    }
  };
  for (wkv::task task : {wkv::task::localization, wkv::task::aggregation}) {
    for (int tokens = 1; tokens <= 40; ++tokens) {
      for (int budget : {1, 2, 3, 16, 17, 20, 21, 30, 64}) check(9, 4, budget, tokens, task);
    }
    for (int layers : {1, 2, 7, 8, 28, 31, 32, 33, 80, 256}) {
      for (int per_group : {1, 2, 3, 7, 8, 9, 40}) {
        for (int budget : {1, 5, 100, 1024, 5000}) check(layers, per_group, budget, 3000, task);
      }
    }
  }
}

TEST_CASE("the default method keeps exactly L x min(C, N) tokens", "[budgets]") {
  wkv_test::random_source random(3);
  for (int i = 0; i < 150; ++i) {
    wkv::model_shape const shape{random.between(1, 9), 2, 1, 4};
    int const tokens = random.between(1, 60);
    int const budget = random.between(1, 50);
    auto const method = wkv::default_method(random.between(1, 10)).with_budget(budget);
    auto const task = random.below(2) == 0 ? wkv::task::localization : wkv::task::aggregation;
    auto const plan = wkv::make_plan(method, shape, {tokens, task});
    REQUIRE(plan);
    wkv_test::scratch const memory(plan->workspace_bytes);
    wkv_test::sequence<float> data(shape, tokens, tokens);
    auto const report = wkv::compress(
        wkv_test::serial, *plan, memory.get(), [&](int l) { return data.queries(l); },
        [&](int l) { return data.kv(l); });
    CAPTURE(shape.layers, tokens, budget, message(report));
    REQUIRE(report);
    CHECK(report->tokens_after() == std::int64_t{shape.layers} * std::min(budget, tokens));
  }
}
