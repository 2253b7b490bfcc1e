// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/slot_list.hpp
/// The list of slots that stay, which is all that compaction, move lists and page-table edits need to know of
/// a selection.

#include <cstdint>

#include "windowkv/status.hpp"

namespace windowkv {

/// Kept slots, strictly ascending; host memory.
struct slot_list {
  std::int32_t const* slots = nullptr;
  int count = 0;
};

namespace detail {

/// Refuses lists that do not ascend or leave [0, slots).
inline status validate_slots(slot_list const& kept, int slots) {
  WINDOWKV_TRY(require_at_least("slot_list.count", kept.count, 0));
  if (kept.count > 0) WINDOWKV_TRY(require_not_null("slot_list.slots", kept.slots));
  std::int64_t least = 0;
  for (int i = 0; i < kept.count; ++i) {
    WINDOWKV_TRY(require_at_least("slot_list.slots (ascending)", kept.slots[i], least));
    least = std::int64_t{kept.slots[i]} + 1;
  }
  if (kept.count == 0) return {};
  return require_at_most("slot_list.slots", kept.slots[kept.count - 1], std::int64_t{slots} - 1);
}

}  // namespace detail
}  // namespace windowkv
