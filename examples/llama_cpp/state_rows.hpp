// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file state_rows.hpp
/// Moves a layer's kept rows from one state to another, whatever the rows hold.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "state_blob.hpp"

namespace llama_demo {

/// Copies the cells `kept` of a layer, keys and values; `to_layout` has room for just them.
void copy_rows(state_bytes& from, state_layout const& from_layout, state_bytes& to,
               state_layout const& to_layout, std::size_t layer, std::vector<std::int32_t> const& kept);

}  // namespace llama_demo
