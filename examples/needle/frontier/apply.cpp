// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "apply.hpp"

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace needle {
namespace {

namespace wkv = windowkv;

// Policies that choose at run time what the library's choose at compile time: one instantiation of the
// library serves the whole search.

struct any_pooling {
  pool_kind kind = pool_kind::none;
  int after = 0, before = 0;

  using state_type = wkv::max_pooling::state_type;
  state_type init() const { return {0.f, true}; }
  void add(state_type& state, float score) const {
    if (kind == pool_kind::mean)
      state = {state.largest + score, false};
    else
      wkv::max_pooling{}.add(state, score);
  }
  float finish(state_type const& state, int tokens) const {
    return kind == pool_kind::mean ? state.largest / static_cast<float>(tokens) : state.largest;
  }
};

struct any_window {
  bool is_top_half = false;
  wkv::window_top_mean top{};

  struct state_type {
    float sum;
    wkv::window_top_mean::state_type best;
  };
  state_type init() const { return {0.f, top.init()}; }
  void add(state_type& state, float score) const {
    if (is_top_half)
      top.add(state.best, score);
    else
      state.sum += score;
  }
  float finish(state_type const& state, int tokens) const {
    return is_top_half ? top.finish(state.best, tokens) : state.sum / static_cast<float>(tokens);
  }
};

wkv::model_shape shape_of(model_config const& c) { return {c.layers, c.query_heads, c.kv_heads, c.head_dim}; }

std::size_t at(int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); }

void weigh_by_values(model_config const& c, kv_cache const& cache, int layer, int review, float* scores) {
  for (int kv = 0; kv < c.kv_heads; ++kv)
    for (int j = 0; j < review; ++j) {
      float const* const v = cache.value(layer, kv, j);
      float size = 0;
      for (int d = 0; d < c.head_dim; ++d) size += std::fabs(v[d]);
      int const per_kv = c.query_heads / c.kv_heads;
      for (int head = kv * per_kv; head < (kv + 1) * per_kv; ++head)
        scores[at(head, review) + static_cast<std::size_t>(j)] *= size;
    }
}

}  // namespace

std::vector<float> const& prompt_under_study::scores_for(settings const& s) {
  std::vector<float>& scores = scores_[{s.suffix, s.decay, s.weighs_values}];
  if (!scores.empty()) return scores;
  using observing =
      wkv::scoring<wkv::recent_attention, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>;
  observing const how{s.suffix, {s.decay}, {}, {1}, {}, wkv::head_merge::at_windows, wkv::layer_merge::first};
  wkv::method<observing, observing, wkv::uniform_budget, wkv::no_sharing, wkv::top_windows> const method{
      how, how, {}, {}, {}, 1};
  auto const plan = wkv::or_throw(wkv::make_plan(method, shape_of(config_), {tokens_}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  auto run = wkv::or_throw(wkv::begin(plan, memory.get()));
  std::size_t const of_layer = at(config_.query_heads, plan.review);
  scores.resize(static_cast<std::size_t>(config_.layers) * of_layer);
  kv_cache const& cache = prefilled_.cache();
  for (int l = 0; l < config_.layers; ++l) {
    wkv::suffix_queries const queries{
        wkv::slot_head_dim(prefilled_.queries(l).rotated, tokens_, config_.query_heads, config_.head_dim)};
    auto const keys =
        wkv::head_slot_dim(cache.key(l, 0), cache.capacity(), config_.kv_heads, config_.head_dim);
    wkv::or_throw(wkv::score(wkv::host_executor{}, run, l, queries, keys));
    float* const out = scores.data() + static_cast<std::size_t>(l) * of_layer;
    std::copy_n(run.token_scores(l), of_layer, out);
    wkv::or_throw(wkv::select(wkv::host_executor{}, run, l));  // lets the next layer score
    if (s.weighs_values) weigh_by_values(config_, cache, l, plan.review, out);
  }
  return scores;
}

template <class Sharing>
kv_cache prompt_under_study::compress_lists(settings const& s, Sharing const& sharing, int keep,
                                            int answer_tokens) {
  std::vector<float> const& scores = scores_for(s);
  std::vector<std::uint8_t> scorers;
  scorers.reserve(static_cast<std::size_t>(config_.layers));
  for (int l = 0; l < config_.layers; ++l) scorers.push_back(l % s.group % s.every == 0 ? 1 : 0);
  using scoring = wkv::scoring<wkv::external_scores, any_pooling, wkv::fixed_windows, any_window>;
  scoring const how{s.suffix,
                    {},
                    {s.pooling, s.after, s.before},
                    {s.width},
                    {s.is_top_half, {std::max(1, s.width / 2)}},
                    s.heads,
                    s.layers,
                    s.reduction};
  int const beta = std::max(1, static_cast<int>(std::lround(100.0 * s.group / s.last)));
  wkv::method<scoring, scoring, wkv::exact_budget<wkv::arithmetic_budget>, wkv::uniform_groups,
              wkv::top_windows, Sharing> const method{how,
                                                      how,
                                                      {{beta}, true},
                                                      {s.group, s.scoring, nullptr, scorers.data()},
                                                      {wkv::fill::within_budget, s.sinks, nullptr, 0},
                                                      keep,
                                                      sharing};
  auto const plan = wkv::or_throw(wkv::make_plan(method, shape_of(config_), {tokens_}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  auto run = wkv::or_throw(wkv::begin(plan, memory.get()));

  int longest = 0;
  for (int g = 0; g < plan.groups; ++g) longest = std::max(longest, plan.group[g].max_kept);
  kv_cache const& from = prefilled_.cache();
  kv_cache to(config_, longest + answer_tokens);
  std::size_t const of_layer = at(config_.query_heads, plan.review);
  for (int l = 0; l < config_.layers; ++l) {
    wkv::or_throw(wkv::score(wkv::host_executor{}, run, l,
                             wkv::token_scores{scores.data() + static_cast<std::size_t>(l) * of_layer,
                                               config_.query_heads, plan.review, plan.review}));
    if (plan.completes_group(l))  // before the next group scores into the same buffer
      wkv::or_throw(wkv::select(wkv::host_executor{}, run, plan.layer[l].group));
  }
  for (int l = 0; l < config_.layers; ++l) {
    wkv::selection const chosen = wkv::or_throw(wkv::select(wkv::host_executor{}, run, plan.layer[l].group));
    for (int head = 0; head < config_.kv_heads; ++head) {
      wkv::slot_list const list = chosen.list(head);
      for (int i = 0; i < list.count; ++i) {
        std::copy_n(from.key(l, head, list.slots[i]), config_.head_dim, to.key(l, head, i));
        std::copy_n(from.value(l, head, list.slots[i]), config_.head_dim, to.value(l, head, i));
      }
      to.set_length(l, head, list.count);
    }
  }
  return to;
}

kv_cache prompt_under_study::compress(settings const& s, int keep, int answer_tokens) {
  switch (s.lists) {
    case list_kind::each:
      return compress_lists(s, wkv::each_kv_head<>{}, keep, answer_tokens);
    case list_kind::adaptive:
      return compress_lists(s, wkv::each_kv_head<wkv::adaptive_heads>{}, keep, answer_tokens);
    case list_kind::one:
      break;
  }
  return compress_lists(s, wkv::all_heads{}, keep, answer_tokens);
}

}  // namespace needle
