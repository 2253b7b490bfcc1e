// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/quantised.hpp
/// Elements of memory that hold several numbers of one head, or numbers nobody needs to read. A block type is
/// trivially copyable and has `dims`, how many consecutive dims it holds, and `load(dim)` of one of them;
/// planes of blocks are made by the same functions as planes of numbers, with D in dims.

#include <cstddef>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/half.hpp"

namespace windowkv {
namespace detail {

WINDOWKV_HD inline float load_float16(unsigned char const* bytes) {
  float16 half;
  half.bits = static_cast<std::uint16_t>(bytes[0] | (bytes[1] << 8));
  return static_cast<float>(half);
}

}  // namespace detail

/// Two signed 4-bit integers, the lower dim in the lower nibble: values -8 to 7. For scales kept apart
/// (`with_scales`).
struct int4_pair {
  static constexpr int dims = 2;
  std::uint8_t bits;

  WINDOWKV_HD float load(int dim) const {
    int const nibble = (bits >> (4 * dim)) & 0xf;
    return static_cast<float>(nibble < 8 ? nibble : nibble - 16);
  }
};

/// ggml's Q8_0: an fp16 scale, then 32 signed bytes.
struct q8_0_block {
  static constexpr int dims = 32;
  unsigned char bytes[2 + 32];

  WINDOWKV_HD float load(int dim) const {
    return static_cast<float>(static_cast<signed char>(bytes[2 + dim])) * detail::load_float16(bytes);
  }
};

/// ggml's Q4_0: an fp16 scale, then 32 unsigned nibbles that stand for -8 to 7; byte i has dim i in its lower
/// and dim i + 16 in its upper nibble.
struct q4_0_block {
  static constexpr int dims = 32;
  unsigned char bytes[2 + 16];

  WINDOWKV_HD float load(int dim) const {
    int const nibble = (bytes[2 + dim % 16] >> (dim < 16 ? 0 : 4)) & 0xf;
    return static_cast<float>(nibble - 8) * detail::load_float16(bytes);
  }
};

/// `Bytes` bytes that can be moved and not read: a whole quantised row, a latent, anything.
template <std::size_t Bytes>
struct opaque {
  unsigned char bytes[Bytes];
};

static_assert(sizeof(int4_pair) == 1 && sizeof(q8_0_block) == 34 && sizeof(q4_0_block) == 18);

}  // namespace windowkv
