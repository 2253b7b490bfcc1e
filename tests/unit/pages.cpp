// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/core/pages.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/core/lengths.hpp"

namespace {

using wkv::partial_pages;
using wkv_test::message;
using wkv_test::range;
using wkv_test::operator+;  // of lists
using ints = std::vector<std::int32_t>;

wkv::slot_list list(ints const& slots) { return {slots.data(), static_cast<int>(slots.size())}; }

/// A sequence's table with buffers of the documented sizes, and what they held before.
template <class Index>
struct paged_sequence {
  using table_type = wkv::editable_page_table<Index>;
  static constexpr Index blank = -77;

  int tokens;
  int page_size;
  std::vector<Index> entries;
  ints references;
  std::vector<Index> freed;
  std::vector<Index> released;
  ints slots;
  std::int64_t pool_pages = 100;

  paged_sequence(int n, int page, std::vector<Index> listed, ints holders = {})
      : tokens(n),
        page_size(page),
        entries(std::move(listed)),
        references(std::move(holders)),
        freed(static_cast<std::size_t>(wkv::page_count(n, page)), blank),
        released(freed),
        slots(static_cast<std::size_t>(n), -77) {}

  table_type table() {
    return {entries.data(), static_cast<int>(entries.size()), page_size, pool_pages,
            references.empty() ? nullptr : references.data()};
  }
  wkv::page_edit_buffers<Index> buffers() {
    return {freed.data(), static_cast<int>(freed.size()), released.data(), static_cast<int>(released.size()),
            slots.data(), static_cast<int>(slots.size())};
  }
  auto edit(ints const& kept, partial_pages partial = partial_pages::refuse) {
    return wkv::edit_page_table(list(kept), tokens, table(), buffers(), partial);
  }
  bool operator==(paged_sequence const& other) const {
    return entries == other.entries && freed == other.freed && released == other.released &&
           slots == other.slots;
  }
};

template <class T>
std::vector<T> head(std::vector<T> const& all, int count) {
  return {all.begin(), all.begin() + count};
}

/// The text of a refused edit, which must have written nothing.
template <class Index, class Change>
std::string problem(paged_sequence<Index> sequence, ints const& kept, Change change,
                    partial_pages partial = partial_pages::refuse) {
  auto const before = sequence;
  auto table = sequence.table();
  auto buffers = sequence.buffers();
  int tokens = sequence.tokens;
  change(table, buffers, tokens);
  auto const edit = wkv::edit_page_table(list(kept), tokens, table, buffers, partial);
  CHECK_FALSE(edit.ok());
  CHECK(sequence == before);
  return message(edit);
}
auto const unchanged = [](auto&, auto&, int&) {};

ints random_slots(wkv_test::random_source& random, int tokens, int page_size, bool whole_pages) {
  int const share = random.between(0, 10);
  ints kept;
  for (int begin = 0; begin < tokens; begin += page_size) {
    bool const keeps_page = random.below(10) < share;
    for (int slot = begin; slot < tokens && slot - begin < page_size; ++slot) {
      if (whole_pages ? keeps_page : keeps_page && random.below(3) > 0) kept.push_back(slot);
    }
  }
  return kept;
}

}  // namespace

TEST_CASE("pages and the tail that shares one with the suffix", "[pages]") {
  CHECK(wkv::page_count(0, 16) == 0);
  CHECK(wkv::page_count(1, 16) == 1);
  CHECK(wkv::page_count(16, 16) == 1);
  CHECK(wkv::page_count(17, 16) == 2);
  CHECK(wkv::page_count(5, 1) == 5);
  CHECK(wkv::page_count(INT32_MAX, 1) == INT32_MAX);
  CHECK(wkv::page_count(INT32_MAX, INT32_MAX - 1) == 2);
  auto const tail = [](int review, int page_size) {
    wkv::token_range const r = wkv::shared_tail(review, page_size);
    return ints{r.begin, r.end};
  };
  CHECK(tail(0, 16) == ints{0, 0});
  CHECK(tail(32, 16) == ints{32, 32});  // the suffix starts a page
  CHECK(tail(35, 16) == ints{32, 35});
  CHECK(tail(7, 16) == ints{0, 7});
  CHECK(tail(7, 1) == ints{7, 7});
}

