// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file continuation.hpp
/// Decoding behind a prompt: what it gives, what it costs, and how two caches compare.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine.hpp"

namespace llama_demo {

struct continuation {
  std::vector<std::vector<float>> logits;  ///< after each token
  double milliseconds = 0;                 ///< of a token, the median
  int attended_cells = 0;                  ///< that attention runs over for the first token
  std::size_t cache_bytes = 0;             ///< of the context's key and value tensors, used or not
};

/// Decodes the tokens at positions `first`, `first` + 1, ...
continuation decode_tokens(session& engine, std::vector<llama_token> const& tokens, int first);

/// The same from the full cache, with all prompt cells hidden from a layer but the `kept` ones of that layer.
/// Forgets the tokens afterwards.
continuation decode_with_hidden(session& engine, std::vector<llama_token> const& tokens, int prompt_tokens,
                                std::vector<std::vector<std::int32_t>> const& kept);

/// Appends the likeliest tokens to a prompt just computed, and forgets them afterwards.
std::vector<llama_token> continue_greedily(session& engine, int prompt_tokens, int new_tokens);

llama_token likeliest(std::vector<float> const& logits);

struct difference {
  double worst = 0;     ///< largest |a - b| / |b| over the tokens
  double smallest = 0;  ///< and the smallest
  int same_choice = 0;  ///< tokens after which both prefer the same token
  int tokens = 0;
};
difference compare(continuation const& a, continuation const& b);

}  // namespace llama_demo
