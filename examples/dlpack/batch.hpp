// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The tensors of a batch, checked, and the planes of single sequences in them.

#include <windowkv/interop/dlpack.hpp>
#include <windowkv/windowkv.hpp>

#include "methods.hpp"
#include "windowkv_c.h"

namespace windowkv_c {

/// Which tensor is being looked at, for the text of an error.
struct error_place {
  int layer = -1;
  char const* tensor = "";
};

/// A batch whose tensors fit each other. `examine` makes it.
struct batch {
  windowkv_cache cache{};
  dlpack::tensor_axes axes{};
  bool pads_left = false;
  wkv::model_shape shape;  ///< query heads: those of the first queries that are given, else the KV heads
  int sequences = 0;       ///< B
  int slots = 0;           ///< N

  bool is_evicted(int layer) const { return cache.evictable == nullptr || cache.evictable[layer] != 0; }
  int length(int sequence) const { return cache.lengths != nullptr ? cache.lengths[sequence] : slots; }
  /// Where the sequence's first token is.
  int first_slot(int sequence) const { return pads_left ? slots - length(sequence) : 0; }
  windowkv_tensor const* queries(int layer) const {
    return cache.queries != nullptr ? cache.queries[layer] : nullptr;
  }
};

/// `count` slots of a plane, from `first` on.
template <class T>
wkv::dense_plane<T> part_of(wkv::dense_plane<T> const& plane, int first, int count) {
  return wkv::strided(plane.address(first, 0, 0), count, plane.heads, plane.head_dim, plane.layout);
}

/// The suffix queries of one sequence, the last row being its last token.
template <class T>
wkv::result<wkv::dense_plane<T>> query_rows(batch const& in, windowkv_tensor const& queries, int sequence) {
  WINDOWKV_TRY_ASSIGN(rows, dlpack::plane_of<T>(queries, sequence, in.axes));
  if (rows.slots != in.slots) return rows;
  return part_of(rows, in.first_slot(sequence), in.length(sequence));
}

inline wkv::status require_same(char const* parameter, std::int64_t actual, std::int64_t expected) {
  if (actual == expected) return {};
  return wkv::status::failure(wkv::status_code::invalid_argument, parameter, actual, "must equal", expected);
}

/// One tensor by itself: everything that `plane_of` refuses.
inline wkv::result<dlpack::tensor_extents> examine_tensor(windowkv_tensor const* tensor,
                                                          dlpack::tensor_axes axes) {
  if (tensor == nullptr) {
    return wkv::status::failure(wkv::status_code::invalid_argument, "tensor", "must not be null");
  }
  WINDOWKV_TRY_ASSIGN(extents, dlpack::extents_of(*tensor, axes));
  // The first sequence stands for all: the others are whole elements away from it.
  WINDOWKV_TRY(dlpack::with_element_type(*tensor, [&](auto element) -> wkv::status {
    return dlpack::plane_of<decltype(element)>(*tensor, 0, axes).error();
  }));
  return extents;
}

inline wkv::status require_same_type(windowkv_tensor const& tensor, windowkv_tensor const& keys) {
  WINDOWKV_TRY(require_same("tensor.dtype.code (as the keys')", tensor.dtype.code, keys.dtype.code));
  return require_same("tensor.dtype.bits (as the keys')", tensor.dtype.bits, keys.dtype.bits);
}

/// The queries of a layer, if it has any, against its keys. Notes the number of query heads in `in` when it
/// is still zero.
inline wkv::status examine_queries(int layer, batch& in) {
  windowkv_tensor const* const queries = in.queries(layer);
  if (queries == nullptr) return {};
  WINDOWKV_TRY_ASSIGN(extents, examine_tensor(queries, in.axes));
  WINDOWKV_TRY(require_same_type(*queries, *in.cache.keys[layer]));
  WINDOWKV_TRY(require_same("tensor.shape (B, sequences)", extents.sequences, in.sequences));
  WINDOWKV_TRY(require_same("tensor.shape (D, head dimension)", extents.head_dim, in.shape.head_dim));
  if (in.shape.query_heads == 0) in.shape.query_heads = extents.heads;
  WINDOWKV_TRY(require_same("tensor.shape (H, heads)", extents.heads, in.shape.query_heads));
  if (extents.slots <= in.slots) return {};
  return wkv::status::failure(wkv::status_code::invalid_argument, "tensor.shape (N, rows)", extents.slots,
                              "must be at most the slots of the cache,", in.slots);
}

/// What keys and values of all layers have in common.
inline wkv::status require_extents_of(batch const& in, dlpack::tensor_extents const& extents) {
  WINDOWKV_TRY(require_same("tensor.shape (B, sequences)", extents.sequences, in.sequences));
  WINDOWKV_TRY(require_same("tensor.shape (H, heads)", extents.heads, in.shape.kv_heads));
  return require_same("tensor.shape (N, slots)", extents.slots, in.slots);
}

/// What compaction will refuse, such as keys and values that share memory: an empty list is checked like any
/// other.
inline wkv::status rehearse_compaction(int layer, batch const& in) {
  windowkv_tensor const& keys = *in.cache.keys[layer];
  return dlpack::with_element_type(keys, [&](auto element) -> wkv::status {
    using T = decltype(element);
    for (int b = 0; b < in.sequences; ++b) {
      WINDOWKV_TRY_ASSIGN(k, dlpack::plane_of<T>(keys, b, in.axes));
      WINDOWKV_TRY_ASSIGN(v, dlpack::plane_of<T>(*in.cache.values[layer], b, in.axes));
      WINDOWKV_TRY(wkv::compact_in_place(wkv::host_executor{}, wkv::slot_list{}, wkv::kv_view{k, v}));
    }
    return {};
  });
}

/// Keys, values and queries of a layer, against those of the layers before. The first one gives the shape.
inline wkv::status examine_layer(int layer, batch& in, error_place& at) {
  at = {layer, "keys"};
  WINDOWKV_TRY_ASSIGN(keys, examine_tensor(in.cache.keys[layer], in.axes));
  if (in.sequences == 0) {
    in.sequences = keys.sequences;
    in.slots = keys.slots;
    in.shape.kv_heads = keys.heads;
    in.shape.head_dim = keys.head_dim;
  }
  WINDOWKV_TRY(require_extents_of(in, keys));
  WINDOWKV_TRY(require_same("tensor.shape (D, head dimension)", keys.head_dim, in.shape.head_dim));
  at.tensor = "values";
  WINDOWKV_TRY_ASSIGN(values, examine_tensor(in.cache.values[layer], in.axes));
  WINDOWKV_TRY(require_same_type(*in.cache.values[layer], *in.cache.keys[layer]));
  WINDOWKV_TRY(require_extents_of(in, values));
  WINDOWKV_TRY(rehearse_compaction(layer, in));
  at.tensor = "queries";
  WINDOWKV_TRY(examine_queries(layer, in));
  at = {};
  return {};
}

inline wkv::status examine_lengths(batch const& in) {
  if (in.cache.lengths == nullptr) return {};
  for (int b = 0; b < in.sequences; ++b) {
    int const length = in.cache.lengths[b];
    if (length < 1 || length > in.slots) {
      return wkv::status::failure(wkv::status_code::invalid_argument, "cache.lengths", length,
                                  "must be at least 1 and at most", in.slots);
    }
  }
  return {};
}

/// Checks all tensors of a cache, by themselves and against each other; `options` must have been validated.
/// `at` says where a refusal comes from.
inline wkv::result<batch> examine(windowkv_cache const& cache, windowkv_options const& options,
                                  error_place& at) {
  using wkv::status;
  using wkv::status_code;
  if (cache.layers < 1 || cache.layers > wkv::max_layers) {
    return status::failure(status_code::invalid_argument, "cache.layers", cache.layers,
                           "must be at least 1 and at most", wkv::max_layers);
  }
  if (cache.keys == nullptr || cache.values == nullptr) {
    return status::failure(status_code::invalid_argument,
                           cache.keys == nullptr ? "cache.keys" : "cache.values", "must not be null");
  }
  batch in;
  in.cache = cache;
  in.axes = axes_of(options);
  in.pads_left = options.padding == windowkv_padding_left;
  in.shape.layers = cache.layers;
  for (int l = 0; l < cache.layers; ++l) {
    if (in.is_evicted(l)) WINDOWKV_TRY(examine_layer(l, in, at));
  }
  if (in.sequences == 0) {
    return status::failure(status_code::invalid_argument, "cache.evictable", "leaves no layer to compress");
  }
  if (in.shape.query_heads == 0) in.shape.query_heads = in.shape.kv_heads;
  WINDOWKV_TRY(examine_lengths(in));
  return in;
}

}  // namespace windowkv_c
