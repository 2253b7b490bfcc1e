// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <windowkv/exception.hpp>
#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <memory>
#include <string>
#include <utility>

#include "methods.hpp"
#include "trial.hpp"

namespace needle {

namespace wkv = windowkv;

/// What a method's scorer reads of the queries.
enum class observes { nothing, rotated, unrotated };

inline wkv::model_shape shape_of(model_config const& c) {
  return {c.layers, c.query_heads, c.kv_heads, c.head_dim};
}

/// Counting needs everything; the other tasks ask for facts.
inline wkv::prompt prompt_of(compression_request const& r) {
  return {r.tokens, r.task == task_kind::city ? wkv::task::aggregation : wkv::task::localization};
}

/// The example's cache as the library sees it.
inline auto view_of(kv_cache& cache, int layer) {
  int const heads = cache.heads(), dim = cache.head_dim();
  return wkv::kv_view{wkv::head_slot_dim(cache.key(layer, 0), cache.capacity(), heads, dim),
                      wkv::head_slot_dim(cache.value(layer, 0), cache.capacity(), heads, dim)};
}

/// Any windowkv method on the example's cache: plan once, then one call per finished layer. The rows move in
/// place.
template <class Method, observes Source>
class windowkv_compressor : public compressor {
 public:
  windowkv_compressor(Method const& method, model_config const& c, wkv::prompt const& prompt)
      : plan_(wkv::or_throw(wkv::make_plan(method, shape_of(c), prompt))),
        workspace_(plan_.workspace_bytes),
        run_(wkv::or_throw(wkv::begin(plan_, workspace_.get()))) {}

  void layer_done(int layer, layer_queries const& queries, kv_cache& cache) override {
    auto const kv_of = [&](int l) { return view_of(cache, l); };
    auto const compress = [&](auto const& source) {
      wkv::or_throw(wkv::compress_layer(wkv::host_executor{}, run_, layer, source, kv_of));
    };
    if constexpr (Source == observes::nothing) {
      compress(wkv::no_queries{});
    } else {
      float const* const data = Source == observes::rotated ? queries.rotated : queries.unrotated;
      compress(wkv::suffix_queries{
          wkv::slot_head_dim(data, queries.tokens, plan_.shape.query_heads, plan_.shape.head_dim)});
    }
    int const group = plan_.layer[layer].group;
    if (plan_.completes_group(layer) || plan_.group[group].last_scoring_layer < layer)
      set_lengths(layer, cache);
  }

 private:
  /// Of every layer that its group's selection has shortened by now.
  void set_lengths(int layer, kv_cache& cache) const {
    int const group = plan_.layer[layer].group;
    wkv::selection const chosen = wkv::report(run_).group[group];
    if (plan_.group[group].keeps_all != 0) return;
    for (int l = plan_.group[group].first_layer; l <= layer; ++l)
      for (int head = 0; head < cache.heads(); ++head)
        if (plan_.layer[l].group == group) cache.set_length(l, head, chosen.list(head).count);
  }

  wkv::plan<Method> plan_;
  wkv::owned_workspace workspace_;
  wkv::compression<Method> run_;  // refers to the plan and the workspace
};

/// `method` for this request; its budget is set here.
template <observes Source = observes::rotated, class Method>
std::unique_ptr<compressor> compress_by(Method const& method, model_config const& c,
                                        compression_request const& request) {
  return std::make_unique<windowkv_compressor<Method, Source>>(method.with_budget(request.keep), c,
                                                               prompt_of(request));
}

/// An entry whose method is what `make(config)` returns.
template <observes Source = observes::rotated, class Make>
method_entry entry_of(std::string name, std::string summary, Make make) {
  return {{std::move(name), std::move(summary)}, [make](model_config const& c, compression_request const& r) {
            return compress_by<Source>(make(c), c, r);
          }};
}

}  // namespace needle
