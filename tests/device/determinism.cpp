// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The same bits, in whatever order threads run, however the work is cut, on every device.

#include <cstdint>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::task;

struct outcome {
  std::vector<device_selection> selections;
  std::vector<std::vector<std::uint32_t>> window_scores;
  std::vector<float> contents;

  friend bool operator==(outcome const& a, outcome const& b) {
    return a.selections == b.selections && a.window_scores == b.window_scores && a.contents == b.contents;
  }
};

template <class T, class Method>
outcome compress(Method const& method, wkv::model_shape const& shape, int tokens, task kind,
                 wkv::cuda_tuning const* tuning) {
  auto const on = executor_of<64>(tuning);
  auto const plan = plan_of(method, shape, {tokens, kind});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  auto run = wkv::begin(on, plan, memory.workspace());
  REQUIRE(message(run) == "ok");
  sequence<T> const data(shape, tokens, 40, order::slot_head_dim, 1, 8);
  device_sequence<T> const there(data);
  REQUIRE(message(wkv::compress(
              on, *run, [&](int l) { return there.queries(l); }, [&](int l) { return there.kv(l); })) ==
          "ok");
  outcome all{selections_of(*run), {}, there.contents()};
  for (int g = 0; g < plan.groups; ++g)
    all.window_scores.push_back(bits(fetch(run->window_scores(g), plan.windows)));
  return all;
}

/// Calls f(label) for every way in which the device may run things.
template <class F>
void for_every_order(std::vector<int> const& capabilities, F&& f) {
#if defined(__CUDACC__)
  static_cast<void>(capabilities);
  for (int repeat = 0; repeat < 5; ++repeat) f("again");
#else
  cuda_emulator::options options;
  auto const with = [&](char const* what) {
    cuda_emulator::scoped_options const scope(options);
    f(what);
  };
  options.order = cuda_emulator::order::descending;
  with("descending");
  options.order = cuda_emulator::order::shuffled;
  for (std::uint64_t seed : {1u, 2u, 3u}) {
    options.seed = seed;
    with("shuffled");
  }
  options.late_copies = true;
  with("late copies, shuffled");
  options.order = cuda_emulator::order::ascending;
  with("late copies");
  options.late_copies = false;
  for (int capability : capabilities) {
    options.capability = capability;
    with("another device");
  }
  options.multiprocessors = 132;
  with("a large device");
#endif
}

template <class T, class Method>
void check_orders(Method const& method, wkv::model_shape const& shape, int tokens, task kind,
                  std::vector<int> const& capabilities) {
  outcome const first = compress<T>(method, shape, tokens, kind, nullptr);
  for_every_order(capabilities, [&](char const* what) {
    CAPTURE(what);
    bool const same = compress<T>(method, shape, tokens, kind, nullptr) == first;
    CHECK(same);
  });
}

template <class T, class Method>
void check_tunings(Method const& method, wkv::model_shape const& shape, int tokens, task kind) {
  outcome const first = compress<T>(method, shape, tokens, kind, nullptr);
  for (wkv::cuda_tuning const& tuning :
       {wkv::cuda_tuning{2, 1, 1}, wkv::cuda_tuning{3, 2, 4}, wkv::cuda_tuning{4, 3, 16},
        wkv::cuda_tuning{2, 64, 64}, wkv::cuda_tuning{4, 1, 200}}) {
    CAPTURE(tuning.key_stages, tuning.score_blocks, tuning.compact_blocks);
    bool const same = compress<T>(method, shape, tokens, kind, &tuning) == first;
    CHECK(same);
  }
}

auto paper() { return wkv::paper_method().with_budget(30).with_layer_grouping(wkv::uniform_groups{1}); }

}  // namespace

TEST_CASE("the same bits in any order, on any device", "[determinism]") {
  WKV_NEEDS_DEVICE();
  for (task kind : {task::localization, task::aggregation}) {
    check_orders<wkv::bfloat16>(paper(), {1, 4, 2, 64}, 100, kind, {80, 86, 90, 100, 120});
    check_orders<wkv::float16>(wkv::default_method(1).with_budget(30), {1, 4, 1, 64}, 100, kind,
                               {75, 80, 86, 89, 90});
    check_orders<float>(paper(), {1, 4, 1, 24}, 100, kind, {75, 80, 90});
  }
}

TEST_CASE("the same bits for every tuning", "[determinism]") {
  WKV_NEEDS_DEVICE();
  for (task kind : {task::localization, task::aggregation}) {
    check_tunings<wkv::bfloat16>(paper(), {1, 1, 1, 64}, 1100, kind);
    check_tunings<wkv::float16>(wkv::default_method(1).with_budget(300), {1, 1, 1, 64}, 1100, kind);
    check_tunings<float>(paper(), {1, 1, 1, 8}, 1100, kind);
  }
}

TEST_CASE("the same bits again", "[determinism][sanitize]") {
  WKV_NEEDS_DEVICE();
  outcome const first = compress<wkv::bfloat16>(paper(), {2, 8, 2, 64}, 600, task::aggregation, nullptr);
  bool const same = compress<wkv::bfloat16>(paper(), {2, 8, 2, 64}, 600, task::aggregation, nullptr) == first;
  CHECK(same);
}
