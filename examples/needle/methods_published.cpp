// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "windowkv_compressor.hpp"

namespace needle {
namespace {

/// CAKE gives each layer what it needs relative to the others, so it measures all layers, then compresses
/// them.
class cake_compressor : public compressor {
 public:
  cake_compressor(model_config const& c, compression_request const& request)
      : config_(c), request_(request) {}

  void layer_done(int layer, layer_queries const& queries, kv_cache& cache) override {
    float const* const last = queries.last(suffix_tokens);
    queries_.emplace_back(last, last + static_cast<std::ptrdiff_t>(suffix_tokens) * queries.token_floats);
    double const entropy = statistic(wkv::attention_entropy{}, layer, cache);
    double const variance = statistic(wkv::attention_variance{}, layer, cache);
    preferences_.push_back(wkv::cake_preference(entropy, variance));
    if (layer + 1 < config_.layers) return;
    auto const planned = compress_by(
        wkv::cake(preferences_.data(), config_.layers).with_suffix(suffix_tokens), config_, request_);
    for (int l = 0; l < config_.layers; ++l) planned->layer_done(l, kept_queries(l), cache);
  }

 private:
  layer_queries kept_queries(int layer) const {
    float const* const data = queries_[static_cast<std::size_t>(layer)].data();
    return {suffix_tokens, config_.query_width(), data, nullptr};
  }

  template <class Statistic>
  double statistic(Statistic what, int layer, kv_cache& cache) const {
    auto const plan = wkv::or_throw(wkv::make_plan(wkv::cake_statistic(what).with_suffix(suffix_tokens),
                                                   shape_of(config_), prompt_of(request_)));
    wkv::owned_workspace const memory(plan.workspace_bytes);
    auto run = wkv::or_throw(wkv::begin(plan, memory.get()));
    wkv::suffix_queries const source{wkv::slot_head_dim(kept_queries(layer).rotated, suffix_tokens,
                                                        config_.query_heads, config_.head_dim)};
    wkv::or_throw(wkv::score(wkv::host_executor{}, run, layer, source, view_of(cache, layer)));
    return wkv::layer_statistic(run, layer);
  }

  model_config config_;
  compression_request request_;
  std::vector<std::vector<float>> queries_;  // of the suffix, of each layer
  std::vector<float> preferences_;
};

}  // namespace

/// Where a method observes more than 16 queries, it observes 16 here: budgets are of a few dozen tokens.
std::vector<method_entry> published_methods() {
  using config = model_config;
  return {
      entry_of("h2o", "H2O: tokens that all queries attended to most",
               [](config const&) { return wkv::h2o(); }),
      entry_of("tova", "TOVA: tokens that the last query attends to",
               [](config const&) { return wkv::tova(); }),
      entry_of("snapkv", "SnapKV: what the last 16 queries attend to, maximum over 7 neighbours",
               [](config const&) { return wkv::snapkv().with_suffix(suffix_tokens); }),
      entry_of("pyramid-kv", "PyramidKV: SnapKV, lower layers keep more",
               [](config const&) { return wkv::pyramid_kv(); }),
      entry_of("ada-kv", "AdaKV: SnapKV, heads compete for the layer's tokens",
               [](config const&) { return wkv::ada_kv().with_suffix(suffix_tokens); }),
      entry_of("chunk-kv", "ChunkKV: chunks of 10 tokens", [](config const&) { return wkv::chunk_kv(); }),
      {{"cake", "CAKE: budgets by measured need of each layer"},
       [](config const& c, compression_request const& r) { return std::make_unique<cake_compressor>(c, r); }},
      entry_of<observes::unrotated>("expected-attention",
                                    "Expected Attention: what queries to come will attend to",
                                    [](config const& c) {
                                      auto const method = wkv::expected_attention();
                                      auto scorer = method.localization.token_scorer;
                                      scorer.theta = c.rope_theta;
                                      return method.with_token_scorer(scorer);
                                    }),
  };
}

}  // namespace needle
