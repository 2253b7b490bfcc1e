// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/row_scorers.hpp
/// A row scorer scores tokens by what is cached of them, without attention: one score per (KV head, token).
/// Its one function is
///
///     template <class Rows> float score(int token, Rows const& rows, float const* scratch) const
///
/// where `rows` is one KV head's cache, `key(token, d)` and `value(token, d)` for tokens [0, rows.tokens) and
/// d in [0, rows.dims) or [0, rows.value_dims), as read by their accessors; it may read any token's.
/// `rows.layer` and `rows.head` say whose they are.
///
/// What a score needs to know of all tokens is prepared in passes: `run(pass, item, rows, scratch)` is called
/// for every item of a pass, in any order, and every pass sees what the ones before it wrote to `scratch`,
/// the KV head's own floats. Members: `passes`, `scratch_floats(shape)`, `items(pass, shape)` and `run`.
///
/// Flags, all optional: `reads_keys` (true unless said otherwise), `reads_values`, and `reads_queries`: then
/// `rows.query(row, head, d)` are the queries that `suffix_queries` gives, `rows.query_rows` of them, which
/// are those of the last tokens, for the `rows.query_heads` query heads that share the KV head. `status
/// validate() const` refuses bad settings.

#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Sizes of one KV head's cache.
struct row_shape {
  int tokens = 0;
  int dims = 0;         ///< of keys
  int query_heads = 0;  ///< that share the KV head
};

namespace detail {

/// Stands for the rows of any cache where a row scorer is checked.
struct any_rows {
  int tokens, dims, value_dims, query_heads, query_rows, head, layer;
  WINDOWKV_HD float key(int, int) const { return 0.f; }
  WINDOWKV_HD float value(int, int) const { return 0.f; }
  WINDOWKV_HD float query(int, int, int) const { return 0.f; }
};

template <class T, class = void>
struct is_row_scorer : std::false_type {};
template <class T>
struct is_row_scorer<T, std::void_t<decltype(float{std::declval<T const&>().score(
                            0, std::declval<any_rows const&>(), std::declval<float const*>())})>>
    : std::is_trivially_copyable<T> {};

template <class T, class = void>
struct passes_of : std::integral_constant<int, 0> {};
template <class T>
struct passes_of<T, std::void_t<decltype(T::passes)>> : std::integral_constant<int, T::passes> {};

template <class T, class = void>
struct reads_keys : std::true_type {};
template <class T>
struct reads_keys<T, std::void_t<decltype(T::reads_keys)>> : std::bool_constant<T::reads_keys> {};
template <class T, class = void>
struct reads_values : std::false_type {};
template <class T>
struct reads_values<T, std::void_t<decltype(T::reads_values)>> : std::bool_constant<T::reads_values> {};
template <class T, class = void>
struct reads_queries : std::false_type {};
template <class T>
struct reads_queries<T, std::void_t<decltype(T::reads_queries)>> : std::bool_constant<T::reads_queries> {};

template <class RowScorer>
std::int64_t scratch_floats(RowScorer const& scorer, row_shape const& shape) {
  if constexpr (passes_of<RowScorer>::value > 0) {
    return scorer.scratch_floats(shape);
  } else {
    return 0;
  }
}

}  // namespace detail

/// True if T scores cached rows.
template <class T>
inline constexpr bool is_row_scorer_v = detail::is_row_scorer<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept row_scorer = is_row_scorer_v<T>;
#endif

/// f(0) + ... + f(count - 1), for rows: in eight interleaved sums, so that no addition waits for the one
/// before it and a compiler finds the vector in it. One order on every backend.
template <class F>
WINDOWKV_HD float row_sum(int count, F const& f) {
  constexpr int lanes = 8;
  float sums[lanes] = {};
  int d = 0;
  for (; d + lanes <= count; d += lanes) {
    WINDOWKV_UNROLL
    for (int i = 0; i < lanes; ++i) sums[i] += f(d + i);
  }
  for (int i = 0; d + i < count; ++i) sums[i] += f(d + i);
  WINDOWKV_UNROLL
  for (int half = lanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  }
  return sums[0];
}

/// Later tokens first: with sinks protected by the selector, StreamingLLM (arXiv 2309.17453). Reads nothing.
struct recency {
  static constexpr bool reads_keys = false;
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& /*rows*/, float const* /*scratch*/) const {
    return static_cast<float>(token);
  }
};

/// A random order, another one for each layer and KV head, the same for the same seed: what any method must
/// beat.
struct random_order {
  static constexpr bool reads_keys = false;
  std::uint32_t seed = 1;

  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* /*scratch*/) const {
    std::uint32_t x = seed * 0x9e3779b9u + static_cast<std::uint32_t>(rows.head) * 0x85ebca6bu;
    x += static_cast<std::uint32_t>(rows.layer) * 0xc2b2ae35u + static_cast<std::uint32_t>(token);
    for (std::uint32_t const factor : {0x7feb352du, 0x846ca68bu}) x = (x ^ (x >> 16)) * factor;
    return static_cast<float>((x ^ (x >> 16)) >> 8) * 0x1p-24f;  // 24 bits: exact in a float
  }
};

/// Small keys first: -||k||_2 (arXiv 2406.11430).
struct inverse_key_norm {
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* /*scratch*/) const {
    return -std::sqrt(row_sum(rows.dims, [&](int d) { return rows.key(token, d) * rows.key(token, d); }));
  }
};

