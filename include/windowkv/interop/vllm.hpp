// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/vllm.hpp
/// One sequence of one layer of vLLM's KV cache as a view. Shapes are vLLM's names, slowest axis first.
///
/// In all of them token i of a sequence is at slot i % block_size of block block_table[i / block_size], and
/// layers of a KV cache group share the block table: their kept counts must be equal (`uniform_budget`).
/// vLLM derives the slot from the position: **after compaction keep kv_len (slots in use) apart from the
/// position**, hand seq_lens the first and RoPE the second, and free blocks from page_count(kv_len) on.
/// Blocks that prefix caching has hashed or shared must not be written (`kv_view::shared_slots`).

#include <cstdint>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/quantised.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/interop/common.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::vllm {

/// Extents of one layer's cache.
struct cache_shape {
  std::int64_t num_blocks = 0;
  int block_size = 0;  ///< tokens
  int num_kv_heads = 0;
  int head_size = 0;
};

/// The sequence's row of block_tables [num_seqs][max_num_blocks_per_seq], int32, in the memory of the cache.
struct block_table_row {
  std::int32_t const* blocks = nullptr;
  int entries = 0;
};

/// Where the keys and the values of a block are. Which of these a vLLM has, its attention backend says:
/// get_kv_cache_shape().
enum class kv_halves : std::uint8_t {
  apart,     ///< (2, num_blocks, block_size, num_kv_heads, head_size): FLASH_ATTN until mid-2026
  in_block,  ///< (num_blocks, 2, block_size, num_kv_heads, head_size): FLASHINFER, TRITON_ATTN until
             ///< mid-2026, and FLASH_ATTN in models with Mamba layers
  in_head,  ///< (num_blocks, num_kv_heads, block_size, 2 * head_size): all of them since (pull request 44455)
};

/// Memory order of a cache, as get_kv_cache_stride_order() has it.
struct cache_order {
  kv_halves halves = kv_halves::apart;
  /// VLLM_KV_CACHE_LAYOUT. nhd: [block_size][num_kv_heads] in memory, hnd: [num_kv_heads][block_size].
  axis_order axes = axis_order::nhd;
  int head_size_v = 0;            ///< of the values, where it differs (kv_halves::in_head only); 0: head_size
  std::int64_t block_stride = 0;  ///< elements from one block to the next, where pages are padded or hold
                                  ///< several layers; 0: what a block takes
};

/// Strides in elements of key_cache and value_cache [num_blocks][block_size][num_kv_heads][head_size].
struct cache_strides {
  std::int64_t block = 0;
  std::int64_t token = 0;
  std::int64_t head = 0;
};

namespace detail {

using namespace interop::detail;  // NOLINT(google-build-using-namespace)

inline constexpr page_names names{"block_size", "num_kv_heads"};

template <memory_space Space, class T, class InPage>
paged_plane<T, Space, std::int32_t, InPage> blocks(T* data, cache_shape const& shape, int head_size,
                                                   std::int64_t block_stride, InPage const& in_block,
                                                   block_table_row const& table, int tokens) {
  paged_layout<InPage> const layout{table.blocks, table.entries,    shape.block_size,
                                    block_stride, shape.num_blocks, in_block};
  return make_plane<Space>(data, tokens, shape.num_kv_heads, head_size, layout, element_accessor<T>{});
}

struct halves_layout {
  std::int64_t values = 0;  ///< elements from the keys to the values
  std::int64_t block_stride = 0;
  dense_layout in_block{};
};

/// Heads take `units` elements of keys and `value_units` of values.
inline result<halves_layout> layout_of(cache_shape const& shape, cache_order const& order, std::int64_t units,
                                       std::int64_t value_units) {
  bool const in_head = order.halves == kv_halves::in_head;
  WINDOWKV_TRY(require(in_head || value_units == units, "head_size_v (of kv_halves::in_head)", value_units,
                       "must equal", units));
  WINDOWKV_TRY_ASSIGN(page, packed_page(order.axes, shape.block_size, shape.num_kv_heads,
                                        in_head ? units + value_units : units, names));
  std::int64_t const least = order.halves == kv_halves::in_block ? 2 * page.elements : page.elements;
  std::int64_t const stride = order.block_stride != 0 ? order.block_stride : least;
  WINDOWKV_TRY(require_at_least("block_stride", stride, least));
  WINDOWKV_TRY_ASSIGN(half, around("num_blocks", shape.num_blocks, stride));
  std::int64_t const values = in_head ? units : order.halves == kv_halves::in_block ? page.elements : half;
  return halves_layout{values, stride, page.in_page};
}

}  // namespace detail

