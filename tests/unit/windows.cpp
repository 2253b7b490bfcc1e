// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What turns token scores into window scores: poolings, window groupings, window scorers.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv_test::infinity;
using wkv_test::message;
using wkv_test::not_a_number;
using floats = std::vector<float>;
using ints = std::vector<int>;

template <class Pooling>
floats pooled(Pooling const& pooling, floats const& scores) {
  floats out;
  int const n = static_cast<int>(scores.size());
  for (int j = 0; j < n; ++j) out.push_back(wkv::detail::pooled_score(pooling, scores.data(), n, j));
  return out;
}

template <class Scorer>
float folded(Scorer const& scorer, floats const& scores) {
  auto state = scorer.init();
  for (float score : scores) scorer.add(state, score);
  return scorer.finish(state, static_cast<int>(scores.size()));
}

/// begin of each window, then the end of the last.
template <class Grouping>
ints cuts(Grouping const& grouping, int review) {
  ints all;
  int const count = grouping.count(review);
  for (int i = 0; i < count; ++i) {
    all.push_back(grouping.begin(i, review));
    if (i > 0) CHECK(grouping.end(i - 1, review) == grouping.begin(i, review));
  }
  if (count > 0) all.push_back(grouping.end(count - 1, review));
  return all;
}

/// A custom window scorer: rewards one sharp token.
struct peak_minus_mean {
  struct state_type {
    float peak, sum;
  };
  float weight = 0.5f;
  state_type init() const { return {0.f, 0.f}; }
  void add(state_type& s, float score) const {
    s.peak = score > s.peak ? score : s.peak;
    s.sum += score;
  }
  float finish(state_type const& s, int tokens) const {
    return s.peak - weight * s.sum / static_cast<float>(tokens);
  }
};
static_assert(wkv::is_window_scorer_v<peak_minus_mean>);

}  // namespace

TEST_CASE("maximum pooling leans as it is told", "[pooling]") {
  floats const scores = {1, 9, 2, 3, 0, 5};
  CHECK(pooled(wkv::no_pooling{}, scores) == scores);
  CHECK(pooled(wkv::max_pooling{}, scores) == scores);
  CHECK(pooled(wkv::max_pooling{2, 0}, scores) == floats{1, 9, 9, 9, 3, 5});
  CHECK(pooled(wkv::max_pooling{0, 2}, scores) == floats{9, 9, 3, 5, 5, 5});
  CHECK(pooled(wkv::max_pooling{1, 1}, scores) == floats{9, 9, 9, 3, 5, 5});
  CHECK(pooled(wkv::max_pooling{INT32_MAX, INT32_MAX}, scores) == floats{9, 9, 9, 9, 9, 9});
}

TEST_CASE("maximum pooling sees numbers before NaN", "[pooling]") {
  floats const out =
      pooled(wkv::max_pooling{1, 0}, {not_a_number, -infinity, not_a_number, not_a_number, -3});
  CHECK(std::isnan(out[0]));
  CHECK(out[1] == -infinity);
  CHECK(out[2] == -infinity);
  CHECK(std::isnan(out[3]));
  CHECK(out[4] == -3);
}

TEST_CASE("average pooling cuts the span at the edges or pads it with zeros", "[pooling]") {
  floats const scores = {3, 6, 0, 3};
  CHECK(pooled(wkv::average_pooling{1, 1, false}, scores) == floats{4.5f, 3, 3, 1.5f});
  CHECK(pooled(wkv::average_pooling{1, 1, true}, scores) == floats{3, 3, 3, 1});
  CHECK(pooled(wkv::average_pooling{2, 0, false}, scores) == floats{3, 4.5f, 3, 3});
  CHECK(pooled(wkv::average_pooling{2, 0, true}, scores) == floats{1, 3, 3, 3});
}

