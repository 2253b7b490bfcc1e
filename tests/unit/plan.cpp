// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/plan.hpp"

#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv::model_shape;
using wkv::prompt;
using wkv_test::message;
using ints = std::vector<int>;

constexpr model_shape shape{4, 8, 2, 16};

std::string shape_problem(model_shape const& s, prompt const& p) {
  return message(wkv::make_plan(wkv::default_method().with_budget(64), s, p));
}
template <class Method>
std::string problem(Method const& method, int tokens = 200) {
  return message(wkv::make_plan(method, shape, {tokens}));
}

/// Every layer for itself, C review tokens, windows of 8.
auto plain_method(int budget) {
  return wkv::paper_method()
      .with_budget_shape(wkv::uniform_budget{false})
      .with_layer_grouping(wkv::no_sharing{})
      .with_budget(budget);
}

}  // namespace

TEST_CASE("a plan says how the prompt is cut", "[plan]") {
  auto const plan = wkv::make_plan(wkv::paper_method(), model_shape{32, 32, 8, 128}, {8192});
  REQUIRE(plan);
  CHECK(plan->suffix == 32);
  CHECK(plan->review == 8160);
  CHECK(plan->windows == 1020);
  CHECK(plan->groups == 4);
  CHECK(plan->score_rows == 32);
  CHECK(plan->score_buffers == 1);
  CHECK(wkv_test::budgets_of(*plan) == ints{2926, 2341, 1756, 1170});
  CHECK(plan->max_kept(0) == 2926 + 32);
  CHECK(plan->max_kept(31) == 1170 + 32);

  auto const aggregation =
      wkv::make_plan(wkv::paper_method(), model_shape{32, 32, 8, 128}, {8192, wkv::task::aggregation});
  REQUIRE(aggregation);
  CHECK(aggregation->suffix == 16);
  CHECK(aggregation->review == 8176);
  CHECK(aggregation->windows == 1022);
}

TEST_CASE("the default plan counts the suffix", "[plan]") {
  auto const plan = wkv::make_plan(wkv::default_method(), model_shape{32, 32, 8, 128}, {8192});
  REQUIRE(plan);
  CHECK(plan->suffix == 8);
  CHECK(plan->windows == 8184);
  CHECK(plan->score_rows == 1);
  CHECK(wkv_test::budgets_of(*plan) == ints{1462, 1170, 879, 585});
  CHECK(plan->max_kept(0) == 1462);
  CHECK(plan->group[0].review_budget == 1462 - 8);
}

TEST_CASE("impossible shapes are refused", "[plan]") {
  CHECK(shape_problem(shape, {200}) == "ok");
  CHECK(shape_problem({0, 8, 2, 16}, {200}) == "model_shape.layers: got 0, must be at least 1");
  CHECK(shape_problem({-1, 8, 2, 16}, {200}) == "model_shape.layers: got -1, must be at least 1");
  CHECK(shape_problem({257, 8, 2, 16}, {200}) == "model_shape.layers: got 257, must be at most 256");
  CHECK(shape_problem({4, 0, 2, 16}, {200}) == "model_shape.query_heads: got 0, must be at least 1");
  CHECK(shape_problem({4, 8, 0, 16}, {200}) == "model_shape.kv_heads: got 0, must be at least 1");
  CHECK(shape_problem({4, 8, -2, 16}, {200}) == "model_shape.kv_heads: got -2, must be at least 1");
  CHECK(shape_problem({4, 8, 3, 16}, {200}) ==
        "model_shape.query_heads: got 8, must be a multiple of kv_heads 3");
  CHECK(shape_problem({4, 2, 8, 16}, {200}) ==
        "model_shape.query_heads: got 2, must be a multiple of kv_heads 8");
  CHECK(shape_problem({4, 8, 2, 0}, {200}) == "model_shape.head_dim: got 0, must be at least 1");
  CHECK(shape_problem({4, 8, 2, -16}, {200}) == "model_shape.head_dim: got -16, must be at least 1");
  CHECK(shape_problem({4, 8, 2, 1025}, {200}) == "model_shape.head_dim: got 1025, must be at most 1024");
  CHECK(shape_problem({4, 1025, 1, 16}, {200}) == "model_shape.query_heads: got 1025, must be at most 1024");
  CHECK(shape_problem(shape, {0}) == "prompt.tokens: got 0, must be at least 1");
  CHECK(shape_problem(shape, {-5}) == "prompt.tokens: got -5, must be at least 1");
  CHECK(shape_problem(shape, {(1 << 28) + 1}) == "prompt.tokens: got 268435457, must be at most 268435456");
  CHECK(shape_problem(shape, {INT32_MAX}) == "prompt.tokens: got 2147483647, must be at most 268435456");
}

