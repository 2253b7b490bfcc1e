// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/float8.hpp"
#include "windowkv/core/quantised.hpp"
#include "windowkv/interop/flashinfer.hpp"
#include "windowkv/interop/llama_cpp.hpp"
#include "windowkv/interop/sglang.hpp"
#include "windowkv/interop/tensorrt_llm.hpp"
#include "windowkv/interop/vllm.hpp"

namespace {

namespace flashinfer = wkv::interop::flashinfer;
namespace llama_cpp = wkv::interop::llama_cpp;
namespace sglang = wkv::interop::sglang;
namespace tensorrt_llm = wkv::interop::tensorrt_llm;
namespace vllm = wkv::interop::vllm;
using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::interop::axis_order;
using ints = std::vector<std::int32_t>;

/// Offset of an element of a compact tensor, slowest axis first.
std::size_t offset(std::initializer_list<int> shape, std::initializer_list<int> index) {
  std::size_t at = 0;
  auto i = index.begin();
  for (int extent : shape) {
    if (*i < 0 || *i >= extent) FAIL("index " << *i << " of an axis of " << extent);
    at = at * static_cast<std::size_t>(extent) + static_cast<std::size_t>(*i++);
  }
  if (i != index.end()) FAIL("more indices than axes");
  return at;
}

/// Elements of a tensor.
constexpr std::size_t volume(std::initializer_list<int> shape) {
  std::size_t all = 1;
  for (int extent : shape) all *= static_cast<std::size_t>(extent);
  return all;
}

/// Where one role of a sequence is in its engine's memory: the byte at which (token, head, element) begins.
struct role {
  int heads = 0;
  int elements = 0;  ///< of a head
  std::size_t bytes = 0;
  std::function<std::size_t(int, int, int)> at;
};

/// An engine's memory, of random bytes.
std::vector<unsigned char> memory_of(std::size_t bytes, unsigned seed = 1) {
  random_source random(seed);
  std::vector<unsigned char> all(bytes);
  for (unsigned char& b : all) b = static_cast<unsigned char>(random.below(256));
  return all;
}

template <class T>
T* as(std::vector<unsigned char>& memory) {
  return reinterpret_cast<T*>(memory.data());
}

/// Different blocks of a pool, in no order.
ints shuffled_blocks(random_source& random, int blocks, int count, int first = 0) {
  ints all;
  for (int i = first; i < blocks; ++i) all.push_back(i);
  for (std::size_t i = all.size(); i > 1; --i) {
    std::swap(all[i - 1], all[static_cast<std::size_t>(random.below(static_cast<int>(i)))]);
  }
  all.resize(static_cast<std::size_t>(count));
  return all;
}
int nth(ints const& list, int i) { return list[static_cast<std::size_t>(i)]; }

/// How many elements the plane finds elsewhere than the engine.
template <class Plane>
int misplaced(Plane const& plane, std::vector<unsigned char> const& memory, role const& engine) {
  CHECK(plane.heads == engine.heads);
  CHECK(plane.units() == engine.elements);
  CHECK(sizeof(typename Plane::element_type) == engine.bytes);
  int wrong = 0;
  for (int s = 0; s < plane.slots; ++s) {
    for (int h = 0; h < engine.heads; ++h) {
      for (int e = 0; e < engine.elements; ++e) {
        auto const* const found = reinterpret_cast<unsigned char const*>(plane.address(s, h, e));
        wrong += found != memory.data() + engine.at(s, h, e) ? 1 : 0;
      }
    }
  }
  return wrong;
}

/// Row i becomes what row kept[i] was, by way of a copy of the sequence.
void move_rows(std::vector<unsigned char>& memory, role const& engine, int tokens, ints const& kept) {
  using element = std::vector<unsigned char>;
  std::vector<std::vector<std::vector<element>>> rows(static_cast<std::size_t>(tokens));
  for (int t = 0; t < tokens; ++t) {
    for (int h = 0; h < engine.heads; ++h) {
      rows[static_cast<std::size_t>(t)].emplace_back();
      for (int e = 0; e < engine.elements; ++e) {
        auto const first = memory.begin() + static_cast<std::ptrdiff_t>(engine.at(t, h, e));
        rows[static_cast<std::size_t>(t)].back().emplace_back(
            first, first + static_cast<std::ptrdiff_t>(engine.bytes));
      }
    }
  }
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (int h = 0; h < engine.heads; ++h) {
      for (int e = 0; e < engine.elements; ++e) {
        element const& from =
            rows[static_cast<std::size_t>(kept[i])][static_cast<std::size_t>(h)][static_cast<std::size_t>(e)];
        std::memcpy(memory.data() + engine.at(static_cast<int>(i), h, e), from.data(), engine.bytes);
      }
    }
  }
}

ints random_kept(random_source& random, int tokens) {
  ints kept;
  for (int i = 0; i < tokens; ++i) {
    if (random.below(2) == 0) kept.push_back(i);
  }
  return kept;
}

/// Compacts in place through the view: the memory, all of it, must become what moving these roles makes of
/// it.
template <class View>
void check_compaction(View const& view, std::vector<unsigned char>& memory, std::vector<role> const& roles,
                      unsigned seed) {
  random_source random(seed);
  for (int i = 0; i < 3; ++i) {
    ints const kept = random_kept(random, view.keys.slots);
    std::vector<unsigned char> expected = memory;
    for (role const& each : roles) move_rows(expected, each, view.keys.slots, kept);
    wkv::status const done =
        wkv::compact_in_place(serial, {kept.data(), static_cast<int>(kept.size())}, view);
    CHECK(message(done) == "ok");
    CHECK((memory == expected));  // too long to be printed
  }
}

/// Keys and values where the engine has them, and compacted.
template <class View>
void check_view(wkv::result<View> const& view, std::vector<unsigned char>& memory, role const& keys,
                role const& values, unsigned seed = 1) {
  REQUIRE(message(view) == "ok");
  CHECK(misplaced(view->keys, memory, keys) == 0);
  CHECK(misplaced(view->values, memory, values) == 0);
  check_compaction(*view, memory, {keys, values}, seed);
}
template <class View>
void check_latents(wkv::result<View> const& view, std::vector<unsigned char>& memory, role const& latents) {
  REQUIRE(message(view) == "ok");
  CHECK(misplaced(view->keys, memory, latents) == 0);
  check_compaction(*view, memory, {latents}, 1);
}

// --- vLLM

/// A pool of 7 blocks of 4 tokens with 3 heads; the sequence has 4 blocks and 14 tokens.
struct vllm_sequence {
  static constexpr int blocks = 7;
  static constexpr int size = 4;
  static constexpr int heads = 3;
  static constexpr int tokens = 14;
  random_source random{5};
  ints table = shuffled_blocks(random, blocks, 4);

  vllm::cache_shape shape(int head_size) const { return {blocks, size, heads, head_size}; }
  vllm::block_table_row row() const { return {table.data(), static_cast<int>(table.size())}; }
  int block(int token) const { return nth(table, token / size); }
};

