// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstddef>
#include <cstdint>
#include <flashinfer/page.cuh>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/pages.hpp"
#include "windowkv/interop/flashinfer.hpp"

namespace {

namespace interop = wkv::interop::flashinfer;
using flashinfer::QKVLayout;
using wkv::interop::axis_order;
using wkv_test::message;
using wkv_test::serial;

constexpr int pool_pages = 19;
constexpr int heads = 3;
constexpr int dims = 8;

QKVLayout layout_of(axis_order order) { return order == axis_order::nhd ? QKVLayout::kNHD : QKVLayout::kHND; }

/// Sequences of 1, 13, 16 and 40 tokens (fewer with pages of one token), their pages in no order.
template <class IdType>
struct batch {
  int page_size;
  std::vector<IdType> indptr{0};
  std::vector<IdType> indices;
  std::vector<IdType> last_page_len;

  explicit batch(int tokens_of_page) : page_size(tokens_of_page) {
    int next = 5;
    for (int tokens : {1, 13, 16, 40}) {
      int const wanted = (tokens + page_size - 1) / page_size;
      int const pages = wanted < 5 ? wanted : 4;
      for (int i = 0; i < pages; ++i) {
        indices.push_back(static_cast<IdType>(next));
        next = (next + 7) % pool_pages;
      }
      indptr.push_back(static_cast<IdType>(indices.size()));
      last_page_len.push_back(
          static_cast<IdType>(pages == wanted ? (tokens - 1) % page_size + 1 : page_size));
    }
  }
  int size() const { return static_cast<int>(last_page_len.size()); }
  interop::page_table<IdType> table() const {
    return {indptr.data(), indices.data(), last_page_len.data(), size()};
  }
  interop::pool_shape shape() const { return {pool_pages, page_size, heads, dims}; }
};

template <class T>
std::vector<T> numbered(std::size_t count) {
  std::vector<T> all(count);
  for (std::size_t i = 0; i < count; ++i) all[i] = static_cast<T>(i % 1999);
  return all;
}

/// Elements of sequence i that FlashInfer has elsewhere than the view.
template <class T, class IdType, class View>
int misplaced(flashinfer::paged_kv_t<T, IdType> const& theirs, int i, View const& view) {
  CHECK(theirs.get_length(static_cast<std::uint32_t>(i)) == static_cast<std::uint32_t>(view.keys.slots));
  CHECK(view.values.slots == view.keys.slots);
  int wrong = 0;
  for (int t = 0; t < view.keys.slots; ++t) {
    std::uint32_t in_sequence = 0;
    std::uint32_t entry = 0;
    theirs.page_size.divmod(static_cast<std::uint32_t>(t), in_sequence, entry);
    auto const page =
        static_cast<std::size_t>(theirs.indices[theirs.indptr[i] + static_cast<IdType>(in_sequence)]);
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t d = 0; d < dims; ++d) {
        auto const head = static_cast<std::int64_t>(h);
        auto const dim = static_cast<std::int64_t>(d);
        wrong += view.keys.address(t, head, dim) != theirs.k_data + theirs.get_elem_offset(page, h, entry, d);
        wrong +=
            view.values.address(t, head, dim) != theirs.v_data + theirs.get_v_elem_offset(page, h, entry, d);
      }
    }
  }
  return wrong;
}

