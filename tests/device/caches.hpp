// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Caches of one layer on the host (any_cache.hpp), and the same ones in a backend's memory. Besides the odd
// places and gaps of any_cache.hpp's kinds there are those of engines here, which can be moved 16 bytes at a
// time and go to tensor cores.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "any_cache.hpp"
#include "catch.hpp"

namespace wkv_test {

/// Bytes that read as finite numbers, whatever they are part of.
inline void make_finite(cache_model& model) {
  for (arena& a : model.arenas) {
    for (unsigned char& byte : *a.memory) byte = static_cast<unsigned char>(byte & 0x3b);
  }
}

/// Pages of 4 slots, 16 bytes apart.
template <class Index, bool HeadsFirst>
struct engine_pages {
  static constexpr int page_size = 4;
  std::vector<Index> table;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    int const pages = wkv::detail::pages_of(s.slots, page_size);
    int const pool = pages + 3;
    table = random_pages<Index>(random, pages, pool);
    std::int64_t const u = s.units;
    std::int64_t const h = s.heads;
    std::int64_t const row = h * u;
    wkv::dense_layout const in_page =
        HeadsFirst ? wkv::dense_layout{u, page_size * u, 1} : wkv::dense_layout{row, u, 1};
    std::int64_t const stride = page_size * row + 16;  // elements, so that any type steps by 16 bytes
    std::size_t const id = model.add_arena(random, in_bytes(pool * stride, sizeof(T)));
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=, pages_of = table](int slot, int head, int unit) {
           std::int64_t const page = pages_of[static_cast<std::size_t>(slot / page_size)];
           std::int64_t const in = HeadsFirst ? (head * page_size + slot % page_size) * u + unit
                                              : slot % page_size * row + head * u + unit;
           return arena::margin + in_bytes(page * stride + in, sizeof(T));
         }});
    return wkv::make_plane(
        model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim,
        wkv::paged_layout<wkv::dense_layout, Index>{table.data(), pages, page_size, stride, pool, in_page},
        wkv::element_accessor<T>{});
  }
};

/// A pool of [page][keys, values][slot][head][unit]: values are made after the keys, as wide as they.
template <class Index>
struct fused_pages {
  static constexpr int page_size = 8;
  std::vector<Index> table;
  std::size_t id = 0;
  part_shape shape;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    int const pages = wkv::detail::pages_of(s.slots, page_size);
    table = random_pages<Index>(random, pages, pages + 2);
    shape = s;
    id = model.add_arena(random, in_bytes(2 * page_size * (pages + 2) * s.heads * s.units, sizeof(T)));
    return half<T>(model, s, 0);
  }
  template <class T>
  auto make_values(cache_model& model) {
    return half<T>(model, shape, std::int64_t{page_size} * shape.heads * shape.units);
  }

 private:
  template <class T>
  auto half(cache_model& model, part_shape const& s, std::int64_t first) {
    int const pages = static_cast<int>(table.size());
    std::int64_t const u = s.units;
    std::int64_t const row = s.heads * u;
    std::int64_t const stride = 2 * page_size * row;
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=, pages_of = table](int slot, int head, int unit) {
           std::int64_t const page = pages_of[static_cast<std::size_t>(slot / page_size)];
           return arena::margin +
                  in_bytes(first + page * stride + slot % page_size * row + head * u + unit, sizeof(T));
         }});
    return wkv::make_plane(model.arenas[id].template at<T>(0) + first, s.slots, s.heads, s.head_dim,
                           wkv::paged_layout<wkv::dense_layout, Index>{
                               table.data(), pages, page_size, stride, pages + 2, {row, u, 1}},
                           wkv::element_accessor<T>{});
  }
};
struct values_of_fused {};

/// vLLM's keys [page][head][unit / x][slot][x], x units in 16 bytes.
struct packs_of_16_bytes {
  static constexpr int page_size = 4;
  std::vector<std::int32_t> table;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    constexpr int x = 16 / static_cast<int>(sizeof(T));
    int const pages = wkv::detail::pages_of(s.slots, page_size);
    int const pool = pages + 2;
    table = random_pages<std::int32_t>(random, pages, pool);
    std::int64_t const head_stride = std::int64_t{page_size} * s.units;
    std::int64_t const stride = s.heads * head_stride;
    std::size_t const id = model.add_arena(random, in_bytes(pool * stride, sizeof(T)));
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=, pages_of = table](int slot, int head, int unit) {
           std::int64_t const page = pages_of[static_cast<std::size_t>(slot / page_size)];
           return arena::margin + in_bytes(page * stride + head * head_stride +
                                               (unit / x * page_size + slot % page_size) * x + unit % x,
                                           sizeof(T));
         }});
    return wkv::make_plane(
        model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim,
        wkv::paged_layout<wkv::packed_layout, std::int32_t>{
            table.data(), pages, page_size, stride, pool, {x, head_stride, page_size * x, x}},
        wkv::element_accessor<T>{});
  }
};

