// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Published methods by name, and mixtures of their parts, on one random cache: what each keeps.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cstdio>
#include <random>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr int layers = 8, tokens = 512, query_heads = 4, kv_heads = 2, head_dim = 16;

/// Stands for an engine's memory: [slot][head][dim], all layers.
struct engine_cache {
  std::vector<float> keys, values, queries;

  engine_cache() {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (auto* plane : {&keys, &values, &queries}) {
      plane->resize(std::size_t(layers) * tokens * head_dim *
                    std::size_t(plane == &queries ? query_heads : kv_heads));
      for (float& x : *plane) x = normal(random);
    }
  }
  auto kv(int layer) {
    std::size_t const at = std::size_t(layer) * tokens * kv_heads * head_dim;
    return wkv::kv_view{wkv::slot_head_dim(keys.data() + at, tokens, kv_heads, head_dim),
                        wkv::slot_head_dim(values.data() + at, tokens, kv_heads, head_dim)};
  }
  auto suffix(int layer) const {
    float const* const all = queries.data() + std::size_t(layer) * tokens * query_heads * head_dim;
    return wkv::suffix_queries{wkv::slot_head_dim(all, tokens, query_heads, head_dim)};
  }
};

template <class Method>
wkv::status show(char const* name, Method const& method) {
  engine_cache cache;
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method.with_budget(64), {layers, query_heads, kv_heads, head_dim},
                                           {tokens, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  WINDOWKV_TRY_ASSIGN(report,
                      wkv::compress(
                          wkv::host_executor{}, plan, memory.get(), [&](int l) { return cache.suffix(l); },
                          [&](int l) { return cache.kv(l); }));
  wkv::selection const& first = report.group[0];
  std::printf("%-40s layer 0 keeps %3d rows in %d list(s), the model %6lld bytes of %lld\n", name,
              first.rows(), first.lists, static_cast<long long>(report.bytes_after()),
              static_cast<long long>(report.bytes_before()));
  return {};
}

wkv::status show_all() {
  float const preferences[layers] = {3.f, 2.f, 2.f, 1.f,
                                     1.f, 1.f, 1.f, 1.f};  // measured: policy/preferences.hpp
  auto const a = wkv::snapkv();
  auto const b = wkv::snapkv().with_layer_grouping(wkv::uniform_groups{8});
  auto const c = wkv::cake(preferences, layers).with_windows(wkv::fixed_windows{10});
  auto const d = wkv::paper_method().with_head_sharing(wkv::each_kv_head{});
  auto const e = wkv::ada_kv().with_selector(wkv::top_mass{{}, 0.05f});
  WINDOWKV_TRY(show("SnapKV", a));
  WINDOWKV_TRY(show("SnapKV, one list per 8 layers", b));
  WINDOWKV_TRY(show("CAKE's budgets, ChunkKV's chunks", c));
  WINDOWKV_TRY(show("WindowKV's windows, SnapKV's lists", d));
  return show("AdaKV, less where 5 % of the mass do", e);
}

}  // namespace

int main() {
  wkv::status const outcome = show_all();
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  return outcome ? 0 : 1;
}
