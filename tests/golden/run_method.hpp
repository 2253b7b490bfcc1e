// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Runs a method on one sequence. Every further type of method costs compile time, so what can be settled at
// run time is: `settled` gives all methods the same types of pooling, budget and layer grouping.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "case.hpp"
#include "compare.hpp"
#include "pipeline.hpp"
#include "sequence.hpp"
#include "windowkv/windowkv.hpp"

namespace golden {

/// Average pooling or maximum pooling.
struct any_pooling {
  int after = 0;
  int before = 0;
  wkv::average_pooling average{};
  wkv::max_pooling maximum{};
  bool is_maximum = false;

  /// Over `kernel` tokens, as SnapKV pools.
  static any_pooling over(int kernel, bool of_maximum) {
    int const half = kernel / 2;
    return {half, half, {half, half, true}, {half, half}, of_maximum};
  }

  struct state_type {
    wkv::average_pooling::state_type average;
    wkv::max_pooling::state_type maximum;
  };
  WINDOWKV_HD state_type init() const { return {average.init(), maximum.init()}; }
  WINDOWKV_HD void add(state_type& state, float score) const {
    if (is_maximum) {
      maximum.add(state.maximum, score);
    } else {
      average.add(state.average, score);
    }
  }
  WINDOWKV_HD float finish(state_type const& state, int tokens) const {
    return is_maximum ? maximum.finish(state.maximum, tokens) : average.finish(state.average, tokens);
  }
};

/// Any of the budgets that the originals have.
struct any_budget {
  enum class shape { uniform, pyramid, rounded_pyramid };

  shape which = shape::uniform;
  bool counts_suffix = true;
  wkv::pyramid_budget pyramid{};
  wkv::rounded_pyramid_budget rounded_pyramid{};