TEST_CASE("fixed windows cover the review part", "[windows]") {
  CHECK(cuts(wkv::fixed_windows{8}, 24) == ints{0, 8, 16, 24});
  CHECK(cuts(wkv::fixed_windows{8}, 25) == ints{0, 8, 16, 24, 25});
  CHECK(cuts(wkv::fixed_windows{8}, 23) == ints{0, 8, 16, 23});
  CHECK(cuts(wkv::fixed_windows{8}, 8) == ints{0, 8});
  CHECK(cuts(wkv::fixed_windows{8}, 3) == ints{0, 3});
  CHECK(cuts(wkv::fixed_windows{8}, 0).empty());
  CHECK(cuts(wkv::fixed_windows{1}, 3) == ints{0, 1, 2, 3});
  CHECK(cuts(wkv::fixed_windows{INT32_MAX}, 1 << 30) == ints{0, 1 << 30});
  CHECK(wkv::fixed_windows{8}.nominal_tokens(3, 25) == 8);
  CHECK(wkv::fixed_windows{1}.validate(5).ok());
  CHECK(message(wkv::fixed_windows{0}.validate(5)) == "window_grouping.width: got 0, must be at least 1");
}

TEST_CASE("boundary windows start where the caller says", "[windows]") {
  std::int32_t const begins[] = {0, 3, 4, 9};
  wkv::boundary_windows const windows{begins, 4};
  CHECK(cuts(windows, 12) == ints{0, 3, 4, 9, 12});
  CHECK(cuts(windows, 10) == ints{0, 3, 4, 9, 10});
  CHECK(cuts(windows, 9) == ints{0, 3, 4, 9});  // a window that starts at R is left out
  CHECK(cuts(windows, 4) == ints{0, 3, 4});
  CHECK(cuts(windows, 1) == ints{0, 1});
  CHECK(cuts(windows, 0).empty());
  CHECK(windows.nominal_tokens(2, 12) == 5);
  CHECK(windows.nominal_tokens(2, 6) == 2);
  CHECK(windows.validate(12).ok());
}

TEST_CASE("bad boundaries are refused", "[windows]") {
  std::int32_t const late[] = {1, 3};
  std::int32_t const falling[] = {0, 3, 2};
  std::int32_t const equal[] = {0, 3, 3};
  using wkv::boundary_windows;
  CHECK(message(boundary_windows{}.validate(9)) == "boundary_windows.begins: must not be null");
  CHECK(message(boundary_windows{late, 0}.validate(9)) ==
        "boundary_windows.windows: got 0, must be at least 1");
  CHECK(message(boundary_windows{late, 2}.validate(9)) == "boundary_windows.begins[0]: got 1, must equal 0");
  CHECK(message(boundary_windows{falling, 3}.validate(9)) ==
        "boundary_windows.begins (ascending): got 2, must be at least 4");
  CHECK(message(boundary_windows{equal, 3}.validate(9)) ==
        "boundary_windows.begins (ascending): got 3, must be at least 4");
  CHECK(boundary_windows{}.validate(0).ok());  // nothing to cut
}

TEST_CASE("window_mean is the mean", "[windows]") {
  CHECK(folded(wkv::window_mean{}, {1, 2, 6}) == 3.f);
  CHECK(std::isnan(folded(wkv::window_mean{}, {1, not_a_number, 6})));
}

