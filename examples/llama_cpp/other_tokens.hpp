// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file other_tokens.hpp
/// Controls: with these tokens hidden instead, logits must differ, or the comparison would show nothing.

#include <cstdint>
#include <vector>

namespace llama_demo {

/// Per layer, as many tokens of the first `review` ones, mirrored; those behind stay.
std::vector<std::vector<std::int32_t>> mirrored(std::vector<std::vector<std::int32_t>> const& kept,
                                                int review);

/// The layers' lists in reverse order; mirrored where that would change less than half of the tokens.
std::vector<std::vector<std::int32_t>> swapped(std::vector<std::vector<std::int32_t>> const& kept,
                                               int review);

}  // namespace llama_demo
