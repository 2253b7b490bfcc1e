// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/selection_writer.hpp
/// Writes the lists of a selection, one behind the other, into the workspace.

#include <algorithm>
#include <cstdint>

#include "windowkv/core/plan.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/slot_list.hpp"

namespace windowkv::detail {

class selection_writer {
 public:
  selection_writer(plan_data const& p, workspace_layout const& memory, selection& chosen)
      : p_(p),
        chosen_(chosen),
        slots_(memory.slots[chosen.group]),
        windows_(memory.windows[chosen.group]),
        slot_offsets_(memory.offsets[chosen.group]),
        window_offsets_(slot_offsets_ + p.lists + 1) {}

  /// The next list: the windows of the first `kept` rank keys, and the suffix.
  template <class WindowGrouping>
  slot_list add_list(WindowGrouping const& grouping, std::uint64_t const* keys, int kept, int suffix) {
    begin_list();
    std::int32_t* const ids = windows_ + window_count_;
    for (int i = 0; i < kept; ++i) ids[i] = index_of_rank_key(keys[i]);
    std::sort(ids, ids + kept);
    window_count_ += kept;
    for (int i = 0; i < kept; ++i) {
      int const end = grouping.end(ids[i], p_.review);
      for (int slot = grouping.begin(ids[i], p_.review); slot < end; ++slot) slots_[slot_count_++] = slot;
    }
    for (int slot = p_.prompt.tokens - suffix; slot < p_.prompt.tokens; ++slot) slots_[slot_count_++] = slot;
    return end_list();
  }
  /// The next list: all tokens.
  void add_everything() {
    begin_list();
    for (int slot = 0; slot < p_.prompt.tokens; ++slot) slots_[slot_count_++] = slot;
    for (int w = 0; w < p_.windows; ++w) windows_[window_count_++] = w;
    end_list();
  }
  void finish() const {
    slot_offsets_[list_] = slot_count_;
    window_offsets_[list_] = window_count_;
    chosen_.slots = slots_;
    chosen_.windows = window_count_;
    chosen_.window_ids = windows_;
    chosen_.lists = p_.lists;
    chosen_.offsets = slot_offsets_;
    chosen_.window_offsets = window_offsets_;
  }

 private:
  void begin_list() {
    slot_offsets_[list_] = slot_count_;
    window_offsets_[list_] = window_count_;
  }
  slot_list end_list() {
    int const begin = slot_offsets_[list_++];
    int const count = slot_count_ - begin;
    if (count > chosen_.kept) chosen_.kept = count;
    return {slots_ + begin, count};
  }

  plan_data const& p_;
  selection& chosen_;
  std::int32_t* slots_;
  std::int32_t* windows_;
  std::int32_t* slot_offsets_;
  std::int32_t* window_offsets_;
  int list_ = 0;
  int slot_count_ = 0;
  int window_count_ = 0;
};

}  // namespace windowkv::detail