/// vLLM's PagedAttention cache (v0; the x-packed keys of csrc/cache_kernels.cu, reshape_and_cache).
/// key_cache [num_blocks][num_kv_heads][head_size / x][block_size][x] with x = 16 / sizeof(T), value_cache
/// [num_blocks][num_kv_heads][head_size][block_size], compact. T: float, float16, bfloat16, or float8_e4m3
/// over its uint8 storage, then `scaled(view, k_scale, v_scale)`.
/// @param tokens of the sequence in the cache
template <memory_space Space = memory_space::host, class T>
result<kv_view<paged_plane<T, Space, std::int32_t, packed_layout>, paged_plane<T, Space>>>
paged_attention_cache(T* key_cache, T* value_cache, cache_shape const& shape, block_table_row const& table,
                      int tokens) {
  static_assert(16 % sizeof(T) == 0, "windowkv: vLLM packs elements of 1, 2 or 4 bytes");
  constexpr int x = static_cast<int>(16 / sizeof(T));
  WINDOWKV_TRY(detail::require(shape.head_size % x == 0, "head_size", shape.head_size,
                               "must be a multiple of x (16 bytes),", x));
  WINDOWKV_TRY_ASSIGN(page, detail::packed_page(axis_order::hnd, shape.block_size, shape.num_kv_heads,
                                                shape.head_size, detail::names));
  std::int64_t const head = page.in_page.head_stride;
  packed_layout const packs{x, head, std::int64_t{shape.block_size} * x, x};
  dense_layout const transposed{1, head, shape.block_size};
  return detail::checked(kv_view{
      detail::blocks<Space>(key_cache, shape, shape.head_size, page.elements, packs, table, tokens),
      detail::blocks<Space>(value_cache, shape, shape.head_size, page.elements, transposed, table, tokens)});
}

/// vLLM's cache of one tensor (FlashAttention, FlashInfer and Triton backends), in the memory order that
/// `order` states; see kv_halves for the shapes. T as above.
/// @param cache of this layer: where its block 0 starts
template <memory_space Space = memory_space::host, class T>
result<paged_view<T, Space>> flash_cache(T* cache, cache_shape const& shape, cache_order const& order,
                                         block_table_row const& table, int tokens) {
  int const head_size_v = order.head_size_v != 0 ? order.head_size_v : shape.head_size;
  WINDOWKV_TRY_ASSIGN(units, detail::units_of<T>("head_size", shape.head_size));
  WINDOWKV_TRY_ASSIGN(value_units, detail::units_of<T>("head_size_v", head_size_v));
  WINDOWKV_TRY(detail::require_not_null("cache", cache));
  WINDOWKV_TRY_ASSIGN(layout, detail::layout_of(shape, order, units, value_units));
  return detail::checked(kv_view{detail::blocks<Space>(cache, shape, shape.head_size, layout.block_stride,
                                                       layout.in_block, table, tokens),
                                 detail::blocks<Space>(cache + layout.values, shape, head_size_v,
                                                       layout.block_stride, layout.in_block, table, tokens)});
}

/// Any cache that vLLM hands to its kernels as key_cache and value_cache [num_blocks][block_size]
/// [num_kv_heads][head_size] (unbind, split), by the strides of these tensors; head_size is innermost.
template <memory_space Space = memory_space::host, class T>
result<paged_view<T, Space>> strided_cache(T* key_cache, T* value_cache, cache_shape const& shape,
                                           cache_strides const& strides, block_table_row const& table,
                                           int tokens) {
  dense_layout const in_block{strides.token, strides.head, 1};
  return detail::checked(kv_view{
      detail::blocks<Space>(key_cache, shape, shape.head_size, strides.block, in_block, table, tokens),
      detail::blocks<Space>(value_cache, shape, shape.head_size, strides.block, in_block, table, tokens)});
}

