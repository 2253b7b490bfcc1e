// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/sglang.hpp
/// One request of one layer of SGLang's token pool as a view (python/sglang/srt/mem_cache/memory_pool.py,
/// 2026: MHATokenToKVPool, MLATokenToKVPool, ReqToTokenPool).
///
/// Table: the request's row of req_to_token [size][max_context_len], int32: the slot of every token, one list
/// for all layers, so kept counts must be equal (`uniform_budget`). The first page_size slots take the writes
/// of padding and belong to nobody. **After compaction** the kept tokens are in the row's first `kept` slots:
/// give back the others (with page_size > 1 whole pages, from page_count(kept) on) and keep seq_len for the
/// row; positions, which SGLang derives from seq_len, must become seq_len plus what was evicted. Rows of a
/// prefix that the radix cache shares must not be written (`kv_view::shared_slots`).

#include <cstdint>

#include "windowkv/core/layout.hpp"
#include "windowkv/core/page_table.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/interop/common.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::sglang {

/// Extents of the pool; `size` is the pool's, without the padding page that the buffers have on top of it.
struct pool_shape {
  std::int64_t size = 0;  ///< token slots
  int page_size = 1;
  int head_num = 0;  ///< KV heads
  int head_dim = 0;
  int v_head_dim = 0;  ///< of the values, where it differs; 0: head_dim
};

namespace detail {

using namespace interop::detail;  // NOLINT(google-build-using-namespace)

inline status validate(pool_shape const& shape) {
  WINDOWKV_TRY(require_at_least("page_size", shape.page_size, 1));
  WINDOWKV_TRY(require_at_least("size", shape.size, 1));
  return require_at_most("size", shape.size, INT64_MAX / 2);
}

/// Entries below `first` are the padding's: rows and tables that were not filled in are full of zeros.
template <memory_space Space>
status validate_entries(std::int32_t const* list, int count, int first, char const* name) {
  WINDOWKV_TRY(require_not_null(name, list));
  if constexpr (Space == memory_space::host) {
    for (int i = 0; i < count; ++i) WINDOWKV_TRY(require_at_least(name, list[i], first));
  }
  return {};
}

template <memory_space Space, class T>
result<paged_plane<T, Space>> slots(T* data, pool_shape const& shape, int heads, int head_dim,
                                    std::int32_t const* row, int tokens) {
  WINDOWKV_TRY_ASSIGN(units, units_of<T>("head_dim", head_dim));
  WINDOWKV_TRY_ASSIGN(slot, around("head_num", heads, units));
  paged_layout<> const layout{row, tokens, 1, slot, shape.size + shape.page_size, {slot, units, 1}};
  return make_plane<Space>(data, tokens, heads, head_dim, layout, element_accessor<T>{});
}

}  // namespace detail

/// MHATokenToKVPool, its usual layout: k_buffer [size + page_size][head_num][head_dim] and v_buffer [size +
/// page_size][head_num][v_head_dim] of one layer.
/// T: float16, bfloat16, or float8_e4m3 / float8_e5m2 over store_dtype uint8, then
/// `scaled(view, k_scale, v_scale)`.
/// @param row    req_to_token[req_pool_idx], in the memory of the pool
/// @param tokens of the request, all of them in the row
template <memory_space Space = memory_space::host, class T>
result<paged_view<T, Space>> token_cache(T* k_buffer, T* v_buffer, pool_shape const& shape,
                                         std::int32_t const* row, int tokens) {
  WINDOWKV_TRY(detail::validate(shape));
  WINDOWKV_TRY(detail::validate_entries<Space>(row, tokens, shape.page_size, "req_to_token: slot"));
  int const v_head_dim = shape.v_head_dim != 0 ? shape.v_head_dim : shape.head_dim;
  WINDOWKV_TRY_ASSIGN(keys,
                      detail::slots<Space>(k_buffer, shape, shape.head_num, shape.head_dim, row, tokens));
  WINDOWKV_TRY_ASSIGN(values, detail::slots<Space>(v_buffer, shape, shape.head_num, v_head_dim, row, tokens));
  return detail::checked(kv_view{keys, values});
}

/// MHATokenToKVPool with use_hnd: k_buffer [size / page_size + 1][head_num][page_size][head_dim], v_buffer
/// with v_head_dim. Here the table is one of pages, as SGLang's backends make it: page_table[i] =
/// req_to_token[row][i * page_size] / page_size.
template <memory_space Space = memory_space::host, class T>
result<paged_view<T, Space>> hnd_cache(T* k_buffer, T* v_buffer, pool_shape const& shape,
                                       std::int32_t const* page_table, int pages, int tokens) {
  WINDOWKV_TRY(detail::validate(shape));
  int const v_head_dim = shape.v_head_dim != 0 ? shape.v_head_dim : shape.head_dim;
  int const used = windowkv::detail::pages_of(tokens, shape.page_size);
  WINDOWKV_TRY(detail::require_at_least("pages (of the tokens)", pages, used));
  WINDOWKV_TRY(detail::validate_entries<Space>(page_table, used, 1, "page_table: page"));
  auto const plane = [&](T* data, int head_dim) -> result<paged_plane<T, Space>> {
    WINDOWKV_TRY_ASSIGN(units, detail::units_of<T>("head_dim", head_dim));
    WINDOWKV_TRY_ASSIGN(page, detail::packed_page(axis_order::hnd, shape.page_size, shape.head_num, units,
                                                  {"page_size", "head_num"}));
    paged_layout<> const layout{
        page_table, pages, shape.page_size, page.elements, shape.size / shape.page_size + 1, page.in_page};
    return make_plane<Space>(data, tokens, shape.head_num, head_dim, layout, element_accessor<T>{});
  };
  WINDOWKV_TRY_ASSIGN(keys, plane(k_buffer, shape.head_dim));
  WINDOWKV_TRY_ASSIGN(values, plane(v_buffer, v_head_dim));
  return detail::checked(kv_view{keys, values});
}

/// MLATokenToKVPool: kv_buffer [size + page_size][1][kv_cache_dim] of one layer, kv_cache_dim = kv_lora_rank
/// + qk_rope_head_dim; keys are all of it, values its first kv_lora_rank. `head_dim` is kv_cache_dim;
/// head_num and v_head_dim are not looked at. Scored with absorbed queries of kv_cache_dim dims, or given
/// scores. T: bfloat16, float16, float8_e4m3, or, for the fp8 store of sparse attention, `opaque<656>` with
/// head_dim = 1.
template <memory_space Space = memory_space::host, class T>
result<paged_latents<T, Space>> mla_cache(T* kv_buffer, pool_shape const& shape, std::int32_t const* row,
                                          int tokens) {
  WINDOWKV_TRY(detail::validate(shape));
  WINDOWKV_TRY(detail::validate_entries<Space>(row, tokens, shape.page_size, "req_to_token: slot"));
  WINDOWKV_TRY_ASSIGN(latents, detail::slots<Space>(kv_buffer, shape, 1, shape.head_dim, row, tokens));
  return detail::checked(kv_view{latents});
}

}  // namespace windowkv::interop::sglang
