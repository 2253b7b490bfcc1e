// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/rank.hpp
/// The one order in which scores compete, on every backend: larger first, NaN below everything, -0 equal to
/// 0, ties to the smaller index. Packed into a 64-bit key, any top-k has exactly one answer.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"

namespace windowkv {

/// 32 bits that compare as unsigned numbers the way scores rank.
WINDOWKV_HD inline std::uint32_t rank_bits(float score) {
  std::uint32_t const bits = detail::float_bits(score);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0;  // NaN
  if ((bits & 0x7fffffffu) == 0) return 0x80000000u;
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/// Larger key = kept first. `index` must not be negative.
WINDOWKV_HD inline std::uint64_t rank_key(float score, std::int32_t index) {
  return (static_cast<std::uint64_t>(rank_bits(score)) << 32) |
         (0xffffffffu - static_cast<std::uint32_t>(index));
}

/// Key of a window that must stay: above every score, +infinity included, and above `preferred_rank_key`.
WINDOWKV_HD inline std::uint64_t protected_rank_key(std::int32_t index) {
  return (static_cast<std::uint64_t>(0xffffffffu) << 32) | (0xffffffffu - static_cast<std::uint32_t>(index));
}

/// Key of a window that stays as far as the budget reaches (attention sinks): above every score.
WINDOWKV_HD inline std::uint64_t preferred_rank_key(std::int32_t index) {
  return (static_cast<std::uint64_t>(0xfffffffeu) << 32) | (0xffffffffu - static_cast<std::uint32_t>(index));
}

/// Key of a window [begin, end) that scored `score`, by what the selector protects.
template <class Selector>
WINDOWKV_HD std::uint64_t window_key(Selector const& selector, float score, std::int32_t index, int begin,
                                     int end) {
  return selector.in_ranges(begin, end)  ? protected_rank_key(index)
         : selector.protects(begin, end) ? preferred_rank_key(index)
                                         : rank_key(score, index);
}

WINDOWKV_HD inline std::int32_t index_of_rank_key(std::uint64_t key) {
  return static_cast<std::int32_t>(0xffffffffu - static_cast<std::uint32_t>(key));
}

/// True if `a` ranks strictly above `b`.
WINDOWKV_HD inline bool ranks_above(float a, float b) { return rank_bits(a) > rank_bits(b); }

}  // namespace windowkv
