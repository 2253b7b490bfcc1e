// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "suffix_recorder.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "attention_nodes.hpp"

namespace llama_demo {
namespace {

void require_host_memory(ggml_tensor const* t) {
  ggml_tensor const* const owner = t->view_src != nullptr ? t->view_src : t;
  if (owner->buffer == nullptr || !ggml_backend_buffer_is_host(owner->buffer)) {
    throw std::runtime_error(std::string("the engine computes ") + t->name +
                             " in the memory of a device: this example works on the CPU backend only");
  }
}

unsigned char const* bytes_of(ggml_tensor const* t) { return static_cast<unsigned char const*>(t->data); }

/// [D, rows, heads] in any strides to [rows][heads][D].
std::vector<float> copy_queries(ggml_tensor const* q) {
  std::vector<float> copy;
  copy.reserve(static_cast<std::size_t>(ggml_nelements(q)));
  for (std::int64_t row = 0; row < q->ne[1]; ++row) {
    for (std::int64_t head = 0; head < q->ne[2]; ++head) {
      unsigned char const* const first =
          bytes_of(q) + static_cast<std::size_t>(row) * q->nb[1] + static_cast<std::size_t>(head) * q->nb[2];
      auto const* const elements = reinterpret_cast<float const*>(first);
      copy.insert(copy.end(), elements, elements + q->ne[0]);
    }
  }
  return copy;
}

void record_operands(score_operands const& found, layer_record& out) {
  ggml_tensor const* const q = found.queries;
  ggml_tensor const* const k = found.keys;
  require_host_memory(q);
  require_host_memory(cache_behind(found.keys));
  if (k->ne[3] != 1) throw std::runtime_error("the cache has several streams: create it for one sequence");
  if (q->type != GGML_TYPE_F32 || q->nb[0] != sizeof(float)) {
    throw std::runtime_error("the queries are not rows of f32");
  }
  ggml_tensor const* const cache = cache_behind(k);
  out.queries = copy_queries(q);
  out.rows = static_cast<int>(q->ne[1]);
  out.query_heads = static_cast<int>(q->ne[2]);
  out.head_dim = static_cast<int>(q->ne[0]);
  out.key_cache = cache;
  out.kv_heads = static_cast<int>(k->ne[2]);
  out.key_row_bytes = ggml_row_size(cache->type, k->ne[0] * k->ne[2]);
  out.allocated_cells = static_cast<int>(ggml_nbytes(cache) / out.key_row_bytes);
  bool const is_cast = k->view_src != cache;
  if (!is_cast && (k->data != cache->data || k->nb[1] != out.key_row_bytes ||
                   k->nb[2] != ggml_row_size(cache->type, k->ne[0]))) {
    throw std::runtime_error("the keys are not stored as [cell][head][dim]");
  }
}

/// True if a row of the mask hides none of the first cells.
bool shows_all(ggml_tensor const* mask, int row, int cells) {
  if (mask->ne[0] < cells || mask->ne[1] <= row) return false;
  std::size_t const bytes = static_cast<std::size_t>(cells) * mask->nb[0];
  std::vector<unsigned char> shown(bytes);
  ggml_backend_tensor_get(mask, shown.data(), static_cast<std::size_t>(row) * mask->nb[1], bytes);
  return std::all_of(shown.begin(), shown.end(), [](unsigned char byte) { return byte == 0; });
}

/// windowkv divides by sqrt(D); what else the engine multiplies q.k by goes into the queries.
void apply_scale(float scale, layer_record& out) {
  float const factor = scale * std::sqrt(static_cast<float>(out.head_dim));
  if (std::abs(factor - 1.f) < 1e-6f) return;
  for (float& x : out.queries) x *= factor;
}

}  // namespace

layer_record& suffix_recorder::at(int layer) {
  auto const index = static_cast<std::size_t>(layer);
  if (index >= records_.size()) throw std::runtime_error("the graph has more layers than the model");
  return records_[index];
}

void suffix_recorder::before(ggml_tensor* node) {
  if (std::optional<score_operands> const found = find_score_operands(node)) {
    record_operands(*found, at(found->layer));
  }
  if (std::optional<masked_node> const found = find_masked_node(node)) {
    layer_record& record = at(found->layer);
    if (!found->is_plain) {
      throw std::runtime_error(
          "layer " + std::to_string(found->layer) +
          " attends with a soft cap, ALiBi or attention sinks, which windowkv's scores ignore");
    }
    if (!shows_all(found->mask, record.rows - 1, prompt_tokens_)) {
      throw std::runtime_error(
          "layer " + std::to_string(found->layer) +
          " does not show the whole prompt to its last token (a sliding window?): such models "
          "are not covered");
    }
    apply_scale(found->scale, record);
    record.has_scale = true;
  }
  if (std::optional<value_operand> const found = find_value_operand(node)) {
    layer_record& record = at(found->layer);
    if (record.allocated_cells == 0) throw std::runtime_error("the values are read in front of the keys");
    record.value_row_bytes = ggml_nbytes(found->cache) / static_cast<std::size_t>(record.allocated_cells);
  }
}

void suffix_recorder::after(ggml_tensor* node) {
  if (!is_attention_softmax(node)) return;
  require_host_memory(node);
  layer_record& record = at(find_masked_node(node)->layer);
  auto const* const first = static_cast<float const*>(node->data);
  record.probabilities.assign(first, first + ggml_nelements(node));
  record.probability_cells = static_cast<int>(node->ne[0]);
}

std::vector<layer_record> suffix_recorder::take() {
  for (std::size_t layer = 0; layer < records_.size(); ++layer) {
    if (records_[layer].has_scale && records_[layer].value_row_bytes > 0) continue;
    throw std::runtime_error(
        "layer " + std::to_string(layer) +
        " does not attend to a cache of its own over the whole context (recurrent, sliding "
        "window or shared): such models are not covered");
  }
  return std::move(records_);
}

void cell_counter::before(ggml_tensor* node) {
  if (std::optional<score_operands> const found = find_score_operands(node)) {
    attended_ = static_cast<int>(found->keys->ne[1]);
    add(cache_behind(found->keys));
  }
  if (std::optional<value_operand> const found = find_value_operand(node)) add(found->cache);
}

void cell_counter::add(ggml_tensor const* cache) {
  if (std::find(seen_.begin(), seen_.end(), cache) != seen_.end()) return;
  seen_.push_back(cache);
  cache_bytes_ += ggml_nbytes(cache);
}

}  // namespace llama_demo
