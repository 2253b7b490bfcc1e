// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Every stage of the CUDA backend on random bfloat16 caches of three models' shapes, in [slot][head][dim]:
//   copy      cudaMemcpyAsync within the device: what the others' rates are shares of (`of_copy`)
//   empty     a graph with an empty kernel: what one sample costs with nothing in it; not subtracted
//   score     all scoring layers in one launch per pass; bytes of the keys, read once
//   select    from given scores (tokens/8 windows of 8, or single tokens), or as scoring left them
//   compact   all layers in place, and to other memory; bytes read and written
//   compress  whole models; bytes of the scoring layers' keys read once and of the kept rows read and written
//   unfused_* the paper's method assembled from cuBLAS, CUB and plain kernels (cuda_baseline.cuh)
// Times are those of the device, of one graph launch per sample. `cold:1` writes 256 MB through the L2 cache
// before every sample, `cold:0` runs the same work before it. `host_us` is what one call costs the host
// without a graph. Without a device the program says so and does nothing.

#include <benchmark/benchmark.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <cub/version.cuh>
#include <windowkv/exception.hpp>
#include <windowkv/windowkv.cuh>

#include "cuda_support.cuh"
#ifdef WINDOWKV_BENCHMARK_CUBLAS
#include "cuda_baseline.cuh"
#endif

namespace wkv = windowkv;
using namespace wkv_bench;

namespace {

using element = wkv::bfloat16;
using plane = wkv::dense_plane<element, wkv::memory_space::device>;
using kv = wkv::kv_view<plane, plane>;
using executor = wkv::cuda_executor<wkv::head_dims<128>>;

constexpr int budget = 2048;

struct model {
  char const* name;
  wkv::model_shape shape;
  int layers_per_group;
};
constexpr model llama_8b{"Llama-3-8B", {32, 32, 8, 128}, 8};
constexpr model qwen_1b{"Qwen2.5-1.5B", {28, 12, 2, 128}, 7};
constexpr model llama_70b{"Llama-3-70B", {80, 64, 8, 128}, 8};

auto paper(model const& m) {
  auto method = wkv::paper_method();
  method.layer_grouping.layers_per_group = m.layers_per_group;
  return method.with_budget(budget);
}
auto ours(model const& m) { return wkv::default_method(m.layers_per_group).with_budget(budget); }

struct request {
  model const* of = &llama_8b;
  std::vector<int> tokens;  // of each sequence
  wkv::task task = wkv::task::aggregation;
  wkv::schedule schedule = wkv::schedule::batched;
  bool has_log_sum_exp = false;
};

/// A batch of prompts: plans, workspaces, caches and queries. Layers take turns on less memory when the
/// caches of all of them do not fit (`resident`); whole compressions want every layer's own.
template <class Method>
class problem {
 public:
  executor const on{device::get().stream};

  problem(Method const& method, request const& what, bool with_second_cache = false) : what_(what) {
    wkv::model_shape const& shape = what.of->shape;
    std::size_t workspace_bytes = 0;
    std::size_t rows = 0;
    for (int const tokens : what.tokens) {
      plans_.push_back(std::make_unique<wkv::plan<Method>>(
          wkv::or_throw(wkv::make_plan(method, shape, wkv::prompt{tokens, what.task}))));
      workspace_bytes += wkv::cuda_workspace_bytes(*plans_.back(), what.schedule);
      rows += static_cast<std::size_t>(tokens);
    }
    std::size_t const layer_bytes = 2 * rows * row_bytes() * (with_second_cache ? 2 : 1);
    query_elements_ = std::size_t(32) * std::size_t(shape.query_heads * shape.head_dim);
    std::size_t const query_bytes = sequences() * layers() * query_elements_ * sizeof(element);
    std::size_t const room = device::get().random_capacity(workspace_bytes);
    if (room < query_bytes + layer_bytes) throw std::runtime_error("not enough device memory for one layer");
    resident_ = std::min(layers(), (room - query_bytes) / layer_bytes);
    data_ = reinterpret_cast<element*>(device::get().random_bytes(query_bytes + resident_ * layer_bytes));
    queries_ = data_ + resident_ * layer_bytes / sizeof(element);
    second_ = with_second_cache ? data_ + resident_ * layer_bytes / 2 / sizeof(element) : nullptr;
    for (std::size_t s = 0; s < sequences(); ++s) {
      workspaces_.emplace_back(wkv::cuda_workspace_bytes(*plans_[s], what.schedule));
      std::size_t const count = std::size_t(shape.query_heads) * 32;
      log_sum_exp_.emplace_back(count * sizeof(float));
      // of N standard normal logits
      float const value = std::log(static_cast<float>(what.tokens[s])) + 0.5f;
      fill_value<<<static_cast<unsigned>((count + 255) / 256), 256, 0, on.stream>>>(
          log_sum_exp_.back().template as<float>(), count, value);
    }
    check(cudaGetLastError(), "fill_value");
    begin();
  }

