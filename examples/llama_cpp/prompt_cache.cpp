// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "prompt_cache.hpp"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <stdexcept>
#include <utility>

namespace llama_demo {
namespace {

std::vector<llama_token> random_tokens(int count, int vocabulary) {
  std::mt19937 random(7);
  std::vector<llama_token> tokens(static_cast<std::size_t>(count));
  for (llama_token& token : tokens) {
    token = static_cast<llama_token>(random() % static_cast<std::uint32_t>(vocabulary));
  }
  return tokens;
}

/// In the steps that llama.cpp allocates cells in.
int room_for(int tokens) { return (tokens + 255) / 256 * 256; }

}  // namespace

std::vector<llama_token> read_prompt(options const& o, model const& m) {
  if (o.prompt_file.empty()) return random_tokens(o.prompt_tokens, m.vocabulary());
  std::ifstream file(o.prompt_file, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + o.prompt_file);
  std::vector<llama_token> tokens = m.tokenize({std::istreambuf_iterator<char>(file), {}});
  if (tokens.size() > static_cast<std::size_t>(o.prompt_tokens)) {
    tokens.resize(static_cast<std::size_t>(o.prompt_tokens));
  }
  return tokens;
}

std::unique_ptr<session> open_session(options const& o, model const& m, int tokens) {
  return std::make_unique<session>(
      m, session_options{room_for(tokens), o.threads, o.flash_attention, o.key_type, o.value_type});
}

std::vector<layer_record> prefill(session& engine, std::vector<llama_token> const& prompt, int layers,
                                  int suffix) {
  int const rest = static_cast<int>(prompt.size()) - suffix;
  suffix_recorder recorder(layers, static_cast<int>(prompt.size()));
  engine.decode(prompt.data(), rest, 0);
  engine.decode(prompt.data() + rest, suffix, rest, &recorder);
  return recorder.take();
}

expected_state expect_state(std::vector<layer_record> const& records, std::vector<std::int32_t> positions) {
  layer_record const& first = records.front();
  return {std::move(positions), static_cast<int>(records.size()), first.key_row_bytes, first.value_row_bytes};
}

std::vector<std::int32_t> first_positions(int count) {
  std::vector<std::int32_t> positions(static_cast<std::size_t>(count));
  std::iota(positions.begin(), positions.end(), 0);
  return positions;
}

}  // namespace llama_demo
