// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/selection.hpp
/// What a group keeps: the decision, apart from the mechanics that carry it out.

#include <cstdint>

namespace windowkv {

/// Kept slots of one layer group, valid for every layer of it. A small value that points into the
/// compression's workspace: it stays valid until that workspace is used for another prompt.
struct selection {
  int group = -1;
  int tokens = 0;                       ///< N: slots before
  int kept = 0;                         ///< M: slots after
  std::int32_t const* slots = nullptr;  ///< kept slots [kept], strictly ascending; in a prompt that was not
                                        ///< compressed before, also the original positions
  int windows = 0;
  std::int32_t const* window_ids = nullptr;  ///< kept windows of the review part [windows], ascending
  /// Share of the token scores of the review part that the kept tokens hold, averaged over heads and scoring
  /// layers: with suffix_attention, of the attention that the suffix pays to what came before it (1 = nothing
  /// lost).
  float retained = 1.f;
};

}  // namespace windowkv
