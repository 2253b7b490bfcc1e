// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file attention_nodes.hpp
/// Recognises the attention of a layer in llama.cpp's graph by operation and by the cache tensor behind an
/// operand. Node names and view shapes differ between versions, what an attention node computes does not. The
/// operands are also the only right place to read from: a quantised cache may hold keys in a rotated basis,
/// and then the queries called `Qcur` are not the ones that meet them.

#include <ggml.h>

#include <optional>

namespace llama_demo {

/// The operands of q.k: queries [D, rows, Hq] in f32, keys [D, cells, Hkv], a view of the layer's cache.
struct score_operands {
  int layer = 0;
  ggml_tensor const* queries = nullptr;
  ggml_tensor const* keys = nullptr;
};

/// The node that hides cells: soft_max without flash attention, the whole attention with it.
struct masked_node {
  int layer = 0;
  ggml_tensor* mask = nullptr;  ///< [cells, rows], f32 or f16
  float scale = 0;              ///< of q.k
  bool is_plain = true;         ///< no soft cap, no ALiBi, no attention sinks
};

std::optional<score_operands> find_score_operands(ggml_tensor const* node);
std::optional<masked_node> find_masked_node(ggml_tensor const* node);

/// True for soft_max over scores: the node's data are probabilities [cells, rows, Hq] in f32.
bool is_attention_softmax(ggml_tensor const* node);

/// The cache of a layer's values.
struct value_operand {
  int layer = 0;
  ggml_tensor const* cache = nullptr;  ///< the whole tensor
};
std::optional<value_operand> find_value_operand(ggml_tensor const* node);

/// The whole cache tensor that an operand is a view of.
ggml_tensor const* cache_behind(ggml_tensor const* operand);

}  // namespace llama_demo
