// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "continuation.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "mask_reference.hpp"
#include "suffix_recorder.hpp"

namespace llama_demo {
namespace {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  auto const middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double relative_l2(std::vector<float> const& a, std::vector<float> const& b) {
  double distance = 0;
  double norm = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    double const x = double{a[i]} - double{b[i]};
    distance += x * x;
    norm += double{b[i]} * double{b[i]};
  }
  return std::sqrt(distance / norm);
}

}  // namespace

continuation decode_tokens(session& engine, std::vector<llama_token> const& tokens, int first) {
  continuation out;
  std::vector<double> times;
  cell_counter counter;  // slows down the first token, which is not timed
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    auto const begin = std::chrono::steady_clock::now();
    engine.decode(&tokens[i], 1, first + static_cast<int>(i), i == 0 ? &counter : nullptr);
    std::chrono::duration<double, std::milli> const passed = std::chrono::steady_clock::now() - begin;
    if (i > 0) times.push_back(passed.count());
    out.logits.push_back(engine.logits());
  }
  out.milliseconds = median(times);
  out.attended_cells = counter.attended();
  out.cache_bytes = counter.cache_bytes();
  return out;
}

continuation decode_with_hidden(session& engine, std::vector<llama_token> const& tokens, int prompt_tokens,
                                std::vector<std::vector<std::int32_t>> const& kept) {
  continuation out;
  cell_hider hider(kept, prompt_tokens);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    engine.decode(&tokens[i], 1, prompt_tokens + static_cast<int>(i), &hider);
    hider.finish_batch();
    out.logits.push_back(engine.logits());
  }
  engine.remove(prompt_tokens, -1);
  return out;
}

std::vector<llama_token> continue_greedily(session& engine, int prompt_tokens, int new_tokens) {
  std::vector<llama_token> tokens{likeliest(engine.logits())};
  while (static_cast<int>(tokens.size()) < new_tokens) {
    engine.decode(&tokens.back(), 1, prompt_tokens + static_cast<int>(tokens.size()) - 1);
    tokens.push_back(likeliest(engine.logits()));
  }
  engine.remove(prompt_tokens, -1);
  return tokens;
}

llama_token likeliest(std::vector<float> const& logits) {
  return static_cast<llama_token>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

difference compare(continuation const& a, continuation const& b) {
  difference out;
  out.tokens = static_cast<int>(b.logits.size());
  for (std::size_t i = 0; i < b.logits.size(); ++i) {
    double const distance = relative_l2(a.logits[i], b.logits[i]);
    out.worst = i == 0 ? distance : std::max(out.worst, distance);
    out.smallest = i == 0 ? distance : std::min(out.smallest, distance);
    out.same_choice += likeliest(a.logits[i]) == likeliest(b.logits[i]) ? 1 : 0;
  }
  return out;
}

}  // namespace llama_demo