TEMPLATE_TEST_CASE("whole pages leave the table", "[pages]", std::int32_t, std::int64_t) {
  using pages = std::vector<TestType>;
  // 14 tokens in pages of 4, so 2 in the last; two reserved pages.
  paged_sequence<TestType> sequence(14, 4, {9, 3, 7, 5, 21, 20});
  auto const edit = sequence.edit(range(0, 4) + range(12, 14));
  REQUIRE(edit);
  CHECK(edit->count == 4);
  CHECK(edit->pages == 2);
  CHECK(edit->freed == 2);
  CHECK(edit->released == 0);
  CHECK(edit->length == 6);
  CHECK(edit->extra == 0);
  CHECK(head(sequence.entries, 4) == pages{9, 5, 21, 20});
  CHECK(head(sequence.freed, 2) == pages{3, 7});
  CHECK(sequence.slots == ints(14, -77));
}

TEMPLATE_TEST_CASE("shared pages are released, not freed", "[pages]", std::int32_t, std::int64_t) {
  using pages = std::vector<TestType>;
  paged_sequence<TestType> sequence(16, 4, {4, 1, 0, 3}, {1, 2, 7, 1, 3});
  sequence.pool_pages = 5;
  auto const edit = sequence.edit(range(12, 16));
  REQUIRE(edit);
  CHECK(edit->count == 1);
  CHECK(edit->length == 4);
  CHECK(head(sequence.entries, 1) == pages{3});
  CHECK(edit->freed == 1);
  CHECK(head(sequence.freed, 1) == pages{0});
  CHECK(edit->released == 2);
  CHECK(head(sequence.released, 2) == pages{4, 1});
  CHECK(sequence.references == ints{1, 2, 7, 1, 3});
}

TEMPLATE_TEST_CASE("edges of a page-table edit", "[pages]", std::int32_t, std::int64_t) {
  using sequence_type = paged_sequence<TestType>;
  using pages = std::vector<TestType>;
  auto const check = [](sequence_type sequence, ints const& kept, pages const& left, pages const& freed,
                        int length) {
    auto const edit = sequence.edit(kept);
    REQUIRE(edit);
    CHECK(head(sequence.entries, edit->count) == left);
    CHECK(head(sequence.freed, edit->freed) == freed);
    CHECK(edit->length == length);
    CHECK(edit->pages == wkv::page_count(length, sequence.page_size));
  };
  check({0, 4, {}}, {}, {}, {}, 0);
  check({0, 4, {8}}, {}, {8}, {}, 0);                     // a reserved page alone
  check({3, 4, {8}}, {}, {}, {8}, 0);                     // one page, larger than the tokens
  check({3, 4, {8, 9}}, range(0, 3), {8, 9}, {}, 3);      // kept whole with the tokens it holds
  check({8, 4, {8, 2}}, range(0, 8), {8, 2}, {}, 8);      // everything
  check({9, 4, {8, 2, 5}}, range(0, 8), {8, 2}, {5}, 8);  // the last, partial page goes
  check({9, 4, {8, 2, 5}}, {8}, {5}, {8, 2}, 1);          // only it stays
  check({3, 1, {6, 2, 4}}, {1}, {2}, {6, 4}, 1);          // pages of one token: a slot list
  check({5, INT32_MAX, {1}}, range(0, 5), {1}, {}, 5);    // no overflow
  check({8, 4, {0, 99}}, range(4, 8), {99}, {0}, 4);      // the ends of the pool
}

