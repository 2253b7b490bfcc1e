// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/host/compress.hpp"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<int>;

constexpr wkv::model_shape shape{6, 4, 2, 8};
constexpr int tokens = 90;
constexpr int rows = 40;

/// Runs `steps(run, data)` on a fresh cache and returns the cache's contents.
template <class Method, class Steps>
std::vector<float> contents_after(Method const& method, Steps steps) {
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  sequence<float> data(shape, tokens, rows);
  steps(*run, data);
  return data.contents();
}

template <class T, class Method>
wkv::result<wkv::compression_report> compress_all(Method const& method, scratch const& memory,
                                                  sequence<T>& data) {
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, {tokens}));
  return wkv::compress(
      serial, plan, memory.get(), [&](int l) { return data.queries(l); }, [&](int l) { return data.kv(l); });
}
template <class Method>
std::size_t bytes_for(Method const& method) {
  return static_cast<std::size_t>(wkv::make_plan(method, shape, {tokens})->workspace_bytes);
}

/// The driver, layer by layer, and every stage by hand must do the same.
template <class Method>
void check_three_ways(Method const& method) {
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  std::vector<float> const before = data.contents();
  REQUIRE(message(compress_all(method, memory, data)) == "ok");
  std::vector<float> const whole = data.contents();
  CHECK(whole != before);

  CHECK(contents_after(method, [](auto& run, sequence<float>& cache) {
          for (int l = 0; l < shape.layers; ++l) {
            REQUIRE(message(wkv::compress_layer(serial, run, l, cache.queries(l),
                                                [&](int k) { return cache.kv(k); })) == "ok");
          }
        }) == whole);

  CHECK(
      contents_after(method, [](auto& run, sequence<float>& cache) {  // decide everything, then move the rows
        std::vector<ints> kept(shape.layers);
        for (int l = 0; l < shape.layers; ++l) {
          REQUIRE(wkv::score(serial, run, l, cache.queries(l), cache.kv(l).keys));
          if (run.plan().completes_group(l)) {
            int const g = run.plan().layer[l].group;
            kept[static_cast<std::size_t>(g)] = slots_of(*wkv::select(serial, run, g));
          }
        }
        for (int l = 0; l < shape.layers; ++l) {
          int const g = run.plan().layer[l].group;
          if (g < 0) continue;
          ints const& slots = kept[static_cast<std::size_t>(g)];
          REQUIRE(wkv::compact_in_place(serial, {slots.data(), static_cast<int>(slots.size())}, cache.kv(l)));
        }
      }) == whole);
}

/// Token scores of a layer by the default method's rule: the mean over heads.
std::vector<double> default_scores(sequence<float>::layer const& layer, int suffix) {
  return row_mean(naive_scores(read(layer.queries.plane), read(layer.keys.plane), suffix, naive_recent{}),
                  shape.query_heads);
}

/// Share of the review scores of the layers that the kept slots hold.
double retained(std::vector<sequence<float>::layer const*> const& layers, int suffix, ints const& kept) {
  double share = 0;
  double total = 0;
  for (auto const* layer : layers) {
    std::vector<double> const scores = default_scores(*layer, suffix);
    for (double score : scores) total += score;
    for (int slot : kept) {
      if (static_cast<std::size_t>(slot) < scores.size()) share += scores[static_cast<std::size_t>(slot)];
    }
  }
  return share / total;
}

}  // namespace

TEST_CASE("the driver, layer by layer, and by hand: the same cache", "[compress]") {
  check_three_ways(
      wkv::paper_method().with_suffix(8).with_budget(30).with_layer_grouping(wkv::uniform_groups{4}));
  check_three_ways(wkv::default_method(2).with_budget(30));
  check_three_ways(wkv::default_method(4).with_budget(30));
  std::int16_t const interleaved[] = {0, 1, 0, 1, 0, 1};
  wkv::table_groups voting{interleaved, 6, wkv::scoring_layers::all};
  check_three_ways(wkv::default_method().with_budget(30).with_layer_grouping(voting));
  voting.scoring = wkv::scoring_layers::first;
  check_three_ways(wkv::default_method().with_budget(30).with_layer_grouping(voting));
  std::uint8_t const scorers[] = {0, 0, 1, 1, 0, 0};  // groups whose first layers wait for a later one
  check_three_ways(wkv::default_method().with_budget(30).with_layer_grouping(
      wkv::uniform_groups{3, wkv::scoring_layers::all, nullptr, scorers}));
}