template <class T>
void check_packed_keys() {
  static constexpr int x = 16 / static_cast<int>(sizeof(T));
  static constexpr int d = 2 * x;
  vllm_sequence s;
  static constexpr std::size_t half = volume({s.blocks, s.heads, d, s.size}) * sizeof(T);
  std::vector<unsigned char> memory = memory_of(2 * half);
  role const keys{s.heads, d, sizeof(T), [&](int t, int h, int e) {
                    return sizeof(T) * offset({s.blocks, s.heads, d / x, s.size, x},
                                              {s.block(t), h, e / x, t % s.size, e % x});
                  }};
  role const values{
      s.heads, d, sizeof(T), [&](int t, int h, int e) {
        return half + sizeof(T) * offset({s.blocks, s.heads, d, s.size}, {s.block(t), h, e, t % s.size});
      }};
  T* const cache = as<T>(memory);
  check_view(vllm::paged_attention_cache(cache, cache + half / sizeof(T), s.shape(d), s.row(), s.tokens),
             memory, keys, values);
}

/// Element of vLLM's cache tensor of these extents, in either memory order.
std::size_t in_flash(vllm::kv_halves halves, axis_order axes, int head_size, int head_size_v, int half,
                     int block, int token, int head, int dim) {
  constexpr int n = vllm_sequence::blocks;
  constexpr int bs = vllm_sequence::size;
  constexpr int h = vllm_sequence::heads;
  int const d = head_size;
  bool const nhd = axes == axis_order::nhd;
  if (halves == vllm::kv_halves::apart) {
    return nhd ? offset({2, n, bs, h, d}, {half, block, token, head, dim})
               : offset({2, n, h, bs, d}, {half, block, head, token, dim});
  }
  if (halves == vllm::kv_halves::in_block) {
    return nhd ? offset({n, 2, bs, h, d}, {block, half, token, head, dim})
               : offset({n, 2, h, bs, d}, {block, half, head, token, dim});
  }
  int const content = d + head_size_v;
  int const in_content = half == 0 ? dim : d + dim;
  return nhd ? offset({n, bs, h, content}, {block, token, head, in_content})
             : offset({n, h, bs, content}, {block, head, token, in_content});
}

template <class T>
void check_flash(vllm::kv_halves halves, axis_order axes, int head_size, int head_size_v) {
  CAPTURE(static_cast<int>(halves), static_cast<int>(axes), head_size_v);
  vllm_sequence s;
  std::vector<unsigned char> memory =
      memory_of(volume({s.blocks, s.size, s.heads, head_size + head_size_v}) * sizeof(T));
  auto const half = [&](int which, int dims) {
    return role{s.heads, dims, sizeof(T), [=, &s](int t, int h, int e) {
                  return sizeof(T) *
                         in_flash(halves, axes, head_size, head_size_v, which, s.block(t), t % s.size, h, e);
                }};
  };
  vllm::cache_order order{halves, axes};
  if (head_size_v != head_size) order.head_size_v = head_size_v;
  check_view(vllm::flash_cache(as<T>(memory), s.shape(head_size), order, s.row(), s.tokens), memory,
             half(0, head_size), half(1, head_size_v));
}

constexpr vllm::kv_halves all_halves[] = {vllm::kv_halves::apart, vllm::kv_halves::in_block,
                                          vllm::kv_halves::in_head};
constexpr axis_order both_orders[] = {axis_order::nhd, axis_order::hnd};

/// int8 or fp8 heads of 8 bytes, the fp32 scale behind each.
template <class T>
void check_per_token_head(vllm::kv_halves halves, axis_order axes) {
  CAPTURE(static_cast<int>(halves), static_cast<int>(axes));
  vllm_sequence s;
  static constexpr int d = 8;
  static constexpr int stored = d + 4;
  std::vector<unsigned char> memory = memory_of(volume({2, s.blocks, s.size, s.heads, stored}));
  auto const at = [&, halves, axes](int half, int t, int h, int byte) {
    return in_flash(halves, axes, stored, stored, half, s.block(t), t % s.size, h, byte);
  };
  for (int half = 0; half < 2; ++half) {
    for (int t = 0; t < s.tokens; ++t) {
      for (int h = 0; h < s.heads; ++h) {
        float const scale = static_cast<float>(1 + 100 * half + 10 * t + h);
        std::memcpy(memory.data() + at(half, t, h, d), &scale, sizeof scale);
      }
    }
  }
  auto const bytes_of = [&](int half, int begin, int count, std::size_t bytes) {
    return role{s.heads, count, bytes, [=](int t, int h, int e) { return at(half, t, h, begin + e); }};
  };
  role const keys = bytes_of(0, 0, d, 1);
  role const values = bytes_of(1, 0, d, 1);
  role const key_scales = bytes_of(0, d, 1, 4);
  role const value_scales = bytes_of(1, d, 1, 4);
  auto const view = vllm::per_token_head_cache(as<T>(memory), s.shape(d), {halves, axes}, s.row(), s.tokens);
  REQUIRE(message(view) == "ok");
  CHECK(misplaced(view->keys, memory, keys) == 0);
  CHECK(misplaced(view->values, memory, values) == 0);
  CHECK(misplaced(view->keys.accessor.side, memory, key_scales) == 0);
  CHECK(misplaced(view->values.accessor.side, memory, value_scales) == 0);
  T element{};
  std::memcpy(&element, memory.data() + at(1, 9, 2, 5), 1);
  CHECK(view->values.load(9, 2, 5) == static_cast<float>(element) * (1 + 100 + 90 + 2));
  CHECK(view->keys.row_bytes() == s.heads * stored);
  check_compaction(*view, memory, {keys, values, key_scales, value_scales}, 1);
}

}  // namespace

TEST_CASE("vLLM: x-packed keys and token-fastest values", "[interop]") {
  check_packed_keys<float>();
  check_packed_keys<wkv::float16>();
  check_packed_keys<wkv::float8_e4m3>();
}

TEST_CASE("vLLM: one tensor, its halves apart, in the block and in the head, in both memory orders",
          "[interop]") {
  for (vllm::kv_halves halves : all_halves) {
    for (axis_order axes : both_orders) {
      check_flash<wkv::bfloat16>(halves, axes, 5, 5);
      check_flash<wkv::float8_e5m2>(halves, axes, 5, 5);
    }
  }
  for (axis_order axes : both_orders) check_flash<float>(vllm::kv_halves::in_head, axes, 5, 3);
}

TEST_CASE("vLLM: blocks that hold several layers", "[interop]") {
  vllm_sequence s;
  static constexpr int d = 5;
  static constexpr int layers = 3;
  std::vector<unsigned char> memory = memory_of(4 * volume({s.blocks, layers, 2, s.size, s.heads, d}));
  for (int layer = 0; layer < layers; ++layer) {
    auto const nhd = [&](int half) {
      return role{s.heads, d, 4, [&s, layer, half](int t, int h, int e) {
                    return 4 * offset({s.blocks, layers, 2, s.size, s.heads, d},
                                      {s.block(t), layer, half, t % s.size, h, e});
                  }};
    };
    constexpr std::int64_t of_layer = volume({2, s.size, s.heads, d});
    check_view(vllm::flash_cache(as<float>(memory) + layer * of_layer, s.shape(d),
                                 {vllm::kv_halves::in_block, axis_order::nhd, 0, layers * of_layer}, s.row(),
                                 s.tokens),
               memory, nhd(0), nhd(1));
    auto const hnd = [&](int half) {
      return role{s.heads, d, 4, [&s, layer, half](int t, int h, int e) {
                    return 4 * offset({s.blocks, s.heads, layers, 2, s.size, d},
                                      {s.block(t), h, layer, half, t % s.size, e});
                  }};
    };
    float* const keys = as<float>(memory) + volume({layer, 2, s.size, d});
    constexpr std::int64_t of_head = volume({layers, 2, s.size, d});
    check_view(vllm::strided_cache(keys, keys + volume({s.size, d}), s.shape(d),
                                   {s.heads * of_head, d, of_head}, s.row(), s.tokens),
               memory, hnd(0), hnd(1));
  }
}