/// vLLM's values [page][head][unit][slot].
struct tokens_fastest {
  static constexpr int page_size = 4;
  std::vector<std::int32_t> table;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    int const pages = wkv::detail::pages_of(s.slots, page_size);
    table = random_pages<std::int32_t>(random, pages, pages);
    std::int64_t const head_stride = std::int64_t{page_size} * s.units;
    std::int64_t const stride = s.heads * head_stride;
    std::size_t const id = model.add_arena(random, in_bytes(pages * stride, sizeof(T)));
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=, pages_of = table](int slot, int head, int unit) {
           std::int64_t const page = pages_of[static_cast<std::size_t>(slot / page_size)];
           return arena::margin +
                  in_bytes(page * stride + head * head_stride + unit * page_size + slot % page_size,
                           sizeof(T));
         }});
    return wkv::make_plane(model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim,
                           wkv::paged_layout<wkv::dense_layout, std::int32_t>{
                               table.data(), pages, page_size, stride, pages, {1, head_stride, page_size}},
                           wkv::element_accessor<T>{});
  }
};

/// Pages found by their addresses, which are known to be multiples of 16.
struct aligned_pointers {
  pointer_kind pages;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    auto plane = pages.make<T>(model, random, s);
    plane.layout.page_alignment = 16;
    return plane;
  }
};

/// In place of the values of a cache that has none.
struct nothing {
  using type = unsigned char;
  static constexpr int granularity = 1;
};

template <class KeyKind, class ValueElement, class ValueKind>
auto make_values(KeyKind& key_kind, ValueElement& element, ValueKind& kind, cache_model& model,
                 random_source& random, part_shape const& s) {
  if constexpr (std::is_same_v<ValueElement, nothing>) {
    return wkv::no_plane<>{};
  } else if constexpr (std::is_same_v<ValueKind, values_of_fused>) {
    return key_kind.template make_values<typename ValueElement::type>(model);
  } else {
    return element.make(kind, model, random, s);
  }
}

/// Keys and values of one layer.
template <class KeyElement, class KeyKind, class ValueElement, class ValueKind>
struct host_cache {
  static constexpr int key_dims = wkv::detail::dims_of_v<typename KeyElement::type>;
  static constexpr int value_dims = wkv::detail::dims_of_v<typename ValueElement::type>;
  static constexpr int granularity = KeyElement::granularity > ValueElement::granularity
                                         ? KeyElement::granularity
                                         : ValueElement::granularity;
  KeyKind key_kind;
  ValueKind value_kind;
  KeyElement key_element;
  ValueElement value_element;
  cache_model model;
  decltype(key_element.make(key_kind, model, std::declval<random_source&>(), part_shape{})) keys;
  decltype(make_values(key_kind, value_element, value_kind, model, std::declval<random_source&>(),
                       part_shape{})) values;
  std::vector<std::int32_t> positions;

  host_cache(random_source& random, int slots, int heads, int key_units, int value_units)
      : keys(key_element.make(key_kind, model, random, {slots, heads, key_units, key_units * key_dims})),
        values(make_values(key_kind, value_element, value_kind, model, random,
                           {slots, heads, value_units, value_units * value_dims})) {
    for (int i = 0; i < slots; ++i) positions.push_back(1000 + 3 * i);
  }
  host_cache(host_cache const&) = delete;
  host_cache& operator=(host_cache const&) = delete;
  auto view() { return wkv::kv_view{keys, values, positions.data()}; }
};

/// Copies of a model's memory and of the tables over it, in a backend's memory; `Array<T>` is an array there.
template <template <class> class Array, wkv::memory_space Space>
class mirror {
 public:
  explicit mirror(cache_model const& model) : model_(&model) {
    for (arena const& a : model.arenas) copies_.push_back(std::make_unique<Array<unsigned char>>(*a.memory));
  }

  /// The bytes that are there now, canaries and all.
  std::vector<bytes> contents() const {
    std::vector<bytes> all;
    for (auto const& copy : copies_) all.push_back(copy->get());
    return all;
  }

  template <class Layout, class Accessor>
  auto plane(wkv::plane<Layout, Accessor> const& p) {
    return wkv::make_plane<Space>(at(p.data), p.slots, p.heads, p.head_dim, layout(p.layout),
                                  accessor(p.accessor));
  }
  wkv::no_plane<Space> plane(wkv::no_plane<> const& /*absent*/) { return {}; }

  template <class Keys, class Values>
  auto view(wkv::kv_view<Keys, Values> const& kv, std::int32_t* positions) {
    auto const keys = plane(kv.keys);
    return wkv::kv_view{keys, plane(kv.values), positions};
  }

