// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/layout.hpp
/// Layouts: where the element (slot, head, unit) of a plane lies. A unit is one element of memory: one
/// number, or a block of several (core/quantised.hpp); all strides count elements. A layout is a trivially
/// copyable value with
///
///     T* address(T* data, slot, head, unit) const   for any T
///     status validate(slots, heads, units, element_bytes) const
///
/// and, to be fast, `run(heads, units)`: how many elements lie side by side from the first of a head on,
/// which is 1, a divisor of `units`, `units`, or `heads * units` where a slot is in one piece. One that
/// offers `axes` is checked for overlaps. Without `run` and `axes` it works, element by element.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/core/page_table.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// One direction in which a plane steps through memory.
struct axis {
  std::int64_t extent = 1;
  std::int64_t stride = 0;
};

/// The most axes a layout of this library has: pages, slots, heads, packs, units.
inline constexpr int most_axes = 5;

namespace detail {

/// Refuses strides by which two elements share an address, or that overflow. Sorts the axes, innermost first.
inline status validate_axes(axis* axes, int count, std::int64_t element_bytes) {
  for (int i = 1; i < count; ++i) {
    for (int j = i; j > 0 && axes[j].stride < axes[j - 1].stride; --j) std::swap(axes[j], axes[j - 1]);
  }
  std::int64_t const most = INT64_MAX / element_bytes;
  std::int64_t span = 1;  // elements from the first to behind the last of the axes seen so far
  for (int i = 0; i < count; ++i) {
    if (axes[i].extent == 1) continue;  // an axis of one element never steps
    if (axes[i].stride < span) {
      return status::failure(status_code::invalid_argument, "layout (elements overlap): stride",
                             axes[i].stride, "must be at least", span);
    }
    if (axes[i].stride > (most - span) / (axes[i].extent - 1)) {
      return status::failure(status_code::invalid_argument, "layout (offset overflows): stride",
                             axes[i].stride, "must be at most", (most - span) / (axes[i].extent - 1));
    }
    span += (axes[i].extent - 1) * axes[i].stride;
  }
  return {};
}

}  // namespace detail

/// Element offset = slot * slot_stride + head * head_stride + unit * dim_stride (positive strides).
/// [slot][head][dim], [head][slot][dim] and a transposed [head][dim][slot] are all just strides.
struct dense_layout {
  std::int64_t slot_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t dim_stride = 0;

  WINDOWKV_HD std::int64_t operator()(std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return slot * slot_stride + (head * head_stride + unit * dim_stride);
  }
  template <class T>
  WINDOWKV_HD T* address(T* data, std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    T* const column = data + (head * head_stride + unit * dim_stride);  // which many slots have in common
    return column + slot * slot_stride;
  }
  int run(int heads, int units) const {
    if (dim_stride != 1 && units > 1) return 1;
    return heads == 1 || head_stride == units ? heads * units : units;
  }
  int axes(int slots, int heads, int units, axis* out) const {
    out[0] = {slots, slot_stride};
    out[1] = {heads, head_stride};
    out[2] = {units, dim_stride};
    return 3;
  }
  /// Refuses strides that are not positive, that make two elements share an address, or that overflow.
  status validate(int slots, int heads, int units, std::int64_t element_bytes) const {
    WINDOWKV_TRY(detail::require_at_least("layout.slot_stride", slot_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.head_stride", head_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.dim_stride", dim_stride, 1));
    axis all[most_axes];
    return detail::validate_axes(all, axes(slots, heads, units, all), element_bytes);
  }
};

/// Heads of different lengths, one behind the other: the flattened cache of AdaKV. Slot i of head h is row
/// offsets[h] + i of a [rows][D] matrix; a head has no more slots than up to the next one's.
struct ragged_layout {
  std::int32_t const* offsets = nullptr;  ///< [heads], ascending, where the plane's memory is
  std::int64_t row_stride = 0;

  template <class T>
  WINDOWKV_HD T* address(T* data, std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return data + (offsets[head] + slot) * row_stride + unit;
  }
  int run(int /*heads*/, int units) const { return units; }
  status validate(int /*slots*/, int /*heads*/, int units, std::int64_t /*element_bytes*/) const {
    WINDOWKV_TRY(detail::require_not_null("ragged_layout.offsets", offsets));
    return detail::require_at_least("ragged_layout.row_stride", row_stride, units);
  }
};

