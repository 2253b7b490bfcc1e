// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/head_sharing.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using floats = std::vector<float>;

/// Single tokens by given scores, `heads` rows of them; the budget counts the suffix.
template <class HeadSharing>
auto method_of(HeadSharing sharing, int suffix, int budget, int heads = 0,
               wkv::head_merge merge = wkv::head_merge::at_tokens) {
  auto const base = wkv::paper_method(1)
                        .with_token_scorer(wkv::external_scores{heads})
                        .with_window_scorer(wkv::window_mean{})
                        .with_layer_grouping(wkv::no_sharing{})
                        .with_budget_shape(wkv::uniform_budget{})
                        .with_selector(wkv::top_windows{})
                        .with_suffix(suffix)
                        .with_budget(budget);
  return base.with_localization(base.localization.with_heads(merge)).with_head_sharing(sharing);
}

struct picked {
  std::vector<ints> lists;
  int kept = 0;
  int rows = 0;
  float retained = 0;
  std::int64_t max_rows = 0;
  int max_kept = 0;

  ints counts() const {
    ints all;
    for (ints const& list : lists) all.push_back(static_cast<int>(list.size()));
    return all;
  }
};

/// Selects for one layer by the scores [heads][R] of the query heads.
template <class Method>
picked pick(Method const& method, int kv_heads, std::vector<floats> const& scores) {
  auto const heads = static_cast<int>(scores.size());
  auto const review = static_cast<int>(scores[0].size());
  floats flat;
  for (floats const& row : scores) flat.insert(flat.end(), row.begin(), row.end());
  int const query_heads = std::max(heads, kv_heads);
  auto const plan = wkv::make_plan(method, wkv::model_shape{1, query_heads, kv_heads, 1},
                                   {review + method.localization.suffix});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(message(wkv::score(serial, *run, 0, wkv::token_scores{flat.data(), heads, review, review})) ==
          "ok");
  auto const chosen = wkv::select(serial, *run, 0);
  REQUIRE(message(chosen) == "ok");
  picked out{
      {}, chosen->kept, chosen->rows(), chosen->retained, plan->group[0].max_rows, plan->group[0].max_kept};
  for (int list = 0; list < chosen->lists; ++list) {
    wkv::slot_list const one = chosen->list(list);
    out.lists.emplace_back(one.slots, one.slots + one.count);
  }
  return out;
}

template <class HeadSharing>
std::string refusal(HeadSharing sharing, int kv_heads = 2) {
  return message(wkv::make_plan(method_of(sharing, 2, 4), wkv::model_shape{2, kv_heads, kv_heads, 1}, {20}));
}

std::vector<floats> const two_heads = {{9, 1, 2, 8, 3, 4}, {1, 2, 3, 4, 6, 5}};

}  // namespace

TEST_CASE("every KV head keeps its own best tokens and the suffix", "[head_sharing]") {
  picked const own = pick(method_of(wkv::each_kv_head{}, 2, 4), 2, two_heads);
  CHECK(own.lists == std::vector<ints>{{0, 3, 6, 7}, {4, 5, 6, 7}});
  CHECK(own.kept == 4);
  CHECK(own.rows == 8);
  CHECK(own.retained == Approx((17. / 27 + 11. / 21) / 2));
  picked const shared = pick(method_of(wkv::all_heads{}, 2, 4), 2, two_heads);
  CHECK(shared.lists == std::vector<ints>{{0, 3, 6, 7}});
  CHECK(shared.rows == 4);
}

TEST_CASE("query heads merge within their KV head", "[head_sharing]") {
  std::vector<floats> const four = {{1, 0, 0, 8}, {0, 6, 0, 0}, {0, 0, 9, 0}, {2, 3, 0, 3}};
  for (auto merge : {wkv::head_merge::at_tokens, wkv::head_merge::at_windows}) {
    CHECK(pick(method_of(wkv::each_kv_head{}, 1, 3, 0, merge), 2, four).lists ==
          std::vector<ints>{{1, 3, 4}, {1, 2, 4}});
  }
}

TEST_CASE("the prompt at, above and below the budget of a list", "[head_sharing]") {
  CHECK(pick(method_of(wkv::each_kv_head{}, 2, 9), 2, two_heads).lists ==
        std::vector<ints>{range(0, 8), range(0, 8)});
  CHECK(pick(method_of(wkv::each_kv_head{}, 2, 8), 2, two_heads).counts() == ints{8, 8});
  CHECK(pick(method_of(wkv::each_kv_head{}, 2, 7), 2, two_heads).lists ==
        std::vector<ints>{{0, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 4, 5, 6, 7}});
  CHECK(pick(method_of(wkv::each_kv_head{}, 2, 2), 2, two_heads).lists == std::vector<ints>{{6, 7}, {6, 7}});
  CHECK(pick(method_of(wkv::each_kv_head{}, 2, 1), 2, two_heads).lists == std::vector<ints>{{7}, {7}});
  CHECK(pick(method_of(wkv::each_kv_head{}, 0, 1), 2, {{0}, {0}}).lists == std::vector<ints>{{0}, {0}});
}

