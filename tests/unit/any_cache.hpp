// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Caches of every layout and element type over random bytes, and beside them a plain account of where each
// element lies, written without the library's layouts: what a move must leave in memory, byte by byte.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "support.hpp"

namespace wkv_test {

using bytes = std::vector<unsigned char>;

/// Memory of one allocation, random bytes, with space before and behind what is used.
struct arena {
  static constexpr std::size_t margin = 64;
  std::unique_ptr<bytes> memory;  // stays where it is when the arena moves

  arena(random_source& random, std::size_t size) : memory(std::make_unique<bytes>(size + 2 * margin)) {
    for (auto& b : *memory) b = static_cast<unsigned char>(random.below(256));
  }
  template <class T>
  T* at(std::size_t offset) const {
    return reinterpret_cast<T*>(memory->data() + margin + offset);
  }
};

/// One plane as plain facts: where, in which arena, are the bytes of (row, head, unit)?
struct part {
  std::size_t arena = 0;
  int heads = 0;
  int units = 0;
  std::size_t element_bytes = 0;
  int tokens_per_row = 1;
  std::function<std::size_t(int, int, int)> offset;  ///< in bytes, from the start of the arena's memory
};

/// A cache: memory, and the parts in it that move together.
struct cache_model {
  std::vector<arena> arenas;
  std::vector<part> parts;

  std::vector<bytes> contents() const {
    std::vector<bytes> all;
    for (arena const& a : arenas) all.push_back(*a.memory);
    return all;
  }
  /// `before` once the rows `kept` have moved to the front.
  std::vector<bytes> moved(std::vector<bytes> const& before, std::vector<int> const& kept) const {
    return copied(before, *this, before, kept);
  }
  /// Memory of `to`, `into` before, once the rows `kept` of this cache have been copied there.
  std::vector<bytes> copied(std::vector<bytes> const& before, cache_model const& to, std::vector<bytes> into,
                            std::vector<int> const& kept) const {
    for (std::size_t p = 0; p < parts.size(); ++p) {
      part const& from_part = parts[p];
      part const& to_part = to.parts[p];
      for (std::size_t i = 0; i < kept.size(); ++i) {
        int const source = kept[i] / from_part.tokens_per_row;
        int const destination = static_cast<int>(i) / from_part.tokens_per_row;
        for (int h = 0; h < from_part.heads; ++h) {
          for (int u = 0; u < from_part.units; ++u) {
            std::memcpy(into[to_part.arena].data() + to_part.offset(destination, h, u),
                        before[from_part.arena].data() + from_part.offset(source, h, u),
                        from_part.element_bytes);
          }
        }
      }
    }
    return into;
  }
  std::size_t add_arena(random_source& random, std::size_t size) {
    arenas.emplace_back(random, size);
    return arenas.size() - 1;
  }
};

/// Shape of one plane, in elements.
struct part_shape {
  int slots = 0;
  int heads = 0;
  int units = 0;
  int head_dim = 0;
};

inline std::size_t in_bytes(std::int64_t elements, std::size_t element_bytes) {
  return static_cast<std::size_t>(elements) * element_bytes;
}

/// Different pages of a pool of `pool` pages, in random order.
template <class Index>
std::vector<Index> random_pages(random_source& random, int count, int pool) {
  std::vector<Index> all(static_cast<std::size_t>(pool));
  std::iota(all.begin(), all.end(), Index{0});
  for (int i = pool - 1; i > 0; --i) {
    std::swap(all[static_cast<std::size_t>(i)], all[static_cast<std::size_t>(random.below(i + 1))]);
  }
  all.resize(static_cast<std::size_t>(count));
  return all;
}

// --- Kinds: a plane over fresh memory. `make` adds an arena and a part to the model and returns the plane.

template <wkv_test::order Order>
struct dense_kind {
  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    std::int64_t const n = s.slots;
    std::int64_t const h = s.heads;
    std::int64_t const u = s.units;
    wkv::dense_layout strides{h * u, u, 1};
    if (Order == order::head_slot_dim) strides = {u, n * u, 1};
    if (Order == order::head_dim_slot) strides = {1, u * n, n};
    if (Order == order::padded) strides = {h * (u + 3) + 5, u + 3, 1};
    std::size_t const id = model.add_arena(random, in_bytes(n * (h * (u + 3) + 5), sizeof(T)));
    model.parts.push_back({id, s.heads, s.units, sizeof(T), 1, [=](int slot, int head, int unit) {
                             return arena::margin +
                                    in_bytes(slot * strides.slot_stride + head * strides.head_stride +
                                                 unit * strides.dim_stride,
                                             sizeof(T));
                           }});
    return wkv::strided(model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim, strides);
  }
};