/// Units in packs of `pack` that lie side by side, the packs apart: vLLM's keys [head][D / x][slot][x],
/// within a page. Element offset = slot * slot_stride + head * head_stride + unit / pack * pack_stride + unit
/// % pack.
struct packed_layout {
  std::int64_t slot_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t pack_stride = 0;
  std::int32_t pack = 1;  ///< units

  WINDOWKV_HD std::int64_t operator()(std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return slot * slot_stride + column(head, unit);
  }
  template <class T>
  WINDOWKV_HD T* address(T* data, std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    return data + column(head, unit) + slot * slot_stride;
  }
  int run(int /*heads*/, int /*units*/) const { return pack; }
  int axes(int slots, int heads, int units, axis* out) const {
    out[0] = {slots, slot_stride};
    out[1] = {heads, head_stride};
    out[2] = {units / pack, pack_stride};
    out[3] = {pack, 1};
    return 4;
  }
  status validate(int slots, int heads, int units, std::int64_t element_bytes) const {
    WINDOWKV_TRY(detail::require_at_least("layout.slot_stride", slot_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.head_stride", head_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.pack_stride", pack_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.pack", pack, 1));
    WINDOWKV_TRY(detail::require(units % pack == 0, "head_dim (in elements)", units,
                                 "must be a multiple of layout.pack", pack));
    axis all[most_axes];
    return detail::validate_axes(all, axes(slots, heads, units, all), element_bytes);
  }

 private:
  WINDOWKV_HD std::int64_t column(std::int64_t head, std::int64_t unit) const {
    auto const u = static_cast<std::int32_t>(unit);  // devices divide 64 bits slowly
    return head * head_stride + (u / pack * pack_stride + u % pack);
  }
};

/// Slots in pages of a pool, found through a page table: slot s is slot s % page_size of page
/// pages[s / page_size]. `InPage` says where things lie within a page (dense_layout or packed_layout),
/// `Index` is int32_t or int64_t. A table that is int32_t or int64_t slots long is a slot list: pages of one
/// slot.
///
/// The table is read in the plane's memory space whenever an element is. On the host, entries outside the
/// pool and pages listed twice are refused; device tables cannot be looked at, so that entries are clamped to
/// the pool.
template <class InPage = dense_layout, class Index = std::int32_t>
struct paged_layout {
  Index const* pages = nullptr;  ///< [entries], each in [0, pool_pages)
  std::int32_t entries = 0;      ///< so a plane has at most entries * page_size slots
  std::int32_t page_size = 1;    ///< slots of a page
  std::int64_t page_stride = 0;  ///< elements from one page of the pool to the next
  std::int64_t pool_pages = 0;
  InPage in_page{};

  template <class T>
  WINDOWKV_HD T* address(T* data, std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    auto const s = static_cast<std::int32_t>(slot);
    auto const page = static_cast<std::int64_t>(pages[s / page_size]);
    // Negative ones are large, unsigned.
    std::int64_t const in_pool =
        static_cast<std::uint64_t>(page) < static_cast<std::uint64_t>(pool_pages) ? page : pool_pages - 1;
    return in_page.address(data, s % page_size, head, unit) + in_pool * page_stride;
  }
  int run(int heads, int units) const { return in_page.run(heads, units); }
  int axes(int /*slots*/, int heads, int units, axis* out) const {
    int const count = in_page.axes(page_size, heads, units, out);
    out[count] = {pool_pages, page_stride};
    return count + 1;
  }
  status validate(int slots, int heads, int units, std::int64_t element_bytes) const {
    WINDOWKV_TRY(detail::require_not_null("layout.pages", pages));
    WINDOWKV_TRY(detail::require_aligned("layout.pages", pages, alignof(Index)));
    WINDOWKV_TRY(detail::require_at_least("layout.page_size", page_size, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.page_stride", page_stride, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.pool_pages", pool_pages, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.entries (pages of the plane's slots)", entries,
                                          detail::pages_of(slots, page_size)));
    WINDOWKV_TRY(in_page.validate(page_size, heads, units, element_bytes));
    axis all[most_axes];
    return detail::validate_axes(all, axes(slots, heads, units, all), element_bytes);
  }
  /// Looks at the entries of a table in host memory.
  status validate_table(int slots, int /*alignment*/) const {
    return detail::validate_page_table(pages, detail::pages_of(slots, page_size), pool_pages);
  }
  void const* table() const { return pages; }
  std::int64_t table_offset() const { return 0; }
};

/// Slots in pages anywhere in memory, found through a table of their addresses: the element is at
/// pages[s / page_size] + first_byte + in_page(...). The plane's `data` is not used and null.
template <class InPage = dense_layout>
struct pointer_table_layout {
  static constexpr bool has_base = false;

  void* const* pages = nullptr;  ///< [entries], in the plane's memory space
  std::int32_t entries = 0;
  std::int32_t page_size = 1;
  std::int64_t first_byte = 0;  ///< of this plane within every page
  InPage in_page{};
  /// Bytes that every address in the table is known to be a multiple of; 0: what an element needs. Devices
  /// cannot look, so 16 is what lets them move 16 bytes at a time.
  std::int32_t page_alignment = 0;

  template <class T>
  WINDOWKV_HD T* address(T* /*data*/, std::int64_t slot, std::int64_t head, std::int64_t unit) const {
    auto const s = static_cast<std::int32_t>(slot);
    auto* const page = static_cast<unsigned char*>(pages[s / page_size]);
    return in_page.address(reinterpret_cast<T*>(page + first_byte), s % page_size, head, unit);
  }
  int run(int heads, int units) const { return in_page.run(heads, units); }
  int axes(int /*slots*/, int heads, int units, axis* out) const {
    return in_page.axes(page_size, heads, units, out);
  }
  status validate(int slots, int heads, int units, std::int64_t element_bytes) const {
    WINDOWKV_TRY(detail::require_not_null("layout.pages", pages));
    WINDOWKV_TRY(detail::require_aligned("layout.pages", pages, alignof(void*)));
    WINDOWKV_TRY(detail::require_at_least("layout.page_size", page_size, 1));
    WINDOWKV_TRY(detail::require_at_least("layout.first_byte", first_byte, 0));
    WINDOWKV_TRY(detail::require_at_least("layout.page_alignment", page_alignment, 0));
    WINDOWKV_TRY(detail::require_at_least("layout.entries (pages of the plane's slots)", entries,
                                          detail::pages_of(slots, page_size)));
    return in_page.validate(page_size, heads, units, element_bytes);
  }
  /// Looks at the addresses in a table in host memory.
  status validate_table(int slots, int alignment) const {
    int const used = detail::pages_of(slots, page_size);
    for (int i = 0; i < used; ++i) {
      WINDOWKV_TRY(detail::require_not_null("layout.pages[i]", pages[i]));
      if (page_alignment > 0) {
        WINDOWKV_TRY(
            detail::require_aligned("layout.pages[i] (layout.page_alignment)", pages[i], page_alignment));
      }
      WINDOWKV_TRY(detail::require_aligned(
          "layout.pages[i]", static_cast<unsigned char const*>(pages[i]) + first_byte, alignment));
    }
    return detail::require_distinct_pages(pages, used);
  }
  void const* table() const { return pages; }
  std::int64_t table_offset() const { return first_byte; }
};

namespace detail {

template <class Layout, class = void>
inline constexpr bool has_base_v = true;
template <class Layout>
inline constexpr bool has_base_v<Layout, std::void_t<decltype(Layout::has_base)>> = Layout::has_base;

template <class Layout, class = void>
inline constexpr bool has_table_v = false;
template <class Layout>
inline constexpr bool has_table_v<Layout, std::void_t<decltype(std::declval<Layout const&>().table())>> =
    true;

template <class Layout, class = void>
inline constexpr bool has_axes_v = false;
template <class Layout>
inline constexpr bool
    has_axes_v<Layout, std::void_t<decltype(std::declval<Layout const&>().axes(1, 1, 1, nullptr))>> = true;

template <class Layout, class = void>
inline constexpr bool has_run_v = false;
template <class Layout>
inline constexpr bool has_run_v<Layout, std::void_t<decltype(std::declval<Layout const&>().run(1, 1))>> =
    true;

/// Elements that lie side by side, as the layout's `run`; 1 where it does not say.
template <class Layout>
int run_of(Layout const& layout, int heads, int units) {
  if constexpr (has_run_v<Layout>) {
    return layout.run(heads, units);
  } else {
    static_cast<void>(layout);
    return 1;
  }
}

}  // namespace detail
}  // namespace windowkv