TEMPLATE_TEST_CASE("a page of which a part is kept is refused, or kept whole", "[pages]", std::int32_t,
                   std::int64_t) {
  using pages = std::vector<TestType>;
  paged_sequence<TestType> sequence(14, 4, {9, 3, 7, 5, 21}, ints(100, 1));
  CHECK(problem(sequence, {4, 5, 6, 7, 9}, unchanged) ==
        "slot_list (whole pages): kept tokens of a page: got 1, must be all or none; page of the table: 2");
  CHECK(problem(sequence, {0, 1, 2, 12, 13}, unchanged) ==
        "slot_list (whole pages): kept tokens of a page: got 3, must be all or none; page of the table: 0");
  CHECK(problem(sequence, {13}, unchanged) ==
        "slot_list (whole pages): kept tokens of a page: got 1, must be all or none; page of the table: 3");

  auto const edit = sequence.edit({4, 5, 6, 7, 9, 13}, partial_pages::keep_whole);
  REQUIRE(edit);
  CHECK(edit->count == 4);
  CHECK(edit->pages == 3);
  CHECK(edit->length == 10);
  CHECK(edit->extra == 4);
  CHECK(head(sequence.slots, edit->length) == range(4, 14));
  CHECK(head(sequence.entries, 4) == pages{3, 7, 5, 21});
  CHECK(head(sequence.freed, edit->freed) == pages{9});
}

TEMPLATE_TEST_CASE("page-table edits do what they say, over many tables", "[pages]", std::int32_t,
                   std::int64_t) {
  wkv_test::random_source random(1);
  for (int i = 0; i < 600; ++i) {
    int const tokens = random.between(0, 60);
    int const page_size = random.between(1, 20);
    bool const whole = random.below(2) == 0;
    bool const counts_holders = random.below(3) > 0;
    int const used = wkv::page_count(tokens, page_size);
    std::vector<TestType> listed;
    ints const order = [&] {
      ints all = range(0, 100);
      for (int k = 99; k > 0; --k)
        std::swap(all[static_cast<std::size_t>(k)], all[static_cast<std::size_t>(random.below(k + 1))]);
      return all;
    }();
    for (int k = 0; k < used + random.below(4); ++k) listed.push_back(order[static_cast<std::size_t>(k)]);
    ints holders;
    for (int k = 0; counts_holders && k < 100; ++k) holders.push_back(random.between(1, 3));
    ints const kept = random_slots(random, tokens, page_size, whole);
    CAPTURE(i, tokens, page_size, kept);

    // The model: what each kept page holds, as (page, slot) pairs.
    auto const is_kept = [&](int slot) { return std::find(kept.begin(), kept.end(), slot) != kept.end(); };
    std::vector<TestType> left, freed, released;
    ints staying;
    int cut = -1;
    for (int page = 0; page < used; ++page) {
      ints const slots = range(page * page_size, std::min(tokens, (page + 1) * page_size));
      auto const count = std::count_if(slots.begin(), slots.end(), is_kept);
      TestType const entry = listed[static_cast<std::size_t>(page)];
      bool const is_shared = counts_holders && holders[static_cast<std::size_t>(entry)] > 1;
      if (count == 0) {
        (is_shared ? released : freed).push_back(entry);
        continue;
      }
      if (cut < 0 && count < static_cast<std::ptrdiff_t>(slots.size())) cut = page;
      left.push_back(entry);
      staying = staying + slots;
    }
    int const pages_left = static_cast<int>(left.size());
    left.insert(left.end(), listed.begin() + used, listed.end());

    paged_sequence<TestType> exact(tokens, page_size, listed, holders);
    auto const edit = exact.edit(kept);
    CHECK(edit.ok() == (cut < 0));
    if (cut >= 0) {
      CHECK(edit.error().limit() == cut);
      CHECK(exact == paged_sequence<TestType>(tokens, page_size, listed, holders));
    } else {
      CHECK(head(exact.entries, edit->count) == left);
      CHECK(head(exact.freed, edit->freed) == freed);
      CHECK(head(exact.released, edit->released) == released);
      CHECK(edit->pages == pages_left);
      CHECK(edit->length == static_cast<int>(kept.size()));
      CHECK(edit->extra == 0);
    }

    paged_sequence<TestType> rounded(tokens, page_size, listed, holders);
    auto const more = rounded.edit(kept, partial_pages::keep_whole);
    REQUIRE(more);
    CHECK(head(rounded.entries, more->count) == left);
    CHECK(head(rounded.freed, more->freed) == freed);
    CHECK(head(rounded.released, more->released) == released);
    CHECK(head(rounded.slots, more->length) == staying);
    CHECK(more->pages == pages_left);
    CHECK(more->extra == more->length - static_cast<int>(kept.size()));
    // What makes it an eviction without a move: the new slot i is the old slot slots[i], in its old place.
    for (int slot = 0; slot < more->length; ++slot) {
      int const old = rounded.slots[static_cast<std::size_t>(slot)];
      CHECK(slot % page_size == old % page_size);
      CHECK(rounded.entries[static_cast<std::size_t>(slot / page_size)] ==
            listed[static_cast<std::size_t>(old / page_size)]);
    }
  }
}

