// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Who owns which memory: layers that share storage, slots that others read, planes that overlap, tables and
// scales that cannot be meant. What is refused moves nothing.
#include <cstdint>
#include <string>
#include <vector>

#include "any_cache.hpp"
#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<std::int32_t>;

wkv::slot_list list(ints const& slots) { return {slots.data(), static_cast<int>(slots.size())}; }

std::vector<float> numbered(int count) {
  std::vector<float> all(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) all[static_cast<std::size_t>(i)] = static_cast<float>(i);
  return all;
}

/// Refused or not, and the memory afterwards as it was.
template <class View>
std::string refusal(ints const& kept, View const& view, std::vector<float>& memory) {
  std::vector<float> const before = memory;
  std::string const text = message(wkv::compact_in_place(serial, list(kept), view));
  CHECK((text == "ok" || memory == before));
  memory = before;
  return text;
}

}  // namespace

TEST_CASE("layers that share storage are compacted once", "[storage]") {
  // Layers 0 and 1 have one cache, layer 2 its own; all in one group.
  wkv::model_shape const shape{3, 2, 2, 4};
  auto const plan = *wkv::make_plan(wkv::default_method(3).with_suffix(4).with_budget(12), shape, {40});
  scratch const memory(plan.workspace_bytes);
  sequence<float> data(shape, 40, 4);
  sequence<float> expected(shape, 40, 4);
  auto const kv_of = [&](int l) { return data.kv(l == 1 ? 0 : l); };
  auto const report = wkv::compress(
      serial, plan, memory.get(), [&](int l) { return data.queries(l); }, kv_of);
  REQUIRE(message(report) == "ok");
  for (int l : {0, 2}) {
    REQUIRE(wkv::compact_in_place(serial, {report->group[0].slots, report->group[0].kept}, expected.kv(l)));
  }
  CHECK(data.contents() == expected.contents());
  CHECK(report->layer[1].tokens_after == 12);
  CHECK(report->layer[1].bytes_before == 0);  // its bytes are those of layer 0
  CHECK(report->layer[0].bytes_after == 12 * (8 + 14) * 4);
}

TEST_CASE("memory that is used again for the next layer is compacted again", "[storage]") {
  // An engine that moves every compressed layer away, and computes the next one in the same place.
  wkv::model_shape const shape{4, 2, 2, 4};
  auto const method =
      wkv::paper_method(4).with_suffix(4).with_budget(12).with_layer_grouping(wkv::uniform_groups{2});
  auto const plan = *wkv::make_plan(method, shape, {40});
  scratch const memory(plan.workspace_bytes);
  for (bool by_stages : {false, true}) {
    CAPTURE(by_stages);
    auto run = *wkv::begin(plan, memory.get());
    for (int l = 0; l < 4; ++l) {
      sequence<float> expected(shape, 40, 4, order::slot_head_dim, static_cast<unsigned>(l));
      static sequence<float> place(shape, 40, 4);
      place.at(0).keys.memory = expected.at(0).keys.memory;
      place.at(0).values.memory = expected.at(0).values.memory;
      place.at(0).positions = expected.at(0).positions;
      if (by_stages) {
        REQUIRE(message(wkv::score(serial, run, l, place.queries(0), place.kv(0).keys)) == "ok");
        auto const chosen = wkv::select(serial, run, plan.layer[l].group);
        REQUIRE(message(chosen) == "ok");
        REQUIRE(message(wkv::compact(serial, run, l, *chosen, place.kv(0))) == "ok");
      } else {
        REQUIRE(message(wkv::compress_layer(serial, run, l, place.queries(0),
                                            [&](int) { return place.kv(0); })) == "ok");
      }
      wkv::selection const chosen = wkv::report(run).group[plan.layer[l].group];
      REQUIRE(wkv::compact_in_place(serial, {chosen.slots, chosen.kept}, expected.kv(0)));
      CHECK(place.at(0).keys.memory == expected.at(0).keys.memory);
      CHECK(place.at(0).positions == expected.at(0).positions);
    }
  }
}