TEST_CASE("impossible policies are refused", "[plan]") {
  CHECK(problem(wkv::paper_method().with_suffix(0)) == "suffix: got 0, must be at least 1");
  CHECK(problem(wkv::paper_method().with_suffix(-1)) == "suffix: got -1, must be at least 1");
  CHECK(problem(wkv::paper_method().with_suffix(INT32_MAX)) ==
        "suffix: got 2147483647, must be at most 65536");
  CHECK(problem(wkv::paper_method(0)) == "window_grouping.width: got 0, must be at least 1");
  CHECK(problem(wkv::paper_method(200)) == "window_top_mean.top: got 100, must be at most 64");
  CHECK(problem(wkv::default_method().with_windows(wkv::fixed_windows{-1})) ==
        "window_grouping.width: got -1, must be at least 1");
  CHECK(problem(wkv::default_method(0)) == "uniform_groups.layers_per_group: got 0, must be at least 1");
  CHECK(problem(wkv::paper_method().with_token_scorer(wkv::external_scores{-1})) ==
        "external_scores.heads: got -1, must be at least 0");
  auto method = wkv::default_method();
  method.localization.pooling.after = -1;
  CHECK(problem(method) == "pooling.after: got -1, must be at least 0");
  method = wkv::default_method();
  method.localization.pooling.before = -1;
  CHECK(problem(method) == "pooling.before: got -1, must be at least 0");
  method = wkv::default_method();
  method.selector.sinks = -1;
  CHECK(problem(method) == "top_windows.sinks: got -1, must be at least 0");
  method = wkv::default_method();
  method.aggregation.pooling = {};
  method.aggregation.suffix = 0;  // the other task's scoring is not asked
  CHECK(problem(method) == "ok");
}

TEST_CASE("budgets that cannot be meant are refused", "[plan]") {
  std::string const at_least_one = "budget (tokens per layer): got 0, must be at least 1";
  CHECK(problem(wkv::default_method().with_budget(0)) == at_least_one);
  CHECK(problem(wkv::default_method().with_budget(-3)) ==
        "budget (tokens per layer): got -3, must be at least 1");
  CHECK(problem(wkv::paper_method().with_budget(-3)) ==
        "budget (tokens per layer): got -3, must be at least 0");
  CHECK(problem(wkv::paper_method().with_budget(0)) == "ok");
  std::int32_t const table[] = {50, 0, 50, 50};
  auto const by_table = plain_method(50).with_budget_shape(wkv::table_budget{table, 4, true});
  CHECK(problem(by_table) ==
        "layer 1: budget (tokens per layer, suffix included): got 0, must be at least 1");
}