/// Every third token of sequence i, as FlashInfer finds it after it was told of the compaction, is what it
/// was.
template <class T, class IdType, class View>
void check_compaction(batch<IdType>& b, int i, View const& view, flashinfer::paged_kv_t<T, IdType>& theirs) {
  std::vector<std::int32_t> kept;
  std::vector<float> expected;
  for (int t = 0; t < view.keys.slots; t += 3) {
    kept.push_back(t);
    for (int h = 0; h < heads; ++h) {
      for (int d = 0; d < dims; ++d) {
        expected.push_back(view.keys.load(t, h, d));
        expected.push_back(view.values.load(t, h, d));
      }
    }
  }
  int const count = static_cast<int>(kept.size());
  REQUIRE(message(wkv::compact_in_place(serial, {kept.data(), count}, view)) == "ok");

  auto const at = static_cast<std::size_t>(i);
  auto const pages = static_cast<IdType>(wkv::page_count(count, b.page_size));
  auto const freed = b.indptr[at + 1] - b.indptr[at] - pages;
  auto const first_freed = b.indices.begin() + static_cast<std::ptrdiff_t>(b.indptr[at] + pages);
  b.indices.erase(first_freed, first_freed + static_cast<std::ptrdiff_t>(freed));
  for (std::size_t j = at + 1; j < b.indptr.size(); ++j) b.indptr[j] -= freed;
  b.last_page_len[at] = static_cast<IdType>(interop::last_page_len(count, b.page_size));
  theirs.indices = b.indices.data();

  REQUIRE(theirs.get_length(static_cast<std::uint32_t>(i)) == static_cast<std::uint32_t>(count));
  std::vector<float> found;
  for (int t = 0; t < count; ++t) {
    auto const page =
        static_cast<std::size_t>(b.indices[static_cast<std::size_t>(b.indptr[at] + t / b.page_size)]);
    auto const entry = static_cast<std::size_t>(t % b.page_size);
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t d = 0; d < dims; ++d) {
        found.push_back(static_cast<float>(theirs.k_data[theirs.get_elem_offset(page, h, entry, d)]));
        found.push_back(static_cast<float>(theirs.v_data[theirs.get_v_elem_offset(page, h, entry, d)]));
      }
    }
  }
  CHECK(found == expected);
}

constexpr int page_sizes[] = {1, 4, 16};
constexpr axis_order orders[] = {axis_order::nhd, axis_order::hnd};

template <class T, class IdType>
void check_compact_pools() {
  for (int page_size : page_sizes) {
    for (axis_order order : orders) {
      CAPTURE(page_size, static_cast<int>(order));
      batch<IdType> b(page_size);
      std::vector<T> k = numbered<T>(static_cast<std::size_t>(pool_pages * page_size * heads * dims));
      std::vector<T> v(k.rbegin(), k.rend());
      flashinfer::paged_kv_t<T, IdType> theirs(
          heads, static_cast<std::uint32_t>(page_size), dims, static_cast<std::uint32_t>(b.size()),
          layout_of(order), k.data(), v.data(), b.indices.data(), b.indptr.data(), b.last_page_len.data());
      for (int i = 0; i < b.size(); ++i) {
        auto const view = interop::paged_cache(k.data(), v.data(), b.shape(), order, b.table(), i);
        REQUIRE(message(view) == "ok");
        CHECK(misplaced(theirs, i, *view) == 0);
        check_compaction(b, i, *view, theirs);
      }
    }
  }
}

}  // namespace

TEST_CASE("pools of pages in both orders") {
  check_compact_pools<float, std::int32_t>();
  check_compact_pools<std::int8_t, std::int64_t>();
}

TEST_CASE("one tensor of keys and values, by its strides") {
  for (int page_size : page_sizes) {
    for (axis_order order : orders) {
      CAPTURE(page_size, static_cast<int>(order));
      batch<std::int32_t> b(page_size);
      std::int64_t const half_page = std::int64_t{page_size} * heads * dims;
      std::vector<float> kv = numbered<float>(static_cast<std::size_t>(pool_pages * 2 * half_page));
      bool const nhd = order == axis_order::nhd;
      // [pages][2][page_size][heads][dims] or [pages][2][heads][page_size][dims]: strides of axes 0, 2 and 3.
      std::int64_t const strides[] = {2 * half_page, (nhd ? heads : page_size) * dims, dims};
      flashinfer::paged_kv_t<float, std::int32_t> theirs(
          heads, static_cast<std::uint32_t>(page_size), dims, static_cast<std::uint32_t>(b.size()),
          layout_of(order), kv.data(), kv.data() + half_page, strides, b.indices.data(), b.indptr.data(),
          b.last_page_len.data());
      interop::page_strides const ours{2 * half_page, strides[nhd ? 1 : 2], strides[nhd ? 2 : 1]};
      for (int i = 0; i < b.size(); ++i) {
        auto const view =
            interop::paged_cache(kv.data(), kv.data() + half_page, b.shape(), ours, ours, b.table(), i);
        REQUIRE(message(view) == "ok");
        CHECK(misplaced(theirs, i, *view) == 0);
        check_compaction(b, i, *view, theirs);
      }
    }
  }
}

