// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/host/select.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::fill;
using wkv::top_windows;
using ints = std::vector<int>;
using floats = std::vector<float>;

/// Windows of 4 scored by their mean from given token scores; the budget does not count the suffix of 2.
auto method_of(int budget, top_windows const& selector = {fill::drop_whole_windows}) {
  return wkv::paper_method(4)
      .with_token_scorer(wkv::external_scores{1})
      .with_window_scorer(wkv::window_mean{})
      .with_budget_shape(wkv::uniform_budget{false})
      .with_suffix(2)
      .with_selector(selector)
      .with_budget(budget);
}

struct picked {
  ints slots;
  ints windows;
  float retained = 0;
  int max_kept = 0;
};

/// Selects for one layer with these review scores.
template <class Method>
picked pick(Method const& method, floats const& scores, int suffix = 2) {
  int const review = static_cast<int>(scores.size());
  auto const plan = wkv::make_plan(method, wkv::model_shape{1, 1, 1, 1}, {review + suffix});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(message(wkv::score(serial, *run, 0, wkv::token_scores{scores.data(), 1, review, 0})) == "ok");
  auto const chosen = wkv::select(serial, *run, 0);
  REQUIRE(message(chosen) == "ok");
  CHECK(chosen->group == 0);
  CHECK(chosen->tokens == review + suffix);
  return {slots_of(*chosen), windows_of(*chosen), chosen->retained, plan->max_kept(0)};
}

/// Token scores that are constant inside windows of `width`.
floats flat(floats const& window_scores, int width, int review) {
  floats all;
  for (int j = 0; j < review; ++j) all.push_back(window_scores[static_cast<std::size_t>(j / width)]);
  return all;
}

floats random_scores(random_source& random, int count) {
  floats all;  // few distinct values, so that ties are common, and some NaN
  for (int j = 0; j < count; ++j)
    all.push_back(random.below(20) == 0 ? not_a_number : static_cast<float>(random.below(6)));
  return all;
}

}  // namespace

TEST_CASE("the prompt at, above and below the budget", "[select]") {
  floats const scores = flat({1, 3, 2}, 4, 12);
  CHECK(pick(method_of(13), scores).slots == range(0, 14));
  CHECK(pick(method_of(12), scores).slots == range(0, 14));
  CHECK(pick(method_of(12), scores).windows == ints{0, 1, 2});
  CHECK(pick(method_of(11), scores).slots == range(4, 14));
  CHECK(pick(method_of(11), scores).windows == ints{1, 2});
  CHECK(pick(method_of(8), scores).windows == ints{1, 2});
  CHECK(pick(method_of(7), scores).windows == ints{1});
  CHECK(pick(method_of(4), scores).slots == ints{4, 5, 6, 7, 12, 13});
}

TEST_CASE("k = 0: only the suffix stays", "[select]") {
  floats const scores = flat({1, 3, 2}, 4, 12);
  for (int budget : {0, 1, 3}) {
    CHECK(pick(method_of(budget), scores).slots == ints{12, 13});
    CHECK(pick(method_of(budget), scores).windows.empty());
  }
}

TEST_CASE("a short last window", "[select]") {
  CHECK(pick(method_of(5), flat({1, 2, 3}, 4, 10)).slots == ints{8, 9, 10, 11});
  CHECK(pick(method_of(4), flat({1, 3, 2}, 4, 9)).slots == ints{4, 5, 6, 7, 9, 10});
  // Dropping the short window counts 4 tokens though it has 2: the rule overshoots the budget of 6 by 2.
  picked const over = pick(method_of(6), flat({2, 3, 1}, 4, 10));
  CHECK(over.slots == range(0, 8) + ints{10, 11});
  CHECK(over.max_kept == 10);
}

TEST_CASE("within_budget stops at the first window that does not fit", "[select]") {
  top_windows const within{fill::within_budget};
  floats const scores = flat({3, 2, 1}, 4, 10);
  CHECK(pick(method_of(6, within), scores).windows == ints{0});  // the last would fit, but ranks lower
  CHECK(pick(method_of(8, within), scores).windows == ints{0, 1});
  CHECK(pick(method_of(9, within), scores).windows == ints{0, 1});
  CHECK(pick(method_of(3, within), scores).windows.empty());
  CHECK(pick(method_of(6, within), flat({2, 1, 3}, 4, 10)).slots == range(0, 4) + range(8, 12));
}