TEST_CASE("the default method against an obvious implementation", "[compress]") {
  int const suffix = 8;
  int const budget = 30;
  int const review = tokens - suffix;
  for (wkv::task task : {wkv::task::localization, wkv::task::aggregation}) {
    bool const anchored = task == wkv::task::localization;
    auto const method = wkv::default_method(3).with_suffix(suffix).with_budget(budget);
    auto const plan = wkv::make_plan(method, shape, {tokens, task});
    REQUIRE(plan);
    scratch const memory(plan->workspace_bytes);
    sequence<float> data(shape, tokens, rows);
    std::vector<ints> expected;
    for (int g = 0; g < 2; ++g) {
      std::vector<double> merged(static_cast<std::size_t>(review));
      for (int l = 3 * g; l < 3 * g + 3; ++l) {
        auto const mean = default_scores(data.at(l), suffix);
        for (std::size_t j = 0; j < mean.size(); ++j) {
          merged[j] = anchored ? std::max(merged[j], mean[j]) : merged[j] + mean[j];
        }
      }
      std::vector<double> pooled = merged;
      for (int j = 0; anchored && j < review; ++j) {
        auto const at = merged.begin() + j;
        pooled[static_cast<std::size_t>(j)] = *std::max_element(at - std::min(j, 7), at + 1);
      }
      ints ranking = range(0, review);
      std::stable_sort(ranking.begin(), ranking.end(), [&](int a, int b) {
        bool const a_sinks = a < 4;
        bool const b_sinks = b < 4;
        if (a_sinks || b_sinks) return a_sinks && !b_sinks;
        return pooled[static_cast<std::size_t>(a)] > pooled[static_cast<std::size_t>(b)];
      });
      ranking.resize(static_cast<std::size_t>(plan->group[g].review_budget));
      std::sort(ranking.begin(), ranking.end());
      expected.push_back(ranking + range(review, tokens));
    }
    auto const report = wkv::compress(
        serial, *plan, memory.get(), [&](int l) { return data.queries(l); },
        [&](int l) { return data.kv(l); });
    REQUIRE(report);
    for (int g = 0; g < 2; ++g) CHECK(slots_of(report->group[g]) == expected[static_cast<std::size_t>(g)]);
  }
}

TEST_CASE("half precision and transposed values go through the driver", "[compress]") {
  auto const method = wkv::default_method(3).with_budget(30);
  scratch const memory(bytes_for(method));
  sequence<wkv::bfloat16> plain(shape, tokens, rows);
  sequence<wkv::bfloat16> transposed(shape, tokens, rows, order::head_dim_slot);
  REQUIRE(compress_all(method, memory, plain));
  REQUIRE(compress_all(method, memory, transposed));
  for (int l = 0; l < shape.layers; ++l) {
    CHECK(plain.at(l).positions == transposed.at(l).positions);
    CHECK(read(plain.at(l).values.plane).numbers == read(transposed.at(l).values.plane).numbers);
  }
}

TEST_CASE("layers outside all groups are left alone", "[compress]") {
  std::uint8_t const evictable[] = {0, 1, 1, 0, 1, 1};
  auto const method = wkv::default_method().with_budget(30).with_layer_grouping(
      wkv::uniform_groups{2, wkv::scoring_layers::all, evictable});
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  sequence<float> const original(shape, tokens, rows);
  auto const report = compress_all(method, memory, data);
  REQUIRE(report);
  for (int l = 0; l < shape.layers; ++l) {
    CAPTURE(l);
    bool const is_outside = evictable[l] == 0;
    CHECK((data.at(l).keys.memory == original.at(l).keys.memory) == is_outside);
    CHECK((data.at(l).positions == original.at(l).positions) == is_outside);
    CHECK((report->layer[l].tokens_after == tokens) == is_outside);
    CHECK((report->layer[l].group == -1) == is_outside);
  }
}

TEST_CASE("a layer outside all groups needs no cache of N slots", "[compress]") {
  // A sliding-window layer holds fewer tokens than the prompt; a recurrent layer holds none.
  std::uint8_t const evictable[] = {0, 1, 1, 0, 1, 1};
  auto const method = wkv::default_method().with_budget(30).with_layer_grouping(
      wkv::uniform_groups{2, wkv::scoring_layers::all, evictable});
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  sequence<float> data(shape, tokens, rows);
  auto const kv_of = [&](int l) {
    auto kv = data.kv(l);
    if (l == 0) kv.keys.slots = kv.values.slots = 16;
    if (l == 3) kv = {};
    return kv;
  };
  CHECK(message(wkv::compress(
            serial, *plan, memory.get(), [&](int l) { return data.queries(l); }, kv_of)) == "ok");
}

