// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file suffix_recorder.hpp
/// Listens to the batch with the last tokens of a prompt and notes, per layer, what windowkv scores by.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine.hpp"

namespace llama_demo {

struct layer_record {
  // Queries of the suffix after RoPE [rows][heads][dim], such that q.k / sqrt(dim) is what the engine
  // computes.
  std::vector<float> queries;
  bool has_scale = false;  ///< the engine's scale of q.k is in the queries
  int rows = 0;
  int query_heads = 0;
  int head_dim = 0;
  // The engine's own tensor of keys, in which the sequence has the cells from 0 on. As long as the context
  // is.
  ggml_tensor const* key_cache = nullptr;
  int kv_heads = 0;
  int allocated_cells = 0;
  std::size_t key_row_bytes = 0;    ///< of a cell, over all heads
  std::size_t value_row_bytes = 0;  ///< the same, wherever its parts lie
  // What the engine's own soft_max gave [query_heads][rows][cells]; empty with flash attention.
  std::vector<float> probabilities;
  int probability_cells = 0;
};

class suffix_recorder final : public node_listener {
 public:
  suffix_recorder(int layers, int prompt_tokens)
      : records_(static_cast<std::size_t>(layers)), prompt_tokens_(prompt_tokens) {}

  void before(ggml_tensor* node) override;
  void after(ggml_tensor* node) override;

  /// One record per layer; an error if a layer was not seen, or attends in a way that windowkv cannot score.
  std::vector<layer_record> take();

 private:
  layer_record& at(int layer);

  std::vector<layer_record> records_;
  int prompt_tokens_;
};

/// The cells that attention runs over, used or not: what a token costs without flash attention.
class cell_counter final : public node_listener {
 public:
  void before(ggml_tensor* node) override;
  int attended() const { return attended_; }
  std::size_t cache_bytes() const { return cache_bytes_; }

 private:
  void add(ggml_tensor const* cache);

  int attended_ = 0;
  std::size_t cache_bytes_ = 0;
  std::vector<ggml_tensor const*> seen_;
};

}  // namespace llama_demo