/// Pages [page][slot][head][unit] or [page][head][slot][unit], with a gap behind each.
template <class Index, bool HeadsFirst>
struct paged_kind {
  std::vector<Index> table;
  int page_size = 0;  ///< 0: any

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    if (page_size == 0) page_size = random.between(1, 9);
    int const pages = wkv::page_count(s.slots, page_size);
    int const pool = pages + random.below(4);
    table = random_pages<Index>(random, pages, pool);
    std::int64_t const u = s.units;
    std::int64_t const page_stride = page_size * s.heads * u + 2;
    std::int64_t const slot_stride = HeadsFirst ? u : s.heads * u;
    std::int64_t const head_stride = HeadsFirst ? page_size * u : u;
    std::size_t const id = model.add_arena(random, in_bytes(pool * page_stride, sizeof(T)));
    model.parts.push_back({id, s.heads, s.units, sizeof(T), 1,
                           [=, size = page_size, pages_of = table](int slot, int head, int unit) {
                             auto const page =
                                 static_cast<std::int64_t>(pages_of[static_cast<std::size_t>(slot / size)]);
                             return arena::margin + in_bytes(page * page_stride + slot % size * slot_stride +
                                                                 head * head_stride + unit,
                                                             sizeof(T));
                           }});
    wkv::paged_layout<wkv::dense_layout, Index> const layout{
        table.data(), pages, page_size, page_stride, pool, {slot_stride, head_stride, 1}};
    return wkv::make_plane(model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim, layout,
                           wkv::element_accessor<T>{});
  }
};

/// Rows of a pool, listed one by one.
struct listed_kind {
  std::vector<std::int32_t> list;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    int const pool = s.slots + random.below(20);
    list = random_pages<std::int32_t>(random, s.slots, pool);
    std::int64_t const row = std::int64_t{s.heads} * s.units;
    std::size_t const id = model.add_arena(random, in_bytes(pool * row, sizeof(T)));
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=, rows = list](int slot, int head, int unit) {
           return arena::margin +
                  in_bytes(rows[static_cast<std::size_t>(slot)] * row + head * s.units + unit, sizeof(T));
         }});
    return wkv::listed_slots(model.arenas[id].template at<T>(0), pool, s.heads, s.head_dim, list.data(),
                             s.slots);
  }
};

/// Pages of packed units [page][head][unit / x][slot][x], as vLLM keeps keys.
struct packed_kind {
  std::vector<std::int64_t> table;
  int page_size = 0;  ///< 0: any

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    std::int64_t const x = s.units % 4 == 0 ? 4 : s.units % 2 == 0 ? 2 : 1;
    if (page_size == 0) page_size = random.between(2, 8);
    int const pages = wkv::page_count(s.slots, page_size);
    int const pool = pages + 1;
    table = random_pages<std::int64_t>(random, pages, pool);
    std::int64_t const page_elements = std::int64_t{page_size} * s.heads * s.units;
    std::size_t const id = model.add_arena(random, in_bytes(pool * page_elements, sizeof(T)));
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1,
         [=, size = page_size, pages_of = table](int slot, int head, int unit) {
           std::int64_t const page = pages_of[static_cast<std::size_t>(slot / size)];
           std::int64_t const pack = head * (s.units / x) + unit / x;
           return arena::margin +
                  in_bytes(page * page_elements + (pack * size + slot % size) * x + unit % x, sizeof(T));
         }});
    wkv::paged_layout<wkv::packed_layout, std::int64_t> const layout{
        table.data(), pages,
        page_size,    page_elements,
        pool,         {x, std::int64_t{page_size} * s.units, page_size * x, static_cast<std::int32_t>(x)}};
    return wkv::make_plane(model.arenas[id].template at<T>(0), s.slots, s.heads, s.head_dim, layout,
                           wkv::element_accessor<T>{});
  }
};

