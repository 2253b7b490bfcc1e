// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compresses the cache of a whole prompt in place. The memory here is made up; an engine points at its own.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/print.hpp>
#include <windowkv/windowkv.hpp>

#include <cstdio>
#include <random>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr wkv::model_shape shape{32, 8, 2, 64};  // L, Hq, Hkv, D
constexpr int n_tokens = 2000;

struct layer_cache {
  std::vector<float> keys, values, queries;  // [slot][head][dim], queries of the last 16 tokens
};

wkv::status compress_prompt(std::vector<layer_cache>& cache) {
  auto queries = [&](int layer) {
    return wkv::suffix_queries{wkv::slot_head_dim(cache[std::size_t(layer)].queries.data(), 16, 8, 64)};
  };
  auto kv = [&](int layer) {
    layer_cache& c = cache[std::size_t(layer)];
    return wkv::kv_view{wkv::slot_head_dim(c.keys.data(), n_tokens, 2, 64),
                        wkv::slot_head_dim(c.values.data(), n_tokens, 2, 64)};
  };

  auto const method = wkv::default_method().with_budget(240);  // 12 % of the prompt per layer, on average
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, wkv::prompt{n_tokens, wkv::task::localization}));
  wkv::print(stdout, plan);

  wkv::owned_workspace const memory(plan.workspace_bytes);
  auto const report = wkv::compress(wkv::host_executor{}, plan, memory.get(), queries, kv);
  if (report) wkv::print(stdout, *report);
  return report.error();
}

}  // namespace

int main() {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<layer_cache> cache(std::size_t(shape.layers));
  for (layer_cache& c : cache) {
    c.keys.resize(std::size_t{n_tokens} * 2 * 64);
    c.values.resize(std::size_t{n_tokens} * 2 * 64);
    c.queries.resize(std::size_t{16} * 8 * 64);
    for (std::vector<float>* part : {&c.keys, &c.values, &c.queries}) {
      for (float& x : *part) x = normal(random);
    }
  }
  wkv::status const outcome = compress_prompt(cache);
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  return outcome ? 0 : 1;
}
