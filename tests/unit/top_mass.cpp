// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// wkv::top_mass: the fewest windows that hold a share of the scores.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/policy/selectors.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using floats = std::vector<float>;

wkv::top_mass mass(float share, int least = 0, int sinks = 0) {
  wkv::top_mass selector;
  selector.share = share;
  selector.least = least;
  selector.sinks = sinks;
  return selector;
}

auto method_of(wkv::top_mass const& selector, int budget, int width = 1) {
  return wkv::paper_method(width)
      .with_token_scorer(wkv::external_scores{})
      .with_window_scorer(wkv::window_mean{})
      .with_layer_grouping(wkv::no_sharing{})
      .with_budget_shape(wkv::uniform_budget{})
      .with_suffix(1)
      .with_selector(selector)
      .with_budget(budget);
}

/// What each list keeps of the review part, by the scores of one head per list.
template <class Method>
std::vector<ints> pick(Method const& method, std::vector<floats> const& scores) {
  auto const heads = static_cast<int>(scores.size());
  auto const review = static_cast<int>(scores[0].size());
  floats flat;
  for (floats const& row : scores) flat.insert(flat.end(), row.begin(), row.end());
  auto const plan = wkv::make_plan(method, wkv::model_shape{1, heads, heads, 1}, {review + 1});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(message(wkv::score(serial, *run, 0, wkv::token_scores{flat.data(), heads, review, review})) ==
          "ok");
  auto const chosen = wkv::select(serial, *run, 0);
  REQUIRE(message(chosen) == "ok");
  std::vector<ints> lists;
  for (int list = 0; list < chosen->lists; ++list) {
    wkv::slot_list const one = chosen->list(list);
    CHECK(one.slots[one.count - 1] == review);  // the suffix
    lists.emplace_back(one.slots, one.slots + one.count - 1);
  }
  return lists;
}
ints pick(wkv::top_mass const& selector, int budget, floats const& scores, int width = 1) {
  return pick(method_of(selector, budget, width), {scores})[0];
}

floats const halves = {1, 8, 2, 4, 1};  // of 16

}  // namespace

TEST_CASE("the fewest tokens that hold the share", "[top_mass]") {
  CHECK(pick(mass(0.5f), 5, halves) == ints{1});
  CHECK(pick(mass(0.51f), 5, halves) == ints{1, 3});
  CHECK(pick(mass(0.75f), 5, halves) == ints{1, 3});
  CHECK(pick(mass(0.875f), 5, halves) == ints{1, 2, 3});
  CHECK(pick(mass(0.88f), 5, halves) == ints{0, 1, 2, 3});
  CHECK(pick(mass(0.f), 5, halves).empty());
  CHECK(pick(mass(1.f), 5, {4, 4, 0, 8, 0}) == ints{0, 1, 3});  // a token without mass is not needed
}

TEST_CASE("the budget is the ceiling, `least` the floor", "[top_mass]") {
  CHECK(pick(mass(1.f), 3, halves) == ints{1, 3});  // 2 and the suffix
  CHECK(pick(mass(1.f), 1, halves).empty());
  CHECK(pick(mass(0.5f, 1), 5, halves) == ints{1});
  CHECK(pick(mass(0.5f, 3), 5, halves) == ints{1, 2, 3});
  CHECK(pick(mass(0.f, 2), 5, halves) == ints{1, 3});
  CHECK(pick(mass(0.5f, 9), 4, halves) == ints{1, 2, 3});  // no more than the budget
}

TEST_CASE("a prompt within its budget stays whole, whatever it scores", "[top_mass]") {
  CHECK(pick(mass(0.1f), 6, halves) == range(0, 5));
  CHECK(pick(mass(0.1f), 5, halves) == ints{1});
}

TEST_CASE("protected tokens stay, and their mass counts", "[top_mass]") {
  CHECK(pick(mass(0.5f, 0, 1), 5, halves) == ints{0, 1});
  CHECK(pick(mass(0.f, 0, 3), 5, halves) == ints{0, 1, 2});
  CHECK(pick(mass(0.5f, 0, 2), 5, halves) == ints{0, 1});
  wkv::token_range const ranges[] = {{3, 5}};
  wkv::top_mass selector = mass(0.75f);
  selector.ranges = ranges;
  selector.range_count = 1;
  CHECK(pick(selector, 5, halves) == ints{1, 3, 4});  // 5 of 16, and then 8
  selector.share = 0.1f;
  CHECK(pick(selector, 5, halves) == ints{3, 4});
}

