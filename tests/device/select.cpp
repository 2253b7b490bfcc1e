// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Selections from given token scores: the same bits as the host's.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::fill;
using floats = std::vector<float>;

enum class numbers { plain, odd, equal, not_numbers, zeros, exponents };
constexpr numbers all_numbers[] = {numbers::plain,       numbers::odd,   numbers::equal,
                                   numbers::not_numbers, numbers::zeros, numbers::exponents};

floats scores_of(numbers kind, random_source& random, int count) {
  float const odd[] = {not_a_number, infinity, -infinity, -0.f};
  floats all;
  for (int j = 0; j < count; ++j) {
    switch (kind) {
      case numbers::plain:
        all.push_back(random.symmetric() + 1.f);
        break;
      case numbers::odd:  // few values, so many ties
        all.push_back(random.below(25) == 0 ? odd[random.below(4)] : static_cast<float>(random.below(6)));
        break;
      case numbers::equal:
        all.push_back(0.25f);
        break;
      case numbers::not_numbers:
        all.push_back(not_a_number);
        break;
      case numbers::zeros:
        all.push_back(random.below(2) == 0 ? 0.f : -0.f);
        break;
      case numbers::exponents:  // ranks that differ in the lowest digits only, and in the highest
        all.push_back(random.below(2) == 0 ? 1.f + static_cast<float>(random.below(50)) * 1.1920929e-7f
                                           : std::ldexp(random.symmetric(), random.between(-120, 100)));
        break;
    }
  }
  return all;
}

struct settings {
  int review = 100;
  int suffix = 3;
  int budget = 30;
  bool counts_suffix = false;
  int layers = 1;
  int heads = 2;
  wkv::head_merge merge = wkv::head_merge::at_windows;
  wkv::layer_merge layer_merge = wkv::layer_merge::first;
  wkv::head_reduction reduction = wkv::head_reduction::mean;
  wkv::top_windows selector{};
};

/// `kind` of numbers for every layer, through the method made of these policies.
template <class Pooling, class Windows, class WindowScorer>
void check(settings const& s, Pooling const& pooling, Windows const& windows, WindowScorer const& scorer,
           numbers kind, unsigned seed = 1) {
  CAPTURE(s.review, s.suffix, s.budget, s.counts_suffix, s.layers, s.heads, static_cast<int>(s.merge),
          static_cast<int>(s.layer_merge), static_cast<int>(s.reduction), static_cast<int>(s.selector.rule),
          s.selector.sinks, s.selector.range_count, static_cast<int>(kind));
  wkv::scoring<wkv::external_scores, Pooling, Windows, WindowScorer> const scoring{
      s.suffix, {s.heads}, pooling, windows, scorer, s.merge, s.layer_merge, s.reduction};
  auto const method = method_of(scoring)
                          .with_budget_shape(wkv::uniform_budget{s.counts_suffix})
                          .with_budget(s.budget)
                          .with_layer_grouping(wkv::uniform_groups{s.layers, wkv::scoring_layers::all})
                          .with_selector(s.selector);
  both<std::decay_t<decltype(method)>> pair(method, {s.layers, 1, 1, 1}, s.review + s.suffix);
  random_source random(seed);
  for (int l = 0; l < s.layers; ++l) {
    floats const scores = scores_of(kind, random, std::max(1, s.heads * pair.plan.review));
    if (pair.plan.layer[l].scores != 0 && pair.plan.group[0].keeps_all == 0) pair.score(l, scores, s.heads);
  }
  pair.check_select();
}

settings random_settings(random_source& random) {
  settings s;
  s.review = random.between(1, 400);
  s.suffix = random.between(0, 6);  // scores that need no queries need no suffix
  s.counts_suffix = random.below(2) == 0;
  s.budget = random.below(6) == 0 ? 1 : random.between(1, s.review + 2);
  s.layers = random.between(1, 3);
  s.heads = random.between(1, 3);
  s.merge = random.below(2) == 0 ? wkv::head_merge::at_tokens : wkv::head_merge::at_windows;
  s.layer_merge = static_cast<wkv::layer_merge>(random.below(3));
  if (s.merge == wkv::head_merge::at_windows) {
    s.reduction = static_cast<wkv::head_reduction>(random.below(3));
  }
  s.selector.rule = random.below(2) == 0 ? fill::within_budget : fill::drop_whole_windows;
  s.selector.sinks = random.below(3) == 0 ? random.below(10) : 0;
  return s;
}

}  // namespace

