// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/selection.hpp
/// What a group keeps: the decision, apart from the mechanics that carry it out.

#include <cstdint>

#include "windowkv/core/slot_list.hpp"

namespace windowkv {

/// Kept slots of one layer group, valid for every layer of it. A small value that points into the
/// compression's workspace: it stays valid until that workspace is used for another prompt.
///
/// Where every KV head keeps its own tokens there are `lists` lists, one after the other, that of KV head h
/// from `offsets[h]` on: the flattened form in which AdaKV stores such a cache, `offsets` being its
/// cumulative lengths.
struct selection {
  int group = -1;
  int tokens = 0;  ///< N: slots before
  int kept = 0;    ///< M: slots after; of several lists, those of the longest
  std::int32_t const* slots =
      nullptr;      ///< kept slots [rows()], strictly ascending within a list; in a prompt
                    ///< that was not compressed before, also the original positions
  int windows = 0;  ///< kept windows of the review part, of all lists
  std::int32_t const* window_ids = nullptr;  ///< which [windows], ascending within a list
  /// Share of the token scores of the review part that the kept tokens hold, averaged over heads and scoring
  /// layers: with suffix_attention, of the attention that the suffix pays to what came before it (1 = nothing
  /// lost). With a list per KV head, the mean of what the lists hold of their own scores. No share where
  /// scores may be negative, as those of keys alone are.
  float retained = 1.f;
  int lists = 1;                                 ///< 1, or one per KV head
  std::int32_t const* offsets = nullptr;         ///< [lists + 1] into slots; may be null for one list
  std::int32_t const* window_offsets = nullptr;  ///< [lists + 1] into window_ids; likewise

  /// What a KV head keeps.
  slot_list list(int head = 0) const {
    if (lists == 1) return {slots, kept};
    return {slots + offsets[head], offsets[head + 1] - offsets[head]};
  }
  /// Kept slots of all lists.
  int rows() const { return lists == 1 ? kept : offsets[lists]; }
};

}  // namespace windowkv
