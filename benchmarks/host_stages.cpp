// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Every stage of the host backend on one layer of Llama-3-8B's shape, with a raw baseline beside it:
//   score    vs plain loops that hold the dense [Hq, S, N] logits
//   select   vs a stable sort of (score, index) pairs
//   compact  vs memcpy of as many bytes
//   compress (4 leaders, 32 layers: the paper's groups)
// Arguments: N, and S where it matters. Counters: FLOP/s of the dot products of one pass, bytes/s.

#include <benchmark/benchmark.h>

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr int query_heads = 32;
constexpr int kv_heads = 8;
constexpr int head_dim = 128;
constexpr int row_elements = kv_heads * head_dim;

template <class T>
std::vector<T> random_elements(std::size_t count) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<T> out(count);
  for (T& x : out) x = T(normal(random));
  return out;
}

/// One prompt with the memory it needs.
template <class Method>
struct problem {
  wkv::plan<Method> plan;
  wkv::owned_workspace memory;

  problem(Method const& method, int layers, int tokens, wkv::task task)
      : plan(wkv::or_throw(wkv::make_plan(method, wkv::model_shape{layers, query_heads, kv_heads, head_dim},
                                          wkv::prompt{tokens, task}))),
        memory(plan.workspace_bytes) {}
};

void report_score_rates(benchmark::State& state, int tokens, int suffix, std::size_t element_bytes) {
  double const flops = 2.0 * query_heads * suffix * tokens * head_dim;
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
  state.SetBytesProcessed(state.iterations() * std::int64_t{tokens} * row_elements *
                          std::int64_t(element_bytes));
}

/// T: element type of the cache. With `HasLogSumExp` the engine supplies the softmax denominators.
template <class T, bool HasLogSumExp>
void score(benchmark::State& state) {
  int const tokens = int(state.range(0));
  int const suffix = int(state.range(1));
  auto const keys = random_elements<T>(std::size_t(tokens) * row_elements);
  auto const queries = random_elements<T>(std::size_t(suffix) * query_heads * head_dim);
  std::vector<float> const log_sum_exp(std::size_t(query_heads * suffix), 9.f);
  problem const p(wkv::paper_method().with_suffix(suffix).with_budget(tokens / 8), 1, tokens,
                  wkv::task::aggregation);
  wkv::host_executor const on;
  for (auto _ : state) {
    auto run = *wkv::begin(p.plan, p.memory.get());
    auto const outcome =
        wkv::score(on, run, 0,
                   wkv::suffix_queries{wkv::slot_head_dim(queries.data(), suffix, query_heads, head_dim),
                                       HasLogSumExp ? log_sum_exp.data() : nullptr},
                   wkv::slot_head_dim(keys.data(), tokens, kv_heads, head_dim));
    if (!outcome) state.SkipWithError(outcome.message().c_str());
    benchmark::ClobberMemory();
  }
  report_score_rates(state, tokens, suffix, sizeof(T));
}

/// The same by plain loops: dense logits, softmax row by row, sum over rows.
void score_baseline(benchmark::State& state) {
  int const tokens = int(state.range(0));
  int const suffix = int(state.range(1));
  auto const keys = random_elements<float>(std::size_t(tokens) * row_elements);
  auto const queries = random_elements<float>(std::size_t(suffix) * query_heads * head_dim);
  std::vector<float> logits(std::size_t(query_heads) * std::size_t(suffix) * std::size_t(tokens));
  std::vector<float> scores(std::size_t(query_heads) * std::size_t(tokens));
  float const scale = 1.f / std::sqrt(float(head_dim));
  for (auto _ : state) {
    for (int h = 0; h < query_heads; ++h) {
      float* const token_score = &scores[std::size_t(h) * std::size_t(tokens)];
      std::fill(token_score, token_score + tokens, 0.f);
      for (int i = 0; i < suffix; ++i) {
        float const* q = &queries[std::size_t((i * query_heads + h) * head_dim)];
        float* const row = &logits[std::size_t(h * suffix + i) * std::size_t(tokens)];
        int const visible = tokens - suffix + i + 1;
        float largest = -INFINITY;
        for (int j = 0; j < visible; ++j) {
          float const* k =
              &keys[std::size_t(j) * row_elements + std::size_t(h / (query_heads / kv_heads) * head_dim)];
          float dot = 0.f;
          for (int d = 0; d < head_dim; ++d) dot += q[d] * k[d];
          row[j] = dot * scale;
          largest = std::max(largest, row[j]);
        }
        float sum = 0.f;
        for (int j = 0; j < visible; ++j) sum += row[j] = std::exp(row[j] - largest);
        for (int j = 0; j < visible; ++j) token_score[j] += row[j] / sum;
      }
    }
    benchmark::DoNotOptimize(scores.data());
    benchmark::ClobberMemory();
  }
  report_score_rates(state, tokens, suffix, sizeof(float));
}

