// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compresses every layer group as soon as its prefill is done, so that the uncompressed cache never exists as
// a whole, and moves the rows with the engine's own mover: windowkv only decides.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cstdio>
#include <random>
#include <utility>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr wkv::model_shape shape{12, 4, 2, 32};  // L, Hq, Hkv, D
constexpr int n_tokens = 1000;
constexpr int row = 2 * 32;  // elements of one slot: Hkv * D

/// Stands for an engine that frees what it does not need.
struct toy_engine {
  std::vector<float> keys[shape.layers];  // [slot][head][dim]
  std::vector<float> queries;             // of the last 16 tokens of the layer in prefill
  std::mt19937 random{1};
  std::size_t peak = 0;

  void prefill(int layer) {
    std::normal_distribution<float> normal;
    keys[layer].resize(std::size_t(n_tokens) * row);
    queries.resize(std::size_t{16} * 4 * 32);
    for (float& x : keys[layer]) x = normal(random);
    for (float& x : queries) x = normal(random);
    std::size_t in_use = 0;
    for (auto const& k : keys) in_use += k.capacity();
    peak = std::max(peak, in_use);
  }
  void keep(int layer, wkv::selection const& chosen) {
    std::vector<float> kept;
    kept.reserve(std::size_t(chosen.kept) * row);
    for (int i = 0; i < chosen.kept; ++i) {
      auto const from = keys[layer].begin() + std::ptrdiff_t{chosen.slots[i]} * row;
      kept.insert(kept.end(), from, from + row);
    }
    keys[layer] = std::move(kept);
  }
};

wkv::status prefill_and_compress(toy_engine& engine) {
  auto const method = wkv::default_method(4).with_budget(120);
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, wkv::prompt{n_tokens, wkv::task::aggregation}));
  wkv::owned_workspace const memory(plan.workspace_bytes);

  wkv::host_executor const on;
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(plan, memory.get()));
  for (int layer = 0; layer < shape.layers; ++layer) {
    engine.prefill(layer);
    WINDOWKV_TRY(wkv::score(on, run, layer,
                            wkv::suffix_queries{wkv::slot_head_dim(engine.queries.data(), 16, 4, 32)},
                            wkv::slot_head_dim(engine.keys[layer].data(), n_tokens, 2, 32)));
    if (!plan.completes_group(layer)) continue;
    WINDOWKV_TRY_ASSIGN(chosen, wkv::select(on, run, plan.layer[layer].group));
    for (int member = 0; member <= layer; ++member) {
      if (plan.layer[member].group == chosen.group) engine.keep(member, chosen);
    }
  }
  return {};
}

}  // namespace

int main() {
  toy_engine engine;
  wkv::status const outcome = prefill_and_compress(engine);
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  std::size_t kept = 0;
  for (auto const& k : engine.keys) kept += k.size() / row;
  std::printf("kept %zu of %d rows; at the peak the cache held %.0f %% of all rows\n", kept,
              shape.layers * n_tokens, 100.0 * double(engine.peak) / (double(shape.layers) * n_tokens * row));
  return outcome ? 0 : 1;
}