TEST_CASE("storage shared between groups, or in part, is refused before anything moves", "[storage]") {
  wkv::model_shape const shape{4, 2, 2, 4};
  auto const method = wkv::default_method(2).with_suffix(4).with_budget(12);
  auto const plan = *wkv::make_plan(method, shape, {40});
  scratch const memory(plan.workspace_bytes);
  sequence<float> data(shape, 40, 4);
  std::vector<float> const before = data.contents();
  auto const refused = [&](auto kv_of) {
    auto const report = wkv::compress(
        serial, plan, memory.get(), [&](int l) { return data.queries(l); }, kv_of);
    CHECK(data.contents() == before);
    return message(report);
  };
  CHECK(refused([&](int l) { return data.kv(l == 2 ? 1 : l); }) ==
        "layer 2: kv_view: the layer shares storage with layer: got 1, whose group differs; its own is 1");
  CHECK(refused([&](int l) {
          auto kv = data.kv(l);
          if (l == 1) kv.keys = data.kv(0).keys;
          return kv;
        }) ==
        "layer 1: kv_view: the layer shares its keys, but not its values and positions, with layer: got 0, "
        "of 4");
}

TEST_CASE("slots that others read are never written", "[storage]") {
  std::vector<float> memory = numbered(80);
  wkv::kv_view view{wkv::slot_head_dim(memory.data(), 10, 1, 4),
                    wkv::slot_head_dim(memory.data() + 40, 10, 1, 4)};
  view.shared_slots = 4;
  CHECK(refusal({0, 2, 5}, view, memory) ==
        "kv_view.shared_slots: compaction in place would write slot: got 1, of the shared 4");
  CHECK(refusal({5, 6}, view, memory) ==
        "kv_view.shared_slots: compaction in place would write slot: got 0, of the shared 4");
  CHECK(refusal({0, 1, 2, 3, 7, 9}, view, memory) == "ok");
  CHECK(refusal({0, 1}, view, memory) == "ok");
  view.shared_slots = -1;
  CHECK(refusal({0, 2}, view, memory) == "kv_view.shared_slots: got -1, must be at least 0");

  // A copy may read them, and may not go there.
  view.shared_slots = 4;
  std::vector<float> other(80);
  wkv::kv_view to{wkv::slot_head_dim(other.data(), 10, 1, 4),
                  wkv::slot_head_dim(other.data() + 40, 10, 1, 4)};
  CHECK(message(wkv::compact_copy(serial, list({1, 3, 8}), view, to)) == "ok");
  CHECK(other[4] == 12.f);
  to.shared_slots = 1;
  CHECK(message(wkv::compact_copy(serial, list({1, 3, 8}), view, to)) ==
        "destination kv_view.shared_slots: got 1, must equal 0");
}