template <class MakeMethod>
void select(benchmark::State& state, MakeMethod make_method, wkv::task task) {
  int const tokens = int(state.range(0));
  auto const method = make_method().with_token_scorer(wkv::external_scores{1}).with_budget(tokens / 8);
  problem const p(method, 1, tokens, task);
  auto const scores = random_elements<float>(std::size_t(tokens));
  wkv::host_executor const on;
  for (auto _ : state) {
    auto run = *wkv::begin(p.plan, p.memory.get());
    auto const outcome = wkv::score(on, run, 0, wkv::token_scores{scores.data(), 1, tokens, tokens});
    auto const chosen = wkv::select(on, run, 0);
    if (!outcome || !chosen) state.SkipWithError("refused");
    benchmark::DoNotOptimize(chosen->kept);
  }
  state.SetItemsProcessed(state.iterations() * tokens);
}
void select_windows(benchmark::State& state) {
  select(
      state, [] { return wkv::paper_method(); }, wkv::task::aggregation);
}
void select_anchored(benchmark::State& state) {
  select(
      state, [] { return wkv::default_method(); }, wkv::task::localization);
}

/// Mean of every 8 scores, stable sort, first eighth.
void select_baseline(benchmark::State& state) {
  int const tokens = int(state.range(0));
  auto const scores = random_elements<float>(std::size_t(tokens));
  std::vector<std::pair<float, int>> windows(std::size_t(tokens) / 8);
  std::vector<int> kept(windows.size() / 8);
  for (auto _ : state) {
    for (std::size_t w = 0; w < windows.size(); ++w) {
      float sum = 0.f;
      for (std::size_t j = 0; j < 8; ++j) sum += scores[w * 8 + j];
      windows[w] = {sum / 8, int(w)};
    }
    std::stable_sort(windows.begin(), windows.end(),
                     [](auto const& a, auto const& b) { return a.first > b.first; });
    for (std::size_t i = 0; i < kept.size(); ++i) kept[i] = windows[i].second;
    std::sort(kept.begin(), kept.end());
    benchmark::DoNotOptimize(kept.data());
  }
  state.SetItemsProcessed(state.iterations() * tokens);
}

/// Every other window of 8, an eighth of the tokens, moved to the front of another cache.
template <class T>
void compact(benchmark::State& state) {
  int const tokens = int(state.range(0));
  std::vector<std::int32_t> slots;
  for (int w = 0; w < tokens / 8; w += 8) {
    for (int j = 0; j < 8; ++j) slots.push_back(w * 8 + j);
  }
  int const kept = int(slots.size());
  auto from = random_elements<T>(2 * std::size_t(tokens) * row_elements);
  std::vector<T> to(2 * std::size_t(kept) * row_elements);
  auto const view = [](T* data, int n) {
    return wkv::kv_view{wkv::slot_head_dim(data, n, kv_heads, head_dim),
                        wkv::slot_head_dim(data + std::size_t(n) * row_elements, n, kv_heads, head_dim)};
  };
  wkv::host_executor const on;
  for (auto _ : state) {
    auto const outcome =
        wkv::compact_copy(on, {slots.data(), kept}, view(from.data(), tokens), view(to.data(), kept));
    if (!outcome) state.SkipWithError(outcome.message().c_str());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * std::int64_t(to.size() * sizeof(T)));
}

