// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/pyramid_budgets.hpp
/// PyramidKV's budgets (arXiv 2406.02069) as two public codes have them: an arithmetic series over groups
/// (over layers, with `no_sharing`), most tokens first. Neither sums to L * C exactly; `exact_budget` around
/// them does.

#include <cmath>
#include <cstdint>

#include "windowkv/policy/budgets.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// KVCache-Factory's series, exactly. With base = C - S: the last group would keep floor(base / beta) tokens
/// besides the suffix, the first 2 base minus that, but not more than there are, then the last gets what is
/// over; group i keeps first - i * step and the suffix, step = floor((first - last) / (G - 1)). A prompt
/// below C stays whole; below 2 base, with `uniform_when_short`, every group keeps C. One group keeps C.
struct pyramid_budget {
  int beta = 20;
  bool uniform_when_short = true;  ///< false: AdaKV's form, where the series holds for short prompts, too
  static constexpr bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(detail::require_at_least("pyramid_budget.beta", beta, 1));
    std::int64_t const base = std::int64_t{request.tokens_per_layer} - request.suffix;
    std::int64_t const past = std::int64_t{request.available} - request.suffix;
    bool const is_short = uniform_when_short && request.available < 2 * base;
    if (request.available < request.tokens_per_layer || is_short || base <= 0 || request.groups == 1) {
      return uniform_budget{}.allocate(request, out);
    }
    std::int64_t last = base / beta;
    std::int64_t first = 2 * base - last;
    if (first >= past) {
      first = past;
      last = 2 * base - first;
    }
    std::int64_t const step = (first - last) / (request.groups - 1);  // first >= base >= last
    for (int i = 0; i < request.groups; ++i) {
      out[i] = static_cast<std::int32_t>(first - i * step + request.suffix);
    }
    return {};
  }
};

/// kvpress' series: real numbers, rounded at the end (halves to even), of counts that include the suffix. The
/// last group gets C / beta, the first 2C minus that, but not more than R, then the last gets what is over.
/// Where that is not a falling series of counts between S and N, every group gets C.
struct rounded_pyramid_budget {
  int beta = 20;
  double tokens = 0;  ///< C as a real number, N * (1 - ratio) in kvpress; 0: the method's tokens_per_layer
  static constexpr bool counts_suffix = true;

  status allocate(budget_request const& request, std::int32_t* out) const {
    WINDOWKV_TRY(detail::require_at_least("rounded_pyramid_budget.beta", beta, 1));
    if (!(tokens >= 0 && tokens <= INT32_MAX)) {
      return status::failure(status_code::invalid_argument, "rounded_pyramid_budget.tokens",
                             "must be a number of tokens, or 0");
    }
    double const mean = tokens > 0 ? tokens : static_cast<double>(request.tokens_per_layer);
    double const suffix = request.suffix;
    double const review = request.available - suffix;
    double const base = (suffix + mean) - suffix;  // not `mean`: the original rounds twice
    double last = base / beta;
    double first = base * 2 - last;
    if (first >= review) {
      first = review;
      last = base * 2 - first;
    }
    bool const is_series =
        request.groups > 1 && request.available >= first && first >= last && last >= suffix;
    double const step = is_series ? (first - last) / (request.groups - 1) : 0;
    for (int i = 0; i < request.groups; ++i) {
      // volatile: fused with the subtraction, the product would not be rounded as the original's is.
      double const volatile fall = i * step;
      double const count = std::nearbyint(is_series ? first - fall : mean);
      out[i] = static_cast<std::int32_t>(count);
    }
    return {};
  }
};

}  // namespace windowkv