TEST_CASE("select: windows of every width, any numbers", "[select]") {
  WKV_NEEDS_DEVICE();
  random_source random(1);
  for (int width : {1, 3, 8, 16, 100, 1500}) {
    for (numbers kind : all_numbers) {
      settings s = random_settings(random);
      s.review = width < 100 ? s.review : random.between(width - 1, 3 * width);
      s.budget = random.between(1, s.review);
      check(s, wkv::no_pooling{}, wkv::fixed_windows{width}, wkv::window_mean{}, kind);
      check(s, wkv::no_pooling{}, wkv::fixed_windows{width}, wkv::window_top_mean{random.between(1, 5)},
            kind);
    }
  }
}

TEST_CASE("select: pooling", "[select]") {
  WKV_NEEDS_DEVICE();
  random_source random(2);
  for (numbers kind : all_numbers) {
    for (int i = 0; i < 4; ++i) {
      settings const s = random_settings(random);
      int const width = i % 2 == 0 ? 1 : random.between(2, 12);
      check(s, wkv::max_pooling{7, 0}, wkv::fixed_windows{width}, wkv::window_mean{}, kind);
      check(s, wkv::max_pooling{random.below(5), random.below(30)}, wkv::fixed_windows{width},
            wkv::window_mean{}, kind);
      check(s, wkv::average_pooling{random.below(9), random.below(9), random.below(2) == 0},
            wkv::fixed_windows{width}, wkv::window_top_mean{2}, kind);
    }
  }
}

TEST_CASE("select: several blocks pool across their edges", "[select]") {
  WKV_NEEDS_DEVICE();
  random_source random(3);
  for (int span : {3, 500, 1022, 1023, 1024, 1025, 1400}) {  // tokens that a block may stage: 1024 of reach
    for (bool looks_back : {false, true}) {
      settings s;
      s.merge = wkv::head_merge::at_tokens;
      s.review = random.between(2000, 3500);
      s.budget = 700;
      s.layers = 2;
      s.layer_merge = looks_back ? wkv::layer_merge::maximum : wkv::layer_merge::mean;
      wkv::max_pooling const pooling{looks_back ? span : 0, looks_back ? 0 : span};
      check(s, pooling, wkv::fixed_windows{1}, wkv::window_mean{}, numbers::plain);
      check(s, pooling, wkv::fixed_windows{3}, wkv::window_mean{}, numbers::odd);
    }
  }
  for (int width : {1, 5, 8, 1000, 1024, 1025}) {
    settings s;
    s.merge = wkv::head_merge::at_tokens;
    s.review = 5000;
    s.budget = 2100;
    check(s, wkv::average_pooling{2, 3, true}, wkv::fixed_windows{width}, wkv::window_mean{}, numbers::plain);
    s.merge = wkv::head_merge::at_windows;
    check(s, wkv::average_pooling{2, 3, true}, wkv::fixed_windows{width}, wkv::window_mean{}, numbers::odd);
  }
}

TEST_CASE("select: windows where the caller says", "[select][sanitize]") {
  WKV_NEEDS_DEVICE();
  random_source random(4);
  for (int i = 0; i < 12; ++i) {
    settings s = random_settings(random);
    std::vector<std::int32_t> begins;
    for (int at = 0; at < s.review + 20; at += random.between(1, 20))
      begins.push_back(at);  // some begin behind R
    device_array<std::int32_t> const there(begins);
    wkv::boundary_windows const windows{begins.data(), static_cast<int>(begins.size()), there.data()};
    for (numbers kind : {numbers::plain, numbers::odd}) {
      check(s, wkv::no_pooling{}, windows, wkv::window_mean{}, kind);
      check(s, wkv::max_pooling{3, 1}, windows, wkv::window_mean{}, kind);
    }
  }
}

