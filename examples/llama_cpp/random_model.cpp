// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Writes a small Llama with random weights as a GGUF file, through ggml's own writer, so that the example
// runs without a download. Its attention is peaked enough for it to matter which tokens stay.

#include <ggml.h>
#include <gguf.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

constexpr int layers = 8;
constexpr int query_heads = 8;
constexpr int kv_heads = 4;
constexpr int head_dim = 64;
constexpr int width = query_heads * head_dim;
constexpr int kv_width = kv_heads * head_dim;
constexpr int hidden = 1024;
constexpr int vocabulary = 256;
constexpr int context_length = 131072;

// Standard deviations of what the projections make of a normalised input.
constexpr float score_gain = 1.3F;  // scores q.k / sqrt(D) spread by its square
constexpr float value_gain = 4.0F;  // makes up for the mean over many tokens
constexpr float plain_gain = 1.0F;

class model_writer {
 public:
  model_writer()
      : file_(gguf_init_empty()),
        tensors_(ggml_init({ggml_tensor_overhead() * 256, nullptr, /*no_alloc=*/true})) {
    if (file_ == nullptr || tensors_ == nullptr) throw std::runtime_error("ggml has no memory for a model");
  }

  void write_shape() {
    gguf_context* const f = file_.get();
    gguf_set_val_str(f, "general.architecture", "llama");
    gguf_set_val_str(f, "general.name", "random");
    gguf_set_val_u32(f, "llama.context_length", context_length);
    gguf_set_val_u32(f, "llama.embedding_length", width);
    gguf_set_val_u32(f, "llama.block_count", layers);
    gguf_set_val_u32(f, "llama.feed_forward_length", hidden);
    gguf_set_val_u32(f, "llama.attention.head_count", query_heads);
    gguf_set_val_u32(f, "llama.attention.head_count_kv", kv_heads);
    gguf_set_val_u32(f, "llama.rope.dimension_count", head_dim);
    gguf_set_val_u32(f, "llama.vocab_size", vocabulary);
    gguf_set_val_f32(f, "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    gguf_set_val_f32(f, "llama.rope.freq_base", 500000.F);
    gguf_set_val_str(f, "tokenizer.ggml.model", "no_vocab");
  }

  /// A matrix [outputs][inputs] in f16.
  void add_matrix(std::string const& name, int inputs, int outputs, float gain) {
    std::normal_distribution<float> normal(0.F, gain / std::sqrt(static_cast<float>(inputs)));
    std::vector<ggml_fp16_t> elements(static_cast<std::size_t>(inputs) * static_cast<std::size_t>(outputs));
    for (ggml_fp16_t& x : elements) x = ggml_fp32_to_fp16(normal(random_));
    add(name, ggml_new_tensor_2d(tensors_.get(), GGML_TYPE_F16, inputs, outputs), elements.data(),
        elements.size() * sizeof(ggml_fp16_t));
  }
  void add_norm(std::string const& name) {
    std::vector<float> const ones(width, 1.F);
    add(name, ggml_new_tensor_1d(tensors_.get(), GGML_TYPE_F32, width), ones.data(),
        ones.size() * sizeof(float));
  }

  void write(char const* path) {
    if (!gguf_write_to_file(file_.get(), path, /*only_meta=*/false)) {
      throw std::runtime_error(std::string("cannot write ") + path);
    }
  }

 private:
  void add(std::string const& name, ggml_tensor* tensor, void const* elements, std::size_t bytes) {
    auto const* const first = static_cast<std::uint8_t const*>(elements);
    std::vector<std::uint8_t>& kept = data_.emplace_back(first, first + bytes);
    ggml_set_name(tensor, name.c_str());
    tensor->data = kept.data();
    gguf_add_tensor(file_.get(), tensor);
  }

  struct deleter {
    void operator()(gguf_context* f) const { gguf_free(f); }
    void operator()(ggml_context* c) const { ggml_free(c); }
  };
  std::unique_ptr<gguf_context, deleter> file_;
  std::unique_ptr<ggml_context, deleter> tensors_;
  std::vector<std::vector<std::uint8_t>> data_;
  std::mt19937 random_{1};
};

void write_model(char const* path) {
  model_writer out;
  out.write_shape();
  out.add_matrix("token_embd.weight", width, vocabulary, std::sqrt(static_cast<float>(width)));
  out.add_norm("output_norm.weight");
  out.add_matrix("output.weight", width, vocabulary, plain_gain);
  for (int layer = 0; layer < layers; ++layer) {
    std::string const block = "blk." + std::to_string(layer) + ".";
    out.add_norm(block + "attn_norm.weight");
    out.add_matrix(block + "attn_q.weight", width, width, score_gain);
    out.add_matrix(block + "attn_k.weight", width, kv_width, score_gain);
    out.add_matrix(block + "attn_v.weight", width, kv_width, value_gain);
    out.add_matrix(block + "attn_output.weight", width, width, plain_gain);
    out.add_norm(block + "ffn_norm.weight");
    out.add_matrix(block + "ffn_gate.weight", width, hidden, plain_gain);
    out.add_matrix(block + "ffn_up.weight", width, hidden, plain_gain);
    out.add_matrix(block + "ffn_down.weight", hidden, width, plain_gain);
  }
  out.write(path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE.gguf\n", argv[0]);
    return 2;
  }
  try {
    write_model(argv[1]);
    return 0;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_llama_cpp_random_model: %s\n", error.what());
    return 1;
  }
}
