// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What is refused, and that nothing has moved then.

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::status_code;

constexpr wkv::model_shape shape{2, 4, 2, 64};
constexpr int tokens = 60;

auto method() { return wkv::default_method(1).with_budget(24).with_suffix(8); }
using method_type = decltype(method());

/// A plan, its workspace and a cache.
struct fixture {
  wkv::cuda_executor<wkv::head_dims<64>> on{stream(), nullptr};
  wkv::plan<method_type> plan = plan_of(method(), shape, {tokens});
  device_array<unsigned char> memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  sequence<float> data{shape, tokens, 20};
  device_sequence<float> there{data};
  wkv::cuda_compression<method_type> run = *wkv::begin(on, plan, memory.workspace());

  template <class Change>
  wkv::status compress_changed(Change change) {
    return wkv::compress(
        on, run, [&](int l) { return there.queries(l); },
        [&](int l) {
          auto kv = there.kv(l);
          if (l == 1) change(kv);
          return kv;
        });
  }
  wkv::status compress() {
    return compress_changed([](auto&) {});
  }
  bool is_untouched() const { return there.contents() == data.contents(); }
};

template <class Status>
void check_refused(Status const& got, status_code code, std::string const& parameter) {
  wkv::status const s = [&] {
    if constexpr (std::is_same_v<Status, wkv::status>) {
      return got;
    } else {
      return got.error();
    }
  }();
  CAPTURE(message(s));
  CHECK(s.code() == code);
  CHECK(message(s).find(parameter) != std::string::npos);
}

}  // namespace

TEST_CASE("a workspace that is too small, misaligned or missing", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  std::size_t const bytes = wkv::cuda_workspace_bytes(f.plan);
  check_refused(wkv::begin(f.on, f.plan, {f.memory.data(), bytes - 1}), status_code::insufficient_workspace,
                "workspace.bytes");
  check_refused(wkv::begin(f.on, f.plan, {nullptr, bytes}), status_code::invalid_argument, "workspace.data");
  auto const larger = dirty_memory(bytes + 256);
  check_refused(wkv::begin(f.on, f.plan, {larger.data() + 16, bytes}), status_code::misaligned,
                "workspace.data");
  int const* const odd = reinterpret_cast<int const*>(larger.data() + 1);
  check_refused(wkv::begin(f.on, f.plan, f.memory.workspace(), wkv::schedule::batched, odd),
                status_code::misaligned, "device_tokens");
}

TEST_CASE("suffixes that no block holds", "[errors]") {
  WKV_NEEDS_DEVICE();
  auto const check = [](int head_dim, int suffix, bool fits) {
    auto const plan = plan_of(method().with_suffix(suffix), {2, 2, 1, head_dim}, {600});
    auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
    auto const run = wkv::begin(executor_of<64>(), plan, memory.workspace());
    if (fits) {
      CHECK(message(run) == "ok");
    } else {
      check_refused(run, status_code::unsupported, "suffix");
    }
  };
  check(64, 256, true);
  check(64, 257, false);
  check(160, 128, true);
  check(160, 129, false);
}

TEST_CASE("policies without their device memory", "[errors]") {
  WKV_NEEDS_DEVICE();
  std::int32_t const begins[] = {0, 10, 30};
  auto const plan = plan_of(method().with_windows(wkv::boundary_windows{begins, 3}), shape, {tokens});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  check_refused(wkv::begin(executor_of<64>(), plan, memory.workspace()), status_code::invalid_argument,
                "device_begins");
  wkv::token_range const ranges[] = {{10, 12}};
  auto const protecting = plan_of(
      method().with_selector(wkv::top_windows{wkv::fill::within_budget, 0, ranges, 1}), shape, {tokens});
  auto const memory2 = dirty_memory(wkv::cuda_workspace_bytes(protecting));
  check_refused(wkv::begin(executor_of<64>(), protecting, memory2.workspace()), status_code::invalid_argument,
                "device_ranges");
}

TEST_CASE("a length on the device does not go with whole windows", "[errors][lengths]") {
  WKV_NEEDS_DEVICE();
  auto const plan = plan_of(wkv::paper_method().with_budget(24), shape, {tokens});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
  device_array<int> const length({tokens});
  check_refused(
      wkv::begin(executor_of<64>(), plan, memory.workspace(), wkv::schedule::batched, length.data()),
      status_code::unsupported, "device_tokens");
}

TEST_CASE("stages in the wrong order", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  check_refused(wkv::select(f.on, f.run, 0), status_code::wrong_order, "select");
  check_refused(wkv::select(f.on, f.run, 2), status_code::invalid_argument, "group");
  auto const score = [&](int l) {
    return wkv::score(f.on, f.run, l, f.there.queries(0), f.there.kv(0).keys);
  };
  check_refused(score(-1), status_code::invalid_argument, "layer");
  check_refused(score(2), status_code::invalid_argument, "layer");
  REQUIRE(score(0));
  check_refused(score(0), status_code::wrong_order, "score");
  auto const chosen = wkv::select(f.on, f.run, 0);
  REQUIRE(chosen);
  check_refused(wkv::compact(f.on, f.run, 1, *chosen, f.there.kv(1)), status_code::invalid_argument,
                "selection.group");
  CHECK(f.is_untouched());
  REQUIRE(wkv::compact(f.on, f.run, 0, *chosen, f.there.kv(0)));
  check_refused(wkv::compact(f.on, f.run, 0, *chosen, f.there.kv(0)), status_code::wrong_order, "compact");
  check_refused(f.compress(), status_code::wrong_order, "");
}

