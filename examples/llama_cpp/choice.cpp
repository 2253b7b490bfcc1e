// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "choice.hpp"

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cstddef>
#include <stdexcept>

#include "cache_keys.hpp"

namespace llama_demo {
namespace {

namespace wkv = windowkv;

auto method_for(choice_options const& options) {
  return wkv::default_method(options.layers_per_group)
      .with_budget_shape(wkv::uniform_budget{})
      .with_budget(options.tokens_per_layer);
}

wkv::model_shape shape_of(std::vector<layer_record> const& records) {
  layer_record const& first = records.front();
  for (layer_record const& r : records) {
    if (r.query_heads != first.query_heads || r.kv_heads != first.kv_heads || r.head_dim != first.head_dim) {
      throw std::runtime_error("the layers differ in their heads: such models are not covered");
    }
  }
  return {static_cast<int>(records.size()), first.query_heads, first.kv_heads, first.head_dim};
}

template <class Run>
wkv::status score_layer(Run& run, int layer, layer_record const& record, int prompt_tokens,
                        score_source source) {
  wkv::host_executor const on;
  if (source == score_source::engine_softmax) {
    auto const row_stride = std::int64_t{record.probability_cells};
    return wkv::score(on, run, layer,
                      wkv::attention_rows{record.probabilities.data(), record.query_heads, record.rows,
                                          prompt_tokens, record.rows * row_stride, row_stride});
  }
  wkv::suffix_queries const queries{
      wkv::slot_head_dim(record.queries.data(), record.rows, record.query_heads, record.head_dim)};
  return with_keys(record, [&](auto const& keys) { return wkv::score(on, run, layer, queries, keys); });
}

}  // namespace

std::vector<std::vector<std::int32_t>> kept_tokens::of_layers() const {
  std::vector<std::vector<std::int32_t>> lists;
  for (int const group : group_of_layer) lists.push_back(of_group[static_cast<std::size_t>(group)]);
  return lists;
}

int suffix_of(wkv::task task) {
  auto const method = wkv::default_method();
  return task == wkv::task::localization ? method.localization.suffix : method.aggregation.suffix;
}

kept_tokens choose(std::vector<layer_record> const& records, int prompt_tokens, choice_options const& options,
                   score_source source) {
  wkv::model_shape const shape = shape_of(records);
  auto const plan =
      wkv::or_throw(wkv::make_plan(method_for(options), shape, wkv::prompt{prompt_tokens, options.task}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  auto run = wkv::or_throw(wkv::begin(plan, memory.get()));

  kept_tokens kept;
  kept.of_group.resize(static_cast<std::size_t>(plan.groups));
  kept.retained.resize(static_cast<std::size_t>(plan.groups));
  kept.scores.resize(static_cast<std::size_t>(plan.groups));
  for (int layer = 0; layer < shape.layers; ++layer) {
    layer_record const& record = records[static_cast<std::size_t>(layer)];
    int const group = plan.layer[layer].group;
    kept.group_of_layer.push_back(group);
    wkv::or_throw(score_layer(run, layer, record, prompt_tokens, source));
    if (!plan.completes_group(layer)) continue;
    wkv::selection const chosen = wkv::or_throw(wkv::select(wkv::host_executor{}, run, group));
    kept.of_group[static_cast<std::size_t>(group)].assign(chosen.slots, chosen.slots + chosen.kept);
    kept.retained[static_cast<std::size_t>(group)] = chosen.retained;
    // The default method's windows are single tokens.
    kept.scores[static_cast<std::size_t>(group)].assign(run.window_scores(),
                                                        run.window_scores() + plan.windows);
  }
  for (auto const& slots : kept.of_group) {
    if (slots.size() != kept.of_group.front().size()) {
      throw std::runtime_error(
          "the groups keep different numbers of tokens, but llama.cpp's layers share their cells");
    }
  }
  return kept;
}

}  // namespace llama_demo