TEST_CASE("vLLM: scales per token and head, in the padded head", "[interop]") {
  for (vllm::kv_halves halves : all_halves) {
    for (axis_order axes : both_orders) {
      check_per_token_head<std::int8_t>(halves, axes);
      check_per_token_head<wkv::float8_e4m3>(halves, axes);
    }
  }
}

TEST_CASE("vLLM: scales per token and head, in tensors of their own", "[interop]") {
  vllm_sequence s;
  static constexpr int d = 6;
  static constexpr std::size_t data = volume({2, s.blocks, s.size, s.heads, d});
  static constexpr std::size_t scales = volume({s.blocks, s.size, s.heads});
  std::vector<unsigned char> memory = memory_of(data + 8 * scales);
  auto const half = [&](int which) {
    return role{s.heads, d, 1, [&s, which](int t, int h, int e) {
                  return offset({2, s.blocks, s.size, s.heads, d}, {which, s.block(t), t % s.size, h, e});
                }};
  };
  auto const scale = [&](int which) {
    return role{
        s.heads, 1, 4, [&s, which](int t, int h, int) {
          return data + 4 * offset({2, s.blocks, s.size, s.heads}, {which, s.block(t), t % s.size, h});
        }};
  };
  auto const plain = vllm::flash_cache(as<std::int8_t>(memory), s.shape(d), {}, s.row(), s.tokens);
  REQUIRE(message(plain) == "ok");
  float* const first = as<float>(memory) + data / 4;
  auto const view =
      vllm::with_token_scales(*plain, first, first + scales, s.shape(d), {scales / s.blocks, s.heads, 1});
  REQUIRE(message(view) == "ok");
  CHECK(misplaced(view->keys.accessor.side, memory, scale(0)) == 0);
  CHECK(misplaced(view->values.accessor.side, memory, scale(1)) == 0);
  check_compaction(*view, memory, {half(0), half(1), scale(0), scale(1)}, 1);
}

TEST_CASE("vLLM: latents in one plane", "[interop]") {
  vllm_sequence s;
  static constexpr int d = 9;
  std::vector<unsigned char> memory = memory_of(2 * volume({s.blocks, s.size, d}));
  auto const at = [&](int d_of, std::size_t bytes) {
    return role{1, d_of, bytes, [&s, d_of, bytes](int t, int, int e) {
                  return bytes * offset({s.blocks, s.size, d_of}, {s.block(t), t % s.size, e});
                }};
  };
  check_latents(vllm::mla_cache(as<wkv::bfloat16>(memory), s.shape(d), s.row(), s.tokens), memory, at(d, 2));
  std::vector<unsigned char> packed = memory_of(volume({s.blocks, s.size, 656}));
  check_latents(vllm::mla_cache(as<vllm::fp8_ds_mla_token>(packed), s.shape(1), s.row(), s.tokens), packed,
                at(1, 656));
}

TEST_CASE("vLLM: fp8 with a scale per tensor", "[interop]") {
  vllm_sequence s;
  std::vector<unsigned char> memory(volume({2, s.blocks, s.size, s.heads, 2}), 0x38);  // 1 in E4M3
  auto view = vllm::flash_cache(as<wkv::float8_e4m3>(memory), s.shape(2), {}, s.row(), s.tokens);
  REQUIRE(message(view) == "ok");
  view->shared_slots = 3;
  auto const scaled = wkv::interop::scaled(*view, 0.5f, 4.f);
  CHECK(scaled.keys.load(13, 2, 1) == 0.5f);
  CHECK(scaled.values.load(13, 2, 1) == 4.f);
  CHECK(scaled.shared_slots == 3);
}

TEST_CASE("vLLM: what cannot be meant is refused", "[interop]") {
  vllm_sequence s;
  std::vector<unsigned char> memory = memory_of(2 * volume({2, s.blocks, s.size, s.heads, 16}));
  auto* const cache = as<wkv::float16>(memory);
  auto const problem = [&](vllm::cache_shape const& shape, vllm::block_table_row const& row,
                           vllm::cache_order const& order = {}) {
    return message(vllm::flash_cache(cache, shape, order, row, s.tokens));
  };
  vllm::cache_shape const good = s.shape(16);
  CHECK(problem(good, s.row()) == "ok");
  CHECK(problem({0, 4, 3, 16}, s.row()) == "num_blocks: got 0, must be at least 1");
  CHECK(problem({7, 0, 3, 16}, s.row()) == "block_size: got 0, must be at least 1");
  CHECK(problem({7, 4, 0, 16}, s.row()) == "num_kv_heads: got 0, must be at least 1");
  CHECK(problem({7, 4, 3, -1}, s.row()) == "head_size: got -1, must be at least 1");
  CHECK(
      problem({INT64_MAX / 64, 4, 3, 16}, s.row()).find("num_blocks: got 144115188075855871, overflows an") ==
      0);
  CHECK(problem({7, INT32_MAX, INT32_MAX, INT32_MAX}, s.row())
            .find("num_kv_heads: got 2147483647, overflows") == 0);
  CHECK(problem(good, {nullptr, 4}) == "layout.pages: must not be null");
  CHECK(problem(good, {s.table.data(), 3}) ==
        "layout.entries (pages of the plane's slots): got 3, must be at least 4");
  ints table = s.table;
  table[2] = 7;
  CHECK(problem(good, {table.data(), 4}) == "page table: page: got 7, must be at most 6");
  table[2] = -1;
  CHECK(problem(good, {table.data(), 4}) == "page table: page: got -1, must be at least 0");
  table[2] = table[0];
  CHECK(problem(good, {table.data(), 4}) ==
        "page table (a page is listed twice): page: got " + std::to_string(table[0]) + ", again in entry 2");
  using vllm::kv_halves;
  CHECK(problem(good, s.row(), {kv_halves::in_block, axis_order::nhd, 0, 383}) ==
        "block_stride: got 383, must be at least 384");
  CHECK(problem(good, s.row(), {kv_halves::apart, axis_order::nhd, 8}) ==
        "head_size_v (of kv_halves::in_head): got 8, must equal 16");
  CHECK(message(vllm::flash_cache(static_cast<float*>(nullptr), good, {}, s.row(), s.tokens)) ==
        "cache: must not be null");
  CHECK(message(vllm::flash_cache(cache, good, {}, s.row(), 0)) == "keys.slots: got 0, must be at least 1");
  CHECK(message(vllm::paged_attention_cache(cache, cache, s.shape(12), s.row(), s.tokens)) ==
        "head_size: got 12, must be a multiple of x (16 bytes), 8");
  CHECK(message(vllm::paged_attention_cache(cache, cache, good, s.row(), s.tokens)) ==
        "keys and values: got 0, bytes apart, they share memory; elements of 2");
  CHECK(message(vllm::strided_cache(cache, cache + 16, good, {192, 16, 48}, s.row(), s.tokens)) ==
        "layout (elements overlap): stride: got 48, must be at least 64");
  auto* const bytes = as<std::int8_t>(memory);
  CHECK(message(vllm::per_token_head_cache(bytes, s.shape(6), {}, s.row(), s.tokens)) ==
        "head_size (the scale behind it is aligned): got 6, must be a multiple of 4");
  CHECK(message(vllm::per_token_head_cache(bytes + 2, s.shape(8), {}, s.row(), s.tokens)) ==
        "scales.data: got 2, bytes off an alignment of 4");
  CHECK(message(vllm::per_token_head_cache(bytes, s.shape(8), {kv_halves::in_head, axis_order::nhd, 0, 290},
                                           s.row(), s.tokens)) ==
        "block_stride: got 290, must be a multiple of 4");
}

