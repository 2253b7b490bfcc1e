// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/flashinfer.hpp
/// One sequence of FlashInfer's paged KV cache as a view: the facts of `paged_kv_t` and `paged_kv_mla_t`
/// (include/flashinfer/page.cuh, 0.6.18), with whose address functions tests/flashinfer compares it.
///
/// Page table: CSR of IdType (int32_t or int64_t); a sequence's pages are indices[indptr[i] .. indptr[i +
/// 1]), its tokens (pages - 1) * page_size + last_page_len[i]. **After compaction** drop the sequence's
/// indices from page_count(kept) on, shift indptr, set last_page_len(kept, page_size) and plan again; pages
/// of a shared prefix (cascade) must not be written (`kv_view::shared_slots`). The position of the next token
/// is still N.

#include <climits>
#include <cstdint>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/interop/common.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::flashinfer {

/// Extents of the pool. `paged_kv_t` does not know `max_num_pages`: it is the tensor's first extent.
struct pool_shape {
  std::int64_t max_num_pages = 0;
  int page_size = 0;  ///< tokens
  int num_heads = 0;  ///< of keys and values
  int head_dim = 0;
};

/// Strides in elements; head_dim is innermost. Keys and values have their own (v_stride_page, ...).
struct page_strides {
  std::int64_t stride_page = 0;
  std::int64_t stride_n = 0;  ///< token
  std::int64_t stride_h = 0;  ///< head
};

/// Page tables of a batch. FlashInfer plans on the host, so indptr and last_page_len are in host memory;
/// indices are in the memory of the cache.
template <class IdType>
struct page_table {
  IdType const* indptr = nullptr;         ///< [batch_size + 1], starting at 0
  IdType const* indices = nullptr;        ///< [indptr[batch_size]]
  IdType const* last_page_len = nullptr;  ///< [batch_size], each in [1, page_size]
  int batch_size = 0;
};

/// One sequence's pages, and its tokens: `paged_kv_t::get_length`.
template <class IdType>
struct sequence_pages {
  IdType const* pages = nullptr;
  int count = 0;
  int tokens = 0;
};

/// last_page_len of a sequence of `tokens` tokens: 0 for none.
constexpr int last_page_len(int tokens, int page_size) {
  return tokens == 0 ? 0 : (tokens - 1) % page_size + 1;
}

/// Strides of the pool [max_num_pages][page_size][num_heads][head_dim] (nhd) or
/// [max_num_pages][num_heads][page_size][head_dim] (hnd), compact.
inline result<page_strides> strides_of(pool_shape const& shape, axis_order order) {
  WINDOWKV_TRY_ASSIGN(dims, detail::units_of<char>("head_dim", shape.head_dim));
  WINDOWKV_TRY_ASSIGN(
      page, detail::packed_page(order, shape.page_size, shape.num_heads, dims, {"page_size", "num_heads"}));
  return page_strides{page.elements, page.in_page.slot_stride, page.in_page.head_stride};
}

/// The pages of sequence `batch_idx`. Refused: an index outside the batch, an indptr that descends, a
/// last_page_len outside [1, page_size], and a sequence without tokens, of which no view can be made.
template <class IdType>
result<sequence_pages<IdType>> pages_of(page_table<IdType> const& table, int page_size, int batch_idx) {
  WINDOWKV_TRY(detail::require_at_least("batch_idx", batch_idx, 0));
  WINDOWKV_TRY(detail::require_at_most("batch_idx", batch_idx, std::int64_t{table.batch_size} - 1));
  WINDOWKV_TRY(detail::require_at_least("page_size", page_size, 1));
  WINDOWKV_TRY(detail::require_not_null("indptr", table.indptr));
  WINDOWKV_TRY(detail::require_not_null("indices", table.indices));
  WINDOWKV_TRY(detail::require_not_null("last_page_len", table.last_page_len));
  std::int64_t const first = table.indptr[batch_idx];
  std::int64_t const end = table.indptr[batch_idx + 1];
  WINDOWKV_TRY(detail::require_at_least("indptr[batch_idx]", first, 0));
  WINDOWKV_TRY(detail::require_at_least("indptr[batch_idx + 1] (pages of the sequence)", end, first + 1));
  WINDOWKV_TRY(
      detail::require_at_most("indptr[batch_idx + 1] (tokens fit an int)", end, first + INT_MAX / page_size));
  std::int64_t const last = table.last_page_len[batch_idx];
  WINDOWKV_TRY(detail::require_at_least("last_page_len[batch_idx]", last, 1));
  WINDOWKV_TRY(detail::require_at_most("last_page_len[batch_idx]", last, page_size));
  auto const count = static_cast<int>(end - first);
  return sequence_pages<IdType>{table.indices + first, count,
                                (count - 1) * page_size + static_cast<int>(last)};
}

