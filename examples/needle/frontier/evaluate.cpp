// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../parallel.hpp"
#include "../trial.hpp"
#include "../weights.hpp"
#include "apply.hpp"

namespace needle {
namespace {

std::string model_name(std::string const& path) {
  std::string name = path.substr(path.find_last_of("/\\") + 1);
  name = name.substr(0, name.find('.'));
  std::string const prefix = "tinylm_";
  return name.compare(0, prefix.size(), prefix) == 0 ? name.substr(prefix.size()) : name;
}

bool has_words_for(named_model const& model, task_kind task) {
  random_source random(0);
  try {
    document_writer(model.words).write(task, random, 256, 4, .5);
    return true;
  } catch (std::runtime_error const&) {
    return false;
  }
}

}  // namespace

named_model::named_model(std::string const& path)
    : name(model_name(path)), lm(load_weights(path)), words(lm.words()) {}

std::vector<document_cell> cells_of(std::vector<named_model> const& models,
                                    std::vector<task_kind> const& tasks, std::vector<int> const& contexts,
                                    int threads) {
  constexpr int trial_documents = 5;
  constexpr double least = .6;
  std::vector<document_cell> all;
  for (std::size_t m = 0; m < models.size(); ++m)
    for (task_kind const task : tasks) {
      if (!has_words_for(models[m], task)) continue;
      for (int const context : contexts) {
        if (!has_digits(task)) all.push_back({m, task, context, 0});
        for (int const digits : {4, 6, 8})
          if (has_digits(task) && (task == task_kind::needle || digits < 8))
            all.push_back({m, task, context, digits});
      }
    }
  study trial(models, all, {1.}, trial_documents, 0, threads);
  trial.evaluate({});
  std::vector<document_cell> usable;
  for (std::size_t c = 0; c < all.size(); ++c)
    if (trial.full_accuracy(c) >= least) usable.push_back(all[c]);
  return usable;
}

study::study(std::vector<named_model> const& models, std::vector<document_cell> cells,
             std::vector<double> budgets, int documents, std::uint64_t seed, int threads)
    : models_(models),
      cells_(std::move(cells)),
      budgets_(std::move(budgets)),
      documents_(documents),
      seed_(seed),
      threads_(threads),
      full_(prompts(), 0) {}

document study::write(std::size_t cell, int index) const {
  document_cell const& c = cells_[cell];
  random_source random(document_seed(seed_, c.context, c.values, index));
  return document_writer(models_[c.model].words)
      .write(c.task, random, c.context, c.values, (depth_bin(index) + .5) / depth_bins);
}

void study::answer(std::size_t prompt, std::vector<configuration> const& asked, std::vector<answers>& out) {
  std::size_t const cell = prompt / static_cast<std::size_t>(documents_);
  model const& lm = models_[cells_[cell].model].lm;
  document const doc = write(cell, static_cast<int>(prompt % static_cast<std::size_t>(documents_)));
  int const answer_tokens = static_cast<int>(doc.answer.size());
  prefilled_prompt const prefilled(lm, doc.prompt, answer_tokens);
  if (!knows_full_) {
    kv_cache whole = prefilled.cache();
    full_[prompt] = answers_exactly(lm, doc, whole) ? 1 : 0;
  }
  prompt_under_study studied(lm.config(), prefilled);
  for (std::size_t i = 0; i < asked.size(); ++i) {
    settings const s = settings_of(asked[i]);
    for (std::size_t b = 0; b < budgets_.size(); ++b) {
      kv_cache cache = studied.compress(s, kept_tokens(budgets_[b], studied.tokens()), answer_tokens);
      out[i][prompt * budgets_.size() + b] = answers_exactly(lm, doc, cache) ? 1 : 0;
    }
  }
}

void study::evaluate(std::vector<configuration> const& configurations) {
  std::vector<configuration> asked;
  std::set<std::string> names;
  for (auto const& known : known_) names.insert(known.first);
  for (configuration const& c : configurations)
    if (names.insert(to_string(c)).second) asked.push_back(c);
  if (asked.empty() && knows_full_) return;
  std::vector<answers> out(asked.size(), answers(prompts() * budgets_.size(), 0));
  run_in_parallel(threads_, prompts(), [&](std::size_t prompt) { answer(prompt, asked, out); });
  knows_full_ = true;
  for (std::size_t i = 0; i < asked.size(); ++i) known_.emplace_back(to_string(asked[i]), std::move(out[i]));
}

study::answers const& study::answers_to(configuration const& c) const {
  std::string const name = to_string(c);
  for (auto const& known : known_)
    if (known.first == name) return known.second;
  throw std::logic_error("a configuration that was not evaluated: " + name);
}

double study::full_accuracy(std::size_t cell) const {
  double right = 0, count = 0;
  auto const per_cell = static_cast<std::size_t>(documents_);
  for (std::size_t i = 0; i < prompts(); ++i) {
    document_cell const& other = cells_[i / per_cell];
    if (other.model != cells_[cell].model || other.task != cells_[cell].task) continue;
    right += full_[i];
    ++count;
  }
  return right / count;
}

std::vector<double> study::weights() const {
  std::set<std::pair<std::size_t, task_kind>> pairs;
  for (document_cell const& c : cells_) pairs.insert({c.model, c.task});
  std::vector<double> of_cell;
  for (std::size_t c = 0; c < cells_.size(); ++c) {
    double const cells_of_pair =
        static_cast<double>(std::count_if(cells_.begin(), cells_.end(), [&](document_cell const& other) {
          return other.model == cells_[c].model && other.task == cells_[c].task;
        }));
    of_cell.push_back(1 /
                      (full_accuracy(c) * cells_of_pair * documents_ * static_cast<double>(pairs.size())));
  }
  return of_cell;
}

/// Exact answers of the matching cells and budgets relative to the full cache's.
template <class Matches>
double study::relative(answers const& a, Matches const& matches) const {
  double right = 0, full = 0;
  auto const per_cell = static_cast<std::size_t>(documents_);
  for (std::size_t i = 0; i < prompts(); ++i)
    for (std::size_t b = 0; b < budgets_.size(); ++b) {
      if (!matches(cells_[i / per_cell], b)) continue;
      right += a[i * budgets_.size() + b];
      full += full_[i];
    }
  return full > 0 ? right / full : std::numeric_limits<double>::quiet_NaN();
}

standing study::of(configuration const& c) const {
  answers const& a = answers_to(c);
  standing s{0, 1e9, 1e9};
  std::set<std::pair<std::size_t, task_kind>> pairs;
  for (document_cell const& cell : cells_) {
    auto const is_same = [&](document_cell const& other) {
      return other.model == cell.model && other.task == cell.task;
    };
    if (pairs.insert({cell.model, cell.task}).second) {
      double const pair =
          relative(a, [&](document_cell const& other, std::size_t) { return is_same(other); });
      s.mean += pair;
      s.worst = std::min(s.worst, pair);
    }
    for (std::size_t b = 0; b < budgets_.size(); ++b)
      s.worst_cell = std::min(s.worst_cell, relative(a, [&](document_cell const& other, std::size_t budget) {
                                return is_same(other) && other.context == cell.context && budget == b;
                              }));
  }
  s.mean /= static_cast<double>(pairs.size());
  return s;
}

double study::of_model(configuration const& c, std::size_t model) const {
  answers const& a = answers_to(c);
  double sum = 0;
  std::set<task_kind> tasks;
  for (document_cell const& cell : cells_)
    if (cell.model == model && tasks.insert(cell.task).second)
      sum += relative(a, [&](document_cell const& other, std::size_t) {
        return other.model == model && other.task == cell.task;
      });
  return sum / static_cast<double>(tasks.size());
}

comparison study::compare(configuration const& c, configuration const& with) const {
  answers const &a = answers_to(c), &b = answers_to(with);
  std::vector<double> const weight = weights();
  auto const per_cell = static_cast<std::size_t>(documents_);
  comparison out;
  double squares = 0;
  for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
    std::vector<double> differences(per_cell, 0.);
    double mean = 0;
    for (std::size_t d = 0; d < per_cell; ++d) {
      for (std::size_t k = 0; k < budgets_.size(); ++k) {
        std::size_t const i = (cell * per_cell + d) * budgets_.size() + k;
        differences[d] += (static_cast<double>(a[i]) - b[i]) / static_cast<double>(budgets_.size());
      }
      mean += differences[d] / documents_;
    }
    out.difference += weight[cell] * mean * documents_;
    for (double difference : differences)
      squares += weight[cell] * weight[cell] * (difference - mean) * (difference - mean);
  }
  out.standard_error = std::sqrt(squares);
  return out;
}

