// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "experiment.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kv_cache.hpp"
#include "methods.hpp"

namespace needle {
namespace {

class stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/// A method with one of its budgets.
struct variant {
  std::string method;
  double budget;
};

std::vector<variant> variants_of(options const& o) {
  std::vector<variant> all;
  for (std::string const& method : o.methods) {
    if (method == "full")
      all.push_back({method, 1});
    else
      for (double budget : o.budgets) all.push_back({method, budget});
  }
  return all;
}

int kept_tokens(double budget, int tokens) {
  constexpr int fewest = suffix_tokens + 4;
  return std::min(tokens, std::max(fewest, static_cast<int>(std::lround(budget * tokens))));
}

/// Greedy decoding on a compressed cache. The prompt's last token is taken out of the cache and fed again, so
/// that the first word of the answer, too, is read from what was kept. Stops after `most` tokens or before
/// `stop`.
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

constexpr int no_stop = -1;

/// What one variant did to one document.
struct outcome {
  bool is_correct = false;
  double kept_tokens = 0, bytes_before = 0, bytes_after = 0, compress_ms = 0, decode_ms = 0;
};

/// The prompt's uncompressed cache and the queries its layers saw: prefilled once, then compressed by every
/// method in turn. A layer's compression never reaches back into prefill, so replaying it gives the same rows
/// as compressing on the way (which answer_question does).
struct prefilled_prompt {
  prefilled_prompt(model const& lm, std::vector<int> const& prompt, int answer_tokens)
      : cache(lm.config(), static_cast<int>(prompt.size()) + answer_tokens) {
    auto const count = static_cast<std::ptrdiff_t>(suffix_tokens) * lm.config().query_width();
    lm.prefill(prompt, cache, suffix_tokens,
               [&](int, float const* queries) { suffix_queries.emplace_back(queries, queries + count); });
  }
  kv_cache cache;
  std::vector<std::vector<float>> suffix_queries;  // of each layer
};

outcome try_variant(model const& lm, document const& doc, task_kind task, prefilled_prompt const& prefilled,
                    variant const& v) {
  int const tokens = static_cast<int>(doc.prompt.size()), answer_tokens = static_cast<int>(doc.answer.size());
  auto const method = make_compressor(v.method, lm.config(), {tokens, kept_tokens(v.budget, tokens), task});
  kv_cache cache = prefilled.cache;
  outcome result;
  result.bytes_before = static_cast<double>(cache.bytes());

  stopwatch const compression;
  for (int layer = 0; layer < lm.config().layers; ++layer)
    method->layer_done(layer, prefilled.suffix_queries[static_cast<std::size_t>(layer)].data(), cache);
  result.compress_ms = compression.ms();
  result.bytes_after = static_cast<double>(cache.bytes());
  result.kept_tokens = cache.mean_length();

  stopwatch const decoding;
  result.is_correct = decode_answer(lm, doc.prompt, answer_tokens, no_stop, cache) == doc.answer;
  result.decode_ms = decoding.ms() / answer_tokens;
  return result;
}

/// Documents of one context length and value length.
struct cell {
  int context;
  int values;
};

std::vector<cell> cells_of(options const& o) {
  std::vector<cell> all;
  for (int context : o.contexts) {
    if (o.task == task_kind::city)
      all.push_back({context, 0});
    else
      for (int values : o.values) all.push_back({context, values});
  }
  return all;
}

/// One seed per document, so that a document does not depend on which others are written (splitmix64).
std::uint64_t document_seed(std::uint64_t seed, cell const& c, int index) {
  std::uint64_t x = seed;
  for (int part : {c.context, c.values, index}) {
    x += 0x9e3779b97f4a7c15u * (static_cast<std::uint64_t>(part) + 1);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
  }
  return x;
}

document write_document(document_writer const& writer, options const& o, cell const& c, int index) {
  random_source random(document_seed(o.seed, c, index));
  if (o.task == task_kind::city) return writer.city(random, c.context);
  return writer.needle(random, c.context, c.values, (depth_bin(index) + .5) / depth_bins);
}

/// Calls work(0) ... work(count - 1), each once, on several threads.
template <class Work>
void run_in_parallel(int threads, std::size_t count, Work const& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  auto const worker = [&] {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(i);
      } catch (...) {
        std::lock_guard<std::mutex> const lock(mutex);
        failure = std::current_exception();
        next = count;
      }
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(worker);
  worker();
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

measurement sum_up(variant const& v, cell const& c, std::vector<outcome const*> const& outcomes) {
  measurement m;
  m.method = v.method;
  m.budget = v.budget;
  m.context = c.context;
  m.values = c.values;
  double const share = 1.0 / static_cast<double>(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    outcome const& o = *outcomes[i];
    m.total.add(o.is_correct);
    if (c.values != 0) m.by_depth[static_cast<std::size_t>(depth_bin(static_cast<int>(i)))].add(o.is_correct);
    m.kept_tokens += o.kept_tokens * share;
    m.bytes_before += o.bytes_before * share;
    m.bytes_after += o.bytes_after * share;
    m.compress_ms += o.compress_ms * share;
    m.decode_ms_per_token += o.decode_ms * share;
  }
  return m;
}

/// The user's text and question in the form that the model was trained on.
std::vector<int> prompt_of(tokenizer const& words, std::string const& text, std::string question) {
  auto const begins_with = [&](std::string const& s) { return question.compare(0, s.size(), s) == 0; };
  if (!begins_with("question")) question.insert(0, "question : ");
  if (question.find('?') == std::string::npos) question += " ?";
  if (question.find("answer") == std::string::npos) question += " answer :";
  std::vector<int> prompt{words.token("<bos>")};
  for (std::string const& part : {text, question}) {
    std::vector<int> const tokens = words.encode(part);
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
  }
  return prompt;
}

std::string read_text(std::string const& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

std::vector<measurement> run_experiment(model const& lm, tokenizer const& words, options const& o) {
  document_writer const writer(words);
  std::vector<cell> const cells = cells_of(o);
  std::vector<variant> const variants = variants_of(o);
  auto const per_cell = static_cast<std::size_t>(o.documents);
  std::vector<std::vector<outcome>> outcomes(cells.size() * per_cell);  // [cell, document][variant]

  int const available = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  run_in_parallel(o.threads > 0 ? o.threads : available, outcomes.size(), [&](std::size_t i) {
    document const doc = write_document(writer, o, cells[i / per_cell], static_cast<int>(i % per_cell));
    prefilled_prompt const prefilled(lm, doc.prompt, static_cast<int>(doc.answer.size()));
    for (variant const& v : variants) outcomes[i].push_back(try_variant(lm, doc, o.task, prefilled, v));
  });

  std::vector<measurement> measurements;
  for (std::size_t c = 0; c < cells.size(); ++c)
    for (std::size_t v = 0; v < variants.size(); ++v) {
      std::vector<outcome const*> of_variant;
      for (std::size_t d = 0; d < per_cell; ++d) of_variant.push_back(&outcomes[c * per_cell + d][v]);
      measurements.push_back(sum_up(variants[v], cells[c], of_variant));
    }
  return measurements;
}

std::vector<reply> answer_question(model const& lm, tokenizer const& words, options const& o) {
  constexpr int most_answer_tokens = 16;
  std::vector<int> const prompt = prompt_of(words, read_text(o.document), o.question);
  int const tokens = static_cast<int>(prompt.size());
  std::vector<reply> replies;
  for (variant const& v : variants_of(o)) {
    auto const method =
        make_compressor(v.method, lm.config(), {tokens, kept_tokens(v.budget, tokens), o.task});
    kv_cache cache(lm.config(), tokens + most_answer_tokens);
    lm.prefill(prompt, cache, suffix_tokens,
               [&](int layer, float const* queries) { method->layer_done(layer, queries, cache); });
    double const kept = cache.mean_length();
    std::vector<int> const answer = decode_answer(lm, prompt, most_answer_tokens, words.token("."), cache);
    replies.push_back({v.method, v.budget, words.decode(answer), kept, tokens});
  }
  return replies;
}

}  // namespace needle