  std::size_t sequences() const { return what_.tokens.size(); }
  std::size_t layers() const { return static_cast<std::size_t>(what_.of->shape.layers); }
  std::size_t resident() const { return resident_; }
  wkv::plan<Method> const& plan(std::size_t s = 0) const { return *plans_[s]; }
  wkv::cuda_compression<Method>& run(std::size_t s = 0) { return runs_[s]; }

  /// Anew, on the same memory.
  void begin() {
    runs_.clear();
    for (std::size_t s = 0; s < sequences(); ++s) {
      runs_.push_back(wkv::or_throw(wkv::begin(
          on, *plans_[s], {workspaces_[s].template as<void>(), workspaces_[s].bytes()}, what_.schedule)));
    }
  }

  wkv::suffix_queries<plane> source(int s, int l) const {
    wkv::model_shape const& shape = what_.of->shape;
    int const suffix = plans_[std::size_t(s)]->suffix;
    element* const data = queries_ + (std::size_t(s) * layers() + std::size_t(l)) * query_elements_;
    return {wkv::in_device_memory(wkv::head_slot_dim(data, suffix, shape.query_heads, shape.head_dim)),
            what_.has_log_sum_exp ? log_sum_exp_[std::size_t(s)].template as<float>() : nullptr};
  }
  kv cache(int s, int l) const { return view(data_, s, l); }
  kv second_cache(int s, int l) const { return view(second_, s, l); }

  void score() {
    wkv::or_throw(wkv::detail::score_all(
        on, batch(), [&](int s, int l) { return source(s, l); }, [&](int s, int l) { return cache(s, l); }));
  }
  void select() { wkv::or_throw(wkv::detail::select_all(on, batch())); }
  void compact() {
    wkv::detail::move_batch<wkv::head_dims<128>, plane, plane> pending(on, facts());
    for_each_layer([&](int s, int l, wkv::deferred_selection const& chosen) {
      wkv::or_throw(wkv::detail::add_move(pending, chosen, cache(s, l)));
    });
    wkv::or_throw(pending.launch());
  }
  void copy() {
    wkv::detail::copy_batch<wkv::head_dims<128>, plane, plane, plane, plane> pending(on, facts());
    for_each_layer([&](int s, int l, wkv::deferred_selection const& chosen) {
      wkv::or_throw(wkv::detail::add_copy(pending, chosen, cache(s, l), second_cache(s, l)));
    });
    wkv::or_throw(pending.launch());
  }
  void compress() {
    if (resident_ < layers()) throw std::runtime_error("the caches of all layers do not fit into memory");
    if (what_.schedule == wkv::schedule::batched) {
      wkv::or_throw(wkv::compress(
          on, runs_.data(), static_cast<int>(sequences()), [&](int s, int l) { return source(s, l); },
          [&](int s, int l) { return cache(s, l); }));
      return;
    }
    for (int s = 0; s < static_cast<int>(sequences()); ++s) {
      for (int l = 0; l < static_cast<int>(layers()); ++l) {
        wkv::or_throw(wkv::compress_layer(on, runs_[std::size_t(s)], l, source(s, l),
                                          [&](int layer) { return cache(s, layer); }));
      }
    }
  }