std::string study::csv_line(std::string const& label, std::size_t cell, double budget, int correct) const {
  document_cell const& c = cells_[cell];
  std::ostringstream out;
  out << '"' << label << "\"," << models_[c.model].name << ',' << name_of(c.task) << ',' << c.values << ','
      << c.context << ',' << budget << ',' << seed_ << ',' << documents_ << ',' << correct << '\n';
  return out.str();
}

std::string study::csv(std::string const& label, configuration const& c) const {
  answers const& a = answers_to(c);
  std::string text;
  auto const per_cell = static_cast<std::size_t>(documents_);
  for (std::size_t cell = 0; cell < cells_.size(); ++cell)
    for (std::size_t b = 0; b < budgets_.size(); ++b) {
      int correct = 0;
      for (std::size_t d = 0; d < per_cell; ++d) correct += a[(cell * per_cell + d) * budgets_.size() + b];
      text += csv_line(label, cell, budgets_[b], correct);
    }
  return text;
}

std::string study::csv_of_full() const {
  std::string text;
  auto const per_cell = static_cast<std::size_t>(documents_);
  for (std::size_t cell = 0; cell < cells_.size(); ++cell) {
    int correct = 0;
    for (std::size_t d = 0; d < per_cell; ++d) correct += full_[cell * per_cell + d];
    text += csv_line("full", cell, 1, correct);
  }
  return text;
}

}  // namespace needle