TEST_CASE("one KV head: a list of its own is the list of all", "[head_sharing]") {
  random_source random(5);
  floats scores;
  for (int i = 0; i < 40; ++i) scores.push_back(static_cast<float>(random.below(9)));
  ints const shared = pick(method_of(wkv::all_heads{}, 3, 11), 1, {scores}).lists[0];
  CHECK(pick(method_of(wkv::each_kv_head{}, 3, 11), 1, {scores}).lists[0] == shared);
  CHECK(pick(method_of(wkv::each_kv_head<wkv::adaptive_heads>{}, 3, 11), 1, {scores}).lists[0] == shared);
  CHECK(pick(method_of(wkv::each_kv_head<wkv::safeguarded_heads>{}, 3, 11), 1, {scores}).lists[0] == shared);
}

TEST_CASE("a table gives every head of every group its count", "[head_sharing]") {
  std::int32_t const counts[] = {1, 4, 0, 7};  // the last exceeds the review part
  picked const own = pick(method_of(wkv::each_kv_head{wkv::table_heads{counts, 1, 4}}, 2, 5), 4,
                          {two_heads[0], two_heads[1], two_heads[0], two_heads[1]});
  CHECK(own.lists == std::vector<ints>{{0, 6, 7}, {2, 3, 4, 5, 6, 7}, {6, 7}, range(0, 8)});
  CHECK(own.kept == 8);
  CHECK(own.max_kept == 8);
  CHECK(own.max_rows == 3 + 6 + 2 + 8);
  CHECK(own.rows == 19);
}

TEST_CASE("adaptive heads compete for the tokens of a layer", "[head_sharing]") {
  // The common ranking is 9 8 7 6 (head 0), 5 (head 1), 4 (head 0), 3 (head 2), ...
  std::vector<floats> const three = {{9, 8, 7, 6, 4, 0}, {5, 0, 0, 0, 0, 0}, {3, 2, 1, 0, 0, 0}};
  auto const adaptive = [](double floor, bool normalize = false, bool is_exact = true) {
    return wkv::each_kv_head{wkv::adaptive_heads{floor, normalize, is_exact}};
  };
  // An even share is 2 tokens, so 6 are to be had.
  CHECK(pick(method_of(adaptive(0.), 1, 3), 3, three).counts() == ints{6, 2, 1});
  CHECK(pick(method_of(adaptive(1.), 1, 3), 3, three).counts() == ints{3, 3, 3});
  // 5, 1 and 0 by half, and 1 sure: 3.5, 1.5, 1; the one token that whole parts leave goes to the lower.
  CHECK(pick(method_of(adaptive(0.5), 1, 3), 3, three).counts() == ints{5, 2, 2});
  // Each for itself, halves to even: 4, 2, 1.
  picked const rounded = pick(method_of(adaptive(0.5, false, false), 1, 3), 3, three);
  CHECK(rounded.counts() == ints{5, 3, 2});
  CHECK(rounded.rows <= rounded.max_rows);
  // The list is the head of the head's own ranking.
  CHECK(pick(method_of(adaptive(0.), 1, 3), 3, three).lists ==
        std::vector<ints>{{0, 1, 2, 3, 4, 6}, {0, 6}, {6}});
  // An even share would keep 17/34, 5/5 and 5/6 of the heads' mass: 4.5 4 3.5 3 2, 5, 2.5 1.7 0.8.
  CHECK(pick(method_of(adaptive(0., true), 1, 3), 3, three).counts() == ints{5, 2, 2});
}

TEST_CASE("adaptive heads: ties go to the lower head, NaN wins last", "[head_sharing]") {
  auto const adaptive = wkv::each_kv_head{wkv::adaptive_heads{0.}};
  CHECK(pick(method_of(adaptive, 0, 2), 2, {{1, 1, 1}, {1, 1, 1}}).counts() == ints{3, 1});
  CHECK(pick(method_of(adaptive, 0, 2), 2, {floats(3, not_a_number), {0, -1, -infinity}}).counts() ==
        ints{1, 3});
  CHECK(pick(method_of(adaptive, 0, 1), 2, {floats(3, not_a_number), floats(3, not_a_number)}).counts() ==
        ints{2, 0});
}

TEST_CASE("safeguarded heads: the best of an even share stay, the rest competes", "[head_sharing]") {
  std::vector<floats> const two = {{9, 8, 7, 6, 5, 4, 3, 2}, {1, .9f, .8f, .7f, .6f, .5f, .4f, .3f}};
  auto const safe = [](double share) { return wkv::each_kv_head{wkv::safeguarded_heads{share}}; };
  CHECK(pick(method_of(safe(0.), 0, 4), 2, two).counts() == ints{8, 0});
  CHECK(pick(method_of(safe(0.3), 0, 4), 2, two).counts() == ints{7, 1});
  CHECK(pick(method_of(safe(0.5), 0, 4), 2, two).counts() == ints{6, 2});
  CHECK(pick(method_of(safe(1.), 0, 4), 2, two).counts() == ints{4, 4});
  // What is sure does not compete: the 10 is no answer to the 8 and the 7.
  CHECK(pick(method_of(safe(0.5), 0, 2), 2, {{9, 8, 7, 0}, {10, 1, 1, 1}}).counts() == ints{3, 1});
  CHECK(pick(method_of(safe(0.5), 0, 4), 2, two).lists == std::vector<ints>{{0, 1, 2, 3, 4, 5}, {0, 1}});
}

