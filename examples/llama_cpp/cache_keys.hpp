// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cache_keys.hpp
/// A layer's keys where the engine has them, as a plane that windowkv reads.

#include <windowkv/exception.hpp>
#include <windowkv/interop/llama_cpp.hpp>

#include <stdexcept>
#include <string>

#include "suffix_recorder.hpp"

namespace llama_demo {

template <class Element>
auto keys_as(layer_record const& record) {
  return windowkv::or_throw(
      windowkv::interop::llama_cpp::rows<Element>(*record.key_cache, record.kv_heads, record.head_dim));
}

/// visit(plane) for all cells of the cache.
template <class Visit>
windowkv::status with_keys(layer_record const& record, Visit&& visit) {
  switch (record.key_cache->type) {
    case GGML_TYPE_F32:
      return visit(keys_as<float>(record));
    case GGML_TYPE_F16:
      return visit(keys_as<windowkv::float16>(record));
    case GGML_TYPE_BF16:
      return visit(keys_as<windowkv::bfloat16>(record));
    case GGML_TYPE_Q8_0:
      return visit(keys_as<windowkv::q8_0_block>(record));
    case GGML_TYPE_Q4_0:
      return visit(keys_as<windowkv::q4_0_block>(record));
    default:
      throw std::runtime_error(std::string("keys of type ") + ggml_type_name(record.key_cache->type) +
                               " cannot be scored: use --key-type f32, f16, bf16, q8_0 or q4_0");
  }
}

}  // namespace llama_demo