TEMPLATE_TEST_CASE("bad tables are refused and nothing is written", "[pages]", std::int32_t, std::int64_t) {
  paged_sequence<TestType> const good(14, 4, {9, 3, 7, 5, 21}, ints(100, 1));
  ints const kept = range(4, 8);
  CHECK(problem(good, kept, [](auto&, auto&, int& tokens) { tokens = -1; }) ==
        "tokens: got -1, must be at least 0");
  CHECK(problem(good, kept, [](auto& table, auto&, int&) { table.page_size = 0; }) ==
        "editable_page_table.page_size: got 0, must be at least 1");
  CHECK(problem(good, kept, [](auto& table, auto&, int&) { table.count = 3; }) ==
        "editable_page_table.count (pages of the tokens): got 3, must be at least 4");
  CHECK(problem(good, {}, [](auto& table, auto&, int& tokens) { tokens = 0, table.count = -1; }) ==
        "editable_page_table.count (pages of the tokens): got -1, must be at least 0");
  CHECK(problem(good, kept, [](auto& table, auto&, int&) { table.entries = nullptr; }) ==
        "editable_page_table.entries: must not be null");
  CHECK(problem(good, kept, [](auto& table, auto&, int&) { table.pool_pages = 21; }) ==
        "page table: page: got 21, must be at most 20");
  CHECK(problem(good, kept, [](auto& table, auto&, int&) { table.pool_pages = 0; }) ==
        "editable_page_table.pool_pages: got 0, must be at least 1");
  auto const with = [&](std::size_t entry, TestType page) {
    auto changed = good;
    changed.entries[entry] = page;
    return changed;
  };
  CHECK(problem(with(1, -1), kept, unchanged) == "page table: page: got -1, must be at least 0");
  CHECK(problem(with(4, 9), kept, unchanged) ==
        "page table (a page is listed twice): page: got 9, again in entry 4");
  auto unheld = good;
  unheld.references[21] = 0;  // a reserved page is held, too
  CHECK(problem(unheld, kept, unchanged) ==
        "editable_page_table.references (of a page in the table): got 0, must be at least 1; entry of the "
        "table: 4");
}

TEST_CASE("a page listed twice is found wherever it lies", "[pages]") {
  wkv_test::random_source random(2);
  std::int64_t const far = std::int64_t{1} << 21;  // several passes of the check
  for (int i = 0; i < 60; ++i) {
    int const count = random.between(2, 40);
    std::vector<std::int64_t> listed;
    while (static_cast<int>(listed.size()) < count) {
      std::int64_t const page = (random.below(1 << 10) * far / (1 << 10)) + random.below(3);
      if (std::find(listed.begin(), listed.end(), page) == listed.end()) listed.push_back(page);
    }
    paged_sequence<std::int64_t> sequence(count, 1, listed);
    sequence.pool_pages = far + 3;
    CHECK(sequence.edit(range(0, count)).ok());
    int const from = random.below(count);
    int const to = (from + random.between(1, count - 1)) % count;
    sequence.entries[static_cast<std::size_t>(to)] = sequence.entries[static_cast<std::size_t>(from)];
    auto const refused = sequence.edit(range(0, count));
    REQUIRE_FALSE(refused.ok());
    CHECK(message(refused) == "page table (a page is listed twice): page: got " +
                                  std::to_string(sequence.entries[static_cast<std::size_t>(from)]) +
                                  ", again in entry " + std::to_string(std::max(from, to)));
  }
}

