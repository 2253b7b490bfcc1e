// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A compression captured in a CUDA graph, replayed for other contents and lengths. Needs a GPU.

#include <type_traits>
#include <vector>

#include "both.hpp"

#if defined(__CUDACC__)
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr wkv::model_shape shape{4, 8, 2, 128};
constexpr int planned_tokens = 700;

sequence<wkv::bfloat16> prompt(unsigned seed) {
  return {shape, planned_tokens, 20, order::slot_head_dim, seed, 8};
}

template <class Executor, class Method>
wkv::status queue(Executor const& on, wkv::cuda_compression<Method>& run,
                  device_sequence<wkv::bfloat16> const& data) {
  return wkv::compress(
      on, run, [&](int l) { return data.queries(l); }, [&](int l) { return data.kv(l); });
}

}  // namespace

TEST_CASE("a captured compression", "[graph]") {
  WKV_NEEDS_DEVICE();
  for (wkv::task kind : {wkv::task::localization, wkv::task::aggregation}) {
    auto const on = executor_of<128>();
    auto const plan = plan_of(wkv::default_method(2).with_budget(150), shape, {planned_tokens, kind});
    auto const memory = dirty_memory(wkv::cuda_workspace_bytes(plan));
    device_array<int> length({planned_tokens});
    device_sequence<wkv::bfloat16> data(prompt(1));
    auto run = wkv::begin(on, plan, memory.workspace(), wkv::schedule::batched, length.data());
    REQUIRE(message(run) == "ok");

    cudaGraph_t graph = nullptr;
    cudaGraphExec_t executable = nullptr;
    require_success(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeGlobal));
    auto const queued = queue(on, *run, data);
    require_success(cudaStreamEndCapture(stream(), &graph));
    REQUIRE(message(queued) == "ok");
    require_success(cudaGraphInstantiate(&executable, graph, 0));
    bool const is_untouched = data.contents() == prompt(1).contents();
    CHECK(is_untouched);

    for (int tokens : {planned_tokens, 350, 699, 120, 16, 700}) {
      auto const seed = static_cast<unsigned>(tokens);
      data.set(prompt(seed));
      length.set({tokens});
      require_success(cudaGraphLaunch(executable, stream()));
      auto const got = selections_of(*run);

      auto const memory_again = dirty_memory(wkv::cuda_workspace_bytes(plan));
      device_sequence<wkv::bfloat16> const again(prompt(seed));
      auto uncaptured = wkv::begin(on, plan, memory_again.workspace(), wkv::schedule::batched, length.data());
      REQUIRE(uncaptured);
      REQUIRE(message(queue(on, *uncaptured, again)) == "ok");
      CAPTURE(tokens);
      bool const same_selections = selections_of(*uncaptured) == got;
      CHECK(same_selections);
      bool const same_contents = again.contents() == data.contents();
      CHECK(same_contents);
    }
    require_success(cudaGraphExecDestroy(executable));
    require_success(cudaGraphDestroy(graph));
  }
}
#endif
