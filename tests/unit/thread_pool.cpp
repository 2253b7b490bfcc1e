// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/host/thread_pool.hpp"

#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr wkv::model_shape shape{4, 4, 2, 8};
constexpr int tokens = 1300;  // three chunks of tokens, several items of windows

struct outcome {
  std::vector<float> token_scores;
  std::vector<float> window_scores;
  std::vector<int> slots;
  std::vector<float> contents;
  std::vector<float> retained;
};

bool same_bits(std::vector<float> const& a, std::vector<float> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

template <class ParallelFor, class Method>
outcome compressed(wkv::host_executor<ParallelFor> const& on, Method const& method) {
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  sequence<float> data(shape, tokens, 32, order::head_slot_dim);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  outcome out;
  for (int l = 0; l < shape.layers; ++l) {
    REQUIRE(wkv::compress_layer(on, *run, l, data.queries(l), [&](int k) { return data.kv(k); }));
    if (!plan->completes_group(l)) continue;
    int const g = plan->layer[l].group;
    float const* const scores = run->token_scores(g);
    out.token_scores.insert(out.token_scores.end(), scores, scores + plan->score_rows * plan->review);
    out.window_scores.insert(out.window_scores.end(), run->window_scores(),
                             run->window_scores() + plan->windows);
    wkv::selection const chosen = *wkv::select(on, *run, g);
    out.slots = std::move(out.slots) + slots_of(chosen);
    out.retained.push_back(chosen.retained);
  }
  out.contents = data.contents();
  return out;
}

template <class ParallelFor, class Method>
void check_like_serial(wkv::host_executor<ParallelFor> const& on, Method const& method) {
  outcome const expected = compressed(serial, method);
  outcome const got = compressed(on, method);
  CHECK(same_bits(got.token_scores, expected.token_scores));
  CHECK(same_bits(got.window_scores, expected.window_scores));
  CHECK(got.slots == expected.slots);
  CHECK(same_bits(got.retained, expected.retained));
  CHECK(same_bits(got.contents, expected.contents));
}

auto const ours = wkv::default_method(2).with_budget(200);
auto const papers = wkv::paper_method().with_budget(200).with_layer_grouping(wkv::uniform_groups{2});

}  // namespace

TEST_CASE("every number of threads gives the same bits", "[threads]") {
  for (int threads : {1, 2, 3, 8}) {
    CAPTURE(threads);
    wkv::thread_pool pool(threads);
    wkv::host_executor const on{pool.hook()};
    check_like_serial(on, ours);
    check_like_serial(on, papers);
  }
}

TEST_CASE("an engine's own loop may run in any order", "[threads]") {
  int loops = 0;
  wkv::host_executor const backwards{[&](int n, auto&& f) {
    ++loops;
    for (int i = n - 1; i >= 0; --i) f(i);
  }};
  check_like_serial(backwards, ours);
  check_like_serial(backwards, papers);
  CHECK(loops > 0);
}

TEST_CASE("a pool calls every index once, loop after loop", "[threads]") {
  wkv::thread_pool pool(4);
  std::vector<std::atomic<int>> calls(1000);
  for (int round = 1; round <= 200; ++round) {
    int const n = round % 3 == 0 ? 0 : round * 5;
    for (auto& c : calls) c = 0;
    pool.parallel_for(n, [&](int i) { ++calls[static_cast<std::size_t>(i)]; });
    int wrong = 0;
    for (int i = 0; i < 1000; ++i) wrong += calls[static_cast<std::size_t>(i)] == (i < n ? 1 : 0) ? 0 : 1;
    REQUIRE(wrong == 0);
  }
}
