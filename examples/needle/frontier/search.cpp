// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "search.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

namespace needle {
namespace {

/// Changes of one part, or of two.
struct change {
  std::vector<std::string> parts;
  configuration to;
  double difference = 0;
};

std::string describe(configuration const& from, configuration const& to) {
  std::string text;
  for (auto const& [part, value] : to)
    if (from.at(part) != value) text.append(text.empty() ? "" : " ").append(part).append("=").append(value);
  return text.empty() ? "start" : text;
}

std::vector<change> single_changes(configuration const& from, std::vector<std::string> const& fixed) {
  std::vector<change> all;
  for (auto const& [part, values] : search_space()) {
    if (std::find(fixed.begin(), fixed.end(), part) != fixed.end()) continue;
    for (std::string const& value : values) {
      if (value == from.at(part)) continue;
      change c{{part}, from};
      c.to[part] = value;
      all.push_back(c);
    }
  }
  return all;
}

std::vector<change> with_pairs(std::vector<change> singles, configuration const& from) {
  std::vector<change> all = singles;
  for (std::size_t i = 0; i < singles.size(); ++i)
    for (std::size_t j = i + 1; j < singles.size(); ++j) {
      std::string const &a = singles[i].parts[0], &b = singles[j].parts[0];
      if (a == b) continue;
      change both{{a, b}, from};
      both.to[a] = singles[i].to.at(a);
      both.to[b] = singles[j].to.at(b);
      all.push_back(both);
    }
  return all;
}

}  // namespace

search_result search(configuration const& start, std::vector<std::string> const& fixed,
                     std::vector<study*> stages, int most_rounds) {
  constexpr std::size_t survivors[] = {10, 3, 1};
  constexpr double enough_errors = 1.5;
  search_result result{start, {}};
  for (int round = 1; round <= most_rounds; ++round) {
    std::vector<change> changes = single_changes(result.best, fixed);
    comparison best{};
    for (std::size_t stage = 0; stage < stages.size(); ++stage) {
      study& on = *stages[stage];
      if (stage + 1 == stages.size()) changes = with_pairs(changes, result.best);
      std::vector<configuration> asked{result.best};
      for (change const& c : changes) asked.push_back(c.to);
      on.evaluate(asked);
      for (change& c : changes) {
        comparison const against = on.compare(c.to, result.best);
        c.difference = against.difference;
        result.steps.push_back(
            {round, static_cast<int>(stage) + 1, describe(result.best, c.to), c.to, on.of(c.to), against});
      }
      std::stable_sort(changes.begin(), changes.end(),
                       [](change const& a, change const& b) { return a.difference > b.difference; });
      changes.resize(std::min(changes.size(), survivors[std::min<std::size_t>(stage, 2)]));
      best = on.compare(changes[0].to, result.best);
      std::printf(
          "round %d, stage %d: %zu configurations on %zu prompts; start %.3f; best %s: %+.3f (%.3f)\n", round,
          static_cast<int>(stage) + 1, asked.size(), on.prompts(), on.of(result.best).mean,
          describe(result.best, changes[0].to).c_str(), best.difference, best.standard_error);
      std::fflush(stdout);
    }
    if (best.difference <= enough_errors * best.standard_error) break;
    result.best = changes[0].to;
  }
  return result;
}

}  // namespace needle