  wkv::status allocate(wkv::budget_request const& request, std::int32_t* out) const {
    return which == shape::pyramid           ? pyramid.allocate(request, out)
           : which == shape::rounded_pyramid ? rounded_pyramid.allocate(request, out)
                                             : wkv::uniform_budget{}.allocate(request, out);
  }
  static any_budget of(wkv::pyramid_budget const& pyramid) { return {shape::pyramid, true, pyramid, {}}; }
  static any_budget of(wkv::rounded_pyramid_budget const& rounded) {
    return {shape::rounded_pyramid, true, {}, rounded};
  }
};

/// What is settled at run time. The other parts of a method are its own.
struct settings_of_run {
  int suffix = 0;
  int tokens = 0;  ///< C
  any_budget budget{};
  any_pooling pooling{};
  wkv::head_merge heads = wkv::head_merge::at_tokens;
  wkv::head_reduction reduction = wkv::head_reduction::mean;
  int chunk = 1;  ///< tokens of a window
  int sinks = 0;
  std::uint8_t const* evictable = nullptr;  ///< as in `uniform_groups`
};

template <class Method>
auto settled(Method const& method, settings_of_run const& s) {
  auto scoring = method.localization.with_pooling(s.pooling).with_heads(s.heads, s.reduction);
  scoring.suffix = s.suffix;
  scoring.windows.width = s.chunk;
  any_budget budget = s.budget;
  if (s.suffix == 0) budget.counts_suffix = false;  // the same, and a budget of 0 has a meaning
  auto out = method.with_localization(scoring)
                 .with_aggregation(scoring)
                 .with_budget_shape(budget)
                 .with_layer_grouping(wkv::uniform_groups{1, wkv::scoring_layers::first, s.evictable})
                 .with_budget(s.tokens);
  out.selector.sinks = s.sinks;
  return out;
}

/// Which of the model's layers the sequence is one of, and whether scores are wanted where nothing need be
/// scored.
struct layer_place {
  int layers = 1;
  int layer = 0;
  bool wants_scores = true;
};

namespace detail {

/// Scores by what the method's token scorer reads.
template <class Pipeline>
void score_sequence(Pipeline& pipeline, int layer, sequence& s) {
  using method = std::decay_t<decltype(pipeline.plan().method)>;
  using scorer = std::decay_t<decltype(std::declval<method>().localization.token_scorer)>;
  if constexpr (wkv::is_row_scorer_v<scorer> && !wkv::detail::reads_queries<scorer>::value) {
    pipeline.score(layer, wkv::no_queries{}, s.cache());
  } else {
    require(s.query_rows > 0, "Q: missing");
    pipeline.score(layer, s.query_source(), s.cache());
  }
}

template <class Pipeline>
void take_scores(Pipeline& pipeline, int layer, compressed& out) {
  out.token_scores = pipeline.token_scores(layer);
  out.window_scores = pipeline.window_scores(pipeline.plan().layer[layer].group);
}

template <class Pipeline, class Score>
compressed run_pipeline(Pipeline& pipeline, layer_place const& at, sequence const& original,
                        Score const& score) {
  wkv::plan_data const& p = pipeline.plan();
  compressed out;
  out.cache = original;
  out.review = p.review;
  int const g = p.layer[at.layer].group;
  out.is_evicted = g >= 0;
  if (!out.is_evicted) {
    id_list all(static_cast<std::size_t>(original.tokens));
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::int32_t>(i);
    out.lists.assign(static_cast<std::size_t>(p.lists), all);
    return out;
  }
  out.keeps_all = p.group[g].keeps_all != 0;
  out.budget = p.group[g].budget;
  if (!out.keeps_all) score(pipeline, out.cache);
  wkv::selection const chosen = pipeline.select(g);
  for (int list = 0; list < chosen.lists; ++list) {
    wkv::slot_list const kept = chosen.list(list);
    out.lists.emplace_back(kept.slots, kept.slots + kept.count);
  }
  if (!out.keeps_all) take_scores(pipeline, at.layer, out);
  if (chosen.lists > 1) {
    auto const floats = static_cast<std::size_t>(chosen.rows()) * static_cast<std::size_t>(original.dims);
    out.flat_keys.resize(floats);
    out.flat_values.resize(floats);
    if (floats > 0) {
      pipeline.flatten(chosen, out.cache.cache(), out.flat_keys.data(), out.flat_values.data());
    }
  }
  pipeline.compact(at.layer, chosen, out.cache.cache());
  std::string const problem = check_own_rows(original, out);
  require(problem.empty(), problem);
  return out;
}

}  // namespace detail

/// Compresses a sequence, as one layer of a model, scored by score(pipeline, sequence). Where everything is
/// kept nothing is scored; scores that are wanted are then those of a smaller budget.
template <class Backend, class Method, class Score>
compressed run_scored(Method const& method, layer_place const& at, sequence const& original,
                      Score const& score) {
  using pipeline_type = typename Backend::template pipeline<Method>;
  wkv::model_shape const shape{at.layers, original.query_heads, original.kv_heads, original.dims};
  wkv::prompt const prompt{original.tokens, wkv::task::localization};
  require(at.layer >= 0 && at.layer < at.layers, "layer_idx: there is no such layer");
  pipeline_type pipeline(method, shape, prompt);
  compressed out = detail::run_pipeline(pipeline, at, original, score);
  if (at.wants_scores && out.is_evicted && out.keeps_all && out.review > 0) {
    Method smaller = method;
    smaller.budget = any_budget{};
    smaller.budget.counts_suffix = false;
    smaller.tokens_per_layer = out.review - 1;
    pipeline_type other(smaller, shape, prompt);
    sequence copy = original;
    score(other, copy);
    static_cast<void>(other.select(other.plan().layer[at.layer].group));
    detail::take_scores(other, at.layer, out);
  }
  return out;
}

/// The same, scored by what the method's token scorer reads.
template <class Backend, class Method>
compressed run_method(Method const& method, layer_place const& at, sequence const& original) {
  return run_scored<Backend>(method, at, original, [&](auto& pipeline, sequence& s) {
    detail::score_sequence(pipeline, at.layer, s);
  });
}

/// The same for all batch elements of a call.
template <class Backend, class Method>
std::vector<compressed> run_method(Method const& method, layer_place const& at,
                                   std::vector<sequence> const& elements) {
  std::vector<compressed> out;
  out.reserve(elements.size());
  for (sequence const& one : elements) out.push_back(run_method<Backend>(method, at, one));
  return out;
}

/// From finished scores [heads][R] of a sequence: an ordinary method but for its scorer, layer 0 of one.
template <class Backend, class HeadSharing>
compressed run_scores(HeadSharing const& sharing, settings_of_run const& s, sequence const& original,
                      float const* scores, int heads) {
  auto const method =
      settled(wkv::snapkv().with_token_scorer(wkv::external_scores{heads}).with_head_sharing(sharing), s);
  return run_scored<Backend>(method, {}, original, [&](auto& pipeline, sequence& /*s*/) {
    int const review = pipeline.plan().review;
    pipeline.score(0, wkv::token_scores{scores, heads, review, review});
  });
}

/// Calls check(backend, case) for the backend that is asked for, where it is built in and has such methods.
/// The programs for devices leave the host's to `windowkv_golden`.
template <class Check>
outcome check_on_backend(golden_case const& c, backend which, [[maybe_unused]] Check const& check) {
  findings found;
  std::string const& dtype = c.description["dtype"].string();
  if (dtype != "float32") {
    require(dtype == "float16" || dtype == "bfloat16", "dtype " + dtype + " is unknown");
    found.leave_out("", "methods other than WindowKV are replayed in float32");
    return found.result();
  }
#if defined(GOLDEN_WITH_THRUST)
  if (which == backend::thrust) return check(thrust_backend{}, c);
#endif
#if !defined(GOLDEN_WITH_CUDA)
  if (which == backend::host) return check(host_backend{}, c);
#endif
  found.leave_out("", which == backend::cuda
                          ? "the CUDA backend has no lists per KV head and no scorers of rows"
                          : "windowkv_golden replays it on the host");
  return found.result();
}

}  // namespace golden