  /// Bytes of the keys of all scoring layers, and flops of one pass over them.
  double key_bytes() const {
    return per_scoring_layer([&](auto const& p) { return double(p.prompt.tokens) * double(row_bytes()); });
  }
  double flops() const {
    return per_scoring_layer([&](auto const& p) {
      return 2.0 * p.shape.query_heads * p.suffix * p.prompt.tokens * p.shape.head_dim;
    });
  }
  /// Bytes of the kept keys and values, read and written; after the selection has run.
  double moved_bytes() {
    double out = 0;
    for (std::size_t s = 0; s < sequences(); ++s) {
      auto const counts = to_host(runs_[s].counts(), std::size_t(plans_[s]->groups));
      for (int l = 0; l < plans_[s]->shape.layers; ++l)
        out += 4.0 * double(row_bytes()) * counts[std::size_t(plans_[s]->layer[l].group)].kept;
    }
    return out;
  }

 private:
  std::size_t row_bytes() const {
    return std::size_t(what_.of->shape.kv_heads * what_.of->shape.head_dim) * sizeof(element);
  }
  wkv::detail::run_list<wkv::cuda_compression<Method>> batch() {
    return {runs_.data(), static_cast<int>(sequences())};
  }
  wkv::detail::launch_facts facts() const { return wkv::or_throw(wkv::detail::launch_facts_of(on)); }

  /// [layer][keys, values][sequence] rows.
  kv view(element* data, int s, int l) const {
    std::size_t const row = row_bytes() / sizeof(element);
    std::size_t all = 0;
    std::size_t before = 0;
    for (std::size_t i = 0; i < sequences(); ++i) {
      if (i < std::size_t(s)) before += std::size_t(what_.tokens[i]);
      all += std::size_t(what_.tokens[i]);
    }
    element* const keys = data + (std::size_t(l) % resident_ * 2 * all + before) * row;
    int const tokens = what_.tokens[std::size_t(s)];
    auto const at = [&](element* p) {
      return wkv::in_device_memory(
          wkv::slot_head_dim(p, tokens, what_.of->shape.kv_heads, what_.of->shape.head_dim));
    };
    return {at(keys), at(keys + all * row)};
  }
  template <class F>
  void for_each_layer(F&& f) {
    for (std::size_t s = 0; s < sequences(); ++s) {
      for (int l = 0; l < plans_[s]->shape.layers; ++l)
        f(static_cast<int>(s), l, runs_[s].selected(plans_[s]->layer[l].group));
    }
  }
  template <class F>
  double per_scoring_layer(F&& f) const {
    double out = 0;
    for (auto const& p : plans_) {
      for (int l = 0; l < p->shape.layers; ++l)
        out += p->layer[l].scores != 0 && p->group[p->layer[l].group].keeps_all == 0 ? f(*p) : 0.0;
    }
    return out;
  }

