// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/expected_attention.hpp
/// Expected Attention's row scorer.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// The attention that queries to come will pay a key, in expectation (Expected Attention, arXiv 2510.00636,
/// as kvpress has it). Queries before RoPE are taken to be normally distributed; mean and covariance (divided
/// by n) of those behind the sinks are turned by R, the mean rotation over the next `future_positions`
/// positions: mu = R mean, Sigma = R covariance R^T. Then
///
///     logit = mu.k / sqrt(D) + k.Sigma k / (2 D),    s = softmax over the tokens behind the sinks,
///
/// and the score is the mean of s over the query heads, with `use_value_norm` (s + epsilon) ||v||_2. Sinks
/// score 0: the selector protects them.
///
/// The source's queries must be those BEFORE RoPE; keys are the cached ones, rotated by their positions
/// 0, 1, 2, ... Rotation is plain RoPE, which pairs channel d with d + D / 2. The more of the prompt's
/// queries are given the better; O(N Hq D^2) time with covariance.
struct expected_future_attention {
  static constexpr bool reads_values = true;
  static constexpr bool reads_queries = true;
  static constexpr int passes = 7;

  int sinks = 4;
  int future_positions = 512;
  float theta = 10000.f;  ///< base of RoPE
  bool use_covariance = true;
  bool use_value_norm = true;
  float epsilon = 0.f;

  // scratch: see `layout`
  std::int64_t scratch_floats(row_shape const& s) const { return layout(*this, s).end(); }
  int items(int pass, row_shape const& s) const {
    int const channels = s.query_heads * s.dims;
    int const columns = use_covariance ? channels : 0;
    int const items_of[passes] = {s.dims / 2, channels,     columns, columns, columns + s.query_heads,
                                  s.tokens,   s.query_heads};
    return items_of[pass];
  }
  template <class Rows>
  WINDOWKV_HD void run(int pass, int item, Rows const& rows, float* scratch) const {
    layout const at(*this, {rows.tokens, rows.dims, rows.query_heads});
    int const head = item / rows.dims;
    int const d = item % rows.dims;
    if (pass == 0) {
      find_rotation(item, rows, scratch);
    } else if (pass == 1) {
      scratch[at.mean(head) + d] = find_mean(head, d, rows);
    } else if (pass == 2) {
      find_covariances(head, d, rows, scratch + at.mean(head), scratch + at.covariance(head));
    } else if (pass == 3) {  // every column of the covariances
      rotate(scratch + at.covariance(head) + d, rows.dims, rows.dims, scratch);
    } else if (pass == 4) {  // every row, and the means, which lie between
      rotate(scratch + at.mean(0) + std::int64_t{item} * rows.dims, 1, rows.dims, scratch);
    } else if (pass == 5) {
      for (int h = 0; h < rows.query_heads; ++h) {
        scratch[at.logits(h) + item] =
            find_logit(item, rows, scratch + at.mean(h), scratch + at.covariance(h));
      }
    } else {
      find_softmax(rows.tokens, scratch + at.logits(item), scratch + at.softmax(item));
    }
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    if (token < sinks) return 0.f;
    layout const at(*this, {rows.tokens, rows.dims, rows.query_heads});
    float sum = 0.f;
    for (int h = 0; h < rows.query_heads; ++h) {
      float const* const softmax = scratch + at.softmax(h);
      sum += std::exp(scratch[at.logits(h) + token] - softmax[0]) / softmax[1];
    }
    float const expected = sum / static_cast<float>(rows.query_heads);
    return use_value_norm ? (expected + epsilon) * value_norm{2}.score(token, rows, nullptr) : expected;
  }
  status validate() const {
    WINDOWKV_TRY(detail::require_at_least("expected_future_attention.sinks", sinks, 0));
    WINDOWKV_TRY(detail::require_at_least("expected_future_attention.future_positions", future_positions, 1));
    if (theta > 0.f) return {};
    return status::failure(status_code::invalid_argument, "expected_future_attention.theta",
                           "must be above 0");
  }

 private:
  /// Where everything is in scratch: the mean rotation's cosines and sines [dims]; for each query head its
  /// mean [dims] and then its covariance [dims][dims]; logits [heads][tokens]; of each head's softmax the
  /// largest logit and the sum [heads][2].
  struct layout {
    std::int64_t tokens, dims, heads, rows;  // rows of statistics per head

    WINDOWKV_HD layout(expected_future_attention const& scorer, row_shape const& s)
        : tokens(s.tokens), dims(s.dims), heads(s.query_heads), rows(scorer.use_covariance ? dims + 1 : 1) {}
    WINDOWKV_HD std::int64_t mean(int head) const { return dims + head * rows * dims; }
    WINDOWKV_HD std::int64_t covariance(int head) const { return mean(head) + dims; }
    WINDOWKV_HD std::int64_t logits(int head) const { return dims + heads * rows * dims + head * tokens; }
    WINDOWKV_HD std::int64_t softmax(int head) const {
      return dims + heads * (rows * dims + tokens) + std::int64_t{2} * head;
    }
    WINDOWKV_HD std::int64_t end() const { return dims + heads * (rows * dims + tokens + 2); }
  };