TEST_CASE("a table in device memory is not looked at", "[interop]") {
  vllm_sequence s;
  wkv::float16 cache[4] = {};
  ints const wild{-5, 99, 0, 0};
  auto const view =
      vllm::flash_cache<wkv::memory_space::device>(cache, s.shape(16), {}, {wild.data(), 4}, s.tokens);
  CHECK(message(view) == "ok");
  STATIC_REQUIRE(decltype(view->keys)::space == wkv::memory_space::device);
  STATIC_REQUIRE(decltype(view->values)::space == wkv::memory_space::device);
  CHECK(message(
            sglang::token_cache<wkv::memory_space::device>(cache, cache + 2, {8, 1, 1, 1}, wild.data(), 4)) ==
        "keys and values: got 4, bytes apart, they share memory; elements of 2");
  CHECK(message(sglang::mla_cache<wkv::memory_space::device>(cache, {8, 1, 1, 1}, wild.data(), 4)) == "ok");
  CHECK(message(tensorrt_llm::mla_cache<wkv::memory_space::device>(
            tensorrt_llm::block_pool<wkv::float16>{cache, 9}, {1, 4, 4}, {wild.data(), 1, 2}, 0, 8)) == "ok");
}

// --- FlashInfer

namespace {

/// A batch of three sequences in a pool of 11 pages of 4 tokens: 14, 1 and 8 tokens.
template <class IdType>
struct flashinfer_batch {
  static constexpr int pages = 11;
  static constexpr int size = 4;
  static constexpr int heads = 2;
  static constexpr int dims = 3;
  std::vector<IdType> indptr{0, 4, 5, 7};
  std::vector<IdType> indices;
  std::vector<IdType> last{2, 1, 4};

  flashinfer_batch() {
    random_source random(9);
    for (std::int32_t page : shuffled_blocks(random, pages, 7)) indices.push_back(page);
  }
  flashinfer::pool_shape shape() const { return {pages, size, heads, dims}; }
  flashinfer::page_table<IdType> table() const { return {indptr.data(), indices.data(), last.data(), 3}; }
  int page(int sequence, int token) const {
    auto const first = static_cast<std::size_t>(indptr[static_cast<std::size_t>(sequence)]);
    return static_cast<int>(indices[first + static_cast<std::size_t>(token / size)]);
  }
};
constexpr int flashinfer_tokens[] = {14, 1, 8};

template <class IdType>
void check_flashinfer() {
  flashinfer_batch<IdType> const b;
  static constexpr std::size_t n = volume({b.pages, b.size, b.heads, b.dims});
  for (int i = 0; i < 3; ++i) {
    auto const pages = flashinfer::pages_of(b.table(), b.size, i);
    REQUIRE(message(pages) == "ok");
    CHECK(pages->tokens == flashinfer_tokens[i]);
    CHECK(pages->pages == b.indices.data() + b.indptr[static_cast<std::size_t>(i)]);
    for (axis_order order : both_orders) {
      std::vector<unsigned char> memory = memory_of(2 * n * 2);
      auto const half = [&, order, i](std::size_t first) {
        return role{b.heads, b.dims, 2, [&b, order, i, first](int t, int h, int e) {
                      int const p = b.page(i, t);
                      return first +
                             2 * (order == axis_order::nhd
                                      ? offset({b.pages, b.size, b.heads, b.dims}, {p, t % b.size, h, e})
                                      : offset({b.pages, b.heads, b.size, b.dims}, {p, h, t % b.size, e}));
                    }};
      };
      auto* const data = as<wkv::float16>(memory);
      auto const view = flashinfer::paged_cache(data, data + n, b.shape(), order, b.table(), i);
      REQUIRE(message(view) == "ok");
      CHECK(view->keys.slots == flashinfer_tokens[i]);
      check_view(view, memory, half(0), half(2 * n), static_cast<unsigned>(i));
    }
    // Keys with tokens before heads, values with heads before tokens and padding. In one tensor nobody could
    // tell such planes apart; in two they are fine.
    std::vector<unsigned char> memory = memory_of(4 * volume({b.pages, b.size, b.heads, b.dims + 5}));
    static constexpr std::size_t of_keys = volume({b.size, b.heads, b.dims});
    static constexpr std::size_t of_page = of_keys + volume({b.size, b.heads, 5});
    static constexpr std::int64_t of_token = volume({b.heads, b.dims});
    static constexpr std::int64_t of_head = volume({b.size, 5});
    flashinfer::page_strides const k_strides{of_page, of_token, b.dims};
    flashinfer::page_strides const v_strides{of_page, 5, of_head};
    role const keys{b.heads, b.dims, 4, [&](int t, int h, int e) {
                      return 4 * (static_cast<std::size_t>(b.page(i, t)) * of_page +
                                  offset({b.size, b.heads, b.dims}, {t % b.size, h, e}));
                    }};
    role const values{b.heads, b.dims, 4, [&](int t, int h, int e) {
                        return 4 * (static_cast<std::size_t>(b.page(i, t)) * of_page + of_keys +
                                    offset({b.heads, b.size, 5}, {h, t % b.size, e}));
                      }};
    float* const data = as<float>(memory);
    auto const view =
        flashinfer::paged_cache(data, data + of_keys, b.shape(), k_strides, v_strides, b.table(), i);
    REQUIRE(message(view) == "keys and values: interleaved in memory with different strides, or overlapping");
    std::vector<unsigned char> apart = memory_of(2 * memory.size());
    std::size_t const second = memory.size();
    role const far_values{b.heads, b.dims, 4,
                          [&](int t, int h, int e) { return second + values.at(t, h, e); }};
    float* const far = as<float>(apart);
    check_view(flashinfer::paged_cache(far, far + second / 4 + of_keys, b.shape(), k_strides, v_strides,
                                       b.table(), i),
               apart, keys, far_values);
  }
}

}  // namespace

TEST_CASE("FlashInfer: every sequence of a batch, in both orders and with strides of their own",
          "[interop]") {
  check_flashinfer<std::int32_t>();
  check_flashinfer<std::int64_t>();
}

TEST_CASE("FlashInfer: one tensor of keys and values", "[interop]") {
  flashinfer_batch<std::int32_t> const b;
  for (int i = 0; i < 3; ++i) {
    std::vector<unsigned char> memory = memory_of(4 * volume({b.pages, 2, b.size, b.heads, b.dims}));
    auto const half = [&, i](int which) {
      return role{
          b.heads, b.dims, 4, [&b, i, which](int t, int h, int e) {
            return 4 * offset({b.pages, 2, b.heads, b.size, b.dims}, {b.page(i, t), which, h, t % b.size, e});
          }};
    };
    static constexpr std::int64_t page = volume({b.size, b.heads, b.dims});
    flashinfer::page_strides const strides{2 * page, b.dims, page / b.heads};
    float* const data = as<float>(memory);
    check_view(flashinfer::paged_cache(data, data + page, b.shape(), strides, strides, b.table(), i), memory,
               half(0), half(1));
  }
}

