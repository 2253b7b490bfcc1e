// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "state_rows.hpp"

#include <windowkv/exception.hpp>
#include <windowkv/host/compact.hpp>

#include <stdexcept>
#include <string>

#include "planes.hpp"

namespace llama_demo {
namespace {

namespace wkv = windowkv;

namespace interop = wkv::interop::llama_cpp;

template <class Byte>
auto rows(state_layout const& layout, state_plane const& plane, Byte* state) {
  return interop::opaque_rows(state + plane.begin, layout.cells, plane.row_bytes);
}

template <class Element, class Byte>
auto transposed(state_layout const& layout, state_plane const& plane, Byte* state) {
  auto const elements = static_cast<int>(plane.row_bytes / plane.element_bytes);
  return interop::transposed_values<Element>(state + plane.begin, layout.cells, layout.cells, 1, elements);
}

wkv::slot_list list_of(std::vector<std::int32_t> const& slots) {
  return {slots.data(), static_cast<int>(slots.size())};
}

}  // namespace

void copy_rows(state_layout const& from_layout, std::uint8_t const* from, state_layout const& to_layout,
               std::uint8_t* to, std::size_t layer, std::vector<std::int32_t> const& kept) {
  auto const old_keys = rows(from_layout, from_layout.keys[layer], from);
  auto const new_keys = rows(to_layout, to_layout.keys[layer], to);
  state_plane const& old_plane = from_layout.values[layer];
  state_plane const& new_plane = to_layout.values[layer];
  auto const copy = [&](auto const& old_values, auto const& new_values) {
    wkv::or_throw(wkv::compact_copy(wkv::host_executor{}, list_of(kept), wkv::kv_view{old_keys, old_values},
                                    wkv::kv_view{new_keys, new_values}));
  };
  switch (old_plane.element_bytes) {
    case 0:
      return copy(rows(from_layout, old_plane, from), rows(to_layout, new_plane, to));
    case 2:
      return copy(transposed<wkv::opaque<2> const>(from_layout, old_plane, from),
                  transposed<wkv::opaque<2>>(to_layout, new_plane, to));
    case 4:
      return copy(transposed<wkv::opaque<4> const>(from_layout, old_plane, from),
                  transposed<wkv::opaque<4>>(to_layout, new_plane, to));
    default:
      throw std::runtime_error("transposed values of " + std::to_string(old_plane.element_bytes) +
                               " bytes per element are not covered");
  }
}

}  // namespace llama_demo
