// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Caches of every layout and element type, taken through a selection and every way to apply it: the same
// bytes as a plain account of where rows lie says, and no others.
#include "any_cache.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/moves.hpp"
#include "windowkv/core/pages.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using ints = std::vector<std::int32_t>;

auto scored_method(int suffix, int window, int budget) {
  using scoring = wkv::scoring<wkv::external_scores, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>;
  return wkv::method<scoring, scoring, wkv::uniform_budget, wkv::uniform_groups, wkv::top_windows>{
      scoring{suffix, {1}, {}, {window}, {}}, scoring{suffix, {1}, {}, {window}, {}}, {}, {}, {}, budget};
}

/// A plan, a compression under way and what its one group selected.
struct chosen_slots {
  using method = decltype(scored_method(1, 1, 1));
  wkv::plan<method> plan;
  scratch memory;
  wkv::compression<method> run;
  wkv::selection chosen;

  chosen_slots(random_source& random, int tokens, int suffix, int window, int budget, int heads,
               std::vector<wkv::token_range> const& ranges = {})
      : plan(*wkv::make_plan(scored_method(suffix, window, budget)
                                 .with_selector(wkv::top_windows{wkv::fill::within_budget, 0, ranges.data(),
                                                                 static_cast<int>(ranges.size())}),
                             {1, heads, heads, 64}, {tokens})),
        memory(plan.workspace_bytes),
        run(*wkv::begin(plan, memory.get())) {
    std::vector<float> scores;
    for (int j = 0; j < plan.review; ++j) scores.push_back(random.symmetric());
    REQUIRE(message(wkv::score(serial, run, 0, wkv::token_scores{scores.data(), 1, plan.review, 0})) == "ok");
    chosen = *wkv::select(serial, run, 0);
  }
  ints slots() const { return {chosen.slots, chosen.slots + chosen.kept}; }
};

/// Keys and values of one layer over fresh memory.
template <class Element, class KeyKind, class ValueKind>
struct any_cache {
  static constexpr int dims = wkv::detail::dims_of_v<typename Element::type>;
  KeyKind key_kind;
  ValueKind value_kind;
  Element key_element;
  Element value_element;
  cache_model model;
  ints positions;
  using key_plane = decltype(key_element.make(key_kind, model, std::declval<random_source&>(), part_shape{}));
  using value_plane =
      decltype(value_element.make(value_kind, model, std::declval<random_source&>(), part_shape{}));
  key_plane keys;
  value_plane values;

  any_cache(random_source& random, int slots, int heads, int key_units, int value_units)
      : keys(key_element.make(key_kind, model, random, {slots, heads, key_units, key_units * dims})),
        values(
            value_element.make(value_kind, model, random, {slots, heads, value_units, value_units * dims})) {
    for (int i = 0; i < slots; ++i) positions.push_back(1000 + 3 * i);
  }
  auto view() { return wkv::kv_view{keys, values, positions.data()}; }
};

template <class Element, class KeyKind, class ValueKind>
void check_every_way(random_source& random) {
  constexpr int g = Element::granularity;
  int const tokens = g * random.between(3, 60 / g);
  int const suffix = g * random.between(1, 2);
  int const window = g * random.between(1, 9 / g);
  int const heads = random.between(1, 3);
  int const key_units = random.between(1, 8);
  int const value_units = random.between(1, 8);
  int const capacity = tokens + random.below(7);
  using cache_type = any_cache<Element, KeyKind, ValueKind>;
  cache_type cache(random, capacity, heads, key_units, value_units);
  chosen_slots by_score(random, tokens, suffix, window, random.between(suffix, tokens), heads);
  ints const kept = by_score.slots();
  CAPTURE(tokens, suffix, window, heads, key_units, value_units, capacity, kept);
  std::vector<bytes> const before = cache.model.contents();
  ints const positions = cache.positions;

  // A copy into other memory, with the layouts of keys and values exchanged.
  any_cache<Element, ValueKind, KeyKind> to(random, static_cast<int>(kept.size()) + random.below(5), heads,
                                            key_units, value_units);
  std::vector<bytes> const to_before = to.model.contents();
  REQUIRE(message(wkv::compact_copy(serial, {kept.data(), static_cast<int>(kept.size())}, cache.view(),
                                    to.view())) == "ok");
  CHECK(to.model.contents() == cache.model.copied(before, to.model, to_before, kept));
  CHECK(cache.model.contents() == before);
  for (std::size_t i = 0; i < kept.size(); ++i) REQUIRE(to.positions[i] == 1000 + 3 * kept[i]);

  // A mover of the engine's own, from a list of runs.
  std::vector<bytes> by_moves = before;
  std::vector<wkv::slot_move> moves(kept.size());
  auto const count = wkv::list_moves({kept.data(), static_cast<int>(kept.size())}, moves.data(),
                                     static_cast<int>(moves.size()));
  REQUIRE(message(count) == "ok");
  moves.resize(static_cast<std::size_t>(*count));
  for (wkv::slot_move const& move : moves) {
    for (part const& p : cache.model.parts) {
      for (int i = 0; i < move.count; i += p.tokens_per_row) {
        for (int h = 0; h < p.heads; ++h) {
          for (int u = 0; u < p.units; ++u) {
            std::memcpy(by_moves[p.arena].data() + p.offset((move.to + i) / p.tokens_per_row, h, u),
                        by_moves[p.arena].data() + p.offset((move.from + i) / p.tokens_per_row, h, u),
                        p.element_bytes);
          }
        }
      }
    }
  }
  CHECK(by_moves == cache.model.moved(before, kept));

  // The same as pieces of memory.
  std::vector<std::vector<unsigned char>> const saved = cache.model.contents();
  auto const move_bytes = [](void const* from, void* at, std::size_t size) { std::memmove(at, from, size); };
  REQUIRE(message(wkv::for_each_byte_move({kept.data(), static_cast<int>(kept.size())}, cache.view(),
                                          move_bytes)) == "ok");
  CHECK(cache.model.contents() == cache.model.moved(before, kept));
  for (std::size_t i = 0; i < saved.size(); ++i) *cache.model.arenas[i].memory = saved[i];

  // In place, by the library.
  REQUIRE(message(wkv::compact(serial, by_score.run, 0, by_score.chosen, cache.view())) == "ok");
  CHECK(cache.model.contents() == cache.model.moved(before, kept));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    REQUIRE(cache.positions[i] == (i < kept.size() ? 1000 + 3 * kept[i] : positions[i]));
  }
}

