// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "documents.hpp"
#include "kv_cache.hpp"
#include "model.hpp"
#include "weights.hpp"

namespace needle {

/// Compresses the cache of one prompt while the prompt is being processed.
class compressor {
 public:
  virtual ~compressor() = default;
  /// Called for each layer in turn, when its keys and values are complete. The compressor may shorten this
  /// layer and earlier ones.
  virtual void layer_done(int layer, layer_queries const& queries, kv_cache& cache) = 0;
};

/// One prompt to compress: tokens it has, tokens to keep per layer (mean, the suffix included), what it asks
/// for.
struct compression_request {
  int tokens;
  int keep;
  task_kind task;
};

struct method_info {
  std::string name;
  std::string summary;
};

using make_function =
    std::function<std::unique_ptr<compressor>(model_config const&, compression_request const&)>;
struct method_entry {
  method_info info;
  make_function make;
};

/// Published methods as the library names them, WindowKV's paper, and windowkv's default with its variants:
/// each in a file of its own, since every method is compiled for itself.
std::vector<method_entry> published_methods();
std::vector<method_entry> methods_without_queries();
std::vector<method_entry> paper_methods();
std::vector<method_entry> default_methods();

/// All of them, behind "full", which keeps everything.
std::vector<method_info> const& known_methods();
/// Names of what "all" means on the command line: one of each kind, no variants.
std::vector<std::string> const& distinct_methods();

/// Throws std::runtime_error for an unknown name, or when windowkv refuses the request.
std::unique_ptr<compressor> make_compressor(std::string const& method, model_config const& config,
                                            compression_request const& request);

}  // namespace needle
