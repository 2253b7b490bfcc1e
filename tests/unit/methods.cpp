// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/methods.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/host/thread_pool.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;
using lists = std::vector<ints>;  ///< what stays: one list for every KV head, or one for all

constexpr wkv::model_shape shape{3, 4, 2, 8};
constexpr float preferences[] = {3.f, 1.f, 2.f};

/// Calls f(name, method) with every named method.
template <class F>
void for_each_method(F&& f) {
  f("snapkv", wkv::snapkv());
  f("h2o", wkv::h2o());
  f("streaming_llm", wkv::streaming_llm());
  f("pyramid_kv", wkv::pyramid_kv());
  f("tova", wkv::tova());
  f("ada_kv", wkv::ada_kv());
  f("chunk_kv", wkv::chunk_kv());
  f("chunk_kv, pairs of layers", wkv::chunk_kv(7, 2));
  f("key_norm", wkv::key_norm());
  f("key_diff", wkv::key_diff());
  f("lag_kv", wkv::lag_kv().with_token_scorer(wkv::lag_relative{4, 16}));
  f("expected_attention", wkv::expected_attention());
  f("cake", wkv::cake(preferences, shape.layers));
  f("random_tokens", wkv::random_tokens());
}

/// Queries and cache of a prompt, with queries for every token; heads may keep different rows.
struct model_cache {
  std::vector<tensor> queries, keys, values;
  model_cache(int tokens, unsigned seed) {
    for (unsigned l = 0; l < static_cast<unsigned>(shape.layers); ++l) {
      queries.push_back(random_tensor(seed + 3 * l, tokens, shape.query_heads, shape.head_dim, 3.f));
      keys.push_back(random_tensor(seed + 3 * l + 1, tokens, shape.kv_heads, shape.head_dim, 3.f));
      values.push_back(random_tensor(seed + 3 * l + 2, tokens, shape.kv_heads, shape.head_dim + 2));
    }
  }
  static auto plane(tensor& t) { return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim); }
  auto source(int layer) { return wkv::suffix_queries{plane(queries[static_cast<std::size_t>(layer)])}; }
  auto kv(int layer) {
    auto const l = static_cast<std::size_t>(layer);
    return wkv::kv_view{plane(keys[l]), plane(values[l])};
  }
};

lists lists_of(wkv::selection const& chosen) {
  lists all;
  for (int list = 0; list < chosen.lists; ++list) {
    wkv::slot_list const kept = chosen.list(list);
    all.emplace_back(kept.slots, kept.slots + kept.count);
  }
  return all;
}

/// What every group keeps.
template <class Method, class Executor = wkv::host_executor<>>
std::vector<lists> compress(wkv::plan<Method> const& plan, unsigned seed, Executor const& on = {}) {
  model_cache cache(plan.prompt.tokens, seed);
  scratch const memory(plan.workspace_bytes);
  auto const report = wkv::compress(
      on, plan, memory.get(), [&](int l) { return cache.source(l); }, [&](int l) { return cache.kv(l); });
  REQUIRE(message(report) == "ok");
  std::vector<lists> groups;
  for (int g = 0; g < report->groups; ++g) groups.push_back(lists_of(report->group[g]));
  return groups;
}

template <class Method>
wkv::plan<Method> plan_of(Method const& method, int tokens, wkv::task task = wkv::task::localization) {
  auto const plan = wkv::make_plan(method, shape, {tokens, task});
  REQUIRE(message(plan) == "ok");
  return *plan;
}

template <class Method>
constexpr bool is_adaptive =
    wkv::is_adaptive_head_budget_v<typename Method::head_sharing_type::head_budget_type>;

bool holds_range(ints const& ascending, int begin, int end) {
  ints const all = range(begin, end);
  return std::includes(ascending.begin(), ascending.end(), all.begin(), all.end());
}

