// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file state_blob.hpp
/// The state of one sequence as llama_state_seq_get_data writes it. The format has no version number and has
/// changed more than once, so it is recognised by its size: one known form must account for every byte, with
/// the positions and row sizes that the caller expects.

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

namespace llama_demo {

using state_bytes = std::vector<std::uint8_t>;

/// The state is of a form that this program does not know; nothing was changed.
struct unknown_state : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What the caller knows about the sequence.
struct expected_state {
  std::vector<std::int32_t> positions;  ///< of its cells
  int layers = 0;
  std::size_t key_row_bytes = 0;
  std::size_t value_row_bytes = 0;
};

/// Keys or values of one layer.
struct state_plane {
  std::size_t begin = 0;          ///< of the data, behind the plane's own header
  std::size_t row_bytes = 0;      ///< of a cell, over all heads
  std::size_t element_bytes = 0;  ///< of transposed values [row elements][cells]; 0: rows, [cells][row]
};

struct state_layout {
  std::size_t prefix_bytes = 0;  ///< in front of the number of cells
  std::size_t cell_bytes = 0;    ///< position and sequence ids of a cell
  int cells = 0;
  std::vector<state_plane> keys;
  std::vector<state_plane> values;

  std::size_t cells_begin() const { return prefix_bytes + sizeof(std::uint32_t); }
  /// Bytes of a cell over all layers, with what is noted about it.
  std::size_t bytes_per_cell() const;
};

/// @throws unknown_state
state_layout parse_state(state_bytes const& state, expected_state const& expected);

/// The same state with fewer cells: layer l keeps the cells kept[l], as many in every layer. Cell j gets the
/// position of kept[0][j]: the last cells must be the same in all layers, for the engine goes on behind them.
state_bytes keep_cells(state_bytes state, state_layout const& layout,
                       std::vector<std::vector<std::int32_t>> const& kept);

}  // namespace llama_demo