/// Pages found by their addresses, this plane behind some other bytes of each.
struct pointer_kind {
  std::vector<void*> table;

  template <class T>
  auto make(cache_model& model, random_source& random, part_shape const& s) {
    int const page_size = random.between(1, 6);
    int const pages = wkv::page_count(s.slots, page_size);
    std::vector<int> const places = random_pages<int>(random, pages, pages + 2);
    std::int64_t const first_byte = 32;
    std::size_t const page_bytes =
        static_cast<std::size_t>(first_byte) +
        in_bytes(std::int64_t{page_size} * s.heads * s.units, sizeof(T)) / 16 * 16 + 16;
    std::size_t const id = model.add_arena(random, page_bytes * static_cast<std::size_t>(pages + 2));
    for (int place : places) {
      table.push_back(model.arenas[id].template at<void>(page_bytes * static_cast<std::size_t>(place)));
    }
    model.parts.push_back(
        {id, s.heads, s.units, sizeof(T), 1, [=](int slot, int head, int unit) {
           auto const place = places[static_cast<std::size_t>(slot / page_size)];
           return arena::margin + page_bytes * static_cast<std::size_t>(place) + 32 +
                  in_bytes((slot % page_size * s.heads + head) * std::int64_t{s.units} + unit, sizeof(T));
         }});
    wkv::pointer_table_layout<> const layout{
        table.data(), pages, page_size, first_byte, {std::int64_t{s.heads} * s.units, s.units, 1}};
    return wkv::make_plane(static_cast<T*>(nullptr), s.slots, s.heads, s.head_dim, layout,
                           wkv::element_accessor<T>{});
  }
};

// --- Elements: what a plane holds, and what moves along with it.

template <class T>
struct plain_element {
  using type = T;
  static constexpr int granularity = 1;
  template <class Kind>
  auto make(Kind& kind, cache_model& model, random_source& random, part_shape const& s) {
    return kind.template make<T>(model, random, s);
  }
};

struct scaled_fp8 {
  using type = wkv::float8_e4m3;
  static constexpr int granularity = 1;
  template <class Kind>
  auto make(Kind& kind, cache_model& model, random_source& random, part_shape const& s) {
    return wkv::with_scale(kind.template make<type>(model, random, s), 0.5f);
  }
};

/// int8 or int4 with fp32 scales per token and head (or one for all heads), which are paged themselves.
template <class T, bool PerHead>
struct token_scaled {
  using type = T;
  static constexpr int granularity = 1;
  paged_kind<std::int32_t, true> scales;
  template <class Kind>
  auto make(Kind& kind, cache_model& model, random_source& random, part_shape const& s) {
    auto const numbers = kind.template make<T>(model, random, s);
    auto const side = scales.template make<float>(model, random, {s.slots, PerHead ? s.heads : 1, 1, 1});
    return wkv::with_scales(numbers, side);
  }
};

/// int8 with a scale per channel for every `Tokens` tokens.
template <int Tokens>
struct channel_scaled {
  using type = std::int8_t;
  static constexpr int granularity = Tokens;
  dense_kind<order::slot_head_dim> scales;
  template <class Kind>
  auto make(Kind& kind, cache_model& model, random_source& random, part_shape const& s) {
    auto const numbers = kind.template make<type>(model, random, s);
    auto const side = scales.template make<float>(
        model, random, {wkv::page_count(s.slots, Tokens), s.heads, s.head_dim, s.head_dim});
    model.parts.back().tokens_per_row = Tokens;
    return wkv::with_channel_scales(numbers, side, Tokens);
  }
};

}  // namespace wkv_test