TEMPLATE_TEST_CASE("bad lists and small buffers are refused and nothing is written", "[pages]", std::int32_t,
                   std::int64_t) {
  ints holders(100, 1);
  holders[3] = 2;
  paged_sequence<TestType> const good(14, 4, {9, 3, 7, 5, 21}, holders);
  ints const kept = range(8, 12);  // drops 9, 3 (shared) and 5
  CHECK(problem(good, {1, 1}, unchanged) == "slot_list.slots (ascending): got 1, must be at least 2");
  CHECK(problem(good, {12, 13, 14}, unchanged) == "slot_list.slots: got 14, must be at most 13");
  CHECK(problem(good, kept, [](auto&, auto& out, int&) { out.freed_capacity = 1; }) ==
        "page_edit_buffers.freed_capacity: got 1, must be at least 2");
  CHECK(problem(good, kept, [](auto&, auto& out, int&) { out.released_capacity = 0; }) ==
        "page_edit_buffers.released_capacity: got 0, must be at least 1");
  CHECK(problem(good, kept, [](auto&, auto& out, int&) { out.freed = nullptr; }) ==
        "page_edit_buffers.freed: must not be null");
  CHECK(problem(good, kept, [](auto&, auto& out, int&) { out.released = nullptr; }) ==
        "page_edit_buffers.released: must not be null");
  auto const whole = partial_pages::keep_whole;
  CHECK(problem(
            good, {9, 13}, [](auto&, auto& out, int&) { out.slot_capacity = 5; }, whole) ==
        "page_edit_buffers.slot_capacity: got 5, must be at least 6");
  CHECK(problem(
            good, {9, 13}, [](auto&, auto& out, int&) { out.slots = nullptr; }, whole) ==
        "page_edit_buffers.slots: must not be null");
  // Lists without entries need no memory.
  auto all = good;
  CHECK(wkv::edit_page_table(list(range(0, 14)), 14, all.table(), {}).ok());
}

TEMPLATE_TEST_CASE("compaction in place must not write to a shared page", "[pages]", std::int32_t,
                   std::int64_t) {
  // Pages 0 and 1 of the table are a shared prefix.
  paged_sequence<TestType> sequence(14, 4, {2, 1, 0, 3}, {1, 2, 2, 1});
  sequence.pool_pages = 4;
  auto const answer = [&](ints const& kept) {
    return message(wkv::validate_pages_to_write(list(kept), sequence.tokens, sequence.table()));
  };
  std::string const into =
      "editable_page_table.references (rows would be moved into the page): got 2, must be 1; entry of the "
      "table: ";
  CHECK(answer({}) == "ok");
  CHECK(answer(range(0, 14)) == "ok");
  CHECK(answer(range(0, 5)) == "ok");                 // a cut moves nothing
  CHECK(answer(range(0, 8) + ints{10, 13}) == "ok");  // only behind the prefix
  CHECK(answer(range(0, 7) + ints{10}) == into + "1");
  CHECK(answer({10}) == into + "0");
  CHECK(answer({0, 1, 2, 3, 8, 9}) == into + "1");
  sequence.references = {1, 1, 2, 1};  // the first page: anything may move, but not into it
  CHECK(answer(range(4, 8) + range(12, 14)) == into + "0");
  sequence.references = {2, 1, 1, 2};  // the third and the fourth: read, and not written
  CHECK(answer(range(6, 14)) == "ok");
  CHECK(answer(range(5, 14)) == into + "2");
  sequence.references.clear();
  CHECK(answer({10}) == "ok");
  CHECK(answer({14}) == "slot_list.slots: got 14, must be at most 13");
  sequence.entries[3] = 2;
  CHECK(answer({}) == "page table (a page is listed twice): page: got 2, again in entry 3");
}