/// The view of a quantised cache, its elements read times a scale per token and head: key_scales and
/// value_scales, fp32 [num_blocks][block_size][num_kv_heads] with these strides in floats. The scales move
/// along with the tokens.
template <memory_space Space, class T>
auto with_token_scales(paged_view<T, Space> const& kv, float* key_scales, float* value_scales,
                       cache_shape const& shape, cache_strides const& strides) {
  dense_layout const in_block{strides.token, strides.head, 1};
  block_table_row const table{kv.keys.layout.pages, kv.keys.layout.entries};
  auto const scales = [&](float* data) {
    return detail::blocks<Space>(data, shape, 1, strides.block, in_block, table, kv.keys.slots);
  };
  return detail::checked(kv_view{with_scales(kv.keys, scales(key_scales)),
                                 with_scales(kv.values, scales(value_scales)), kv.positions, kv.rotation,
                                 kv.shared_slots});
}

/// vLLM's int8_per_token_head and fp8_per_token_head caches (Triton backend, pull requests 38378 and 44455):
/// shapes as for flash_cache, but every head of keys or values is its head_size bytes and then the four of
/// its fp32 scale: head_size + 4 in place of head_size.
/// T: int8_t or float8_e4m3. `order.block_stride` counts bytes.
template <memory_space Space = memory_space::host, class T>
auto per_token_head_cache(T* cache, cache_shape const& shape, cache_order const& order,
                          block_table_row const& table, int tokens)
    -> decltype(with_token_scales(paged_view<T, Space>{}, nullptr, nullptr, shape, {})) {
  static_assert(sizeof(T) == 1, "windowkv: per-token-head caches have elements of one byte");
  constexpr int scale = sizeof(float);
  int const head_size_v = order.head_size_v != 0 ? order.head_size_v : shape.head_size;
  for (int size : {shape.head_size, head_size_v}) {
    WINDOWKV_TRY(detail::require_at_least("head_size", size, 1));
    WINDOWKV_TRY(detail::require(size % scale == 0, "head_size (the scale behind it is aligned)", size,
                                 "must be a multiple of", scale));
  }
  WINDOWKV_TRY(detail::require(order.block_stride % scale == 0, "block_stride", order.block_stride,
                               "must be a multiple of", scale));
  WINDOWKV_TRY(detail::require_not_null("cache", cache));
  WINDOWKV_TRY_ASSIGN(layout, detail::layout_of(shape, order, std::int64_t{shape.head_size} + scale,
                                                std::int64_t{head_size_v} + scale));
  T* const values = cache + layout.values;
  kv_view const bytes{
      detail::blocks<Space>(cache, shape, shape.head_size, layout.block_stride, layout.in_block, table,
                            tokens),
      detail::blocks<Space>(values, shape, head_size_v, layout.block_stride, layout.in_block, table, tokens)};
  auto const scales_behind = [](T* data, int size) { return reinterpret_cast<float*>(data + size); };
  return with_token_scales(bytes, scales_behind(cache, shape.head_size), scales_behind(values, head_size_v),
                           shape,
                           {layout.block_stride / scale, layout.in_block.slot_stride / scale,
                            layout.in_block.head_stride / scale});
}

/// A token of the fp8_ds_mla cache: 512 fp8 latents, 4 fp32 scales and 64 bf16 of RoPE. Can only be moved.
using fp8_ds_mla_token = opaque<656>;

/// vLLM's MLA cache: one plane (num_blocks, block_size, head_size) with head_size = kv_lora_rank +
/// qk_rope_head_dim (576 in DeepSeek); keys are all of it, values its first kv_lora_rank. One KV head, so
/// num_kv_heads is not looked at. It is scored with absorbed queries of head_size dims, or given scores.
/// T: bfloat16, float16, float8_e4m3, or fp8_ds_mla_token with head_size = 1.
template <memory_space Space = memory_space::host, class T>
result<paged_latents<T, Space>> mla_cache(T* cache, cache_shape const& shape, block_table_row const& table,
                                          int tokens) {
  cache_shape one_head = shape;
  one_head.num_kv_heads = 1;
  WINDOWKV_TRY_ASSIGN(units, detail::units_of<T>("head_size", shape.head_size));
  WINDOWKV_TRY_ASSIGN(page, detail::packed_page(axis_order::nhd, shape.block_size, 1, units, detail::names));
  return detail::checked(kv_view{
      detail::blocks<Space>(cache, one_head, shape.head_size, page.elements, page.in_page, table, tokens)});
}

}  // namespace windowkv::interop::vllm
