// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// States written by hand in every form that is known, and in forms that are not.

#include "state_blob.hpp"

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace llama_demo;

constexpr int cells = 5;
constexpr int layers = 2;
constexpr int key_row = 34;   // one block of q8_0
constexpr int value_row = 6;  // three elements of two bytes

struct form {
  char const* name;
  int prefix_fields;  // of 4 bytes; the last one is the number of streams
  bool has_sequence_ids;
  bool has_transposed_values;
};

class writer {
 public:
  template <class T>
  void add(T value) {
    auto const* const first = reinterpret_cast<std::uint8_t const*>(&value);
    bytes_.insert(bytes_.end(), first, first + sizeof value);
  }
  state_bytes take() { return std::move(bytes_); }

 private:
  state_bytes bytes_;
};

std::uint8_t key_byte(int layer, int cell, int i) {
  return static_cast<std::uint8_t>(100 * layer + 10 * cell + i);
}
std::uint8_t value_byte(int layer, int cell, int i) {
  return static_cast<std::uint8_t>(7 + key_byte(layer, cell, i));
}

/// The state of cells with positions 0 to 4, of which layer l holds kept[l].
state_bytes write_state(form const& f, std::vector<std::vector<std::int32_t>> const& kept) {
  writer out;
  for (int i = 0; i + 1 < f.prefix_fields; ++i) out.add(std::uint32_t{0xabcd});
  if (f.prefix_fields > 0) out.add(std::uint32_t{1});
  out.add(static_cast<std::uint32_t>(kept[0].size()));
  for (std::int32_t const position : kept[0]) {
    out.add(position);
    out.add(std::uint32_t{f.has_sequence_ids ? 1u : 0u});
    if (f.has_sequence_ids) out.add(std::int32_t{0});
  }
  out.add(std::uint32_t{f.has_transposed_values ? 1u : 0u});
  out.add(std::uint32_t{layers});
  for (int layer = 0; layer < layers; ++layer) {
    out.add(std::int32_t{8});
    out.add(std::uint64_t{key_row});
    for (int const cell : kept[std::size_t(layer)]) {
      for (int i = 0; i < key_row; ++i) out.add(key_byte(layer, cell, i));
    }
  }
  for (int layer = 0; layer < layers; ++layer) {
    out.add(std::int32_t{1});
    if (!f.has_transposed_values) {
      out.add(std::uint64_t{value_row});
      for (int const cell : kept[std::size_t(layer)]) {
        for (int i = 0; i < value_row; ++i) out.add(value_byte(layer, cell, i));
      }
      continue;
    }
    out.add(std::uint32_t{2});
    out.add(std::uint32_t{value_row / 2});
    for (int element = 0; element < value_row; element += 2) {
      for (int const cell : kept[std::size_t(layer)]) {
        out.add(value_byte(layer, cell, element));
        out.add(value_byte(layer, cell, element + 1));
      }
    }
  }
  return out.take();
}

int failures = 0;

void expect(bool holds, std::string const& what) {
  if (holds) return;
  std::printf("FAILED %s\n", what.c_str());
  ++failures;
}

bool is_refused(state_bytes const& state, expected_state const& expected) {
  try {
    parse_state(state, expected);
    return false;
  } catch (unknown_state const&) {
    return true;
  }
}

void test_form(form const& f) {
  std::vector<std::vector<std::int32_t>> const all{{0, 1, 2, 3, 4}, {0, 1, 2, 3, 4}};
  std::vector<std::vector<std::int32_t>> const some{{0, 2, 4}, {1, 3, 4}};
  expected_state const expected{all[0], layers, key_row, value_row};
  std::string const name = f.name;

  state_bytes const state = write_state(f, all);
  state_layout const layout = parse_state(state, expected);
  state_bytes const smaller = keep_cells(state, layout, some);
  expect(smaller == write_state(f, some), name + ": keeps the cells it should");
  expect(state.size() - smaller.size() == 2 * layout.bytes_per_cell(), name + ": knows the bytes of a cell");
  expect(!is_refused(smaller, {some[0], layers, key_row, value_row}), name + ": reads what it wrote");

  auto const changed = [&](std::function<void(state_bytes&)> const& change) {
    state_bytes other = state;
    change(other);
    return other;
  };
  std::size_t const count_at = layout.prefix_bytes;
  std::size_t const sequences_at = layout.cells_begin() + 4;
  std::size_t const is_transposed_at = layout.cells_begin() + cells * layout.cell_bytes;
  struct {
    char const* name;
    state_bytes state;
  } const unknown[] = {
      {"nothing", {}},
      {"a byte less", changed([](state_bytes& s) { s.pop_back(); })},
      {"a byte more", changed([](state_bytes& s) { s.push_back(0); })},
      {"a field more", changed([](state_bytes& s) { s.insert(s.begin(), 4, 1); })},
      {"another number of cells", changed([&](state_bytes& s) { ++s[count_at]; })},
      {"another position", changed([&](state_bytes& s) { ++s[layout.cells_begin()]; })},
      {"another sequence count", changed([&](state_bytes& s) { s[sequences_at] = 2; })},
      {"another kind of values", changed([&](state_bytes& s) { s[is_transposed_at] = 2; })},
      {"the other kind of values", changed([&](state_bytes& s) { s[is_transposed_at] ^= 1; })},
      {"another number of layers", changed([&](state_bytes& s) { ++s[is_transposed_at + 4]; })},
      {"another row size", changed([&](state_bytes& s) { ++s[layout.keys[1].begin - 8]; })},
      {"a huge row size", changed([&](state_bytes& s) { s[layout.keys[1].begin - 1] = 0xff; })},
      {"another element size", changed([&](state_bytes& s) { ++s[layout.values[1].begin - 8]; })},
  };
  for (auto const& u : unknown) expect(is_refused(u.state, expected), name + ": refuses " + u.name);
  if (f.prefix_fields > 0) {
    state_bytes const two_streams = changed([&](state_bytes& s) { s[layout.prefix_bytes - 4] = 2; });
    expect(is_refused(two_streams, expected), name + ": refuses two streams");
  }
}

}  // namespace

int main() {
  for (form const& f :
       {form{"early 2025, transposed values", 0, false, true}, form{"early 2025, rows", 0, false, false},
        form{"streams, transposed values", 1, true, true}, form{"streams, rows", 1, true, false},
        form{"streams without sequences, rows", 1, false, false},
        form{"magic, transposed values", 3, true, true}, form{"magic, rows", 3, true, false}}) {
    test_form(f);
  }
  std::printf(failures == 0 ? "all states read or refused as they should\n" : "%d checks failed\n", failures);
  return failures == 0 ? 0 : 1;
}
