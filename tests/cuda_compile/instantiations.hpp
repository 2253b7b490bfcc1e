// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Every kernel for one element type: what registers and spills are counted of. Never run.
#include <windowkv/windowkv.cuh>

namespace wkv = windowkv;

/// A user's window scorer: the best token.
struct window_maximum {
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float score) const { state = score > state ? score : state; }
  WINDOWKV_HD float finish(state_type const& state, int /*tokens*/) const { return state; }
};

/// A user's token scorer that is no weighted sum: it must see a token's rows together.
struct largest_attention {
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float p) const { state = p > state ? p : state; }
  WINDOWKV_HD float finish(state_type const& state, int /*rows*/) const { return state; }
};

struct arguments {
  wkv::model_shape shape;
  wkv::workspace memory;
  void* data;

  template <class T>
  auto queries() const {
    return wkv::suffix_queries{wkv::in_device_memory(
        wkv::slot_head_dim(static_cast<T const*>(data), 32, shape.query_heads, shape.head_dim))};
  }
  template <class T>
  auto kv() const {
    auto const rows = wkv::in_device_memory(
        wkv::slot_head_dim(static_cast<T*>(data), 4096, shape.kv_heads, shape.head_dim));
    return wkv::kv_view{rows, rows};
  }
};

/// The kernels that depend on the element type.
template <class T, class Method>
wkv::status score_and_move(Method const& method, arguments const& with) {
  wkv::cuda_executor<> const on{};
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, with.shape, {4096}));
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(on, plan, with.memory));
  WINDOWKV_TRY(wkv::score(on, run, 0, with.queries<T>(), with.kv<T>().keys));
  WINDOWKV_TRY(wkv::compact(on, run, 0, run.selected(0), with.kv<T>()));
  return wkv::compact_copy(on, run.selected(0), with.kv<T>(), with.kv<T>());
}

/// These, and those that select.
template <class T, class Source, class Method>
wkv::status compress(Method const& method, arguments const& with, Source const& source) {
  wkv::cuda_executor<> const on{};
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, with.shape, {4096}));
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(on, plan, with.memory));
  auto const source_of = [&](int) { return source; };
  auto const kv_of = [&](int) { return with.kv<T>(); };
  WINDOWKV_TRY(wkv::compress(on, run, source_of, kv_of));
  return wkv::compress_layer(on, run, 3, source, kv_of);
}

template <class Use>
wkv::status for_each_method(Use&& use) {
  auto const method = wkv::default_method();
  WINDOWKV_TRY(use(method));
  WINDOWKV_TRY(use(wkv::paper_method()));
  WINDOWKV_TRY(use(method.with_window_scorer(window_maximum{})));
  return use(method.with_token_scorer(largest_attention{}));
}
