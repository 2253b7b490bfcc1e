// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <windowkv/windowkv.cuh>

#include <utility>

#include "scenario.hpp"

namespace {

template <class Method>
wkv::status compress_with(Method const& method, scenario const& s) {
  wkv::cuda_executor<wkv::head_dims<128>> const on{};
  std::vector<wkv::plan<Method>> plans;
  for (int const tokens : s.tokens) {
    WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, s.shape, {tokens, s.task}));
    plans.push_back(plan);
  }
  std::vector<wkv::cuda_compression<Method>> runs;
  for (auto const& plan : plans) {
    auto run = wkv::begin(on, plan, {somewhere_on_the_device<void>(), wkv::cuda_workspace_bytes(plan)});
    if (!run) return run.error();
    runs.push_back(std::move(*run));
  }
  return wkv::compress(
      on, runs.data(), static_cast<int>(runs.size()), [&](int, int) { return queries_of(s); },
      [&](int sequence, int layer) { return kv_of(s, sequence, layer); });
}

}  // namespace

wkv::status compress_batch(scenario const& s) {
  return with_method(s, [&](auto const& method) { return compress_with(method, s); });
}