/// ||v||, the sum of sizes (`p` = 1) or the Euclidean length (`p` = 2). Made for `value_weighted`.
struct value_norm {
  static constexpr bool reads_keys = false;
  static constexpr bool reads_values = true;
  int p = 1;

  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* /*scratch*/) const {
    float const sum = row_sum(rows.value_dims, [&](int d) {
      float const v = rows.value(token, d);
      return p == 1 ? std::fabs(v) : v * v;
    });
    return p == 1 ? sum : std::sqrt(sum);
  }
  status validate() const {
    WINDOWKV_TRY(detail::require_at_least("value_norm.p", p, 1));
    return detail::require_at_most("value_norm.p", p, 2);
  }
};

/// ||W_o v||_1, the mean over the query heads that read the KV head: how far a token can move the layer's
/// output (CriticalKV). `weight` [model_dim][Hq * D] is W_o as the model multiplies by it, in memory that the
/// backend reads.
struct projected_value_norm {
  static constexpr bool reads_keys = false;
  static constexpr bool reads_values = true;
  float const* weight = nullptr;
  int model_dim = 0;
  std::int64_t row_stride = 0;  ///< floats from one row of W_o to the next

  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* /*scratch*/) const {
    float total = 0.f;
    for (int h = 0; h < rows.query_heads; ++h) {
      std::int64_t const column = (std::int64_t{rows.head} * rows.query_heads + h) * rows.value_dims;
      for (std::int64_t out = 0; out < model_dim; ++out) {
        float const* const w = weight + out * row_stride + column;
        total += std::fabs(row_sum(rows.value_dims, [&](int d) { return w[d] * rows.value(token, d); }));
      }
    }
    return total / static_cast<float>(rows.query_heads);
  }
  status validate() const {
    WINDOWKV_TRY(detail::require_not_null("projected_value_norm.weight", weight));
    return detail::require_at_least("projected_value_norm.model_dim", model_dim, 1);
  }
};

/// Keys that differ from the average one first: minus the cosine between a key and the mean of all unit keys
/// (KeyDiff, arXiv 2504.15364).
struct key_dissimilarity {
  static constexpr int passes = 4;
  static constexpr int block = 64;  ///< tokens whose unit keys one item sums, for `slice` dims
  static constexpr int slice = 16;

  // scratch: inverse norms [tokens], the anchor [dims], its inverse norm, partial sums [blocks][dims]
  std::int64_t scratch_floats(row_shape const& s) const {
    return s.tokens + 1 + std::int64_t{s.dims} * (1 + blocks(s.tokens));
  }
  int items(int pass, row_shape const& s) const {
    return pass == 0 ? s.tokens : pass == 1 ? blocks(s.tokens) * slices(s.dims) : pass == 2 ? s.dims : 1;
  }
  template <class Rows>
  WINDOWKV_HD void run(int pass, int item, Rows const& rows, float* scratch) const {
    float* const anchor = scratch + rows.tokens;
    float* const partial = anchor + rows.dims + 1;
    if (pass == 0) {
      float const squares = row_sum(rows.dims, [&](int d) { return rows.key(item, d) * rows.key(item, d); });
      scratch[item] = 1.f / larger(std::sqrt(squares), 1e-12f);
    } else if (pass == 1) {
      int const b = item / slices(rows.dims);
      sum_unit_keys(rows, scratch, b, item % slices(rows.dims) * slice,
                    partial + std::int64_t{b} * rows.dims);
    } else if (pass == 2) {
      float sum = 0.f;
      for (std::int64_t b = 0; b < blocks(rows.tokens); ++b) sum += partial[b * rows.dims + item];
      anchor[item] = sum / static_cast<float>(rows.tokens);
    } else {
      float const squares = row_sum(rows.dims, [&](int d) { return anchor[d] * anchor[d]; });
      anchor[rows.dims] = 1.f / larger(std::sqrt(squares), 1e-8f);
    }
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    float const* const anchor = scratch + rows.tokens;
    float const dot = row_sum(rows.dims, [&](int d) { return rows.key(token, d) * anchor[d]; });
    return -dot * scratch[token] * anchor[rows.dims];
  }

 private:
  WINDOWKV_HD static int blocks(int tokens) { return (tokens + block - 1) / block; }
  WINDOWKV_HD static int slices(int dims) { return (dims + slice - 1) / slice; }
  WINDOWKV_HD static float larger(float a, float b) { return a > b ? a : b; }

  /// Of one block of tokens, dims [first, first + slice).
  template <class Rows>
  WINDOWKV_HD static void sum_unit_keys(Rows const& rows, float const* inverse_norms, int b, int first,
                                        float* out) {
    int const begin = b * block;
    int const end = rows.tokens - begin < block ? rows.tokens : begin + block;
    int const width = rows.dims - first < slice ? rows.dims - first : slice;
    float sums[slice] = {};
    for (int j = begin; j < end; ++j) {
      float const factor = inverse_norms[j];
      if (width == slice) {
        WINDOWKV_UNROLL
        for (int d = 0; d < slice; ++d) sums[d] += rows.key(j, first + d) * factor;
      } else {
        for (int d = 0; d < width; ++d) sums[d] += rows.key(j, first + d) * factor;
      }
    }
    for (int d = 0; d < width; ++d) out[first + d] = sums[d];
  }
};

}  // namespace windowkv
