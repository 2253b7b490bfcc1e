// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "trial.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace needle {

int kept_tokens(double budget, int tokens) {
  constexpr int fewest = suffix_tokens + 4;
  return std::min(tokens, std::max(fewest, static_cast<int>(std::lround(budget * tokens))));
}

prefilled_prompt::prefilled_prompt(model const& lm, std::vector<int> const& prompt, int answer_tokens)
    : tokens_(static_cast<int>(prompt.size())),
      token_floats_(lm.config().query_width()),
      cache_(lm.config(), tokens_ + answer_tokens) {
  lm.prefill(prompt, cache_, [&](int, layer_queries const& q) {
    auto const count = static_cast<std::ptrdiff_t>(q.tokens) * q.token_floats;
    rotated_.emplace_back(q.rotated, q.rotated + count);
    unrotated_.emplace_back(q.unrotated, q.unrotated + count);
  });
}

layer_queries prefilled_prompt::queries(int layer) const {
  auto const l = static_cast<std::size_t>(layer);
  return {tokens_, token_floats_, rotated_[l].data(), unrotated_[l].data()};
}

std::vector<int> decode_answer(model const& lm, std::vector<int> const& prompt, int most, int stop,
                               kv_cache& cache) {
  cache.drop_last();
  std::vector<int> answer;
  int token = prompt.back();
  for (int position = static_cast<int>(prompt.size()) - 1; static_cast<int>(answer.size()) < most;
       ++position) {
    token = best_token(lm.decode(token, position, cache));
    if (token == stop) break;
    answer.push_back(token);
  }
  return answer;
}

bool answers_exactly(model const& lm, document const& doc, kv_cache& cache) {
  cache.drop_last();
  int token = doc.prompt.back();
  int position = static_cast<int>(doc.prompt.size()) - 1;
  for (int const expected : doc.answer) {
    token = best_token(lm.decode(token, position++, cache));
    if (token != expected) return false;
  }
  return true;
}

std::uint64_t document_seed(std::uint64_t seed, int context, int values, int index) {
  std::uint64_t x = seed;  // splitmix64
  for (int part : {context, values, index}) {
    x += 0x9e3779b97f4a7c15u * (static_cast<std::uint64_t>(part) + 1);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return x;
}

}  // namespace needle
