// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Whole caches: the device keeps what the host keeps and moves it rightly, at once or layer by layer.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::task;

struct cache_case {
  wkv::model_shape shape{3, 4, 2, 64};
  int tokens = 110;
  wkv::task kind = task::localization;
  bool has_log_sum_exp = false;
  order planes = order::slot_head_dim;
  std::size_t margin = 8;
};

/// The cache after every layer has been compacted on the host to these selections.
template <class T>
std::vector<float> compacted(sequence<T>& data, wkv::plan_data const& p,
                             std::vector<device_selection> const& selections) {
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.layer[l].group < 0) continue;
    std::vector<int> const& slots = selections[static_cast<std::size_t>(p.layer[l].group)].slots;
    REQUIRE(wkv::compact_in_place(serial, {slots.data(), static_cast<int>(slots.size())}, data.kv(l)));
  }
  return data.contents();
}

std::vector<device_array<float>> on_device_all(std::vector<std::vector<float>> const& arrays) {
  std::vector<device_array<float>> all;
  for (auto const& array : arrays) all.emplace_back(array);
  return all;
}

template <class T, class Method, class Executor = wkv::cuda_executor<wkv::head_dims<64>>>
void check_compress(Method const& method, cache_case const& c) {
  CAPTURE(c.shape.layers, c.shape.query_heads, c.shape.head_dim, c.tokens, static_cast<int>(c.kind),
          c.has_log_sum_exp, static_cast<int>(c.planes), c.margin);
  both<Method, Executor> pair(method, c.shape, c.tokens, c.kind);
  wkv::plan<Method> const& p = pair.plan;
  sequence<T> data(c.shape, c.tokens, 40, c.planes, 1, c.margin);
  device_sequence<T> const there(data);
  device_sequence<T> const again(data);
  std::vector<std::vector<float>> known(static_cast<std::size_t>(c.shape.layers));
  if (c.has_log_sum_exp) known = log_sum_exps(data, p.suffix);
  auto const known_there = on_device_all(known);
  auto const source_there = [&](int l) {
    auto source = there.queries(l);
    if (c.has_log_sum_exp) source.log_sum_exp = known_there[static_cast<std::size_t>(l)].data();
    return source;
  };
  auto const kv_there = [&](int l) { return there.kv(l); };

  REQUIRE(message(wkv::compress(pair.on, pair.run, source_there, kv_there)) == "ok");
  std::vector<device_selection> const got = selections_of(pair.run);
  for (int l = 0; l < c.shape.layers; ++l) {  // the host decides, too
    auto source = data.queries(l);
    if (c.has_log_sum_exp) source.log_sum_exp = known[static_cast<std::size_t>(l)].data();
    REQUIRE(message(wkv::score(serial, pair.host, l, source, data.kv(l).keys)) == "ok");
    if (!p.completes_group(l)) continue;
    int const g = p.layer[l].group;
    auto const expected = wkv::select(serial, pair.host, g);
    REQUIRE(expected);
    check_near_selection(got[static_cast<std::size_t>(g)], *expected, pair.host_window_scores(), 2e-5);
  }
  std::vector<float> const contents = there.contents();
  bool const same_contents = contents == compacted(data, p, got);  // too long to be printed
  CHECK(same_contents);

  auto const counts = fetch(pair.run.counts(), p.groups);
  wkv::compression_report const report = wkv::report(pair.run, counts.data());
  for (int l = 0; l < c.shape.layers; ++l) {
    int const g = p.layer[l].group;
    CHECK(report.layer[l].tokens_before == c.tokens);
    CHECK(report.layer[l].tokens_after == (g < 0 ? c.tokens : got[static_cast<std::size_t>(g)].counts.kept));
    CHECK(pair.run.max_length(l) == p.max_kept(l));
  }

  // Layer by layer, in the smaller workspace.
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(p, wkv::schedule::by_layer));
  auto run = wkv::begin(pair.on, p, memory.workspace(), wkv::schedule::by_layer);
  REQUIRE(run);
  for (int l = 0; l < c.shape.layers; ++l) {
    auto source = source_there(l);
    source.queries = again.queries(l).queries;
    REQUIRE(message(wkv::compress_layer(pair.on, *run, l, source, [&](int k) { return again.kv(k); })) ==
            "ok");
  }
  bool const same_selections = selections_of(*run) == got;
  CHECK(same_selections);
  bool const same_again = again.contents() == contents;
  CHECK(same_again);
}

