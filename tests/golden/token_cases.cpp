// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// SnapKV, H2O, PyramidKV, StreamingLLM, L2Norm, AdaKV and HeadKV as KVCache-Factory and their authors have
// them.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "call_check.hpp"
#include "case.hpp"
#include "compare.hpp"
#include "json.hpp"
#include "run_method.hpp"
#include "sequence.hpp"

namespace golden {
namespace {

bool starts_with(std::string const& text, char const* start) { return text.rfind(start, 0) == 0; }

wkv::head_reduction reduction_named(std::string const& name) {
  if (name == "mean") return wkv::head_reduction::mean;
  if (name == "max") return wkv::head_reduction::maximum;
  require(name == "sum", "params: aggregation " + name + " is unknown");
  return wkv::head_reduction::sum;
}

any_pooling pooling_of(json const& params) {
  std::string const& kind = params["pooling"].string();
  require(kind == "avgpool" || kind == "maxpool", "params: pooling " + kind + " is unknown");
  return any_pooling::over(params["kernel_size"].small_integer(), kind == "maxpool");
}

/// Layers that are evicted, as `uniform_groups` wants them.
std::vector<std::uint8_t> evictable_layers(json const& params, int layers) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(layers), 1);
  if (json const* skipped = params.find("skip_layers")) {
    for (json const& layer : skipped->array()) {
      int const index = layer.small_integer();
      if (index >= 0 && index < layers) out[static_cast<std::size_t>(index)] = 0;
    }
  }
  return out;
}

/// The method of a case with the case's options, on every element of a call.
template <class Backend>
std::vector<compressed> run_token_method(std::string const& name, json const& params, settings_of_run s,
                                         layer_place const& at, std::vector<sequence> const& elements) {
  auto const run = [&](auto const& method) { return run_method<Backend>(settled(method, s), at, elements); };
  if (name == "l2norm") return run(wkv::key_norm());
  if (starts_with(name, "streaming")) {
    // What its code calls a window and sinks is one rule: some at the front, the rest at the end.
    s.suffix = 0;
    s.sinks = name == "streaming_factory" ? s.tokens - params["window_size"].small_integer() : 4;
    return run(wkv::streaming_llm());
  }
  if (starts_with(name, "h2o")) return run(wkv::h2o());
  s.pooling = pooling_of(params);
  if (starts_with(name, "pyramidkv"))
    s.budget = any_budget::of(wkv::pyramid_budget{params["beta"].small_integer()});
  return run(wkv::snapkv());
}

/// What every head keeps.
template <class Backend>
void check_token_call(call_check& check, int layers) {
  std::string const& name = check.c.description["method"].string();
  json const& params = check.c.description["params"];
  json const* layer = check.call.find("layer_idx");
  layer_place at{layers, layer == nullptr ? 0 : layer->small_integer()};
  at.wants_scores = name == "l2norm" || check.call["outputs"].find("scores") != nullptr;
  auto const evictable = evictable_layers(params, layers);
  settings_of_run s;
  s.tokens = params["max_capacity_prompt"].small_integer();
  s.evictable = evictable.data();
  if (json const* window = params.find("window_size")) s.suffix = window->small_integer();
  if (json const* how = params.find("gqa_score_agg")) s.reduction = reduction_named(how->string());
  check.ours = run_token_method<Backend>(name, params, s, at, check.elements);

  compressed const& first = check.ours.front();
  bool const is_unchanged = check.call["branch"].string() == "unchanged";
  if (is_unchanged && first.is_evicted && !first.keeps_all)
    check.fail("the original leaves the prompt whole");
  bool const is_streaming = starts_with(name, "streaming");
  int const window = is_unchanged || is_streaming || name == "l2norm" ? 0 : s.suffix;
  auto const kept = static_cast<int>(first.list(0).size());
  check.compare_number("n_out", kept);
  check.compare_number("k", kept - window);
  check.compare_token_scores("token_scores", 1);
  check.compare_pooled_scores("scores", 1);
  auto const theirs = lists_of(check.c.integers(check.call, "outputs", "token_index"), check.shape());
  auto const indices = check.c.integers(check.call, "outputs", "indices");
  if (!indices.shape.empty()) {
    for (int b = 0; b < check.shape().batch; ++b) {
      for (int head = 0; head < check.shape().heads; ++head) {
        id_list const& list = theirs[static_cast<std::size_t>(b)][static_cast<std::size_t>(head)];
        id_list const chosen = ids_of(indices, check.shape(), b, head);
        if (chosen.size() > list.size() || !std::equal(chosen.begin(), chosen.end(), list.begin())) {
          check.fail("token_index does not start with the indices");
        }
      }
    }
  }
  bool const is_ordered = !is_unchanged && !is_streaming;
  auto const scores = check.c.floats(check.call, "outputs", "scores");
  auto const agrees = check.compare_lists(check.ours, theirs, window, scores, is_ordered);
  check.compare_kept_rows(theirs, agrees);
  check.found.count_compared();

  // Once more from the stored scores, which leaves the softmax out.
  auto stored = check.c.floats(check.call, "outputs", "token_scores");
  if (stored.shape.empty()) {
    stored = scores;  // not pooled
  } else {
    s.pooling = pooling_of(params);
  }
  if (stored.shape.empty() || first.keeps_all) return;
  s.tokens = first.budget;
  s.evictable = nullptr;
  std::vector<compressed> from_scores;
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    std::size_t const row =
        static_cast<std::size_t>(check.shape().heads) * static_cast<std::size_t>(first.review);
    from_scores.push_back(run_scores<Backend>(wkv::each_kv_head<>{}, s, check.elements[b],
                                              stored.values.data() + b * row, check.shape().heads));
  }
  call_check const again{check.c, check.call, check.found, check.where + "from stored scores: "};
  again.compare_lists(from_scores, theirs, window, scores, is_ordered);
}

