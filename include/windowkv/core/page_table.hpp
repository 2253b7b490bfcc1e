// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/page_table.hpp
/// Checks of page tables and slot lists in host memory.

#include <cstdint>
#include <cstring>

#include "windowkv/status.hpp"

namespace windowkv::detail {

/// Pages that `slots` slots take.
constexpr int pages_of(int slots, int page_size) {
  return slots / page_size + (slots % page_size != 0 ? 1 : 0);
}

template <class Entry>
bool is_ascending(Entry const* table, int entries) {
  for (int i = 1; i < entries; ++i) {
    if (!(table[i - 1] < table[i])) return false;
  }
  return true;
}

/// Refuses entries outside [0, pool_pages) and pages that are listed twice. Nothing is allocated: tables that
/// do not ascend are compared through a bitmap on the stack, one range of pages after the other.
template <class Index>
status validate_page_table(Index const* table, int entries, std::int64_t pool_pages) {
  for (int i = 0; i < entries; ++i) {
    WINDOWKV_TRY(require_at_least("page table: page", std::int64_t{table[i]}, 0));
    WINDOWKV_TRY(require_at_most("page table: page", std::int64_t{table[i]}, pool_pages - 1));
  }
  if (is_ascending(table, entries)) return {};
  constexpr std::int64_t range = 1 << 18;  // pages at a time: 32 KiB of stack
  std::uint64_t is_listed[range / 64];
  std::int64_t first = 0;
  for (bool is_done = false; !is_done;) {
    std::memset(is_listed, 0, sizeof is_listed);
    std::int64_t next =
        pool_pages;  // the least page behind this range: a pass that finds nothing is left out
    for (int i = 0; i < entries; ++i) {
      std::int64_t const listed = table[i];
      if (listed < first) continue;
      std::int64_t const page = listed - first;
      if (page >= range) {
        if (listed < next) next = listed;
        continue;
      }
      std::uint64_t const bit = std::uint64_t{1} << (page % 64);
      if ((is_listed[page / 64] & bit) != 0) {
        return status::failure(status_code::invalid_argument, "page table (a page is listed twice): page",
                               listed, "again in entry", i);
      }
      is_listed[page / 64] |= bit;
    }
    is_done = next == pool_pages;
    first = next;
  }
  return {};
}

/// The same for addresses of pages.
inline status require_distinct_pages(void* const* table, int entries) {
  if (is_ascending(table, entries)) return {};
  for (int i = 1; i < entries; ++i) {
    for (int j = 0; j < i; ++j) {
      if (table[i] == table[j]) {
        return status::failure(status_code::invalid_argument, "page table (a page is listed twice): entry", i,
                               "has the address of entry", j);
      }
    }
  }
  return {};
}

}  // namespace windowkv::detail
