// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Policies that the library does not have, together with every kind that it has, and its own with each other:
// whatever is composed, what stays is what the plan pays for, in order, and the rows are the right ones.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr int tokens = 97;
constexpr int sinks = 3;
wkv::model_shape const shape{4, 4, 2, 8};

// ---- policies of a user
// ------------------------------------------------------------------------------------

/// The largest attention that any query pays.
struct peak_attention {
  using state_type = float;
  WINDOWKV_HD float init() const { return 0.f; }
  WINDOWKV_HD void add(float& state, float p) const { state = p > state ? p : state; }
  WINDOWKV_HD float finish(float state, int /*rows*/) const { return state; }
};
/// The same over all queries of the prompt.
struct peak_of_prompt : peak_attention {
  static constexpr bool observes_prompt = true;
};
/// How far a key is from the head's first key, in units of the largest such distance.
struct distance_to_first {
  static constexpr int passes = 2;
  int scratch_floats(wkv::row_shape const& s) const { return s.tokens + 1; }
  int items(int pass, wkv::row_shape const& s) const { return pass == 0 ? s.tokens : 1; }
  template <class Rows>
  WINDOWKV_HD void run(int pass, int item, Rows const& rows, float* scratch) const {
    if (pass == 0) {
      float sum = 0.f;
      for (int d = 0; d < rows.dims; ++d) {
        float const x = rows.key(item, d) - rows.key(0, d);
        sum += x * x;
      }
      scratch[item] = sum;
      return;
    }
    float largest = 0.f;
    for (int j = 0; j < rows.tokens; ++j) largest = scratch[j] > largest ? scratch[j] : largest;
    scratch[rows.tokens] = largest;
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    return scratch[token] / scratch[rows.tokens];
  }
};
/// The smallest score of the neighbourhood.
struct min_pooling {
  int after = 1;
  int before = 1;
  using state_type = float;
  WINDOWKV_HD float init() const { return infinity; }
  WINDOWKV_HD void add(float& state, float score) const { state = score < state ? score : state; }
  WINDOWKV_HD float finish(float state, int /*tokens*/) const { return state; }
};
/// Windows of 1, 2, 3, ... tokens.
struct growing_windows {
  WINDOWKV_HD int begin(int i, int /*review*/) const { return i * (i + 1) / 2; }
  WINDOWKV_HD int end(int i, int review) const { return std::min(begin(i + 1, review), review); }
  WINDOWKV_HD int count(int review) const {
    int windows = 0;
    while (begin(windows, review) < review) ++windows;
    return windows;
  }
  WINDOWKV_HD int nominal_tokens(int i, int /*review*/) const { return i + 1; }
  wkv::status validate(int /*review*/) const { return {}; }
};
/// A window counts its last score.
struct last_score {
  using state_type = float;
  WINDOWKV_HD float init() const { return 0.f; }
  WINDOWKV_HD void add(float& state, float score) const { state = score; }
  WINDOWKV_HD float finish(float state, int /*tokens*/) const { return state; }
};
/// Three quarters and five quarters in turns.
struct alternating_budget {
  bool counts_suffix = true;
  wkv::status allocate(wkv::budget_request const& request, std::int32_t* out) const {
    for (int g = 0; g < request.groups; ++g) out[g] = request.tokens_per_layer * (g % 2 == 0 ? 3 : 5) / 4;
    return {};
  }
};
/// Pairs of layers from both ends: 0 and 3, 1 and 2.
struct mirrored_groups {
  wkv::scoring_layers scoring = wkv::scoring_layers::all;
  int group_of(int layer, int layers) const { return std::min(layer, layers - 1 - layer); }
  bool scores(int /*layer*/, int /*layers*/) const { return true; }
  wkv::status validate(int /*layers*/) const { return {}; }
};
/// The first head keeps half as much again as the second.
struct uneven_heads {
  int tokens(int /*group*/, int list, int even) const { return list == 0 ? even * 6 / 5 : even * 4 / 5; }
  wkv::status validate(int /*groups*/, int /*lists*/) const { return {}; }
};
/// Half is sure, the other half goes by what was won.
struct half_adaptive_heads {
  static constexpr bool is_exact = true;
  WINDOWKV_HD int reserve(int even) const { return even / 4; }
  WINDOWKV_HD double weight(double /*best*/, double all) const { return 1 / (1 + all); }
  WINDOWKV_HD double share(int won, int even) const { return (won + even) / 2.; }
  wkv::status validate() const { return {}; }
};
/// Every odd token stays, as far as the budget reaches.
struct odd_tokens_first : wkv::top_windows {
  WINDOWKV_HD bool protects(int begin, int end) const {
    return top_windows::protects(begin, end) || (end - begin == 1 && begin % 2 == 1);
  }
  odd_tokens_first on_device() const { return *this; }
};