TEST_CASE("FlashInfer: latents and their rotated part, apart and in one tensor", "[interop]") {
  flashinfer_batch<std::int32_t> const b;
  static constexpr int ckv = 6;
  static constexpr int kpe = 2;
  flashinfer::mla_pool_shape const shape{b.pages, b.size, ckv, kpe};
  std::vector<unsigned char> memory = memory_of(2 * volume({b.pages, b.size, ckv + kpe}));
  auto* const data = as<wkv::bfloat16>(memory);
  static constexpr std::size_t behind = 2 * volume({b.pages, b.size, ckv});
  auto const apart = [&](int dims, std::size_t first) {
    return role{1, dims, 2, [&b, dims, first](int t, int, int e) {
                  return first + 2 * offset({b.pages, b.size, dims}, {b.page(0, t), t % b.size, e});
                }};
  };
  check_view(flashinfer::mla_cache(data, data + behind / 2, shape, b.table(), 0), memory, apart(ckv, 0),
             apart(kpe, behind));
  auto const joined = [&](int dims, int first) {
    return role{1, dims, 2, [&b, first](int t, int, int e) {
                  return 2 * offset({b.pages, b.size, ckv + kpe}, {b.page(0, t), t % b.size, first + e});
                }};
  };
  static constexpr int row = ckv + kpe;
  flashinfer::mla_strides const strides{std::int64_t{b.size} * row, row};
  check_view(flashinfer::mla_cache(data, data + ckv, shape, strides, strides, b.table(), 0), memory,
             joined(ckv, 0), joined(kpe, ckv));
}

TEST_CASE("FlashInfer: keys that are rotated while attending do not move", "[interop]") {
  flashinfer_batch<std::int32_t> const b;
  std::vector<float> memory(volume({2, b.pages, b.size, b.heads, b.dims}));
  auto const view = flashinfer::paged_cache(memory.data(), memory.data() + memory.size() / 2, b.shape(),
                                            axis_order::nhd, b.table(), 0, wkv::key_rotation::at_attention);
  REQUIRE(message(view) == "ok");
  std::int32_t const kept[] = {1, 3};
  wkv::status const refused = wkv::compact_in_place(serial, {kept, 2}, *view);
  CHECK(refused.code() == wkv::status_code::unsupported);
}

TEST_CASE("FlashInfer: last_page_len", "[interop]") {
  CHECK(flashinfer::last_page_len(0, 4) == 0);
  CHECK(flashinfer::last_page_len(1, 4) == 1);
  CHECK(flashinfer::last_page_len(4, 4) == 4);
  CHECK(flashinfer::last_page_len(5, 4) == 1);
  CHECK(flashinfer::last_page_len(7, 1) == 1);
}

TEST_CASE("FlashInfer: tables that cannot be meant are refused", "[interop]") {
  flashinfer_batch<std::int32_t> b;
  std::vector<float> memory(volume({2, b.pages, b.size, b.heads, b.dims}));
  auto const problem = [&](int i) {
    return message(flashinfer::paged_cache(memory.data(), memory.data() + memory.size() / 2, b.shape(),
                                           axis_order::hnd, b.table(), i));
  };
  CHECK(problem(2) == "ok");
  CHECK(problem(-1) == "batch_idx: got -1, must be at least 0");
  CHECK(problem(3) == "batch_idx: got 3, must be at most 2");
  b.indptr = {0, 4, 4, 7};
  CHECK(problem(1) == "indptr[batch_idx + 1] (pages of the sequence): got 4, must be at least 5");
  b.indptr = {-1, 4, 5, 7};
  CHECK(problem(0) == "indptr[batch_idx]: got -1, must be at least 0");
  b.indptr = {0, INT32_MAX, 5, 7};
  CHECK(problem(0) == "indptr[batch_idx + 1] (tokens fit an int): got 2147483647, must be at most 536870911");
  b.indptr = {0, 4, 5, 7};
  b.last = {0, 1, 5};
  CHECK(problem(0) == "last_page_len[batch_idx]: got 0, must be at least 1");
  CHECK(problem(2) == "last_page_len[batch_idx]: got 5, must be at most 4");
  b.last = {2, 1, 4};
  b.indices[4] = 11;
  CHECK(problem(1) == "page table: page: got 11, must be at most 10");
  CHECK(problem(0) == "ok");
  flashinfer::page_table<std::int32_t> const none{nullptr, b.indices.data(), b.last.data(), 3};
  CHECK(message(flashinfer::pages_of(none, 4, 0)) == "indptr: must not be null");
  CHECK(message(flashinfer::pages_of(b.table(), 0, 0)) == "page_size: got 0, must be at least 1");
}

// --- SGLang

TEST_CASE("SGLang: the listed slots of a token pool", "[interop]") {
  random_source random(3);
  for (int page_size : {1, 4}) {
    static constexpr int size = 24;
    static constexpr int heads = 3;
    static constexpr int d = 5;
    static constexpr int dv = 2;
    static constexpr int tokens = 13;
    int const slots = size + page_size;
    ints const row = shuffled_blocks(random, slots, tokens, page_size);
    std::size_t const buffer = 2 * volume({slots, heads, d});
    std::vector<unsigned char> memory = memory_of(buffer + 2 * volume({slots, heads, dv}));
    auto const at = [&, slots](int dims, std::size_t first) {
      return role{heads, dims, 2, [&row, slots, dims, first](int t, int h, int e) {
                    return first + 2 * offset({slots, heads, dims}, {nth(row, t), h, e});
                  }};
    };
    auto* const k = as<wkv::bfloat16>(memory);
    check_view(sglang::token_cache(k, k + buffer / 2, {size, page_size, heads, d, dv}, row.data(), tokens),
               memory, at(d, 0), at(dv, buffer));
    role const latent{1, d, 2, [&](int t, int, int e) {
                        return 2 * offset({slots, 1, d}, {nth(row, t), 0, e});
                      }};
    check_latents(sglang::mla_cache(k, {size, page_size, 77, d}, row.data(), tokens), memory, latent);
  }
}

TEST_CASE("SGLang: pages with heads before tokens", "[interop]") {
  random_source random(3);
  static constexpr int heads = 3;
  static constexpr int d = 5;
  static constexpr int pages = 7;  // six and the padding's
  ints const table = shuffled_blocks(random, pages, 4, 1);
  static constexpr std::size_t buffer = volume({pages, heads, 4, d});
  std::vector<unsigned char> memory = memory_of(2 * buffer);
  auto const at = [&](std::size_t first) {
    return role{heads, d, 1, [&table, first](int t, int h, int e) {
                  return first + offset({pages, heads, 4, d}, {nth(table, t / 4), h, t % 4, e});
                }};
  };
  auto* const k = as<wkv::float8_e5m2>(memory);
  check_view(sglang::hnd_cache(k, k + buffer, {24, 4, heads, d}, table.data(), 4, 15), memory, at(0),
             at(buffer));
}

