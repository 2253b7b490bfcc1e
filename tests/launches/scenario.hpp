// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <windowkv/windowkv.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace wkv = windowkv;

enum class method_name { paper, standard };

/// Llama-3-8B in bf16, in a cache of rows [token][head][dim].
struct scenario {
  method_name method = method_name::paper;
  wkv::task task = wkv::task::aggregation;
  bool has_log_sum_exp = false;
  std::vector<int> tokens = {32768};  ///< of each sequence
  wkv::model_shape shape{32, 32, 8, 128};
};

/// All sequences at once. batched.cu
wkv::status compress_batch(scenario const& s);

/// The first sequence layer by layer: how many launches each layer takes. by_layer.cu
wkv::result<std::vector<int>> compress_by_layer(scenario const& s);

/// The copy of one layer. by_layer.cu
wkv::status copy_layer(scenario const& s);

/// Device memory as far as the host can tell. Nothing is mapped there: who looks is killed.
template <class T>
T* somewhere_on_the_device() {
  return reinterpret_cast<T*>(std::uintptr_t{1} << 40);
}

template <class F>
auto with_method(scenario const& s, F&& f) {
  return s.method == method_name::paper ? f(wkv::paper_method()) : f(wkv::default_method());
}

inline auto queries_of(scenario const& s) {
  return wkv::suffix_queries{
      wkv::in_device_memory(wkv::slot_head_dim(somewhere_on_the_device<wkv::bfloat16>(), 32,
                                               s.shape.query_heads, s.shape.head_dim)),
      s.has_log_sum_exp ? somewhere_on_the_device<float const>() : nullptr};
}

/// A cache of its own for every layer of every sequence.
inline auto kv_of(scenario const& s, int sequence, int layer) {
  constexpr std::ptrdiff_t bytes = std::ptrdiff_t{1} << 32;  // more than any of the planes takes
  std::ptrdiff_t const first = 2 * (sequence * std::ptrdiff_t{s.shape.layers} + layer);
  auto const plane = [&](std::ptrdiff_t index) {
    auto* const data = somewhere_on_the_device<unsigned char>() + index * bytes;
    return wkv::in_device_memory(wkv::slot_head_dim(reinterpret_cast<wkv::bfloat16*>(data),
                                                    s.tokens[static_cast<std::size_t>(sequence)],
                                                    s.shape.kv_heads, s.shape.head_dim));
  };
  return wkv::kv_view{plane(first), plane(first + 1), somewhere_on_the_device<std::int32_t>()};
}
