// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "choice_check.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <string>

namespace llama_demo {
namespace {

/// To multiply quantised keys, the CPU backend rounds the queries to q8_0.
void round_queries(layer_record& record) {
  ggml_type const type = GGML_TYPE_Q8_0;
  std::int64_t const rows = std::int64_t{record.rows} * record.query_heads;
  std::vector<unsigned char> rounded(ggml_row_size(type, rows * record.head_dim));
  ggml_quantize_chunk(type, record.queries.data(), rounded.data(), 0, rows, record.head_dim, nullptr);
  ggml_get_type_traits(type)->to_float(rounded.data(), record.queries.data(), rows * record.head_dim);
}

constexpr std::size_t sinks = 4;    // the first tokens, which stay whatever their score
constexpr float tie_below = 1e-3F;  // rounding of q.k to the engine's types, relative to a score

/// What the two choices disagree on, and whether the engine's scores leave that open.
struct disagreement {
  int tokens = 0;
  int ties = 0;
};

disagreement compare_group(std::vector<std::int32_t> const& kept, std::vector<std::int32_t> const& by_engine,
                           std::vector<float> const& engine_scores) {
  std::vector<std::int32_t> different;
  std::set_symmetric_difference(kept.begin(), kept.end(), by_engine.begin(), by_engine.end(),
                                std::back_inserter(different));
  disagreement out;
  if (different.empty()) return out;
  auto const score = [&](std::int32_t token) { return engine_scores[static_cast<std::size_t>(token)]; };
  float least_kept = std::numeric_limits<float>::infinity();
  for (std::size_t i = sinks; i < by_engine.size(); ++i) {
    if (by_engine[i] < static_cast<std::int32_t>(engine_scores.size())) {
      least_kept = std::min(least_kept, score(by_engine[i]));
    }
  }
  for (std::int32_t const token : different) {
    out.tokens += 1;
    out.ties += std::abs(score(token) - least_kept) <= tie_below * least_kept ? 1 : 0;
  }
  return out;
}

}  // namespace

void check_choice(checklist& checks, std::vector<layer_record> const& records, int prompt_tokens,
                  choice_options const& options) {
  if (records.front().probabilities.empty()) return;
  kept_tokens const by_engine = choose(records, prompt_tokens, options, score_source::engine_softmax);
  std::vector<layer_record> as_multiplied = records;
  for (layer_record& record : as_multiplied) {
    if (ggml_is_quantized(record.key_cache->type)) round_queries(record);
  }
  kept_tokens const by_keys = choose(as_multiplied, prompt_tokens, options, score_source::queries_and_keys);
  disagreement all;
  for (std::size_t group = 0; group < by_engine.of_group.size(); ++group) {
    disagreement const here =
        compare_group(by_keys.of_group[group], by_engine.of_group[group], by_engine.scores[group]);
    all.tokens += here.tokens;
    all.ties += here.ties;
  }
  checks.expect(all.ties == all.tokens, "kept by queries and keys as by the engine's softmax: " +
                                            std::to_string(by_engine.count() * by_engine.group_count()) +
                                            " tokens in " + std::to_string(by_engine.group_count()) +
                                            " groups, " + std::to_string(all.tokens) + " differ, of which " +
                                            std::to_string(all.ties) + " are tied");
}

}  // namespace llama_demo