TEST_CASE("ties go to the lower index", "[select]") {
  CHECK(pick(method_of(8), floats(16, 0.5f)).windows == ints{0, 1});
  CHECK(pick(method_of(8), flat({-0.f, 0.f, 0.f, -0.f}, 4, 16)).windows == ints{0, 1});
  CHECK(pick(method_of(8), flat({1, 2, 1, 1}, 4, 16)).windows == ints{0, 1});
  CHECK(pick(method_of(8), flat({1, 1, 1, 2}, 4, 16)).windows == ints{0, 3});
}

TEST_CASE("NaN ranks below everything", "[select]") {
  CHECK(pick(method_of(8), floats(16, not_a_number)).windows == ints{0, 1});
  CHECK(pick(method_of(8), flat({not_a_number, -infinity, not_a_number, -1}, 4, 16)).windows == ints{1, 3});
  CHECK(pick(method_of(8), flat({not_a_number, not_a_number, not_a_number, -1}, 4, 16)).windows ==
        ints{0, 3});
  CHECK(pick(method_of(4), flat({1, 2, infinity, 3}, 4, 16)).windows == ints{2});
}

TEST_CASE("single tokens", "[select]") {
  auto const method = method_of(3, {fill::within_budget}).with_windows(wkv::fixed_windows{1});
  CHECK(pick(method, {1, 7, 2, 9, 7, 3}).slots == ints{1, 3, 4, 6, 7});
}

TEST_CASE("windows that the caller bounds", "[select]") {
  std::int32_t const begins[] = {0, 3, 4, 9, 12};
  auto const with = [&](int budget, fill rule) {
    return method_of(budget, {rule}).with_windows(wkv::boundary_windows{begins, 5});
  };
  //                     3 tokens, 1,  5,             3
  floats const scores = {2, 2, 2, 9, 4, 4, 4, 4, 4, 3, 3, 3};
  CHECK(pick(with(6, fill::within_budget), scores).slots == range(3, 9) + ints{12, 13});
  CHECK(pick(with(5, fill::within_budget), scores).windows == ints{1});
  CHECK(pick(with(9, fill::within_budget), scores).windows == ints{1, 2, 3});
  // Dropped windows count what they have: 3 for the first, then 3 more.
  CHECK(pick(with(9, fill::drop_whole_windows), scores).windows == ints{1, 2, 3});
  CHECK(pick(with(8, fill::drop_whole_windows), scores).windows == ints{1, 2});
  CHECK(pick(with(6, fill::drop_whole_windows), scores).windows == ints{1, 2});
}

TEST_CASE("sinks stay as far as the budget reaches", "[select]") {
  floats const scores = {0, 0, 0, 0, 0, 9, 8, 7};
  auto const with = [&](int sinks, int budget) {
    return method_of(budget, {fill::within_budget, sinks}).with_windows(wkv::fixed_windows{1});
  };
  CHECK(pick(with(2, 4), scores).slots == ints{0, 1, 5, 6, 8, 9});
  CHECK(pick(with(2, 2), scores).slots == ints{0, 1, 8, 9});
  CHECK(pick(with(3, 2), scores).slots == ints{0, 1, 8, 9});
  CHECK(pick(with(100, 4), scores).slots == ints{0, 1, 2, 3, 8, 9});
  CHECK(pick(method_of(4, {fill::drop_whole_windows, 1}), scores).windows == ints{0});  // a whole window of 4
}

TEST_CASE("protected ranges stay, whatever they score", "[select]") {
  floats const scores = {0, 9, -infinity, not_a_number, 8, infinity, 0, 0};
  wkv::token_range const ranges[] = {{2, 4}, {7, 9}};  // the second reaches into the suffix
  auto const with = [&](int budget) {
    return method_of(budget, {fill::within_budget, 0, ranges, 2}).with_windows(wkv::fixed_windows{1});
  };
  CHECK(pick(with(3), scores).slots == ints{2, 3, 7, 8, 9});
  CHECK(pick(with(4), scores).slots == ints{2, 3, 5, 7, 8, 9});
  CHECK(
      pick(method_of(8, {fill::drop_whole_windows, 0, ranges, 1}), floats{0, 0, 0, 0, 5, 5, 5, 5, 6, 6, 6, 6})
          .windows == ints{0, 2});
}

