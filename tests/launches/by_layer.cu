// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// It instantiates the kernels of batched.cu again: two units of one program.
#include <windowkv/windowkv.cuh>

#include "fake_cuda.hpp"
#include "scenario.hpp"

namespace {

template <class Method>
wkv::result<std::vector<int>> compress_with(Method const& method, scenario const& s) {
  wkv::cuda_executor<wkv::head_dims<128>> const on{};
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, s.shape, {s.tokens[0], s.task}));
  std::size_t const bytes = wkv::cuda_workspace_bytes(plan, wkv::schedule::by_layer);
  auto run = wkv::begin(on, plan, {somewhere_on_the_device<void>(), bytes}, wkv::schedule::by_layer);
  if (!run) return run.error();
  std::vector<int> launches;
  for (int l = 0; l < s.shape.layers; ++l) {
    std::size_t const before = fake_cuda::launches().size();
    WINDOWKV_TRY(wkv::compress_layer(on, *run, l, queries_of(s), [&](int k) { return kv_of(s, 0, k); }));
    launches.push_back(static_cast<int>(fake_cuda::launches().size() - before));
  }
  return launches;
}

}  // namespace

wkv::result<std::vector<int>> compress_by_layer(scenario const& s) {
  return with_method(s, [&](auto const& method) { return compress_with(method, s); });
}

wkv::status copy_layer(scenario const& s) {
  wkv::deferred_selection chosen;
  chosen.tokens = s.tokens[0];
  chosen.max_kept = 1024;
  chosen.slots = somewhere_on_the_device<std::int32_t const>();
  chosen.counts = somewhere_on_the_device<wkv::selection_counts const>();
  return wkv::compact_copy(wkv::cuda_executor<wkv::head_dims<128>>{}, chosen, kv_of(s, 0, 0), kv_of(s, 0, 1));
}
