// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/moves.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace windowkv {

// As numbers, for comparisons of whole lists.
static bool operator==(slot_move const& a, slot_move const& b) {
  return a.from == b.from && a.to == b.to && a.count == b.count;
}
static bool operator==(token_range const& a, token_range const& b) {
  return a.begin == b.begin && a.end == b.end;
}

}  // namespace windowkv

namespace {

using wkv_test::message;
using ints = std::vector<std::int32_t>;
using moves = std::vector<wkv::slot_move>;
using ranges = std::vector<wkv::token_range>;

wkv::slot_list list(ints const& slots) { return {slots.data(), static_cast<int>(slots.size())}; }

/// Counts, then writes into a buffer of exactly that size.
template <class Entry, class Write>
std::vector<Entry> written(Write write) {
  wkv::result<int> const counted = write(static_cast<Entry*>(nullptr), 0);
  REQUIRE(counted);
  std::vector<Entry> out(static_cast<std::size_t>(*counted));
  Entry none{};  // an empty vector has a null pointer, which would only count
  wkv::result<int> const again = write(out.empty() ? &none : out.data(), *counted);
  REQUIRE(again);
  CHECK(*again == *counted);
  return out;
}
moves moves_of(ints const& kept) {
  return written<wkv::slot_move>(
      [&](wkv::slot_move* out, int n) { return wkv::list_moves(list(kept), out, n); });
}
ranges kept_of(ints const& kept, int tokens) {
  return written<wkv::token_range>(
      [&](wkv::token_range* out, int n) { return wkv::list_kept_ranges(list(kept), tokens, out, n); });
}
ranges dropped_of(ints const& kept, int tokens) {
  return written<wkv::token_range>(
      [&](wkv::token_range* out, int n) { return wkv::list_dropped_ranges(list(kept), tokens, out, n); });
}

/// [begin, end) of the slots for which is_in is true, slot by slot.
template <class IsIn>
ranges naive_ranges(int tokens, IsIn is_in) {
  ranges all;
  for (int i = 0; i < tokens; ++i) {
    if (!is_in(i)) continue;
    if (!all.empty() && all.back().end == i) {
      ++all.back().end;
    } else {
      all.push_back({i, i + 1});
    }
  }
  return all;
}

}  // namespace

TEST_CASE("moves, literally", "[moves]") {
  CHECK(moves_of({}).empty());
  CHECK(moves_of({0}).empty());
  CHECK(moves_of({0, 1, 2}).empty());
  CHECK(moves_of({3}) == moves{{3, 0, 1}});
  CHECK(moves_of({0, 1, 4, 5, 6, 9}) == moves{{4, 2, 3}, {9, 5, 1}});
  CHECK(moves_of({1, 2, 3, 4}) == moves{{1, 0, 4}});  // overlaps itself
  CHECK(moves_of({0, 2, 4}) == moves{{2, 1, 1}, {4, 2, 1}});
  CHECK(moves_of({INT32_MAX - 1}) == moves{{INT32_MAX - 1, 0, 1}});
}

TEST_CASE("kept and dropped ranges, literally", "[moves]") {
  CHECK(kept_of({}, 0).empty());
  CHECK(dropped_of({}, 0).empty());
  CHECK(kept_of({}, 5).empty());
  CHECK(dropped_of({}, 5) == ranges{{0, 5}});
  CHECK(kept_of({0, 1, 2}, 3) == ranges{{0, 3}});
  CHECK(dropped_of({0, 1, 2}, 3).empty());
  CHECK(kept_of({0, 1, 4, 5, 8}, 9) == ranges{{0, 2}, {4, 6}, {8, 9}});
  CHECK(dropped_of({0, 1, 4, 5, 8}, 9) == ranges{{2, 4}, {6, 8}});
  CHECK(dropped_of({1, 3}, 5) == ranges{{0, 1}, {2, 3}, {4, 5}});  // one range more than slots
  CHECK(kept_of({INT32_MAX - 1}, INT32_MAX) == ranges{{INT32_MAX - 1, INT32_MAX}});
  CHECK(dropped_of({INT32_MAX - 1}, INT32_MAX) == ranges{{0, INT32_MAX - 1}});
}

