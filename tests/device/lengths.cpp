// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Lengths that only the device knows: the plan is for the longest prompt.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::task;

constexpr int planned_tokens = 144;
constexpr wkv::model_shape shape{2, 2, 1, 64};

constexpr wkv::top_windows within{wkv::fill::within_budget, 0, nullptr, 0};

auto paper(wkv::table_budget const& budget, int layers_per_group) {
  return wkv::paper_method()
      .with_selector(within)
      .with_layer_grouping(wkv::uniform_groups{layers_per_group})
      .with_budget_shape(budget);
}

struct outcome {
  std::vector<device_selection> selections;
  std::vector<float> contents;
};

/// Compresses a prompt of `tokens` tokens in a cache of `planned_tokens`.
template <class T, class Method>
outcome compress(Method const& method, task kind, int plan_tokens, int const* device_tokens, int seed) {
  auto const on = executor_of<64>();
  auto const plan = plan_of(method, shape, {plan_tokens, kind});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  auto run = wkv::begin(on, plan, memory.workspace(), wkv::schedule::batched, device_tokens);
  REQUIRE(message(run) == "ok");
  sequence<T> const data(shape, planned_tokens, 40, order::slot_head_dim, static_cast<unsigned>(seed), 8);
  device_sequence<T> const there(data);
  REQUIRE(message(wkv::compress(
              on, *run, [&](int l) { return there.queries(l); }, [&](int l) { return there.kv(l); })) ==
          "ok");
  outcome all{selections_of(*run), there.contents()};
  for (auto const& s : all.selections) {
    for (int w : s.windows) CHECK((w >= 0 && w < plan.windows));
  }
  return all;
}

template <class T, class Method>
void check_lengths(Method const& method, task kind) {
  for (int tokens : {planned_tokens - 1, 129, 60, 17, 15, 1}) {
    CAPTURE(tokens, static_cast<int>(kind));
    device_array<int> const given({tokens});
    outcome const got = compress<T>(method, kind, planned_tokens, given.data(), tokens);
    outcome const expected = compress<T>(method, kind, tokens, nullptr, tokens);
    bool const same_selections = got.selections == expected.selections;
    CHECK(same_selections);
    bool const same_contents = got.contents == expected.contents;
    CHECK(same_contents);
  }
}

}  // namespace

TEST_CASE("a length on the device: as if it had been planned", "[lengths]") {
  WKV_NEEDS_DEVICE();
  std::int32_t const budgets[] = {48, 40};
  for (task kind : {task::localization, task::aggregation}) {
    for (bool counts_suffix : {false, true}) {
      wkv::table_budget const budget{budgets, 2, counts_suffix};
      check_lengths<wkv::bfloat16>(paper(budget, 1), kind);
      check_lengths<float>(wkv::default_method(1).with_budget_shape(budget), kind);
    }
    wkv::table_budget const small{budgets, 1, false};
    check_lengths<wkv::bfloat16>(wkv::default_method(2).with_budget_shape(small), kind);
    std::int32_t const negative[] = {20, -3};  // as the paper's series may end: the suffix alone stays
    check_lengths<wkv::bfloat16>(paper({negative, 2, false}, 1), kind);
    std::int32_t const tiny[] = {9, 5};  // less than the suffix
    check_lengths<wkv::bfloat16>(wkv::default_method(1).with_budget_shape(wkv::table_budget{tiny, 2, true}),
                                 kind);
  }
}

TEST_CASE("a length on the device: at its limits", "[lengths][sanitize]") {
  WKV_NEEDS_DEVICE();
  std::int32_t const budgets[] = {48, 40};
  for (task kind : {task::localization, task::aggregation}) {
    auto const method = paper({budgets, 2, false}, 1);
    auto const whole = compress<wkv::bfloat16>(method, kind, planned_tokens, nullptr, 3);
    for (int tokens : {planned_tokens + 1, 1 << 30}) {
      device_array<int> const given({tokens});
      auto const got = compress<wkv::bfloat16>(method, kind, planned_tokens, given.data(), 3);
      bool const same_selections = got.selections == whole.selections;
      CHECK(same_selections);
      bool const same_contents = got.contents == whole.contents;
      CHECK(same_contents);
    }
    for (int tokens : {0, -1}) {
      device_array<int> const given({tokens});
      auto const got = compress<wkv::bfloat16>(method, kind, planned_tokens, given.data(), 3);
      for (auto const& s : got.selections) CHECK(s.counts.kept == 0);
      sequence<wkv::bfloat16> const data(shape, planned_tokens, 40, order::slot_head_dim, 3, 8);
      bool const is_untouched = got.contents == data.contents();
      CHECK(is_untouched);
    }
  }
}

TEST_CASE("a length on the device and windows where the caller says", "[lengths]") {
  WKV_NEEDS_DEVICE();
  std::vector<std::int32_t> const begins{0, 5, 17, 18, 40, 77, 78, 100, 121, 190};
  device_array<std::int32_t> const there(begins);
  wkv::boundary_windows const windows{begins.data(), static_cast<int>(begins.size()), there.data()};
  std::int32_t const budgets[] = {70};
  check_lengths<float>(
      wkv::default_method(2).with_windows(windows).with_budget_shape(wkv::table_budget{budgets, 1, true}),
      task::localization);
}

TEST_CASE("a length on the device: few threads", "[lengths][race]") {
  WKV_NEEDS_DEVICE();
  auto const method =
      method_of(scoring_of(8, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}))
          .with_budget(32);
  both<std::decay_t<decltype(method)>> pair(method, {1, 2, 1, 64}, 90);
  device_array<int> const given({71});
  auto run = wkv::begin(pair.on, pair.plan, pair.memory.workspace(), wkv::schedule::batched, given.data());
  REQUIRE(run);
  sequence<wkv::bfloat16> const data({1, 2, 1, 64}, 90, 8, order::slot_head_dim, 1, 0);
  device_sequence<wkv::bfloat16> const there(data);
  REQUIRE(wkv::compress(
      pair.on, *run, [&](int l) { return there.queries(l); }, [&](int l) { return there.kv(l); }));
  CHECK(selection_of(*run, 0).counts.kept == 32);
}
