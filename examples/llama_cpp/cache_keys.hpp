// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cache_keys.hpp
/// A layer's keys where the engine has them, as a plane that windowkv reads.

#include <windowkv/core/half.hpp>
#include <windowkv/core/quantised.hpp>
#include <windowkv/status.hpp>

#include <stdexcept>
#include <string>

#include "planes.hpp"
#include "suffix_recorder.hpp"

namespace llama_demo {

template <class Element>
auto keys_as(layer_record const& record, int cells) {
  return windowkv::interop::llama_cpp::key_rows<Element const>(record.keys, cells, record.kv_heads,
                                                               record.head_dim);
}

/// visit(plane) for the first `cells` cells.
template <class Visit>
windowkv::status with_keys(layer_record const& record, int cells, Visit&& visit) {
  switch (record.key_type) {
    case GGML_TYPE_F32:
      return visit(keys_as<float>(record, cells));
    case GGML_TYPE_F16:
      return visit(keys_as<windowkv::float16>(record, cells));
    case GGML_TYPE_BF16:
      return visit(keys_as<windowkv::bfloat16>(record, cells));
    case GGML_TYPE_Q8_0:
      return visit(keys_as<windowkv::q8_0_block>(record, cells));
    case GGML_TYPE_Q4_0:
      return visit(keys_as<windowkv::q4_0_block>(record, cells));
    default:
      throw std::runtime_error(std::string("keys of type ") + ggml_type_name(record.key_type) +
                               " cannot be scored: use --key-type f32, f16, bf16, q8_0 or q4_0");
  }
}

}  // namespace llama_demo
