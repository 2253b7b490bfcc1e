// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/layer_groupings.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using wkv::scoring_layers;
using wkv_test::message;
using ints = std::vector<int>;

/// The paper's method merges nothing; `merge` lets all scoring layers take part.
template <class Grouping>
auto method_with(Grouping const& grouping, wkv::layer_merge merge = wkv::layer_merge::mean) {
  auto method = wkv::paper_method().with_budget(8).with_budget_shape(wkv::uniform_budget{false});
  method.localization.layers = merge;
  return method.with_layer_grouping(grouping);
}
template <class Grouping>
auto plan_with(Grouping const& grouping, int layers, wkv::layer_merge merge = wkv::layer_merge::mean) {
  return wkv::make_plan(method_with(grouping, merge), wkv::model_shape{layers, 2, 1, 8}, {100});
}

ints groups(wkv::plan_data const& p) {
  ints all;
  for (int l = 0; l < p.shape.layers; ++l) all.push_back(p.layer[l].group);
  return all;
}
ints scoring(wkv::plan_data const& p) {
  ints all;
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.layer[l].scores != 0) all.push_back(l);
  }
  return all;
}
ints leaders(wkv::plan_data const& p) {
  ints all;
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.leads_group(l)) all.push_back(l);
  }
  return all;
}
ints completers(wkv::plan_data const& p) {
  ints all;
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.completes_group(l)) all.push_back(l);
  }
  return all;
}

}  // namespace

TEST_CASE("uniform groups: the last may be short", "[layer_groupings]") {
  auto const plan = plan_with(wkv::uniform_groups{4}, 10);
  REQUIRE(plan);
  CHECK(groups(*plan) == ints{0, 0, 0, 0, 1, 1, 1, 1, 2, 2});
  CHECK(scoring(*plan) == ints{0, 4, 8});
  CHECK(leaders(*plan) == ints{0, 4, 8});
  CHECK(completers(*plan) == ints{0, 4, 8});
  CHECK(plan->groups == 3);
  CHECK(plan->group[1].layers == 4);
  CHECK(plan->group[1].first_layer == 4);
  CHECK(plan->group[1].last_layer == 7);
  CHECK(plan->group[2].layers == 2);
  CHECK(plan->group[2].last_layer == 9);
}

TEST_CASE("all layers vote, unless the merge reads the first alone", "[layer_groupings]") {
  wkv::uniform_groups const all{4, scoring_layers::all};
  auto const voting = plan_with(all, 6);
  REQUIRE(voting);
  CHECK(scoring(*voting) == ints{0, 1, 2, 3, 4, 5});
  CHECK(leaders(*voting) == ints{0, 4});
  CHECK(completers(*voting) == ints{3, 5});
  CHECK(voting->group[0].scoring_layers == 4);
  CHECK(voting->group[1].scoring_layers == 2);
  auto const leading = plan_with(all, 6, wkv::layer_merge::first);
  REQUIRE(leading);
  CHECK(scoring(*leading) == ints{0, 4});
}

TEST_CASE("a group larger than the model is the whole model", "[layer_groupings]") {
  auto const plan = plan_with(wkv::uniform_groups{100}, 3);
  REQUIRE(plan);
  CHECK(groups(*plan) == ints{0, 0, 0});
  CHECK(plan->groups == 1);
}

TEST_CASE("no sharing: every layer is a group", "[layer_groupings]") {
  auto const plan = plan_with(wkv::no_sharing{}, 3);
  REQUIRE(plan);
  CHECK(groups(*plan) == ints{0, 1, 2});
  CHECK(scoring(*plan) == ints{0, 1, 2});
}

TEST_CASE("layers that may not be evicted stay outside", "[layer_groupings]") {
  std::uint8_t const evictable[] = {0, 1, 1, 0, 1, 1, 0, 1};
  auto const plan = plan_with(wkv::uniform_groups{2, scoring_layers::first, evictable}, 8);
  REQUIRE(plan);
  CHECK(groups(*plan) == ints{-1, 0, 0, -1, 1, 1, -1, 2});
  CHECK(leaders(*plan) == ints{1, 4, 7});
  CHECK(plan->max_kept(0) == 100);
  CHECK(plan->max_kept(1) ==
        8 + 32 + 4);  // budget, suffix, and the rest of a window behind the short last one
  CHECK_FALSE(plan->leads_group(0));
  CHECK_FALSE(plan->completes_group(0));

  std::uint8_t const none[3] = {};
  auto const empty = plan_with(wkv::uniform_groups{2, scoring_layers::first, none}, 3);
  REQUIRE(empty);
  CHECK(empty->groups == 0);
  CHECK(empty->workspace_bytes == 0);
}

