// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/lag_relative.hpp
/// LagKV's row scorer.

#include <cmath>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Keys and values that stand out against what follows them (LagKV, arXiv 2504.04704, as kvpress has it). The
/// tokens behind the sinks are cut into blocks of `lag`. A block is seen relative to the next one: each
/// channel x becomes (x - min) / (max - min) by that block's extremes, a token's spread is the standard
/// deviation (n - 1) over its channels, and the softmax of the spreads over the block, of keys and of values,
/// is averaged. The score is the token's rank by it in its block, divided by `lag` (equal ones: the earlier
/// token ranks lower), or with `cross_scoring` the average itself. Sinks, the last whole block and what
/// follows it have nothing to be compared with and score 1, which is more than any other token. In a prompt
/// of less than two blocks later tokens score higher.
///
/// Channels that are constant over the next block are left out (the original divides by 0).
struct lag_relative {
  static constexpr bool reads_values = true;
  static constexpr int passes = 1;

  int sinks = 4;
  int lag = 128;
  bool cross_scoring = false;

  // scratch, for keys and then for values: [tokens] means, at last shares of the softmax; [tokens] squares
  std::int64_t scratch_floats(row_shape const& s) const {
    return scored_blocks(s.tokens) > 0 ? 4 * std::int64_t{s.tokens} : 0;
  }
  int items(int /*pass*/, row_shape const& s) const { return 2 * scored_blocks(s.tokens); }
  template <class Rows>
  WINDOWKV_HD void run(int /*pass*/, int item, Rows const& rows, float* scratch) const {
    int const first = sinks + item / 2 * lag;
    bool const of_values = item % 2 != 0;
    float* const means = scratch + (of_values ? 2 * std::int64_t{rows.tokens} : 0) + first;
    find_shares(first, of_values ? rows.value_dims : rows.dims, means, means + rows.tokens,
                [&](int token, int d) { return of_values ? rows.value(token, d) : rows.key(token, d); });
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    if (token < sinks) return 1.f;
    int const place = token - sinks;
    int const blocks = scored_blocks(rows.tokens);
    if (blocks == 0) return static_cast<float>(place) / static_cast<float>(rows.tokens - sinks);
    if (place / lag >= blocks) return 1.f;
    auto const average = [&](int j) { return (scratch[j] + scratch[2 * std::int64_t{rows.tokens} + j]) / 2; };
    float const own = average(token);
    if (cross_scoring) return own;
    int rank = 0;
    for (int j = token - place % lag; j < token - place % lag + lag; ++j) {
      std::uint32_t const other = rank_bits(average(j));
      if (other < rank_bits(own) || (other == rank_bits(own) && j < token)) ++rank;
    }
    return static_cast<float>(rank) / static_cast<float>(lag);
  }
  status validate() const {
    WINDOWKV_TRY(detail::require_at_least("lag_relative.sinks", sinks, 0));
    return detail::require_at_least("lag_relative.lag", lag, 1);
  }

 private:
  /// Blocks that are followed by a whole block.
  WINDOWKV_HD int scored_blocks(int tokens) const {
    return tokens >= sinks + 2 * std::int64_t{lag} ? (tokens - sinks) / lag - 1 : 0;
  }
  /// Shares of the softmax over the block from `first`, by element(token, d); both arrays start at the block.
  template <class Element>
  WINDOWKV_HD void find_shares(int first, int dims, float* means, float* squares,
                               Element const& element) const {
    for (int i = 0; i < lag; ++i) means[i] = squares[i] = 0.f;
    float count = 0.f;
    for (int d = 0; d < dims; ++d) {
      float least = element(first + lag, d);
      float most = least;
      for (int j = first + lag + 1; j < first + 2 * lag; ++j) {
        float const x = element(j, d);
        least = x < least ? x : least;
        most = x > most ? x : most;
      }
      if (least == most) continue;
      count += 1.f;
      for (int i = 0; i < lag; ++i) {  // Welford's update
        float const y = (element(first + i, d) - least) / (most - least);
        float const distance = y - means[i];
        means[i] += distance / count;
        squares[i] += distance * (y - means[i]);
      }
    }
    float const degrees = count > 1.f ? count - 1.f : 1.f;
    float largest = 0.f;
    for (int i = 0; i < lag; ++i) {
      means[i] = std::sqrt(squares[i] / degrees);
      if (means[i] > largest) largest = means[i];
    }
    float sum = 0.f;
    for (int i = 0; i < lag; ++i) {
      means[i] = std::exp(means[i] - largest);
      if (means[i] == means[i]) sum += means[i];  // a NaN stays the token's own
    }
    for (int i = 0; i < lag; ++i) means[i] /= sum;
  }
};

}  // namespace windowkv
