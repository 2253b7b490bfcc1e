// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file planes.hpp
/// llama.cpp's cache of one layer as planes. Needs no header of llama.cpp: pass the data of its tensors
/// `cache_k_l<layer>` and `cache_v_l<layer>`, or of a sequence's state.
///
/// `Element` is what a ggml type is made of: f32 float, f16 float16, bf16 bfloat16, q8_0 q8_0_block, q4_0
/// q4_0_block, each with const where the memory is.

#include <windowkv/core/quantised.hpp>
#include <windowkv/core/view.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace windowkv::interop::llama_cpp {

/// What `void` is to `Element` in constness.
template <class Element>
using memory_of = std::conditional_t<std::is_const_v<Element>, void const, void>;

/// Keys: [cell][head][dim], rotated before they were stored.
template <class Element>
dense_plane<Element> key_rows(memory_of<Element>* data, int cells, int kv_heads, int head_dim) {
  return slot_head_dim(static_cast<Element*>(data), cells, kv_heads, head_dim);
}

/// Values with flash attention: [cell][head][dim].
template <class Element>
dense_plane<Element> value_rows(memory_of<Element>* data, int cells, int kv_heads, int head_dim) {
  return slot_head_dim(static_cast<Element*>(data), cells, kv_heads, head_dim);
}

/// Values without flash attention: [head][dim][cell]. `allocated_cells` is the number that the tensor has
/// room for, `cells` those in use. Never quantised.
template <class Element>
dense_plane<Element> transposed_values(memory_of<Element>* data, int allocated_cells, int cells, int kv_heads,
                                       int head_dim) {
  std::int64_t const stride = allocated_cells;
  return strided(static_cast<Element*>(data), cells, kv_heads, head_dim, {1, head_dim * stride, stride});
}

/// Rows of any type, to be moved and not read: [cell][row_bytes]. Counts as one head.
template <class Byte>
auto opaque_rows(Byte* data, int cells, std::size_t row_bytes) {
  using element = std::conditional_t<std::is_const_v<Byte>, opaque<1> const, opaque<1>>;
  return slot_head_dim(reinterpret_cast<element*>(data), cells, 1, static_cast<int>(row_bytes));
}

}  // namespace windowkv::interop::llama_cpp
