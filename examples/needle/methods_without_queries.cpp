// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <vector>

#include "windowkv_compressor.hpp"

namespace needle {

std::vector<method_entry> methods_without_queries() {
  constexpr observes none = observes::nothing;
  using config = model_config;
  return {
      entry_of<none>("random-tokens", "any tokens, and the last 16",
                     [](config const&) { return wkv::random_tokens().with_suffix(suffix_tokens); }),
      entry_of<none>("streaming-llm", "StreamingLLM: 4 sinks and the most recent tokens",
                     [](config const&) { return wkv::streaming_llm(); }),
      entry_of<none>("key-norm", "small keys first", [](config const&) { return wkv::key_norm(); }),
      entry_of<none>("key-diff", "KeyDiff: keys that differ from the average key",
                     [](config const&) { return wkv::key_diff(); }),
      entry_of<none>("lag-kv", "LagKV: keys and values that stand out against those behind them",
                     [](config const&) { return wkv::lag_kv(); }),
  };
}

}  // namespace needle