TEST_CASE("a compression that has been compressed", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  REQUIRE(message(f.compress()) == "ok");
  auto const contents = f.there.contents();
  check_refused(f.compress(), status_code::wrong_order, "");
  bool const same = f.there.contents() == contents;
  CHECK(same);
}

TEST_CASE("the batch driver needs the batch's workspace", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  f.run = *wkv::begin(f.on, f.plan, f.memory.workspace(), wkv::schedule::by_layer);
  check_refused(f.compress(), status_code::invalid_argument, "schedule");
  CHECK(f.is_untouched());
}

TEST_CASE("views of the wrong shape", "[errors][sanitize]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  check_refused(f.compress_changed([](auto& kv) { kv.keys.data = nullptr; }), status_code::invalid_argument,
                "keys.data");
  check_refused(f.compress_changed([](auto& kv) { kv.values.data = nullptr; }), status_code::invalid_argument,
                "values.data");
  check_refused(f.compress_changed([](auto& kv) { kv.keys.slots = tokens - 1; }),
                status_code::invalid_argument, "keys.slots");
  check_refused(f.compress_changed([](auto& kv) { kv.values.slots = tokens - 1; }),
                status_code::invalid_argument, "values.slots");
  check_refused(f.compress_changed([](auto& kv) { kv.keys.heads = kv.values.heads = 1; }),
                status_code::invalid_argument, "heads");
  check_refused(f.compress_changed([](auto& kv) { kv.keys.head_dim = 32; }), status_code::invalid_argument,
                "head_dim");
  check_refused(f.compress_changed([](auto& kv) {
    kv.positions = nullptr;
    kv.rotation = wkv::key_rotation::at_attention;
  }),
                status_code::unsupported, "positions");
  auto const with_queries = [&](auto change) {
    return wkv::compress(
        f.on, f.run,
        [&](int l) {
          auto source = f.there.queries(l);
          if (l == 1) change(source);
          return source;
        },
        [&](int l) { return f.there.kv(l); });
  };
  check_refused(with_queries([](auto& q) { q.queries.slots = 7; }), status_code::insufficient_queries,
                "queries");
  check_refused(with_queries([](auto& q) { q.queries.data = nullptr; }), status_code::invalid_argument,
                "queries");
  check_refused(with_queries([](auto& q) { q.queries.heads = 2; }), status_code::invalid_argument,
                "queries.heads");
  check_refused(wkv::compress(
                    f.on, &f.run, -1, [&](int, int l) { return f.there.queries(l); },
                    [&](int, int l) { return f.there.kv(l); }),
                status_code::invalid_argument, "compressions");
  CHECK(f.is_untouched());
  REQUIRE(message(f.compress()) == "ok");  // nothing was left half done
  CHECK(!f.is_untouched());
}

TEST_CASE("tunings out of range", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  for (wkv::cuda_tuning const& tuning : {wkv::cuda_tuning{1, 16, 4}, wkv::cuda_tuning{5, 16, 4},
                                         wkv::cuda_tuning{3, 0, 4}, wkv::cuda_tuning{3, 16, 0}}) {
    f.on.tuning = &tuning;
    check_refused(f.compress(), status_code::invalid_argument, "cuda_tuning");
  }
  CHECK(f.is_untouched());
}

TEST_CASE("a selection without its memory, a destination without room", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  wkv::deferred_selection nothing;
  nothing.group = 0;
  nothing.tokens = tokens;
  check_refused(wkv::compact(f.on, f.run, 0, nothing, f.there.kv(0)), status_code::invalid_argument,
                "selection.slots");
  REQUIRE(wkv::score(f.on, f.run, 0, f.there.queries(0), f.there.kv(0).keys));
  auto const chosen = wkv::select(f.on, f.run, 0);
  REQUIRE(chosen);
  auto to = f.there.kv(1);
  to.keys.slots = chosen->max_kept - 1;
  check_refused(wkv::compact_copy(f.on, *chosen, f.there.kv(0), to), status_code::invalid_argument,
                "destination keys.slots");
  CHECK(f.is_untouched());
}

TEST_CASE("sequences of two models do not make a batch", "[errors]") {
  WKV_NEEDS_DEVICE();
  fixture f;
  auto const other = plan_of(method(), {2, 4, 2, 32}, {tokens});
  auto const memory = dirty_memory(wkv::cuda_workspace_bytes(other));
  wkv::cuda_compression<method_type> runs[2];
  runs[0] = std::move(f.run);
  runs[1] = *wkv::begin(f.on, other, memory.workspace());
  check_refused(wkv::compress(
                    f.on, runs, 2, [&](int, int l) { return f.there.queries(l); },
                    [&](int, int l) { return f.there.kv(l); }),
                status_code::invalid_argument, "head_dim");
  CHECK(f.is_untouched());
}

#if !defined(__CUDACC__)
TEST_CASE("launches that the device refuses", "[errors]") {
  for (int launch = 0; launch < 4; ++launch) {  // two passes of scoring, selection, compaction
    fixture f;
    cuda_emulator::fail_next_launch(launch);
    check_refused(f.compress(), status_code::device_error, "cudaLaunchKernel");
    CHECK(f.is_untouched());
    f.run = *wkv::begin(f.on, f.plan, f.memory.workspace());
    CHECK(message(f.compress()) == "ok");
  }
  fixture f;
  cuda_emulator::fail_next_launch();
  check_refused(wkv::compress_layer(f.on, f.run, 0, f.there.queries(0), [&](int l) { return f.there.kv(l); }),
                status_code::device_error, "cudaLaunchKernel");
  CHECK(f.is_untouched());
}
#endif