template <class T>
void compact_baseline(benchmark::State& state) {
  auto const from = random_elements<T>(2 * std::size_t(state.range(0)) * row_elements);
  std::vector<T> to(from.size() / 8);
  for (auto _ : state) {
    std::memcpy(static_cast<void*>(to.data()), from.data(), to.size() * sizeof(T));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * 2 * std::int64_t(to.size() * sizeof(T)));
}

/// A whole model, each layer with a cache of its own. Each holds the same numbers, so what is computed stays
/// comparable.
template <class MakeMethod>
void compress(benchmark::State& state, MakeMethod make_method, wkv::task task) {
  int const tokens = int(state.range(0));
  constexpr int layers = 32;
  std::size_t const plane_elements = std::size_t(tokens) * row_elements;
  std::vector<wkv::bfloat16> const plane = random_elements<wkv::bfloat16>(plane_elements);
  std::vector<wkv::bfloat16> cache(2 * layers * plane_elements);
  for (std::size_t i = 0; i < 2 * layers; ++i)
    std::copy(plane.begin(), plane.end(), cache.begin() + std::ptrdiff_t(i * plane_elements));
  auto const queries = random_elements<wkv::bfloat16>(std::size_t(32) * query_heads * head_dim);
  problem const p(make_method().with_budget(tokens / 8), layers, tokens, task);
  wkv::host_executor const on;
  for (auto _ : state) {
    auto const report = wkv::compress(
        on, p.plan, p.memory.get(),
        [&](int) {
          return wkv::suffix_queries{wkv::slot_head_dim(queries.data(), 32, query_heads, head_dim)};
        },
        [&](int layer) {
          wkv::bfloat16* const keys = cache.data() + std::size_t(layer) * 2 * plane_elements;
          return wkv::kv_view{wkv::slot_head_dim(keys, tokens, kv_heads, head_dim),
                              wkv::slot_head_dim(keys + plane_elements, tokens, kv_heads, head_dim)};
        });
    if (!report) state.SkipWithError(report.error().message().c_str());
  }
}
void compress_paper(benchmark::State& state) {
  compress(
      state, [] { return wkv::paper_method(); }, wkv::task::localization);
}
void compress_default(benchmark::State& state) {
  compress(
      state, [] { return wkv::default_method(); }, wkv::task::localization);
}

}  // namespace

BENCHMARK(score<float, false>)->ArgNames({"N", "S"})->ArgsProduct({{2048, 8192}, {16, 32}});
BENCHMARK(score<float, true>)->ArgNames({"N", "S"})->ArgsProduct({{2048, 8192}, {16, 32}});
BENCHMARK(score<wkv::bfloat16, false>)->ArgNames({"N", "S"})->ArgsProduct({{2048, 8192}, {16, 32}});
BENCHMARK(score_baseline)->ArgNames({"N", "S"})->ArgsProduct({{2048, 8192}, {16, 32}});
BENCHMARK(select_windows)->ArgName("N")->Arg(8192)->Arg(131072);
BENCHMARK(select_anchored)->ArgName("N")->Arg(8192)->Arg(131072);
BENCHMARK(select_baseline)->ArgName("N")->Arg(8192)->Arg(131072);
BENCHMARK(compact<float>)->ArgName("N")->Arg(8192)->Arg(32768);
BENCHMARK(compact_baseline<float>)->ArgName("N")->Arg(8192)->Arg(32768);
BENCHMARK(compact<wkv::bfloat16>)->ArgName("N")->Arg(8192)->Arg(32768);
BENCHMARK(compact_baseline<wkv::bfloat16>)->ArgName("N")->Arg(8192)->Arg(32768);
BENCHMARK(compress_paper)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
BENCHMARK(compress_default)->ArgName("N")->Arg(8192)->Unit(benchmark::kMillisecond);
