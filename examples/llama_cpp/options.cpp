// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "options.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <utility>

namespace llama_demo {
namespace {

int parse_count(std::string const& name, std::string const& text, int least) {
  try {
    std::size_t used = 0;
    int const value = std::stoi(text, &used);
    if (used == text.size() && value >= least) return value;
  } catch (std::logic_error const&) {  // reported below, like every other text that is no count
  }
  throw usage_error(name + " needs a whole number of at least " + std::to_string(least) + ", not \"" + text +
                    "\"");
}

ggml_type parse_type(std::string const& name, std::string const& text) {
  std::map<std::string, ggml_type> const types{{"f32", GGML_TYPE_F32},
                                               {"f16", GGML_TYPE_F16},
                                               {"bf16", GGML_TYPE_BF16},
                                               {"q8_0", GGML_TYPE_Q8_0},
                                               {"q4_0", GGML_TYPE_Q4_0}};
  auto const found = types.find(text);
  if (found == types.end())
    throw usage_error(name + " needs f32, f16, bf16, q8_0 or q4_0, not \"" + text + "\"");
  return found->second;
}

windowkv::task parse_task(std::string const& text) {
  if (text == "localization") return windowkv::task::localization;
  if (text == "aggregation") return windowkv::task::aggregation;
  throw usage_error("--task needs localization or aggregation, not \"" + text + "\"");
}

}  // namespace

options parse_options(std::vector<std::string> const& arguments) {
  options o;
  std::map<std::string, std::function<void(std::string const&)>> const with_value{
      {"--model", [&](std::string const& v) { o.model = v; }},
      {"--prompt-file", [&](std::string const& v) { o.prompt_file = v; }},
      {"--prompt-tokens",
       [&](std::string const& v) { o.prompt_tokens = parse_count("--prompt-tokens", v, 64); }},
      {"--budget", [&](std::string const& v) { o.budget = parse_count("--budget", v, 1); }},
      {"--layers-per-group",
       [&](std::string const& v) { o.layers_per_group = parse_count("--layers-per-group", v, 1); }},
      {"--new-tokens", [&](std::string const& v) { o.new_tokens = parse_count("--new-tokens", v, 1); }},
      {"--threads", [&](std::string const& v) { o.threads = parse_count("--threads", v, 1); }},
      {"--key-type", [&](std::string const& v) { o.key_type = parse_type("--key-type", v); }},
      {"--value-type", [&](std::string const& v) { o.value_type = parse_type("--value-type", v); }},
      {"--task", [&](std::string const& v) { o.task = parse_task(v); }},
  };
  std::map<std::string, bool*> const switches{
      {"--flash-attention", &o.flash_attention}, {"--verbose", &o.verbose}, {"--help", &o.help}};
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    std::string const& name = arguments[i];
    if (auto const found = switches.find(name); found != switches.end()) {
      *found->second = true;
      continue;
    }
    auto const found = with_value.find(name);
    if (found == with_value.end()) throw usage_error("unknown option \"" + name + "\"");
    if (++i == arguments.size()) throw usage_error(name + " needs a value");
    found->second(arguments[i]);
  }
  if (!o.help && o.model.empty()) throw usage_error("--model is missing");
  return o;
}

std::string help_text() {
  return R"(windowkv_llama --model FILE.gguf [options]

Compresses the KV cache of a llama.cpp context in three ways, and compares the logits of the tokens that follow
with those of the full cache in which the same tokens are hidden.

  --model FILE            a GGUF model; windowkv_llama_cpp_random_model writes a small one
  --prompt-file FILE      a text, of which the first --prompt-tokens tokens are read (default: random tokens)
  --prompt-tokens N       default 2048
  --budget N              tokens kept per layer (default: an eighth of the prompt)
  --layers-per-group N    layers that keep the same tokens, where layers may differ (default 4)
  --new-tokens N          tokens decoded after the prompt (default 16)
  --task NAME             localization (default) or aggregation
  --flash-attention       values are then stored in rows, else transposed
  --key-type NAME         f32, f16 (default), bf16, q8_0 or q4_0
  --value-type NAME       the same; quantised values need --flash-attention
  --threads N             default 2
  --verbose               print everything that llama.cpp reports
)";
}

}  // namespace llama_demo