TEST_CASE("a scorers table says which layers may score", "[layer_groupings]") {
  std::uint8_t const scorers[] = {0, 1, 1, 0, 0, 1};
  auto const first = plan_with(wkv::uniform_groups{3, scoring_layers::first, nullptr, scorers}, 6);
  REQUIRE(first);
  CHECK(scoring(*first) == ints{1, 5});
  CHECK(leaders(*first) == ints{1, 5});
  auto const all = plan_with(wkv::uniform_groups{3, scoring_layers::all, nullptr, scorers}, 6);
  REQUIRE(all);
  CHECK(scoring(*all) == ints{1, 2, 5});
  CHECK(leaders(*all) == ints{1, 5});
  CHECK(completers(*all) == ints{2, 5});
  CHECK(message(plan_with(wkv::uniform_groups{1, scoring_layers::all, nullptr, scorers}, 6)) ==
        "layer_grouping.scores: scoring layers of group: got 0, must be at least 1");
}

TEST_CASE("a table makes any groups", "[layer_groupings]") {
  std::int16_t const table[] = {1, 0, -1, 1, 0};
  auto const plan = plan_with(wkv::table_groups{table, 5, scoring_layers::all}, 5);
  REQUIRE(plan);
  CHECK(groups(*plan) == ints{1, 0, -1, 1, 0});
  CHECK(leaders(*plan) == ints{0, 1});
  CHECK(completers(*plan) == ints{3, 4});
  CHECK(plan->group[0].first_layer == 1);
  CHECK(plan->group[0].last_layer == 4);
  CHECK(plan->score_buffers == 2);  // both groups accumulate at the same time
}

TEST_CASE("bad tables are refused", "[layer_groupings]") {
  std::int16_t const gap[] = {0, 2, 2};
  std::int16_t const too_large[] = {0, 1, 3};
  std::int16_t const negative[] = {0, -2, 0};
  CHECK(message(plan_with(wkv::table_groups{nullptr, 3}, 3)) == "table_groups.group: must not be null");
  CHECK(message(plan_with(wkv::table_groups{gap, 2}, 3)) == "table_groups.layers: got 2, must equal 3");
  CHECK(message(plan_with(wkv::table_groups{gap, 3}, 3)) ==
        "layer_grouping.group_of (groups without a gap): group: got 1, must have a layer; groups: 3");
  CHECK(message(plan_with(wkv::table_groups{too_large, 3}, 3)) ==
        "layer 2: layer_grouping.group_of: got 3, must be at most 2");
  CHECK(message(plan_with(wkv::table_groups{negative, 3}, 3)) ==
        "layer 1: layer_grouping.group_of: got -2, must be at least -1");
  CHECK(message(plan_with(wkv::uniform_groups{0}, 3)) ==
        "uniform_groups.layers_per_group: got 0, must be at least 1");
}

TEST_CASE("groups that score one after the other share a buffer", "[layer_groupings]") {
  CHECK(plan_with(wkv::uniform_groups{2, scoring_layers::all}, 8)->score_buffers == 1);
  std::int16_t const interleaved[] = {0, 1, 2, 0, 1, 2};
  CHECK(plan_with(wkv::table_groups{interleaved, 6, scoring_layers::all}, 6)->score_buffers == 3);
  CHECK(plan_with(wkv::table_groups{interleaved, 6, scoring_layers::first}, 6)->score_buffers == 1);
  std::int16_t const nested[] = {0, 1, 1, 2, 2, 0};
  auto const plan = plan_with(wkv::table_groups{nested, 6, scoring_layers::all}, 6);
  REQUIRE(plan);
  CHECK(plan->score_buffers == 2);
  CHECK(plan->group[1].score_buffer == plan->group[2].score_buffer);
  CHECK(plan->group[0].score_buffer != plan->group[1].score_buffer);
}
