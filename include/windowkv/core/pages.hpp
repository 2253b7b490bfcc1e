// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/pages.hpp
/// Eviction from paged caches by page table: whole pages leave a sequence's table and no byte of the pool is
/// read or written, so that pages which other sequences hold too are safe. Host only.
///
/// Windows and pages line up with `fixed_windows{k * page_size}` and a selector that protects
/// `shared_tail(review, page_size)`: then every selection can be carried out by `edit_page_table`. Otherwise
/// compact the rows in place (ask `validate_pages_to_write` first) and give back `unused_pages`, or keep
/// whole pages (`partial_pages::keep_whole`).

#include <cstdint>
#include <type_traits>

#include "windowkv/core/page_table.hpp"
#include "windowkv/core/slot_list.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Pages that hold `tokens` (0 or more) tokens; the last may be in part used. `page_size` is 1 or more.
constexpr int page_count(int tokens, int page_size) { return detail::pages_of(tokens, page_size); }

/// The review tokens that share a page with the suffix, which always stays: the end of [0, review), empty if
/// the suffix starts a page. Selectors must protect them, else a selection may keep part of their page. In a
/// prompt of N tokens, review = N - min(S, N) with the S of the prompt's task. `review` is 0 or more,
/// `page_size` 1 or more.
constexpr token_range shared_tail(int review, int page_size) { return {review - review % page_size, review}; }

/// One sequence's page table; host memory. `Index` is a signed integer of 4 or 8 bytes.
template <class Index>
struct editable_page_table {
  /// [count] pages of the pool: those in use, in the order of the slots they hold, then reserved ones.
  Index* entries = nullptr;
  int count = 0;                ///< without the padding that rectangular tables have
  int page_size = 0;            ///< slots of a page
  std::int64_t pool_pages = 0;  ///< entries lie in [0, pool_pages)
  /// [pool_pages] holders of each page, this sequence among them; null: no page is shared.
  std::int32_t const* references = nullptr;
};

/// What to do with a page of which only some tokens are kept.
enum class partial_pages : std::uint8_t {
  refuse,
  keep_whole,  ///< the tokens that were not kept stay, too
};

/// Where a page-table edit writes its lists; host memory that overlaps neither table nor slot list.
/// Capacities of page_count(tokens, page_size) pages and of `tokens` slots always suffice; a list without
/// entries may be null.
template <class Index>
struct page_edit_buffers {
  Index* freed = nullptr;  ///< pages that nobody holds any more, in the order of the table
  int freed_capacity = 0;
  Index* released = nullptr;  ///< pages that others still hold, in the order of the table
  int released_capacity = 0;
  std::int32_t* slots = nullptr;  ///< partial_pages::keep_whole: all slots that stay, strictly ascending
  int slot_capacity = 0;
};

/// Numbers of a page-table edit.
struct page_edit {
  int count = 0;  ///< entries of the table: pages in use, then the reserved ones; what lies behind is stale
  int pages = 0;  ///< of these, in use
  int freed = 0;  ///< entries of page_edit_buffers.freed
  int released = 0;  ///< entries of page_edit_buffers.released
  int length = 0;    ///< slots in use: the new physical length
  int extra = 0;     ///< of these, slots that the list did not keep
};

/// Entries of a page table that are no longer needed: pages[0..count), the table's entries from `first` on.
template <class Index>
struct page_span {
  Index const* pages = nullptr;
  int first = 0;
  int count = 0;
};

namespace detail {

template <class Index>
constexpr void require_page_index() {
  static_assert(std::is_integral_v<Index> && std::is_signed_v<Index> &&
                    (sizeof(Index) == sizeof(std::int32_t) || sizeof(Index) == sizeof(std::int64_t)),
                "windowkv: entries of a page table are signed integers of 4 or 8 bytes");
}

/// A table whose first entries hold `tokens` slots.
template <class Index>
status validate_editable(editable_page_table<Index> const& table, int tokens) {
  require_page_index<Index>();
  WINDOWKV_TRY(require_at_least("tokens", tokens, 0));
  WINDOWKV_TRY(require_at_least("editable_page_table.page_size", table.page_size, 1));
  WINDOWKV_TRY(require_at_least("editable_page_table.count (pages of the tokens)", table.count,
                                page_count(tokens, table.page_size)));
  if (table.count == 0) return {};
  WINDOWKV_TRY(require_not_null("editable_page_table.entries", table.entries));
  WINDOWKV_TRY(require_at_least("editable_page_table.pool_pages", table.pool_pages, 1));
  WINDOWKV_TRY(validate_page_table(table.entries, table.count, table.pool_pages));
  for (int i = 0; table.references != nullptr && i < table.count; ++i) {
    std::int32_t const holders = table.references[table.entries[i]];
    WINDOWKV_TRY(require(holders >= 1, "editable_page_table.references (of a page in the table)", holders,
                         "must be at least 1; entry of the table:", i));
  }
  return {};
}

/// Calls visit(page, begin, end, kept) for every page in use: its slots [begin, end), and how many are kept.
template <class Visit>
void for_each_page(slot_list const& kept, int tokens, int page_size, Visit&& visit) {
  int next = 0;
  int const pages = page_count(tokens, page_size);
  for (int page = 0; page < pages; ++page) {
    int const begin = page * page_size;
    int const end = tokens - begin < page_size ? tokens : begin + page_size;
    int const first = next;
    while (next < kept.count && kept.slots[next] < end) ++next;
    visit(page, begin, end, next - first);
  }
}

}  // namespace detail