TEST_CASE("SGLang: rows that cannot be meant are refused", "[interop]") {
  std::vector<float> memory(volume({2, 28, 3, 5}));
  ints row{4, 5, 27, 9};
  auto const problem = [&](sglang::pool_shape const& shape, int tokens = 4) {
    return message(
        sglang::token_cache(memory.data(), memory.data() + memory.size() / 2, shape, row.data(), tokens));
  };
  CHECK(problem({24, 4, 3, 5}) == "ok");
  CHECK(problem({24, 5, 3, 5}) == "req_to_token: slot: got 4, must be at least 5");
  CHECK(problem({24, 1, 3, 5}) == "page table: page: got 27, must be at most 24");
  CHECK(problem({0, 4, 3, 5}) == "size: got 0, must be at least 1");
  CHECK(problem({24, 0, 3, 5}) == "page_size: got 0, must be at least 1");
  CHECK(problem({24, 4, 0, 5}) == "head_num: got 0, must be at least 1");
  CHECK(problem({24, 4, 3, 0}) == "head_dim: got 0, must be at least 1");
  CHECK(problem({24, 4, 3, 5}, 0) == "keys.slots: got 0, must be at least 1");
  row[3] = 5;
  CHECK(problem({24, 4, 3, 5}) == "page table (a page is listed twice): page: got 5, again in entry 3");
  row[3] = 0;
  CHECK(problem({24, 4, 3, 5}) == "req_to_token: slot: got 0, must be at least 4");
  CHECK(message(sglang::mla_cache(memory.data(), {24, 4, 1, 5}, nullptr, 4)) ==
        "req_to_token: slot: must not be null");
  float* const half = memory.data() + memory.size() / 2;
  ints const pages{1, 6};
  CHECK(message(sglang::hnd_cache(memory.data(), half, {24, 4, 3, 5}, pages.data(), 2, 9)) ==
        "pages (of the tokens): got 2, must be at least 3");
  ints const padding{1, 0};
  CHECK(message(sglang::hnd_cache(memory.data(), half, {24, 4, 3, 5}, padding.data(), 2, 8)) ==
        "page_table: page: got 0, must be at least 1");
}

// --- TensorRT-LLM

namespace {

/// A pool [blocks][layers][2][heads][tokens_per_block][size] of float16 and the offsets of three sequences,
/// of which the last has 14 tokens.
struct tensorrt_pool {
  static constexpr int blocks = 9;
  static constexpr int layers = 3;
  static constexpr int heads = 2;
  static constexpr int per_block = 4;
  static constexpr int size = 5;
  static constexpr int most = 6;
  static constexpr int tokens = 14;
  static constexpr int block = heads * per_block * size;
  random_source random{4};
  ints ids = shuffled_blocks(random, blocks, 4);
  ints offsets = ints(volume({3, 2, most}), -1);  // null indices where there is no block

  tensorrt_pool() {
    for (int lane = 0; lane < 2; ++lane) {
      for (int i = 0; i < 4; ++i)
        offsets[offset({3, 2, most}, {2, lane, i})] = nth(ids, i) * layers * 2 + lane;
    }
  }
  tensorrt_llm::block_shape shape() const { return {heads, per_block, size}; }
  tensorrt_llm::block_offsets table() const { return {offsets.data(), 3, most}; }
  template <class T>
  tensorrt_llm::block_pool<T> layer(T* pool, int l) const {
    return {pool + volume({l, 2, block}), std::int64_t{blocks} * layers * 2 - std::int64_t{l} * 2};
  }
};

}  // namespace

TEST_CASE("TensorRT-LLM: both lanes of a pool's blocks, every layer", "[interop]") {
  tensorrt_pool p;
  std::vector<unsigned char> memory = memory_of(2 * volume({p.blocks, p.layers, 2, p.block}));
  for (int l = 0; l < p.layers; ++l) {
    auto const lane = [&, l](int which) {
      return role{p.heads, p.size, 2, [&p, l, which](int t, int h, int e) {
                    return 2 * offset({p.blocks, p.layers, 2, p.heads, p.per_block, p.size},
                                      {nth(p.ids, t / p.per_block), l, which, h, t % p.per_block, e});
                  }};
    };
    check_view(
        tensorrt_llm::paged_cache(p.layer(as<wkv::float16>(memory), l), p.shape(), p.table(), 2, p.tokens),
        memory, lane(0), lane(1));
  }
}

TEST_CASE("TensorRT-LLM: keys and values of pools and types of their own", "[interop]") {
  tensorrt_pool p;
  static constexpr std::size_t half = volume({p.blocks, p.layers, 2, p.block});
  std::vector<unsigned char> memory = memory_of(3 * half);
  auto const lane = [&](int which, std::size_t bytes, std::size_t first) {
    return role{p.heads, p.size, bytes, [&p, which, bytes, first](int t, int h, int e) {
                  return first +
                         bytes * offset({p.blocks, p.layers, 2, p.heads, p.per_block, p.size},
                                        {nth(p.ids, t / p.per_block), 0, which, h, t % p.per_block, e});
                }};
  };
  check_view(tensorrt_llm::mixed_cache(p.layer(as<wkv::float8_e4m3>(memory), 0),
                                       p.layer(as<wkv::float16>(memory) + half / 2, 0), p.shape(), p.table(),
                                       2, p.tokens),
             memory, lane(0, 1, 0), lane(1, 2, half));
}

TEST_CASE("TensorRT-LLM: latents in one lane", "[interop]") {
  tensorrt_pool p;
  for (int i = 0; i < 4; ++i) {
    p.offsets[offset({3, 2, p.most}, {2, 0, i})] = nth(p.ids, i) * p.layers;
  }
  static constexpr int block = p.per_block * 7;
  std::vector<unsigned char> memory = memory_of(2 * volume({p.blocks, p.layers, block}));
  role const latents{1, 7, 2, [&](int t, int, int e) {
                       return 2 * offset({p.blocks, p.layers, p.per_block, 7},
                                         {nth(p.ids, t / p.per_block), 1, t % p.per_block, e});
                     }};
  tensorrt_llm::block_pool<wkv::float16> const layer{as<wkv::float16>(memory) + block,
                                                     p.blocks * p.layers - 1};
  check_latents(tensorrt_llm::mla_cache(layer, {1, p.per_block, 7}, p.table(), 2, p.tokens), memory, latents);
}

TEST_CASE("TensorRT-LLM: a linear cache", "[interop]") {
  static constexpr int sequences = 3;
  static constexpr int heads = 2;
  static constexpr int length = 11;
  static constexpr int size = 5;
  std::vector<unsigned char> memory = memory_of(4 * volume({sequences, 2, heads, length, size}));
  for (int i = 0; i < sequences; ++i) {
    auto const half = [&](int which) {
      return role{heads, size, 4, [i, which](int t, int h, int e) {
                    return 4 * offset({sequences, 2, heads, length, size}, {i, which, h, t, e});
                  }};
    };
    check_view(tensorrt_llm::linear_cache(as<float>(memory), {sequences, heads, length, size}, i), memory,
               half(0), half(1));
  }
  auto const problem = [&](tensorrt_llm::linear_shape const& shape, int i) {
    return message(tensorrt_llm::linear_cache(as<float>(memory), shape, i));
  };
  CHECK(problem({sequences, heads, length, size}, 3) == "sequence: got 3, must be at most 2");
  CHECK(problem({sequences, heads, length, size}, -1) == "sequence: got -1, must be at least 0");
  CHECK(problem({sequences, heads, 0, size}, 0) == "max_seq_len: got 0, must be at least 1");
  CHECK(problem({INT32_MAX, INT32_MAX, 1, size}, 0).find("sequences: got 4294967294, overflows") == 0);
}