template <class Element>
void check_all_layouts(unsigned seed) {
  random_source random(seed);
  for (int i = 0; i < 12; ++i) {
    check_every_way<Element, dense_kind<order::slot_head_dim>, dense_kind<order::head_dim_slot>>(random);
    check_every_way<Element, dense_kind<order::head_slot_dim>, dense_kind<order::padded>>(random);
    check_every_way<Element, paged_kind<std::int32_t, false>, paged_kind<std::int64_t, true>>(random);
    check_every_way<Element, packed_kind, listed_kind>(random);
    check_every_way<Element, pointer_kind, dense_kind<order::slot_head_dim>>(random);
  }
}

/// Windows that are pages: the table alone changes, and every kept row is found where it should be.
template <class Kind>
void check_page_edit(random_source& random) {
  using index = typename std::decay_t<decltype(Kind{}.table)>::value_type;
  Kind kind;
  kind.page_size = random.between(1, 9);
  int const page = kind.page_size;
  int const tokens = random.between(2, 80);
  int const suffix = random.between(1, tokens);
  int const review = tokens - suffix;
  std::vector<wkv::token_range> const tail{wkv::shared_tail(review, page)};
  chosen_slots by_score(random, tokens, suffix, page,
                        random.between(std::min(suffix + page - 1, tokens), tokens), 2, tail);
  ints const kept = by_score.slots();
  cache_model model;
  auto keys = kind.template make<wkv::bfloat16>(model, random, {tokens, 2, 4, 4});
  std::vector<bytes> const before = model.contents();
  std::vector<index> const table = kind.table;
  std::vector<index> freed(table.size());
  std::int64_t const pool = keys.layout.pool_pages;
  CAPTURE(tokens, suffix, page, kept);
  auto const edit =
      wkv::edit_page_table<index>({kept.data(), static_cast<int>(kept.size())}, tokens,
                                  {kind.table.data(), static_cast<int>(table.size()), page, pool, nullptr},
                                  {freed.data(), static_cast<int>(freed.size()), nullptr, 0, nullptr, 0});
  REQUIRE(message(edit) == "ok");
  CHECK(edit->length == static_cast<int>(kept.size()));
  CHECK(edit->pages + edit->freed == static_cast<int>(table.size()));
  keys.slots = edit->length;
  keys.layout.entries = edit->count;
  REQUIRE(message(wkv::detail::validate_plane(keys, wkv::detail::key_names)) == "ok");
  part const& where = model.parts[0];
  for (int i = 0; i < edit->length; ++i) {
    for (int h = 0; h < 2; ++h) {
      for (int u = 0; u < 4; ++u) {
        REQUIRE(std::memcmp(keys.address(i, h, u),
                            before[0].data() + where.offset(kept[static_cast<std::size_t>(i)], h, u),
                            2) == 0);
      }
    }
  }
  CHECK(model.contents() == before);  // not one byte of the pool
  std::vector<index> all(kind.table.begin(), kind.table.begin() + edit->count);
  all.insert(all.end(), freed.begin(), freed.begin() + edit->freed);
  CHECK(std::is_permutation(all.begin(), all.end(), table.begin(), table.end()));
}

}  // namespace

TEST_CASE("windows of whole pages are evicted by the page table alone", "[any_cache][pages]") {
  random_source random(3);
  for (int i = 0; i < 60; ++i) {
    check_page_edit<paged_kind<std::int32_t, false>>(random);
    check_page_edit<paged_kind<std::int64_t, true>>(random);
    check_page_edit<packed_kind>(random);
  }
}

TEMPLATE_TEST_CASE("any cache, every way to apply a selection", "[any_cache]", plain_element<float>,
                   plain_element<wkv::bfloat16>, plain_element<wkv::opaque<7>>,
                   plain_element<wkv::q8_0_block>, plain_element<wkv::q4_0_block>, scaled_fp8) {
  check_all_layouts<TestType>(1);
}

TEMPLATE_TEST_CASE("any cache with scales of its own, every way to apply a selection", "[any_cache]",
                   (token_scaled<std::int8_t, true>), (token_scaled<wkv::int4_pair, false>),
                   channel_scaled<2>, channel_scaled<3>) {
  check_all_layouts<TestType>(2);
}