TEMPLATE_TEST_CASE("pages that compaction leaves unused", "[pages]", std::int32_t, std::int64_t) {
  std::vector<TestType> const table{9, 3, 7, 5, 21};
  auto const unused = [&](int page_size, int tokens_after) {
    auto const span = wkv::unused_pages(table.data(), 5, page_size, tokens_after);
    REQUIRE(span);
    CHECK(span->first + span->count == 5);
    return std::vector<TestType>(span->pages, span->pages + span->count);
  };
  CHECK(unused(4, 0) == table);
  CHECK(unused(4, 1) == std::vector<TestType>{3, 7, 5, 21});
  CHECK(unused(4, 8) == std::vector<TestType>{7, 5, 21});
  CHECK(unused(4, 9) == std::vector<TestType>{5, 21});
  CHECK(unused(4, 20).empty());
  CHECK(unused(INT32_MAX, 5) == std::vector<TestType>{3, 7, 5, 21});
  auto const none = wkv::unused_pages(static_cast<TestType const*>(nullptr), 0, 4, 0);
  CHECK((none.ok() && none->count == 0));
  auto const refused = [&](TestType const* entries, int count, int page_size, int tokens) {
    return message(wkv::unused_pages(entries, count, page_size, tokens));
  };
  CHECK(refused(table.data(), 5, 0, 1) == "unused_pages.page_size: got 0, must be at least 1");
  CHECK(refused(table.data(), 5, 4, -1) == "unused_pages.tokens_after: got -1, must be at least 0");
  CHECK(refused(table.data(), 5, 4, 21) ==
        "unused_pages.entries (pages of tokens_after): got 5, must be at least 6");
  CHECK(refused(table.data(), -1, 4, 0) ==
        "unused_pages.entries (pages of tokens_after): got -1, must be at least 0");
  CHECK(refused(nullptr, 5, 4, 8) == "unused_pages.table: must not be null");
}

TEST_CASE("windows of whole pages and a protected tail: every selection is a page-table edit", "[pages]") {
  wkv_test::random_source random(3);
  int evicting = 0;
  for (int i = 0; i < 400; ++i) {
    int const page_size = random.between(1, 16);
    int const width = page_size * random.between(1, 3);
    int const tokens = random.between(1, 200);
    int const suffix = random.between(1, 20);
    int const review = tokens - std::min(suffix, tokens);
    wkv::token_range const tail = wkv::shared_tail(review, page_size);
    auto const rule = random.below(2) == 0 ? wkv::fill::within_budget : wkv::fill::drop_whole_windows;
    auto const method = wkv::default_method(2)
                            .with_suffix(suffix)
                            .with_budget_shape(wkv::uniform_budget{})
                            .with_token_scorer(wkv::external_scores{})
                            .with_windows(wkv::fixed_windows{width})
                            .with_selector(wkv::top_windows{rule, random.below(5), &tail, 1})
                            .with_budget(suffix + width + random.below(tokens));
    wkv::model_shape const shape{4, 2, 1, 4};
    auto const plan = wkv::make_plan(method, shape, {tokens, wkv::task::localization});
    CAPTURE(i, page_size, width, tokens, suffix, message(plan));
    REQUIRE(plan);
    REQUIRE(plan->review == review);
    wkv_test::scratch const memory(plan->workspace_bytes);
    auto run = wkv::begin(*plan, memory.get());
    REQUIRE(run);
    for (int layer = 0; layer < shape.layers; ++layer) {
      std::vector<float> scores(static_cast<std::size_t>(review) + 1);
      for (float& x : scores) x = random.symmetric();
      REQUIRE(wkv::score(wkv_test::serial, *run, layer, wkv::token_scores{scores.data(), 1, review, 0}));
      if (!plan->completes_group(layer)) continue;
      auto const chosen = wkv::select(wkv_test::serial, *run, plan->layer[layer].group);
      REQUIRE(chosen);

      std::vector<std::int64_t> listed;
      int const pages = wkv::page_count(tokens, page_size);
      for (int page = 0; page < pages; ++page) listed.push_back((page * 7 + 3) % 401);
      paged_sequence<std::int64_t> sequence(tokens, page_size, listed);
      sequence.pool_pages = 401;
      auto const edit =
          wkv::edit_page_table({chosen->slots, chosen->kept}, tokens, sequence.table(), sequence.buffers());
      CAPTURE(message(edit), wkv_test::slots_of(*chosen));
      REQUIRE(edit);
      CHECK(edit->length == chosen->kept);
      CHECK(edit->pages + edit->freed == pages);
      if (chosen->kept < tokens) ++evicting;
      ints positions = range(0, tokens);
      REQUIRE(wkv::keep_positions({chosen->slots, chosen->kept}, positions.data(), tokens));
      for (int slot = 0; slot < edit->length; ++slot) {
        int const position = positions[static_cast<std::size_t>(slot)];
        CHECK(sequence.entries[static_cast<std::size_t>(slot / page_size)] ==
              listed[static_cast<std::size_t>(position / page_size)]);
        CHECK(slot % page_size == position % page_size);
      }
    }
  }
  CHECK(evicting > 100);
}