TEST_CASE("a refusal leaves every byte of every layer untouched", "[compress]") {
  auto const method = wkv::default_method(3).with_budget(30);
  auto const plan = wkv::make_plan(method, shape, {tokens});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  sequence<float> data(shape, tokens, rows);
  std::vector<float> const before = data.contents();
  auto const problem = [&](auto change_kv, auto change_queries) {
    auto const outcome = wkv::compress(
        serial, *plan, memory.get(),
        [&](int l) {
          auto queries = data.queries(l);
          if (l == shape.layers - 1) change_queries(queries.queries);
          return queries;
        },
        [&](int l) {
          auto kv = data.kv(l);
          if (l == shape.layers - 1) change_kv(kv);
          return kv;
        });
    return message(outcome);
  };
  auto const same = [](auto&) {};
  CHECK(problem([](auto& kv) { kv.values.data = nullptr; }, same) ==
        "layer 5: values.data: must not be null");
  CHECK(problem([](auto& kv) { kv.keys.slots = 89; }, same) ==
        "layer 5: keys.slots (tokens of the prompt): got 89, must be at least 90");
  CHECK(problem([](auto& kv) { kv.values.slots = 89; }, same) ==
        "layer 5: values.slots (tokens of the prompt): got 89, must be at least 90");
  CHECK(problem([](auto& kv) { kv.keys.heads = kv.values.heads = 1; }, same) ==
        "layer 5: keys.heads: got 1, must equal 2");
  CHECK(problem([](auto& kv) { kv.keys.head_dim = 4; }, same) ==
        "layer 5: keys.head_dim: got 4, must equal 8");
  CHECK(problem([](auto& kv) { kv.values.layout.slot_stride = 1; }, same).find("layer 5: layout") == 0);
  CHECK(problem(
            [](auto& kv) {
              kv.rotation = wkv::key_rotation::at_attention;
              kv.positions = nullptr;
            },
            same)
            .find("layer 5: kv_view.positions") == 0);
  CHECK(problem(same, [](auto& q) { q.slots = 7; }) ==
        "layer 5: queries.slots (suffix rows): got 7, must be at least 8");
  CHECK(problem(same, [](auto& q) { q.data = nullptr; }) == "layer 5: queries.data: must not be null");
  CHECK(data.contents() == before);
  CHECK(problem(same, same) == "ok");
  CHECK(data.contents() != before);
}

TEST_CASE("layer by layer, a bad view is refused before any row of its group moves", "[compress]") {
  auto const method = wkv::default_method(3).with_budget(30);  // the group moves when layer 2 has scored
  contents_after(method, [](auto& run, sequence<float>& data) {
    std::vector<float> const before = data.contents();
    auto const step = [&](int l, int broken) {
      return message(wkv::compress_layer(serial, run, l, data.queries(l % 6), [&](int k) {
        auto kv = data.kv(k);
        if (k == broken) kv.values.data = nullptr;
        return kv;
      }));
    };
    CHECK(step(0, -1) == "ok");
    CHECK(step(1, -1) == "ok");
    CHECK(step(2, 1) == "layer 1: values.data: must not be null");
    CHECK(data.contents() == before);
    CHECK(step(6, -1) == "layer: got 6, must be at most 5");
    CHECK(message(wkv::compress_layer(serial, run, -1, data.queries(0), [&](int k) { return data.kv(k); })) ==
          "layer: got -1, must be at least 0");
    CHECK(step(2, -1) == "ok");  // the refused call may be repeated
    CHECK(data.contents() != before);
    CHECK(run.length(1) == 42);
  });
}

TEST_CASE("compacting out of order or with another group's selection is refused", "[compress]") {
  auto const method =
      wkv::paper_method().with_suffix(8).with_budget(30).with_layer_grouping(wkv::uniform_groups{3});
  contents_after(method, [](auto& run, sequence<float>& data) {
    std::vector<float> const before = data.contents();
    REQUIRE(wkv::score(serial, run, 0, data.queries(0), data.kv(0).keys));
    wkv::selection const chosen = *wkv::select(serial, run, 0);
    auto const compact = [&](int l, wkv::selection const& s) {
      return message(wkv::compact(serial, run, l, s, data.kv(l % 6)));
    };
    CHECK(compact(3, chosen) == "layer 3: selection.group: got 0, must equal 1");
    CHECK(compact(0, wkv::selection{}) == "layer 0: selection.group: got -1, must equal 0");
    wkv::selection other_prompt = chosen;
    other_prompt.tokens = 91;
    CHECK(compact(0, other_prompt) == "layer 0: selection.tokens: got 91, must equal 90");
    CHECK(compact(6, chosen) == "layer: got 6, must be at most 5");
    CHECK(data.contents() == before);
    CHECK(wkv::report(run).bytes_before() == 0);  // a refused layer was not compacted
    CHECK(compact(0, chosen) == "ok");
    std::vector<float> const after = data.contents();
    CHECK(after != before);
    CHECK(compact(0, chosen) == "layer 0: compact: the layer has been compacted already");
    CHECK(data.contents() == after);
  });
}

