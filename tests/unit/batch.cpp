// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Batches of sequences of different lengths: each as if it were alone, padding never read.
#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/host/thread_pool.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using method_type = decltype(wkv::default_method(2));

wkv::model_shape const shape{4, 4, 2, 16};
int const suffix = 16;

/// Sequences of one batch with their plans and workspaces.
struct batch {
  std::deque<wkv::plan<method_type>> plans;
  std::deque<scratch> memories;
  std::deque<sequence<float>> sequences;
  std::vector<wkv::compression<method_type>> runs;

  void add(int tokens, wkv::task task, int budget) {
    plans.push_back(*wkv::make_plan(wkv::default_method(2).with_budget(budget), shape, {tokens, task}));
    memories.emplace_back(plans.back().workspace_bytes);
    sequences.emplace_back(shape, tokens, suffix, order::head_slot_dim, static_cast<unsigned>(tokens));
    runs.push_back(*wkv::begin(plans.back(), memories.back().get()));
  }
  template <class Executor>
  wkv::status compress(Executor const& on) {
    return wkv::compress(
        on, runs.data(), static_cast<int>(runs.size()), [&](int s, int l) { return at(s).queries(l); },
        [&](int s, int l) { return at(s).kv(l); });
  }
  sequence<float>& at(int s) { return sequences[static_cast<std::size_t>(s)]; }
};

struct request {
  int tokens;
  wkv::task task;
  int budget;
};
std::vector<request> const requests{{200, wkv::task::localization, 60},
                                    {17, wkv::task::aggregation, 40},
                                    {333, wkv::task::aggregation, 45},
                                    {40, wkv::task::localization, 40}};

}  // namespace

TEST_CASE("a sequence is compressed as if it were alone, whatever the batch", "[batch]") {
  wkv::thread_pool pool(3);
  wkv::host_executor const threads{pool.hook()};
  batch all;
  batch reversed;
  for (request const& r : requests) all.add(r.tokens, r.task, r.budget);
  for (std::size_t i = requests.size(); i-- > 0;) {
    reversed.add(requests[i].tokens, requests[i].task, requests[i].budget);
  }
  REQUIRE(message(all.compress(serial)) == "ok");
  REQUIRE(message(reversed.compress(threads)) == "ok");
  for (std::size_t i = 0; i < requests.size(); ++i) {
    CAPTURE(i);
    batch alone;
    alone.add(requests[i].tokens, requests[i].task, requests[i].budget);
    auto const report = wkv::compress(
        serial, alone.plans[0], alone.memories[0].get(), [&](int l) { return alone.at(0).queries(l); },
        [&](int l) { return alone.at(0).kv(l); });
    REQUIRE(message(report) == "ok");
    CHECK(all.sequences[i].contents() == alone.at(0).contents());
    CHECK(reversed.sequences[requests.size() - 1 - i].contents() == alone.at(0).contents());
    auto const in_batch = wkv::report(all.runs[i]);
    CHECK(in_batch.tokens_after() == report->tokens_after());
    CHECK(in_batch.bytes_after() == report->bytes_after());
    for (int g = 0; g < report->groups; ++g) CHECK(slots_of(in_batch.group[g]) == slots_of(report->group[g]));
  }
}

TEST_CASE("padding of a batch is never scored and never moved", "[batch]") {
  int const longest = 90;
  int const lengths[] = {90, 30, 64};
  auto const method = wkv::default_method(1).with_budget(24);
  wkv::model_shape const one_layer{1, 2, 1, 8};
  for (bool is_left : {false, true}) {
    CAPTURE(is_left);
    for (int tokens : lengths) {
      CAPTURE(tokens);
      auto const plan = *wkv::make_plan(method, one_layer, {tokens});
      int const first = is_left ? longest - tokens : 0;
      tensor const keys = random_tensor(1, tokens, 1, 8);
      tensor const values = random_tensor(2, tokens, 1, 8);
      stored<float> const queries(random_tensor(3, suffix, 2, 8, 3.f), order::slot_head_dim);
      stored<float> alone_keys(keys, order::slot_head_dim);
      stored<float> alone_values(values, order::slot_head_dim);
      scratch const memory(plan.workspace_bytes);
      auto const compress = [&](auto key_plane, auto value_plane) {
        auto const report = wkv::compress(
            serial, plan, memory.get(), [&](int) { return wkv::suffix_queries{queries.plane}; },
            [&](int) {
              return wkv::kv_view{key_plane, value_plane};
            });
        REQUIRE(message(report) == "ok");
        return slots_of(report->group[0]);
      };
      std::vector<int> const expected = compress(alone_keys.plane, alone_values.plane);

      std::vector<float> padded_keys(static_cast<std::size_t>(longest * 8), not_a_number);
      std::vector<float> padded_values = padded_keys;
      auto const real_keys = wkv::slot_head_dim(padded_keys.data() + first * 8, longest - first, 1, 8);
      auto const real_values = wkv::slot_head_dim(padded_values.data() + first * 8, longest - first, 1, 8);
      for (int s = 0; s < tokens; ++s) {
        for (int d = 0; d < 8; ++d) {
          *real_keys.address(s, 0, d) = keys.at(s, 0, d);
          *real_values.address(s, 0, d) = values.at(s, 0, d);
        }
      }
      CHECK(compress(real_keys, real_values) == expected);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        CHECK(real_keys.load(static_cast<int>(i), 0, 3) == keys.at(expected[i], 0, 3));
        CHECK(real_values.load(static_cast<int>(i), 0, 7) == values.at(expected[i], 0, 7));
      }
      for (int s = 0; s < longest; ++s) {
        bool const is_padding = s < first || s >= first + tokens;
        float const x = padded_keys[static_cast<std::size_t>(s * 8)];
        CHECK((x != x) == is_padding);
      }
    }
  }
}

TEST_CASE("one refused sequence: nothing of the batch moves", "[batch]") {
  batch all;
  for (request const& r : requests) all.add(r.tokens, r.task, r.budget);
  std::vector<std::vector<float>> before;
  for (auto const& s : all.sequences) before.push_back(s.contents());
  auto const refused = [&](auto change) {
    wkv::status const s = wkv::compress(
        serial, all.runs.data(), static_cast<int>(all.runs.size()),
        [&](int i, int l) { return all.at(i).queries(l); },
        [&](int i, int l) {
          auto kv = all.at(i).kv(l);
          if (i == 2 && l == 3) change(kv);
          return kv;
        });
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(all.sequences[i].contents() == before[i]);
    return message(s);
  };
  CHECK(refused([](auto& kv) { kv.values.slots = 332; }) ==
        "layer 3: values.slots (tokens of the prompt): got 332, must be at least 333");
  CHECK(refused([](auto& kv) { kv.shared_slots = 200; }).find("layer 3: kv_view.shared_slots") == 0);
  CHECK(message(wkv::compress(
            serial, all.runs.data(), -1, [&](int i, int l) { return all.at(i).queries(l); },
            [&](int i, int l) { return all.at(i).kv(l); })) == "compressions: got -1, must be at least 0");
}