TEST_CASE("windows hold the mass of their tokens", "[top_mass]") {
  floats const scores = {1, 1, 6, 2, 3, 3};  // windows of 2, 8 and 6
  CHECK(pick(mass(0.5f), 6, scores, 2) == ints{2, 3});
  CHECK(pick(mass(0.51f), 6, scores, 2) == ints{2, 3, 4, 5});
  CHECK(pick(mass(0.5f, 3), 6, scores, 2) == ints{2, 3, 4, 5});
  CHECK(pick(mass(0.9f), 4, scores, 2) == ints{2, 3});  // the next does not fit
}

TEST_CASE("every KV head stops at its own share", "[top_mass]") {
  std::vector<floats> const two = {{1, 8, 2, 4, 1}, {4, 4, 4, 4, 0}};
  auto const heads = method_of(mass(0.5f), 5).with_head_sharing(wkv::each_kv_head{});
  CHECK(pick(heads, two) == std::vector<ints>{{1}, {0, 1}});
  // One list for both: 5 12 6 8 1 of 32.
  CHECK(pick(method_of(mass(0.5f), 5), two) == std::vector<ints>{{1, 3}});
}

TEST_CASE("ties, no mass at all, and NaN", "[top_mass]") {
  CHECK(pick(mass(0.5f), 4, {2, 2, 2, 2}) == ints{0, 1});
  CHECK(pick(mass(0.5f), 4, {0, 0, 0, 0}).empty());  // half of nothing is held at once
  CHECK(pick(mass(0.5f, 2), 4, {0, 0, 0, 0}) == ints{0, 1});
  // A share of NaN is never held: the budget decides.
  CHECK(pick(mass(0.5f), 4, {1, not_a_number, 8, 2}) == ints{0, 2, 3});
  CHECK(pick(mass(0.5f), 4, floats(4, not_a_number)) == ints{0, 1, 2});
}

TEST_CASE("a larger share or budget only adds", "[top_mass]") {
  random_source random(2);
  for (int i = 0; i < 300; ++i) {
    floats scores;
    for (int j = random.between(1, 50); j > 0; --j) scores.push_back(static_cast<float>(random.below(9)));
    int const budget = random.between(1, static_cast<int>(scores.size()));
    float const share = static_cast<float>(random.between(0, 9)) / 10.f;
    ints const some = pick(mass(share), budget, scores);
    ints const more = pick(mass(share + 0.1f), budget, scores);
    ints const rich = pick(mass(share), budget + 1, scores);
    CHECK(static_cast<int>(some.size()) < budget);
    CHECK(std::includes(more.begin(), more.end(), some.begin(), some.end()));
    CHECK(std::includes(rich.begin(), rich.end(), some.begin(), some.end()));
  }
}

TEST_CASE("a share that means nothing is refused", "[top_mass]") {
  auto const refusal = [](wkv::top_mass const& selector) {
    return message(wkv::make_plan(method_of(selector, 5), wkv::model_shape{1, 1, 1, 1}, {9}));
  };
  for (float bad : {-0.1f, 1.5f, not_a_number})
    CHECK(refusal(mass(bad)) == "top_mass.share: must lie in [0, 1]");
  CHECK(refusal(mass(0.5f, -1)) == "top_mass.least: got -1, must be at least 0");
  CHECK(refusal(mass(0.5f, 0, -1)) == "top_windows.sinks: got -1, must be at least 0");
  CHECK((wkv::is_selector_v<wkv::top_mass> && wkv::stops_early_v<wkv::top_mass>));
  CHECK_FALSE(wkv::stops_early_v<wkv::top_windows>);
}

TEST_CASE("a selector of mass as device code may read it", "[top_mass]") {
  wkv::token_range const ranges[] = {{0, 1}};
  wkv::top_mass selector = mass(0.5f, 3, 2);
  selector.ranges = ranges;
  selector.range_count = 1;
  CHECK(message(selector.validate_on_device()) == "top_windows.device_ranges: must not be null");
  selector.device_ranges = ranges;
  CHECK(message(selector.validate_on_device()) == "ok");
  wkv::top_mass const there = selector.on_device();
  CHECK((there.share == 0.5f && there.least == 3 && there.sinks == 2 && there.ranges == ranges));
}