TEST_CASE("moves carried out in place, one by one, compact; the ranges are the list and its complement",
          "[moves]") {
  wkv_test::random_source random(1);
  for (int i = 0; i < 500; ++i) {
    int const tokens = random.between(0, 40);
    int const share = random.between(0, 10);
    ints kept;
    std::vector<bool> is_kept(static_cast<std::size_t>(tokens));
    ints cache;
    for (int slot = 0; slot < tokens; ++slot) {
      cache.push_back(1000 + slot);
      if (random.below(10) >= share) continue;
      kept.push_back(slot);
      is_kept[static_cast<std::size_t>(slot)] = true;
    }
    auto const in_list = [&](int slot) { return is_kept[static_cast<std::size_t>(slot)]; };
    CAPTURE(tokens, kept);

    int read_to = 0;
    for (wkv::slot_move const& move : moves_of(kept)) {
      CHECK(move.to < move.from);
      CHECK(move.count >= 1);
      CHECK(move.from >= read_to);  // nothing that was written over is read later
      read_to = move.from + move.count;
      auto const source = cache.begin() + move.from;
      std::copy(source, source + move.count, cache.begin() + move.to);
    }
    for (std::size_t row = 0; row < kept.size(); ++row) CHECK(cache[row] == 1000 + kept[row]);

    CHECK(kept_of(kept, tokens) == naive_ranges(tokens, in_list));
    CHECK(dropped_of(kept, tokens) == naive_ranges(tokens, [&](int slot) { return !in_list(slot); }));
    CHECK(moves_of(kept).size() <= kept.size());
    CHECK(dropped_of(kept, tokens).size() <= kept.size() + 1);
  }
}

TEST_CASE("buffers that are too small are refused and nothing is written", "[moves]") {
  ints const kept{1, 3, 5};
  moves three(3, {-7, -7, -7});
  CHECK(message(wkv::list_moves(list(kept), three.data(), 2)) ==
        "list_moves.capacity: got 2, must be at least 3");
  CHECK(message(wkv::list_moves(list(kept), three.data(), -1)) ==
        "list_moves.capacity: got -1, must be at least 3");
  CHECK(three == moves(3, {-7, -7, -7}));
  ranges four(4, {-7, -7});
  CHECK(message(wkv::list_kept_ranges(list(kept), 7, four.data(), 2)) ==
        "list_kept_ranges.capacity: got 2, must be at least 3");
  CHECK(message(wkv::list_dropped_ranges(list(kept), 7, four.data(), 3)) ==
        "list_dropped_ranges.capacity: got 3, must be at least 4");
  CHECK(four == ranges(4, {-7, -7}));
  CHECK(*wkv::list_dropped_ranges(list(kept), 7, four.data(), 4) == 4);
  CHECK(*wkv::list_dropped_ranges(list(kept), 7, nullptr, -1) == 4);  // only counts
}

TEST_CASE("lists that do not ascend or leave the slots are refused", "[moves]") {
  wkv::slot_move move{-7, -7, -7};
  wkv::token_range range{-7, -7};
  CHECK(message(wkv::list_moves({nullptr, 1}, &move, 1)) == "slot_list.slots: must not be null");
  CHECK(message(wkv::list_moves({nullptr, -1}, &move, 1)) == "slot_list.count: got -1, must be at least 0");
  CHECK(message(wkv::list_moves(list({2, 2}), &move, 1)) ==
        "slot_list.slots (ascending): got 2, must be at least 3");
  CHECK(message(wkv::list_moves(list({INT32_MAX}), &move, 1)) ==
        "slot_list.slots: got 2147483647, must be at most 2147483646");
  CHECK(message(wkv::list_kept_ranges(list({-1}), 4, &range, 1)) ==
        "slot_list.slots (ascending): got -1, must be at least 0");
  CHECK(message(wkv::list_kept_ranges(list({1, 4}), 4, &range, 1)) ==
        "slot_list.slots: got 4, must be at most 3");
  CHECK(message(wkv::list_kept_ranges({}, -1, &range, 1)) == "tokens: got -1, must be at least 0");
  CHECK(message(wkv::list_dropped_ranges(list({0}), 0, &range, 1)) ==
        "slot_list.slots: got 0, must be at most -1");
  CHECK(message(wkv::list_dropped_ranges({}, -3, &range, 1)) == "tokens: got -3, must be at least 0");
  CHECK(move == wkv::slot_move{-7, -7, -7});
  CHECK(range == wkv::token_range{-7, -7});
}
