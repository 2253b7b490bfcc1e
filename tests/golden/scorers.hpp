// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Row scorers that the library does not have, written as its users would write theirs.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/policy/row_scorers.hpp"

namespace golden {

/// kvpress' CUR: squared norms of a token's key and value, each as a share of the token's block.
struct block_leverage {
  enum class part { key, value, mean, product };

  static constexpr bool reads_values = true;
  static constexpr int passes = 3;

  int block = 16;
  part which = part::product;

  // scratch: the total, shares [tokens], then squared norms [2][tokens]
  std::int64_t scratch_floats(windowkv::row_shape const& s) const { return 1 + 3 * std::int64_t{s.tokens}; }
  int items(int pass, windowkv::row_shape const& s) const { return pass == 2 ? 1 : s.tokens; }
  template <class Rows>
  WINDOWKV_HD void run(int pass, int item, Rows const& rows, float* scratch) const {
    float* const shares = scratch + 1;
    float* const of_keys = shares + rows.tokens;
    float* const of_values = of_keys + rows.tokens;
    if (pass == 0) {
      float keys = 0.f;
      float values = 0.f;
      for (int d = 0; d < rows.dims; ++d) keys += rows.key(item, d) * rows.key(item, d);
      for (int d = 0; d < rows.value_dims; ++d) values += rows.value(item, d) * rows.value(item, d);
      of_keys[item] = keys;
      of_values[item] = values;
    } else if (pass == 1) {
      shares[item] = combined(of_keys[item] / block_sum(item, rows.tokens, of_keys),
                              of_values[item] / block_sum(item, rows.tokens, of_values));
    } else {
      float sum = 0.f;
      for (int j = 0; j < rows.tokens; ++j) sum += shares[j];
      scratch[0] = sum;
    }
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& /*rows*/, float const* scratch) const {
    return scratch[1 + token] / scratch[0];
  }
  windowkv::status validate() const {
    return windowkv::detail::require_at_least("block_leverage.block", block, 1);
  }

 private:
  WINDOWKV_HD float combined(float key, float value) const {
    return which == part::key     ? key
           : which == part::value ? value
           : which == part::mean  ? (key + value) / 2
                                  : key * value;
  }
  WINDOWKV_HD float block_sum(int token, int tokens, float const* norms) const {
    int const begin = token - token % block;
    int const end = tokens - begin < block ? tokens : begin + block;
    float sum = 0.f;
    for (int j = begin; j < end; ++j) sum += norms[j];
    return sum;
  }
};

/// kvpress' NonCausalAttnPress: what the queries of a token's chunk pay it, without mask and without
/// 1 / sqrt(D), times ||v||. The last chunk is filled up with queries and keys whose logits all are 0.
struct chunk_attention {
  static constexpr bool reads_values = true;
  static constexpr bool reads_queries = true;
  static constexpr int passes = 1;

  int chunk = 256;

  // scratch: of every query's softmax the largest logit and the sum [query heads][tokens, filled up][2]
  std::int64_t scratch_floats(windowkv::row_shape const& s) const {
    return std::int64_t{2} * s.query_heads * filled_up(s.tokens);
  }
  int items(int /*pass*/, windowkv::row_shape const& s) const { return s.query_heads * filled_up(s.tokens); }
  template <class Rows>
  WINDOWKV_HD void run(int /*pass*/, int item, Rows const& rows, float* scratch) const {
    int const head = item / filled_up(rows.tokens);
    int const row = item % filled_up(rows.tokens);
    int const begin = row - row % chunk;
    auto largest = static_cast<float>(logit(head, row, begin, rows));
    for (int j = begin + 1; j < begin + chunk; ++j) {
      auto const x = static_cast<float>(logit(head, row, j, rows));
      largest = x > largest ? x : largest;
    }
    double sum = 0;
    for (int j = begin; j < begin + chunk; ++j) {
      sum += std::exp(logit(head, row, j, rows) - static_cast<double>(largest));
    }
    float* const softmax = scratch + std::int64_t{2} * item;
    softmax[0] = largest;
    softmax[1] = static_cast<float>(sum);
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    int const begin = token - token % chunk;
    double sum = 0;
    for (int head = 0; head < rows.query_heads; ++head) {
      for (int row = begin; row < begin + chunk; ++row) {
        std::int64_t const query = std::int64_t{head} * filled_up(rows.tokens) + row;
        float const* const softmax = scratch + 2 * query;
        double const x = logit(head, row, token, rows) - static_cast<double>(softmax[0]);
        sum += std::exp(x) / static_cast<double>(softmax[1]);
      }
    }
    auto const attention = static_cast<float>(sum / rows.query_heads);
    return attention * windowkv::value_norm{2}.score(token, rows, nullptr);
  }
  windowkv::status validate() const {
    WINDOWKV_TRY(windowkv::detail::require_at_least("chunk_attention.chunk", chunk, 1));
    return windowkv::detail::require_at_most("chunk_attention.chunk", chunk, 1 << 16);
  }

