// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/llama_cpp.hpp
/// One layer of llama.cpp's KV cache as planes (src/llama-kv-cache.cpp; 2025-02 and 2026). ggml.h is not
/// included: a `Tensor` is whatever has the members of ggml_tensor (type, ne, nb, data). Pass the cache's own
/// tensors, cache_k_l<i> and cache_v_l<i>: seen from an evaluation callback, the `view_src` of the nodes.
///
/// ggml counts axes from the fastest on: ne = {Hkv * D, kv_size, n_stream}; before mid-2025 one axis of all
/// Hkv * D * kv_size elements. A slot is a cell; there is no table, and cells hold {position, sequences} for
/// all layers at once, so kept counts must be equal (`uniform_budget`); slot j may hold another token in each
/// layer.
/// **After compaction** cells [0, kept) hold the kept rows in ascending order. Metadata does not follow: drop
/// the cells behind by llama_memory_seq_rm (llama_kv_cache_seq_rm), and give the next token's position, which
/// is still N, explicitly. Versions that want positions without gaps take the state blob instead: rewrite its
/// rows (blob_rows, blob_columns) and its cells, and set it again.

#include <climits>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "windowkv/core/half.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/core/quantised.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/interop/common.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::llama_cpp {

/// ggml_type of an element type. To be specialised for other element types; `rows_of_bytes` needs none.
template <class T>
struct ggml_type_of {
  static_assert(!std::is_same_v<T, T>,
                "windowkv: llama.cpp's rows are read as float, float16, bfloat16, q8_0_block or q4_0_block; "
                "specialise ggml_type_of for another element type, or move them as rows_of_bytes");
};
template <>
struct ggml_type_of<float> {
  static constexpr int value = 0;  // GGML_TYPE_F32
};
template <>
struct ggml_type_of<float16> {
  static constexpr int value = 1;  // GGML_TYPE_F16
};
template <>
struct ggml_type_of<q4_0_block> {
  static constexpr int value = 2;  // GGML_TYPE_Q4_0
};
template <>
struct ggml_type_of<q8_0_block> {
  static constexpr int value = 8;  // GGML_TYPE_Q8_0
};
template <>
struct ggml_type_of<bfloat16> {
  static constexpr int value = 30;  // GGML_TYPE_BF16
};

namespace detail {

using namespace interop::detail;  // NOLINT(google-build-using-namespace)

/// A stream of a cache tensor, in numbers.
struct stream_of_cells {
  unsigned char* data = nullptr;
  std::int64_t row = 0;   ///< ne[0], or what it was made of
  int cells = 0;          ///< kv_size
  std::int64_t step = 0;  ///< bytes from one row to the next
};

/// `width` numbers of a cell are wanted; a row has that many, or at least if `padded`.
template <class Tensor>
result<stream_of_cells> stream(Tensor const& tensor, std::int64_t width, int dims_per_element,
                               std::int64_t element_bytes, int index, bool padded) {
  auto const ne = [&](int axis) { return static_cast<std::int64_t>(tensor.ne[axis]); };
  auto const nb = [&](int axis) { return static_cast<std::int64_t>(tensor.nb[axis]); };
  WINDOWKV_TRY(require_not_null("tensor.data", tensor.data));
  for (int axis = 0; axis < 4; ++axis) WINDOWKV_TRY(require_at_least("tensor.ne", ne(axis), 1));
  WINDOWKV_TRY(require_equal("tensor.ne[3]", ne(3), 1));
  WINDOWKV_TRY(require_at_least("stream", index, 0));
  WINDOWKV_TRY(require_at_most("stream (of n_stream)", index, ne(2) - 1));
  WINDOWKV_TRY(require_equal("tensor.nb[0]", nb(0), element_bytes));
  bool const is_flat = ne(1) == 1 && ne(2) == 1 && ne(0) > width && ne(0) % width == 0;
  std::int64_t const row = is_flat ? width : ne(0);
  std::int64_t const cells = is_flat ? ne(0) / width : ne(1);
  WINDOWKV_TRY(require(padded ? row >= width : row == width, "tensor.ne[0] (of kv_heads * head_dim)", row,
                       padded ? "must be at least" : "must equal", width));
  WINDOWKV_TRY(require_at_most("tensor.ne[1] (kv_size)", cells, INT_MAX));
  std::int64_t const step = is_flat ? width / dims_per_element * element_bytes : nb(1);
  WINDOWKV_TRY(require(step % element_bytes == 0, "tensor.nb[1]", step, "must be a multiple of the element's",
                       element_bytes));
  auto* const data = static_cast<unsigned char*>(tensor.data);
  return stream_of_cells{data + (index == 0 ? 0 : index * nb(2)), row, static_cast<int>(cells), step};
}

template <class T, class Tensor>
status validate_type(Tensor const& tensor) {
  return require(static_cast<int>(tensor.type) == ggml_type_of<T>::value, "tensor.type",
                 static_cast<int>(tensor.type), "must be the ggml_type of the element,",
                 ggml_type_of<T>::value, status_code::unsupported);
}

/// Numbers of one cell.
inline result<std::int64_t> width_of(int kv_heads, int head_dim) {
  WINDOWKV_TRY(require_at_least("head_dim", head_dim, 1));
  return around("kv_heads", kv_heads, head_dim);
}

}  // namespace detail