/// Everything that must hold of what a group keeps.
template <class Method>
void check_group(wkv::plan<Method> const& plan, int group, lists const& kept) {
  wkv::group_plan const& planned = plan.group[group];
  int const tokens = plan.prompt.tokens;
  int const budget = std::min(planned.budget, tokens);
  int const width = plan.method.localization.windows.width;
  int const sinks = std::min({plan.method.selector.sinks, budget, tokens});
  std::size_t rows = 0;
  CHECK(static_cast<int>(kept.size()) == plan.lists);
  for (ints const& list : kept) {
    auto const count = static_cast<int>(list.size());
    rows += list.size();
    if (width == 1 && !is_adaptive<Method>) CHECK(count == budget);
    if (width > 1) CHECK((count <= budget && count > std::min(budget, tokens - planned.suffix) - width));
    CHECK(std::adjacent_find(list.begin(), list.end(), std::greater_equal<>{}) == list.end());
    CHECK((list.empty() || (list.front() >= 0 && list.back() < tokens)));
    CHECK(holds_range(list, tokens - planned.suffix, tokens));
    CHECK(holds_range(list, 0, sinks));
  }
  if (is_adaptive<Method>) CHECK(rows == kept.size() * static_cast<std::size_t>(budget));
}

}  // namespace

TEST_CASE("every named method keeps what its plan pays for, and more of it for more", "[methods]") {
  for_each_method([](char const* name, auto const& method) {
    for (int tokens : {1, 2, 7, 33, 41, 150}) {
      std::vector<lists> fewer;
      std::vector<int> fewer_budgets;
      for (int c : {1, 3, 4, 9, 32, 33, 40, 41, 75, 149, 150, 400}) {
        CAPTURE(name, tokens, c);
        auto const plan = plan_of(method.with_budget(c), tokens);
        auto const kept = compress(plan, 7);
        REQUIRE(static_cast<int>(kept.size()) == plan.groups);
        for (int g = 0; g < plan.groups; ++g) check_group(plan, g, kept[static_cast<std::size_t>(g)]);
        std::vector<int> const budgets = budgets_of(plan);
        for (std::size_t g = 0; g < fewer.size(); ++g) {
          // Adaptive heads may lose tokens to others, and a pyramid's upper layers to its lower ones.
          if (is_adaptive<std::decay_t<decltype(method)>> || budgets[g] < fewer_budgets[g]) continue;
          for (std::size_t list = 0; list < kept[g].size(); ++list) {
            CHECK(std::includes(kept[g][list].begin(), kept[g][list].end(), fewer[g][list].begin(),
                                fewer[g][list].end()));
          }
        }
        fewer = kept;
        fewer_budgets = budgets;
      }
    }
  });
}

TEST_CASE("every named method: threads and the task change nothing", "[methods]") {
  wkv::thread_pool pool(3);
  for_each_method([&](char const* name, auto const& method) {
    CAPTURE(name);
    auto const plan = plan_of(method.with_budget(40), 700);
    auto const kept = compress(plan, 3);
    CHECK(compress(plan, 3, wkv::host_executor{pool.hook()}) == kept);
    CHECK(compress(plan_of(method.with_budget(40), 700, wkv::task::aggregation), 3) == kept);
    bool const looks_at_the_cache =
        std::string("streaming_llm random_tokens").find(name) == std::string::npos;
    CHECK((compress(plan, 4) != kept) == looks_at_the_cache);
  });
}

TEST_CASE("every named method: the sequences of a batch in another order keep the same", "[methods]") {
  for_each_method([](char const* name, auto const& method) {
    CAPTURE(name);
    using method_type = std::decay_t<decltype(method)>;
    constexpr int lengths[] = {90, 41, 130};
    constexpr int orders_of_three[][3] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}};
    std::vector<std::vector<lists>> first(3);
    for (auto const& order : orders_of_three) {
      std::vector<wkv::plan<method_type>> plans;
      std::vector<model_cache> caches;
      for (int s : order) {
        plans.push_back(plan_of(method.with_budget(40), lengths[s]));
        caches.emplace_back(lengths[s], static_cast<unsigned>(100 + s));
      }
      scratch const a(plans[0].workspace_bytes);
      scratch const b(plans[1].workspace_bytes);
      scratch const c(plans[2].workspace_bytes);
      wkv::compression<method_type> runs[3];
      runs[0] = *wkv::begin(plans[0], a.get());
      runs[1] = *wkv::begin(plans[1], b.get());
      runs[2] = *wkv::begin(plans[2], c.get());
      REQUIRE(
          message(wkv::compress(
              serial, runs, 3, [&](int s, int l) { return caches[static_cast<std::size_t>(s)].source(l); },
              [&](int s, int l) { return caches[static_cast<std::size_t>(s)].kv(l); })) == "ok");
      for (int i = 0; i < 3; ++i) {
        wkv::compression_report const report = wkv::report(runs[i]);
        std::vector<lists> kept;
        for (int g = 0; g < report.groups; ++g) kept.push_back(lists_of(report.group[g]));
        std::vector<lists>& before = first[static_cast<std::size_t>(order[i])];
        if (before.empty()) before = kept;
        CHECK(kept == before);
      }
    }
  });
}

