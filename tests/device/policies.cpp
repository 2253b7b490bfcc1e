// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Policies beyond those of the named methods that run in the same kernels: other folds, the middle layer as
// leader, every budget, other reductions of heads.

#include <cstdint>
#include <type_traits>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::detail::score_form;

/// Scores the layers from queries and keys on both sides, and compares groups as soon as they are selected.
template <class Method>
void check_groups(Method const& method, wkv::model_shape const& shape, int tokens, int suffix,
                  double tolerance, score_form form) {
  both<Method> pair(method, shape, tokens);
  sequence<wkv::bfloat16> data(shape, tokens, suffix, order::slot_head_dim, 3, 0);
  device_sequence<wkv::bfloat16> const there(data);
  wkv::plan_data const& p = pair.plan;
  for (int l = 0; l < shape.layers; ++l) {
    REQUIRE(message(wkv::score(serial, pair.host, l, data.queries(l), data.kv(l))) == "ok");
    REQUIRE(message(wkv::score(pair.on, pair.run, l, there.queries(l), there.kv(l))) == "ok");
    if (p.layer[l].scores != 0) CHECK(wkv::compression_access::memory(pair.run).record[l].form == form);
    if (p.completes_group(l)) pair.check_near_select(tolerance, p.layer[l].group);
  }
}

/// Three groups of two layers, from given token scores of their first.
template <class Budget>
void check_budget(Budget const& budget, int tokens) {
  auto const scoring =
      wkv::scoring<wkv::external_scores, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>{
          4, {2}, {}, {3}, {}};
  auto const method = method_of(scoring).with_budget_shape(budget).with_budget(24).with_layer_grouping(
      wkv::uniform_groups{2});
  both<std::decay_t<decltype(method)>> pair(method, {6, 2, 1, 8}, tokens);
  random_source random(static_cast<unsigned>(tokens));
  for (int g = 0; g < pair.plan.groups; ++g) {
    CAPTURE(tokens, g);
    std::vector<float> scores;
    for (int j = 0; j < 2 * pair.plan.review; ++j) scores.push_back(random.symmetric() + 1.f);
    if (pair.plan.group[g].keeps_all == 0) pair.score(2 * g, scores, 2);
    pair.check_select(g);
  }
}

}  // namespace

TEST_CASE("policies: mean and variance, windows that the caller bounds, the middle layer leads",
          "[score][sanitize]") {
  WKV_NEEDS_DEVICE();
  int const suffix = 9;
  int const tokens = 140;
  std::vector<std::int32_t> const begins{0, 5, 6, 18, 40, 41, 90, 112, 130, 200};
  device_array<std::int32_t> const there(begins);
  wkv::boundary_windows const windows{begins.data(), static_cast<int>(begins.size()), there.data()};
  using scoring_type =
      wkv::scoring<wkv::mean_variance_attention, wkv::no_pooling, wkv::boundary_windows, wkv::window_mean>;
  scoring_type scoring{suffix, {}, {}, windows, {}};
  for (wkv::head_merge heads : {wkv::head_merge::at_windows, wkv::head_merge::at_tokens}) {
    scoring.heads = heads;
    auto const method = method_of(scoring).with_budget(60).with_layer_grouping(
        wkv::uniform_groups{3, wkv::scoring_layers::middle});
    auto const plan = plan_of(method, {5, 4, 2, 64}, {tokens});
    CHECK(plan.group[0].first_scoring_layer == 1);
    CHECK(plan.group[1].first_scoring_layer == 3);
    check_groups(method, {5, 4, 2, 64}, tokens, suffix, 1e-4,
                 heads == wkv::head_merge::at_windows ? score_form::token_rows : score_form::token_sums);
  }
}

TEST_CASE("policies: heads that merge at windows by maximum or sum", "[score][sanitize]") {
  WKV_NEEDS_DEVICE();
  auto scoring = scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{});
  for (wkv::head_reduction how : {wkv::head_reduction::maximum, wkv::head_reduction::sum}) {
    scoring.reduction = how;
    check_groups(method_of(scoring).with_budget(50), {1, 6, 2, 64}, 146, 16, 1e-5, score_form::token_rows);
  }
}

TEST_CASE("policies: every budget", "[select]") {
  WKV_NEEDS_DEVICE();
  std::int32_t const counts[] = {60, 10, 24};
  for (int tokens : {30, 70, 150}) {
    check_budget(wkv::uniform_budget{}, tokens);
    check_budget(wkv::arithmetic_budget{4}, tokens);
    check_budget(wkv::exact_budget<wkv::arithmetic_budget>{{4}}, tokens);
    check_budget(wkv::padded_budget<wkv::arithmetic_budget>{{4}}, tokens);
    check_budget(wkv::table_budget{counts, 3}, tokens);
    check_budget(wkv::pyramid_budget{}, tokens);
  }
}

TEST_CASE("policies: heads that merge at tokens have their mean", "[errors]") {
  WKV_NEEDS_DEVICE();
  auto scoring = scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{},
                            wkv::head_merge::at_tokens);
  for (wkv::head_reduction how : {wkv::head_reduction::maximum, wkv::head_reduction::sum}) {
    scoring.reduction = how;
    auto const plan = plan_of(method_of(scoring), {1, 6, 2, 64}, {146});
    auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
    auto const begun = wkv::begin(executor_of<64>(), plan, memory.workspace());
    CHECK(begun.error().code() == wkv::status_code::unsupported);
    CHECK(message(begun) ==
          "scoring.reduction (of heads that merge at tokens): must be mean on the CUDA backend; the host and "
          "Thrust backends know the others");
  }
}
