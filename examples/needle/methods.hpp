// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "documents.hpp"
#include "kv_cache.hpp"
#include "weights.hpp"

namespace needle {

/// Queries that every method may look at: those of the last 16 tokens of the prompt.
constexpr int suffix_tokens = 16;

/// Compresses the cache of one prompt while the prompt is being processed.
class compressor {
 public:
  virtual ~compressor() = default;
  /// Called for each layer in turn, when its keys and values are complete. The compressor may shorten this
  /// layer and earlier ones. `suffix_queries` are [suffix_tokens][Hq][D].
  virtual void layer_done(int layer, float const* suffix_queries, kv_cache& cache) = 0;
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
std::vector<method_info> const& known_methods();

/// Throws std::runtime_error for an unknown name, or when windowkv refuses the request.
std::unique_ptr<compressor> make_compressor(std::string const& method, model_config const& config,
                                            compression_request const& request);

}  // namespace needle
