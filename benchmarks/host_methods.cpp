// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What other methods' parts cost on the host, one layer of Llama-3-8B's shape, fp32, each with plain loops
// beside it:
//   prompt     attention of all queries, summed (H2O)     vs row by row, softmax, add
//   norm       -||k||                                      vs the same loop over the rows
//   diff       minus the cosine to the mean unit key       vs three loops over the rows
//   lists      selecting one list for all heads            vs one for each KV head, even or competing
//   move       compacting by a list for each KV head       vs copying each head's rows by memcpy
// Argument: N. Sources other than `prompt` read [slot][head][dim].

#include <benchmark/benchmark.h>

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr int query_heads = 32;
constexpr int kv_heads = 8;
constexpr int head_dim = 128;

std::vector<float> random_floats(std::size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (float& x : out) x = normal(random);
  return out;
}

/// [slot][head][dim] of one layer.
struct layer {
  int tokens;
  std::vector<float> keys, queries;

  layer(int n, bool has_queries)
      : tokens(n),
        keys(random_floats(std::size_t(n) * kv_heads * head_dim)),
        queries(random_floats(has_queries ? std::size_t(n) * query_heads * head_dim : 0)) {}
  float const* key(int token, int head) const {
    return &keys[std::size_t((token * kv_heads + head) * head_dim)];
  }
  float const* query(int row, int head) const {
    return &queries[std::size_t((row * query_heads + head) * head_dim)];
  }
  auto kv() { return wkv::kv_view{wkv::slot_head_dim(keys.data(), tokens, kv_heads, head_dim)}; }
};

float dot(float const* a, float const* b) {
  float sum = 0.f;
  for (int d = 0; d < head_dim; ++d) sum += a[d] * b[d];
  return sum;
}

