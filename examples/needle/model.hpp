// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "kv_cache.hpp"
#include "weights.hpp"

namespace needle {

/// The queries of all prompt tokens in one layer, [N][Hq][D].
struct layer_queries {
  int tokens = 0;
  int token_floats = 0;              ///< Hq * D
  float const* rotated = nullptr;    ///< what attention multiplies the keys by
  float const* unrotated = nullptr;  ///< the same before RoPE

  /// Those of the last `suffix` tokens.
  float const* last(int suffix) const {
    return rotated + static_cast<std::ptrdiff_t>(tokens - suffix) * token_floats;
  }
};

/// Called by prefill as soon as a layer is done: its keys and values are in the cache, its attention is
/// computed. From here on the layer's rows serve decoding alone, so the callback may compress them in place.
using layer_callback = std::function<void(int layer, layer_queries const& queries)>;

/// A Llama-style decoder (RMSNorm, rotary positions, grouped-query attention, SwiGLU) in fp32 on one thread.
/// The functions are const and may be called from several threads with different caches.
class model {
 public:
  explicit model(model_weights weights);

  model_config const& config() const { return weights_.config; }
  std::vector<std::string> const& words() const { return weights_.words; }

  /// Runs the whole prompt at positions 0 .. N - 1, fills the empty cache and returns the last token's
  /// logits. Every layer attends to all its keys: compression, in `on_layer_done`, comes after.
  std::vector<float> prefill(std::vector<int> const& tokens, kv_cache& cache,
                             layer_callback const& on_layer_done) const;

  /// Appends one token, rotated for `position` whatever the number of rows in the cache, and returns its
  /// logits.
  std::vector<float> decode(int token, int position, kv_cache& cache) const;

 private:
  struct activations;
  void embed(std::vector<int> const& tokens, int first_position, activations& a) const;
  void project_qkv(layer_weights const& w, activations& a) const;
  void rotate_qk(activations& a) const;
  void copy_queries(activations const& a, std::vector<float>& to) const;
  void store_rows(activations const& a, kv_cache& cache, int layer) const;
  void attend_prompt(kv_cache const& cache, int layer, activations& a) const;
  void attend_cache(kv_cache const& cache, int layer, activations& a) const;
  void finish_layer(layer_weights const& w, activations& a) const;
  std::vector<float> logits(activations& a) const;

  model_weights weights_;
  std::vector<float> inverse_frequencies_;
};

/// Attention that the last `suffix` tokens pay to each earlier token of a layer's uncompressed cache, summed
/// over those tokens: [Hq][R] with R = length - suffix. Softmax over all tokens, causal among the last ones.
std::vector<float> suffix_attention(kv_cache const& cache, int layer, float const* suffix_queries, int suffix,
                                    int query_heads);

/// Index of the largest logit.
int best_token(std::vector<float> const& logits);

}  // namespace needle
