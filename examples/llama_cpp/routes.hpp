// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file routes.hpp
/// Three ways to make llama.cpp keep chosen tokens only. All leave original positions: the next token's is
/// that of the prompt's end.

#include <cstdint>
#include <vector>

#include "engine.hpp"
#include "state_blob.hpp"

namespace llama_demo {

/// Way 1: removes what is not in `kept` from all layers. Cells become free, but the others stay where they
/// are. Returns the number of ranges.
int remove_others(session& engine, std::vector<std::int32_t> const& kept, int prompt_tokens);

/// Way 2: rewrites the sequence's state, so that layer l keeps kept[l]. The cells end up side by side. Handed
/// to a session with fewer cells, this is way 3, the one that frees memory.
state_bytes compressed_state(session const& engine, expected_state const& expected,
                             std::vector<std::vector<std::int32_t>> const& kept);

}  // namespace llama_demo
