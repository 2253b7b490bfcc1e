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
  constexpr std::int64_t range = 1 << 17;  // pages at a time: 16 KiB of stack
  std::uint64_t is_listed[range / 64];
  std::int64_t least = INT64_MAX;
  std::int64_t most = 0;
  for (int i = 0; i < entries; ++i) {
    if (table[i] < least) least = table[i];
    if (table[i] > most) most = table[i];
  }
  for (std::int64_t first = least; first <= most; first += range) {
    std::memset(is_listed, 0, sizeof is_listed);
    for (int i = 0; i < entries; ++i) {
      std::int64_t const page = table[i] - first;
      if (page < 0 || page >= range) continue;
      std::uint64_t const bit = std::uint64_t{1} << (page % 64);
      if ((is_listed[page / 64] & bit) != 0) {
        return status::failure(status_code::invalid_argument, "page table (a page is listed twice): page",
                               std::int64_t{table[i]}, "again in entry", i);
      }
      is_listed[page / 64] |= bit;
    }
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
