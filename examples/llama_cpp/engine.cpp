// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "engine.hpp"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <utility>

namespace llama_demo {
namespace {

constexpr int batch_size = 512;

/// A batch of one sequence whose tokens have the positions from `first` on.
class position_batch {
 public:
  position_batch(llama_token const* tokens, int count, int first) : batch_(llama_batch_init(count, 0, 1)) {
    batch_.n_tokens = count;
    for (int i = 0; i < count; ++i) {
      batch_.token[i] = tokens[i];
      batch_.pos[i] = first + i;
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = 0;
      batch_.logits[i] = i == count - 1 ? 1 : 0;
    }
  }
  position_batch(position_batch const&) = delete;
  position_batch& operator=(position_batch const&) = delete;
  ~position_batch() { llama_batch_free(batch_); }
  llama_batch get() const { return batch_; }

 private:
  llama_batch batch_;
};

}  // namespace

model::model(std::string const& path) {
  llama_backend_init();
  llama_model_params parameters = llama_model_default_params();
  parameters.n_gpu_layers = 0;
  model_.reset(llama_model_load_from_file(path.c_str(), parameters));
  if (model_ == nullptr) throw std::runtime_error("llama.cpp cannot load " + path);
}

std::vector<llama_token> model::tokenize(std::string const& text) const {
  llama_vocab const* const vocabulary = llama_model_get_vocab(model_.get());
  if (llama_vocab_type(vocabulary) == LLAMA_VOCAB_TYPE_NONE) {
    throw std::runtime_error(
        "the model has no vocabulary, so that it cannot read a text: leave --prompt-file out");
  }
  auto const length = static_cast<int>(text.size());
  std::vector<llama_token> tokens(text.size() + 16);
  auto const room = static_cast<int>(tokens.size());
  int const count = llama_tokenize(vocabulary, text.data(), length, tokens.data(), room, true, false);
  if (count < 0) throw std::runtime_error("llama.cpp cannot tokenize the prompt");
  tokens.resize(static_cast<std::size_t>(count));
  return tokens;
}

session::session(model const& m, session_options const& options) : vocabulary_(m.vocabulary()) {
  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = static_cast<std::uint32_t>(options.cells);
  parameters.n_batch = batch_size;
  parameters.n_ubatch = batch_size;
  parameters.n_seq_max = 1;
  parameters.n_threads = options.threads;
  parameters.n_threads_batch = options.threads;
  parameters.type_k = options.key_type;
  parameters.type_v = options.value_type;
  parameters.offload_kqv = false;
  parameters.cb_eval = &session::on_node;
  parameters.cb_eval_user_data = hook_.get();
  set_flash_attention(parameters, options.flash_attention);
  context_.reset(llama_init_from_model(m.get(), parameters));
  if (context_ == nullptr) {
    throw std::runtime_error("llama.cpp refuses a context of " + std::to_string(options.cells) +
                             " cells with these cache types: see its messages");
  }
}

bool session::on_node(ggml_tensor* node, bool ask, void* user) {
  auto& state = *static_cast<hook*>(user);
  if (state.listener == nullptr || state.failure != nullptr) return !ask;
  try {
    ask ? state.listener->before(node) : state.listener->after(node);
  } catch (...) {  // must not cross the engine; thrown again in decode_batch
    state.failure = std::current_exception();
  }
  return true;
}

void session::decode_batch(llama_token const* tokens, int count, int first) {
  position_batch const batch(tokens, count, first);
  int const outcome = llama_decode(context_.get(), batch.get());
  hook_->listener = nullptr;
  if (hook_->failure != nullptr) std::rethrow_exception(std::exchange(hook_->failure, nullptr));
  if (outcome != 0) {
    throw std::runtime_error("llama_decode failed with " + std::to_string(outcome) + " at position " +
                             std::to_string(first));
  }
}

void session::decode(llama_token const* tokens, int count, int first, node_listener* listener) {
  for (int done = 0; done < count; done += batch_size) {
    hook_->listener = listener;
    decode_batch(tokens + done, std::min(batch_size, count - done), first + done);
  }
  float const* const last = llama_get_logits_ith(context_.get(), -1);
  if (last == nullptr) throw std::runtime_error("llama.cpp computed no logits");
  logits_.assign(last, last + vocabulary_);
}

void session::remove(int begin, int end) {
  if (!remove_positions(context_.get(), begin, end)) {
    throw std::runtime_error("llama.cpp cannot remove single positions from this model's cache");
  }
}

std::vector<std::uint8_t> session::save() const {
  std::vector<std::uint8_t> state(llama_state_seq_get_size(context_.get(), 0));
  std::size_t const written = llama_state_seq_get_data(context_.get(), state.data(), state.size(), 0);
  if (written != state.size()) {
    throw std::runtime_error("llama.cpp announced a state of " + std::to_string(state.size()) +
                             " bytes and wrote " + std::to_string(written));
  }
  return state;
}

void session::load(std::vector<std::uint8_t> const& state) {
  std::size_t const read = llama_state_seq_set_data(context_.get(), state.data(), state.size(), 0);
  if (read != state.size()) {
    throw std::runtime_error("llama.cpp refuses a state of " + std::to_string(state.size()) +
                             " bytes: see its messages");
  }
}

void set_engine_log(bool verbose) {
  static bool prints_everything = false;
  prints_everything = verbose;
  llama_log_set(
      [](ggml_log_level level, char const* text, void* all) {
        if (*static_cast<bool const*>(all) || level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
      },
      &prints_everything);
}

}  // namespace llama_demo
