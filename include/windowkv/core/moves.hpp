// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/moves.hpp
/// A list of kept slots in the forms that engines with a mover of their own take: runs of rows to move, and
/// ranges that stay or go. Host only. Every function writes to a buffer of the caller and returns how many
/// entries it wrote; with a null buffer it only counts, and does not look at the capacity. A list of k slots
/// has at most k moves and k kept ranges, and at most k + 1 dropped ranges. A failed status means that
/// nothing was written. Slots are rows of the cache as it is: in a prompt that was not compressed before,
/// also positions.

#include <cstdint>

#include "windowkv/core/slot_list.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Rows [from, from + count) become rows [to, to + count); to < from.
struct slot_move {
  std::int32_t from = 0;
  std::int32_t to = 0;
  std::int32_t count = 0;
};

namespace detail {

/// Calls visit(from, to, count) for every longest run of consecutive slots, ascending.
template <class Visit>
void for_each_run(slot_list const& kept, Visit&& visit) {
  for (int begin = 0; begin < kept.count;) {
    int end = begin + 1;
    while (end < kept.count && kept.slots[end] == kept.slots[end - 1] + 1) ++end;
    visit(kept.slots[begin], begin, end - begin);
    begin = end;
  }
}

/// Lets `emit` produce its entries twice: to count them, and, once the buffer is known to hold them, to
/// write.
template <class Entry, class Emit>
result<int> write_entries(Entry* out, int capacity, char const* capacity_name, Emit const& emit) {
  int count = 0;
  emit([&](Entry const&) { ++count; });
  if (out == nullptr) return count;
  WINDOWKV_TRY(require_at_least(capacity_name, capacity, count));
  int written = 0;
  emit([&](Entry const& entry) { out[written++] = entry; });
  return count;
}

}  // namespace detail

/// The runs of rows that compaction moves, ascending; rows that stay where they are are left out. Copied in
/// this order, run by run, they may be moved in place: a run's destination may overlap its own source (row by
/// row ascending, or memmove; not memcpy), but never the source of a later run.
/// @param out [capacity], host memory, must not overlap the list.
inline result<int> list_moves(slot_list const& kept, slot_move* out, int capacity) {
  WINDOWKV_TRY(detail::validate_slots(kept, INT32_MAX));
  return detail::write_entries(out, capacity, "list_moves.capacity", [&](auto const& write) {
    detail::for_each_run(kept, [&](std::int32_t from, int to, int count) {
      if (from != to) write(slot_move{from, to, count});
    });
  });
}

/// The slots that stay of `tokens` slots, as ranges [begin, end): ascending, none empty, none touching.
/// @param out [capacity], host memory, must not overlap the list.
inline result<int> list_kept_ranges(slot_list const& kept, int tokens, token_range* out, int capacity) {
  WINDOWKV_TRY(detail::require_at_least("tokens", tokens, 0));
  WINDOWKV_TRY(detail::validate_slots(kept, tokens));
  return detail::write_entries(out, capacity, "list_kept_ranges.capacity", [&](auto const& write) {
    detail::for_each_run(kept, [&](std::int32_t from, int /*to*/, int count) {
      write(token_range{from, from + count});
    });
  });
}

/// The slots of `tokens` slots that go, as ranges [begin, end): ascending, none empty, none touching. What
/// llama.cpp's llama_memory_seq_rm(memory, sequence, begin, end) takes, one call per range.
/// @param out [capacity], host memory, must not overlap the list.
inline result<int> list_dropped_ranges(slot_list const& kept, int tokens, token_range* out, int capacity) {
  WINDOWKV_TRY(detail::require_at_least("tokens", tokens, 0));
  WINDOWKV_TRY(detail::validate_slots(kept, tokens));
  return detail::write_entries(out, capacity, "list_dropped_ranges.capacity", [&](auto const& write) {
    std::int32_t begin = 0;
    detail::for_each_run(kept, [&](std::int32_t from, int /*to*/, int count) {
      if (begin < from) write(token_range{begin, from});
      begin = from + count;
    });
    if (begin < tokens) write(token_range{begin, tokens});
  });
}

}  // namespace windowkv
