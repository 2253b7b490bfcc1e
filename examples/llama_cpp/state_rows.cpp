// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "state_rows.hpp"

#include <windowkv/exception.hpp>
#include <windowkv/host/compact.hpp>
#include <windowkv/interop/llama_cpp.hpp>

#include <stdexcept>
#include <string>

namespace llama_demo {
namespace {

namespace wkv = windowkv;

/// [cell][row]
auto rows(state_bytes& state, state_plane const& plane, int cells) {
  return wkv::or_throw(
      wkv::interop::llama_cpp::blob_rows(state.data() + plane.begin, plane.row_bytes, cells));
}

/// [row element][cell]
template <std::size_t ElementBytes>
auto columns(state_bytes& state, state_plane const& plane, int cells) {
  auto const elements = static_cast<int>(plane.row_bytes / ElementBytes);
  return wkv::or_throw(
      wkv::interop::llama_cpp::blob_columns<ElementBytes>(state.data() + plane.begin, elements, cells));
}

wkv::slot_list list_of(std::vector<std::int32_t> const& slots) {
  return {slots.data(), static_cast<int>(slots.size())};
}

}  // namespace

void copy_rows(state_bytes& from, state_layout const& from_layout, state_bytes& to,
               state_layout const& to_layout, std::size_t layer, std::vector<std::int32_t> const& kept) {
  auto const old_keys = rows(from, from_layout.keys[layer], from_layout.cells);
  auto const new_keys = rows(to, to_layout.keys[layer], to_layout.cells);
  auto const copy = [&](auto const& view_of) {
    auto const old_values = view_of(from, from_layout.values[layer], from_layout.cells);
    auto const new_values = view_of(to, to_layout.values[layer], to_layout.cells);
    wkv::or_throw(wkv::compact_copy(wkv::host_executor{}, list_of(kept), wkv::kv_view{old_keys, old_values},
                                    wkv::kv_view{new_keys, new_values}));
  };
  switch (std::size_t const element_bytes = from_layout.values[layer].element_bytes) {
    case 0:
      return copy(rows);
    case 2:
      return copy(columns<2>);
    case 4:
      return copy(columns<4>);
    default:
      throw std::runtime_error("transposed values of " + std::to_string(element_bytes) +
                               " bytes per element are not covered");
  }
}

}  // namespace llama_demo
