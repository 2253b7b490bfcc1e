// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file prompt_cache.hpp
/// A prompt in the cache of a context, and what is known about it.

#include <cstdint>
#include <memory>
#include <vector>

#include "engine.hpp"
#include "options.hpp"
#include "state_blob.hpp"
#include "suffix_recorder.hpp"

namespace llama_demo {

/// As many tokens of the prompt file, or random ones, as the options ask for.
std::vector<llama_token> read_prompt(options const& o, model const& m);

/// A session with room for `tokens`.
std::unique_ptr<session> open_session(options const& o, model const& m, int tokens);

/// Computes the prompt, its last `suffix` tokens in a batch of their own, and returns what windowkv scores
/// by.
std::vector<layer_record> prefill(session& engine, std::vector<llama_token> const& prompt, int layers,
                                  int suffix);

/// The state that a sequence with these positions must have.
expected_state expect_state(std::vector<layer_record> const& records, std::vector<std::int32_t> positions);

/// 0, 1, ..., count - 1
std::vector<std::int32_t> first_positions(int count);

}  // namespace llama_demo
