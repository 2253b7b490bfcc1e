// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// windowkv_plan, and structs that are older or newer than the library.

#include <windowkv/version.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "model.hpp"
#include "tests.hpp"

#if __has_include(<dlpack/dlpack.h>)
#include <dlpack/dlpack.h>
static_assert(sizeof(DLTensor) == sizeof(windowkv_tensor));
static_assert(offsetof(DLTensor, byte_offset) == offsetof(windowkv_tensor, byte_offset));
#endif

// What DLPack promises on 64-bit platforms, and the Python module repeats.
static_assert(sizeof(void*) != 8 ||
              (sizeof(windowkv_tensor) == 48 && offsetof(windowkv_tensor, device) == 8 &&
               offsetof(windowkv_tensor, ndim) == 16 && offsetof(windowkv_tensor, dtype) == 20 &&
               offsetof(windowkv_tensor, shape) == 24 && offsetof(windowkv_tensor, strides) == 32 &&
               offsetof(windowkv_tensor, byte_offset) == 40));
static_assert(std::is_standard_layout_v<windowkv_tensor>);

namespace c_test {
namespace {

struct planned {
  std::int32_t suffix = -5;
  std::vector<std::uint8_t> needs_queries;
  std::vector<std::int32_t> max_kept;
  std::string error;
  std::int32_t code = -1;
};

planned plan(windowkv_options options, std::int32_t layers, std::int32_t tokens,
             std::uint8_t const* evictable = nullptr) {
  options.size = sizeof options;
  planned out;
  out.needs_queries.assign(8, 9);
  out.max_kept.assign(8, 9);
  char text[256] = "";
  out.code = windowkv_plan(&options, layers, tokens, evictable, &out.suffix, out.needs_queries.data(),
                           out.max_kept.data(), text, sizeof text);
  out.error = text;
  return out;
}

using flags = std::vector<std::uint8_t>;
using counts = std::vector<std::int32_t>;

template <class Struct>
struct larger {
  Struct known;
  std::uint64_t later = 0;
};

}  // namespace

void test_plan() {
  windowkv_options options{};
  options.budget = 100;
  options.layers_per_group = 2;
  planned const by_default = plan(options, 4, 1000);
  expect_number(by_default.code, windowkv_ok, by_default.error);
  expect_number(by_default.suffix, 8, "suffix of the default method");
  expect(by_default.needs_queries == flags{1, 1, 1, 1, 9, 9, 9, 9}, "every layer votes");
  expect(by_default.max_kept[0] + by_default.max_kept[2] == 200 && by_default.max_kept[0] > 100 &&
             by_default.max_kept[0] == by_default.max_kept[1] && by_default.max_kept[4] == 9,
         "the budget is exact, in the paper's shape");

  options.method = windowkv_method_paper;
  planned const paper = plan(options, 4, 1000);
  expect_number(paper.suffix, 32, "suffix of the paper's method");
  expect(paper.needs_queries == flags{1, 0, 1, 0, 9, 9, 9, 9}, "the first layer leads");
  expect(paper.max_kept[2] >= 14 + 32 && paper.max_kept[2] <= 14 + 32 + 7,
         "floor(100 * 2 / 14) and the suffix");
  options.suffix = 5;
  expect_number(plan(options, 4, 1000).suffix, 5, "suffix as asked for");
  expect_number(plan(options, 4, 3).suffix, 3, "suffix of a short prompt");
  options.task = windowkv_task_aggregation;
  options.suffix = 0;
  expect_number(plan(options, 4, 1000).suffix, 16, "suffix of the paper's aggregation");

  planned const short_prompt = plan({}, 4, 1000);  // the default budget is 1024
  expect(short_prompt.needs_queries == flags{0, 0, 0, 0, 9, 9, 9, 9}, "nothing is scored when all stays");
  expect(short_prompt.max_kept == counts{1000, 1000, 1000, 1000, 9, 9, 9, 9}, "all stays");

  std::uint8_t const evictable[] = {1, 0, 1, 1};
  planned const hybrid = plan({0, 0, 0, 0, 0, 100, 0, 2, 0, 0}, 4, 1000, evictable);
  expect(hybrid.needs_queries == flags{1, 0, 1, 1, 9, 9, 9, 9}, "a layer that is not evicted is not scored");
  expect_number(hybrid.max_kept[1], 1000, "a layer that is not evicted");

  planned const refused = plan({}, 0, 1000);
  expect_number(refused.code, windowkv_invalid_argument, "no layers");
  expect_text(refused.error, "model_shape.layers: got 0, must be at least 1");
  expect_number(refused.suffix, -5, "nothing is written by a plan that is refused");
  expect_text(plan({}, 257, 1000).error, "model_shape.layers: got 257, must be at most 256");
  expect_text(plan({}, 4, 0).error, "prompt.tokens: got 0, must be at least 1");
  expect_number(windowkv_plan(&options, 4, 10, nullptr, nullptr, nullptr, nullptr, nullptr, 0),
                windowkv_invalid_argument, "options.size is 0 here");
  options.size = sizeof options;
  expect_number(windowkv_plan(&options, 4, 10, nullptr, nullptr, nullptr, nullptr, nullptr, 0), windowkv_ok,
                "nothing is wanted");
}

void test_structs() {
  expect_number(windowkv_version(), WINDOWKV_VERSION, "version");
  model const m;
  using call = batch_call<float>;
  call full(m);
  full.options.threads = 0;
  expect_number(full.run(), windowkv_ok, full.error);

  call older(m);  // written before there were threads
  older.options.size = offsetof(windowkv_options, threads);
  older.options.threads = -77;
  expect_number(older.run(), windowkv_ok, "older options: " + older.error);
  expect(older.positions == full.positions, "older options");

  call oldest(m);  // a report of lengths only
  oldest.report.size = offsetof(windowkv_report, positions);
  expect_number(oldest.run(), windowkv_ok, "older report: " + oldest.error);
  expect(oldest.lengths == full.lengths, "older report");
  expect(oldest.positions == call(m).positions, "an older report's memory ends before the positions");
  expect_number(oldest.report.bytes_before, -5, "an older report's memory ends before the bytes");

  call base(m);
  larger<windowkv_options> newer{base.options};
  newer.known.size = sizeof newer;
  char text[256] = "";
  auto const run = [&] {
    return windowkv_compress(&newer.known, &base.cache, &base.report, text, sizeof text);
  };
  newer.later = 1;
  expect_number(run(), windowkv_unsupported, "options of the future");
  expect_text(text, "options: got " + std::to_string(sizeof newer) +
                        ", bytes, of which this version knows only " +
                        std::to_string(sizeof(windowkv_options)));
  newer.later = 0;
  expect_number(run(), windowkv_ok, "options of the future that are zero");

  call bad(m);
  bad.options.size = 3;
  expect_number(bad.run(), windowkv_invalid_argument, "size 3");
  expect_text(bad.error, "options: got 3, bytes (its size), must be at least 4");
  bad.options.size = sizeof bad.options;
  bad.cache.size = 0;
  expect_number(bad.run(), windowkv_invalid_argument, "cache of size 0");
  expect_text(bad.error, "cache: got 0, bytes (its size), must be at least 4");
  expect_number(windowkv_compress(nullptr, &bad.cache, &bad.report, text, sizeof text),
                windowkv_invalid_argument, "null");
  expect_text(text, "options: must not be null");
  bad.cache.size = sizeof bad.cache;
  expect_number(windowkv_compress(&bad.options, &bad.cache, nullptr, text, sizeof text),
                windowkv_invalid_argument, "null");
  expect_text(text, "report: must not be null");
}

}  // namespace c_test
