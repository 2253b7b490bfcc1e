// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A paged cache, as servers keep it: windows are pages, so that eviction edits the page table and moves
// nothing. Pages that another sequence holds too are only let go. Then attention over what is left is
// compared with attention over everything with the evicted tokens hidden.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr wkv::model_shape shape{1, 4, 2, 32};  // one layer: L, Hq, Hkv, D
constexpr int n_tokens = 1000;
constexpr int page_size = 16;
constexpr int pool_pages = 100;
constexpr int suffix = 16;

/// Pools of [page][slot][head][dim], one sequence's pages, and who else holds them.
struct paged_engine {
  std::vector<float> keys, values, queries;
  std::vector<std::int32_t> table, references;

  paged_engine() {
    std::mt19937 random{1};
    std::normal_distribution<float> normal;
    for (auto* memory : {&keys, &values}) {
      memory->resize(std::size_t{pool_pages} * page_size * 2 * 32);
      for (float& x : *memory) x = normal(random);
    }
    queries.resize(std::size_t{suffix} * 4 * 32);
    for (float& x : queries) x = normal(random);
    for (int i = 0; i < pool_pages; ++i) table.push_back(i);
    std::shuffle(table.begin(), table.end(), random);
    table.resize(std::size_t(wkv::page_count(n_tokens, page_size)));
    references.assign(pool_pages, 1);
    for (int i = 0; i < 8; ++i) references[std::size_t(table[std::size_t(i)])] = 2;  // a shared prefix
  }
  auto view(int slots) {
    auto const entries = static_cast<int>(table.size());
    return wkv::kv_view{
        wkv::paged(keys.data(), pool_pages, page_size, 2, 32, table.data(), entries, slots),
        wkv::paged(values.data(), pool_pages, page_size, 2, 32, table.data(), entries, slots)};
  }
};

/// What query head 0 of the last token attends to: the weighted values of the listed slots.
template <class View>
std::vector<double> attend(paged_engine const& engine, View const& kv, std::vector<int> const& slots) {
  float const* const query = engine.queries.data() + std::ptrdiff_t{suffix - 1} * 4 * 32;
  std::vector<double> out(32);
  double sum = 0;
  for (int slot : slots) {
    double dot = 0;
    for (int d = 0; d < 32; ++d) dot += double(query[d]) * double(kv.keys.load(slot, 0, d));
    double const weight = std::exp(dot / std::sqrt(32.0));
    sum += weight;
    for (int d = 0; d < 32; ++d) out[std::size_t(d)] += weight * double(kv.values.load(slot, 0, d));
  }
  for (double& x : out) x /= sum;
  return out;
}

wkv::status evict_pages(paged_engine& engine) {
  wkv::token_range const tail = wkv::shared_tail(n_tokens - suffix, page_size);
  auto const method = wkv::default_method()
                          .with_localization(wkv::paper_method(page_size).localization)
                          .with_suffix(suffix)
                          .with_budget(200)
                          .with_selector(wkv::top_windows{wkv::fill::within_budget, 4, &tail, 1});
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, wkv::prompt{n_tokens, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  wkv::host_executor const on;
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(plan, memory.get()));
  wkv::suffix_queries const queries{wkv::slot_head_dim(engine.queries.data(), suffix, 4, 32)};
  WINDOWKV_TRY(wkv::score(on, run, 0, queries, engine.view(n_tokens).keys));
  WINDOWKV_TRY_ASSIGN(chosen, wkv::select(on, run, 0));
  auto const before = attend(engine, engine.view(n_tokens), {chosen.slots, chosen.slots + chosen.kept});

  auto const entries = static_cast<int>(engine.table.size());
  std::vector<std::int32_t> freed(engine.table.size());
  std::vector<std::int32_t> released(engine.table.size());
  WINDOWKV_TRY_ASSIGN(edit,
                      wkv::edit_page_table<std::int32_t>(
                          {chosen.slots, chosen.kept}, n_tokens,
                          {engine.table.data(), entries, page_size, pool_pages, engine.references.data()},
                          {freed.data(), entries, released.data(), entries, nullptr, 0}));
  engine.table.resize(std::size_t(edit.count));
  for (int i = 0; i < edit.released; ++i) --engine.references[std::size_t(released[std::size_t(i)])];

  std::vector<int> all(std::size_t(edit.length));
  for (int i = 0; i < edit.length; ++i) all[std::size_t(i)] = i;
  auto const after = attend(engine, engine.view(edit.length), all);
  std::printf("%d of %d tokens stay, in %d pages; %d pages freed, %d let go to their other holder\n",
              edit.length, n_tokens, edit.pages, edit.freed, edit.released);
  std::printf(
      "attention after the edit %s attention with the evicted tokens hidden; the next token's position is "
      "%d\n",
      after == before ? "equals" : "DIFFERS FROM", n_tokens);
  if (after == before) return {};
  return wkv::status::failure(wkv::status_code::invalid_argument, "attention", "must not change");
}

}  // namespace

int main() {
  paged_engine engine;
  wkv::status const done = evict_pages(engine);
  if (!done) std::printf("%s\n", done.message().c_str());
  return done ? 0 : 1;
}
