// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file choice.hpp
/// Which tokens stay: windowkv, scored from the engine's queries and keys or from its softmax.

#include <windowkv/policy/tasks.hpp>

#include <cstdint>
#include <vector>

#include "suffix_recorder.hpp"

namespace llama_demo {

struct choice_options {
  int tokens_per_layer = 0;  ///< kept, the suffix included; the same in every layer, as cells are shared
  int layers_per_group = 1;
  windowkv::task task = windowkv::task::localization;
};

enum class score_source { queries_and_keys, engine_softmax };

struct kept_tokens {
  std::vector<std::vector<std::int32_t>> of_group;  ///< ascending
  std::vector<int> group_of_layer;
  std::vector<float> retained;             ///< share of the suffix's attention, per group
  std::vector<std::vector<float>> scores;  ///< of the tokens in front of the suffix, per group

  int group_count() const { return static_cast<int>(of_group.size()); }
  int count() const { return static_cast<int>(of_group.front().size()); }
  std::vector<std::vector<std::int32_t>> of_layers() const;
};

/// Queries windowkv scores by: the prompt's last batch must have at least that many tokens.
int suffix_of(windowkv::task task);

kept_tokens choose(std::vector<layer_record> const& records, int prompt_tokens, choice_options const& options,
                   score_source source);

}  // namespace llama_demo