namespace detail {

using namespace interop::detail;  // NOLINT(google-build-using-namespace)

template <memory_space Space, class T, class IdType>
paged_plane<T, Space, IdType> pages(T* data, pool_shape const& shape, int head_dim,
                                    page_strides const& strides, sequence_pages<IdType> const& sequence) {
  paged_layout<dense_layout, IdType> const layout{
      sequence.pages,      sequence.count,      shape.page_size,
      strides.stride_page, shape.max_num_pages, {strides.stride_n, strides.stride_h, 1}};
  return make_plane<Space>(data, sequence.tokens, shape.num_heads, head_dim, layout, element_accessor<T>{});
}

}  // namespace detail

/// paged_kv_t with strides of their own for keys and values; the planes' slots are the sequence's tokens.
/// A fused tensor [max_num_pages][2][page_size][num_heads][head_dim] is two pointers, k_data and k_data +
/// half a page, and strides with stride_page of a whole one. T: float, float16, bfloat16, or float8_e4m3 /
/// float8_e5m2, then `scaled(view, k_scale, v_scale)`.
/// @param rotation `key_rotation::at_attention` for pos_encoding_mode ROPE_LLAMA, which rotates keys by slot
///                 while it attends: compaction is then refused, for FlashInfer takes no positions
template <memory_space Space = memory_space::host, class T, class IdType>
result<paged_view<T, Space, IdType>> paged_cache(T* k_data, T* v_data, pool_shape const& shape,
                                                 page_strides const& k_strides, page_strides const& v_strides,
                                                 page_table<IdType> const& table, int batch_idx,
                                                 key_rotation rotation = key_rotation::stored) {
  WINDOWKV_TRY_ASSIGN(sequence, pages_of(table, shape.page_size, batch_idx));
  return detail::checked(kv_view{detail::pages<Space>(k_data, shape, shape.head_dim, k_strides, sequence),
                                 detail::pages<Space>(v_data, shape, shape.head_dim, v_strides, sequence),
                                 static_cast<std::int32_t*>(nullptr), rotation});
}

/// The same for two compact tensors [max_num_pages][page_size][num_heads][head_dim] (nhd) or
/// [max_num_pages][num_heads][page_size][head_dim] (hnd).
template <memory_space Space = memory_space::host, class T, class IdType>
result<paged_view<T, Space, IdType>> paged_cache(T* k_data, T* v_data, pool_shape const& shape,
                                                 axis_order order, page_table<IdType> const& table,
                                                 int batch_idx,
                                                 key_rotation rotation = key_rotation::stored) {
  WINDOWKV_TRY_ASSIGN(strides, strides_of(shape, order));
  return paged_cache<Space>(k_data, v_data, shape, strides, strides, table, batch_idx, rotation);
}

/// Extents of the pool of an MLA cache, which has one head.
struct mla_pool_shape {
  std::int64_t max_num_pages = 0;
  int page_size = 0;
  int head_dim_ckv = 0;  ///< 512 in DeepSeek
  int head_dim_kpe = 0;  ///< 64
};

/// Strides in elements of one plane of an MLA cache.
struct mla_strides {
  std::int64_t stride_page = 0;
  std::int64_t stride_n = 0;  ///< token
};

/// paged_kv_mla_t: ckv [max_num_pages][page_size][head_dim_ckv] as the view's keys and kpe
/// [max_num_pages][page_size][head_dim_kpe] as its values, so that both move. The two may be parts of one
/// tensor [max_num_pages][page_size][head_dim_ckv + head_dim_kpe]. Selected from given scores: neither plane
/// alone is a key.
template <memory_space Space = memory_space::host, class T, class IdType>
result<paged_view<T, Space, IdType>> mla_cache(T* ckv_data, T* kpe_data, mla_pool_shape const& shape,
                                               mla_strides const& ckv, mla_strides const& kpe,
                                               page_table<IdType> const& table, int batch_idx) {
  WINDOWKV_TRY_ASSIGN(sequence, pages_of(table, shape.page_size, batch_idx));
  pool_shape const one_head{shape.max_num_pages, shape.page_size, 1, 0};
  return detail::checked(
      kv_view{detail::pages<Space>(ckv_data, one_head, shape.head_dim_ckv,
                                   {ckv.stride_page, ckv.stride_n, shape.head_dim_ckv}, sequence),
              detail::pages<Space>(kpe_data, one_head, shape.head_dim_kpe,
                                   {kpe.stride_page, kpe.stride_n, shape.head_dim_kpe}, sequence)});
}

/// The same for two compact tensors.
template <memory_space Space = memory_space::host, class T, class IdType>
result<paged_view<T, Space, IdType>> mla_cache(T* ckv_data, T* kpe_data, mla_pool_shape const& shape,
                                               page_table<IdType> const& table, int batch_idx) {
  mla_strides const ckv{std::int64_t{shape.page_size} * shape.head_dim_ckv, shape.head_dim_ckv};
  mla_strides const kpe{std::int64_t{shape.page_size} * shape.head_dim_kpe, shape.head_dim_kpe};
  return mla_cache<Space>(ckv_data, kpe_data, shape, ckv, kpe, table, batch_idx);
}

}  // namespace windowkv::interop::flashinfer