/// The lengths of the lists as AdaKV's flattened cache has them.
void compare_lengths(call_check const& check) {
  id_list lengths;
  id_list offsets{0};
  for (id_list const& list : check.ours.front().lists) {
    lengths.push_back(static_cast<std::int32_t>(list.size()));
    offsets.push_back(offsets.back() + lengths.back());
  }
  auto const compare = [&](char const* name, id_list const& own) {
    if (check.c.integers(check.call, "outputs", name).values != own)
      check.fail(std::string(name) + " differs");
  };
  compare("head_lens", lengths);
  compare("cu_klen", offsets);
  check.compare_number("klen_sum", offsets.back());
  check.compare_number("max_seqlen_k", *std::max_element(lengths.begin(), lengths.end()));
}

/// HeadKV's table for the heads that select: per query head, or the mean over those of a KV head.
id_list head_table(json const& params, int heads) {
  id_list const table = [&] {
    id_list out;
    for (json const& count : params["head_capacity"].array().at(0).array())
      out.push_back(count.small_integer());
    return out;
  }();
  require(!table.empty() && table.size() % static_cast<std::size_t>(heads) == 0,
          "head_capacity: unexpected length");
  std::size_t const shared = table.size() / static_cast<std::size_t>(heads);
  id_list out;
  for (std::size_t at = 0; at < table.size(); at += shared) {
    double sum = 0;
    for (std::size_t i = 0; i < shared; ++i) sum += table[at + i];
    out.push_back(static_cast<std::int32_t>(std::nearbyint(sum / static_cast<double>(shared))));
  }
  return out;
}

template <class Backend>
std::vector<compressed> run_head_method(std::string const& name, json const& params, settings_of_run s,
                                        std::vector<sequence> const& elements) {
  if (name == "headkv_factory") {
    id_list const table = head_table(params, elements.front().kv_heads);
    wkv::table_heads const heads{table.data(), 1, static_cast<int>(table.size())};
    // The table alone says what stays; C only says whether the prompt is left whole: below, not at C.
    if (s.tokens == elements.front().tokens) --s.tokens;
    return run_method<Backend>(settled(wkv::snapkv().with_head_sharing(wkv::each_kv_head{heads}), s), {},
                               elements);
  }
  json const* floor = params.find("floor_alpha");
  auto method = wkv::ada_kv();
  auto& heads = method.head_sharing.budget;
  heads.floor = (floor != nullptr ? *floor : params["floor"]).number();
  heads.normalize = params["normalize"].boolean();
  heads.is_exact = false;
  json const* skipped = params.find("skip");
  bool const is_skipped = skipped != nullptr && params["layer_idx"].integer() < skipped->integer();
  if (is_skipped) heads.floor = 1;  // every head keeps an even share
  return run_method<Backend>(settled(method, s), {}, elements);
}