 private:
  WINDOWKV_HD int filled_up(int tokens) const { return (tokens + chunk - 1) / chunk * chunk; }
  template <class Rows>
  WINDOWKV_HD double logit(int head, int row, int key, Rows const& rows) const {
    if (row >= rows.tokens || key >= rows.tokens) return 0;
    double dot = 0;  // logits are large without the scale
    for (int d = 0; d < rows.dims; ++d) {
      dot += static_cast<double>(rows.query(row, head, d)) * static_cast<double>(rows.key(key, d));
    }
    return dot;
  }
};

/// kvpress' LeverageScorePress: x (X^T X + jitter I)^-1 x of the centred keys times a random matrix.
struct sketched_leverage {
  static constexpr int passes = 4;

  float const* sketch = nullptr;  ///< [KV heads][D][columns], in memory that the backend reads
  int columns = 0;
  float jitter = 0.01f;

  // scratch: means [D], the matrix and then its Cholesky factor [columns][columns], rows [tokens][columns]
  std::int64_t scratch_floats(windowkv::row_shape const& s) const {
    return s.dims + (std::int64_t{columns} + s.tokens) * columns;
  }
  int items(int pass, windowkv::row_shape const& s) const {
    return pass == 0 ? s.dims : pass == 1 ? s.tokens : pass == 2 ? columns * columns : 1;
  }
  template <class Rows>
  WINDOWKV_HD void run(int pass, int item, Rows const& rows, float* scratch) const {
    float* const matrix = scratch + rows.dims;
    float* const all = matrix + std::int64_t{columns} * columns;
    if (pass == 0) {
      double sum = 0;
      for (int j = 0; j < rows.tokens; ++j) sum += static_cast<double>(rows.key(j, item));
      scratch[item] = static_cast<float>(sum / rows.tokens);
    } else if (pass == 1) {
      project(item, rows, scratch, all + std::int64_t{item} * columns);
    } else if (pass == 2) {
      int const a = item / columns;
      int const b = item % columns;
      double sum = a == b ? static_cast<double>(jitter) : 0.;
      for (int j = 0; j < rows.tokens; ++j) {
        sum += static_cast<double>(all[j * columns + a]) * static_cast<double>(all[j * columns + b]);
      }
      matrix[item] = static_cast<float>(sum);
    } else {
      factorise(matrix);
    }
  }
  /// |y|^2 with L y = x, L being the Cholesky factor.
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    float const* const factor = scratch + rows.dims;
    float const* const x = factor + (std::int64_t{columns} + token) * columns;
    float y[max_columns];
    float sum = 0.f;
    for (int i = 0; i < columns; ++i) {
      float rest = x[i];
      for (int j = 0; j < i; ++j) rest -= factor[i * columns + j] * y[j];
      y[i] = rest / factor[i * columns + i];
      sum += y[i] * y[i];
    }
    return sum;
  }
  windowkv::status validate() const {
    WINDOWKV_TRY(windowkv::detail::require_not_null("sketched_leverage.sketch", sketch));
    WINDOWKV_TRY(windowkv::detail::require_at_least("sketched_leverage.columns", columns, 1));
    return windowkv::detail::require_at_most("sketched_leverage.columns", columns, max_columns);
  }

 private:
  static constexpr int max_columns = 256;

  template <class Rows>
  WINDOWKV_HD void project(int token, Rows const& rows, float const* mean, float* row) const {
    float const* const matrix = sketch + static_cast<std::int64_t>(rows.head) * rows.dims * columns;
    float const scale = 1.f / std::sqrt(static_cast<float>(columns));
    for (int i = 0; i < columns; ++i) {
      float sum = 0.f;
      for (int d = 0; d < rows.dims; ++d) sum += (rows.key(token, d) - mean[d]) * matrix[d * columns + i];
      row[i] = sum * scale;
    }
  }
  WINDOWKV_HD void factorise(float* matrix) const {
    for (int i = 0; i < columns; ++i) {
      for (int j = 0; j <= i; ++j) {
        double rest = static_cast<double>(matrix[i * columns + j]);
        for (int k = 0; k < j; ++k) {
          rest -= static_cast<double>(matrix[i * columns + k]) * static_cast<double>(matrix[j * columns + k]);
        }
        matrix[i * columns + j] = static_cast<float>(
            i == j ? std::sqrt(rest) : rest / static_cast<double>(matrix[j * columns + j]));
      }
    }
  }
};

}  // namespace golden