TEST_CASE("select: sinks, ranges and both rules", "[select][sanitize]") {
  WKV_NEEDS_DEVICE();
  random_source random(5);
  for (int i = 0; i < 24; ++i) {
    settings s = random_settings(random);
    s.review = random.between(120, 300);
    s.budget = random.between(90, s.review - 1);
    s.counts_suffix = false;
    std::vector<wkv::token_range> ranges{{random.below(30), 31}, {60, 60}, {100, 100 + random.below(20)}};
    device_array<wkv::token_range> const there(ranges);
    s.selector.sinks = i % 3 == 0 ? 0 : random.below(100);  // more than the budget holds, too
    s.selector.ranges = ranges.data();
    s.selector.device_ranges = there.data();
    s.selector.range_count = 3;
    check(s, wkv::no_pooling{}, wkv::fixed_windows{random.between(1, 9)}, wkv::window_mean{},
          all_numbers[i % 6]);
  }
}

TEST_CASE("select: budgets at the ends", "[select][sanitize]") {
  WKV_NEEDS_DEVICE();
  for (fill rule : {fill::within_budget, fill::drop_whole_windows}) {
    for (int review : {1, 7, 8, 9, 100}) {
      for (int budget : {0, 1, review - 1, review, review + 1}) {
        for (bool counts_suffix : {false, true}) {
          settings s;
          s.review = review;
          s.budget = counts_suffix && budget < 1 ? 1 : budget;
          s.counts_suffix = counts_suffix;
          s.selector.rule = rule;
          check(s, wkv::no_pooling{}, wkv::fixed_windows{8}, wkv::window_mean{}, numbers::odd);
        }
      }
    }
  }
  settings none;  // the prompt is no longer than the suffix
  none.review = 0;
  none.budget = 1;
  check(none, wkv::no_pooling{}, wkv::fixed_windows{8}, wkv::window_mean{}, numbers::plain);
  none.counts_suffix = true;
  check(none, wkv::no_pooling{}, wkv::fixed_windows{8}, wkv::window_mean{}, numbers::plain);
}

TEST_CASE("select: tens of thousands of windows", "[select]") {
  WKV_NEEDS_DEVICE();
  random_source random(6);
  for (numbers kind : all_numbers) {
    settings s;
    s.review = random.between(20000, 60000);
    s.heads = 1;
    s.budget = random.between(1, s.review);
    s.merge = random.below(2) == 0 ? wkv::head_merge::at_tokens : wkv::head_merge::at_windows;
    s.selector.rule = random.below(2) == 0 ? fill::within_budget : fill::drop_whole_windows;
    s.selector.sinks = 4;
    check(s, wkv::no_pooling{}, wkv::fixed_windows{1 + random.below(2)}, wkv::window_mean{}, kind);
  }
}

TEST_CASE("select: few threads", "[select][race]") {
  WKV_NEEDS_DEVICE();
  settings s;
  s.review = 700;
  s.budget = 100;
  s.merge = wkv::head_merge::at_tokens;
  check(s, wkv::no_pooling{}, wkv::fixed_windows{8}, wkv::window_mean{}, numbers::odd);  // one block
}

TEST_CASE("select: blocks hand over to the last of them", "[select][race]") {
  WKV_NEEDS_DEVICE();
  settings s;
  s.review = 1500;
  s.budget = 400;
  s.merge = wkv::head_merge::at_tokens;
  check(s, wkv::max_pooling{7, 0}, wkv::fixed_windows{1}, wkv::window_mean{}, numbers::plain);
}

TEST_CASE("select: asked again, says the same", "[select][sanitize]") {
  WKV_NEEDS_DEVICE();
  auto const method =
      method_of(wkv::scoring<wkv::external_scores, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>{
                    4, {1}, {}, {4}, {}})
          .with_budget(20);
  both<std::decay_t<decltype(method)>> pair(method, {1, 1, 1, 1}, 100);
  random_source random(7);
  pair.score(0, scores_of(numbers::plain, random, pair.plan.review), 1);
  auto const first = wkv::select(pair.on, pair.run, 0);
  REQUIRE(first);
  device_selection const once = selection_of(pair.run, 0);
#if !defined(__CUDACC__)
  auto const launches = cuda_emulator::launches();
#endif
  auto const second = wkv::select(pair.on, pair.run, 0);
  REQUIRE(second);
#if !defined(__CUDACC__)
  CHECK(cuda_emulator::launches() == launches);
#endif
  CHECK(first->slots == second->slots);
  CHECK(first->window_ids == second->window_ids);
  CHECK(first->counts == second->counts);
  CHECK(selection_of(pair.run, 0) == once);
}
