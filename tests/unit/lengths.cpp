// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/lengths.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace windowkv {

static bool operator==(cache_lengths const& a, cache_lengths const& b) {
  return a.physical == b.physical && a.logical == b.logical;
}

}  // namespace windowkv

namespace {

using wkv::cache_lengths;
using wkv_test::message;
using ints = std::vector<std::int32_t>;

wkv::slot_list list(ints const& slots) { return {slots.data(), static_cast<int>(slots.size())}; }

/// 12 tokens compressed to 5, and three more behind them.
ints const five{0, 1, 2, 6, 11};
ints const eight{0, 1, 2, 6, 11, 12, 13, 14};

ints random_slots(wkv_test::random_source& random, int slots) {
  int const share = random.between(1, 10);
  ints kept;
  for (int i = 0; i < slots; ++i) {
    if (random.below(10) < share) kept.push_back(i);
  }
  return kept;
}

}  // namespace

TEST_CASE("appending moves both lengths", "[lengths]") {
  CHECK(*wkv::append({}, 12) == cache_lengths{12, 12});
  CHECK(*wkv::append({5, 12}, 1) == cache_lengths{6, 13});
  CHECK(*wkv::append({5, 12}, 0) == cache_lengths{5, 12});
  CHECK(*wkv::append({5, INT32_MAX - 1}, 1) == cache_lengths{6, INT32_MAX});
}

TEST_CASE("truncating, literally", "[lengths]") {
  cache_lengths const lengths{8, 15};
  auto const cut = [&](int at) { return *wkv::truncate(eight.data(), lengths, at); };
  CHECK(cut(15) == lengths);
  CHECK(cut(14) == cache_lengths{7, 14});  // rejected tokens: both shrink alike
  CHECK(cut(12) == cache_lengths{5, 12});
  CHECK(cut(11) == cache_lengths{4, 11});  // into the prompt: its last token
  CHECK(cut(10) == cache_lengths{4, 10});  // positions 7 to 10 stay evicted
  CHECK(cut(7) == cache_lengths{4, 7});
  CHECK(cut(6) == cache_lengths{3, 6});
  CHECK(cut(3) == cache_lengths{3, 3});  // nothing below was evicted
  CHECK(cut(1) == cache_lengths{1, 1});
  CHECK(cut(0) == cache_lengths{0, 0});
  CHECK(*wkv::truncate(nullptr, {9, 9}, 4) == cache_lengths{4, 4});  // slot = position
  CHECK(*wkv::truncate(nullptr, {0, 9}, 4) == cache_lengths{0, 4});
  CHECK(*wkv::truncate(nullptr, {}, 0) == cache_lengths{0, 0});
}

TEST_CASE("truncating without an array of positions shortens the prompt's list along", "[lengths]") {
  auto const cut = [](int at) {
    wkv::prompt_positions positions{list(five), 12};
    cache_lengths const lengths = *wkv::truncate(positions, {8, 15}, at);
    return ints{lengths.physical, lengths.logical, positions.kept.count, positions.tokens};
  };
  CHECK(cut(15) == ints{8, 15, 5, 12});
  CHECK(cut(13) == ints{6, 13, 5, 12});
  CHECK(cut(12) == ints{5, 12, 5, 12});
  CHECK(cut(10) == ints{4, 10, 4, 10});
  CHECK(cut(3) == ints{3, 3, 3, 3});
  CHECK(cut(0) == ints{0, 0, 0, 0});
  wkv::prompt_positions nothing_kept{{}, 4};
  CHECK(*wkv::truncate(nothing_kept, {2, 6}, 5) == cache_lengths{1, 5});
  CHECK(nothing_kept.tokens == 4);
  CHECK(nothing_kept(0) == 4);
}

TEST_CASE("the complete prefix, literally", "[lengths]") {
  auto const prefix = [](ints const& positions, int logical) {
    return *wkv::complete_prefix(positions.data(), {static_cast<int>(positions.size()), logical});
  };
  CHECK(prefix(eight, 15) == 3);
  CHECK(prefix({0, 1, 2}, 3) == 3);
  CHECK(prefix({0, 1, 2}, 9) == 3);
  CHECK(prefix({1, 2}, 3) == 0);
  CHECK(prefix({0, 2}, 3) == 1);
  CHECK(prefix({}, 3) == 0);
  CHECK(*wkv::complete_prefix(nullptr, {7, 7}) == 7);
  CHECK(*wkv::complete_prefix(wkv::prompt_positions{list(five), 12}, {8, 15}) == 3);
  CHECK(*wkv::complete_prefix(wkv::prompt_positions{list({0, 1}), 2}, {4, 4}) == 4);
  CHECK(*wkv::complete_prefix(wkv::prompt_positions{list({0, 1}), 3}, {4, 5}) == 2);
}