TEST_CASE("heads that compete spend the group's tokens exactly and stay within the plan", "[head_sharing]") {
  random_source random(8);
  for (int i = 0; i < 400; ++i) {
    int const kv_heads = random.between(1, 6);
    int const review = random.between(1, 40);
    int const suffix = random.below(4);
    int const budget = random.between(1, review + suffix);
    double const share = random.between(0, 10) / 10.;
    std::vector<floats> scores(static_cast<std::size_t>(kv_heads));
    for (floats& row : scores) {
      for (int j = 0; j < review; ++j) {
        row.push_back(random.below(30) == 0 ? not_a_number : static_cast<float>(random.below(12)));
      }
    }
    auto const check = [&](auto sharing, bool is_exact) {
      picked const p = pick(method_of(sharing, suffix, budget), kv_heads, scores);
      CAPTURE(kv_heads, review, suffix, budget, share, p.counts());
      int const expected = kv_heads * budget;
      CHECK((is_exact ? p.rows == expected : std::abs(p.rows - expected) <= kv_heads));
      CHECK(p.rows <= p.max_rows);
      CHECK(p.kept <= p.max_kept);
      for (ints const& list : p.lists) {
        CHECK(std::adjacent_find(list.begin(), list.end(), std::greater_equal<>{}) == list.end());
        CHECK((list.empty() || list.back() < review + suffix));
      }
    };
    check(wkv::each_kv_head{wkv::adaptive_heads{share, false, true}}, true);
    check(wkv::each_kv_head{wkv::adaptive_heads{share, true, true}}, true);
    check(wkv::each_kv_head{wkv::adaptive_heads{share, false, false}}, share == 0. || budget <= suffix);
    check(wkv::each_kv_head{wkv::safeguarded_heads{share}}, true);
  }
}

TEST_CASE("head budgets refuse what they cannot mean", "[head_sharing]") {
  std::int32_t counts[] = {1, 2, 3, 4};
  CHECK(refusal(wkv::each_kv_head{wkv::table_heads{counts, 2, 2}}) == "ok");
  CHECK(refusal(wkv::each_kv_head{wkv::table_heads{nullptr, 2, 2}}) ==
        "table_heads.counts: must not be null");
  CHECK(refusal(wkv::each_kv_head{wkv::table_heads{counts, 1, 2}}) ==
        "table_heads.groups: got 1, must equal 2");
  CHECK(refusal(wkv::each_kv_head{wkv::table_heads{counts, 2, 1}}) ==
        "table_heads.lists: got 1, must equal 2");
  counts[3] = -1;
  CHECK(refusal(wkv::each_kv_head{wkv::table_heads{counts, 2, 2}}) ==
        "table_heads.counts: got -1, must be at least 0");
  for (float bad : {-0.1f, 1.1f, not_a_number}) {
    CHECK(refusal(wkv::each_kv_head{wkv::adaptive_heads{bad}}) == "adaptive_heads.floor: must lie in [0, 1]");
    CHECK(refusal(wkv::each_kv_head{wkv::safeguarded_heads{bad}}) ==
          "safeguarded_heads.safe: must lie in [0, 1]");
  }
  CHECK(message(wkv::make_plan(method_of(wkv::each_kv_head{}, 2, 4, 3), wkv::model_shape{1, 2, 2, 1},
                               {20})) == "external_scores.heads: got 3, must be a multiple of kv_heads 2");
}

TEST_CASE("what counts as a head budget or a sharing", "[head_sharing]") {
  CHECK((wkv::is_head_budget_v<wkv::equal_heads> && !wkv::is_adaptive_head_budget_v<wkv::equal_heads>));
  CHECK((wkv::is_head_budget_v<wkv::table_heads> && !wkv::is_adaptive_head_budget_v<wkv::table_heads>));
  CHECK((wkv::is_head_budget_v<wkv::adaptive_heads> && wkv::is_adaptive_head_budget_v<wkv::adaptive_heads>));
  CHECK(wkv::is_adaptive_head_budget_v<wkv::safeguarded_heads>);
  CHECK_FALSE(wkv::is_head_budget_v<int>);
  CHECK((wkv::is_head_sharing_v<wkv::all_heads> && wkv::is_head_sharing_v<wkv::each_kv_head<>>));
  CHECK_FALSE(wkv::is_head_sharing_v<wkv::equal_heads>);
}