auto paper(int budget, int layers_per_group) {
  return wkv::paper_method().with_budget(budget).with_layer_grouping(wkv::uniform_groups{layers_per_group});
}

/// What came of a compression.
struct outcome {
  std::vector<device_selection> selections;
  std::vector<std::vector<std::uint32_t>> window_scores;
  std::vector<float> contents;

  friend bool operator==(outcome const& a, outcome const& b) {
    return a.selections == b.selections && a.window_scores == b.window_scores && a.contents == b.contents;
  }
};
template <class Method, class T>
outcome outcome_of(wkv::cuda_compression<Method> const& run, device_sequence<T> const& data) {
  outcome all{selections_of(run), {}, data.contents()};
  wkv::plan_data const& p = run.plan();
  for (int g = 0; g < p.groups; ++g) {
    if (p.group[g].keeps_all == 0) all.window_scores.push_back(bits(fetch(run.window_scores(g), p.windows)));
  }
  return all;
}

/// A prompt of a batch.
struct member {
  int tokens;
  wkv::task kind = task::localization;
  unsigned seed = 1;
};

/// Compresses these prompts in one batch and returns what came of each.
template <class T, class Method>
std::vector<outcome> batch(Method const& method, wkv::model_shape const& shape,
                           std::vector<member> const& members) {
  auto const on = executor_of<64>();
  std::deque<wkv::plan<Method>> plans;
  std::vector<device_array<unsigned char>> memory;
  std::vector<wkv::cuda_compression<Method>> runs;
  std::vector<device_sequence<T>> data;
  for (member const& m : members) {
    plans.push_back(plan_of(method, shape, {m.tokens, m.kind}));
    memory.push_back(dirty_memory(wkv::cuda_workspace_bytes(plans.back())));
    auto run = wkv::begin(on, plans.back(), memory.back().workspace());
    REQUIRE(message(run) == "ok");
    runs.push_back(*std::move(run));
    data.emplace_back(sequence<T>(shape, m.tokens, 40, order::slot_head_dim, m.seed, 8));
  }
  auto const at = [&](int s) -> device_sequence<T> const& { return data[static_cast<std::size_t>(s)]; };
  REQUIRE(message(wkv::compress(
              on, runs.data(), static_cast<int>(runs.size()), [&](int s, int l) { return at(s).queries(l); },
              [&](int s, int l) { return at(s).kv(l); })) == "ok");
  std::vector<outcome> all;
  for (std::size_t s = 0; s < runs.size(); ++s) all.push_back(outcome_of(runs[s], data[s]));
  return all;
}

/// Every member must be as it is alone, in whatever order.
template <class T, class Method>
void check_batch(Method const& method, wkv::model_shape const& shape, std::vector<member> members,
                 int orders_tried) {
  std::vector<outcome> alone;
  for (member const& m : members) alone.push_back(batch<T>(method, shape, {m})[0]);
  random_source random(1);
  std::vector<int> permutation = range(0, static_cast<int>(members.size()));
  for (int i = 0; i < orders_tried; ++i) {
    std::vector<member> shuffled;
    for (int m : permutation) shuffled.push_back(members[static_cast<std::size_t>(m)]);
    auto const together = batch<T>(method, shape, shuffled);
    for (std::size_t s = 0; s < together.size(); ++s) {
      CAPTURE(i, s, shuffled[s].tokens);
      bool const same = together[s] == alone[static_cast<std::size_t>(permutation[s])];
      CHECK(same);
    }
    if (i == 0) {
      permutation = {permutation.rbegin(), permutation.rend()};
    } else {
      for (std::size_t k = permutation.size(); k > 1; --k)
        std::swap(permutation[k - 1],
                  permutation[static_cast<std::size_t>(random.below(static_cast<int>(k)))]);
    }
  }
}

}  // namespace

