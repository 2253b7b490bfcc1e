// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "methods.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace needle {
namespace {

/// The whole cache.
class keep_everything : public compressor {
 public:
  void layer_done(int, layer_queries const&, kv_cache&) override {}
};

std::vector<method_entry> const& entries() {
  static std::vector<method_entry> const table = [] {
    std::vector<method_entry> all{
        {{"full", "the whole cache"}, [](model_config const&, compression_request const&) {
           return std::make_unique<keep_everything>();
         }}};
    for (auto const& some :
         {methods_without_queries(), published_methods(), paper_methods(), default_methods()})
      all.insert(all.end(), some.begin(), some.end());
    return all;
  }();
  return table;
}

}  // namespace

std::vector<method_info> const& known_methods() {
  static std::vector<method_info> const infos = [] {
    std::vector<method_info> all;
    for (method_entry const& entry : entries()) all.push_back(entry.info);
    return all;
  }();
  return infos;
}

std::vector<std::string> const& distinct_methods() {
  static std::vector<std::string> const names{
      "full",     "random-tokens", "streaming-llm", "key-norm", "key-diff", "lag-kv", "h2o",
      "tova",     "snapkv",        "pyramid-kv",    "ada-kv",   "chunk-kv", "cake",   "expected-attention",
      "paper-g1", "paper-g8",      "default"};
  return names;
}

std::unique_ptr<compressor> make_compressor(std::string const& method, model_config const& config,
                                            compression_request const& request) {
  for (method_entry const& entry : entries())
    if (entry.info.name == method) return entry.make(config, request);
  throw std::runtime_error("there is no method \"" + method + "\"");
}

}  // namespace needle
