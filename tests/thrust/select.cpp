// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/thrust/select.cuh"

#include <cstddef>
#include <cstdint>
#include <vector>

#include "system.hpp"

namespace thrust_select {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::fill;

constexpr int most_heads = 3;

/// One layer scored from given token scores; the budget does not count the suffix of 2.
template <class Pooling, class Windows, class WindowScorer>
auto method_of(int heads, int budget, wkv::top_windows const& selector, Pooling pooling, Windows windows,
               WindowScorer window_scorer) {
  using scoring = wkv::scoring<wkv::external_scores, Pooling, Windows, WindowScorer>;
  scoring const one{2, {heads}, pooling, windows, window_scorer};
  return wkv::method<scoring, scoring, wkv::uniform_budget, wkv::uniform_groups, wkv::top_windows>{
      one, one, {false}, {}, selector, budget};
}

/// Compares the selections of random requests; `make(random, review, heads, budget, selector)` is a method.
template <class Make>
void compare(unsigned seed, Make make) {
  random_source random(seed);
  for (int i = 0; i < 60; ++i) {
    int const review = random.between(1, random.below(4) == 0 ? 900 : 50);
    int const heads = random.between(1, most_heads);
    int const budget = random.below(review + 2);
    int const first = random.below(review);
    std::vector<wkv::token_range> const ranges{{first, first + 1}, {5, 5}, {review, review + 1}};
    resident<wkv::token_range> const there(ranges);
    wkv::top_windows selector{random.below(2) == 0 ? fill::within_budget : fill::drop_whole_windows};
    selector.sinks = random.below(3) == 0 ? random.below(9) : 0;
    bool const is_protected = random.below(4) == 0;
    if (is_protected) {
      selector.ranges = ranges.data();
      selector.range_count = 3;
      selector.device_ranges = there.data();
    }
    bool const is_odd = random.below(2) == 0;
    CAPTURE(i, review, heads, budget, selector.sinks, static_cast<int>(selector.rule), is_protected, is_odd);
    auto const method = make(random, review, heads, budget, selector);
    wkv::model_shape const shape{1, heads, 1, 1};
    // A budget that cannot hold the protected window is make_plan's to refuse.
    if (!wkv::make_plan(method, shape, {review + 2})) continue;
    both runs(method, shape, review + 2);
    if (runs.plan.group[0].keeps_all == 0) {
      int const count = heads * review;
      runs.score(0, is_odd ? odd_scores(random, count) : plain_scores(random, count), heads);
    }
    runs.select();
  }
}

/// What a user hands to a policy for temporary memory.
struct counting_allocator {
  using value_type = char;
  int allocations = 0;
  int alive = 0;
  char* allocate(std::ptrdiff_t bytes) {
    ++allocations;
    ++alive;
    return static_cast<char*>(wkv_test::allocate(static_cast<std::size_t>(bytes)));
  }
  void deallocate(char* data, std::size_t /*bytes*/) {
    --alive;
    fetch(data, 0);  // the work that uses it has run
    release(data);
  }
};

}  // namespace

TEST_CASE("thrust: selections of fixed windows are those of the host", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  compare(1, [](random_source& random, int, int heads, int budget, wkv::top_windows const& selector) {
    auto method =
        method_of(heads, budget, selector, wkv::no_pooling{}, wkv::fixed_windows{random.between(1, 9)},
                  wkv::window_top_mean{random.between(0, 5)});
    if (random.below(2) == 0) method.localization.heads = wkv::head_merge::at_tokens;
    return method;
  });
}

TEST_CASE("thrust: selections of pooled windows are those of the host", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  compare(2, [](random_source& random, int, int heads, int budget, wkv::top_windows const& selector) {
    return method_of(heads, budget, selector, wkv::max_pooling{random.below(8), random.below(8)},
                     wkv::fixed_windows{random.between(1, 5)}, wkv::window_mean{});
  });
  compare(3, [](random_source& random, int, int heads, int budget, wkv::top_windows const& selector) {
    return method_of(heads, budget, selector,
                     wkv::average_pooling{random.below(8), random.below(8), random.below(2) == 0},
                     wkv::fixed_windows{1}, wkv::window_mean{});
  });
}

TEST_CASE("thrust: selections of windows that the caller bounds are those of the host", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  std::vector<std::int32_t> begins{0};
  random_source random(4);
  while (begins.back() < 1000) begins.push_back(begins.back() + random.between(1, 12));
  resident<std::int32_t> const there(begins);
  wkv::boundary_windows const windows{begins.data(), static_cast<int>(begins.size()), there.data()};
  compare(5, [&](random_source&, int, int heads, int budget, wkv::top_windows const& selector) {
    return method_of(heads, budget, selector, wkv::no_pooling{}, windows, wkv::window_mean{});
  });
}