TEST_CASE("interleaved planes are told apart from overlapping ones", "[storage]") {
  std::vector<float> memory = numbered(400);
  float* const base = memory.data();
  auto const check = [&](auto keys, auto values) {
    return refusal({1, 3}, wkv::kv_view{keys, values}, memory);
  };
  auto const at = [&](int offset, int slots, int heads, int dims, wkv::dense_layout strides) {
    return wkv::strided(base + offset, slots, heads, dims, strides);
  };
  // [slot][2][head][dim], [slot][head][2][dim], [head][2][slot][dim], a wider key beside a value
  CHECK(check(at(0, 5, 2, 3, {12, 3, 1}), at(6, 5, 2, 3, {12, 3, 1})) == "ok");
  CHECK(check(at(0, 5, 2, 3, {12, 6, 1}), at(3, 5, 2, 3, {12, 6, 1})) == "ok");
  CHECK(check(at(0, 5, 2, 3, {3, 30, 1}), at(15, 5, 2, 3, {3, 30, 1})) == "ok");
  CHECK(check(at(0, 5, 2, 4, {12, 6, 1}), at(4, 5, 2, 2, {12, 6, 1})) == "ok");
  CHECK(check(at(0, 5, 2, 3, {1, 30, 10}), at(5, 5, 2, 3, {1, 30, 10})) == "ok");
  // one element too near
  CHECK(check(at(0, 5, 2, 3, {12, 3, 1}), at(5, 5, 2, 3, {12, 3, 1})) ==
        "keys and values: got 20, bytes apart, they share memory; elements of 4");
  CHECK(check(at(0, 5, 2, 4, {12, 6, 1}), at(3, 5, 2, 2, {12, 6, 1})) ==
        "keys and values: got 12, bytes apart, they share memory; elements of 4");
  CHECK(check(at(0, 5, 2, 3, {3, 30, 1}), at(14, 5, 2, 3, {3, 30, 1})) ==
        "keys and values: got 56, bytes apart, they share memory; elements of 4");
  CHECK(check(at(12, 5, 2, 3, {12, 3, 1}), at(0, 5, 2, 3, {12, 3, 1})) ==
        "keys and values: got -48, bytes apart, they share memory; elements of 4");
  CHECK(check(at(0, 5, 2, 3, {12, 3, 1}), at(0, 5, 2, 3, {12, 3, 1})) ==
        "keys and values: got 0, bytes apart, they share memory; elements of 4");
  CHECK(check(at(0, 5, 2, 3, {7, 3, 1}), at(10, 5, 2, 3, {1, 16, 5})) ==
        "keys and values: interleaved in memory with different strides, or overlapping");
  // behind each other
  CHECK(check(at(0, 5, 2, 3, {6, 3, 1}), at(30, 5, 2, 3, {1, 15, 5})) == "ok");
}

TEST_CASE("whether planes meet, by trying every pair of elements", "[storage]") {
  random_source random(5);
  int met = 0;
  std::vector<float> memory(4000);
  for (int i = 0; i < 4000; ++i) {
    std::int64_t const dim_gap = random.between(1, 2);
    int const dims = random.between(1, 3);
    std::int64_t const inner = dims * dim_gap + random.below(5);
    int const heads = random.between(1, 3);
    std::int64_t const outer = inner * heads + random.below(12);
    int const slots = random.between(1, 4);
    bool const slots_inside = random.below(2) == 0;
    wkv::dense_layout const strides =
        slots_inside ? wkv::dense_layout{inner, outer, dim_gap} : wkv::dense_layout{outer, inner, dim_gap};
    int const a_slots = slots_inside ? heads : slots;
    int const a_heads = slots_inside ? slots : heads;
    int const distance = random.between(-40, 40);
    auto const a = wkv::strided(memory.data() + 100, a_slots, a_heads, dims, strides);
    auto const b = wkv::strided(memory.data() + 100 + distance, random.between(1, a_slots),
                                random.between(1, a_heads), random.between(1, dims), strides);
    bool expected = false;
    for (int x = 0; x < a.slots * a.heads * a.head_dim; ++x) {
      for (int y = 0; y < b.slots * b.heads * b.head_dim; ++y) {
        auto const* const p = a.address(x / a.head_dim / a.heads, x / a.head_dim % a.heads, x % a.head_dim);
        auto const* const q = b.address(y / b.head_dim / b.heads, y / b.head_dim % b.heads, y % b.head_dim);
        expected = expected || p == q;
      }
    }
    std::string const text = message(wkv::detail::require_apart(a, b, "planes"));
    CAPTURE(strides.slot_stride, strides.head_stride, strides.dim_stride, distance, text);
    if (expected) CHECK(text != "ok");
    // Extents of 1 and contiguous axes fall away, so planes of different extents can step differently.
    if (!expected && text.find("different strides") == std::string::npos) CHECK(text == "ok");
    met += expected ? 1 : 0;
  }
  CHECK(met > 500);
}