TEST_CASE("protected ranges come before sinks where the budget holds only one of them", "[select]") {
  // make_plan promises the ranges; sinks stay as far as the budget reaches.
  wkv::token_range const range_of_two{6, 8};
  auto const method =
      method_of(2, {fill::within_budget, 4, &range_of_two, 1}).with_windows(wkv::fixed_windows{1});
  CHECK(pick(method, floats(8, 0.f)).slots == ints{6, 7, 8, 9});
}

TEST_CASE("an empty range protects nothing", "[select]") {
  wkv::token_range const empty{5, 5};
  auto const method = method_of(4, {fill::within_budget, 0, &empty, 1});
  CHECK(pick(method, flat({1, 2, 3}, 4, 12)).windows == ints{2});
}

TEST_CASE("the retained share of given scores is a share of their sum", "[select]") {
  CHECK(pick(method_of(4), flat({1, 5, 2}, 4, 12)).retained == 0.625f);
  CHECK(pick(method_of(12), flat({1, 5, 2}, 4, 12)).retained == 1.f);
  CHECK(pick(method_of(0), flat({1, 5, 2}, 4, 12)).retained == 0.f);
  CHECK(pick(method_of(4), floats(12, 0.f)).retained == 1.f);
}

TEST_CASE("given scores are no probabilities, whatever the method folds otherwise", "[select]") {
  auto method = wkv::paper_method(4).with_window_scorer(wkv::window_mean{}).with_suffix(2).with_budget(4);
  CHECK(pick(method, flat({10, 50, 20}, 4, 12)).retained == 0.625f);
}

TEST_CASE("over many requests: slots ascend, stay below the plan's maximum, and the budget holds",
          "[select]") {
  random_source random(1);
  for (int i = 0; i < 500; ++i) {
    int const review = random.between(1, 60);
    int const budget = random.between(0, 60);
    floats const scores = random_scores(random, review);
    for (fill rule : {fill::within_budget, fill::drop_whole_windows}) {
      auto const method =
          method_of(budget, {rule, random.below(6)}).with_windows(wkv::fixed_windows{random.between(1, 9)});
      picked const chosen = pick(method, scores);
      int const kept = static_cast<int>(chosen.slots.size());
      CAPTURE(review, budget, kept);
      CHECK(std::adjacent_find(chosen.slots.begin(), chosen.slots.end(), std::greater_equal<>()) ==
            chosen.slots.end());
      CHECK(kept <= chosen.max_kept);
      if (rule == fill::within_budget && budget < review) CHECK(kept <= budget + 2);
      CHECK(chosen.slots.back() == review + 1);
    }
  }
}

TEST_CASE("a larger budget only adds windows", "[select]") {
  random_source random(2);
  for (int i = 0; i < 60; ++i) {
    int const review = random.between(1, 50);
    floats const scores = random_scores(random, review);
    for (fill rule : {fill::within_budget, fill::drop_whole_windows}) {
      int const width = random.between(1, 7);
      ints smaller;
      for (int budget = 0; budget <= review; ++budget) {
        picked const chosen =
            pick(method_of(budget, {rule, 3}).with_windows(wkv::fixed_windows{width}), scores);
        if (!std::includes(chosen.windows.begin(), chosen.windows.end(), smaller.begin(), smaller.end())) {
          CAPTURE(review, width, budget);
          FAIL("a window was lost");
        }
        smaller = chosen.windows;
      }
    }
  }
}

TEST_CASE("heads score windows apart and then count equally", "[select]") {
  // Two heads; windows of 4, best 2 tokens of each head: {8, 1, 4} and {0, 6, 4}, mean {4, 3.5, 4}.
  floats const scores = {8, 8, 0, 0, 1, 1, 1, 1, 4, 4, 4, 4,  //
                         0, 0, 0, 0, 0, 6, 6, 0, 4, 4, 0, 0};
  auto method = wkv::paper_method(4).with_token_scorer(wkv::external_scores{}).with_suffix(2).with_budget(8);
  auto const plan = wkv::make_plan(method, wkv::model_shape{1, 2, 1, 1}, {14});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(wkv::score(serial, *run, 0, wkv::token_scores{scores.data(), 2, 12, 12}));
  auto const chosen = wkv::select(serial, *run, 0);
  REQUIRE(chosen);
  CHECK(windows_of(*chosen) == ints{0, 2});
  CHECK(floats(run->window_scores(), run->window_scores() + 3) == floats{4, 3.5f, 4});
}

