// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// A made-up batch: its numbers, its tensors, and what a call of the C functions says about it.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tensors.hpp"
#include "windowkv_c.h"

namespace c_test {

struct sizes {
  int layers = 4;
  int sequences = 2;
  int query_heads = 4;
  int kv_heads = 2;
  int slots = 90;
  int head_dim = 8;
  int value_dim = 11;
  int query_rows = 32;
};

/// The numbers of all layers. The same sizes give the same numbers.
struct model {
  sizes size;
  std::vector<numbers> keys, values, queries;

  explicit model(sizes const& s = {}) : size(s) {
    for (int l = 0; l < s.layers; ++l) {
      unsigned const seed = 3 * static_cast<unsigned>(l) + 1;
      keys.emplace_back(seed, s.sequences, s.kv_heads, s.slots, s.head_dim);
      values.emplace_back(seed + 1, s.sequences, s.kv_heads, s.slots, s.value_dim);
      queries.emplace_back(seed + 2, s.sequences, s.query_heads, s.query_rows, s.head_dim);
    }
  }
};

/// The tensors of a model, and the structs of a call, which a test may bend before it calls.
template <class T>
struct batch_call {
  sizes size;
  std::deque<made_tensor<T>> keys, values, queries;
  std::vector<windowkv_tensor const*> key_list, value_list, query_list;
  std::vector<std::int32_t> lengths, positions;
  std::vector<float> retained;
  windowkv_options options{};
  windowkv_cache cache{};
  windowkv_report report{};
  std::string error;

  explicit batch_call(model const& m, form f = form::bhnd) : size(m.size) {
    for (std::size_t l = 0; l < m.keys.size(); ++l) {
      key_list.push_back(keys.emplace_back(m.keys[l], f).get());
      value_list.push_back(values.emplace_back(m.values[l], f).get());
      query_list.push_back(queries.emplace_back(m.queries[l], f).get());
    }
    auto const pairs = static_cast<std::size_t>(size.layers) * static_cast<std::size_t>(size.sequences);
    lengths.assign(pairs, -5);
    retained.assign(pairs, -5.f);
    positions.assign(pairs * static_cast<std::size_t>(size.slots), -5);
    options.size = sizeof options;
    options.axes = axes_of(f);
    options.budget = 40;
    options.layers_per_group = 2;
    cache = {sizeof cache,      size.layers, key_list.data(), value_list.data(),
             query_list.data(), nullptr,     nullptr};
    report = {sizeof report, 0, lengths.data(), positions.data(), retained.data(), -5, -5};
  }

  std::int32_t run() {
    char text[256] = "unset";
    std::int32_t const code = windowkv_compress(&options, &cache, &report, text, sizeof text);
    error = text;
    return code;
  }

  std::size_t pair(int layer, int sequence) const {
    return static_cast<std::size_t>(layer) * static_cast<std::size_t>(size.sequences) +
           static_cast<std::size_t>(sequence);
  }
  /// Positions of the kept tokens.
  std::vector<int> kept(int layer, int sequence) const {
    auto const first = positions.begin() + static_cast<std::ptrdiff_t>(pair(layer, sequence)) * size.slots;
    int const count = lengths[pair(layer, sequence)];
    return {first, first + (count > 0 ? count : 0)};
  }
  windowkv_tensor& key(int layer) { return *keys[static_cast<std::size_t>(layer)].get(); }
  windowkv_tensor& value(int layer) { return *values[static_cast<std::size_t>(layer)].get(); }
  windowkv_tensor& query(int layer) { return *queries[static_cast<std::size_t>(layer)].get(); }
};

}  // namespace c_test