TEST_CASE("methods that look at cached rows alone need no queries", "[methods]") {
  auto const check = [](char const* name, auto const& method) {
    CAPTURE(name);
    auto const plan = plan_of(method.with_budget(40), 150);
    model_cache cache(150, 7);
    scratch const memory(plan.workspace_bytes);
    auto const report = wkv::compress(
        serial, plan, memory.get(), [](int) { return wkv::no_queries{}; },
        [&](int l) { return cache.kv(l); });
    REQUIRE(message(report) == "ok");
    auto const with_queries = compress(plan, 7);
    for (int g = 0; g < report->groups; ++g) {
      CHECK(lists_of(report->group[g]) == with_queries[static_cast<std::size_t>(g)]);
    }
  };
  check("streaming_llm", wkv::streaming_llm());
  check("key_norm", wkv::key_norm());
  check("key_diff", wkv::key_diff());
  check("lag_kv", wkv::lag_kv());
  check("random_tokens", wkv::random_tokens());
}

TEST_CASE("named methods have their papers' settings", "[methods]") {
  auto const snap = wkv::snapkv();
  CHECK(snap.localization.suffix == 32);
  CHECK(snap.aggregation.suffix == 32);
  CHECK((snap.localization.pooling.after == 3 && snap.localization.pooling.before == 3));
  CHECK(snap.localization.heads == wkv::head_merge::at_tokens);
  CHECK(snap.budget.counts_suffix);
  CHECK(wkv::pyramid_kv().localization.suffix == 8);
  CHECK(wkv::pyramid_kv().budget.beta == 20);
  CHECK(wkv::ada_kv().head_sharing.budget.floor == 0.2);
  CHECK(wkv::tova().localization.suffix == 1);
  CHECK(wkv::chunk_kv().localization.windows.width == 10);
  CHECK(wkv::chunk_kv().localization.reduction == wkv::head_reduction::sum);
  CHECK(wkv::chunk_kv(20, 4).layer_grouping.layers_per_group == 4);
  CHECK(wkv::cake(preferences, 3).localization.token_scorer.gamma == 200.f);
  CHECK(wkv::random_tokens(5).aggregation.token_scorer.seed == 5);
  CHECK(wkv::cake_statistic(wkv::attention_entropy{}).localization.suffix == 32);
  for_each_method([](char const* name, auto const& method) {
    CAPTURE(name);
    CHECK(method.selector.rule == wkv::fill::within_budget);
    std::string const with_sinks = "streaming_llm lag_kv expected_attention";
    CHECK(method.selector.sinks == (with_sinks.find(name) == std::string::npos ? 0 : 4));
    CHECK(method.tokens_per_layer == 1024);
  });
}

TEST_CASE("StreamingLLM keeps 4 sinks and the most recent tokens", "[methods]") {
  auto const kept = [](int budget) {
    return compress(plan_of(wkv::streaming_llm().with_budget(budget), 20), 1)[0][0];
  };
  CHECK(kept(7) == ints{0, 1, 2, 3, 17, 18, 19});
  CHECK(kept(4) == ints{0, 1, 2, 3});
  CHECK(kept(2) == ints{0, 1});
  CHECK(kept(20) == range(0, 20));
}

TEST_CASE("CAKE spends L x C tokens exactly, in proportion to the preferences", "[methods]") {
  auto const plan = plan_of(wkv::cake(preferences, 3).with_budget(52), 400);
  CHECK(budgets_of(plan) == ints{62, 42, 52});  // 32 + (52 - 32) * {1.5, 0.5, 1}
  CHECK(message(wkv::make_plan(wkv::cake(preferences, 2), shape, {400})) ==
        "preference_budget.groups: got 2, must equal 3");
}

TEST_CASE("ChunkKV: layers of a group reuse the list of the first", "[methods]") {
  auto const plan = plan_of(wkv::chunk_kv(10, 2).with_budget(40), 150);
  CHECK(plan.groups == 2);
  CHECK(plan.group[0].scoring_layers == 1);
  CHECK(plan.layer[1].group == 0);
  auto const own = compress(plan_of(wkv::chunk_kv().with_budget(40), 150), 7);
  auto const reused = compress(plan, 7);
  CHECK(reused[0] == own[0]);
  CHECK(reused[1] == own[2]);
}
