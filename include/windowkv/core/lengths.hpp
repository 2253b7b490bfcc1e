// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/lengths.hpp
/// Bookkeeping once slot and position have parted. A cache then has two lengths: how many slots it holds, and
/// which position comes next. Compression changes the first and never the second. Layers that keep different
/// counts have different physical lengths and the same logical one. Host only.
///
/// Where positions are asked for they come in one of three forms:
///  - an array [physical] of the position of each slot, strictly ascending, as `kv_view.positions` keeps it
///  along;
///  - a null pointer: slot = position, a cache from which nothing was evicted;
///  - `prompt_positions`: the list of kept slots of a prompt, for engines that keep no array.
/// They are searched in O(log slots) steps, so that only their ends can be checked; an array that does not
/// ascend gives a number between 0 and the physical length, but not a meaningful one.

#include <cstdint>

#include "windowkv/core/slot_list.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// The two lengths of one layer's cache of one sequence. After the compression of a prompt of N tokens to M:
/// {M, N}.
struct cache_lengths {
  int physical = 0;  ///< slots held: where the next token is written, and what attention reads
  int logical = 0;   ///< position of the next token: tokens seen, evicted ones included
};

/// Positions of a cache that was compressed once, right behind its prompt: slot i of the kept ones has
/// position kept.slots[i], the slots behind hold positions tokens, tokens + 1, ... without a gap. The list
/// must stay valid (a `selection` points into its workspace).
struct prompt_positions {
  slot_list kept;
  int tokens = 0;  ///< N

  /// Position of a slot; for slots that the cache holds.
  int operator()(int slot) const {
    return slot < kept.count ? kept.slots[slot] : tokens + (slot - kept.count);
  }
};