  /// The first given query behind the sinks.
  template <class Rows>
  WINDOWKV_HD int first_query(Rows const& rows) const {
    int const skipped = sinks - (rows.tokens - rows.query_rows);
    return skipped < 0 ? 0 : skipped < rows.query_rows ? skipped : rows.query_rows;
  }

  /// Mean cosine and sine of a pair of channels over the positions to come.
  template <class Rows>
  WINDOWKV_HD void find_rotation(int pair, Rows const& rows, float* rotation) const {
    double const frequency = std::pow(static_cast<double>(theta), -2. * pair / rows.dims);
    double cosines = 0;
    double sines = 0;
    for (int i = 0; i < future_positions; ++i) {
      double const angle = (static_cast<double>(rows.tokens) + i) * frequency;
      cosines += std::cos(angle);
      sines += std::sin(angle);
    }
    rotation[pair] = static_cast<float>(cosines / future_positions);
    rotation[rows.dims / 2 + pair] = static_cast<float>(sines / future_positions);
  }

  /// Turns a vector whose elements are `stride` floats apart.
  WINDOWKV_HD static void rotate(float* vector, int stride, int dims, float const* rotation) {
    int const pairs = dims / 2;
    for (std::int64_t i = 0; i < pairs; ++i) {
      float const cosine = rotation[i];
      float const sine = rotation[pairs + i];
      float& low = vector[i * stride];
      float& high = vector[(i + pairs) * stride];
      float const turned = cosine * low - sine * high;
      high = sine * low + cosine * high;
      low = turned;
    }
  }

  template <class Rows>
  WINDOWKV_HD float find_mean(int head, int d, Rows const& rows) const {
    int const first = first_query(rows);
    double sum = 0;
    for (int row = first; row < rows.query_rows; ++row) sum += static_cast<double>(rows.query(row, head, d));
    return first < rows.query_rows ? static_cast<float>(sum / (rows.query_rows - first)) : 0.f;
  }

  /// Covariances of channel `d` with the channels up to itself, and the same across the diagonal.
  template <class Rows>
  WINDOWKV_HD void find_covariances(int head, int d, Rows const& rows, float const* mean,
                                    float* covariance) const {
    constexpr int width = 16;  // channels whose sums are in work, in registers
    int const first = first_query(rows);
    double const count = first < rows.query_rows ? rows.query_rows - first : 1;
    for (int begin = 0; begin <= d; begin += width) {
      double sums[width] = {};
      for (int row = first; row < rows.query_rows; ++row) {
        float const distance = rows.query(row, head, d) - mean[d];
        for (int i = 0; i < width && begin + i <= d; ++i) {
          sums[i] += static_cast<double>(distance * (rows.query(row, head, begin + i) - mean[begin + i]));
        }
      }
      for (int i = 0; i < width && begin + i <= d; ++i) {
        auto const mean_product = static_cast<float>(sums[i] / count);
        covariance[std::int64_t{d} * rows.dims + begin + i] = mean_product;
        covariance[std::int64_t{begin + i} * rows.dims + d] = mean_product;
      }
    }
  }

  template <class Rows>
  WINDOWKV_HD float find_logit(int token, Rows const& rows, float const* mean,
                               float const* covariance) const {
    auto const dims = static_cast<float>(rows.dims);
    float const linear = row_sum(rows.dims, [&](int d) { return mean[d] * rows.key(token, d); });
    float quadratic = 0.f;
    for (int i = 0; use_covariance && i < rows.dims; ++i) {
      float const* const row = covariance + std::int64_t{i} * rows.dims;
      quadratic +=
          rows.key(token, i) * row_sum(rows.dims, [&](int d) { return row[d] * rows.key(token, d); });
    }
    return linear / std::sqrt(dims) + quadratic / (2.f * dims);
  }

  /// Largest logit behind the sinks, and the sum of the exponentials relative to it; NaN stays out.
  WINDOWKV_HD void find_softmax(int tokens, float const* logits, float* softmax) const {
    float largest = 0.f;
    bool is_empty = true;
    for (int token = sinks; token < tokens; ++token) {
      if (logits[token] > largest || (is_empty && logits[token] == logits[token])) {
        largest = logits[token];
        is_empty = false;
      }
    }
    double sum = 0;
    for (int token = sinks; token < tokens; ++token) {
      if (logits[token] == logits[token]) sum += static_cast<double>(std::exp(logits[token] - largest));
    }
    softmax[0] = largest;
    softmax[1] = static_cast<float>(sum);
  }
};

}  // namespace windowkv
