// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/pyramid_budgets.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;

template <class Budget>
wkv::result<ints> allocate(Budget const& budget, int layers, int tokens_per_layer, int suffix, int tokens) {
  ints const one(static_cast<std::size_t>(layers), 1);
  ints out(static_cast<std::size_t>(layers), -77);
  wkv::budget_request request;
  request.tokens_per_layer = tokens_per_layer;
  request.available = tokens;
  request.suffix = suffix;
  request.minimum = suffix;
  request.groups = layers;
  request.layers_per_group = 1;
  request.group_layers = one.data();
  WINDOWKV_TRY(budget.allocate(request, out.data()));
  return out;
}

/// The series of past tokens, as the original counts them, and the suffix.
ints with_suffix(ints past, int suffix) {
  for (int& count : past) count += suffix;
  return past;
}
ints falling(int first, int step, int count) {
  ints all;
  for (int i = 0; i < count; ++i) all.push_back(first - i * step);
  return all;
}

constexpr wkv::pyramid_budget pyramid{};
constexpr wkv::pyramid_budget always{20, false};
constexpr wkv::rounded_pyramid_budget rounded{};

}  // namespace

TEST_CASE("KVCache-Factory's pyramid, literally", "[pyramid_budgets]") {
  CHECK(*allocate(pyramid, 32, 64, 8, 200) == with_suffix(falling(110, 3, 32), 8));
  CHECK(*allocate(pyramid, 28, 64, 16, 500) == with_suffix(falling(94, 3, 28), 16));
  CHECK(*allocate(wkv::pyramid_budget{14}, 32, 128, 8, 2000) == with_suffix(falling(232, 7, 32), 8));
  CHECK(*allocate(pyramid, 28, 333, 64, 2047) == with_suffix(falling(525, 18, 28), 64));
  // Wider than the prompt: the first layer keeps everything, what is over goes to the last. Base 128,
  // 248 past tokens, so the last would get 8; step floor(240 / 31).
  CHECK(*allocate(pyramid, 32, 136, 8, 256) == with_suffix(falling(248, 7, 32), 8));
  CHECK(*allocate(pyramid, 2, 30, 10, 1000) == ints{49, 11});  // 39 and 1 past tokens
  CHECK(*allocate(wkv::pyramid_budget{1}, 4, 30, 10, 1000) == ints(4, 30));
  CHECK(*allocate(wkv::pyramid_budget{21}, 2, 30, 10, 1000) ==
        ints{50, 10});  // the last keeps the suffix alone
}

TEST_CASE("the pyramid's three regimes", "[pyramid_budgets]") {
  // C = 136, S = 8, so base is 128.
  CHECK(*allocate(pyramid, 4, 136, 8, 135) == ints(4, 136));  // below C: whole
  CHECK(*allocate(pyramid, 4, 136, 8, 136) == ints(4, 136));
  CHECK(*allocate(pyramid, 4, 136, 8, 255) == ints(4, 136));  // below twice the base: even
  CHECK(*allocate(pyramid, 4, 136, 8, 256) == ints{256, 176, 96, 16});
  CHECK(*allocate(always, 4, 136, 8, 255) == ints{255, 176, 97, 18});
  CHECK(*allocate(always, 4, 136, 8, 140) == ints{140, 138, 136, 134});
  CHECK(*allocate(always, 4, 136, 8, 136) == ints(4, 136));
  CHECK(*allocate(always, 4, 136, 8, 100) == ints(4, 136));
}

TEST_CASE("a pyramid of the smallest sizes", "[pyramid_budgets]") {
  CHECK(*allocate(pyramid, 1, 136, 8, 1000) == ints{136});  // one layer: the original divides by 0
  CHECK(*allocate(pyramid, 3, 8, 8, 1000) == ints(3, 8));
  CHECK(*allocate(pyramid, 3, 5, 8, 1000) == ints(3, 5));  // less than the suffix
  CHECK(*allocate(pyramid, 3, 9, 8, 1000) == ints{10, 9, 8});
  CHECK(*allocate(pyramid, 3, 1, 0, 1) == ints(3, 1));
  CHECK(message(allocate(wkv::pyramid_budget{0}, 3, 50, 8, 1000)) ==
        "pyramid_budget.beta: got 0, must be at least 1");
  CHECK(*allocate(pyramid, 3, INT32_MAX, 8, INT32_MAX) == ints(3, INT32_MAX));
  CHECK(*allocate(always, 2, INT32_MAX / 2, 8, INT32_MAX) == ints{2093796548, 53687098});
}

