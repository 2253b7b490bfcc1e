// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "state_blob.hpp"

#include <cstring>
#include <optional>
#include <string>

#include "state_rows.hpp"

namespace llama_demo {
namespace {

/// What stands in front of the number of cells.
struct state_form {
  std::size_t prefix_bytes;
  bool has_stream_count;  ///< the prefix ends with the number of streams
  bool has_sequence_ids;  ///< every cell lists its one sequence
};
constexpr state_form known_forms[] = {
    {0, false, false},                     // beginning of 2025
    {4, true, false},                      // number of streams
    {4, true, true},   {12, true, false},  // magic, sequence, number of streams
    {12, true, true},
};

/// Reads in order, and remembers when something was not there.
class reader {
 public:
  explicit reader(state_bytes const& bytes) : bytes_(bytes) {}

  template <class T>
  T read() {
    T value{};
    std::size_t const at = skip(sizeof value);
    if (is_good_) std::memcpy(&value, bytes_.data() + at, sizeof value);
    return value;
  }
  /// Steps over `count` bytes, and returns where they began.
  std::size_t skip(std::size_t count) {
    std::size_t const begin = at_;
    is_good_ = is_good_ && count <= bytes_.size() - at_;
    if (is_good_) at_ += count;
    return begin;
  }
  bool is_good() const { return is_good_; }
  bool is_at_end() const { return is_good_ && at_ == bytes_.size(); }

 private:
  state_bytes const& bytes_;
  std::size_t at_ = 0;
  bool is_good_ = true;
};

bool parse_cells(reader& in, state_form const& form, std::vector<std::int32_t> const& positions) {
  for (std::int32_t const expected : positions) {
    auto const position = in.read<std::int32_t>();
    auto const sequences = in.read<std::uint32_t>();
    if (!in.is_good() || position != expected || sequences != (form.has_sequence_ids ? 1u : 0u)) return false;
    if (form.has_sequence_ids && in.read<std::int32_t>() != 0) return false;
  }
  return in.is_good();
}

bool parse_rows(reader& in, int cells, std::size_t row_bytes, state_plane& out) {
  in.read<std::int32_t>();  // type
  out.row_bytes = static_cast<std::size_t>(in.read<std::uint64_t>());
  if (!in.is_good() || out.row_bytes != row_bytes) return false;
  out.begin = in.skip(static_cast<std::size_t>(cells) * row_bytes);
  return in.is_good();
}

bool parse_transposed(reader& in, int cells, std::size_t row_bytes, state_plane& out) {
  in.read<std::int32_t>();  // type
  out.element_bytes = in.read<std::uint32_t>();
  auto const elements = std::size_t{in.read<std::uint32_t>()};
  out.row_bytes = elements * out.element_bytes;
  if (!in.is_good() || out.element_bytes == 0 || out.row_bytes != row_bytes) return false;
  out.begin = in.skip(static_cast<std::size_t>(cells) * row_bytes);
  return in.is_good();
}

std::optional<state_layout> parse_as(state_form const& form, state_bytes const& state,
                                     expected_state const& expected) {
  state_layout out;
  reader in(state);
  if (form.has_stream_count) {
    in.skip(form.prefix_bytes - sizeof(std::uint32_t));
    if (in.read<std::uint32_t>() != 1) return {};
  }
  out.prefix_bytes = form.prefix_bytes;
  out.cell_bytes = sizeof(std::int32_t) * (form.has_sequence_ids ? 3 : 2);
  out.cells = static_cast<int>(expected.positions.size());
  if (in.read<std::uint32_t>() != static_cast<std::uint32_t>(out.cells)) return {};
  if (!parse_cells(in, form, expected.positions)) return {};
  auto const is_transposed = in.read<std::uint32_t>();
  if (is_transposed > 1 || in.read<std::uint32_t>() != static_cast<std::uint32_t>(expected.layers)) return {};
  for (int layer = 0; layer < expected.layers; ++layer) {
    if (!parse_rows(in, out.cells, expected.key_row_bytes, out.keys.emplace_back())) return {};
  }
  for (int layer = 0; layer < expected.layers; ++layer) {
    state_plane& plane = out.values.emplace_back();
    bool const fits = is_transposed != 0 ? parse_transposed(in, out.cells, expected.value_row_bytes, plane)
                                         : parse_rows(in, out.cells, expected.value_row_bytes, plane);
    if (!fits) return {};
  }
  if (!in.is_at_end()) return {};
  return out;
}

void append_count(state_bytes& out, std::size_t cells) {
  auto const field = static_cast<std::uint32_t>(cells);
  auto const* const bytes = reinterpret_cast<std::uint8_t const*>(&field);
  out.insert(out.end(), bytes, bytes + sizeof field);
}

void append(state_bytes& out, state_bytes const& from, std::size_t begin, std::size_t end) {
  out.insert(out.end(), from.begin() + static_cast<std::ptrdiff_t>(begin),
             from.begin() + static_cast<std::ptrdiff_t>(end));
}

}  // namespace

std::size_t state_layout::bytes_per_cell() const {
  std::size_t total = cell_bytes;
  for (state_plane const& plane : keys) total += plane.row_bytes;
  for (state_plane const& plane : values) total += plane.row_bytes;
  return total;
}

state_layout parse_state(state_bytes const& state, expected_state const& expected) {
  std::optional<state_layout> found;
  for (state_form const& form : known_forms) {
    std::optional<state_layout> const as_this = parse_as(form, state, expected);
    if (!as_this) continue;
    if (found) throw unknown_state("the sequence's state can be read in two ways; nothing was changed");
    found = as_this;
  }
  if (found) return *found;
  throw unknown_state(
      "the sequence's state (" + std::to_string(state.size()) + " bytes for " +
      std::to_string(expected.positions.size()) + " cells and " + std::to_string(expected.layers) +
      " layers) is in no form that is known here; nothing was changed. Remove positions instead, "
      "which needs no state");
}

state_bytes keep_cells(state_bytes state, state_layout const& layout,
                       std::vector<std::vector<std::int32_t>> const& kept) {
  auto const cells = static_cast<std::size_t>(layout.cells);
  auto const count = kept.front().size();
  state_bytes out;
  out.reserve(state.size() - (cells - count) * layout.bytes_per_cell());
  append(out, state, 0, layout.prefix_bytes);
  append_count(out, count);
  for (std::int32_t const cell : kept.front()) {
    std::size_t const begin = layout.cells_begin() + static_cast<std::size_t>(cell) * layout.cell_bytes;
    append(out, state, begin, begin + layout.cell_bytes);
  }
  std::size_t copied = layout.cells_begin() + cells * layout.cell_bytes;
  state_layout to = layout;
  to.cells = static_cast<int>(count);
  for (std::vector<state_plane>* planes : {&to.keys, &to.values}) {
    for (state_plane& plane : *planes) {
      append(out, state, copied, plane.begin);
      copied = plane.begin + cells * plane.row_bytes;
      plane.begin = out.size();
      out.resize(out.size() + count * plane.row_bytes);
    }
  }
  for (std::size_t layer = 0; layer < to.keys.size(); ++layer) {
    copy_rows(state, layout, out, to, layer, kept[layer]);
  }
  return out;
}

}  // namespace llama_demo
