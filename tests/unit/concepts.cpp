// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What counts as a policy: all of this is decided while compiling.
#include <cstdint>

#include "catch.hpp"
#include "support.hpp"

namespace {

struct nothing {};

/// A policy whose copy is not a copy of its bytes could not be part of a plan.
struct not_plain : wkv::window_mean {
  not_plain() = default;
  not_plain(not_plain const&) {}
};

/// A custom policy of every kind that shares no base with the library's own.
struct last_score {
  using state_type = float;
  int after = 0, before = 2;
  float init() const { return 0.f; }
  void add(float& state, float score) const { state = score; }
  float finish(float const& state, int /*count*/) const { return state; }
};
struct halves {
  int count(int review) const { return review < 2 ? review : 2; }
  int begin(int i, int review) const { return i * (review / 2); }
  int end(int i, int review) const { return i + 1 < count(review) ? review / 2 : review; }
  int nominal_tokens(int i, int review) const { return end(i, review) - begin(i, review); }
  wkv::status validate(int /*review*/) const { return {}; }
};
struct descending {
  bool counts_suffix = true;
  wkv::status allocate(wkv::budget_request const& r, std::int32_t* out) const {
    for (int i = 0; i < r.groups; ++i) out[i] = r.tokens_per_layer + r.groups - 1 - 2 * i;
    return {};
  }
};
struct even_and_odd {
  wkv::scoring_layers scoring = wkv::scoring_layers::all;
  int group_of(int layer, int /*layers*/) const { return layer % 2; }
  bool scores(int /*layer*/, int /*layers*/) const { return true; }
  wkv::status validate(int /*layers*/) const { return {}; }
};
struct keep_the_first {
  wkv::fill rule = wkv::fill::within_budget;
  int sinks = 0;
  bool in_ranges(int begin, int /*end*/) const { return begin == 0; }
  bool protects(int begin, int end) const { return in_ranges(begin, end); }
  wkv::status validate(int /*tokens*/) const { return {}; }
};

static_assert(wkv::is_token_scorer_v<wkv::suffix_attention> && wkv::is_token_scorer_v<last_score>);
static_assert(wkv::is_pooling_v<wkv::no_pooling> && wkv::is_pooling_v<wkv::max_pooling>);
static_assert(wkv::is_pooling_v<wkv::average_pooling> && wkv::is_pooling_v<last_score>);
static_assert(wkv::is_window_grouping_v<wkv::fixed_windows> &&
              wkv::is_window_grouping_v<wkv::boundary_windows>);
static_assert(wkv::is_window_grouping_v<halves>);
static_assert(wkv::is_window_scorer_v<wkv::window_mean> && wkv::is_window_scorer_v<wkv::window_top_mean>);
static_assert(wkv::is_budget_v<wkv::uniform_budget> && wkv::is_budget_v<wkv::arithmetic_budget>);
static_assert(wkv::is_budget_v<wkv::table_budget> &&
              wkv::is_budget_v<wkv::exact_budget<wkv::uniform_budget>>);
static_assert(wkv::is_budget_v<descending> && wkv::is_budget_v<wkv::exact_budget<descending>>);
static_assert(wkv::is_layer_grouping_v<wkv::uniform_groups> && wkv::is_layer_grouping_v<wkv::table_groups>);
static_assert(wkv::is_layer_grouping_v<wkv::no_sharing> && wkv::is_layer_grouping_v<even_and_odd>);
static_assert(wkv::is_selector_v<wkv::top_windows> && wkv::is_selector_v<keep_the_first>);

static_assert(!wkv::is_token_scorer_v<nothing> && !wkv::is_pooling_v<nothing> &&
              !wkv::is_selector_v<nothing>);
static_assert(!wkv::is_window_grouping_v<nothing> && !wkv::is_window_scorer_v<nothing>);
static_assert(!wkv::is_budget_v<nothing> && !wkv::is_layer_grouping_v<nothing>);
static_assert(!wkv::is_pooling_v<wkv::window_mean>, "a pooling needs a span");
static_assert(!wkv::is_window_scorer_v<not_plain>, "policies are plain values");

#if WINDOWKV_HAS_CONCEPTS
static_assert(wkv::token_scorer<last_score> && wkv::pooling<last_score> && wkv::window_scorer<last_score>);
static_assert(wkv::window_grouping<halves> && wkv::budget<descending> && wkv::layer_grouping<even_and_odd>);
static_assert(wkv::selector<keep_the_first> && !wkv::selector<nothing>);
#endif

}  // namespace

TEST_CASE("a method of custom policies only", "[concepts]") {
  using scoring = wkv::scoring<last_score, last_score, halves, last_score>;
  using method = wkv::method<scoring, scoring, descending, even_and_odd, keep_the_first>;
  method const custom{scoring{4, {}, {}, {}, {}, wkv::head_merge::at_tokens, wkv::layer_merge::mean},
                      scoring{4, {}, {}, {}, {}, wkv::head_merge::at_tokens, wkv::layer_merge::mean},
                      {},
                      {},
                      {},
                      20};
  wkv::model_shape const shape{4, 2, 1, 8};
  auto const plan = wkv::make_plan(custom, shape, {34});
  REQUIRE(wkv_test::message(plan) == "ok");
  CHECK(wkv_test::budgets_of(*plan) == std::vector<int>{21, 19});
  wkv_test::scratch const memory(plan->workspace_bytes);
  wkv_test::sequence<float> data(shape, 34, 4);
  auto const report = wkv::compress(
      wkv_test::serial, *plan, memory.get(), [&](int l) { return data.queries(l); },
      [&](int l) { return data.kv(l); });
  REQUIRE(wkv_test::message(report) == "ok");
  for (int g = 0; g < 2; ++g) {  // the protected first half of the review part, and the suffix
    using wkv_test::operator+;
    CHECK(wkv_test::slots_of(report->group[g]) == wkv_test::range(0, 15) + wkv_test::range(30, 34));
  }
}
