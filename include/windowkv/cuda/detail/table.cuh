// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/table.cuh
/// What kernels are told: descriptors of sequences, layers and groups, passed by value as the kernel's
/// parameters (up to 32764 bytes since CUDA 12.1). So nothing has to be uploaded, kept alive or allocated,
/// and a captured graph carries its own.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "windowkv/core/plan.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/cuda/memory.cuh"

namespace windowkv::detail {

inline constexpr std::size_t most_parameter_bytes = 32764;
inline constexpr int max_table_sequences = 64;

/// A plane without what all layers have in common.
template <class Plane>
struct plane_reference : Plane::accessor_type {
  using plane_type = Plane;
  using element_type = typename Plane::element_type;

  element_type* data = nullptr;
  typename Plane::layout_type layout{};

  plane_reference() = default;
  explicit plane_reference(Plane const& p)
      : Plane::accessor_type(p.accessor), data(p.data), layout(p.layout) {}

  __device__ typename Plane::accessor_type const& accessor() const { return *this; }
  __device__ element_type* address(std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return layout.address(data, slot, head, unit);
  }
  __device__ float load_float(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    return this->load(*address(slot, head, dim / Plane::dims_per_element), slot, head, dim);
  }
};

template <memory_space Space>
struct plane_reference<no_plane<Space>> {
  using plane_type = no_plane<Space>;

  plane_reference() = default;
  explicit plane_reference(no_plane<Space> const& /*p*/) {}
};

/// One sequence.
struct sequence_facts {
  int const* device_tokens = nullptr;
  int tokens = 0;  ///< N as planned: strides follow it
  int suffix = 0;
  int review = 0;
  int windows = 0;
  int chunk_tokens = 0;

  sequence_facts() = default;
  sequence_facts(plan_data const& p, int const* length)
      : device_tokens(length),
        tokens(p.prompt.tokens),
        suffix(p.suffix),
        review(p.review),
        windows(p.windows),
        chunk_tokens(chunk_tokens_of(p.prompt.tokens)) {}

  /// N and R when the work runs.
  __device__ int tokens_now() const {
    if (device_tokens == nullptr) return tokens;
    int const given = *device_tokens;
    return given < 0 ? 0 : given < tokens ? given : tokens;
  }
  __device__ int review_now() const {
    int const now = tokens_now();
    return now > suffix ? now - suffix : 0;
  }
};

/// Facts of one launch that do not fit the rest.
template <class Item, std::size_t HeaderBytes>
inline constexpr int table_capacity = static_cast<int>((most_parameter_bytes - HeaderBytes - 1024 -
                                                        max_table_sequences * sizeof(sequence_facts)) /
                                                       sizeof(Item));

/// One layer that scores.
template <class KeyPlane, class QueryPlane>
struct score_item {
  plane_reference<KeyPlane> keys;
  plane_reference<QueryPlane> queries;
  float const* log_sum_exp = nullptr;  ///< [Hq][S] or null
  float* scores = nullptr;
  float* row_max = nullptr;
  float* row_sum = nullptr;
  unsigned* ticket = nullptr;  ///< to be reset for the group's selection, or null
  int first_query_row = 0;
  int sequence = 0;
};

/// Parameters of the score kernels.
template <class KeyPlane, class QueryPlane>
struct score_table {
  using item_type = score_item<KeyPlane, QueryPlane>;
  using key_plane = KeyPlane;
  using query_plane = QueryPlane;
  static constexpr int capacity = table_capacity<item_type, 256>;

  row_tiling rows;
  int kv_heads = 0;
  int heads_per_kv = 0;
  int head_dim = 0;
  int suffix = 0;
  int key_stages = 0;
  float scale = 0.f;  ///< log2(e) / sqrt(D)
  sequence_facts sequences[max_table_sequences];
  item_type items[capacity];
};

}  // namespace windowkv::detail
