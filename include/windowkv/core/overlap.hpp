// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/overlap.hpp
/// Do two planes share memory? Keys and values may be interleaved in one allocation ([slot][2][head][dim],
/// [page][2][...]), so comparing the ranges they span is not enough.

#include <cstdint>
#include <utility>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/status.hpp"

namespace windowkv::detail {

/// A plane in bytes: pieces of `piece` bytes, and the directions in which they repeat, innermost first.
struct footprint {
  std::int64_t first = 0;
  std::int64_t piece = 0;
  axis axes[most_axes] = {};
  int count = 0;

  std::int64_t span() const {
    std::int64_t total = piece;
    for (int i = 0; i < count; ++i) total += (axes[i].extent - 1) * axes[i].stride;
    return total;
  }
};

/// Of a plane that has been validated.
template <class Plane>
footprint footprint_of(Plane const& p) {
  footprint out;
  if constexpr (has_base_v<typename Plane::layout_type>) {
    out.first = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(p.data));
  } else {
    out.first = p.layout.table_offset();
  }
  std::int64_t const bytes = sizeof(typename Plane::element_type);
  axis all[most_axes];
  int const count = p.layout.axes(p.slots, p.heads, p.units(), all);
  for (int i = 0; i < count; ++i) {
    if (all[i].extent == 1) continue;
    out.axes[out.count] = {all[i].extent, all[i].stride * bytes};
    for (int j = out.count++; j > 0 && out.axes[j].stride < out.axes[j - 1].stride; --j) {
      std::swap(out.axes[j], out.axes[j - 1]);
    }
  }
  out.piece = bytes;
  int merged = 0;
  while (merged < out.count && out.axes[merged].stride == out.piece) out.piece *= out.axes[merged++].extent;
  for (int i = merged; i < out.count; ++i) out.axes[i - merged] = out.axes[i];
  out.count -= merged;
  return out;
}

/// True if, `distance` bytes apart, a piece of `a` meets one of `b` along their axes below `count`.
inline bool meet(footprint const& a, footprint const& b, int count, std::int64_t distance) {
  if (count == 0) return distance < a.piece && -distance < b.piece;
  std::int64_t const stride = a.axes[count - 1].stride;
  std::int64_t const nearest = -distance / stride;
  // Inner axes reach less far than one stride, so only the steps around the nearest can bring the two
  // together.
  for (std::int64_t steps = nearest - 1; steps <= nearest + 1; ++steps) {
    if (steps <= -a.axes[count - 1].extent || steps >= b.axes[count - 1].extent) continue;
    if (meet(a, b, count - 1, distance + steps * stride)) return true;
  }
  return false;
}

/// Refuses planes that share memory. Those behind different tables are not compared; interleaved ones must
/// step alike, or nobody could tell.
template <class A, class B>
status require_apart(A const& a, B const& b, char const* what) {
  if constexpr (!is_absent_v<A> && !is_absent_v<B>) {
    using layout_a = typename A::layout_type;
    using layout_b = typename B::layout_type;
    if constexpr (has_axes_v<layout_a> && has_axes_v<layout_b> &&
                  has_base_v<layout_a> == has_base_v<layout_b>) {
      if (identity_of(a).table != identity_of(b).table) return {};
      footprint const first = footprint_of(a);
      footprint const second = footprint_of(b);
      std::int64_t const distance = second.first - first.first;
      if (distance >= first.span() || -distance >= second.span()) return {};
      bool step_alike = first.count == second.count;
      for (int i = 0; step_alike && i < first.count; ++i) {
        step_alike = first.axes[i].stride == second.axes[i].stride;
      }
      if (!step_alike) {
        return status::failure(status_code::invalid_argument, what,
                               "interleaved in memory with different strides, or overlapping");
      }
      return require(!meet(first, second, first.count, distance), what, distance,
                     "bytes apart, they share memory; elements of",
                     std::int64_t{sizeof(typename A::element_type)});
    }
  }
  return {};
}

}  // namespace windowkv::detail