/// Evicts from a paged cache without moving a byte: takes the pages without kept tokens out of the sequence's
/// table, in place. Every page must be kept whole or dropped whole; the last page in use is whole with the
/// tokens it holds. Where only part of a page is kept, `partial` decides: refuse, naming the page, or keep it
/// whole. Kept slot i is slot i afterwards (slot i of `out.slots` with keep_whole), and positions must
/// follow: `keep_positions`. The caller lowers the reference counts of the dropped pages; nothing else is to
/// be done to the released ones, and the freed ones go back to the pool. A table serves all layers that share
/// it; they must share the selection.
/// @param kept slots that stay, of [0, tokens)
/// @param tokens N: slots in use; the table's first page_count(N, page_size) entries hold them
/// Returns a failed status, with nothing written, for lists that do not ascend or leave the tokens, tables
/// that are too short, leave the pool, list a page twice or hold a page without references, and buffers that
/// are too small.
template <class Index>
result<page_edit> edit_page_table(slot_list const& kept, int tokens, editable_page_table<Index> const& table,
                                  page_edit_buffers<Index> const& out,
                                  partial_pages partial = partial_pages::refuse) {
  WINDOWKV_TRY(detail::validate_editable(table, tokens));
  WINDOWKV_TRY(detail::validate_slots(kept, tokens));
  auto const is_shared = [&](Index page) {
    return table.references != nullptr && table.references[page] > 1;
  };

  page_edit edit;
  status cut;  // the first page of which only a part is kept
  detail::for_each_page(kept, tokens, table.page_size, [&](int page, int begin, int end, int kept_tokens) {
    if (kept_tokens == 0) {
      ++(is_shared(table.entries[page]) ? edit.released : edit.freed);
      return;
    }
    if (kept_tokens < end - begin && cut.ok()) {
      cut = status::failure(status_code::invalid_argument, "slot_list (whole pages): kept tokens of a page",
                            kept_tokens, "must be all or none; page of the table:", page);
    }
    ++edit.pages;
    edit.length += end - begin;
  });
  if (partial == partial_pages::refuse) WINDOWKV_TRY(cut);
  edit.extra = edit.length - kept.count;
  int const pages_before = page_count(tokens, table.page_size);
  edit.count = table.count - pages_before + edit.pages;

  WINDOWKV_TRY(detail::require_at_least("page_edit_buffers.freed_capacity", out.freed_capacity, edit.freed));
  WINDOWKV_TRY(
      detail::require_at_least("page_edit_buffers.released_capacity", out.released_capacity, edit.released));
  if (edit.freed > 0) WINDOWKV_TRY(detail::require_not_null("page_edit_buffers.freed", out.freed));
  if (edit.released > 0) WINDOWKV_TRY(detail::require_not_null("page_edit_buffers.released", out.released));
  bool const lists_slots = partial == partial_pages::keep_whole && edit.length > 0;
  if (lists_slots) {
    WINDOWKV_TRY(detail::require_at_least("page_edit_buffers.slot_capacity", out.slot_capacity, edit.length));
    WINDOWKV_TRY(detail::require_not_null("page_edit_buffers.slots", out.slots));
  }

  int pages = 0;
  int freed = 0;
  int released = 0;
  int slots = 0;
  detail::for_each_page(kept, tokens, table.page_size, [&](int page, int begin, int end, int kept_tokens) {
    Index const entry = table.entries[page];
    if (kept_tokens > 0) {
      table.entries[pages++] = entry;
      for (int slot = begin; lists_slots && slot < end; ++slot) out.slots[slots++] = slot;
    } else if (is_shared(entry)) {
      out.released[released++] = entry;
    } else {
      out.freed[freed++] = entry;
    }
  });
  for (int i = pages_before; i < table.count; ++i) table.entries[pages++] = table.entries[i];
  return edit;
}

/// Refuses a compaction in place that would write to a page which others hold too (a shared prefix): rows
/// move to slots [i, kept.count), where i is the first slot that is not kept; pages before are left alone.
/// `kv_view.shared_slots` asks the same of a number of shared slots. Needs `table.references`; without them
/// no page is shared, and only table and list are checked.
template <class Index>
status validate_pages_to_write(slot_list const& kept, int tokens, editable_page_table<Index> const& table) {
  WINDOWKV_TRY(detail::validate_editable(table, tokens));
  WINDOWKV_TRY(detail::validate_slots(kept, tokens));
  int first = 0;
  while (first < kept.count && kept.slots[first] == first) ++first;
  if (first == kept.count || table.references == nullptr) return {};
  for (int page = first / table.page_size; page < page_count(kept.count, table.page_size); ++page) {
    std::int32_t const holders = table.references[table.entries[page]];
    WINDOWKV_TRY(detail::require(holders == 1,
                                 "editable_page_table.references (rows would be moved into the page)",
                                 holders, "must be 1; entry of the table:", page));
  }
  return {};
}

/// The pages that a sequence no longer needs once its rows were moved to the front: all entries behind those
/// of `tokens_after` slots, reserved ones included (to keep room for more tokens, count it in). Pages with
/// more than one holder are to be released, the others freed. Nothing is changed; the caller cuts the table
/// at `first`.
/// @param table [entries] pages of the pool; host memory
template <class Index>
result<page_span<Index>> unused_pages(Index const* table, int entries, int page_size, int tokens_after) {
  detail::require_page_index<Index>();
  WINDOWKV_TRY(detail::require_at_least("unused_pages.page_size", page_size, 1));
  WINDOWKV_TRY(detail::require_at_least("unused_pages.tokens_after", tokens_after, 0));
  int const needed = page_count(tokens_after, page_size);
  WINDOWKV_TRY(detail::require_at_least("unused_pages.entries (pages of tokens_after)", entries, needed));
  if (entries > 0) WINDOWKV_TRY(detail::require_not_null("unused_pages.table", table));
  return page_span<Index>{entries > 0 ? table + needed : nullptr, needed, entries - needed};
}

}  // namespace windowkv
