// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "experiment.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kv_cache.hpp"
#include "methods.hpp"
#include "parallel.hpp"
#include "trial.hpp"

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

/// What one variant did to one document.
struct outcome {
  bool is_correct = false;
  double kept_tokens = 0, bytes_before = 0, bytes_after = 0, compress_ms = 0, decode_ms = 0;
};

outcome try_variant(model const& lm, document const& doc, task_kind task, prefilled_prompt const& prefilled,
                    variant const& v) {
  int const tokens = static_cast<int>(doc.prompt.size()), answer_tokens = static_cast<int>(doc.answer.size());
  auto const method = make_compressor(v.method, lm.config(), {tokens, kept_tokens(v.budget, tokens), task});
  kv_cache cache = prefilled.cache();
  outcome result;
  result.bytes_before = static_cast<double>(cache.bytes());

  stopwatch const compression;
  for (int layer = 0; layer < lm.config().layers; ++layer)
    method->layer_done(layer, prefilled.queries(layer), cache);
  result.compress_ms = compression.ms();
  result.bytes_after = static_cast<double>(cache.bytes());
  result.kept_tokens = cache.mean_length();

  stopwatch const decoding;
  constexpr int no_stop = -1;
  result.is_correct = decode_answer(lm, doc.prompt, answer_tokens, no_stop, cache) == doc.answer;
  result.decode_ms = decoding.ms() / answer_tokens;
  return result;
}

/// Documents of one task, context length and value length.
struct cell {
  task_kind task;
  int context;
  int values;  ///< 0 where the task has no digits
};

bool has_words_for(document_writer const& writer, task_kind task) {
  random_source random(0);
  try {
    writer.write(task, random, 256, 4, .5);
    return true;
  } catch (std::runtime_error const&) {
    return false;
  }
}

std::vector<cell> cells_of(document_writer const& writer, options const& o) {
  std::vector<task_kind> tasks = o.tasks;
  if (o.all_tasks) {
    tasks.assign(all_tasks.begin(), all_tasks.end());
    tasks.erase(std::remove_if(tasks.begin(), tasks.end(),
                               [&](task_kind task) { return !has_words_for(writer, task); }),
                tasks.end());
  }
  std::vector<cell> all;
  for (task_kind const task : tasks)
    for (int const context : o.contexts) {
      if (!has_digits(task)) all.push_back({task, context, 0});
      for (int const values : o.values)
        if (has_digits(task)) all.push_back({task, context, values});
    }
  return all;
}

document write_document(document_writer const& writer, options const& o, cell const& c, int index) {
  random_source random(document_seed(o.seed, c.context, c.values, index));
  return writer.write(c.task, random, c.context, c.values, (depth_bin(index) + .5) / depth_bins);
}

measurement sum_up(variant const& v, cell const& c, std::vector<outcome const*> const& outcomes) {
  measurement m;
  m.method = v.method;
  m.budget = v.budget;
  m.task = c.task;
  m.context = c.context;
  m.values = c.values;
  m.compress_ms = outcomes[0]->compress_ms;
  m.decode_ms_per_token = outcomes[0]->decode_ms;
  double const share = 1.0 / static_cast<double>(outcomes.size());
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    outcome const& o = *outcomes[i];
    m.total.add(o.is_correct);
    if (c.task == task_kind::needle)
      m.by_depth[static_cast<std::size_t>(depth_bin(static_cast<int>(i)))].add(o.is_correct);
    m.kept_tokens += o.kept_tokens * share;
    m.bytes_before += o.bytes_before * share;
    m.bytes_after += o.bytes_after * share;
    m.compress_ms = std::min(m.compress_ms, o.compress_ms);
    m.decode_ms_per_token = std::min(m.decode_ms_per_token, o.decode_ms);
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
  std::vector<cell> const cells = cells_of(writer, o);
  std::vector<variant> const variants = variants_of(o);
  auto const per_cell = static_cast<std::size_t>(o.documents);
  std::vector<std::vector<outcome>> outcomes(cells.size() * per_cell);  // [cell, document][variant]

  run_in_parallel(o.threads, outcomes.size(), [&](std::size_t i) {
    cell const& c = cells[i / per_cell];
    document const doc = write_document(writer, o, c, static_cast<int>(i % per_cell));
    prefilled_prompt const prefilled(lm, doc.prompt, static_cast<int>(doc.answer.size()));
    for (variant const& v : variants) outcomes[i].push_back(try_variant(lm, doc, c.task, prefilled, v));
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
  if (tokens < suffix_tokens) throw std::runtime_error("text and question are too short to compress");
  std::vector<reply> replies;
  for (variant const& v : variants_of(o)) {
    auto const method =
        make_compressor(v.method, lm.config(), {tokens, kept_tokens(v.budget, tokens), o.tasks[0]});
    kv_cache cache(lm.config(), tokens + most_answer_tokens);
    lm.prefill(prompt, cache,
               [&](int layer, layer_queries const& queries) { method->layer_done(layer, queries, cache); });
    double const kept = cache.mean_length();
    std::vector<int> const answer = decode_answer(lm, prompt, most_answer_tokens, words.token("."), cache);
    replies.push_back({v.method, v.budget, words.decode(answer), kept, tokens});
  }
  return replies;
}

}  // namespace needle