TEST_CASE("a budget that the prompt fits keeps everything", "[plan]") {
  for (int budget : {168, 169, 100'000, INT32_MAX}) {
    auto const plan = wkv::make_plan(plain_method(budget), shape, {200});
    REQUIRE(plan);
    CAPTURE(budget);
    CHECK(plan->group[0].keeps_all == 1);
    CHECK(plan->max_kept(0) == 200);
  }
  auto const plan = wkv::make_plan(plain_method(167), shape, {200});
  REQUIRE(plan);
  CHECK(plan->group[0].keeps_all == 0);
  CHECK(plan->max_kept(0) == 167 + 32);
}

TEST_CASE("the largest budget means keep everything", "[plan]") {
  for (int layers : {1, 8, 16, 32}) {
    auto const paper =
        wkv::make_plan(wkv::paper_method().with_budget(INT32_MAX), model_shape{layers, 8, 2, 16}, {1000});
    auto const ours =
        wkv::make_plan(wkv::default_method().with_budget(INT32_MAX), model_shape{layers, 8, 2, 16}, {1000});
    for (int l = 0; l < layers; ++l) {
      CAPTURE(layers, l);
      if (paper) CHECK(paper->max_kept(l) == 1000);  // it may also be refused
      REQUIRE(ours);
      CHECK(ours->max_kept(l) == 1000);
    }
  }
}

TEST_CASE("a suffix longer than the prompt shrinks", "[plan]") {
  auto const paper = wkv::make_plan(wkv::paper_method().with_budget(5), shape, {20});
  REQUIRE(paper);
  CHECK(paper->suffix == 20);
  CHECK(paper->review == 0);
  CHECK(paper->windows == 0);
  CHECK(paper->group[0].keeps_all == 1);
  // Where the budget counts the suffix, it binds all the same: the newest tokens stay.
  auto const ours = wkv::make_plan(wkv::default_method().with_budget(5), shape, {10});
  REQUIRE(ours);
  CHECK(ours->suffix == 8);
  CHECK(ours->group[0].keeps_all == 0);
  CHECK(ours->group[0].suffix == 5);
  CHECK(ours->max_kept(0) == 5);
}

TEST_CASE("a window wider than the review part is one window", "[plan]") {
  auto const method = plain_method(100).with_windows(wkv::fixed_windows{1000});
  auto const plan = wkv::make_plan(method, shape, {200});
  REQUIRE(plan);
  CHECK(plan->windows == 1);
  CHECK(plan->max_kept(0) == 200);  // the drop rule counts 1000 tokens for it
}

TEST_CASE("protected ranges must lie in the prompt and fit the budget", "[plan]") {
  using wkv::token_range;
  auto const with_range = [](token_range const& r, int budget) {
    return wkv::make_plan(
        plain_method(budget).with_selector(wkv::top_windows{wkv::fill::within_budget, 0, &r, 1}), shape,
        {200});
  };
  CHECK(message(with_range({-1, 5}, 100)) == "top_windows.ranges.begin: got -1, must be at least 0");
  CHECK(message(with_range({5, 4}, 100)) == "top_windows.ranges.end: got 4, must be at least 5");
  CHECK(message(with_range({5, 201}, 100)) == "top_windows.ranges.end: got 201, must be at most 200");
  CHECK(message(with_range({5, 20}, 23)) ==
        "layer 0: budget (tokens per layer, for the protected ranges): got 23, must be at least 24");
  CHECK(message(with_range({5, 20}, 24)) == "ok");    // windows [0, 8), [8, 16), [16, 24)
  CHECK(message(with_range({170, 200}, 0)) == "ok");  // the suffix stays anyway
  CHECK(message(with_range({167, 168}, 7)) ==
        "layer 0: budget (tokens per layer, for the protected ranges): got 7, must be at least 8");
  auto const missing =
      plain_method(50).with_selector(wkv::top_windows{wkv::fill::within_budget, 0, nullptr, 1});
  CHECK(problem(missing) == "top_windows.ranges: must not be null");
  auto const negative =
      plain_method(50).with_selector(wkv::top_windows{wkv::fill::within_budget, 0, nullptr, -1});
  CHECK(problem(negative) == "top_windows.range_count: got -1, must be at least 0");
}

TEST_CASE("a range in a suffix that the budget cuts is kept or refused", "[plan]") {
  wkv::token_range const oldest_of_suffix{184, 186};
  auto method = wkv::default_method().with_budget(8);
  method.selector.sinks = 0;
  method.selector.ranges = &oldest_of_suffix;
  method.selector.range_count = 1;
  auto const plan = wkv::make_plan(method, shape, {200});
  CHECK_FALSE(plan.ok());  // only the last 8 tokens stay, and the range is not among them
}

TEST_CASE("extreme but valid numbers do not overflow", "[plan]") {
  auto many_sinks = wkv::default_method().with_budget(64);
  many_sinks.selector.sinks = INT32_MAX;
  CHECK(problem(many_sinks) == "ok");
  model_shape const widest{256, 1024, 1, 1024};
  auto const few_windows = wkv::paper_method().with_windows(wkv::fixed_windows{1 << 20});
  auto const rows = wkv::make_plan(few_windows.with_suffix(1 << 16), widest, {1 << 28});
  REQUIRE(rows);
  CHECK(rows->workspace_bytes > std::uint64_t{1} << 45);  // 2^26 rows x 2^19 chunks of partial results
}

TEST_CASE("a workspace whose bytes overflow is refused", "[plan]") {
  // 2^30 score rows of 2^27 tokens in 32 buffers at the same time: 2^64 bytes.
  std::int16_t interleaved[64];
  for (int l = 0; l < 64; ++l) interleaved[l] = static_cast<std::int16_t>(l % 32);
  auto method = wkv::paper_method()
                    .with_windows(wkv::fixed_windows{1 << 20})
                    .with_token_scorer(wkv::external_scores{1 << 30})
                    .with_layer_grouping(wkv::table_groups{interleaved, 64, wkv::scoring_layers::all});
  method.localization.layers = wkv::layer_merge::mean;
  CHECK_FALSE(wkv::make_plan(method, model_shape{64, 8, 2, 16}, {(1 << 27) + 32}).ok());
}

TEST_CASE("a workspace must be there, large enough and aligned", "[plan]") {
  auto const plan = wkv::make_plan(wkv::default_method().with_budget(64), shape, {200});
  REQUIRE(plan);
  wkv_test::scratch const memory(plan->workspace_bytes + 64);
  wkv::workspace const good{memory.get().data, plan->workspace_bytes};
  auto* const bytes = static_cast<unsigned char*>(good.data);
  std::string const needed = std::to_string(plan->workspace_bytes);
  CHECK(wkv::begin(*plan, good).ok());
  auto const is_short = wkv::begin(*plan, {bytes, good.bytes - 1});
  CHECK(is_short.error().code() == wkv::status_code::insufficient_workspace);
  CHECK(message(is_short) ==
        "workspace.bytes: got " + std::to_string(plan->workspace_bytes - 1) + ", must be at least " + needed);
  auto const is_off = wkv::begin(*plan, {bytes + 1, good.bytes});
  CHECK(is_off.error().code() == wkv::status_code::misaligned);
  CHECK(message(is_off) == "workspace.data: got 1, bytes off an alignment of 64");
  CHECK(message(wkv::begin(*plan, {nullptr, good.bytes})) == "workspace.data: must not be null");
}

TEST_CASE("a plan that keeps everything needs memory for its lists alone", "[plan]") {
  auto const keeping = wkv::make_plan(wkv::default_method().with_budget(200), shape, {200});
  auto const choosing = wkv::make_plan(wkv::default_method().with_budget(199), shape, {200});
  REQUIRE(keeping);
  REQUIRE(choosing);
  CHECK(keeping->workspace_bytes < choosing->workspace_bytes);
  CHECK(keeping->score_buffers == 0);
}

TEST_CASE("external scores need no memory for queries", "[plan]") {
  auto const reading = wkv::make_plan(plain_method(64), shape, {200});
  auto const given = wkv::make_plan(plain_method(64).with_token_scorer(wkv::external_scores{}), shape, {200});
  auto const merged =
      wkv::make_plan(plain_method(64).with_token_scorer(wkv::external_scores{1}), shape, {200});
  REQUIRE(reading);
  REQUIRE(given);
  REQUIRE(merged);
  CHECK(given->workspace_bytes < reading->workspace_bytes);
  CHECK(merged->workspace_bytes < given->workspace_bytes);
  CHECK(given->score_rows == 8);
  CHECK(merged->score_rows == 1);
}

TEST_CASE("a plan can be sent as bytes", "[plan]") {
  auto const original = wkv::make_plan(wkv::default_method(2).with_budget(40), shape, {150});
  REQUIRE(original);
  using plan_type = std::remove_cv_t<std::remove_reference_t<decltype(*original)>>;
  static_assert(std::is_trivially_copyable_v<plan_type>);
  std::vector<unsigned char> bytes(sizeof(plan_type));
  std::memcpy(bytes.data(), &*original, bytes.size());
  plan_type received{};
  std::memcpy(&received, bytes.data(), bytes.size());

  CHECK(received.workspace_bytes == original->workspace_bytes);
  wkv_test::scratch const memory(received.workspace_bytes);
  auto const compressed = [&](plan_type const& plan) {
    wkv_test::sequence<float> data(shape, 150, 20);
    auto const report = wkv::compress(
        wkv_test::serial, plan, memory.get(), [&](int l) { return data.queries(l); },
        [&](int l) { return data.kv(l); });
    REQUIRE(report);
    return data.contents();
  };
  CHECK(compressed(received) == compressed(*original));
}