TEST_CASE("page tables and slot lists that cannot be meant are refused", "[storage]") {
  std::vector<float> memory = numbered(2 * 6 * 3 * 4);
  ints table{4, 0, 2};
  auto const view = [&] {
    return wkv::kv_view{wkv::paged(memory.data(), 6, 3, 2, 2, table.data(), 3, 8),
                        wkv::paged(memory.data() + 72, 6, 3, 2, 2, table.data(), 3, 8)};
  };
  ints const kept{1, 4};
  CHECK(refusal(kept, view(), memory) == "ok");
  auto const with_entry = [&](std::int32_t entry) {
    table[1] = entry;
    return refusal(kept, view(), memory);
  };
  CHECK(with_entry(6) == "page table: page: got 6, must be at most 5");
  CHECK(with_entry(-1) == "page table: page: got -1, must be at least 0");
  CHECK(with_entry(4) == "page table (a page is listed twice): page: got 4, again in entry 1");
  CHECK(with_entry(0) == "ok");
  auto const with_change = [&](auto change) {
    auto changed = view();
    change(changed.keys);
    return refusal(kept, changed, memory);
  };
  CHECK(with_change([](auto& k) { k.slots = 10; }) ==
        "layout.entries (pages of the plane's slots): got 3, must be at least 4");
  CHECK(with_change([](auto& k) { k.layout.page_size = 0; }) ==
        "layout.page_size: got 0, must be at least 1");
  CHECK(with_change([](auto& k) { k.layout.page_stride = 11; }) ==
        "layout (elements overlap): stride: got 11, must be at least 12");
  CHECK(with_change([](auto& k) { k.layout.pages = nullptr; }) == "layout.pages: must not be null");
  CHECK(with_change([](auto& k) { k.layout.pool_pages = 4; }) ==
        "page table: page: got 4, must be at most 3");

  std::vector<std::int64_t> const twice{3, 1, 3};
  CHECK(refusal({0}, wkv::kv_view{wkv::listed_slots(memory.data(), 5, 2, 2, twice.data(), 3)}, memory) ==
        "page table (a page is listed twice): page: got 3, again in entry 2");
  std::vector<std::int64_t> far{200000, 5, 131077, 200000};
  CHECK(message(wkv::detail::validate_page_table(far.data(), 4, 1000000)) ==
        "page table (a page is listed twice): page: got 200000, again in entry 3");
  CHECK(message(wkv::detail::validate_page_table(far.data(), 3, 1000000)) == "ok");

  void* pages[] = {memory.data(), memory.data() + 24, nullptr};
  auto const pointers = [&] {
    wkv::pointer_table_layout<> const layout{pages, 3, 3, 4, {4, 2, 1}, 0};
    return wkv::kv_view{
        wkv::make_plane(static_cast<float*>(nullptr), 8, 2, 2, layout, wkv::element_accessor<float>{})};
  };
  CHECK(refusal(kept, pointers(), memory) == "layout.pages[i]: must not be null");
  pages[2] = memory.data();
  CHECK(refusal(kept, pointers(), memory) ==
        "page table (a page is listed twice): entry: got 2, has the address of entry 0");
  pages[2] = reinterpret_cast<unsigned char*>(memory.data()) + 50;
  CHECK(refusal(kept, pointers(), memory) == "layout.pages[i]: got 2, bytes off an alignment of 4");
}

