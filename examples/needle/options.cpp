// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "options.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "methods.hpp"

namespace needle {
namespace {

std::vector<std::string> split(std::string const& list) {
  std::vector<std::string> items;
  std::stringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) items.push_back(item);
  if (list.empty() || list.back() == ',') items.emplace_back();
  return items;
}

long parse_integer(std::string const& option, std::string const& text, long least, long most) {
  char* end = nullptr;
  errno = 0;
  long const value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || value < least || value > most)
    throw usage_error(option + ": expected a whole number from " + std::to_string(least) + " to " +
                      std::to_string(most) + ", got \"" + text + "\"");
  return value;
}

double parse_fraction(std::string const& option, std::string const& text) {
  char* end = nullptr;
  double const value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value > 0 && value <= 1))
    throw usage_error(option + ": expected a fraction above 0 and at most 1, got \"" + text + "\"");
  return value;
}

std::string parse_method(std::string const& option, std::string const& text) {
  std::string names;
  for (method_info const& method : known_methods()) {
    if (method.name == text) return text;
    names += " " + method.name;
  }
  throw usage_error(option + ": there is no method \"" + text + "\"; known:" + names);
}

/// Parses every item of a list; refuses repetitions, which would print the same row twice.
template <class Parse>
auto parse_list(std::string const& option, std::string const& list, Parse parse) {
  std::vector<decltype(parse(list))> values;
  for (std::string const& item : split(list)) {
    values.push_back(parse(item));
    if (std::find(values.begin(), values.end() - 1, values.back()) != values.end() - 1)
      throw usage_error(std::string(option).append(": \"").append(item).append("\" is given twice"));
  }
  return values;
}

std::vector<int> parse_integers(std::string const& option, std::string const& list, long least, long most) {
  return parse_list(option, list, [&](std::string const& item) {
    return static_cast<int>(parse_integer(option, item, least, most));
  });
}

std::vector<std::string> parse_methods(std::string const& option, std::string const& list) {
  if (list == "all") return distinct_methods();
  return parse_list(option, list, [&](std::string const& item) { return parse_method(option, item); });
}

task_kind parse_task(std::string const& option, std::string const& text) {
  std::string names;
  for (task_kind const task : all_tasks) {
    if (text == name_of(task)) return task;
    names += std::string(" ") + name_of(task);
  }
  throw usage_error(option + ": there is no task \"" + text + "\"; known: all" + names);
}

void set_tasks(std::string const& option, std::string const& list, options& o) {
  o.all_tasks = list == "all";
  if (!o.all_tasks)
    o.tasks = parse_list(option, list, [&](std::string const& item) { return parse_task(option, item); });
}

void check(options const& o) {
  if (o.weights.empty()) throw usage_error("--weights is missing: this build has no default");
  if (o.document.empty() != o.question.empty())
    throw usage_error("--document and --question belong together");
  if (!o.document.empty() && !(o.json + o.figure + o.curves).empty())
    throw usage_error("--json, --figure and --curves show many documents, not the one of --document");
  if (!o.document.empty() && (o.all_tasks || o.tasks.size() != 1))
    throw usage_error("--document: one --task, which says what the question is like");
}

}  // namespace

options parse_options(std::vector<std::string> const& arguments) {
  options o;
#if defined(WINDOWKV_NEEDLE_WEIGHTS_DIR)
  o.weights = WINDOWKV_NEEDLE_WEIGHTS_DIR "/tinylm_a.fp16.bin";
#endif
  using text = std::string const&;
  std::map<std::string, std::function<void(text name, text value)>> const setters{
      {"--weights", [&](text, text v) { o.weights = v; }},
      {"--context", [&](text n, text v) { o.contexts = parse_integers(n, v, smallest_context, 65536); }},
      {"--budget",
       [&](text n, text v) {
         o.budgets = parse_list(n, v, [&](text item) { return parse_fraction(n, item); });
       }},
      {"--values", [&](text n, text v) { o.values = parse_integers(n, v, 1, 12); }},
      {"--task", [&](text n, text v) { set_tasks(n, v, o); }},
      {"--methods", [&](text n, text v) { o.methods = parse_methods(n, v); }},
      {"--documents",
       [&](text n, text v) { o.documents = static_cast<int>(parse_integer(n, v, 1, 100000)); }},
      {"--seed",
       [&](text n, text v) { o.seed = static_cast<std::uint64_t>(parse_integer(n, v, 0, 2000000000)); }},
      {"--json", [&](text, text v) { o.json = v; }},
      {"--figure", [&](text, text v) { o.figure = v; }},
      {"--curves", [&](text, text v) { o.curves = v; }},
      {"--threads", [&](text n, text v) { o.threads = static_cast<int>(parse_integer(n, v, 1, 1024)); }},
      {"--document", [&](text, text v) { o.document = v; }},
      {"--question", [&](text, text v) { o.question = v; }},
  };
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string const& name = arguments[i];
    if (name == "--help" || name == "-h") {
      o.help = true;
      return o;
    }
    auto const setter = setters.find(name);
    if (setter == setters.end()) throw usage_error("unknown option \"" + name + "\"");
    if (i + 1 == arguments.size() || arguments[i + 1].empty())
      throw usage_error(name + ": a value is missing");
    setter->second(name, arguments[++i]);
  }
  check(o);
  return o;
}

std::string help_text() {
  std::string text =
      "windowkv_needle: can a small language model still answer when its KV cache is compressed?\n"
      "\n"
      "Writes documents with a question at the end, compresses the cache of each by several methods, lets "
      "the model\n"
      "answer from what is left, and counts the exact answers.\n"
      "\n"
      "  --task NAME,...         needle: find one fact; pair: two; hop: a fact about somebody's friend; "
      "list:\n"
      "                          the places of one person; city: count evidence all over the text; all: "
      "those\n"
      "                          the model has words for [needle]\n"
      "  --context N,...         tokens of a document [512,1024]\n"
      "  --values N,...          digits of a fact, tasks needle, pair and hop [4,6,8]\n"
      "  --budget F,...          fraction of the tokens kept per layer [0.08,0.12]\n"
      "  --methods NAME,...      see below; all: one of each kind\n"
      "                          [full,streaming-llm,snapkv,paper-g1,paper-g8,default]\n"
      "  --documents N           per task, context and value; facts take turns at ten depths [50]\n"
      "  --seed N                of the documents [1]\n"
      "  --threads N             documents worked on at the same time [one per hardware thread]\n"
      "  --weights FILE          the model [the one that comes with the example]\n"
      "  --json FILE             writes all results\n"
      "  --curves FILE           draws exact answers over the budget, a line per method (SVG)\n"
      "  --figure FILE           draws a heat map of context by depth per method (SVG)\n"
      "  --document FILE --question TEXT\n"
      "                          answers a question about your own text, in words that the model knows\n"
      "  --help                  this text\n"
      "\n"
      "Methods:\n";
  for (method_info const& method : known_methods()) {
    std::string line = "  " + method.name;
    line.resize(26, ' ');
    text += line + method.summary + "\n";
  }
  return text;
}

}  // namespace needle
