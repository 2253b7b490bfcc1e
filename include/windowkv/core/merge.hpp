// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/merge.hpp
/// How the token scores of a layer's heads, and of a group's layers, become the rows of a score buffer: one
/// rule for all backends that hold token scores, in one order of additions, so that they get the same bits.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/policy/method.hpp"

namespace windowkv::detail {

/// Scores of several heads as one, lowest head first.
struct head_reducer {
  head_reduction how;
  float value = 0.f;

  WINDOWKV_HD void add(float score, bool is_first) {
    if (how == head_reduction::maximum) {
      if (is_first || ranks_above(score, value)) value = score;
    } else {
      value = is_first ? score : value + score;
    }
  }
  WINDOWKV_HD float finish(int heads) const {
    return how == head_reduction::mean ? value / static_cast<float>(heads) : value;
  }
};

/// Merges the token scores of one layer into what the group's earlier scoring layers left. Means are sums
/// that the last scoring layer divides: without a product there is nothing that a compiler could fuse with
/// the sum, so every backend gets the same bits.
struct score_merger {
  float* scores;  ///< [rows][review]
  float* mass;    ///< [review]
  std::int64_t review;
  head_merge heads;
  head_reduction reduction;
  layer_merge layers;
  bool is_first_layer;
  bool is_last_layer;
  float scoring_layers;

  /// Merges all heads' scores of one token: score_of(head) for the heads of the source, `per_list` for each
  /// of the lists.
  template <class ScoreOf>
  WINDOWKV_HD void merge_token(std::int64_t token, int per_list, int lists, ScoreOf const& score_of) const {
    float sum = 0.f;
    for (int list = 0; list < lists; ++list) {
      head_reducer reduced{reduction};
      for (int i = 0; i < per_list; ++i) {
        int const head = list * per_list + i;
        float const score = score_of(head);
        sum = head == 0 ? score : sum + score;
        reduced.add(score, i == 0);
        if (heads == head_merge::at_windows) merge(scores[head * review + token], score);
      }
      if (heads == head_merge::at_tokens) merge(scores[list * review + token], reduced.finish(per_list));
    }
    merge_mass(token, sum / static_cast<float>(per_list * lists));
  }

  /// The mean over all heads.
  WINDOWKV_HD void merge_mass(std::int64_t token, float mean) const { average(mass[token], mean); }

  WINDOWKV_HD void merge(float& merged, float score) const {
    if (layers == layer_merge::mean) {
      average(merged, score);
    } else if (is_first_layer || ranks_above(score, merged)) {
      merged = score;
    }
  }

 private:
  WINDOWKV_HD void average(float& merged, float score) const {
    merged = is_first_layer ? score : merged + score;
    if (is_last_layer) merged /= scoring_layers;
  }
};

}  // namespace windowkv::detail
