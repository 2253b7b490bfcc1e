// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace needle {

/// Shape of a Llama-style decoder.
struct model_config {
  int vocabulary = 0;   ///< words
  int width = 0;        ///< d, size of the residual stream
  int layers = 0;       ///< L
  int query_heads = 0;  ///< Hq
  int kv_heads = 0;     ///< Hkv; query head h reads KV head h / (Hq / Hkv)
  int head_dim = 0;     ///< D
  int ff_width = 0;     ///< inner size of the SwiGLU block
  float rope_theta = 0;
  float rms_eps = 1e-6f;

  int query_width() const { return query_heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
  int qkv_width() const { return query_width() + 2 * kv_width(); }
};

/// The right operand of a product x * M: row-major [inner][cols], rows padded with zeros to `stride`.
struct matrix {
  int inner = 0;
  int cols = 0;
  int stride = 0;  ///< cols rounded up to a multiple of 16
  std::vector<float> data;

  float const* row(int i) const {
    return data.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(stride);
  }
};

struct layer_weights {
  std::vector<float> attention_norm;  ///< [d]
  std::vector<float> ff_norm;         ///< [d]
  matrix qkv;                         ///< d -> Hq * D queries, Hkv * D keys, Hkv * D values
  matrix attention_out;               ///< Hq * D -> d
  matrix gate_up;                     ///< d -> ff gates, ff ups
  matrix ff_out;                      ///< ff -> d
};

struct model_weights {
  model_config config;
  std::vector<std::string> words;  ///< the vocabulary; a token is an index into it
  std::vector<float> embedding;    ///< [vocabulary][d]
  std::vector<layer_weights> layers;
  std::vector<float> final_norm;  ///< [d]
  matrix head;                    ///< d -> vocabulary
};

/// Reads a TLM1 file: "TLM1", u32 length, JSON header (cfg, vocab, tensors), fp16 tensors; all little endian.
/// Throws std::runtime_error with the file's name and what is wrong.
model_weights load_weights(std::string const& path);

}  // namespace needle
