// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "routes.hpp"

#include <utility>

namespace llama_demo {

int remove_others(session& engine, std::vector<std::int32_t> const& kept, int prompt_tokens) {
  int ranges = 0;
  int begin = 0;
  auto const remove_up_to = [&](int end) {
    if (begin == end) return;
    engine.remove(begin, end);
    ++ranges;
  };
  for (std::int32_t const position : kept) {
    remove_up_to(position);
    begin = position + 1;
  }
  remove_up_to(prompt_tokens);
  return ranges;
}

state_bytes compressed_state(session const& engine, expected_state const& expected,
                             std::vector<std::vector<std::int32_t>> const& kept) {
  state_bytes state = engine.save();
  state_layout const layout = parse_state(state, expected);
  return keep_cells(std::move(state), layout, kept);
}

}  // namespace llama_demo