TEMPLATE_TEST_CASE("compress: both methods, both tasks", "[compress]", wkv::bfloat16, wkv::float16, float) {
  WKV_NEEDS_DEVICE();
  for (task kind : {task::localization, task::aggregation}) {
    for (bool has_log_sum_exp : {false, true}) {
      cache_case c;
      c.kind = kind;
      c.has_log_sum_exp = has_log_sum_exp;
      check_compress<TestType>(paper(50, 2), c);
      check_compress<TestType>(wkv::default_method(2).with_budget(50), c);
    }
  }
}

TEMPLATE_TEST_CASE("compress: every order of planes", "[compress][sanitize]", wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  for (order o : orders) {
    for (std::size_t margin : {0u, 5u}) {
      cache_case c;
      c.shape = {1, 4, 2, 64};
      c.tokens = 70;
      c.planes = o;
      c.margin = margin;
      check_compress<TestType>(wkv::default_method(2).with_budget(30), c);
      c.kind = task::aggregation;
      c.shape.head_dim = 24;
      check_compress<TestType>(paper(30, 2), c);
    }
  }
}

TEST_CASE("compress: longer prompts", "[compress]") {
  WKV_NEEDS_DEVICE();
  for (task kind : {task::localization, task::aggregation}) {
    cache_case c;
    c.shape = {2, 2, 1, 64};
    c.tokens = 1301;
    c.kind = kind;
    check_compress<wkv::bfloat16>(paper(200, 1), c);
    check_compress<wkv::bfloat16>(wkv::default_method(2).with_budget(200), c);
  }
}

TEST_CASE("compress: large heads", "[compress][sanitize]") {
  WKV_NEEDS_DEVICE();
  for (int head_dim : {96, 128, 256}) {
    cache_case c;
    c.shape = {2, 4, 2, head_dim};
    c.tokens = 100;
    check_compress<wkv::bfloat16, decltype(wkv::default_method()),
                   wkv::cuda_executor<wkv::head_dims<96, 128, 256>>>(wkv::default_method(2).with_budget(40),
                                                                     c);
  }
}

TEST_CASE("compress: groups that keep everything, layers outside groups, any order of layers",
          "[compress][sanitize]") {
  WKV_NEEDS_DEVICE();
  cache_case c;
  c.shape = {6, 2, 1, 64};
  c.tokens = 60;
  check_compress<float>(wkv::default_method(2).with_budget(60), c);   // all groups
  check_compress<float>(wkv::default_method(2).with_budget(500), c);  // likewise
  std::int32_t const budgets[] = {20, 100, 30};
  check_compress<float>(wkv::default_method(2).with_budget_shape(wkv::table_budget{budgets, 3, true}), c);
  check_compress<float>(wkv::paper_method()
                            .with_layer_grouping(wkv::uniform_groups{2})
                            .with_budget_shape(wkv::table_budget{budgets, 3, false}),
                        c);
  std::uint8_t const evictable[] = {0, 1, 1, 0, 1, 1};
  check_compress<float>(wkv::default_method().with_budget(25).with_layer_grouping(
                            wkv::uniform_groups{2, wkv::scoring_layers::all, evictable}),
                        c);
  std::int16_t const interleaved[] = {0, 1, -1, 0, 1, 0};
  wkv::table_groups voting{interleaved, 6, wkv::scoring_layers::all};
  check_compress<float>(wkv::default_method().with_budget(25).with_layer_grouping(voting), c);
  voting.scoring = wkv::scoring_layers::first;
  check_compress<float>(wkv::default_method().with_budget(25).with_layer_grouping(voting), c);
  std::uint8_t const scorers[] = {0, 0, 1, 1, 0, 0};  // groups whose first layers wait for a later one
  check_compress<float>(wkv::default_method().with_budget(25).with_layer_grouping(
                            wkv::uniform_groups{3, wkv::scoring_layers::all, nullptr, scorers}),
                        c);
  c.tokens = 12;  // no review part
  check_compress<float>(wkv::default_method(2).with_budget(8), c);
  check_compress<float>(wkv::paper_method().with_budget(0).with_layer_grouping(wkv::uniform_groups{2}), c);
  c.tokens = 60;
  check_compress<float>(wkv::paper_method().with_budget(0).with_layer_grouping(wkv::uniform_groups{2}), c);
}