TEST_CASE("the report adds up", "[compress]") {
  auto const method = wkv::default_method(3).with_suffix(8).with_budget(30);
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  sequence<float> const original(shape, tokens, rows);
  auto const outcome = compress_all(method, memory, data);
  REQUIRE(outcome);
  wkv::compression_report const& report = *outcome;
  CHECK(report.layers == 6);
  CHECK(report.groups == 2);
  std::int64_t const row = 2 * (8 + 11) * 4;  // 2 heads of 8 key and 11 value floats
  CHECK(report.tokens_before() == 6 * 90);
  CHECK(report.tokens_after() == 6 * 30);
  CHECK(report.bytes_before() == 6 * 90 * row);
  CHECK(report.bytes_after() == 6 * 30 * row);
  for (int g = 0; g < 2; ++g) {
    ints const kept = slots_of(report.group[g]);
    for (int l = 3 * g; l < 3 * g + 3; ++l) {
      wkv::layer_report const& layer = report.layer[l];
      CHECK(layer.group == g);
      CHECK(layer.tokens_after == report.group[g].kept);
      CHECK(layer.bytes_after == layer.tokens_after * row);
      auto const& positions = data.at(l).positions;
      CHECK(ints(positions.begin(), positions.begin() + layer.tokens_after) == kept);
    }
    std::vector<sequence<float>::layer const*> const voters = {&original.at(3 * g), &original.at(3 * g + 1),
                                                               &original.at(3 * g + 2)};
    CHECK(report.group[g].retained == Approx(retained(voters, 8, kept)).margin(1e-5));
    CHECK(report.group[g].retained < 1.f);
  }
}

TEST_CASE("a budget below the suffix keeps the newest tokens and nothing of the review part", "[compress]") {
  auto const method = wkv::default_method(6).with_suffix(16).with_budget(6);
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  auto const report = compress_all(method, memory, data);
  REQUIRE(report);
  CHECK(slots_of(report->group[0]) == range(84, 90));
  CHECK(report->group[0].retained == 0.f);
}

TEST_CASE("the report of a compression that has not begun", "[compress]") {
  contents_after(wkv::default_method(3).with_budget(30), [](auto& run, sequence<float>&) {
    wkv::compression_report const report = wkv::report(run);
    CHECK(report.tokens_before() == 6 * 90);
    CHECK(report.tokens_after() == 6 * 90);
    CHECK(report.bytes_before() == 0);
    CHECK(report.group[0].slots == nullptr);
  });
}

TEST_CASE("a prompt that fits its budget passes untouched", "[compress]") {
  auto const method = wkv::default_method(3).with_budget(90);
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  std::vector<float> const before = data.contents();
  auto const report = compress_all(method, memory, data);
  REQUIRE(report);
  CHECK(data.contents() == before);
  CHECK(report->tokens_after() == 6 * 90);
  CHECK(report->group[1].retained == 1.f);
  CHECK(slots_of(report->group[1]) == range(0, 90));
}

TEST_CASE("a workspace serves one prompt after the other", "[compress]") {
  auto const method = wkv::default_method(3).with_budget(30);
  scratch const memory(bytes_for(method));
  sequence<float> first(shape, tokens, rows, order::slot_head_dim, 1);
  sequence<float> second(shape, tokens, rows, order::slot_head_dim, 100);
  sequence<float> again(shape, tokens, rows, order::slot_head_dim, 1);
  REQUIRE(compress_all(method, memory, first));
  REQUIRE(compress_all(method, memory, second));
  REQUIRE(compress_all(method, memory, again));
  CHECK(first.contents() == again.contents());
  CHECK(first.contents() != second.contents());
}

TEST_CASE("NaN in every key keeps the lowest tokens and moves the rows", "[compress]") {
  auto const method = wkv::default_method(6).with_suffix(16).with_budget(30);
  scratch const memory(bytes_for(method));
  sequence<float> data(shape, tokens, rows);
  for (auto& layer : data.layers)
    *layer.keys.plane.address(0, 0, 0) = *layer.keys.plane.address(0, 1, 0) = not_a_number;
  auto const report = compress_all(method, memory, data);
  REQUIRE(report);
  CHECK(slots_of(report->group[0]) == range(0, 14) + range(74, 90));
}
