// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "methods.hpp"

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "model.hpp"

namespace needle {
namespace {

namespace wkv = windowkv;

// ---- baselines, written from their papers: no windowkv ------------------------------------------

/// Moves the listed slots (ascending) of one head to the front.
void keep_slots(kv_cache& cache, int layer, int head, std::vector<int> const& slots) {
  int const dim = cache.head_dim();
  int to = 0;
  for (int from : slots) {
    std::copy_n(cache.key(layer, head, from), dim, cache.key(layer, head, to));
    std::copy_n(cache.value(layer, head, from), dim, cache.value(layer, head, to));
    ++to;
  }
  cache.set_length(layer, head, to);
}

/// The whole cache.
class keep_everything : public compressor {
 public:
  void layer_done(int, float const*, kv_cache&) override {}
};

/// StreamingLLM: the first 4 tokens (attention sinks) and the most recent ones.
class streaming : public compressor {
 public:
  explicit streaming(compression_request const& request) {
    int const sinks = std::min(4, request.keep);
    int const recent_begin = request.tokens - (request.keep - sinks);
    for (int slot = 0; slot < request.tokens; ++slot)
      if (slot < sinks || slot >= recent_begin) slots_.push_back(slot);
  }
  void layer_done(int layer, float const*, kv_cache& cache) override {
    for (int head = 0; head < cache.heads(); ++head) keep_slots(cache, layer, head, slots_);
  }

 private:
  std::vector<int> slots_;
};

/// SnapKV: every KV head of every layer keeps the tokens with the most attention from the last 16, after
/// maximum pooling over 7 neighbours, and those 16.
class snapkv : public compressor {
 public:
  snapkv(model_config const& config, compression_request const& request)
      : query_heads_(config.query_heads), keep_(request.keep - suffix_tokens) {}

  void layer_done(int layer, float const* suffix_queries, kv_cache& cache) override {
    std::vector<float> const sums =
        suffix_attention(cache, layer, suffix_queries, suffix_tokens, query_heads_);
    int const review = cache.length(layer, 0) - suffix_tokens;
    for (int head = 0; head < cache.heads(); ++head)
      keep_slots(cache, layer, head, best_slots(pooled(head_scores(sums, head, cache.heads(), review))));
  }

 private:
  /// Sum over the query heads that read this KV head.
  std::vector<float> head_scores(std::vector<float> const& sums, int head, int heads, int review) const {
    auto const n = static_cast<std::size_t>(review);
    auto const per_head = static_cast<std::size_t>(query_heads_ / heads);
    std::vector<float> scores(n, 0.f);
    for (std::size_t q = static_cast<std::size_t>(head) * per_head;
         q < (static_cast<std::size_t>(head) + 1) * per_head; ++q)
      for (std::size_t j = 0; j < n; ++j) scores[j] += sums[q * n + j];
    return scores;
  }

  static std::vector<float> pooled(std::vector<float> const& scores) {
    constexpr std::ptrdiff_t reach = 3;
    auto const n = static_cast<std::ptrdiff_t>(scores.size());
    std::vector<float> out;
    for (std::ptrdiff_t j = 0; j < n; ++j)
      out.push_back(*std::max_element(scores.begin() + std::max<std::ptrdiff_t>(0, j - reach),
                                      scores.begin() + std::min(n, j + reach + 1)));
    return out;
  }

  std::vector<int> best_slots(std::vector<float> const& scores) const {
    auto const review = static_cast<int>(scores.size());
    std::vector<int> slots(scores.size());
    std::iota(slots.begin(), slots.end(), 0);
    auto const better = [&](int a, int b) {
      float const x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
      return x != y ? x > y : a < b;
    };
    auto const end = slots.begin() + std::min(keep_, review);
    std::partial_sort(slots.begin(), end, slots.end(), better);
    slots.erase(end, slots.end());
    std::sort(slots.begin(), slots.end());
    for (int s = 0; s < suffix_tokens; ++s) slots.push_back(review + s);
    return slots;
  }

  int query_heads_;
  int keep_;  // besides the suffix
};

// ---- windowkv -----------------------------------------------------------------------------------

/// Any windowkv method on the example's cache: plan once, then one call per finished layer. The rows move in
/// place.
template <class Method>
class windowkv_compressor : public compressor {
 public:
  windowkv_compressor(Method const& method, model_config const& c, wkv::prompt const& prompt)
      : plan_(wkv::or_throw(wkv::make_plan(
            method, wkv::model_shape{c.layers, c.query_heads, c.kv_heads, c.head_dim}, prompt))),
        workspace_(plan_.workspace_bytes),
        run_(wkv::or_throw(wkv::begin(plan_, workspace_.get()))) {}

  void layer_done(int layer, float const* suffix_queries, kv_cache& cache) override {
    wkv::model_shape const& shape = plan_.shape;
    wkv::suffix_queries const queries{
        wkv::slot_head_dim(suffix_queries, suffix_tokens, shape.query_heads, shape.head_dim)};
    auto const kv_of = [&](int l) {
      return wkv::kv_view{
          wkv::head_slot_dim(cache.key(l, 0), cache.capacity(), shape.kv_heads, shape.head_dim),
          wkv::head_slot_dim(cache.value(l, 0), cache.capacity(), shape.kv_heads, shape.head_dim)};
    };
    wkv::or_throw(wkv::compress_layer(wkv::host_executor{}, run_, layer, queries, kv_of));
    for (int l = 0; l <= layer; ++l) cache.set_length(l, run_.length(l));
  }