template <class Method, class Source>
void score(benchmark::State& state, Method const& method, layer& data, Source const& source) {
  auto const plan = wkv::or_throw(wkv::make_plan(method.with_budget(data.tokens / 8),
                                                 wkv::model_shape{1, query_heads, kv_heads, head_dim},
                                                 wkv::prompt{data.tokens, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  for (auto _ : state) {
    auto run = *wkv::begin(plan, memory.get());
    auto const outcome = wkv::score(wkv::host_executor<>{}, run, 0, source, data.kv());
    if (!outcome) state.SkipWithError(outcome.message().c_str());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * data.tokens);
}

void prompt(benchmark::State& state) {
  layer data(int(state.range(0)), true);
  score(state, wkv::h2o(), data,
        wkv::suffix_queries{wkv::slot_head_dim(static_cast<float const*>(data.queries.data()), data.tokens,
                                               query_heads, head_dim)});
}
void prompt_baseline(benchmark::State& state) {
  layer const data(int(state.range(0)), true);
  std::size_t const n = std::size_t(data.tokens);
  std::vector<float> row(n), sums(n * query_heads);
  float const scale = 1.f / std::sqrt(float(head_dim));
  for (auto _ : state) {
    std::fill(sums.begin(), sums.end(), 0.f);
    for (int h = 0; h < query_heads; ++h) {
      for (int i = 0; i < data.tokens; ++i) {
        float largest = -INFINITY, sum = 0.f;
        for (int j = 0; j <= i; ++j) {
          row[std::size_t(j)] = dot(data.query(i, h), data.key(j, h / (query_heads / kv_heads))) * scale;
          largest = std::fmax(largest, row[std::size_t(j)]);
        }
        for (int j = 0; j <= i; ++j) sum += row[std::size_t(j)] = std::exp(row[std::size_t(j)] - largest);
        for (int j = 0; j <= i; ++j) sums[std::size_t(h) * n + std::size_t(j)] += row[std::size_t(j)] / sum;
      }
    }
    benchmark::DoNotOptimize(sums.data());
  }
  state.SetItemsProcessed(state.iterations() * data.tokens);
}

void norm(benchmark::State& state) {
  layer data(int(state.range(0)), false);
  score(state, wkv::key_norm(), data, wkv::no_queries{});
}
void norm_baseline(benchmark::State& state) {
  layer const data(int(state.range(0)), false);
  std::vector<float> scores(std::size_t(data.tokens) * kv_heads);
  for (auto _ : state) {
    for (int h = 0; h < kv_heads; ++h) {
      for (int j = 0; j < data.tokens; ++j) {
        scores[std::size_t(h * data.tokens + j)] = -std::sqrt(dot(data.key(j, h), data.key(j, h)));
      }
    }
    benchmark::DoNotOptimize(scores.data());
  }
  state.SetItemsProcessed(state.iterations() * data.tokens);
}

void diff(benchmark::State& state) {
  layer data(int(state.range(0)), false);
  score(state, wkv::key_diff(), data, wkv::no_queries{});
}
void diff_baseline(benchmark::State& state) {
  layer const data(int(state.range(0)), false);
  std::vector<float> scores(std::size_t(data.tokens) * kv_heads), inverse(std::size_t(data.tokens));
  for (auto _ : state) {
    for (int h = 0; h < kv_heads; ++h) {
      float anchor[head_dim] = {};
      for (int j = 0; j < data.tokens; ++j) {
        float const* const k = data.key(j, h);
        inverse[std::size_t(j)] = 1.f / std::sqrt(dot(k, k));
        for (int d = 0; d < head_dim; ++d) anchor[d] += k[d] * inverse[std::size_t(j)];
      }
      float const length = std::sqrt(dot(anchor, anchor));
      for (int j = 0; j < data.tokens; ++j) {
        scores[std::size_t(h * data.tokens + j)] =
            -dot(data.key(j, h), anchor) * inverse[std::size_t(j)] / length;
      }
    }
    benchmark::DoNotOptimize(scores.data());
  }
  state.SetItemsProcessed(state.iterations() * data.tokens);
}

template <class HeadSharing>
void lists(benchmark::State& state) {
  int const tokens = int(state.range(0));
  auto const method = wkv::snapkv()
                          .with_token_scorer(wkv::external_scores{kv_heads})
                          .with_head_sharing(HeadSharing{})
                          .with_budget(tokens / 8);
  auto const plan = wkv::or_throw(wkv::make_plan(method, wkv::model_shape{1, query_heads, kv_heads, head_dim},
                                                 wkv::prompt{tokens, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  auto const scores = random_floats(std::size_t(tokens) * kv_heads);
  for (auto _ : state) {
    auto run = *wkv::begin(plan, memory.get());
    auto const outcome = wkv::score(wkv::host_executor<>{}, run, 0,
                                    wkv::token_scores{scores.data(), kv_heads, tokens, tokens});
    auto const chosen = wkv::select(wkv::host_executor<>{}, run, 0);
    if (!outcome || !chosen) state.SkipWithError("refused");
    benchmark::DoNotOptimize(chosen->kept);
  }
  state.SetItemsProcessed(state.iterations() * tokens);
}

/// An eighth of each head's slots, others for each head.
struct head_lists {
  std::vector<std::int32_t> slots, offsets{0};
  explicit head_lists(int tokens) {
    for (int h = 0; h < kv_heads; ++h) {
      for (int j = h; j < tokens; j += kv_heads) slots.push_back(j);
      offsets.push_back(int(slots.size()));
    }
  }
};

void move(benchmark::State& state) {
  layer data(int(state.range(0)), false);
  head_lists const kept(data.tokens);
  wkv::selection chosen;
  chosen.tokens = data.tokens;
  chosen.kept = data.tokens / kv_heads;
  chosen.slots = kept.slots.data();
  chosen.lists = kv_heads;
  chosen.offsets = kept.offsets.data();
  std::vector<float> to(data.keys.size() / kv_heads);
  wkv::kv_view const there{wkv::slot_head_dim(to.data(), chosen.kept, kv_heads, head_dim)};
  for (auto _ : state) {
    auto const outcome = wkv::compact_copy(wkv::host_executor<>{}, chosen, data.kv(), there);
    if (!outcome) state.SkipWithError(outcome.message().c_str());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * std::int64_t(to.size() * sizeof(float)));
}
void move_baseline(benchmark::State& state) {
  layer const data(int(state.range(0)), false);
  head_lists const kept(data.tokens);
  std::vector<float> to(data.keys.size() / kv_heads);
  for (auto _ : state) {
    for (int h = 0; h < kv_heads; ++h) {
      for (int i = kept.offsets[std::size_t(h)]; i < kept.offsets[std::size_t(h) + 1]; ++i) {
        int const row = i - kept.offsets[std::size_t(h)];
        std::memcpy(&to[std::size_t((row * kv_heads + h) * head_dim)],
                    data.key(kept.slots[std::size_t(i)], h), head_dim * sizeof(float));
      }
    }
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * std::int64_t(to.size() * sizeof(float)));
}

}  // namespace

BENCHMARK(prompt)->ArgName("N")->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK(prompt_baseline)->ArgName("N")->Arg(1024)->Unit(benchmark::kMillisecond);
BENCHMARK(norm)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(norm_baseline)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(diff)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(diff_baseline)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(lists<wkv::all_heads>)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(lists<wkv::each_kv_head<>>)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(lists<wkv::each_kv_head<wkv::adaptive_heads>>)
    ->ArgName("N")
    ->Arg(8192)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(move)->ArgName("N")->Arg(32768)->Unit(benchmark::kMillisecond);
BENCHMARK(move_baseline)->ArgName("N")->Arg(32768)->Unit(benchmark::kMillisecond);
