// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file llama_shim.hpp
/// What llama.cpp has renamed since the beginning of 2025, as far as names in a program's source depend on
/// it. CMakeLists.txt finds out which names the headers have. What changed in memory (the graph, the state)
/// is recognised by what is there: attention_nodes.hpp, state_blob.hpp.

#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>

namespace llama_demo {

inline void set_flash_attention(llama_context_params& parameters, bool on) {
#ifdef WINDOWKV_LLAMA_HAS_FLASH_ATTN_TYPE
  parameters.flash_attn_type = on ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
#else
  parameters.flash_attn = on;
#endif
}

/// Removes the positions [begin, end) of sequence 0; a negative end means all that follow.
inline bool remove_positions(llama_context* context, llama_pos begin, llama_pos end) {
#if defined(WINDOWKV_LLAMA_HAS_MEMORY)
  return llama_memory_seq_rm(llama_get_memory(context), 0, begin, end);
#elif defined(WINDOWKV_LLAMA_HAS_KV_SELF)
  return llama_kv_self_seq_rm(context, 0, begin, end);
#else
  return llama_kv_cache_seq_rm(context, 0, begin, end);
#endif
}

}  // namespace llama_demo
