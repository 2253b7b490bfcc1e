// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <vector>

#include "documents.hpp"
#include "kv_cache.hpp"
#include "model.hpp"

namespace needle {

/// S where a method does not say otherwise: queries that observe the prompt, tokens that stay.
constexpr int suffix_tokens = 16;

/// Tokens that a budget, a fraction of the prompt, pays for.
int kept_tokens(double budget, int tokens);

/// The prompt's uncompressed cache and the queries its layers saw: prefilled once, then compressed by every
/// method in turn. A layer's compression never reaches back into prefill, so replaying it gives the same rows
/// as compressing on the way (which answer_question does).
class prefilled_prompt {
 public:
  prefilled_prompt(model const& lm, std::vector<int> const& prompt, int answer_tokens);

  kv_cache const& cache() const { return cache_; }
  layer_queries queries(int layer) const;

 private:
  int tokens_, token_floats_;
  kv_cache cache_;
  std::vector<std::vector<float>> rotated_, unrotated_;  // of each layer
};

/// Greedy decoding on a compressed cache. The prompt's last token is taken out of the cache and fed again, so
/// that the first word of the answer, too, is read from what was kept. Stops after `most` tokens or before
/// `stop`.
std::vector<int> decode_answer(model const& lm, std::vector<int> const& prompt, int most, int stop,
                               kv_cache& cache);

/// True if greedy decoding gives exactly the document's answer; stops at the first wrong token.
bool answers_exactly(model const& lm, document const& doc, kv_cache& cache);

/// One seed per document, so that a document does not depend on which others are written.
std::uint64_t document_seed(std::uint64_t seed, int context, int values, int index);

}  // namespace needle