TEST_CASE("without the protected tail a selection may cut a page", "[pages]") {
  // 10 review tokens in pages of 4: the last window, tokens 8 and 9, shares its page with the suffix.
  auto const method = wkv::default_method(1)
                          .with_suffix(2)
                          .with_budget_shape(wkv::uniform_budget{})
                          .with_token_scorer(wkv::external_scores{})
                          .with_windows(wkv::fixed_windows{4})
                          .with_budget(6);
  std::vector<float> const scores{9, 9, 9, 9, 5, 5, 5, 5, 1, 1};
  auto const slots_with = [&](wkv::top_windows selector) {
    auto const plan =
        wkv::make_plan(method.with_selector(selector), {1, 2, 1, 4}, {12, wkv::task::aggregation});
    REQUIRE(plan);
    wkv_test::scratch const memory(plan->workspace_bytes);
    auto run = wkv::begin(*plan, memory.get());
    REQUIRE(run);
    REQUIRE(wkv::score(wkv_test::serial, *run, 0, wkv::token_scores{scores.data(), 1, 10, 0}));
    auto const chosen = wkv::select(wkv_test::serial, *run, 0);
    REQUIRE(chosen);
    return wkv_test::slots_of(*chosen);
  };
  paged_sequence<std::int32_t> sequence(12, 4, {2, 1, 0});
  ints const cut = slots_with({});
  CHECK(cut == ints{0, 1, 2, 3, 10, 11});
  CHECK(problem(sequence, cut, unchanged) ==
        "slot_list (whole pages): kept tokens of a page: got 2, must be all or none; page of the table: 2");
  wkv::token_range const tail = wkv::shared_tail(10, 4);
  ints const whole = slots_with({wkv::fill::within_budget, 0, &tail, 1});
  CHECK(whole == ints{8, 9, 10, 11});
  CHECK(sequence.edit(whole).ok());
}

TEST_CASE("a table of wild numbers is checked as fast as any other", "[pages]") {
  std::vector<std::int64_t> listed{INT64_MAX - 1, 0, std::int64_t{1} << 60, 5, std::int64_t{1} << 40};
  paged_sequence<std::int64_t> sequence(5, 1, listed);
  sequence.pool_pages = INT64_MAX;
  CHECK(sequence.edit(range(0, 5)).ok());
  sequence.entries[4] = INT64_MAX - 1;
  CHECK(message(sequence.edit(range(0, 5))) ==
        "page table (a page is listed twice): page: got 9223372036854775806, again in entry 4");
}