 private:
  wkv::plan<Method> plan_;
  wkv::owned_workspace workspace_;
  wkv::compression<Method> run_;  // refers to the plan and the workspace
};

wkv::task task_of(task_kind kind) {
  return kind == task_kind::needle ? wkv::task::localization : wkv::task::aggregation;
}

template <class Method>
std::unique_ptr<compressor> compress_by(Method const& method, model_config const& c,
                                        compression_request const& request) {
  return std::make_unique<windowkv_compressor<Method>>(method, c,
                                                       wkv::prompt{request.tokens, task_of(request.task)});
}

/// The paper's windows of 8 and its leader per group, with 16 observing queries for either task. Uniform
/// budgets count the suffix; the paper's arithmetic series does not, so there the suffix comes off the
/// budget.
auto paper_uniform(int layers_per_group, int keep) {
  return wkv::paper_method()
      .with_suffix(suffix_tokens)
      .with_layer_grouping(wkv::uniform_groups{layers_per_group})
      .with_budget_shape(wkv::uniform_budget{})
      .with_budget(keep);
}
auto paper_pyramid(int layers_per_group, int keep) {
  wkv::arithmetic_budget const series{(14 * layers_per_group + 4) / 8};  // beta 14 is meant for groups of 8
  return wkv::paper_method()
      .with_suffix(suffix_tokens)
      .with_layer_grouping(wkv::uniform_groups{layers_per_group})
      .with_budget_shape(series)
      .with_budget(keep - suffix_tokens);
}
auto ours(int layers_per_group, int keep) {
  return wkv::default_method(layers_per_group).with_suffix(suffix_tokens).with_budget(keep);
}

// ---- the table of methods -----------------------------------------------------------------------

struct method_entry {
  method_info info;
  std::function<std::unique_ptr<compressor>(model_config const&, compression_request const&)> make;
};

std::vector<method_entry> const& entries() {
  using config = model_config;
  using request = compression_request;
  static std::vector<method_entry> const table = [] {
    std::vector<method_entry> t;
    auto const add = [&](std::string name, std::string summary, auto make) {
      t.push_back({{std::move(name), std::move(summary)}, make});
    };
    add("full", "the whole cache",
        [](config const&, request const&) { return std::make_unique<keep_everything>(); });
    add("streaming", "StreamingLLM: 4 sinks and the most recent tokens",
        [](config const&, request const& r) { return std::make_unique<streaming>(r); });
    add("snapkv", "SnapKV: tokens per KV head, maximum pooling over 7",
        [](config const& c, request const& r) { return std::make_unique<snapkv>(c, r); });
    for (int g : {1, 2, 4, 8})
      add("paper-g" + std::to_string(g),
          "WindowKV's paper: windows of 8, groups of " + std::to_string(g) + " layers",
          [g](config const& c, request const& r) { return compress_by(paper_uniform(g, r.keep), c, r); });
    for (int g : {2, 4})
      add("paper-g" + std::to_string(g) + "-pyramid", "the same with the paper's falling budgets",
          [g](config const& c, request const& r) { return compress_by(paper_pyramid(g, r.keep), c, r); });
    add("default", "windowkv::default_method(), groups of 8 layers",
        [](config const& c, request const& r) { return compress_by(ours(8, r.keep), c, r); });
    for (int g : {1, 2, 4})
      add("default-g" + std::to_string(g), "the same, groups of " + std::to_string(g) + " layers",
          [g](config const& c, request const& r) { return compress_by(ours(g, r.keep), c, r); });
    add("default-leader", "default, but each group's first layer decides alone",
        [](config const& c, request const& r) {
          return compress_by(ours(8, r.keep).with_layer_grouping(wkv::uniform_groups{8}), c, r);
        });
    add("default-even", "default, but all 16 observing queries count the same",
        [](config const& c, request const& r) {
          return compress_by(ours(8, r.keep).with_token_scorer(wkv::suffix_attention{}), c, r);
        });
    add("default-window8", "default, but windows on a grid of 8 for both tasks",
        [](config const& c, request const& r) {
          auto const method = ours(8, r.keep);
          auto const localization =
              method.localization.with_pooling(wkv::no_pooling{}).with_window_scorer(wkv::window_top_mean{4});
          return compress_by(method.with_localization(localization).with_windows(wkv::fixed_windows{8}), c,
                             r);
        });
    add("default-wrong-task", "default, told the other task", [](config const& c, request const& r) {
      task_kind const other = r.task == task_kind::needle ? task_kind::city : task_kind::needle;
      return compress_by(ours(8, r.keep), c, request{r.tokens, r.keep, other});
    });
    return t;
  }();
  return table;
}

}  // namespace

std::vector<method_info> const& known_methods() {
  static std::vector<method_info> const infos = [] {
    std::vector<method_info> all;
    for (method_entry const& entry : entries()) all.push_back(entry.info);
    return all;
  }();
  return infos;
}

std::unique_ptr<compressor> make_compressor(std::string const& method, model_config const& config,
                                            compression_request const& request) {
  for (method_entry const& entry : entries())
    if (entry.info.name == method) return entry.make(config, request);
  throw std::runtime_error("there is no method \"" + method + "\"");
}

}  // namespace needle