  request what_;
  std::vector<std::unique_ptr<wkv::plan<Method>>> plans_;
  std::vector<device_memory> workspaces_;
  std::vector<device_memory> log_sum_exp_;
  std::vector<wkv::cuda_compression<Method>> runs_;
  std::size_t query_elements_ = 0;
  std::size_t resident_ = 0;
  element* data_ = nullptr;
  element* second_ = nullptr;
  element* queries_ = nullptr;
};

template <class Method, class F>
void with_problem(benchmark::State& state, Method const& method, request const& what, F&& f,
                  bool with_second_cache = false) {
  problem<Method> p(method, what, with_second_cache);
  f(p);
  state.counters["resident_layers"] = static_cast<double>(p.resident());
}

template <class Method>
void score(benchmark::State& state, Method const& method, request const& what, bool is_cold) {
  with_problem(state, method, what, [&](auto& p) {
    graph const timed(device::get(), [&] { p.score(); });
    time_graph(state, timed, is_cold);
    count_bytes(state, p.key_bytes());
    count_flops(state, p.flops());
  });
}

template <class Method>
void select_scored(benchmark::State& state, Method const& method, request const& what, bool is_cold) {
  with_problem(state, method, what, [&](auto& p) {
    graph const prepare(device::get(), [&] { p.score(); });
    graph const timed(device::get(), [&] { p.select(); });
    time_graph(state, timed, is_cold, [&] { prepare.launch(device::get()); });
  });
}

/// `groups` groups of 8 layers, each with a leader's scores.
template <class Method>
void select_given(benchmark::State& state, Method const& method, int groups, int tokens, bool is_cold) {
  executor const on{device::get().stream};
  auto const plan = wkv::or_throw(wkv::make_plan(method, wkv::model_shape{8 * groups, 32, 8, 128},
                                                 wkv::prompt{tokens, wkv::task::aggregation}));
  device_memory const workspace(wkv::cuda_workspace_bytes(plan));
  device_memory const scores(std::size_t(tokens) * sizeof(float));
  fill_random<<<1024, 256, 0, on.stream>>>(scores.as<float>(), std::size_t(tokens), 1.f);
  auto run = wkv::or_throw(wkv::begin(on, plan, {workspace.as<void>(), workspace.bytes()}));
  auto const each_scoring_layer = [&](auto&& f) {
    for (int l = 0; l < plan.shape.layers; ++l) {
      if (plan.layer[l].scores != 0) f(l);
    }
  };
  graph const prepare(device::get(), [&] {
    each_scoring_layer([&](int l) {
      wkv::or_throw(wkv::score(on, run, l, wkv::token_scores{scores.as<float>(), 1, tokens, tokens}));
    });
  });
  graph const timed(device::get(), [&] {
    wkv::or_throw(wkv::detail::select_all(on, wkv::detail::run_list<wkv::cuda_compression<Method>>{&run, 1}));
  });
  time_graph(state, timed, is_cold, [&] { prepare.launch(device::get()); });
  state.counters["windows"] = plan.windows;
}

template <class Method>
void compact(benchmark::State& state, Method const& method, request const& what, bool is_copy, bool is_cold) {
  with_problem(
      state, method, what,
      [&](auto& p) {
        p.score();
        p.select();
        device::get().synchronize();
        graph const timed(device::get(), [&] { is_copy ? p.copy() : p.compact(); });
        time_graph(state, timed, is_cold);
        count_bytes(state, p.moved_bytes());
      },
      is_copy);
}

template <class Method>
void compress(benchmark::State& state, Method const& method, request const& what, bool is_cold) {
  with_problem(state, method, what, [&](auto& p) {
    p.compress();  // loads the code
    device::get().synchronize();
    double host_seconds = 1e9;
    for (int i = 0; i < 5; ++i) {
      p.begin();
      auto const start = std::chrono::steady_clock::now();
      p.compress();
      std::chrono::duration<double> const taken = std::chrono::steady_clock::now() - start;
      host_seconds = std::min(host_seconds, taken.count());
      device::get().synchronize();
    }
    p.begin();
    graph const timed(device::get(), [&] { p.compress(); });
    time_graph(state, timed, is_cold);
    count_bytes(state, p.key_bytes() + p.moved_bytes());
    state.counters["host_us"] = 1e6 * host_seconds;
  });
}

void copy(benchmark::State& state, std::size_t bytes) {
  char* const data = device::get().random_bytes(2 * bytes);
  graph const timed(device::get(), [&] {
    check(cudaMemcpyAsync(data + bytes, data, bytes, cudaMemcpyDeviceToDevice, device::get().stream),
          "cudaMemcpyAsync");
  });
  time_graph(state, timed, true);
  count_bytes(state, 2.0 * static_cast<double>(bytes));
}

void empty(benchmark::State& state) {
  graph const timed(device::get(), [&] { nothing<<<1, 32, 0, device::get().stream>>>(); });
  time_graph(state, timed, false);
}

#ifdef WINDOWKV_BENCHMARK_CUBLAS
enum class unfused_part { score, select, gather, all };

template <class Method>
void unfused(benchmark::State& state, Method const& method, request const& what, unfused_part part,
             bool is_cold) {
  with_problem(state, method, what, [&](auto& p) {
    auto const& plan = p.plan();
    bool const is_mean = what.task == wkv::task::aggregation;
    unfused_shape const shape{
        plan.shape.query_heads, plan.shape.kv_heads, plan.shape.head_dim,
        plan.prompt.tokens,     plan.suffix,         is_mean ? 8 : method.localization.window_scorer.top,
        plan.max_kept(0) + 8};
    unfused_pipeline pipeline(device::get(), shape);
    auto const raw = [](element const* data) { return reinterpret_cast<__nv_bfloat16 const*>(data); };
    auto const run_part = [&](unfused_part now) {
      for (int g = 0; g < plan.groups; ++g) {
        int const leader = plan.group[g].first_scoring_layer;
        int const dropped = (plan.review - plan.group[g].review_budget + 7) / 8;
        int const kept = plan.windows - dropped;
        if (now == unfused_part::score || now == unfused_part::all)
          pipeline.score(raw(p.source(0, leader).queries.data), raw(p.cache(0, leader).keys.data));
        int const* ids = pipeline.window_ids();
        if (now == unfused_part::select || now == unfused_part::all) ids = pipeline.select(kept);
        if (now != unfused_part::gather && now != unfused_part::all) continue;
        for (int l = 0; l < plan.shape.layers; ++l) {
          kv const cache = p.cache(0, l);
          if (plan.layer[l].group == g)
            pipeline.gather(raw(cache.keys.data), raw(cache.values.data), ids, kept);
        }
      }
    };
    // Both must keep the same: the share of group 0's slots that windowkv keeps, too.
    p.score();
    p.select();
    int const kept = plan.windows - (plan.review - plan.group[0].review_budget + 7) / 8;
    pipeline.score(raw(p.source(0, 0).queries.data), raw(p.cache(0, 0).keys.data));
    int const* const ids = pipeline.select(kept);
    device::get().synchronize();
    auto const theirs = to_host(ids, std::size_t(kept));
    auto const count = to_host(p.run().counts(), 1)[0];
    auto const windows = to_host(p.run().selected(0).window_ids, std::size_t(count.windows));
    std::vector<int> both;
    std::set_intersection(theirs.begin(), theirs.end(), windows.begin(), windows.end(),
                          std::back_inserter(both));
    double const same = static_cast<double>(both.size()) / std::max(kept, count.windows);
    state.counters["same_windows"] = same;
    if (same < 0.95) throw std::runtime_error("the baseline and windowkv keep different windows");

    graph const timed(device::get(), [&] { run_part(part); });
    time_graph(state, timed, is_cold);
    double bytes = 0;
    if (part == unfused_part::score || part == unfused_part::all) bytes += p.key_bytes();
    if (part == unfused_part::gather || part == unfused_part::all) bytes += p.moved_bytes();
    if (bytes > 0) count_bytes(state, bytes);
  });
}
#endif

/// Registers a benchmark of 20 samples per repetition. What it throws is its error.
void add(std::string const& name, std::function<void(benchmark::State&)> run) {
  benchmark::RegisterBenchmark(name.c_str(),
                               [run = std::move(run)](benchmark::State& state) {
                                 try {
                                   run(state);
                                 } catch (std::exception const& e) {
                                   cudaGetLastError();
                                   state.SkipWithError(e.what());
                                 }
                               })
      ->UseManualTime()
      ->Iterations(20)
      ->Unit(benchmark::kMicrosecond);
}

std::string named(std::string const& stage, model const& m, int suffix, int tokens,
                  std::string const& variant, bool is_cold) {
  return stage + "/" + m.name + "/" + variant + "/S:" + std::to_string(suffix) +
         "/N:" + std::to_string(tokens) + "/cold:" + (is_cold ? "1" : "0");
}

constexpr int lengths[] = {8192, 32768, 131072};

void add_score() {
  for (bool const is_cold : {true, false}) {
    for (int const tokens : lengths) {
      auto const add_case = [=](model const& m, int suffix, wkv::task task, bool has_lse) {
        std::string const variant =
            std::string(has_lse ? "lse_" : "no_lse_") + (task == wkv::task::aggregation ? "mean" : "top4");
        request const what{&m, {tokens}, task, wkv::schedule::batched, has_lse};
        add(named("score", m, suffix, tokens, variant, is_cold),
            [=, &m](benchmark::State& state) { score(state, paper(m).with_suffix(suffix), what, is_cold); });
      };
      for (bool const has_lse : {true, false}) {
        for (wkv::task const task : {wkv::task::aggregation, wkv::task::localization}) {
          add_case(llama_8b, 16, task, has_lse);
          add_case(llama_8b, 32, task, has_lse);
          add_case(llama_70b, 32, task, has_lse);
          add_case(qwen_1b, 16, task, has_lse);
        }
        request const what{&llama_8b, {tokens}, wkv::task::localization, wkv::schedule::batched, has_lse};
        add(named("score", llama_8b, 16, tokens, has_lse ? "lse_default" : "no_lse_default", is_cold),
            [=](benchmark::State& state) { score(state, ours(llama_8b), what, is_cold); });
      }
    }
  }
}

void add_select() {
  for (bool const is_cold : {true, false}) {
    for (int const groups : {1, 4}) {
      for (int const items : {16384, 131072}) {
        std::string const end = "/groups:" + std::to_string(groups) + "/items:" + std::to_string(items) +
                                "/cold:" + (is_cold ? "1" : "0");
        add("select/windows" + end, [=](benchmark::State& state) {
          int const tokens = 8 * items + 16;
          auto const method =
              wkv::paper_method().with_token_scorer(wkv::external_scores{1}).with_budget(tokens / 8);
          select_given(state, method, groups, tokens, is_cold);
        });
        add("select/tokens" + end, [=](benchmark::State& state) {
          int const tokens = items + 16;
          auto method =
              wkv::default_method().with_token_scorer(wkv::external_scores{1}).with_budget(tokens / 8);
          method.layer_grouping.scoring = wkv::scoring_layers::first;
          select_given(state, method, groups, tokens, is_cold);
        });
      }
    }
    for (int const tokens : lengths) {
      request const what{&llama_8b, {tokens}};
      add(named("select", llama_8b, 16, tokens, "after_no_lse_mean", is_cold),
          [=](benchmark::State& state) { select_scored(state, paper(llama_8b), what, is_cold); });
      request const local{&llama_8b, {tokens}, wkv::task::localization};
      add(named("select", llama_8b, 16, tokens, "after_default", is_cold),
          [=](benchmark::State& state) { select_scored(state, ours(llama_8b), local, is_cold); });
    }
  }
}

void add_compact() {
  for (model const* const m : {&llama_8b, &qwen_1b, &llama_70b}) {
    for (bool const is_copy : {false, true}) {
      request const what{m, {32768}};
      add(named("compact", *m, 16, 32768, is_copy ? "copy" : "in_place", true),
          [=](benchmark::State& state) { compact(state, paper(*m), what, is_copy, true); });
      if (m == &llama_8b) {
        add(named("compact", *m, 16, 32768, is_copy ? "copy_tokens" : "in_place_tokens", true),
            [=](benchmark::State& state) { compact(state, ours(*m), what, is_copy, true); });
      }
    }
  }
}

void add_compress() {
  for (model const* const m : {&llama_8b, &qwen_1b, &llama_70b}) {
    for (int const tokens : lengths) {
      for (wkv::schedule const when : {wkv::schedule::batched, wkv::schedule::by_layer}) {
        std::string const mode = when == wkv::schedule::batched ? "_batched" : "_by_layer";
        request const mean{m, {tokens}, wkv::task::aggregation, when};
        request const local{m, {tokens}, wkv::task::localization, when};
        add(named("compress", *m, 16, tokens, "paper_mean" + mode, true),
            [=](benchmark::State& state) { compress(state, paper(*m), mean, true); });
        add(named("compress", *m, 32, tokens, "paper_top4" + mode, true),
            [=](benchmark::State& state) { compress(state, paper(*m), local, true); });
        add(named("compress", *m, 16, tokens, "default" + mode, true),
            [=](benchmark::State& state) { compress(state, ours(*m), local, true); });
      }
      request with_lse{m, {tokens}};
      with_lse.has_log_sum_exp = true;
      add(named("compress", *m, 16, tokens, "paper_mean_lse_batched", true),
          [=](benchmark::State& state) { compress(state, paper(*m), with_lse, true); });
    }
  }
  request const ragged{&llama_8b, {32768, 24576, 16384, 12288, 8192, 8192, 4096, 6000}};
  request ragged_local = ragged;
  ragged_local.task = wkv::task::localization;
  add("compress/Llama-3-8B/paper_mean_batched/S:16/ragged:8/cold:1",
      [=](benchmark::State& state) { compress(state, paper(llama_8b), ragged, true); });
  add("compress/Llama-3-8B/default_batched/S:16/ragged:8/cold:1",
      [=](benchmark::State& state) { compress(state, ours(llama_8b), ragged_local, true); });
}

void add_unfused() {
#ifdef WINDOWKV_BENCHMARK_CUBLAS
  for (int const tokens : lengths) {
    for (wkv::task const task : {wkv::task::aggregation, wkv::task::localization}) {
      bool const is_mean = task == wkv::task::aggregation;
      std::string const rule = is_mean ? "mean" : "top4";
      int const suffix = is_mean ? 16 : 32;
      for (model const* const m : {&llama_8b, &qwen_1b, &llama_70b}) {
        request const what{m, {tokens}, task};
        add(named("unfused_compress", *m, suffix, tokens, "paper_" + rule, true),
            [=](benchmark::State& state) { unfused(state, paper(*m), what, unfused_part::all, true); });
        add(named("unfused_score", *m, suffix, tokens, "no_lse_" + rule, true),
            [=](benchmark::State& state) { unfused(state, paper(*m), what, unfused_part::score, true); });
      }
    }
    request const what{&llama_8b, {tokens}};
    add(named("unfused_select", llama_8b, 16, tokens, "radix_sort", true),
        [=](benchmark::State& state) { unfused(state, paper(llama_8b), what, unfused_part::select, true); });
    add(named("unfused_gather", llama_8b, 16, tokens, "copy", true),
        [=](benchmark::State& state) { unfused(state, paper(llama_8b), what, unfused_part::gather, true); });
  }
#endif
}

void add_context() {
  cudaDeviceProp facts{};
  check(cudaGetDeviceProperties(&facts, 0), "cudaGetDeviceProperties");
  int driver = 0;
  int core_khz = 0;
  int memory_khz = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cudaDeviceGetAttribute(&core_khz, cudaDevAttrClockRate, 0);
  cudaDeviceGetAttribute(&memory_khz, cudaDevAttrMemoryClockRate, 0);
  auto const version = [](int v) { return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10); };
  benchmark::AddCustomContext("gpu", facts.name);
  benchmark::AddCustomContext("compute_capability",
                              std::to_string(facts.major) + "." + std::to_string(facts.minor));
  benchmark::AddCustomContext("multiprocessors", std::to_string(facts.multiProcessorCount));
  benchmark::AddCustomContext("l2_bytes", std::to_string(facts.l2CacheSize));
  benchmark::AddCustomContext("most_core_mhz", std::to_string(core_khz / 1000));
  benchmark::AddCustomContext("most_memory_mhz", std::to_string(memory_khz / 1000));
  benchmark::AddCustomContext("driver_cuda", version(driver));
  benchmark::AddCustomContext("cuda", version(CUDART_VERSION));
  benchmark::AddCustomContext("cub", std::to_string(CUB_VERSION));
  char const* const commit = std::getenv("WINDOWKV_COMMIT");
  benchmark::AddCustomContext("commit", commit != nullptr ? commit : WINDOWKV_BENCHMARK_COMMIT);
  benchmark::AddCustomContext("copy_bytes_per_second", std::to_string(device::get().copy_rate));
}

}  // namespace

int main(int argc, char** argv) {
  int devices = 0;
  cudaError_t const found = cudaGetDeviceCount(&devices);
  if (found != cudaSuccess || devices == 0) {
    std::printf("windowkv_bench_cuda_stages: no CUDA device (%s): nothing was measured\n",
                found != cudaSuccess ? cudaGetErrorString(found) : "0 devices");
    return 0;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  try {
    add_context();
  } catch (std::exception const& e) {
    std::fprintf(stderr, "windowkv_bench_cuda_stages: %s\n", e.what());
    return 1;
  }
  add("empty", empty);
  for (std::size_t const mib : {4, 64, 1024}) {
    add("copy/MiB:" + std::to_string(mib), [=](benchmark::State& state) { copy(state, mib << 20); });
  }
  add_score();
  add_select();
  add_compact();
  add_compress();
  add_unfused();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
