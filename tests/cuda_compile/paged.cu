// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <windowkv/core/quantised.hpp>

#include "instantiations.hpp"

namespace {

/// A pool of [page][keys, values][slot][head][dim], or its values.
template <class T>
auto pages(arguments const& with, std::int64_t first) {
  int const heads = with.shape.kv_heads;
  auto plane = wkv::paged(static_cast<T*>(with.data) + first, 1 << 20, 16, heads, with.shape.head_dim,
                          static_cast<std::int32_t const*>(with.data), 256, 4096);
  plane.layout.page_stride *= 2;
  return wkv::in_device_memory(plane);
}

/// vLLM's keys: [page][head][D / 8][slot][8].
auto packs(arguments const& with) {
  int const heads = with.shape.kv_heads;
  int const dims = with.shape.head_dim;
  using layout = wkv::paged_layout<wkv::packed_layout, std::int32_t>;
  layout const in_pool{
      static_cast<std::int32_t const*>(with.data), 256, 16, std::int64_t{16} * heads * dims, 1 << 20,
      {8, std::int64_t{16} * dims, 128, 8}};
  return wkv::make_plane<wkv::memory_space::device>(static_cast<wkv::float16*>(with.data), 4096, heads, dims,
                                                    in_pool, wkv::element_accessor<wkv::float16>{});
}

/// 8-bit integers with an fp16 scale of every token and head.
auto scaled(arguments const& with) {
  int const heads = with.shape.kv_heads;
  auto const scales =
      wkv::in_device_memory(wkv::slot_head_dim(static_cast<wkv::float16*>(with.data), 4096, heads, 1));
  return wkv::with_scales(wkv::in_device_memory(wkv::slot_head_dim(static_cast<std::int8_t*>(with.data), 4096,
                                                                   heads, with.shape.head_dim)),
                          scales);
}

/// KIVI's keys: a scale for every channel of 32 tokens.
auto channel_scaled(arguments const& with) {
  int const heads = with.shape.kv_heads;
  int const dims = with.shape.head_dim;
  auto const scales =
      wkv::in_device_memory(wkv::slot_head_dim(static_cast<wkv::float16*>(with.data), 128, heads, dims));
  return wkv::with_channel_scales(
      wkv::in_device_memory(wkv::slot_head_dim(static_cast<wkv::int4_pair*>(with.data), 4096, heads, dims)),
      scales, 32);
}

template <class T>
auto rows(arguments const& with) {
  return wkv::in_device_memory(
      wkv::slot_head_dim(static_cast<T*>(with.data), 4096, with.shape.kv_heads, with.shape.head_dim));
}

template <class Queries, class Kv>
wkv::status score_and_move(arguments const& with, Queries const& queries, Kv const& kv) {
  auto const method = wkv::default_method();
  wkv::cuda_executor<wkv::head_dims<128>> const on{};
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, with.shape, {4096}));
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(on, plan, with.memory));
  WINDOWKV_TRY(wkv::score(on, run, 0, queries, kv.keys));
  return wkv::compact(on, run, 0, run.selected(0), kv);
}

}  // namespace

wkv::status use(arguments const& with) {
  auto const bf16 = with.queries<wkv::bfloat16>();
  auto const fp16 = with.queries<wkv::float16>();
  wkv::kv_view const paged{pages<wkv::bfloat16>(with, 0), pages<wkv::bfloat16>(with, 1 << 15)};
  WINDOWKV_TRY(score_and_move(with, bf16, paged));
  WINDOWKV_TRY(score_and_move(with, fp16, wkv::kv_view{packs(with), rows<wkv::float16>(with)}));
  WINDOWKV_TRY(score_and_move(with, bf16, wkv::kv_view{scaled(with), scaled(with)}));
  WINDOWKV_TRY(score_and_move(with, bf16, wkv::kv_view{rows<wkv::q8_0_block>(with)}));
  return score_and_move(with, fp16, wkv::kv_view{channel_scaled(with), scaled(with)});
}