// ---- what must hold
// ----------------------------------------------------------------------------------------

struct cache {
  std::vector<tensor> keys, values, queries;
  cache() {
    for (unsigned l = 0; l < 4; ++l) {
      keys.push_back(random_tensor(10 + l, tokens, shape.kv_heads, shape.head_dim));
      values.push_back(random_tensor(20 + l, tokens, shape.kv_heads, shape.head_dim));
      queries.push_back(random_tensor(30 + l, tokens, shape.query_heads, shape.head_dim));
    }
  }
};
cache const original;

auto plane(tensor& t) { return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim); }
auto plane(tensor const& t) { return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim); }

/// What stays, per group and list.
using kept_lists = std::vector<std::vector<std::int32_t>>;

template <class Method>
kept_lists compress(Method const& method) {
  cache moved = original;
  auto const plan = wkv::make_plan(method, shape, {tokens, wkv::task::localization});
  INFO(message(plan));
  REQUIRE(plan.ok());
  scratch const memory(plan->workspace_bytes);
  auto const at = [](int layer) { return static_cast<std::size_t>(layer); };
  auto const kv = [&](int l) { return wkv::kv_view{plane(moved.keys[at(l)]), plane(moved.values[at(l)])}; };
  auto const run_with = [&](auto const& source) {
    auto const outcome = wkv::compress(serial, *plan, memory.get(), source, kv);
    INFO(message(outcome));
    REQUIRE(outcome.ok());
    return *outcome;
  };
  auto const queries = [&](int l) { return wkv::suffix_queries{plane(original.queries[at(l)])}; };
  wkv::compression_report report;
  using scorer = std::decay_t<decltype(method.localization.token_scorer)>;
  if constexpr (wkv::is_row_scorer_v<scorer> && !wkv::detail::reads_queries<scorer>::value) {
    report = run_with([](int) { return wkv::no_queries{}; });
  } else {
    report = run_with(queries);
  }

  kept_lists all;
  for (int g = 0; g < report.groups; ++g) {
    wkv::selection const& chosen = report.group[g];
    wkv::group_plan const& planned = plan->group[g];
    REQUIRE(chosen.lists == plan->lists);
    CHECK(chosen.rows() <= planned.max_rows);
    int longest = 0;
    for (int head = 0; head < chosen.lists; ++head) {
      wkv::slot_list const list = chosen.list(head);
      std::vector<std::int32_t> const slots(list.slots, list.slots + list.count);
      longest = std::max(longest, list.count);
      CHECK(list.count <= planned.max_kept);
      CHECK(std::adjacent_find(slots.begin(), slots.end(), std::greater_equal<>()) == slots.end());
      for (int i = 0; i < sinks; ++i) CHECK(std::binary_search(slots.begin(), slots.end(), i));
      for (int i = tokens - planned.suffix; i < tokens; ++i) {
        CHECK(std::binary_search(slots.begin(), slots.end(), i));
      }
      all.push_back(slots);
    }
    CHECK(longest == chosen.kept);
  }
  for (int l = 0; l < shape.layers; ++l) {  // every head has the rows of its list in front
    wkv::selection const& chosen = report.group[plan->layer[l].group];
    for (int head = 0; head < shape.kv_heads; ++head) {
      wkv::slot_list const list = chosen.list(chosen.lists == 1 ? 0 : head);
      bool is_right = true;
      for (int i = 0; i < list.count; ++i) {
        for (int d = 0; d < shape.head_dim; ++d) {
          is_right = is_right &&
                     moved.keys[at(l)].at(i, head, d) == original.keys[at(l)].at(list.slots[i], head, d) &&
                     moved.values[at(l)].at(i, head, d) == original.values[at(l)].at(list.slots[i], head, d);
        }
      }
      CHECK(is_right);
    }
    std::int64_t const row = std::int64_t{2} * shape.head_dim * shape.kv_heads * 4;
    CHECK(report.layer[l].bytes_after == row * chosen.rows() / chosen.lists);
  }
  return all;
}

/// Of any method with a ranking per list: a larger budget only adds.
template <class Method>
void check(Method const& method) {
  auto const with_sinks = method.with_selector([&] {
    auto selector = method.selector;
    selector.sinks = sinks;
    return selector;
  }());
  kept_lists const few = compress(with_sinks.with_budget(32));
  kept_lists const many = compress(with_sinks.with_budget(60));
  using sharing = typename Method::head_sharing_type;
  if constexpr (!wkv::is_adaptive_head_budget_v<typename sharing::head_budget_type>) {
    for (std::size_t i = 0; i < few.size(); ++i) {
      CHECK(std::includes(many[i].begin(), many[i].end(), few[i].begin(), few[i].end()));
      CHECK(many[i].size() > few[i].size());
    }
  }
}

