// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Engines that give every layer the same count, and what eviction saves in them.
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/pages.hpp"
#include "windowkv/policy/budgets.hpp"

namespace {

using wkv::engine_tier;
using wkv_test::message;
using ints = std::vector<int>;

constexpr engine_tier tiers[] = {engine_tier::shared_slots, engine_tier::per_layer_tables,
                                 engine_tier::per_layer_lengths};

/// A report of layers {group, tokens after, bytes of a token} of a prompt of `tokens` tokens.
wkv::compression_report report_of(int tokens, std::vector<ints> const& layers) {
  wkv::compression_report report;
  for (ints const& layer : layers) {
    report.layer[report.layers++] = {layer[0], tokens, layer[1], std::int64_t{layer[2]} * tokens,
                                     std::int64_t{layer[2]} * layer[1]};
  }
  return report;
}

std::int64_t padded(int slots, int page_size) {
  return std::int64_t{wkv::page_count(slots, page_size)} * page_size;
}

template <class Method>
wkv::result<wkv::compression_report> compressed(Method const& method, wkv::model_shape const& shape,
                                                int tokens) {
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, {tokens, wkv::task::localization}));
  wkv_test::scratch const memory(plan.workspace_bytes);
  wkv_test::sequence<float> data(shape, tokens, tokens);
  return wkv::compress(
      wkv_test::serial, plan, memory.get(), [&](int l) { return data.queries(l); },
      [&](int l) { return data.kv(l); });
}

}  // namespace

TEST_CASE("what each tier saves, literally", "[tiers]") {
  auto const report = report_of(100, {{0, 70, 8}, {0, 70, 8}, {1, 30, 8}, {1, 30, 8}});
  CHECK(report.bytes_before() == 3200);
  CHECK(report.bytes_after() == 1600);
  CHECK(report.bytes_after(engine_tier::per_layer_lengths) == 1600);
  CHECK(report.bytes_after(engine_tier::shared_slots) == 2240);  // every layer costs 70 tokens
  CHECK(report.bytes_after(engine_tier::per_layer_tables) == 2240);
  CHECK(report.bytes_before(16) == 4 * 112 * 8);
  CHECK(report.bytes_after(engine_tier::per_layer_lengths, 16) == (2 * 80 + 2 * 32) * 8);
  CHECK(report.bytes_after(engine_tier::shared_slots, 16) == 4 * 80 * 8);
  CHECK(report.bytes_after(engine_tier::per_layer_lengths, 256) == 4 * 256 * 8);  // one page each
  CHECK(report.bytes_before(256) == 4 * 256 * 8);
  for (int page_size : {1, 0, -5}) {
    CHECK(report.bytes_before(page_size) == 3200);
    CHECK(report.bytes_after(engine_tier::shared_slots, page_size) == 2240);
  }
}

TEST_CASE("layers outside the groups set no length and keep their bytes", "[tiers]") {
  auto const report = report_of(10, {{-1, 10, 8}, {0, 4, 8}, {1, 2, 4}});
  for (engine_tier tier : {engine_tier::shared_slots, engine_tier::per_layer_tables})
    CHECK(report.bytes_after(tier) == 80 + 4 * 8 + 4 * 4);
  CHECK(report.bytes_after(engine_tier::per_layer_lengths) == 80 + 4 * 8 + 2 * 4);
  CHECK(report.bytes_before(16) == 80 + 16 * 8 + 16 * 4);
  CHECK(report.bytes_after(engine_tier::per_layer_lengths, 3) == 80 + 6 * 8 + 3 * 4);
  // A layer that was not compacted has no known bytes, but sets the length.
  auto const unfinished = report_of(10, {{0, 4, 8}, {1, 10, 0}});
  CHECK(unfinished.bytes_after(engine_tier::shared_slots) == 80);
  CHECK(unfinished.bytes_after(engine_tier::per_layer_lengths) == 32);
  wkv::compression_report const empty;
  for (engine_tier tier : tiers) CHECK(empty.bytes_after(tier, 16) == 0);
  CHECK(empty.bytes_before(16) == 0);
}

