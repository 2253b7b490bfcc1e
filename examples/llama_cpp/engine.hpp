// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file engine.hpp
/// llama.cpp as this program uses it: a model, and sessions (contexts) with one sequence each.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "llama_shim.hpp"

namespace llama_demo {

/// Sees every node of a graph before and after it is computed; all earlier nodes are computed by then.
class node_listener {
 public:
  node_listener() = default;
  node_listener(node_listener const&) = delete;
  node_listener& operator=(node_listener const&) = delete;
  virtual ~node_listener() = default;
  virtual void before(ggml_tensor* /*node*/) {}
  virtual void after(ggml_tensor* /*node*/) {}
};

class model {
 public:
  explicit model(std::string const& path);

  llama_model* get() const { return model_.get(); }
  int layers() const { return llama_model_n_layer(model_.get()); }
  int vocabulary() const { return llama_vocab_n_tokens(llama_model_get_vocab(model_.get())); }
  /// Tokens of a text; refused by a model without a vocabulary.
  std::vector<llama_token> tokenize(std::string const& text) const;

 private:
  struct deleter {
    void operator()(llama_model* m) const { llama_model_free(m); }
  };
  std::unique_ptr<llama_model, deleter> model_;
};

struct session_options {
  int cells = 0;
  int threads = 1;
  bool flash_attention = false;
  ggml_type key_type = GGML_TYPE_F16;
  ggml_type value_type = GGML_TYPE_F16;
};

class session {
 public:
  session(model const& m, session_options const& options);

  /// Computes `count` tokens from position `first` on, in batches; the logits are the last token's.
  void decode(llama_token const* tokens, int count, int first, node_listener* listener = nullptr);
  std::vector<float> const& logits() const { return logits_; }

  void remove(int begin, int end);
  /// The state of the sequence as the engine hands it out.
  std::vector<std::uint8_t> save() const;
  /// Replaces the sequence's state.
  void load(std::vector<std::uint8_t> const& state);

 private:
  struct hook {
    node_listener* listener = nullptr;
    std::exception_ptr failure;
  };
  struct deleter {
    void operator()(llama_context* c) const { llama_free(c); }
  };
  static bool on_node(ggml_tensor* node, bool ask, void* user);
  void decode_batch(llama_token const* tokens, int count, int first);

  std::unique_ptr<hook> hook_ = std::make_unique<hook>();  // the engine keeps its address
  std::unique_ptr<llama_context, deleter> context_;
  std::vector<float> logits_;
  int vocabulary_ = 0;
};

/// Sends what the engine reports to stderr: all of it, or errors only.
void set_engine_log(bool verbose);

}  // namespace llama_demo