TEST_CASE("selecting again gives the same selection", "[select]") {
  floats const scores = flat({1, 3, 2}, 4, 12);
  auto const plan = wkv::make_plan(method_of(4), wkv::model_shape{1, 1, 1, 1}, {14});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(wkv::score(serial, *run, 0, wkv::token_scores{scores.data(), 1, 12, 0}));
  auto const first = wkv::select(serial, *run, 0);
  auto const second = wkv::select(serial, *run, 0);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->slots == second->slots);
  CHECK(slots_of(*first) == slots_of(*second));
  CHECK(first->retained == second->retained);
}

TEST_CASE("selecting out of order is refused", "[select]") {
  auto method =
      wkv::default_method(2).with_token_scorer(wkv::external_scores{1}).with_suffix(2).with_budget(6);
  auto const plan = wkv::make_plan(method, wkv::model_shape{4, 1, 1, 1}, {14});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  floats const scores(12, 1.f);
  wkv::token_scores const source{scores.data(), 1, 12, 0};
  CHECK(message(wkv::select(serial, *run, 0)) ==
        "layer 1: select: layers of the group that scored: got 0, must equal 2");
  REQUIRE(wkv::score(serial, *run, 0, source));
  auto const early = wkv::select(serial, *run, 0);
  CHECK(early.error().code() == wkv::status_code::wrong_order);
  CHECK(message(early) == "layer 1: select: layers of the group that scored: got 1, must equal 2");
  CHECK(message(wkv::score(serial, *run, 0, source)) == "layer 0: score: the layer has scored already");
  REQUIRE(wkv::score(serial, *run, 1, source));
  CHECK(wkv::select(serial, *run, 0).ok());
  CHECK(message(wkv::select(serial, *run, -1)) == "group: got -1, must be at least 0");
  CHECK(message(wkv::select(serial, *run, 2)) == "group: got 2, must be at most 1");
}

TEST_CASE("a score buffer is not handed on before its group has been selected", "[select]") {
  auto const method = method_of(4).with_layer_grouping(wkv::no_sharing{});
  auto const plan = wkv::make_plan(method, wkv::model_shape{2, 1, 1, 1}, {14});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  floats const first = flat({9, 1, 1}, 4, 12);
  floats const second = flat({1, 1, 9}, 4, 12);
  auto const score = [&](int layer, floats const& scores) {
    return wkv::score(serial, *run, layer, wkv::token_scores{scores.data(), 1, 12, 0});
  };
  REQUIRE(score(0, first));
  wkv::status const early = score(1, second);
  CHECK(early.code() == wkv::status_code::wrong_order);
  CHECK(message(early) ==
        "layer 1: score: the score buffer still holds group: got 0, which must be selected before group 1");
  CHECK(windows_of(*wkv::select(serial, *run, 0)) == ints{0});
  CHECK(score(1, second).ok());
  CHECK(windows_of(*wkv::select(serial, *run, 1)) == ints{2});
}

TEST_CASE("groups that keep everything stay inside their memory", "[select]") {
  auto const method =
      method_of(100).with_layer_grouping(wkv::no_sharing{}).with_windows(wkv::fixed_windows{1});
  auto const plan = wkv::make_plan(method, wkv::model_shape{3, 1, 1, 1}, {66});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  std::vector<wkv::selection> all;
  for (int g = 0; g < 3; ++g) all.push_back(*wkv::select(serial, *run, g));
  for (wkv::selection const& each : all) {
    CHECK(slots_of(each) == range(0, 66));
    CHECK(windows_of(each) == range(0, 64));
  }
  auto const* const behind = static_cast<unsigned char const*>(memory.get().data) + plan->workspace_bytes;
  CHECK(reinterpret_cast<unsigned char const*>(all[2].window_ids + all[2].windows) <= behind);
}