TEST_CASE("scales that do not fit their plane are refused", "[storage]") {
  std::vector<std::int8_t> numbers(64);
  std::vector<float> scales = numbered(65);
  auto const plain = wkv::slot_head_dim(numbers.data(), 4, 2, 8);
  auto const problem = [&](auto const& plane) { return refusal({1, 2}, wkv::kv_view{plane}, scales); };
  auto const of = [&](int slots, int heads, int dims) {
    return wkv::slot_head_dim(scales.data(), slots, heads, dims);
  };
  CHECK(problem(wkv::with_scales(plain, of(4, 2, 2))) == "ok");
  CHECK(problem(wkv::with_scales(plain, of(3, 2, 1))) == "scales.slots: got 3, must be at least 4");
  CHECK(problem(wkv::with_scales(plain, of(4, 3, 1))) == "scales.heads: got 3, must equal 2");
  CHECK(problem(wkv::with_scales(plain, of(4, 2, 3))) ==
        "scales.head_dim: got 3, must divide the head dimension 8");
  CHECK(problem(wkv::with_scales(plain, wkv::slot_head_dim(static_cast<float*>(nullptr), 4, 2, 1))) ==
        "scales.data: must not be null");
  auto* const off = reinterpret_cast<float*>(reinterpret_cast<unsigned char*>(scales.data()) + 2);
  CHECK(problem(wkv::with_scales(plain, wkv::slot_head_dim(off, 4, 2, 1))) ==
        "scales.data: got 2, bytes off an alignment of 4");
  CHECK(problem(wkv::with_channel_scales(plain, of(2, 2, 8), 0)) ==
        "granularity (tokens that share a scale): got 0, must be at least 1");
  CHECK(problem(wkv::with_channel_scales(plain, of(1, 2, 8), 2)) ==
        "scales.slots: got 1, must be at least 2");
  CHECK(problem(wkv::with_channel_scales(plain, of(2, 1, 8), 2)) == "scales.heads: got 1, must equal 2");
  CHECK(problem(wkv::with_channel_scales(plain, of(2, 2, 4), 2)) == "scales.head_dim: got 4, must equal 8");
  std::vector<wkv::q8_0_block> blocks(4);
  CHECK(problem(wkv::slot_head_dim(blocks.data(), 4, 1, 48)) ==
        "keys.head_dim: got 48, must be a multiple of the numbers in an element, 32");
}

TEST_CASE("slots that share a scale stay or go together", "[storage]") {
  std::vector<std::int8_t> numbers(7 * 2);
  std::vector<float> scales = numbered(4 * 2);
  auto const keys = wkv::with_channel_scales(wkv::slot_head_dim(numbers.data(), 7, 1, 2),
                                             wkv::slot_head_dim(scales.data(), 4, 1, 2), 2);
  auto const problem = [&](ints const& kept) { return refusal(kept, wkv::kv_view{keys}, scales); };
  CHECK(problem({2, 3, 6}) == "ok");
  CHECK(problem({0, 1, 2, 3, 4, 5, 6}) == "ok");
  CHECK(problem({1, 2}) ==
        "slot_list.slots (slots that share a scale stay together): slot: got 1, in the place of slot 0");
  CHECK(problem({2, 4, 5}) ==
        "slot_list.slots (slots that share a scale stay together): slot: got 4, in the place of slot 3");
  CHECK(problem({2, 3, 5}) ==
        "slot_list.slots (slots that share a scale stay together): slot: got 5, in the place of slot 4");
}

TEST_CASE("a copy to where elements would read differently is refused", "[storage]") {
  std::vector<std::uint8_t> from(8);
  std::vector<std::uint8_t> to(8);
  auto const at = [](std::vector<std::uint8_t>& memory, float scale) {
    return wkv::kv_view{wkv::with_scale(wkv::slot_head_dim(memory.data(), 4, 1, 2), scale)};
  };
  CHECK(message(wkv::compact_copy(serial, list({1, 3}), at(from, 0.5f), at(to, 0.5f))) == "ok");
  CHECK(message(wkv::compact_copy(serial, list({1, 3}), at(from, 0.5f), at(to, 0.25f))) ==
        "destination keys.data: has another scale than the source, and elements are moved as they are");
  CHECK(message(wkv::compact_copy(serial, list({1, 3}), at(from, 0.5f), at(from, 0.5f))) ==
        "destination keys.data: got 0, bytes apart, they share memory; elements of 1");
}