auto plain() {
  return wkv::paper_method(4)
      .with_suffix(8)
      .with_budget_shape(wkv::uniform_budget{})
      .with_layer_grouping(wkv::uniform_groups{2})
      .with_selector(wkv::top_windows{});
}

}  // namespace

TEST_CASE("a new scorer works with every part there is", "[composition]") {
  auto const base = plain().with_token_scorer(distance_to_first{});
  SECTION("poolings, windows, window scorers") {
    auto const& s = base.localization;
    check(base.with_localization(s.with_pooling(wkv::max_pooling{7, 0}).with_windows(wkv::fixed_windows{1})));
    check(base.with_localization(s.with_pooling(wkv::average_pooling{2, 2, true})));
    std::int32_t const sentences[] = {0, 7, 20, 21, 50, 80};
    check(base.with_windows(wkv::boundary_windows{sentences, 6}).with_window_scorer(wkv::window_mean{}));
  }
  SECTION("heads") {
    check(base.with_head_sharing(wkv::each_kv_head{}));
    check(base.with_head_sharing(wkv::each_kv_head<wkv::adaptive_heads>{}));
    check(base.with_head_sharing(wkv::each_kv_head{wkv::safeguarded_heads{0.5f}}));
    check(base.with_localization(
        base.localization.with_heads(wkv::head_merge::at_tokens, wkv::head_reduction::maximum)));
  }
  SECTION("layers, budgets, selectors") {
    check(base.with_layer_grouping(wkv::uniform_groups{4, wkv::scoring_layers::middle}));
    auto votes = base.with_layer_grouping(wkv::uniform_groups{4, wkv::scoring_layers::all});
    check(votes.with_localization(votes.localization.with_layers(wkv::layer_merge::maximum)));
    check(base.with_budget_shape(wkv::exact_budget{wkv::arithmetic_budget{3}}));
    wkv::top_mass half;
    half.share = 0.99f;
    check(base.with_selector(half));
  }
  SECTION("values") {
    check(plain().with_token_scorer(wkv::value_weighted<peak_attention, distance_to_first>({}, {}, 0.1f)));
    check(plain().with_token_scorer(wkv::value_weighted<peak_of_prompt, wkv::value_norm>({}, {2})));
  }
}

TEST_CASE("new groupings, budgets and the rest work with every scorer there is", "[composition]") {
  auto const base = plain()
                        .with_windows(growing_windows{})
                        .with_window_scorer(last_score{})
                        .with_budget_shape(alternating_budget{});
  SECTION("attention") {
    check(base);
    check(base.with_token_scorer(wkv::recent_attention{}));
    check(base.with_token_scorer(wkv::mean_variance_attention{}));
    check(base.with_token_scorer(peak_attention{}));
    check(base.with_token_scorer(wkv::accumulated_attention{}));
    check(base.with_token_scorer(wkv::observed_attention{}).with_suffix(0));
    check(base.with_token_scorer(peak_of_prompt{}).with_layer_grouping(mirrored_groups{}));
  }
  SECTION("rows") {
    check(base.with_token_scorer(wkv::inverse_key_norm{}).with_suffix(0));
    check(base.with_token_scorer(wkv::key_dissimilarity{}));
    check(base.with_token_scorer(wkv::lag_relative{2, 16}));
    check(base.with_token_scorer(wkv::expected_future_attention{}));
    check(base.with_token_scorer(wkv::recency{}).with_layer_grouping(mirrored_groups{}));
    check(base.with_token_scorer(wkv::random_order{}));
  }
}

TEST_CASE("everything of a user's own, at once", "[composition]") {
  auto const base = plain()
                        .with_token_scorer(distance_to_first{})
                        .with_windows(growing_windows{})
                        .with_window_scorer(last_score{})
                        .with_layer_grouping(mirrored_groups{})
                        .with_budget_shape(alternating_budget{});
  auto const own = base.with_localization(base.localization.with_pooling(min_pooling{}));
  check(own.with_head_sharing(wkv::each_kv_head<uneven_heads>{}));
  check(own.with_head_sharing(wkv::each_kv_head<half_adaptive_heads>{}));
  check(own.with_windows(wkv::fixed_windows{1}).with_selector(odd_tokens_first{}));
}
