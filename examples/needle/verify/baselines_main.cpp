// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Do the library's SnapKV and StreamingLLM keep what the papers say? Compares the caches they leave with
// those of a few lines written from the papers, without windowkv:
//   windowkv_needle_baselines WEIGHTS
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "../documents.hpp"
#include "../methods.hpp"
#include "../model.hpp"
#include "../tokenizer.hpp"
#include "../trial.hpp"
#include "../weights.hpp"

namespace {

using slots = std::vector<int>;

/// The first 4 tokens (attention sinks) and the most recent ones.
slots streaming_slots(int tokens, int keep) {
  slots kept;
  for (int slot = 0; slot < tokens; ++slot)
    if (slot < 4 || slot >= tokens - (keep - 4)) kept.push_back(slot);
  return kept;
}

/// Attention of the last 16 queries, summed over the query heads that read the KV head.
std::vector<float> head_scores(std::vector<float> const& sums, int head, int query_heads, int heads) {
  std::size_t const review = sums.size() / static_cast<std::size_t>(query_heads);
  auto const per_head = static_cast<std::size_t>(query_heads / heads);
  std::vector<float> scores(review, 0.f);
  for (std::size_t q = 0; q < per_head; ++q)
    for (std::size_t j = 0; j < review; ++j)
      scores[j] += sums[(static_cast<std::size_t>(head) * per_head + q) * review + j];
  return scores;
}

/// SnapKV, one KV head: after maximum pooling over 7 neighbours the best tokens, ties to the lower, and the
/// last 16.
slots snapkv_slots(std::vector<float> const& scores, int keep) {
  auto const review = static_cast<std::ptrdiff_t>(scores.size());
  std::vector<float> pooled;
  for (std::ptrdiff_t j = 0; j < review; ++j)
    pooled.push_back(*std::max_element(scores.begin() + std::max<std::ptrdiff_t>(0, j - 3),
                                       scores.begin() + std::min(review, j + 4)));
  slots order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return pooled[static_cast<std::size_t>(a)] > pooled[static_cast<std::size_t>(b)];
  });
  order.resize(static_cast<std::size_t>(keep - needle::suffix_tokens));
  std::sort(order.begin(), order.end());
  for (int s = 0; s < needle::suffix_tokens; ++s) order.push_back(static_cast<int>(review) + s);
  return order;
}

bool holds(needle::kv_cache const& cache, needle::kv_cache const& whole, int layer, int head,
           slots const& kept) {
  if (cache.length(layer, head) != static_cast<int>(kept.size())) return false;
  for (int i = 0; i < cache.length(layer, head); ++i) {
    int const slot = kept[static_cast<std::size_t>(i)];
    float const* const key = cache.key(layer, head, i);
    float const* const value = cache.value(layer, head, i);
    if (!std::equal(key, key + cache.head_dim(), whole.key(layer, head, slot)) ||
        !std::equal(value, value + cache.head_dim(), whole.value(layer, head, slot)))
      return false;
  }
  return true;
}

/// Lists, of all layers and KV heads of one document, that differ.
int differences(needle::model const& lm, needle::document const& doc, double budget, char const* method) {
  needle::model_config const& config = lm.config();
  needle::prefilled_prompt const prefilled(lm, doc.prompt, 1);
  needle::kv_cache const& whole = prefilled.cache();
  int const tokens = static_cast<int>(doc.prompt.size()), keep = needle::kept_tokens(budget, tokens);
  needle::kv_cache cache = whole;
  auto const compressor = needle::make_compressor(method, config, {tokens, keep, needle::task_kind::needle});
  for (int l = 0; l < config.layers; ++l) compressor->layer_done(l, prefilled.queries(l), cache);
  int different = 0;
  for (int l = 0; l < config.layers; ++l) {
    std::vector<float> const sums =
        needle::suffix_attention(whole, l, prefilled.queries(l).last(needle::suffix_tokens),
                                 needle::suffix_tokens, config.query_heads);
    for (int head = 0; head < config.kv_heads; ++head) {
      slots const expected =
          method == std::string("snapkv")
              ? snapkv_slots(head_scores(sums, head, config.query_heads, config.kv_heads), keep)
              : streaming_slots(tokens, keep);
      if (!holds(cache, whole, l, head, expected)) ++different;
    }
  }
  return different;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: windowkv_needle_baselines WEIGHTS\n");
    return 2;
  }
  try {
    needle::model const lm(needle::load_weights(argv[1]));
    needle::document_writer const writer{needle::tokenizer(lm.words())};
    int failures = 0;
    for (char const* const method : {"streaming-llm", "snapkv"})
      for (double const budget : {.08, .3}) {
        constexpr int documents = 4;
        int different = 0;
        for (int i = 0; i < documents; ++i) {
          needle::random_source random(needle::document_seed(1, 256, 6, i));
          different += differences(lm, writer.needle(random, 256, 6, .1 + .2 * i), budget, method);
        }
        int const lists = documents * lm.config().layers * lm.config().kv_heads;
        // Softmax sums in another order may swap two tokens that score the same to 7 digits.
        int const limit = method == std::string("snapkv") ? lists / 20 : 0;
        std::printf("%-14s %3.0f %%: %d of %d lists differ, limit %d\n", method, 100 * budget, different,
                    lists, limit);
        if (different > limit) ++failures;
      }
    return failures == 0 ? 0 : 1;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_needle_baselines: %s\n", error.what());
    return 1;
  }
}