TEST_CASE("the same numbers as a list of positions, over many prompts, tokens and cuts", "[lengths]") {
  wkv_test::random_source random(1);
  for (int i = 0; i < 400; ++i) {
    int const tokens = random.between(0, 30);
    ints const kept = random_slots(random, tokens);
    ints positions = kept;  // the model: the cache is its positions
    cache_lengths lengths{static_cast<int>(kept.size()), tokens};
    wkv::prompt_positions from_list{list(kept), tokens};
    for (int step = 0; step < 6; ++step) {
      CAPTURE(i, step, kept, positions, lengths.physical, lengths.logical);
      if (random.below(2) == 0) {
        int const more = random.below(5);
        for (int k = 0; k < more; ++k) positions.push_back(lengths.logical + k);
        lengths = *wkv::append(lengths, more);
      } else {
        int const at = random.between(random.below(2) == 0 ? 0 : lengths.logical / 2, lengths.logical);
        auto const by_array = wkv::truncate(positions.data(), lengths, at);
        auto const by_list = wkv::truncate(from_list, lengths, at);
        REQUIRE(by_array);
        REQUIRE(by_list);
        CHECK(*by_array == *by_list);
        positions.erase(std::lower_bound(positions.begin(), positions.end(), at), positions.end());
        lengths = *by_array;
        CHECK(lengths.logical == at);
      }
      REQUIRE(lengths.physical == static_cast<int>(positions.size()));
      int prefix = 0;
      while (prefix < lengths.physical && positions[static_cast<std::size_t>(prefix)] == prefix) ++prefix;
      CHECK(*wkv::complete_prefix(positions.data(), lengths) == prefix);
      CHECK(*wkv::complete_prefix(from_list, lengths) == prefix);
      for (int slot = 0; slot < lengths.physical; ++slot) {
        CHECK(from_list(slot) == positions[static_cast<std::size_t>(slot)]);
      }
    }
  }
}

TEST_CASE("positions are compacted as the rows are", "[lengths]") {
  ints positions{0, 1, 5, 6, 9};
  REQUIRE(wkv::keep_positions(list({0, 2, 4}), positions.data(), 5));
  CHECK(positions == ints{0, 5, 9, 6, 9});
  REQUIRE(wkv::keep_positions({}, nullptr, 0));
  CHECK(message(wkv::keep_positions(list({0, 5}), positions.data(), 5)) ==
        "slot_list.slots: got 5, must be at most 4");
  CHECK(message(wkv::keep_positions(list({0}), nullptr, 5)) == "keep_positions.positions: must not be null");
  CHECK(message(wkv::keep_positions({}, nullptr, -1)) == "keep_positions.slots: got -1, must be at least 0");
  CHECK(positions == ints{0, 5, 9, 6, 9});
}

TEST_CASE("lengths that cannot be are refused", "[lengths]") {
  CHECK(message(wkv::append({-1, 3}, 1)) == "cache_lengths.physical: got -1, must be at least 0");
  CHECK(message(wkv::append({4, 3}, 1)) == "cache_lengths.logical: got 3, must be at least 4");
  CHECK(message(wkv::append({3, 3}, -1)) == "append.tokens: got -1, must be at least 0");
  CHECK(message(wkv::append({3, INT32_MAX - 1}, 2)) ==
        "append.tokens (positions are int32): got 2, must be at most 1");
  CHECK(message(wkv::truncate(eight.data(), {8, 15}, -1)) ==
        "truncate.new_logical: got -1, must be at least 0");
  CHECK(message(wkv::truncate(eight.data(), {8, 15}, 16)) ==
        "truncate.new_logical: got 16, must be at most 15");
  CHECK(message(wkv::truncate(eight.data(), {-8, 15}, 1)) ==
        "cache_lengths.physical: got -8, must be at least 0");
  CHECK(message(wkv::truncate(eight.data(), {8, 7}, 1)) ==
        "cache_lengths.logical: got 7, must be at least 8");
}

TEST_CASE("positions that do not belong to the lengths are refused", "[lengths]") {
  CHECK(message(wkv::truncate(nullptr, {8, 15}, 1)) ==
        "cache_lengths.physical (without positions): got 8, must equal 15");
  CHECK(message(wkv::complete_prefix(eight.data(), {8, 14})) ==
        "positions (the last of them): got 14, must be at most 13");
  ints const negative{-1, 2};
  CHECK(message(wkv::complete_prefix(negative.data(), {2, 3})) == "positions[0]: got -1, must be at least 0");

  auto const problem = [](wkv::prompt_positions positions, cache_lengths const& lengths) {
    wkv::prompt_positions const before = positions;
    std::string text = message(wkv::truncate(positions, lengths, 1));
    CHECK(positions.kept.count == before.kept.count);
    CHECK(positions.tokens == before.tokens);
    CHECK(message(wkv::complete_prefix(before, lengths)) == text);
    return text;
  };
  CHECK(problem({{nullptr, -1}, 3}, {3, 3}) == "slot_list.count: got -1, must be at least 0");
  CHECK(problem({{nullptr, 2}, 3}, {3, 3}) == "slot_list.slots: must not be null");
  CHECK(problem({list(five), 4}, {8, 15}) == "prompt_positions.tokens: got 4, must be at least 5");
  CHECK(problem({list(five), 11}, {8, 15}) ==
        "slot_list.slots (the last of them): got 11, must be at most 10");
  CHECK(problem({list(negative), 12}, {8, 15}) == "slot_list.slots[0]: got -1, must be at least 0");
  CHECK(problem({list(five), 12}, {4, 15}) ==
        "cache_lengths.physical (kept slots of the prompt): got 4, must be at least 5");
  CHECK(problem({list(five), 12}, {8, 16}) ==
        "cache_lengths.logical (prompt and what came behind it): got 16, must equal 15");
  CHECK(problem({list(five), 12}, {8, 7}) == "cache_lengths.logical: got 7, must be at least 8");
}
