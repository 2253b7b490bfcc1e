// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/tensorrt_llm.hpp
/// One sequence of one layer of TensorRT-LLM's KV cache as a view (cpp/tensorrt_llm/kernels/kvCacheUtils.h:
/// KVBlockArray, KVLinearBuffer, MixedKVBlockArray; kvCacheIndex.h; kvCacheManager.cpp: setOffsets; 2026).
///
/// Both are indexed by token while a sequence fits its attention window; beyond it they wrap around (sink
/// tokens, then a cycle), so layers whose window is shorter than the prompt stay outside the groups. Layers
/// of a pool share the offsets: their kept counts must be equal (`uniform_budget`). **After compaction** pass
/// the kept count as past length and keep the position apart from it, which the fused QKV kernels do not by
/// themselves; block reuse must be off. An engine that moves rows itself (sparse attention's
/// sparse_kv_indices) takes the kept slots and needs no view.

#include <cstdint>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/page_table.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/interop/common.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::tensorrt_llm {

/// Extents of a block of K or of V: [num_kv_heads][tokens_per_block][size_per_head].
struct block_shape {
  int num_kv_heads = 0;
  int tokens_per_block = 0;  ///< a power of two
  int size_per_head = 0;
};

/// A layer's part of the primary pool. Block offsets count blocks of K or V (bytesPerBlock) from `data`,
/// which is the pool's pointer moved to the layer: pool + layer_in_pool * 2 * block, for pools [num_blocks]
/// [num_layers][2][block].
template <class T>
struct block_pool {
  T* data = nullptr;
  std::int64_t blocks = 0;  ///< of K or V from `data` to the end of the pool; offsets are below it
};

/// kv_cache_block_offsets of a pool: KVCacheIndex (int32) [sequences][2][max_blocks_per_seq], lane 0 for K, 1
/// for V; with beams a row is sequence * beam_width + beam. In the memory of the cache.
struct block_offsets {
  std::int32_t const* data = nullptr;
  int sequences = 0;
  int max_blocks_per_seq = 0;
};

namespace detail {

using namespace interop::detail;  // NOLINT(google-build-using-namespace)

inline status validate(block_shape const& shape) {
  WINDOWKV_TRY(require_at_least("tokens_per_block", shape.tokens_per_block, 1));
  int lower = 1;
  while (lower <= shape.tokens_per_block / 2) lower *= 2;
  return require(lower == shape.tokens_per_block, "tokens_per_block", shape.tokens_per_block,
                 "must be a power of two, such as", lower);
}

/// A lane of a sequence's offsets, of which those of its tokens are looked at.
template <memory_space Space>
result<std::int32_t const*> lane(block_offsets const& offsets, int sequence, int index, int used) {
  WINDOWKV_TRY(require_not_null("block_offsets.data", offsets.data));
  WINDOWKV_TRY(require_at_least("sequence", sequence, 0));
  WINDOWKV_TRY(require_at_most("sequence", sequence, std::int64_t{offsets.sequences} - 1));
  WINDOWKV_TRY(
      require_at_least("max_blocks_per_seq (blocks of the tokens)", offsets.max_blocks_per_seq, used));
  std::int32_t const* const row =
      offsets.data + (std::int64_t{sequence} * 2 + index) * offsets.max_blocks_per_seq;
  if constexpr (Space == memory_space::host) {
    for (int i = 0; i < used; ++i) {
      if (row[i] >= 0) continue;
      // The sign bit is KVCacheIndex::kSecondaryPoolFlag; all bits are the null index.
      return status::failure(status_code::unsupported,
                             "block_offsets (a block is in the secondary pool, or null): block", i,
                             "of the sequence's", used);
    }
  }
  return row;
}

template <memory_space Space, class T>
result<paged_plane<T, Space>> blocks(block_pool<T> const& pool, block_shape const& shape,
                                     std::int32_t const* row, int entries, int tokens) {
  WINDOWKV_TRY_ASSIGN(units, units_of<T>("size_per_head", shape.size_per_head));
  WINDOWKV_TRY_ASSIGN(block, packed_page(axis_order::hnd, shape.tokens_per_block, shape.num_kv_heads, units,
                                         {"tokens_per_block", "num_kv_heads"}));
  paged_layout<> const layout{row,         entries,      shape.tokens_per_block, block.elements,
                              pool.blocks, block.in_page};
  return make_plane<Space>(pool.data, tokens, shape.num_kv_heads, shape.size_per_head, layout,
                           element_accessor<T>{});
}

}  // namespace detail

