// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "../kv_cache.hpp"
#include "../trial.hpp"
#include "../weights.hpp"
#include "configuration.hpp"

namespace needle {

/// One prefilled prompt that many configurations compress: token scores are computed once for each way of
/// observing (suffix, decay, values).
class prompt_under_study {
 public:
  prompt_under_study(model_config const& config, prefilled_prompt const& prefilled)
      : config_(config), prefilled_(prefilled), tokens_(prefilled.cache().length(0, 0)) {}

  int tokens() const { return tokens_; }

  /// The cache that is left when `keep` tokens per layer stay, with room for the answer.
  kv_cache compress(settings const& s, int keep, int answer_tokens);

 private:
  /// Token scores of all layers, [layer][query head][review token].
  std::vector<float> const& scores_for(settings const& s);
  template <class Sharing>
  kv_cache compress_lists(settings const& s, Sharing const& sharing, int keep, int answer_tokens);

  model_config config_;
  prefilled_prompt const& prefilled_;
  int tokens_;
  std::map<std::tuple<int, float, bool>, std::vector<float>> scores_;
};

}  // namespace needle
