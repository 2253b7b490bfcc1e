// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/preferences.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using floats = std::vector<float>;

struct request {
  int tokens_per_layer;
  int suffix = 0;
  int available = 1000;
  ints group_layers = {};  ///< empty: one layer per preference
};

template <class Budget>
wkv::result<ints> allocate(Budget const& budget, int groups, request const& r) {
  ints const layers = r.group_layers.empty() ? ints(static_cast<std::size_t>(groups), 1) : r.group_layers;
  ints out(static_cast<std::size_t>(groups), -77);
  wkv::budget_request wanted;
  wanted.tokens_per_layer = r.tokens_per_layer;
  wanted.available = r.available;
  wanted.suffix = r.suffix;
  wanted.minimum = r.suffix;
  wanted.groups = groups;
  wanted.group_layers = layers.data();
  WINDOWKV_TRY(budget.allocate(wanted, out.data()));
  return out;
}
wkv::result<ints> plain(floats const& preferences, request const& r) {
  auto const groups = static_cast<int>(preferences.size());
  return allocate(wkv::preference_budget{preferences.data(), groups}, groups, r);
}
wkv::result<ints> exact(floats const& preferences, request const& r) {
  auto const groups = static_cast<int>(preferences.size());
  return allocate(wkv::exact_budget{wkv::preference_budget{preferences.data(), groups}}, groups, r);
}

template <class Fold>
float fold(Fold const& f, floats const& probabilities) {
  auto state = f.init();
  for (float p : probabilities) f.add(state, p);
  return f.finish(state, static_cast<int>(probabilities.size()));
}

/// Entropy and variance of the suffix's attention to the review tokens, summed over heads, in double
/// precision.
struct statistics {
  double entropy = 0;
  double variance = 0;
};
statistics naive_statistics(tensor const& q, tensor const& k, int suffix) {
  auto const total = [](std::vector<double> const& all) {
    return std::accumulate(all.begin(), all.end(), 0.);
  };
  statistics s;
  s.entropy = total(naive_scores(q, k, suffix, [](std::vector<double> const& rows) {
    double sum = 0;
    for (double p : rows) sum -= p * std::log(p + 1e-10);
    return sum;
  }));
  s.variance = total(naive_scores(q, k, suffix, [](std::vector<double> const& rows) {
    auto const n = static_cast<double>(rows.size());
    double const mean = std::accumulate(rows.begin(), rows.end(), 0.) / n;
    double squares = 0;
    for (double p : rows) squares += (p - mean) * (p - mean);
    return squares / (n - 1);
  }));
  return s;
}

}  // namespace

TEST_CASE("what is not the suffix goes by preference", "[preferences]") {
  CHECK(*plain({1, 1}, {100}) == ints{100, 100});
  CHECK(*plain({3, 1}, {100}) == ints{150, 50});
  CHECK(*plain({3, 1}, {100, 20}) == ints{140, 60});
  CHECK(*plain({1, 0}, {100, 20}) == ints{180, 20});
  CHECK(*plain({1, 2}, {10, 32}) == ints{10, 10});  // less than the suffix
  CHECK(*plain({2e30f, 1e30f}, {30}) == ints{40, 20});
  CHECK(*plain({2e-30f, 1e-30f}, {30}) == ints{40, 20});
  CHECK(*plain({1}, {7}) == ints{7});
  CHECK(*plain({1, 1, 1}, {0}) == ints{0, 0, 0});
  // A group's preference is that of each of its layers.
  CHECK(*plain({2, 1}, {40, 0, 1000, {1, 2}}) == ints{60, 30});
  CHECK(*plain({1, 0}, {INT32_MAX, 0, INT32_MAX}) == ints{INT32_MAX, 0});  // saturates
}