/// MixedKVBlockArray: K and V in pools and element types of their own, one table of offsets.
/// @param sequence row of the offsets
/// @param tokens   of the sequence in the cache
template <memory_space Space = memory_space::host, class K, class V>
result<kv_view<paged_plane<K, Space>, paged_plane<V, Space>>> mixed_cache(block_pool<K> const& k_pool,
                                                                          block_pool<V> const& v_pool,
                                                                          block_shape const& shape,
                                                                          block_offsets const& offsets,
                                                                          int sequence, int tokens) {
  WINDOWKV_TRY(detail::validate(shape));
  int const used = windowkv::detail::pages_of(tokens, shape.tokens_per_block);
  WINDOWKV_TRY_ASSIGN(k_row, detail::lane<Space>(offsets, sequence, 0, used));
  WINDOWKV_TRY_ASSIGN(v_row, detail::lane<Space>(offsets, sequence, 1, used));
  WINDOWKV_TRY_ASSIGN(keys, detail::blocks<Space>(k_pool, shape, k_row, offsets.max_blocks_per_seq, tokens));
  WINDOWKV_TRY_ASSIGN(values,
                      detail::blocks<Space>(v_pool, shape, v_row, offsets.max_blocks_per_seq, tokens));
  return detail::checked(kv_view{keys, values});
}

/// KVBlockArray: K and V in blocks of one pool, [num_kv_heads][tokens_per_block][size_per_head] each.
/// T: float, float16, bfloat16, or float8_e4m3 / int8_t, then `scaled(view, kv_scale, kv_scale)`.
/// In host memory, blocks in the secondary pool are refused: onboard them first.
template <memory_space Space = memory_space::host, class T>
result<paged_view<T, Space>> paged_cache(block_pool<T> const& pool, block_shape const& shape,
                                         block_offsets const& offsets, int sequence, int tokens) {
  return mixed_cache<Space>(pool, pool, shape, offsets, sequence, tokens);
}

/// KVBlockArray of an MLA layer (CacheType::kSELFKONLY): one lane of blocks [1][tokens_per_block]
/// [kv_lora_rank + qk_rope_head_dim]; num_kv_heads is not looked at. Scored with absorbed queries of that
/// many dims, or given scores.
template <memory_space Space = memory_space::host, class T>
result<paged_latents<T, Space>> mla_cache(block_pool<T> const& pool, block_shape const& shape,
                                          block_offsets const& offsets, int sequence, int tokens) {
  WINDOWKV_TRY(detail::validate(shape));
  int const used = windowkv::detail::pages_of(tokens, shape.tokens_per_block);
  WINDOWKV_TRY_ASSIGN(row, detail::lane<Space>(offsets, sequence, 0, used));
  block_shape one_head = shape;
  one_head.num_kv_heads = 1;
  WINDOWKV_TRY_ASSIGN(latents,
                      detail::blocks<Space>(pool, one_head, row, offsets.max_blocks_per_seq, tokens));
  return detail::checked(kv_view{latents});
}

/// Extents of a linear cache.
struct linear_shape {
  int sequences = 0;  ///< times beam_width
  int num_kv_heads = 0;
  int max_seq_len = 0;
  int size_per_head = 0;
};

/// KVLinearBuffer: [sequences][2][num_kv_heads][max_seq_len][size_per_head], no table. Slots are all
/// max_seq_len.
template <memory_space Space = memory_space::host, class T>
result<kv_view<dense_plane<T, Space>, dense_plane<T, Space>>> linear_cache(T* data, linear_shape const& shape,
                                                                           int sequence) {
  WINDOWKV_TRY(detail::require_not_null("data", data));
  WINDOWKV_TRY(detail::require_at_least("sequence", sequence, 0));
  WINDOWKV_TRY(detail::require_at_most("sequence", sequence, std::int64_t{shape.sequences} - 1));
  WINDOWKV_TRY_ASSIGN(units, detail::units_of<T>("size_per_head", shape.size_per_head));
  WINDOWKV_TRY_ASSIGN(half, detail::packed_page(axis_order::hnd, shape.max_seq_len, shape.num_kv_heads, units,
                                                {"max_seq_len", "num_kv_heads"}));
  WINDOWKV_TRY_ASSIGN(all, detail::around("sequences", std::int64_t{shape.sequences} * 2, half.elements));
  T* const keys = data + all / shape.sequences * sequence;
  auto const plane = [&](T* first) {
    return make_plane<Space>(first, shape.max_seq_len, shape.num_kv_heads, shape.size_per_head, half.in_page,
                             element_accessor<T>{});
  };
  return detail::checked(kv_view{plane(keys), plane(keys + half.elements)});
}

}  // namespace windowkv::interop::tensorrt_llm
