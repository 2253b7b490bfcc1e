// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "attention_nodes.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace llama_demo {
namespace {

constexpr std::string_view key_cache = "cache_k_l";
constexpr std::string_view value_cache = "cache_v_l";

/// Layer of the cache tensor behind an operand, -1 if it is not one of that kind.
int cached_layer(ggml_tensor const* operand, std::string_view prefix) {
  ggml_tensor const* const cache = cache_behind(operand);
  if (cache == nullptr || std::strncmp(cache->name, prefix.data(), prefix.size()) != 0) return -1;
  char* end = nullptr;
  long const layer = std::strtol(cache->name + prefix.size(), &end, 10);
  return end == cache->name + prefix.size() ? -1 : static_cast<int>(layer);
}

float float_parameter(ggml_tensor const* node, int index) {
  float value = 0;
  std::memcpy(&value, node->op_params + index, sizeof value);
  return value;
}

/// q.k behind the input of a soft_max, where nothing but a scale or a soft cap stands between.
ggml_tensor const* scores_behind(ggml_tensor const* input) {
  ggml_tensor const* node = input;
  while (node != nullptr && (node->op == GGML_OP_SCALE || node->op == GGML_OP_UNARY)) node = node->src[0];
  return node != nullptr && node->op == GGML_OP_MUL_MAT ? node : nullptr;
}

}  // namespace

ggml_tensor const* cache_behind(ggml_tensor const* operand) {
  while (operand != nullptr) {
    if (operand->view_src != nullptr) {
      operand = operand->view_src;
    } else if (operand->op == GGML_OP_CPY || operand->op == GGML_OP_CONT) {  // a cast of the cache
      operand = operand->src[0];
    } else {
      return operand;
    }
  }
  return nullptr;
}

std::optional<score_operands> find_score_operands(ggml_tensor const* node) {
  score_operands found;
  if (node->op == GGML_OP_MUL_MAT) {
    found.keys = node->src[0];
    found.queries = node->src[1];
  } else if (node->op == GGML_OP_FLASH_ATTN_EXT) {
    found.queries = node->src[0];
    found.keys = node->src[1];
  } else {
    return {};
  }
  found.layer = cached_layer(found.keys, key_cache);
  if (found.layer < 0) return {};
  return found;
}

std::optional<masked_node> find_masked_node(ggml_tensor const* node) {
  masked_node found;
  if (node->op == GGML_OP_SOFT_MAX) {
    ggml_tensor const* const scores = scores_behind(node->src[0]);
    if (scores == nullptr) return {};
    found.layer = cached_layer(scores->src[0], key_cache);
    found.mask = node->src[1];
    found.is_plain = scores == node->src[0] && node->src[2] == nullptr;
  } else if (node->op == GGML_OP_FLASH_ATTN_EXT) {
    found.layer = cached_layer(node->src[1], key_cache);
    found.mask = node->src[3];
    float const soft_cap = float_parameter(node, 2);
    found.is_plain = soft_cap == 0.f && node->src[4] == nullptr;
  } else {
    return {};
  }
  if (found.layer < 0 || found.mask == nullptr) return {};
  found.scale = float_parameter(node, 0);
  float const alibi_bias = float_parameter(node, 1);
  found.is_plain = found.is_plain && alibi_bias == 0.f;
  return found;
}

bool is_attention_softmax(ggml_tensor const* node) {
  return node->op == GGML_OP_SOFT_MAX && find_masked_node(node).has_value();
}

std::optional<value_operand> find_value_operand(ggml_tensor const* node) {
  ggml_tensor const* const operand = node->op == GGML_OP_FLASH_ATTN_EXT ? node->src[2]
                                     : node->op == GGML_OP_MUL_MAT      ? node->src[0]
                                                                        : nullptr;
  int const layer = cached_layer(operand, value_cache);
  if (layer < 0) return {};
  return value_operand{layer, cache_behind(operand)};
}

}  // namespace llama_demo
