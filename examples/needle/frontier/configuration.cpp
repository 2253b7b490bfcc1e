// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "configuration.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace needle {
namespace {

namespace wkv = windowkv;

[[noreturn]] void refuse(std::string const& name, std::string const& value) {
  throw std::runtime_error("configuration: " + name + "=" + value + " is not understood");
}

std::vector<std::string> split(std::string const& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

double number(std::string const& name, std::string const& text) {
  char* end = nullptr;
  double const value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0 && value < 1e6)) refuse(name, text);
  return value;
}
int integer(std::string const& name, std::string const& text) { return static_cast<int>(number(name, text)); }

template <class T>
T one_of(std::string const& name, std::string const& value, std::map<std::string, T> const& choices) {
  auto const found = choices.find(value);
  if (found == choices.end()) refuse(name, value);
  return found->second;
}

void read_pooling(std::string const& value, settings& s) {
  std::vector<std::string> const parts = split(value, ':');
  s.pooling =
      one_of<pool_kind>("pool", parts.empty() ? "" : parts[0],
                        {{"none", pool_kind::none}, {"max", pool_kind::maximum}, {"mean", pool_kind::mean}});
  s.after = s.before = 0;
  if (s.pooling == pool_kind::none) return;
  if (parts.size() != 3) refuse("pool", value);
  s.after = integer("pool", parts[1]);
  s.before = integer("pool", parts[2]);
}

void read_scorers(std::string const& value, settings& s) {
  s.scoring = wkv::scoring_layers::all;
  s.every = 1;
  if (value == "first")
    s.scoring = wkv::scoring_layers::first;
  else if (value == "middle")
    s.scoring = wkv::scoring_layers::middle;
  else if (value.compare(0, 5, "every") == 0)
    s.every = integer("scorers", value.substr(5));
  else if (value != "all")
    refuse("scorers", value);
  if (s.every < 1) refuse("scorers", value);
}

std::string text_of(float number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", static_cast<double>(number));
  return text;
}

template <class Pooling>
std::string text_of(Pooling const& pooling) {
  if constexpr (std::is_same_v<Pooling, wkv::no_pooling>) {
    return "none";
  } else {
    static_assert(std::is_same_v<Pooling, wkv::max_pooling>);
    return "max:" + std::to_string(pooling.after) + ":" + std::to_string(pooling.before);
  }
}

/// The parts of a scoring of default_method(), and of the method around it.
template <class Method, class Scoring>
configuration configuration_of(Method const& m, Scoring const& s) {
  static_assert(std::is_same_v<decltype(s.token_scorer), wkv::recent_attention>);
  static_assert(std::is_same_v<decltype(m.head_sharing), wkv::all_heads>);
  bool const takes_maximum = s.reduction == wkv::head_reduction::maximum;
  int const group = m.layer_grouping.layers_per_group;
  wkv::scoring_layers const scorers = m.layer_grouping.scoring;
  return {{"suffix", std::to_string(s.suffix)},
          {"decay", text_of(s.token_scorer.decay)},
          {"values", "none"},
          {"pool", text_of(s.pooling)},
          {"window", std::to_string(s.windows.width)},
          {"heads", std::string(s.heads == wkv::head_merge::at_tokens ? "tokens" : "windows") +
                        (takes_maximum ? ":max" : ":mean")},
          {"layers", s.layers == wkv::layer_merge::maximum ? "max" : "mean"},
          {"group", std::to_string(group)},
          {"scorers", scorers == wkv::scoring_layers::all     ? "all"
                      : scorers == wkv::scoring_layers::first ? "first"
                                                              : "middle"},
          {"last", std::to_string(100 * group / m.budget.shape.beta)},
          {"sinks", std::to_string(m.selector.sinks)},
          {"lists", "one"}};
}

}  // namespace

configuration default_localization() {
  auto const method = wkv::default_method();
  return configuration_of(method, method.localization);
}

configuration default_aggregation() {
  auto const method = wkv::default_method();
  return configuration_of(method, method.aggregation);
}

configuration parse_configuration(configuration base, std::string const& text) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    auto const equals = word.find('=');
    std::string const name = word.substr(0, equals);
    if (equals == std::string::npos || base.count(name) == 0) refuse(name, word);
    base[name] = word.substr(equals + 1);
  }
  settings_of(base);
  return base;
}

std::string to_string(configuration const& c) {
  std::string text;
  for (char const* name : {"suffix", "decay", "values", "pool", "window", "heads", "layers", "group",
                           "scorers", "last", "sinks", "lists"})
    text += (text.empty() ? "" : " ") + std::string(name) + "=" + c.at(name);
  return text;
}

std::map<std::string, std::vector<std::string>> const& search_space() {
  static std::map<std::string, std::vector<std::string>> const space{
      {"suffix", {"4", "8", "12", "16", "24", "32"}},
      {"decay", {"0", "0.5", "0.6", "0.7", "0.8", "0.9", "0.95", "1"}},
      {"values", {"none", "norm"}},
      {"pool",
       {"none", "max:3:0", "max:5:0", "max:7:0", "max:9:0", "max:11:0", "max:15:0", "max:7:1", "max:7:3",
        "max:3:3", "max:5:5", "max:1:0", "mean:7:0", "mean:3:3"}},
      {"window", {"1", "4", "8", "8:top", "16:top"}},
      {"heads", {"tokens:mean", "tokens:max", "windows:mean", "windows:max"}},
      {"layers", {"max", "mean"}},
      {"group", {"1", "2", "4", "8", "16"}},
      {"scorers", {"all", "first", "middle", "every2", "every4"}},
      {"last", {"30", "57", "80", "100", "130"}},
      {"sinks", {"0", "1", "2", "4", "8"}},
      {"lists", {"one", "each", "adaptive"}}};
  return space;
}

settings settings_of(configuration const& c) {
  settings s{};
  s.suffix = integer("suffix", c.at("suffix"));
  s.decay = static_cast<float>(number("decay", c.at("decay")));
  s.weighs_values = one_of<bool>("values", c.at("values"), {{"none", false}, {"norm", true}});
  read_pooling(c.at("pool"), s);
  std::vector<std::string> const window = split(c.at("window"), ':');
  if (window.empty() || window.size() > 2 || (window.size() == 2 && window[1] != "top"))
    refuse("window", c.at("window"));
  s.width = integer("window", window[0]);
  s.is_top_half = window.size() == 2;
  std::vector<std::string> const heads = split(c.at("heads"), ':');
  if (heads.size() != 2) refuse("heads", c.at("heads"));
  s.heads = one_of<wkv::head_merge>(
      "heads", heads[0], {{"tokens", wkv::head_merge::at_tokens}, {"windows", wkv::head_merge::at_windows}});
  s.reduction = one_of<wkv::head_reduction>(
      "heads", heads[1], {{"mean", wkv::head_reduction::mean}, {"max", wkv::head_reduction::maximum}});
  s.layers = one_of<wkv::layer_merge>("layers", c.at("layers"),
                                      {{"max", wkv::layer_merge::maximum}, {"mean", wkv::layer_merge::mean}});
  s.group = integer("group", c.at("group"));
  read_scorers(c.at("scorers"), s);
  s.last = integer("last", c.at("last"));
  if (s.last < 1) refuse("last", c.at("last"));
  s.sinks = integer("sinks", c.at("sinks"));
  s.lists = one_of<list_kind>(
      "lists", c.at("lists"),
      {{"one", list_kind::one}, {"each", list_kind::each}, {"adaptive", list_kind::adaptive}});
  return s;
}

}  // namespace needle