/// Keys, and with flash attention values: rows [n_stream][kv_size][kv_heads][head_dim], a row nb[1] bytes
/// after the other. T: float, float16, bfloat16, q8_0_block or q4_0_block, which must be tensor.type.
/// @param stream of a cache that is not unified: the sequence's; else 0
template <class T, memory_space Space = memory_space::host, class Tensor>
result<dense_plane<T, Space>> rows(Tensor const& tensor, int kv_heads, int head_dim, int stream = 0) {
  constexpr std::int64_t bytes = sizeof(T);
  WINDOWKV_TRY(detail::validate_type<T>(tensor));
  WINDOWKV_TRY_ASSIGN(units, detail::units_of<T>("head_dim", head_dim));
  WINDOWKV_TRY_ASSIGN(width, detail::width_of(kv_heads, head_dim));
  constexpr int dims = dense_plane<T, Space>::dims_per_element;
  WINDOWKV_TRY_ASSIGN(cells, detail::stream(tensor, width, dims, bytes, stream, false));
  dense_layout const layout{cells.step / bytes, units, 1};
  return detail::checked(make_plane<Space>(reinterpret_cast<T*>(cells.data), cells.cells, kv_heads, head_dim,
                                           layout, element_accessor<T>{}),
                         {"tensor.data", "tensor.ne[1] (kv_size)", "kv_heads", "head_dim"});
}

/// Values without flash attention (v_trans), transposed: [n_stream][Hkv * D, padded to the widest layer's]
/// [kv_size], in a tensor that has the extents of rows. T: float, float16 or bfloat16; quantised values need
/// flash attention.
template <class T, memory_space Space = memory_space::host, class Tensor>
result<dense_plane<T, Space>> transposed_values(Tensor const& tensor, int kv_heads, int head_dim,
                                                int stream = 0) {
  static_assert(dense_plane<T, Space>::dims_per_element == 1,
                "windowkv: llama.cpp transposes values of single numbers only");
  constexpr std::int64_t bytes = sizeof(T);
  WINDOWKV_TRY(detail::validate_type<T>(tensor));
  WINDOWKV_TRY_ASSIGN(width, detail::width_of(kv_heads, head_dim));
  WINDOWKV_TRY_ASSIGN(cells, detail::stream(tensor, width, 1, bytes, stream, true));
  WINDOWKV_TRY(detail::require_equal("tensor.nb[1] (compact)", cells.step, cells.row * bytes));
  WINDOWKV_TRY_ASSIGN(head, detail::around("tensor.ne[1] (kv_size)", cells.cells, head_dim));
  dense_layout const layout{1, head, cells.cells};
  return detail::checked(make_plane<Space>(reinterpret_cast<T*>(cells.data), cells.cells, kv_heads, head_dim,
                                           layout, element_accessor<T>{}),
                         {"tensor.data", "tensor.ne[1] (kv_size)", "kv_heads", "head_dim"});
}

/// Rows of which nothing is known but their bytes, at any address: one head of `row_bytes` elements of a
/// byte. They can be moved, not scored. For rows of a type without an element here, pass the tensor's data,
/// nb[1] and ne[1]; of the state blob, where data is not aligned, use it through blob_rows.
template <memory_space Space = memory_space::host>
result<dense_plane<opaque<1>, Space>> rows_of_bytes(void* first_row, std::int64_t row_bytes, int cells) {
  WINDOWKV_TRY(detail::require_at_least("row_bytes", row_bytes, 1));
  WINDOWKV_TRY(detail::require_at_most("row_bytes", row_bytes, INT_MAX));
  return detail::checked(
      make_plane<Space>(static_cast<opaque<1>*>(first_row), cells, 1, static_cast<int>(row_bytes),
                        dense_layout{row_bytes, row_bytes, 1}, element_accessor<opaque<1>>{}),
      {"first_row", "cells", "heads", "row_bytes"});
}

/// Rows of a layer in the blob of llama_state_seq_get_data: keys, or values with flash attention: cell_count
/// rows of k_size_row (v_size_row) bytes behind those numbers. Host memory, not aligned.
inline result<dense_plane<opaque<1>>> blob_rows(void* first_row, std::uint64_t size_row, int cell_count) {
  WINDOWKV_TRY(detail::require(size_row <= INT_MAX, "size_row",
                               static_cast<std::int64_t>(size_row <= INT64_MAX ? size_row : INT64_MAX),
                               "must be at most", INT_MAX));
  return rows_of_bytes(first_row, static_cast<std::int64_t>(size_row), cell_count);
}

/// Values of a layer in that blob without flash attention: [n_embd_v_gqa][cell_count] elements of
/// `ElementBytes` bytes (v_size_el: 2 for f16, 4 for f32). Compaction leaves the blob's columns cell_count
/// apart; copy
/// (`compact_copy`) into a plane of the kept count to close them up.
template <std::size_t ElementBytes>
result<dense_plane<opaque<ElementBytes>>> blob_columns(void* first, int n_embd_v_gqa, int cell_count) {
  WINDOWKV_TRY_ASSIGN(all, detail::around("cell_count", cell_count, n_embd_v_gqa > 0 ? n_embd_v_gqa : 1));
  return detail::checked(
      make_plane(static_cast<opaque<ElementBytes>*>(first), cell_count, 1, n_embd_v_gqa,
                 dense_layout{1, all, cell_count}, element_accessor<opaque<ElementBytes>>{}),
      {"first", "cell_count", "heads", "n_embd_v_gqa"});
}

/// A plane of the listed cells, for sequences whose cells are not [0, n): slot i is cell cells[i] of `all`.
/// @param cells of the sequence in order of position, in the memory of the plane
template <class T, memory_space Space>
result<paged_plane<T, Space>> listed_cells(dense_plane<T, Space> const& all, std::int32_t const* cells,
                                           int count) {
  paged_layout<> const layout{cells, count, 1, all.layout.slot_stride, all.slots, all.layout};
  return detail::checked(
      make_plane<Space>(all.data, count, all.heads, all.head_dim, layout, element_accessor<T>{}),
      {"cells", "count", "heads", "head_dim"});
}

}  // namespace windowkv::interop::llama_cpp