TEST_CASE("thrust: a budget that does not reach beyond the suffix", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(6);
  auto const method = wkv::default_method(1).with_token_scorer(wkv::external_scores{1}).with_suffix(16);
  for (int budget : {1, 15, 16, 17, 20}) {
    both runs(method.with_budget(budget), {1, 2, 1, 1}, 20);
    if (runs.plan.group[0].keeps_all == 0) runs.score(0, plain_scores(random, 4), 1);
    CHECK(runs.select().kept == budget);
  }
  both no_review(method.with_budget(3), {1, 2, 1, 1}, 10);
  no_review.score(0, {0.f}, 1);
  CHECK(no_review.select().kept == 3);
}

TEST_CASE("thrust: a group whose prompt fits keeps everything without scores", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  both runs(wkv::default_method(1).with_windows(wkv::fixed_windows{4}).with_budget(100), {3, 2, 1, 1}, 23);
  for (int g = 0; g < 3; ++g) CHECK(runs.select(g).kept == 23);
}

TEST_CASE("thrust: selecting again gives the same selection, and the order of stages is kept",
          "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(7);
  auto const method =
      wkv::default_method(2).with_token_scorer(wkv::external_scores{1}).with_suffix(2).with_budget(6);
  both runs(method, {4, 1, 1, 1}, 14);
  CHECK(message(wkv::select(backend(), runs.run, 0)) ==
        "layer 1: select: layers of the group that scored: got 0, must equal 2");
  CHECK(message(wkv::select(backend(), runs.run, -1)) == "group: got -1, must be at least 0");
  CHECK(message(wkv::select(backend(), runs.run, 2)) == "group: got 2, must be at most 1");
  for (int l = 0; l < 2; ++l) runs.score(l, plain_scores(random, 12), 1);
  runs.select(0);
  auto const first = wkv::select(backend(), runs.run, 0);
  REQUIRE(first);
  std::vector<std::int32_t> const slots = fetch(first->slots, 8);
  for (int l = 2; l < 4; ++l) runs.score(l, plain_scores(random, 12), 1);  // the score buffer is used again
  runs.select(1);
  auto const second = wkv::select(backend(), runs.run, 0);
  REQUIRE(second);
  CHECK(second->slots == first->slots);
  CHECK(second->counts == first->counts);
  CHECK(fetch(second->slots, 8) == slots);
}

TEST_CASE("thrust: temporary memory comes from the policy's allocator", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  counting_allocator allocator;
  auto const on = backend_with(allocator);
  static_assert(decltype(on)::space == space);
  static_assert(wkv::thrust_executor{thrust::host}.space == wkv::memory_space::host);
  random_source random(8);
  both runs(method_of(1, 500, {}, wkv::no_pooling{}, wkv::fixed_windows{1}, wkv::window_mean{}), {1, 1, 1, 1},
            902);
  runs.score(0, plain_scores(random, 900), 1);
  REQUIRE(message(wkv::select(on, runs.run, 0)) == "ok");
  runs.select();
  CHECK(allocator.allocations > 0);
  CHECK(allocator.alive == 0);
}

TEST_CASE("thrust: a workspace that does not do is refused", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  auto const plan = wkv::make_plan(wkv::paper_method().with_budget(8), wkv::model_shape{1, 2, 1, 4}, {100});
  REQUIRE(plan);
  std::size_t const bytes = wkv::thrust_workspace_bytes(*plan);
  resident<unsigned char> const memory(dirty(bytes + 1));
  auto* const data = memory.data();
  CHECK(wkv::begin(backend(), *plan, {data, bytes}).ok());
  CHECK(wkv::begin(backend(), *plan, {data, bytes - 1}).error().code() ==
        wkv::status_code::insufficient_workspace);
  CHECK(wkv::begin(backend(), *plan, {data + 1, bytes}).error().code() == wkv::status_code::misaligned);
  CHECK(message(wkv::begin(backend(), *plan, {})) == "workspace.data: must not be null");
}

TEST_CASE("thrust: policies that point to memory must point to the backend's", "[thrust][select]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  std::int32_t const begins[] = {0, 5, 11};
  wkv::token_range const range{1, 2};
  wkv::top_windows selector{fill::within_budget, 0, &range, 1};
  resident<unsigned char> const memory(dirty(1 << 16));
  auto const begun = [&](auto const& method) {
    auto const plan = wkv::make_plan(method, wkv::model_shape{1, 1, 1, 1}, {40});
    REQUIRE(message(plan) == "ok");
    return message(wkv::begin(backend(), *plan, memory.workspace()));
  };
  bool const is_host = space == wkv::memory_space::host;
  CHECK(
      begun(method_of(1, 20, {}, wkv::no_pooling{}, wkv::boundary_windows{begins, 3}, wkv::window_mean{})) ==
      (is_host ? "ok" : "boundary_windows.device_begins: must not be null"));
  CHECK(begun(method_of(1, 20, selector, wkv::no_pooling{}, wkv::fixed_windows{}, wkv::window_mean{})) ==
        (is_host ? "ok" : "top_windows.device_ranges: must not be null"));
}

}  // namespace thrust_select