TEST_CASE("an exact budget by preference spends L x C tokens", "[preferences]") {
  CHECK(*exact({1, 1, 1}, {100, 20}) == ints{100, 100, 100});
  CHECK(*exact({3, 1}, {100, 20}) == ints{140, 60});
  CHECK(*exact({1, 1, 5}, {11, 1}) == ints{5, 5, 23});            // 1 + 30 {1, 1, 5} / 7, rounded, is 5 5 22
  CHECK(*exact({8, 1, 1}, {100, 20, 150}) == ints{150, 75, 75});  // what does not fit goes to the others
  CHECK(*exact({1, 0}, {2000, 20}) == ints{1000, 1000});
  random_source random(4);
  for (int i = 0; i < 2000; ++i) {
    floats preferences;
    for (int l = random.between(1, 40); l > 0; --l) {
      preferences.push_back(random.below(5) == 0 ? 0.f : std::exp(4 * random.symmetric()));
    }
    preferences[0] = 1;
    request const r{random.between(1, 300), random.between(0, 40), random.between(41, 500)};
    auto const counts = exact(preferences, r);
    int const mean = std::min(r.tokens_per_layer, r.available);
    bool right = counts.ok() && std::accumulate(counts->begin(), counts->end(), 0) ==
                                    mean * static_cast<int>(preferences.size());
    for (std::size_t l = 0; right && l < preferences.size(); ++l) {
      right = (*counts)[l] >= std::min(r.suffix, mean) && (*counts)[l] <= r.available;
      for (std::size_t other = 0; right && other < l; ++other) {  // a greater preference never gets less
        right = preferences[l] <= preferences[other] || (*counts)[l] >= (*counts)[other] - 1;
      }
    }
    if (!right) FAIL(message(counts) << ": " << Catch::Detail::stringify(counts ? *counts : ints{}));
  }
}

TEST_CASE("preferences that mean nothing are refused", "[preferences]") {
  std::string const bad = "must be a finite number, not below 0; groups: 3";
  std::string const group = "preference_budget.preferences: that of group: got ";
  CHECK(message(plain({1, not_a_number, 1}, {100})) == group + "1, " + bad);
  CHECK(message(plain({1, 1, -0.5f}, {100})) == group + "2, " + bad);
  CHECK(message(plain({infinity, 1, 1}, {100})) == group + "0, " + bad);
  CHECK(message(plain({0, 0, -0.f}, {100})) == "preference_budget.preferences: must not all be 0");
  CHECK(message(exact({0, 0}, {100})) == "preference_budget.preferences: must not all be 0");
  CHECK(message(allocate(wkv::preference_budget{nullptr, 2}, 2, {100})) ==
        "preference_budget.preferences: must not be null");
  floats const two = {1, 2};
  CHECK(message(allocate(wkv::preference_budget{two.data(), 2}, 3, {100})) ==
        "preference_budget.groups: got 2, must equal 3");
  CHECK((wkv::is_budget_v<wkv::preference_budget> &&
         wkv::is_budget_v<wkv::exact_budget<wkv::preference_budget>>));
}

TEST_CASE("a token's entropy and variance over the suffix", "[preferences]") {
  wkv::attention_entropy const entropy;
  CHECK(fold(entropy, {0.5f, 0.25f}) == Approx(0.5 * std::log(2.) + 0.25 * std::log(4.)));
  CHECK(fold(entropy, {0, 1}) == 0.f);
  CHECK(std::isnan(fold(entropy, {0.5f, not_a_number})));
  wkv::attention_variance const variance;
  CHECK(fold(variance, {0.1f, 0.2f, 0.6f}) == Approx(0.07));
  CHECK(fold(variance, {0.25f, 0.25f}) == 0.f);
  CHECK(fold(variance, {0.7f}) == 0.f);
  CHECK(std::isnan(fold(variance, {0.5f, not_a_number})));
  CHECK((wkv::is_attention_scorer_v<wkv::attention_entropy> &&
         wkv::is_attention_scorer_v<wkv::attention_variance>));
}

TEST_CASE("a preference is entropy^(1 / tau1) variance^(1 / tau2)", "[preferences]") {
  CHECK(wkv::cake_preference(8, 0.25) == 2.f);
  CHECK(wkv::cake_preference(8, 0.25, 3) == 0.5f);
  CHECK(wkv::cake_preference(8, 0.25, 3, 2) == 1.f);
  CHECK(wkv::cake_preference(8, 0, 1, 2) == 0.f);
  CHECK(std::isnan(wkv::cake_preference(-1, 1, 2)));  // which the budget refuses
}