namespace detail {

inline status validate_lengths(cache_lengths const& lengths) {
  WINDOWKV_TRY(require_at_least("cache_lengths.physical", lengths.physical, 0));
  return require_at_least("cache_lengths.logical", lengths.logical, lengths.physical);
}

inline status validate_positions(std::int32_t const* positions, cache_lengths const& lengths) {
  WINDOWKV_TRY(validate_lengths(lengths));
  if (lengths.physical == 0) return {};
  if (positions == nullptr)
    return require_equal("cache_lengths.physical (without positions)", lengths.physical, lengths.logical);
  WINDOWKV_TRY(require_at_least("positions[0]", positions[0], 0));
  return require_at_most("positions (the last of them)", positions[lengths.physical - 1],
                         std::int64_t{lengths.logical} - 1);
}

inline status validate_positions(prompt_positions const& positions, cache_lengths const& lengths) {
  slot_list const& kept = positions.kept;
  WINDOWKV_TRY(validate_lengths(lengths));
  WINDOWKV_TRY(require_at_least("slot_list.count", kept.count, 0));
  WINDOWKV_TRY(require_at_least("prompt_positions.tokens", positions.tokens, kept.count));
  if (kept.count > 0) {
    WINDOWKV_TRY(require_not_null("slot_list.slots", kept.slots));
    WINDOWKV_TRY(require_at_least("slot_list.slots[0]", kept.slots[0], 0));
    WINDOWKV_TRY(require_at_most("slot_list.slots (the last of them)", kept.slots[kept.count - 1],
                                 std::int64_t{positions.tokens} - 1));
  }
  WINDOWKV_TRY(
      require_at_least("cache_lengths.physical (kept slots of the prompt)", lengths.physical, kept.count));
  return require_equal("cache_lengths.logical (prompt and what came behind it)", lengths.logical,
                       std::int64_t{positions.tokens} + (lengths.physical - kept.count));
}

/// The first slot in [0, slots) for which `is_behind(slot)` is true, or `slots`; true stays true.
template <class IsBehind>
int first_slot_behind(int slots, IsBehind const& is_behind) {
  int low = 0;
  int high = slots;
  while (low < high) {
    int const middle = low + (high - low) / 2;
    if (is_behind(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

inline status validate_new_logical(int new_logical, cache_lengths const& lengths) {
  WINDOWKV_TRY(require_at_least("truncate.new_logical", new_logical, 0));
  return require_at_most("truncate.new_logical", new_logical, lengths.logical);
}

}  // namespace detail

/// Lengths after `tokens` more tokens were written to the slots from `physical` on; where the cache carries
/// positions, theirs are logical, logical + 1, ...
inline result<cache_lengths> append(cache_lengths const& lengths, int tokens) {
  WINDOWKV_TRY(detail::validate_lengths(lengths));
  WINDOWKV_TRY(detail::require_at_least("append.tokens", tokens, 0));
  WINDOWKV_TRY(detail::require_at_most("append.tokens (positions are int32)", tokens,
                                       std::int64_t{INT32_MAX} - lengths.logical));
  return cache_lengths{lengths.physical + tokens, lengths.logical + tokens};
}

/// Lengths after everything from position `new_logical` on is forgotten; the slots that stay are the first
/// `physical` ones. For rejected tokens of speculative decoding, which lie behind the prompt and were never
/// evicted, both lengths shrink by the same number. Trimming into the prompt forgets its suffix first, then
/// kept tokens; what was evicted before `new_logical` stays evicted, and what was kept was chosen for the
/// suffix that is gone. So the rest is not what a compression of the shorter prompt would keep: go on from it
/// only if that is good enough, else trim further, to `complete_prefix`.
inline result<cache_lengths> truncate(std::int32_t const* positions, cache_lengths const& lengths,
                                      int new_logical) {
  WINDOWKV_TRY(detail::validate_positions(positions, lengths));
  WINDOWKV_TRY(detail::validate_new_logical(new_logical, lengths));
  int const physical = detail::first_slot_behind(lengths.physical, [&](int slot) {
    return (positions != nullptr ? positions[slot] : slot) >= new_logical;
  });
  return cache_lengths{physical, new_logical};
}

/// The same for a cache without an array of positions. `positions` is shortened along when the cut lies
/// within the prompt, so that tokens appended later get the positions from `new_logical` on.
inline result<cache_lengths> truncate(prompt_positions& positions, cache_lengths const& lengths,
                                      int new_logical) {
  WINDOWKV_TRY(detail::validate_positions(positions, lengths));
  WINDOWKV_TRY(detail::validate_new_logical(new_logical, lengths));
  int const physical =
      detail::first_slot_behind(lengths.physical, [&](int slot) { return positions(slot) >= new_logical; });
  if (new_logical < positions.tokens) {
    positions.kept.count = physical;
    positions.tokens = new_logical;
  }
  return cache_lengths{physical, new_logical};
}

/// The largest k for which positions 0, ..., k - 1 are all held (in slots 0, ..., k - 1). A prompt cache may
/// match a new prompt up to there and no further: behind k a token is missing, and the ones after it were
/// kept for another question. Truncated to k, the cache is as if nothing had ever been evicted.
inline result<int> complete_prefix(std::int32_t const* positions, cache_lengths const& lengths) {
  WINDOWKV_TRY(detail::validate_positions(positions, lengths));
  if (positions == nullptr) return lengths.physical;
  return detail::first_slot_behind(lengths.physical, [&](int slot) { return positions[slot] != slot; });
}
inline result<int> complete_prefix(prompt_positions const& positions, cache_lengths const& lengths) {
  WINDOWKV_TRY(detail::validate_positions(positions, lengths));
  return detail::first_slot_behind(lengths.physical, [&](int slot) { return positions(slot) != slot; });
}

/// Compacts an array of positions as the rows were: positions[i] = positions[kept.slots[i]]. For engines that
/// move rows themselves or edit page tables; `compact` does it where the view has positions.
/// @param positions [slots], host memory, must not overlap the list; elements from kept.count on are left.
inline status keep_positions(slot_list const& kept, std::int32_t* positions, int slots) {
  WINDOWKV_TRY(detail::require_at_least("keep_positions.slots", slots, 0));
  WINDOWKV_TRY(detail::validate_slots(kept, slots));
  if (kept.count > 0) WINDOWKV_TRY(detail::require_not_null("keep_positions.positions", positions));
  for (int i = 0; i < kept.count; ++i) positions[i] = positions[kept.slots[i]];
  return {};
}

}  // namespace windowkv
