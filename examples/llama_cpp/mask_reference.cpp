// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "mask_reference.hpp"

#include <cmath>
#include <cstddef>
#include <optional>
#include <stdexcept>

#include "attention_nodes.hpp"

namespace llama_demo {
namespace {

template <class T>
void hide(std::vector<bool> const& is_hidden, T minus_infinity, T* row) {
  for (std::size_t cell = 0; cell < is_hidden.size(); ++cell) {
    if (is_hidden[cell]) row[cell] = minus_infinity;
  }
}

}  // namespace

cell_hider::cell_hider(std::vector<std::vector<std::int32_t>> const& kept_cells, int prompt_cells) {
  for (std::vector<std::int32_t> const& kept : kept_cells) {
    std::vector<bool> hidden(static_cast<std::size_t>(prompt_cells), true);
    for (std::int32_t const cell : kept) hidden[static_cast<std::size_t>(cell)] = false;
    is_hidden_.push_back(std::move(hidden));
  }
}

void cell_hider::before(ggml_tensor* node) {
  std::optional<masked_node> const found = find_masked_node(node);
  if (!found) return;
  ggml_tensor* const mask = found->mask;
  std::vector<bool> const& is_hidden = is_hidden_.at(static_cast<std::size_t>(found->layer));
  if (mask->ne[0] < static_cast<std::int64_t>(is_hidden.size())) {
    throw std::runtime_error("the mask has fewer columns than the prompt has cells");
  }
  if (engine_mask_.empty()) {
    engine_mask_.resize(ggml_nbytes(mask));
    ggml_backend_tensor_get(mask, engine_mask_.data(), 0, engine_mask_.size());
  }
  std::vector<unsigned char> rewritten = engine_mask_;
  if (mask->type == GGML_TYPE_F16) {
    hide(is_hidden, ggml_fp32_to_fp16(-INFINITY), reinterpret_cast<ggml_fp16_t*>(rewritten.data()));
  } else if (mask->type == GGML_TYPE_F32) {
    hide(is_hidden, -INFINITY, reinterpret_cast<float*>(rewritten.data()));
  } else {
    throw std::runtime_error("the mask is neither f32 nor f16");
  }
  ggml_backend_tensor_set(mask, rewritten.data(), 0, rewritten.size());
  ++layers_done_;
}

void cell_hider::finish_batch() {
  if (layers_done_ != static_cast<int>(is_hidden_.size())) {
    throw std::runtime_error("the reference is wrong: not every layer's mask was rewritten");
  }
  layers_done_ = 0;
  engine_mask_.clear();
}

}  // namespace llama_demo