TEST_CASE("the pyramid falls, stays within the prompt, and keeps the suffix", "[pyramid_budgets]") {
  random_source random(1);
  for (int i = 0; i < 20'000; ++i) {
    int const layers = random.between(1, 90);
    int const suffix = random.between(0, 64);
    int const c = random.between(1, 400);
    int const tokens = random.between(suffix + 1, 1200);
    wkv::pyramid_budget const budget{random.between(1, 40), random.below(2) == 0};
    auto const counts = allocate(budget, layers, c, suffix, tokens);
    bool right = counts.ok();
    for (std::size_t l = 0; right && l < counts->size(); ++l) {
      int const count = (*counts)[l];
      right = count >= std::min(suffix, c) && (count <= tokens || c > tokens) &&
              (l == 0 || count <= (*counts)[l - 1]);
    }
    // The floor of the step leaves upper layers too much, at most a token per step.
    std::int64_t const sum = right ? std::accumulate(counts->begin(), counts->end(), std::int64_t{0}) : 0;
    right = right && sum >= std::int64_t{layers} * c && sum < std::int64_t{layers} * (c + layers);
    if (!right) {
      CAPTURE(layers, suffix, c, tokens, budget.beta, budget.uniform_when_short, sum);
      FAIL(message(counts));
    }
  }
}

TEST_CASE("kvpress' pyramid, literally", "[pyramid_budgets]") {
  CHECK(*allocate(wkv::rounded_pyramid_budget{20, 200 * 0.5}, 32, 0, 16, 200) ==
        ints{184, 179, 173, 168, 162, 157, 151, 146, 141, 135, 130, 124, 119, 114, 108, 103,
             97,  92,  86,  81,  76,  70,  65,  59,  54,  49,  43,  38,  32,  27,  21,  16});
  CHECK(*allocate(rounded, 32, 100, 16, 200) ==
        *allocate(wkv::rounded_pyramid_budget{20, 100}, 32, 0, 16, 200));
  CHECK(*allocate(wkv::rounded_pyramid_budget{20, 500 * (1 - 0.9)}, 32, 0, 64, 500) == ints(32, 50));
  CHECK(*allocate(wkv::rounded_pyramid_budget{20, 250}, 28, 0, 16, 1000) == ints(28, 250));  // C / 20 < S
  // Halves to even: from 38 to 2 in 8 steps of 4.5; the plain count, too.
  CHECK(*allocate(rounded, 9, 20, 1, 39) == ints{38, 34, 29, 24, 20, 16, 11, 6, 2});
  CHECK(*allocate(wkv::rounded_pyramid_budget{20, 2.5}, 2, 0, 16, 1000) == ints(2, 2));
  CHECK(*allocate(wkv::rounded_pyramid_budget{20, 3.5}, 2, 0, 16, 1000) == ints(2, 4));
}

TEST_CASE("kvpress' pyramid at the edges", "[pyramid_budgets]") {
  CHECK(*allocate(rounded, 1, 100, 4, 1000) == ints{100});
  CHECK(*allocate(rounded, 2, 100, 5, 1000) == ints{195, 5});    // C / 20 = S: still a series
  CHECK(*allocate(rounded, 2, 100, 6, 1000) == ints{100, 100});  // C / 20 < S
  CHECK(*allocate(rounded, 2, 100, 5, 105) == ints{100, 100});   // R = C: first and last alike
  CHECK(*allocate(rounded, 2, 100, 5, 104) == ints{100, 100});   // R < C: would rise
  CHECK(message(allocate(wkv::rounded_pyramid_budget{0}, 3, 50, 8, 1000)) ==
        "rounded_pyramid_budget.beta: got 0, must be at least 1");
  for (double bad : {-1., 1e10, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK(message(allocate(wkv::rounded_pyramid_budget{20, bad}, 3, 50, 8, 1000)) ==
          "rounded_pyramid_budget.tokens: must be a number of tokens, or 0");
  }
}

TEST_CASE("pyramids in plans", "[pyramid_budgets]") {
  auto const plan_of = [](auto budget, int tokens) {
    return wkv::make_plan(wkv::snapkv().with_suffix(8).with_budget(136).with_budget_shape(budget),
                          wkv::model_shape{4, 2, 1, 4}, {tokens});
  };
  auto const series = plan_of(pyramid, 256);
  REQUIRE(series);
  CHECK(budgets_of(*series) == ints{256, 176, 96, 16});
  CHECK(series->group[0].keeps_all == 1);
  CHECK(series->group[3].review_budget == 8);
  CHECK(plan_of(pyramid, 135)->group[3].keeps_all == 1);
  CHECK(plan_of(rounded, 256)->group[0].budget == 248);
  auto const exact = plan_of(wkv::exact_budget{pyramid}, 300);
  REQUIRE(exact);
  ints const counts = budgets_of(*exact);
  CHECK(std::accumulate(counts.begin(), counts.end(), 0) == 4 * 136);
  CHECK((wkv::is_budget_v<wkv::pyramid_budget> && wkv::is_budget_v<wkv::rounded_pyramid_budget>));
}
