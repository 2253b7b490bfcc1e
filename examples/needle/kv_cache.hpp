// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "weights.hpp"

namespace needle {

/// Keys and values of all layers, fp32, each layer [KV head][slot][D] with `capacity` slots.
///
/// A slot is only a row: keys are stored rotated by the position they had in the prompt, so rows may be
/// removed and the rest moved together without touching them. Heads of a layer may keep different numbers of
/// rows, so a length belongs to a (layer, KV head).
class kv_cache {
 public:
  kv_cache(model_config const& config, int capacity)
      : config_(config),
        capacity_(capacity),
        keys_(index(config.layers, 0, 0)),
        values_(keys_.size()),
        lengths_(static_cast<std::size_t>(config.layers) * static_cast<std::size_t>(config.kv_heads), 0) {}

  int layers() const { return config_.layers; }
  int heads() const { return config_.kv_heads; }
  int head_dim() const { return config_.head_dim; }
  int capacity() const { return capacity_; }

  int length(int layer, int head) const { return lengths_[row(layer, head)]; }
  void set_length(int layer, int head, int slots) { lengths_[row(layer, head)] = slots; }
  void set_length(int layer, int slots) {
    for (int h = 0; h < heads(); ++h) set_length(layer, h, slots);
  }

  float* key(int layer, int head, int slot = 0) { return keys_.data() + index(layer, head, slot); }
  float* value(int layer, int head, int slot = 0) { return values_.data() + index(layer, head, slot); }
  float const* key(int layer, int head, int slot = 0) const {
    return keys_.data() + index(layer, head, slot);
  }
  float const* value(int layer, int head, int slot = 0) const {
    return values_.data() + index(layer, head, slot);
  }

  /// Forgets the newest row of every head.
  void drop_last() {
    for (int& length : lengths_) length = std::max(0, length - 1);
  }

  /// Rows in use, summed over layers and heads.
  long rows() const {
    long sum = 0;
    for (int length : lengths_) sum += length;
    return sum;
  }

  /// Bytes of the keys and values in use.
  long bytes() const { return rows() * head_dim() * 2 * static_cast<long>(sizeof(float)); }

  /// Tokens kept, the mean over layers and heads.
  double mean_length() const { return static_cast<double>(rows()) / static_cast<double>(lengths_.size()); }

 private:
  std::size_t row(int layer, int head) const {
    return static_cast<std::size_t>(layer) * static_cast<std::size_t>(heads()) +
           static_cast<std::size_t>(head);
  }
  std::size_t index(int layer, int head, int slot) const {
    return (row(layer, head) * static_cast<std::size_t>(capacity_) + static_cast<std::size_t>(slot)) *
           static_cast<std::size_t>(head_dim());
  }

  model_config config_;
  int capacity_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<int> lengths_;
};

}  // namespace needle