/// A flattened cache, whose heads keep different numbers of tokens.
template <class Backend>
void check_head_call(call_check& check) {
  std::string const& name = check.c.description["method"].string();
  json const& params = check.c.description["params"];
  require(check.shape().batch == 1, "these methods take one sequence");
  settings_of_run s;
  s.suffix = params["window_size"].small_integer();
  s.tokens = params[name == "adakv_orig" ? "base_capacity" : "max_capacity_prompt"].small_integer();
  s.pooling = pooling_of(params);
  for (char const* option : {"gqa_score_agg", "gqa_func"}) {
    if (json const* how = params.find(option)) s.reduction = reduction_named(how->string());
  }
  check.compare_number("base_capacity", s.tokens - s.suffix);
  check.ours = run_head_method<Backend>(name, params, s, check.elements);
  bool const is_unchanged = check.call["branch"].string() == "unchanged";
  if (is_unchanged && !check.ours.front().keeps_all) check.fail("the original leaves the prompt whole");
  double const rows = 1. / s.suffix;  // the original takes the mean over them
  check.compare_token_scores("token_scores", rows);
  check.compare_pooled_scores("scores", rows);
  auto const lengths = check.c.integers(check.call, "outputs", "head_lens").values;
  auto const flat = check.c.integers(check.call, "outputs", "token_index_flat").values;
  require(lengths.size() == static_cast<std::size_t>(check.shape().heads) &&
              std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}) ==
                  static_cast<std::int64_t>(flat.size()),
          "head_lens do not add up to the length of token_index_flat");
  if (!is_unchanged && check.ours.front().keeps_all) {
    check.found.leave_out(check.where,
                          "at S = C the original rounds a token of some heads away; here everything is kept");
    return;
  }
  compare_lengths(check);
  kept_lists theirs(1);
  auto from = flat.begin();
  for (std::int32_t length : lengths) {
    require(length >= 0 && length <= flat.end() - from, "head_lens: not a length");
    theirs[0].emplace_back(from, from + length);
    from += length;
  }
  auto const agrees = check.compare_lists(check.ours, theirs, is_unchanged ? 0 : s.suffix,
                                          check.c.floats(check.call, "outputs", "scores"), !is_unchanged);
  check.compare_kept_rows(theirs, agrees);
  check.found.count_compared();
}

template <class Backend>
outcome check_on(golden_case const& c) {
  require(!c.calls().empty(), "no calls in the case");
  json const& params = c.description["params"];
  std::string const& name = c.description["method"].string();
  bool const has_head_budgets = name == "adakv_factory" || name == "adakv_orig" || name == "headkv_factory";
  int layers = 1;
  for (json const& call : c.calls()) {
    json const* layer = call.find("layer_idx");
    if (layer == nullptr) continue;
    require(layer->integer() >= 0 && layer->integer() < wkv::max_layers, "layer_idx: unexpected number");
    layers = std::max(layers, layer->small_integer() + 1);
  }
  if (json const* all = params.find("num_hidden_layers")) layers = all->small_integer();
  require(layers >= 1 && layers <= wkv::max_layers, "num_hidden_layers: unexpected number");
  findings found;
  json const* pyramid = params.find("pyram_mode");
  if (pyramid != nullptr && pyramid->boolean()) {
    found.leave_out("", "AdaKV's pyramid mode is compared as a table of budgets only");
    return found.result();
  }
  int index = 0;
  for (json const& call : c.calls()) {
    std::string where = c.calls().size() > 1 ? "call " + std::to_string(index) + ": " : "";
    ++index;
    try {
      call_check check(c, call, found, where);
      if (has_head_budgets) {
        check_head_call<Backend>(check);
      } else {
        check_token_call<Backend>(check, layers);
      }
    } catch (std::exception const& error) {
      found.fail(where, error.what());
    }
  }
  return found.result();
}

}  // namespace

outcome check_tokens(golden_case const& c, backend which) {
  return check_on_backend(c, which,
                          [](auto on, golden_case const& one) { return check_on<decltype(on)>(one); });
}

}  // namespace golden