TEST_CASE("TensorRT-LLM: offsets that cannot be used are refused", "[interop]") {
  tensorrt_pool p;
  std::vector<wkv::float16> memory(volume({p.blocks, p.layers, 2, p.block}));
  auto const view = [&](tensorrt_llm::block_shape const& shape, int sequence, int tokens) {
    return tensorrt_llm::paged_cache(p.layer(memory.data(), 0), shape, p.table(), sequence, tokens);
  };
  CHECK(message(view(p.shape(), 2, 16)) == "ok");
  wkv::status const null_block = view(p.shape(), 2, 17).error();
  CHECK(null_block.code() == wkv::status_code::unsupported);
  CHECK(message(null_block) ==
        "block_offsets (a block is in the secondary pool, or null): block: got 4, of the sequence's "
        "5");
  std::int32_t& v_block = p.offsets[offset({3, 2, p.most}, {2, 1, 1})];
  v_block = static_cast<std::int32_t>(static_cast<std::uint32_t>(v_block) | 0x80000000u);
  CHECK(message(view(p.shape(), 2, 8)) ==
        "block_offsets (a block is in the secondary pool, or null): block: got 1, of the sequence's "
        "2");
  CHECK(message(view(p.shape(), 2, 4)) == "ok");
  v_block = p.blocks * p.layers * 2;
  CHECK(message(view(p.shape(), 2, 8)) == "page table: page: got 54, must be at most 53");
  CHECK(message(view(p.shape(), 3, 8)) == "sequence: got 3, must be at most 2");
  CHECK(message(view(p.shape(), 2, 25)) ==
        "max_blocks_per_seq (blocks of the tokens): got 6, must be at least 7");
  CHECK(message(view({p.heads, 12, p.size}, 2, 8)) ==
        "tokens_per_block: got 12, must be a power of two, such as 8");
  CHECK(message(view({p.heads, 0, p.size}, 2, 8)) == "tokens_per_block: got 0, must be at least 1");
  CHECK(message(view({0, 4, p.size}, 2, 8)) == "num_kv_heads: got 0, must be at least 1");
}

// --- llama.cpp

namespace {

/// What a ggml_tensor has, as ggml.h declares it.
enum ggml_kind { f32 = 0, f16 = 1, q4_0 = 2, q8_0 = 8, bf16 = 30 };
struct cache_tensor {
  ggml_kind type;
  std::int64_t ne[4];
  std::size_t nb[4];
  void* data;
};

/// [n_stream][kv_size][width] numbers, `dims` of them in an element of `bytes` bytes.
cache_tensor three_axes(ggml_kind type, std::size_t bytes, int dims, int width, int kv_size, int n_stream,
                        std::vector<unsigned char>& memory) {
  std::size_t const row = bytes * static_cast<std::size_t>(width / dims);
  std::size_t const stream = row * static_cast<std::size_t>(kv_size);
  memory = memory_of(stream * static_cast<std::size_t>(n_stream));
  return {type, {width, kv_size, n_stream, 1}, {bytes, row, stream, memory.size()}, memory.data()};
}

constexpr int cells = 9;
constexpr int streams = 2;

template <class T>
void check_rows(ggml_kind type) {
  CAPTURE(static_cast<int>(type));
  static constexpr int dims = wkv::dense_plane<T>::dims_per_element;
  static constexpr int d = 2 * dims;
  std::vector<unsigned char> k_memory;
  std::vector<unsigned char> v_memory;
  cache_tensor const k = three_axes(type, sizeof(T), dims, 3 * d, cells, streams, k_memory);
  cache_tensor const v = three_axes(type, sizeof(T), dims, 3 * dims, cells, streams, v_memory);
  for (int s = 0; s < streams; ++s) {
    auto const rows_of = [s](int units) {
      return role{3, units, sizeof(T), [s, units](int t, int h, int e) {
                    return sizeof(T) * offset({streams, cells, 3, units}, {s, t, h, e});
                  }};
    };
    auto const keys = llama_cpp::rows<T>(k, 3, d, s);
    auto const values = llama_cpp::rows<T>(v, 3, dims, s);
    REQUIRE(message(keys) == "ok");
    REQUIRE(message(values) == "ok");
    CHECK(keys->slots == cells);
    CHECK(misplaced(*keys, k_memory, rows_of(2)) == 0);
    CHECK(misplaced(*values, v_memory, rows_of(1)) == 0);
    check_compaction(wkv::kv_view{*keys}, k_memory, {rows_of(2)}, 1);
    check_compaction(wkv::kv_view{*values}, v_memory, {rows_of(1)}, 2);
    wkv::kv_view const both{*keys, *values};
    CHECK(message(wkv::compact_in_place(serial, {}, both)) == "ok");
  }
}

template <class T>
void check_transposed(ggml_kind type, int padding) {
  std::vector<unsigned char> memory;
  static constexpr int d = 4;
  int const width = 3 * d + padding;
  cache_tensor const v = three_axes(type, sizeof(T), 1, width, cells, streams, memory);
  for (int s = 0; s < streams; ++s) {
    role const values{3, d, sizeof(T), [=](int t, int h, int e) {
                        return sizeof(T) * offset({streams, width, cells}, {s, h * d + e, t});
                      }};
    auto const plane = llama_cpp::transposed_values<T>(v, 3, d, s);
    REQUIRE(message(plane) == "ok");
    CHECK(plane->slots == cells);
    CHECK(misplaced(*plane, memory, values) == 0);
    check_compaction(wkv::kv_view{*plane}, memory, {values}, 1);
  }
}

}  // namespace

TEST_CASE("llama.cpp: rows of every type, in every stream", "[interop]") {
  check_rows<float>(f32);
  check_rows<wkv::float16>(f16);
  check_rows<wkv::bfloat16>(bf16);
  check_rows<wkv::q8_0_block>(q8_0);
  check_rows<wkv::q4_0_block>(q4_0);
}

TEST_CASE("llama.cpp: transposed values, also padded to the widest layer", "[interop]") {
  check_transposed<wkv::float16>(f16, 0);
  check_transposed<wkv::float16>(f16, 5);
  check_transposed<float>(f32, 3);
}

TEST_CASE("llama.cpp: a tensor of one axis", "[interop]") {
  static constexpr int d = 4;
  std::vector<unsigned char> memory = memory_of(2 * volume({cells, 3, d}));
  std::size_t const all = memory.size();
  cache_tensor const flat{f16, {std::int64_t{cells} * 3 * d, 1, 1, 1}, {2, all, all, all}, memory.data()};
  auto const rows = llama_cpp::rows<wkv::float16>(flat, 3, d);
  auto const columns = llama_cpp::transposed_values<wkv::float16>(flat, 3, d);
  REQUIRE(message(rows) == "ok");
  REQUIRE(message(columns) == "ok");
  CHECK(misplaced(*rows, memory, role{3, d, 2, [](int t, int h, int e) {
                                        return 2 * offset({cells, 3, d}, {t, h, e});
                                      }}) == 0);
  CHECK(misplaced(*columns, memory, role{3, d, 2, [](int t, int h, int e) {
                                           return 2 * offset({3, d, cells}, {h, e, t});
                                         }}) == 0);
  CHECK(rows->slots == cells);
  CHECK(columns->slots == cells);
}

TEST_CASE("llama.cpp: a sequence whose cells are not the first", "[interop]") {
  static constexpr int d = 4;
  std::vector<unsigned char> memory;
  cache_tensor const tensor = three_axes(f16, 2, 1, 3 * d, cells, 1, memory);
  ints const list{7, 2, 3, 8, 0};
  role const rows{3, d, 2, [&](int t, int h, int e) {
                    return 2 * offset({cells, 3, d}, {nth(list, t), h, e});
                  }};
  role const columns{3, d, 2, [&](int t, int h, int e) {
                       return 2 * offset({3, d, cells}, {h, e, nth(list, t)});
                     }};
  auto const all_rows = llama_cpp::rows<wkv::float16>(tensor, 3, d);
  auto const all_columns = llama_cpp::transposed_values<wkv::float16>(tensor, 3, d);
  REQUIRE(message(all_rows) == "ok");
  REQUIRE(message(all_columns) == "ok");
  auto const listed_rows = llama_cpp::listed_cells(*all_rows, list.data(), 5);
  auto const listed_columns = llama_cpp::listed_cells(*all_columns, list.data(), 5);
  REQUIRE(message(listed_rows) == "ok");
  REQUIRE(message(listed_columns) == "ok");
  CHECK(misplaced(*listed_rows, memory, rows) == 0);
  CHECK(misplaced(*listed_columns, memory, columns) == 0);
  check_compaction(wkv::kv_view{*listed_rows}, memory, {rows}, 1);
  check_compaction(wkv::kv_view{*listed_columns}, memory, {columns}, 1);
  ints const beyond{0, cells};
  CHECK(message(llama_cpp::listed_cells(*all_rows, beyond.data(), 2)) ==
        "page table: page: got 9, must be at most 8");
}

