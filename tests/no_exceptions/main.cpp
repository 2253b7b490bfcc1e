// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Built with -fno-exceptions -fno-rtti: a whole compression, and refusals, as values. Returns the failures.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "windowkv/windowkv.hpp"

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this test means nothing with exceptions or RTTI"
#endif

namespace {

namespace wkv = windowkv;

int failures = 0;

void check(bool holds, char const* what) {
  if (holds) return;
  std::printf("failed: %s\n", what);
  ++failures;
}

constexpr wkv::model_shape shape{4, 4, 2, 8};
constexpr int tokens = 100;
constexpr int rows = 16;
constexpr int kept = 40;

/// Memory of all layers: queries [row][head][dim], keys and values [token][head][dim].
struct cache {
  std::vector<float> queries = std::vector<float>(4 * rows * 4 * 8);
  std::vector<float> keys = std::vector<float>(4 * tokens * 2 * 8);
  std::vector<float> values = keys;

  cache() {
    std::uint32_t state = 1;
    for (auto* part : {&queries, &keys, &values}) {
      for (float& x : *part) {
        state = state * 1664525u + 1013904223u;
        x = static_cast<float>(state >> 8) / (1 << 23) - 1.f;
      }
    }
  }
  auto queries_of(int layer) {
    return wkv::suffix_queries{wkv::slot_head_dim(queries.data() + layer * rows * 32, rows, 4, 8)};
  }
  auto kv_of(int layer) {
    return wkv::kv_view{wkv::slot_head_dim(keys.data() + layer * tokens * 16, tokens, 2, 8),
                        wkv::slot_head_dim(values.data() + layer * tokens * 16, tokens, 2, 8)};
  }
};

wkv::status compress_whole(cache& c, wkv::workspace const& memory) {
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(wkv::default_method(2).with_budget(kept), shape, {tokens}));
  check(plan.workspace_bytes <= memory.bytes, "the workspace is large enough");
  WINDOWKV_TRY_ASSIGN(report, wkv::compress(
                                  wkv::host_executor<>{}, plan, memory,
                                  [&](int l) { return c.queries_of(l); }, [&](int l) { return c.kv_of(l); }));
  check(report.tokens_after() == 4 * kept, "the report counts the kept tokens");
  std::vector<float> const original = cache().keys;
  for (int l = 0; l < 4; ++l) {
    wkv::selection const& chosen = report.group[report.layer[l].group];
    for (int i = 0; i < chosen.kept; ++i) {
      check(std::memcmp(c.keys.data() + (l * tokens + i) * 16,
                        original.data() + (l * tokens + chosen.slots[i]) * 16, 16 * sizeof(float)) == 0,
            "every kept row is where it should be");
    }
  }
  return {};
}

wkv::status_code code_of(wkv::status const& s) { return s.code(); }

}  // namespace

int main() {
  cache c;
  std::vector<unsigned char> bytes(1 << 20);
  auto const address = reinterpret_cast<std::uintptr_t>(bytes.data());
  wkv::workspace memory{bytes.data() + (64 - address % 64) % 64, bytes.size() - 64};
  check(compress_whole(c, memory).ok(), "a whole compression");

  auto const method = wkv::default_method(2).with_budget(kept);
  check(code_of(wkv::make_plan(method, {0, 4, 2, 8}, {tokens}).error()) == wkv::status_code::invalid_argument,
        "a model without layers is refused");
  wkv::status const budget = wkv::make_plan(method.with_budget(-3), shape, {tokens}).error();
  check(std::strcmp(budget.message().c_str(), "budget (tokens per layer): got -3, must be at least 1") == 0,
        "a refusal names the parameter and the numbers");
  auto const plan = wkv::make_plan(method, shape, {tokens});
  check(plan.ok(), "a plan");
  auto const compress = [&](wkv::workspace const& scratch, int query_rows) {
    return wkv::compress(
               wkv::host_executor<>{}, *plan, scratch,
               [&](int l) {
                 auto queries = c.queries_of(l);
                 queries.queries.slots = query_rows;
                 return queries;
               },
               [&](int l) { return c.kv_of(l); })
        .error();
  };
  check(code_of(compress({memory.data, 64}, rows)) == wkv::status_code::insufficient_workspace,
        "a small workspace");
  check(code_of(compress({bytes.data() + 1 + (64 - address % 64) % 64, memory.bytes}, rows)) ==
            wkv::status_code::misaligned,
        "a misaligned workspace");
  check(code_of(compress(memory, plan->suffix - 1)) == wkv::status_code::insufficient_queries,
        "too few queries");
  auto run = wkv::begin(*plan, memory);
  check(run.ok(), "begin");
  check(code_of(wkv::select(wkv::host_executor<>{}, *run, 0).error()) == wkv::status_code::wrong_order,
        "selecting before scoring");
  return failures;
}