TEST_CASE("keys and values with strides of their own") {
  batch<std::int32_t> b(4);
  // Of pages, tokens and heads: keys with tokens before heads and gaps, values with heads before tokens.
  std::int64_t const k_strides[] = {4 * (heads * dims + 3) + 5, heads * dims + 3, dims};
  std::int64_t const v_strides[] = {heads * 4 * dims, dims, 4 * dims};
  std::vector<float> k = numbered<float>(static_cast<std::size_t>(pool_pages * k_strides[0]));
  std::vector<float> v = numbered<float>(static_cast<std::size_t>(pool_pages * v_strides[0]));
  flashinfer::paged_kv_t<float, std::int32_t> theirs(
      heads, 4, dims, static_cast<std::uint32_t>(b.size()), QKVLayout::kNHD, k.data(), v.data(), k_strides,
      v_strides, b.indices.data(), b.indptr.data(), b.last_page_len.data());
  for (int i = 0; i < b.size(); ++i) {
    auto const view =
        interop::paged_cache(k.data(), v.data(), b.shape(), {k_strides[0], k_strides[1], k_strides[2]},
                             {v_strides[0], v_strides[1], v_strides[2]}, b.table(), i);
    REQUIRE(message(view) == "ok");
    CHECK(misplaced(theirs, i, *view) == 0);
    check_compaction(b, i, *view, theirs);
  }
}

TEST_CASE("latents and their rotated part") {
  constexpr int ckv = 16;
  constexpr int kpe = 4;
  batch<std::int32_t> b(4);
  interop::mla_pool_shape const shape{pool_pages, 4, ckv, kpe};
  std::vector<float> memory = numbered<float>(pool_pages * 4 * (ckv + kpe));
  auto const wrong = [&](flashinfer::paged_kv_mla_t<float, std::int32_t> const& theirs, int i,
                         auto const& view) {
    CHECK(theirs.get_length(static_cast<std::uint32_t>(i)) == static_cast<std::uint32_t>(view.keys.slots));
    int count = 0;
    for (int t = 0; t < view.keys.slots; ++t) {
      auto const page = static_cast<std::size_t>(theirs.indices[theirs.indptr[i] + t / 4]);
      auto const entry = static_cast<std::size_t>(t % 4);
      for (int d = 0; d < ckv; ++d) {
        count += view.keys.address(t, 0, d) !=
                 theirs.ckv_data + theirs.get_elem_offset_ckv(page, entry, static_cast<std::size_t>(d));
      }
      for (int d = 0; d < kpe; ++d) {
        count += view.values.address(t, 0, d) !=
                 theirs.kpe_data + theirs.get_elem_offset_kpe(page, entry, static_cast<std::size_t>(d));
      }
    }
    return count;
  };
  auto const batch_size = static_cast<std::uint32_t>(b.size());
  float* const data = memory.data();
  float* const behind = data + pool_pages * 4 * ckv;
  flashinfer::paged_kv_mla_t<float, std::int32_t> const apart(
      4, ckv, kpe, batch_size, data, behind, b.indices.data(), b.indptr.data(), b.last_page_len.data());
  std::int64_t const strides[] = {4 * (ckv + kpe), ckv + kpe};
  flashinfer::paged_kv_mla_t<float, std::int32_t> const joined(4, ckv, kpe, batch_size, data, strides,
                                                               data + ckv, strides, b.indices.data(),
                                                               b.indptr.data(), b.last_page_len.data());
  for (int i = 0; i < b.size(); ++i) {
    auto const two = interop::mla_cache(data, behind, shape, b.table(), i);
    REQUIRE(message(two) == "ok");
    CHECK(wrong(apart, i, *two) == 0);
    interop::mla_strides const row{strides[0], strides[1]};
    auto const one = interop::mla_cache(data, data + ckv, shape, row, row, b.table(), i);
    REQUIRE(message(one) == "ok");
    CHECK(wrong(joined, i, *one) == 0);
  }
}
