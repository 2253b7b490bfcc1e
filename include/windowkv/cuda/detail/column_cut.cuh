// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/column_cut.cuh
/// How the rows of planes are cut into words, which threads move, and into slices of columns, which blocks
/// own. Decided on the host from what layouts say of themselves.

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <type_traits>
#include <utility>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/view.hpp"

namespace windowkv::detail {

inline constexpr int wide_word_bytes = 16;

/// The largest power of two that divides `bits`, at most `wide_word_bytes`.
constexpr int power_of_two_in(std::uint64_t bits) {
  bits |= wide_word_bytes;
  return static_cast<int>(bits & (~bits + 1));
}

template <class Layout, class = void>
inline constexpr bool has_page_alignment_v = false;
template <class Layout>
inline constexpr bool
    has_page_alignment_v<Layout, std::void_t<decltype(std::declval<Layout const&>().page_alignment)>> = true;

/// Bytes, a power of two, that divide every address at which `run` elements start that lie side by side. Of a
/// plane that has been validated.
template <class Plane>
int run_alignment(Plane const& p, int run) {
  using layout_type = typename Plane::layout_type;
  using element = typename Plane::element_type;
  std::uint64_t bits = alignof(element);
  if constexpr (has_axes_v<layout_type>) {
    if constexpr (has_base_v<layout_type>) {
      bits = reinterpret_cast<std::uintptr_t>(p.data);
    } else if constexpr (has_page_alignment_v<layout_type>) {
      if (p.layout.page_alignment > 0) {
        bits = static_cast<std::uint64_t>(p.layout.page_alignment) |
               static_cast<std::uint64_t>(p.layout.table_offset());
      }
    }
    axis axes[most_axes];
    int const count = p.layout.axes(p.slots, p.heads, p.units(), axes);
    for (int i = 0; i < count; ++i) {
      if (axes[i].extent == 1 || axes[i].stride < run) continue;  // never steps, or within the run
      bits |= static_cast<std::uint64_t>(axes[i].stride) * sizeof(element);
    }
  } else {
    static_cast<void>(p);
    static_cast<void>(run);  // nothing is known about the layout
  }
  return power_of_two_in(bits);
}

/// What a thread moves where 16 bytes do not fit: the largest power of two in an element, at most 8 bytes.
template <class Element>
inline constexpr int narrow_word_bytes = power_of_two_in(sizeof(Element) | 8);

/// How the rows of one plane are cut. A piece lies side by side in memory, and consists of whole words.
struct column_cut {
  int word_bytes = 1;
  int words = 0;  ///< of a row
  int words_per_piece = 1;
  int units_per_piece = 1;
  int pieces_per_head = 1;
  int tokens = 1;       ///< slots that share a row
  int slice_words = 1;  ///< a power of two
  int slices = 0;

  /// Planes cut alike may go in one launch.
  friend bool operator==(column_cut const& a, column_cut const& b) {
    return a.word_bytes == b.word_bytes && a.words == b.words && a.words_per_piece == b.words_per_piece &&
           a.units_per_piece == b.units_per_piece && a.pieces_per_head == b.pieces_per_head &&
           a.tokens == b.tokens;
  }
};

/// The cut of a plane and of those that move along with it.
template <class Plane, class = void>
struct plane_cut {
  column_cut own;
};
template <memory_space Space>
struct plane_cut<no_plane<Space>> {};
template <class Plane>
struct plane_cut<Plane, std::void_t<typename Plane::accessor_type::side_plane>> {
  column_cut own;
  plane_cut<typename Plane::accessor_type::side_plane> side;
};
template <class Cut>
inline constexpr bool has_side_cut_v = false;
template <class Plane>
inline constexpr bool has_side_cut_v<plane_cut<Plane>> = has_side_v<typename Plane::accessor_type>;
template <memory_space Space>
inline constexpr bool has_side_cut_v<plane_cut<no_plane<Space>>> = false;

template <class From, class To>
column_cut cut_columns(From const& from, To const& to, int tokens) {
  using element = typename To::element_type;
  int const units = from.units();
  int const from_run = run_of(from.layout, from.heads, units);
  int const to_run = run_of(to.layout, to.heads, units);
  column_cut cut;
  cut.tokens = tokens;
  cut.units_per_piece = std::gcd(from_run, to_run);
  bool const is_whole_row = cut.units_per_piece == from.heads * units;
  cut.pieces_per_head = is_whole_row ? 1 : units / cut.units_per_piece;
  std::int64_t const piece_bytes = cut.units_per_piece * std::int64_t{sizeof(element)};
  int const fits = power_of_two_in(
      static_cast<std::uint64_t>(piece_bytes | run_alignment(from, from_run) | run_alignment(to, to_run)));
  cut.word_bytes = fits == wide_word_bytes              ? fits
                   : fits >= narrow_word_bytes<element> ? narrow_word_bytes<element>
                                                        : static_cast<int>(alignof(element));
  cut.words_per_piece = static_cast<int>(piece_bytes / cut.word_bytes);
  cut.words = cut.words_per_piece * (is_whole_row ? 1 : from.heads * cut.pieces_per_head);
  return cut;
}

/// `tokens` slots share one row.
template <class From, class To>
plane_cut<From> cut_plane(From const& from, To const& to, int tokens = 1) {
  plane_cut<From> cut;
  if constexpr (!is_absent_v<From>) {
    cut.own = cut_columns(from, to, tokens);
    if constexpr (has_side_v<typename From::accessor_type>) {
      cut.side = cut_plane(from.accessor.side, to.accessor.side, tokens * from.granularity());
    }
  } else {
    static_cast<void>(from);
    static_cast<void>(to);
    static_cast<void>(tokens);
  }
  return cut;
}

/// f(cut) for the plane's and those of what moves along with it, in the order of their slices.
template <class Cut, class F>
void for_each_cut(Cut& cut, F&& f) {
  using cut_type = std::remove_const_t<Cut>;
  if constexpr (!std::is_empty_v<cut_type>) {
    f(cut.own);
    if constexpr (has_side_cut_v<cut_type>) for_each_cut(cut.side, f);
  } else {
    static_cast<void>(cut);
    static_cast<void>(f);
  }
}

template <class Cut>
bool is_cut_alike(Cut const& a, Cut const& b) {
  if constexpr (std::is_empty_v<Cut>) {
    return true;
  } else if constexpr (has_side_cut_v<Cut>) {
    return a.own == b.own && is_cut_alike(a.side, b.side);
  } else {
    return a.own == b.own;
  }
}

}  // namespace windowkv::detail