TEST_CASE("from measuring every layer to a plan that spends L x C tokens", "[preferences]") {
  wkv::model_shape const shape{5, 4, 2, 8};
  int const tokens = 300;
  int const suffix = 32;
  std::vector<tensor> queries, keys, values;
  for (unsigned l = 0; l < 5; ++l) {  // sharper attention, layer by layer
    float const sharp = 0.5f + static_cast<float>(l);
    queries.push_back(random_tensor(3 * l, suffix, shape.query_heads, shape.head_dim, sharp));
    keys.push_back(random_tensor(3 * l + 1, tokens, shape.kv_heads, shape.head_dim, 2.f));
    values.push_back(random_tensor(3 * l + 2, tokens, shape.kv_heads, shape.head_dim));
  }
  auto const plane = [](tensor& t) {
    return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim);
  };
  auto const source = [&](int l) { return wkv::suffix_queries{plane(queries[static_cast<std::size_t>(l)])}; };
  auto const kv = [&](int l) {
    auto const i = static_cast<std::size_t>(l);
    return wkv::kv_view{plane(keys[i]), plane(values[i])};
  };

  auto const entropy = wkv::make_plan(wkv::cake_statistic(wkv::attention_entropy{}), shape, {tokens});
  auto const variance = wkv::make_plan(wkv::cake_statistic(wkv::attention_variance{}), shape, {tokens});
  REQUIRE(message(entropy) == "ok");
  REQUIRE(message(variance) == "ok");
  REQUIRE(variance->workspace_bytes == entropy->workspace_bytes);
  scratch const memory(entropy->workspace_bytes);
  auto const measure = [&](auto const& plan, int l) {
    auto run = wkv::begin(plan, memory.get());
    REQUIRE(run);
    REQUIRE(message(wkv::score(serial, *run, l, source(l), kv(l))) == "ok");
    return wkv::layer_statistic(*run, l);
  };
  floats preferences;
  for (int l = 0; l < shape.layers; ++l) {
    double const e = measure(*entropy, l);
    double const v = measure(*variance, l);
    statistics const expected =
        naive_statistics(queries[static_cast<std::size_t>(l)], keys[static_cast<std::size_t>(l)], suffix);
    CHECK(e == Approx(expected.entropy).epsilon(1e-5));
    CHECK(v == Approx(expected.variance).epsilon(1e-5));
    preferences.push_back(wkv::cake_preference(e, v));
  }

  auto const plan =
      wkv::make_plan(wkv::cake(preferences.data(), shape.layers).with_budget(90), shape, {tokens});
  REQUIRE(message(plan) == "ok");
  scratch const workspace(plan->workspace_bytes);
  auto const report = wkv::compress(serial, *plan, workspace.get(), source, kv);
  REQUIRE(message(report) == "ok");
  CHECK(report->tokens_after() == 5 * 90);
  double sum = 0;
  for (float preference : preferences) sum += static_cast<double>(preference);
  for (int l = 0; l < shape.layers; ++l) {
    double const share = static_cast<double>(preferences[static_cast<std::size_t>(l)]) / sum;
    CHECK(std::fabs(report->layer[l].tokens_after - (32 + 5 * (90 - 32) * share)) <= 1.5);
  }
}

TEST_CASE("a prompt that the suffix fills has no statistics", "[preferences]") {
  wkv::model_shape const shape{1, 1, 1, 2};
  for (int tokens : {1, 32}) {
    auto const plan = wkv::make_plan(wkv::cake_statistic(wkv::attention_entropy{}), shape, {tokens});
    REQUIRE(plan);
    scratch const memory(plan->workspace_bytes);
    auto run = wkv::begin(*plan, memory.get());
    REQUIRE(run);
    tensor const q(tokens, 1, 2);
    auto const rows = wkv::slot_head_dim(q.numbers.data(), tokens, 1, 2);
    REQUIRE(message(wkv::score(serial, *run, 0, wkv::suffix_queries{rows}, rows)) == "ok");
    CHECK(wkv::layer_statistic(*run, 0) == 0.);
  }
}