TEST_CASE("llama.cpp: rows of bytes, and a blob's at odd addresses", "[interop]") {
  static constexpr int row = 37;
  static constexpr std::size_t first_column = 3 + volume({cells, row});
  std::vector<unsigned char> memory = memory_of(3 + volume({cells, row}) + 2 * volume({cells, 5}));
  auto const at = [](std::size_t first) {
    return role{1, row, 1, [first](int t, int, int e) { return first + offset({cells, row}, {t, e}); }};
  };
  auto const anywhere = llama_cpp::rows_of_bytes(memory.data() + 1, row, cells);
  REQUIRE(message(anywhere) == "ok");
  check_latents(wkv::result<wkv::kv_view<wkv::dense_plane<wkv::opaque<1>>>>{wkv::kv_view{*anywhere}}, memory,
                at(1));
  auto const keys = llama_cpp::blob_rows(memory.data() + 3, row, cells);
  auto const values = llama_cpp::blob_columns<2>(memory.data() + first_column, 5, cells);
  REQUIRE(message(keys) == "ok");
  REQUIRE(message(values) == "ok");
  role const columns{1, 5, 2, [](int t, int, int e) {
                       return first_column + 2 * offset({5, cells}, {e, t});
                     }};
  CHECK(misplaced(*keys, memory, at(3)) == 0);
  CHECK(misplaced(*values, memory, columns) == 0);
  check_compaction(wkv::kv_view{*keys, *values}, memory, {at(3), columns}, 1);

  // Closing up the columns of a blob of three cells.
  std::vector<unsigned char> target(1 + volume({3, row}) + 2 * volume({3, 5}));
  ints const kept{1, 4, 8};
  auto const to_keys = llama_cpp::blob_rows(target.data() + 1, row, 3);
  auto const to_values = llama_cpp::blob_columns<2>(target.data() + 1 + volume({3, row}), 5, 3);
  REQUIRE(wkv::compact_copy(serial, {kept.data(), 3}, wkv::kv_view{*keys, *values},
                            wkv::kv_view{*to_keys, *to_values}));
  std::vector<unsigned char> expected(1);
  for (int t : kept) {
    for (int e = 0; e < row; ++e) expected.push_back(memory[at(3).at(t, 0, e)]);
  }
  for (int e = 0; e < 5; ++e) {
    for (int t : kept) {
      expected.push_back(memory[columns.at(t, 0, e)]);
      expected.push_back(memory[columns.at(t, 0, e) + 1]);
    }
  }
  CHECK(target == expected);
}

TEST_CASE("llama.cpp: quantised rows read as numbers", "[interop]") {
  std::vector<unsigned char> memory;
  cache_tensor const k = three_axes(q8_0, 34, 32, 64, cells, 1, memory);
  unsigned char* const block = memory.data() + 34 * offset({cells, 2}, {4, 1});
  block[0] = 0x00;
  block[1] = 0x40;  // 2 in binary16
  block[2 + 7] = static_cast<unsigned char>(-5);
  auto const keys = llama_cpp::rows<wkv::q8_0_block>(k, 2, 32);
  REQUIRE(message(keys) == "ok");
  CHECK(keys->load(4, 1, 7) == -10.f);
}

TEST_CASE("llama.cpp: tensors that cannot be meant are refused", "[interop]") {
  std::vector<unsigned char> memory;
  cache_tensor const good = three_axes(f16, 2, 1, 12, cells, streams, memory);
  auto const problem = [&](auto change) {
    cache_tensor tensor = good;
    change(tensor);
    return message(llama_cpp::rows<wkv::float16>(tensor, 3, 4, 1));
  };
  CHECK(problem([](auto&) {}) == "ok");
  CHECK(problem([](auto& t) { t.type = q8_0; }) ==
        "tensor.type: got 8, must be the ggml_type of the element, 1");
  CHECK(problem([](auto& t) { t.data = nullptr; }) == "tensor.data: must not be null");
  CHECK(problem([](auto& t) { t.ne[0] = 11; }) ==
        "tensor.ne[0] (of kv_heads * head_dim): got 11, must equal 12");
  CHECK(problem([](auto& t) { t.ne[1] = 0; }) == "tensor.ne: got 0, must be at least 1");
  CHECK(problem([](auto& t) { t.ne[1] = std::int64_t{1} << 31; }) ==
        "tensor.ne[1] (kv_size): got 2147483648, must be at most 2147483647");
  CHECK(problem([](auto& t) { t.ne[2] = 1; }) == "stream (of n_stream): got 1, must be at most 0");
  CHECK(problem([](auto& t) { t.ne[3] = 2; }) == "tensor.ne[3]: got 2, must equal 1");
  CHECK(problem([](auto& t) { t.nb[0] = 4; }) == "tensor.nb[0]: got 4, must equal 2");
  CHECK(problem([](auto& t) { t.nb[1] = 23; }) ==
        "tensor.nb[1]: got 23, must be a multiple of the element's 2");
  CHECK(problem([](auto& t) { t.nb[1] = 22; }) ==
        "layout (elements overlap): stride: got 11, must be at least 12");
  CHECK(message(llama_cpp::rows<wkv::float16>(good, 0, 4)) == "kv_heads: got 0, must be at least 1");
  CHECK(message(llama_cpp::rows<wkv::float16>(good, 3, 0)) == "head_dim: got 0, must be at least 1");
  CHECK(message(llama_cpp::transposed_values<wkv::float16>(good, 4, 4)) ==
        "tensor.ne[0] (of kv_heads * head_dim): got 12, must be at least 16");
  cache_tensor apart = good;
  apart.nb[1] = 26;
  CHECK(message(llama_cpp::transposed_values<wkv::float16>(apart, 3, 4)) ==
        "tensor.nb[1] (compact): got 26, must equal 24");
  cache_tensor blocks = good;
  blocks.type = q8_0;
  CHECK(message(llama_cpp::rows<wkv::q8_0_block>(blocks, 3, 4)) ==
        "head_dim: got 4, must be a multiple of the numbers in an element, 32");
  CHECK(message(llama_cpp::rows_of_bytes(nullptr, 4, 2)) == "first_row: must not be null");
  CHECK(message(llama_cpp::rows_of_bytes(memory.data(), 0, 2)) == "row_bytes: got 0, must be at least 1");
  CHECK(message(llama_cpp::blob_rows(memory.data(), std::uint64_t{1} << 40, 2)) ==
        "size_row: got 1099511627776, must be at most 2147483647");
  CHECK(message(llama_cpp::blob_rows(memory.data(), 4, 0)) == "cells: got 0, must be at least 1");
  CHECK(message(llama_cpp::blob_columns<2>(memory.data(), 0, 2)) ==
        "n_embd_v_gqa: got 0, must be at least 1");
}