 private:
  template <class T>
  T* at(T* p) const {
    auto const* const address = reinterpret_cast<unsigned char const*>(p);
    for (std::size_t i = 0; i < copies_.size(); ++i) {
      bytes const& memory = *model_->arenas[i].memory;
      if (address >= memory.data() && address < memory.data() + memory.size())
        return reinterpret_cast<T*>(copies_[i]->data() + (address - memory.data()));
    }
    return nullptr;
  }
  template <class T>
  T* keep(std::vector<T> const& table) {
    auto const array = std::make_shared<Array<T>>(table);
    tables_.push_back(array);
    return array->data();
  }

  wkv::dense_layout layout(wkv::dense_layout const& l) { return l; }
  template <class InPage, class Index>
  auto layout(wkv::paged_layout<InPage, Index> l) {
    l.pages = keep(std::vector<Index>(l.pages, l.pages + l.entries));
    return l;
  }
  template <class InPage>
  auto layout(wkv::pointer_table_layout<InPage> l) {
    std::vector<void*> pages;
    for (int i = 0; i < l.entries; ++i) pages.push_back(at(static_cast<unsigned char*>(l.pages[i])));
    l.pages = keep(pages);
    return l;
  }

  template <class T>
  auto accessor(wkv::element_accessor<T> const& a) {
    return a;
  }
  template <class T>
  auto accessor(wkv::scaled_accessor<T> const& a) {
    return a;
  }
  template <class T, class Side>
  auto accessor(wkv::token_scaled_accessor<T, Side> const& a) {
    auto const side = plane(a.side);
    return wkv::token_scaled_accessor<T, std::decay_t<decltype(side)>>{side, a.dims_per_scale};
  }
  template <class T, class Side>
  auto accessor(wkv::channel_scaled_accessor<T, Side> const& a) {
    auto const side = plane(a.side);
    return wkv::channel_scaled_accessor<T, std::decay_t<decltype(side)>>{side, a.tokens};
  }

  cache_model const* model_;
  std::vector<std::unique_ptr<Array<unsigned char>>> copies_;
  std::vector<std::shared_ptr<void>> tables_;
};

/// `tokens` with `kept` of them left, at random.
inline std::vector<int> random_slots(random_source& random, int tokens, int kept) {
  std::vector<int> all = range(0, tokens);
  while (static_cast<int>(all.size()) > kept)
    all.erase(all.begin() + random.below(static_cast<int>(all.size())));
  return all;
}

/// The first `positions` that are kept, as a compaction leaves them.
inline std::vector<std::int32_t> moved_positions(std::vector<std::int32_t> const& positions,
                                                 std::vector<int> const& kept) {
  std::vector<std::int32_t> all = positions;
  for (std::size_t i = 0; i < kept.size(); ++i) all[i] = positions[static_cast<std::size_t>(kept[i])];
  return all;
}

// Caches of engines and odd ones: `keys, then values` of each.
template <class T>
using plain = plain_element<T>;
template <class T, class Kind, class ValueKind = Kind>
using plain_cache = host_cache<plain<T>, Kind, plain<T>, ValueKind>;

using nhd_pages = plain_cache<wkv::bfloat16, engine_pages<std::int32_t, false>>;
using hnd_pages = plain_cache<wkv::float16, engine_pages<std::int64_t, true>>;
using fused_cache = plain_cache<wkv::bfloat16, fused_pages<std::int64_t>, values_of_fused>;
using odd_pages = plain_cache<float, paged_kind<std::int32_t, false>, paged_kind<std::int64_t, true>>;
using vllm_pages = plain_cache<wkv::float16, packs_of_16_bytes, tokens_fastest>;
using odd_packs = plain_cache<wkv::bfloat16, packed_kind, listed_kind>;
using slot_lists = plain_cache<wkv::bfloat16, listed_kind>;
using address_tables = plain_cache<wkv::float16, aligned_pointers, pointer_kind>;
using fp8_pages = host_cache<scaled_fp8, engine_pages<std::int32_t, true>, scaled_fp8, packs_of_16_bytes>;
using int8_scales = host_cache<token_scaled<std::int8_t, true>, engine_pages<std::int32_t, false>,
                               token_scaled<std::int8_t, false>, dense_kind<order::head_slot_dim>>;
using int4_scales = host_cache<token_scaled<wkv::int4_pair, false>, dense_kind<order::slot_head_dim>,
                               plain<wkv::float16>, dense_kind<order::slot_head_dim>>;
using channel_scales = host_cache<channel_scaled<3>, paged_kind<std::int32_t, false>,
                                  token_scaled<std::int8_t, true>, dense_kind<order::slot_head_dim>>;
using ggml_rows = host_cache<plain<wkv::q8_0_block>, dense_kind<order::slot_head_dim>, plain<wkv::q4_0_block>,
                             dense_kind<order::padded>>;
using opaque_rows = host_cache<plain<wkv::opaque<7>>, dense_kind<order::head_slot_dim>,
                               plain<wkv::opaque<48>>, engine_pages<std::int32_t, false>>;
using latents = host_cache<plain<wkv::bfloat16>, engine_pages<std::int32_t, false>, nothing, nothing>;

}  // namespace wkv_test