TEST_CASE("compress: few threads", "[compress][race]") {
  WKV_NEEDS_DEVICE();
  for (task kind : {task::localization, task::aggregation}) {
    cache_case c;
    c.shape = {1, 2, 1, 64};
    c.tokens = 60;
    c.kind = kind;
    check_compress<wkv::bfloat16>(paper(30, 1), c);
  }
}

TEST_CASE("compress: the workspace of one group at a time is the smaller one", "[compress]") {
  auto const plan = plan_of(wkv::default_method(4).with_budget(24), {32, 2, 1, 8}, {400});
  CHECK(2 * wkv::cuda_workspace_bytes(plan, wkv::schedule::by_layer) < wkv::cuda_workspace_bytes(plan));
}

TEST_CASE("compress: more layers than one launch takes", "[compress]") {
  WKV_NEEDS_DEVICE();
  wkv::model_shape const shape{256, 1, 1, 8};
  cache_case c;
  c.shape = shape;
  c.tokens = 40;
  check_compress<float>(wkv::default_method(64).with_budget(24), c);
  // As many groups as layers: of each the same as in a model of one layer.
  auto const all = batch<float>(paper(8, 1).with_budget_shape(wkv::uniform_budget{false}), shape, {{60}})[0];
  for (unsigned l : {95u, 96u, 255u}) {
    member const same_data{60, task::localization, 1 + 3 * l};
    auto const one =
        batch<float>(paper(8, 1).with_budget_shape(wkv::uniform_budget{false}), {1, 1, 1, 8}, {same_data})[0];
    CAPTURE(l);
    bool const same = all.selections[l] == one.selections[0] && all.window_scores[l] == one.window_scores[0];
    CHECK(same);
    auto const size = static_cast<std::ptrdiff_t>(one.contents.size());
    bool const same_contents = std::equal(one.contents.begin(), one.contents.end(),
                                          all.contents.begin() + size * static_cast<int>(l));
    CHECK(same_contents);
  }
}

TEST_CASE("a batch: every prompt as if it were alone", "[compress][sanitize]") {
  WKV_NEEDS_DEVICE();
  wkv::model_shape const shape{2, 4, 2, 64};
  std::vector<member> const members{{90, task::aggregation, 1},
                                    {33, task::aggregation, 2},
                                    {140, task::aggregation, 3},
                                    {48, task::aggregation, 4}};
  check_batch<wkv::bfloat16>(paper(30, 1), shape, members, 3);
  check_batch<wkv::bfloat16>(wkv::default_method(2).with_budget(30), shape, members, 3);
}

TEST_CASE("a batch: tasks, and prompts that fit the suffix or the budget", "[compress]") {
  WKV_NEEDS_DEVICE();
  wkv::model_shape const shape{2, 2, 1, 64};
  std::vector<member> const members{{10, task::aggregation, 1},  {170, task::aggregation, 2},
                                    {17, task::localization, 3}, {530, task::localization, 4},
                                    {41, task::aggregation, 5},  {5, task::localization, 6},
                                    {1, task::aggregation, 7},   {130, task::localization, 8}};
  check_batch<wkv::bfloat16>(paper(30, 1), shape, members, 3);
  check_batch<float>(paper(30, 2), shape, members, 3);
  check_batch<wkv::bfloat16>(wkv::default_method(2).with_budget(30), shape, members, 3);
}

TEST_CASE("a batch: more sequences than one launch takes", "[compress]") {
  WKV_NEEDS_DEVICE();
  std::vector<member> members;
  for (int s = 0; s < 70; ++s)
    members.push_back(
        {20 + s % 13, s % 30 < 29 ? task::aggregation : task::localization, static_cast<unsigned>(s)});
  check_batch<float>(paper(8, 1), {1, 1, 1, 8}, members, 1);
  members.resize(60);  // of 8 layers that score: more than one table of the selection holds
  check_batch<float>(wkv::default_method(8).with_budget(20), {8, 1, 1, 8}, members, 1);
  CHECK(batch<float>(paper(8, 1), {1, 1, 1, 8}, {}).empty());
}