TEST_CASE("window_top_mean is the mean of the best", "[windows]") {
  using wkv::window_top_mean;
  CHECK(folded(window_top_mean{2}, {1, 9, 2, 5}) == 7.f);
  CHECK(folded(window_top_mean{2}, {9, 5, 2, 1}) == 7.f);
  CHECK(folded(window_top_mean{2}, {1, 2, 5, 9}) == 7.f);
  CHECK(folded(window_top_mean{1}, {1, 9, 9, 5}) == 9.f);
  CHECK(folded(window_top_mean{4}, {3, 1}) == 2.f);  // fewer tokens than `top`
  CHECK(folded(window_top_mean{2}, {-5, -3, -4}) == -3.5f);
  CHECK(folded(window_top_mean{3}, {-infinity, 2, 4, 6}) == 4.f);
  CHECK(std::isnan(folded(window_top_mean{0}, {1, 2})));
  // NaN ranks below every number: it counts only where nothing else is left.
  CHECK(folded(window_top_mean{2}, {not_a_number, 4, not_a_number, 2}) == 3.f);
  CHECK(folded(window_top_mean{2}, {not_a_number, -infinity, not_a_number, 2}) == -infinity);
  CHECK(std::isnan(folded(window_top_mean{2}, {not_a_number, 4, not_a_number})));
}

TEST_CASE("window_top_mean adds from the largest down, whatever the order of arrival", "[windows]") {
  float const big = 16777216.f;  // 2^24: adding 1 twice changes nothing, adding 2 does
  CHECK(folded(wkv::window_top_mean{3}, {1.f, 1.f, big}) == big / 3.f);
  CHECK(folded(wkv::window_top_mean{3}, {big, 1.f, 1.f}) == big / 3.f);
}

TEST_CASE("window_top_mean holds at most 64", "[windows]") {
  floats const many = [] {
    floats v;
    for (int i = 0; i < 100; ++i) v.push_back(static_cast<float>(i * 37 % 100));
    return v;
  }();
  CHECK(folded(wkv::window_top_mean{64}, many) == 67.5f);  // mean of 36 .. 99
  CHECK(wkv::window_top_mean{64}.validate().ok());
  CHECK(wkv::window_top_mean{0}.validate().ok());
  CHECK(message(wkv::window_top_mean{65}.validate()) == "window_top_mean.top: got 65, must be at most 64");
  CHECK(message(wkv::window_top_mean{-1}.validate()) == "window_top_mean.top: got -1, must be at least 0");
}

TEST_CASE("a task follows from a probability", "[windows]") {
  CHECK(wkv::task_from_probability(0.5f) == wkv::task::localization);
  CHECK(wkv::task_from_probability(0.49f) == wkv::task::aggregation);
  CHECK(wkv::task_from_probability(0.49f, 0.4f) == wkv::task::localization);
  CHECK(wkv::task_from_probability(not_a_number) == wkv::task::aggregation);
}

TEST_CASE("a custom window scorer decides end to end", "[windows]") {
  // Windows of 4: flat and high, one sharp token, low. By the mean the first wins, by the custom rule the
  // second.
  floats const scores = {5, 5, 5, 5, 0, 8, 0, 0, 1, 1, 1, 1};
  auto const kept_window = [&](auto const& method) {
    auto const plan = wkv::make_plan(method, wkv::model_shape{1, 1, 1, 4}, {14, wkv::task::aggregation});
    REQUIRE(plan);
    wkv_test::scratch const memory(plan->workspace_bytes);
    auto run = wkv::begin(*plan, memory.get());
    REQUIRE(run);
    REQUIRE(wkv::score(wkv_test::serial, *run, 0, wkv::token_scores{scores.data(), 1, 12, 0}));
    auto const chosen = wkv::select(wkv_test::serial, *run, 0);
    REQUIRE(chosen);
    REQUIRE(chosen->windows == 1);
    return std::pair(chosen->window_ids[0], run->window_scores()[chosen->window_ids[0]]);
  };
  auto const by_mean =
      wkv::paper_method(4).with_token_scorer(wkv::external_scores{1}).with_suffix(2).with_budget(4);
  CHECK(kept_window(by_mean) == std::pair(0, 5.f));
  CHECK(kept_window(by_mean.with_window_scorer(peak_minus_mean{})) == std::pair(1, 8.f - 0.5f * 2.f));
  CHECK(kept_window(by_mean.with_window_scorer(peak_minus_mean{2.5f})) == std::pair(1, 8.f - 2.5f * 2.f));
}
