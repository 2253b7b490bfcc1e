// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compares the inference engine with vectors computed by the program that trained the model:
//   windowkv_needle_verify REF.json WEIGHTS...
// The last token's logits to 1e-2, and the attention of the last 16 tokens, summed over them and over the
// query heads, to 1e-3. Decoding is compared with prefill: the prompt's last token, fed alone, must give the
// same logits.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "../json.hpp"
#include "../model.hpp"
#include "../tokenizer.hpp"
#include "../weights.hpp"

namespace {

constexpr int suffix = 16;

double largest_difference(std::vector<float> const& a, std::vector<float> const& b) {
  if (a.size() != b.size()) throw std::runtime_error("the reference has another number of elements");
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i) most = std::fmax(most, std::fabs(double{a[i]} - double{b[i]}));
  return most;
}

bool report(char const* what, double difference, double limit) {
  bool const good = difference <= limit;
  std::printf("  %-34s largest difference %.2e, limit %.0e: %s\n", what, difference, limit,
              good ? "ok" : "FAILED");
  return good;
}

std::vector<float> sum_over_heads(std::vector<float> const& sums, int heads) {
  std::size_t const review = sums.size() / static_cast<std::size_t>(heads);
  std::vector<float> total(review, 0.f);
  for (std::size_t i = 0; i < sums.size(); ++i) total[i % review] += sums[i];
  return total;
}

bool verify_prompt(needle::model const& model, needle::json_value const& reference) {
  needle::model_config const& config = model.config();
  std::vector<int> const tokens = reference["tokens"].integers();
  int const count = static_cast<int>(tokens.size());
  std::printf(" prompt of %d tokens\n", count);
  bool good = needle::tokenizer(model.words()).encode(reference["prompt"].string()) == tokens;
  if (!good) std::printf("  the tokenizer gives other tokens: FAILED\n");

  needle::kv_cache cache(config, count);
  std::map<int, std::vector<float>> sums;
  std::vector<float> const logits =
      model.prefill(tokens, cache, [&](int layer, needle::layer_queries const& queries) {
        sums[layer] = sum_over_heads(
            needle::suffix_attention(cache, layer, queries.last(suffix), suffix, config.query_heads),
            config.query_heads);
      });
  good &= report("logits", largest_difference(logits, reference["last_logits"].floats()), 1e-2);
  for (auto const& [layer, values] : reference["obs16_sum_over_heads"].object())
    good &= report(("attention sums of layer " + layer).c_str(),
                   largest_difference(sums.at(std::stoi(layer)), values.floats()), 1e-3);

  cache.drop_last();
  good &= report("decode against prefill",
                 largest_difference(model.decode(tokens.back(), count - 1, cache), logits), 1e-3);
  return good;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: windowkv_needle_verify REF.json WEIGHTS...\n");
    return 2;
  }
  try {
    std::ifstream file(argv[1], std::ios::binary);
    if (!file) throw std::runtime_error(std::string("cannot open ") + argv[1]);
    std::string const text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    needle::json_value const references = needle::json_value::parse(text);
    bool good = !references.array().empty();
    for (int i = 2; i < argc; ++i) {
      std::printf("%s\n", argv[i]);
      needle::model const model(needle::load_weights(argv[i]));
      for (needle::json_value const& reference : references.array()) good &= verify_prompt(model, reference);
    }
    return good ? 0 : 1;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_needle_verify: %s\n", error.what());
    return 1;
  }
}