TEST_CASE("bytes of more than 2^31", "[tiers]") {
  auto const report = report_of(1 << 28, {{0, 1 << 27, 1 << 16}, {0, (1 << 27) + 1, 1 << 16}});
  std::int64_t const longest = (std::int64_t{1} << 27) + 1;
  CHECK(report.bytes_after(engine_tier::shared_slots) == 2 * longest * (1 << 16));
  CHECK(report.bytes_after(engine_tier::shared_slots, INT32_MAX) == 2 * std::int64_t{INT32_MAX} * (1 << 16));
}

TEST_CASE("the tiers' bytes over many reports", "[tiers]") {
  wkv_test::random_source random(1);
  for (int i = 0; i < 300; ++i) {
    int const tokens = random.between(1, 100);
    int const page_size = random.between(1, 20);
    std::vector<ints> layers;
    int longest = 0;
    for (int l = random.between(1, 12); l > 0; --l) {
      layers.push_back({random.between(-1, 2), random.between(0, tokens), random.between(1, 9)});
      if (layers.back()[0] >= 0) longest = std::max(longest, layers.back()[1]);
    }
    std::int64_t shared = 0;
    std::int64_t own = 0;
    for (ints const& layer : layers) {
      bool const is_outside = layer[0] < 0;
      shared += (is_outside ? layer[1] : padded(longest, page_size)) * layer[2];
      own += (is_outside ? layer[1] : padded(layer[1], page_size)) * layer[2];
    }
    auto const report = report_of(tokens, layers);
    CHECK(report.bytes_after(engine_tier::shared_slots, page_size) == shared);
    CHECK(report.bytes_after(engine_tier::per_layer_tables, page_size) == shared);
    CHECK(report.bytes_after(engine_tier::per_layer_lengths, page_size) == own);
    CHECK(report.bytes_after(engine_tier::per_layer_lengths) == report.bytes_after());
    CHECK(report.bytes_before(1) == report.bytes_before());
  }
}

TEST_CASE("a padded budget saves the same in every tier; a series saves more only with lengths per layer",
          "[tiers]") {
  wkv::model_shape const shape{8, 2, 1, 4};
  auto const series = wkv::default_method(2).with_budget(32);
  auto const exact = compressed(series, shape, 96);
  CAPTURE(message(exact));
  REQUIRE(exact);
  std::int64_t const row_bytes = exact->layer[0].bytes_before / 96;
  CHECK(exact->bytes_after(engine_tier::per_layer_lengths) == 8 * 32 * row_bytes);
  CHECK(exact->bytes_after(engine_tier::shared_slots) == 8 * exact->layer[0].tokens_after * row_bytes);
  CHECK(exact->layer[0].tokens_after > 32);

  auto const level = compressed(series.with_budget_shape(wkv::padded_budget{series.budget}), shape, 96);
  REQUIRE(level);
  for (int l = 0; l < 8; ++l) CHECK(level->layer[l].tokens_after == exact->layer[0].tokens_after);
  for (engine_tier tier : tiers)
    CHECK(level->bytes_after(tier) == exact->bytes_after(engine_tier::shared_slots));
}

TEST_CASE("windows of whole pages, a protected tail and one count: all layers keep as many slots",
          "[tiers]") {
  wkv_test::random_source random(2);
  for (int i = 0; i < 60; ++i) {
    int const tokens = random.between(20, 90);
    int const page_size = random.between(1, 8);
    wkv::token_range const tail = wkv::shared_tail(tokens - 5, page_size);
    auto const shape = wkv::exact_budget<wkv::arithmetic_budget>{{5}, true};
    auto const method = wkv::default_method(2)
                            .with_suffix(5)
                            .with_windows(wkv::fixed_windows{page_size})
                            .with_budget_shape(wkv::padded_budget{shape})
                            .with_selector(wkv::top_windows{wkv::fill::within_budget, 0, &tail, 1})
                            .with_budget(random.between(5 + page_size, 40));
    auto const report = compressed(method, {6, 2, 1, 4}, tokens);
    CAPTURE(i, tokens, page_size, message(report));
    REQUIRE(report);
    for (int l = 1; l < 6; ++l) CHECK(report->layer[l].tokens_after == report->layer[0].tokens_after);
  }
}
