// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the C functions refuse, in which words, and that nothing has changed then.

#include <cstdint>
#include <string>

#include "model.hpp"
#include "tests.hpp"

namespace c_test {
namespace {

/// Bends a call that would do, and wants it refused.
template <class Bend>
void expect_refusal(std::int32_t code, std::string const& text, Bend&& bend) {
  model const m;
  batch_call<float> call(m, form::gaps);
  bend(call);
  expect_number(call.run(), code, text);
  expect_text(call.error, text);
  batch_call<float> const untouched(m, form::gaps);
  for (std::size_t l = 0; l < m.keys.size(); ++l) {
    expect(is_same_memory(call.keys[l].memory(), untouched.keys[l].memory()) &&
               is_same_memory(call.values[l].memory(), untouched.values[l].memory()),
           text + ": rows have moved");
  }
  expect(call.lengths == untouched.lengths && call.positions == untouched.positions &&
             call.retained == untouched.retained && call.report.bytes_before == -5,
         text + ": a report was written");
}
using call = batch_call<float>;

void test_refused_tensors() {
  int const bad = windowkv_invalid_argument;
  expect_refusal(bad, "layer 2 keys: tensor: must not be null", [](call& c) { c.key_list[2] = nullptr; });
  expect_refusal(bad, "layer 3 values: tensor: must not be null", [](call& c) { c.value_list[3] = nullptr; });
  expect_refusal(bad, "layer 1 keys: tensor.ndim: got 3, must equal 4", [](call& c) { c.key(1).ndim = 3; });
  expect_refusal(bad, "layer 1 values: tensor.shape: must not be null",
                 [](call& c) { c.value(1).shape = nullptr; });
  expect_refusal(bad, "layer 0 values: tensor.data: must not be null",
                 [](call& c) { c.value(0).data = nullptr; });
  expect_refusal(bad, "layer 3 keys: tensor.strides (N, slots): got -19, must be at least 1",
                 [](call& c) { c.key(3).strides[2] = -19; });
  expect_refusal(bad, "layer 3 keys: tensor.strides (B, sequences): got 0, must be at least 1",
                 [](call& c) { c.key(3).strides[0] = 0; });
  expect_refusal(windowkv_misaligned,
                 "layer 2 values: tensor.data + byte_offset: got 1, bytes off an alignment of 4",
                 [](call& c) { c.value(2).byte_offset += 1; });
  expect_refusal(
      windowkv_unsupported,
      "layer 1 keys: tensor.device.device_type (host memory is wanted): got 2, must be kDLCUDAHost (3) or "
      "kDLCPU, 1",
      [](call& c) { c.key(1).device.device_type = 2; });
  expect_refusal(
      windowkv_unsupported,
      "layer 0 queries: tensor.device.device_type (host memory is wanted): got 2, must be kDLCUDAHost (3) "
      "or kDLCPU, 1",
      [](call& c) { c.query(0).device.device_type = 2; });
  expect_refusal(windowkv_unsupported,
                 "layer 0 keys: tensor.dtype: must be float32, float16 or bfloat16, one lane",
                 [](call& c) { c.key(0).dtype.bits = 64; });
}

void test_tensors_that_disagree() {
  int const bad = windowkv_invalid_argument;
  expect_refusal(bad, "layer 0 values: tensor.dtype.bits (as the keys'): got 16, must equal 32",
                 [](call& c) { c.value(0).dtype.bits = 16; });
  expect_refusal(bad, "layer 1 queries: tensor.dtype.bits (as the keys'): got 16, must equal 32",
                 [](call& c) { c.query(1).dtype.bits = 16; });
  expect_refusal(bad, "layer 2 keys: tensor.shape (B, sequences): got 1, must equal 2",
                 [](call& c) { c.key(2).shape[0] = 1; });
  expect_refusal(bad, "layer 2 values: tensor.shape (H, heads): got 1, must equal 2",
                 [](call& c) { c.value(2).shape[1] = 1; });
  expect_refusal(bad, "layer 2 values: tensor.shape (N, slots): got 89, must equal 90",
                 [](call& c) { c.value(2).shape[2] = 89; });
  expect_refusal(bad, "layer 2 keys: tensor.shape (D, head dimension): got 7, must equal 8",
                 [](call& c) { c.key(2).shape[3] = 7; });
  expect_refusal(bad, "layer 2 queries: tensor.shape (D, head dimension): got 7, must equal 8",
                 [](call& c) { c.query(2).shape[3] = 7; });
  expect_refusal(bad, "layer 2 queries: tensor.shape (H, heads): got 3, must equal 4",
                 [](call& c) { c.query(2).shape[1] = 3; });
  expect_refusal(bad, "layer 2 queries: tensor.shape (B, sequences): got 1, must equal 2",
                 [](call& c) { c.query(2).shape[0] = 1; });
  expect_refusal(bad, "model_shape.query_heads: got 3, must be a multiple of kv_heads 2", [](call& c) {
    for (int l = 0; l < 4; ++l) c.query(l).shape[1] = 3;
  });
  expect_refusal(
      bad, "layer 1 queries: tensor.shape (N, rows): got 32, must be at most the slots of the cache, 20",
      [](call& c) {
        for (int l = 0; l < 4; ++l) c.key(l).shape[2] = c.value(l).shape[2] = 20;
        c.query(0).shape[2] = 20;
      });
}

void test_shared_memory() {
  expect_refusal(windowkv_invalid_argument,
                 "layer 3 values: keys and values: got 8, bytes apart, they share memory; elements of 4",
                 [](call& c) {
                   std::int64_t* const shape = c.value(3).shape;
                   c.value(3) = c.key(3);
                   c.value(3).byte_offset += 8;  // the next but one element, which the tensor uses
                   c.value(3).shape = shape;
                   shape[3] = 7;
                 });
}

void test_refused_batches() {
  int const bad = windowkv_invalid_argument;
  static std::int32_t const short_one[] = {90, 0};
  static std::int32_t const long_one[] = {91, 90};
  static std::uint8_t const none[] = {0, 0, 0, 0};
  expect_refusal(bad, "cache.lengths: got 0, must be at least 1 and at most 90",
                 [](call& c) { c.cache.lengths = short_one; });
  expect_refusal(bad, "cache.lengths: got 91, must be at least 1 and at most 90",
                 [](call& c) { c.cache.lengths = long_one; });
  expect_refusal(bad, "cache.layers: got 0, must be at least 1 and at most 256",
                 [](call& c) { c.cache.layers = 0; });
  expect_refusal(bad, "cache.layers: got 257, must be at least 1 and at most 256",
                 [](call& c) { c.cache.layers = 257; });
  expect_refusal(bad, "cache.keys: must not be null", [](call& c) { c.cache.keys = nullptr; });
  expect_refusal(bad, "cache.values: must not be null", [](call& c) { c.cache.values = nullptr; });
  expect_refusal(bad, "cache.evictable: leaves no layer to compress",
                 [](call& c) { c.cache.evictable = none; });
}

void test_refused_options() {
  int const bad = windowkv_invalid_argument;
  expect_refusal(bad, "options.method: got 2, must be 0 or 1", [](call& c) { c.options.method = 2; });
  expect_refusal(bad, "options.task: got -1, must be 0 or 1", [](call& c) { c.options.task = -1; });
  expect_refusal(bad, "options.axes: got 2, must be 0 or 1", [](call& c) { c.options.axes = 2; });
  expect_refusal(bad, "options.padding: got 2, must be 0 or 1", [](call& c) { c.options.padding = 2; });
  expect_refusal(bad, "options.budget: got -1, must be at least 0", [](call& c) { c.options.budget = -1; });
  expect_refusal(bad, "options.suffix: got -1, must be at least 0", [](call& c) { c.options.suffix = -1; });
  expect_refusal(bad, "options.threads: got -1, must be at least 0", [](call& c) { c.options.threads = -1; });
  expect_refusal(bad, "options.threads: got 1025, must be at most 1024",
                 [](call& c) { c.options.threads = 1025; });
  expect_refusal(bad, "options.reserved: got 1, must be 0", [](call& c) { c.options.reserved = 1; });
  expect_refusal(bad, "report.reserved: got 1, must be 0", [](call& c) { c.report.reserved = 1; });
  expect_refusal(bad, "options.layers_per_group: got -1, must be at least 0",
                 [](call& c) { c.options.layers_per_group = -1; });
}

void test_missing_queries() {
  int const missing = windowkv_insufficient_queries;
  expect_refusal(missing, "layer 3 queries: tensor: must be given: this layer is scored",
                 [](call& c) { c.query_list[3] = nullptr; });
  expect_refusal(missing, "layer 0 queries: tensor: must be given: this layer is scored",
                 [](call& c) { c.cache.queries = nullptr; });
  expect_refusal(missing, "layer 2: queries.slots (suffix rows): got 7, must be at least 8",
                 [](call& c) { c.query(2).shape[2] = 7; });

  // A sequence that needs none, and would be moved away from its padding, does not move before the others are
  // decided.
  static std::int32_t const tokens[] = {20, 90};
  expect_refusal(missing, "layer 0 queries: tensor: must be given: this layer is scored", [](call& c) {
    c.cache.queries = nullptr;
    c.cache.lengths = tokens;
    c.options.padding = windowkv_padding_left;
  });

  model const m;
  call paper(m);  // where the first layer of a group leads, the others need none
  paper.options.method = windowkv_method_paper;
  paper.query_list[1] = paper.query_list[3] = nullptr;
  expect_number(paper.run(), windowkv_ok, "followers without queries: " + paper.error);
  call all(m);  // and nobody does when everything stays
  all.options.budget = 90;
  all.cache.queries = nullptr;
  expect_number(all.run(), windowkv_ok, "nothing to evict: " + all.error);
  expect_number(all.lengths[0], 90, "nothing to evict");
}

void test_error_buffers() {
  model const m;
  call c(m);
  c.options.method = 7;
  char text[8] = "unset";
  expect_number(windowkv_compress(&c.options, &c.cache, &c.report, text, 8), windowkv_invalid_argument,
                "short text");
  expect_text(text, "options");
  expect_number(windowkv_compress(&c.options, &c.cache, &c.report, text, 1), windowkv_invalid_argument,
                "no text");
  expect_text(text, "");
  expect_number(windowkv_compress(&c.options, &c.cache, &c.report, nullptr, 0), windowkv_invalid_argument,
                "null");
  text[0] = 'x';
  expect_number(windowkv_compress(&c.options, &c.cache, &c.report, text, 0), windowkv_invalid_argument,
                "size 0");
  expect(text[0] == 'x', "a buffer of no bytes is not written to");
}

}  // namespace

void test_refusals() {
  test_refused_tensors();
  test_tensors_that_disagree();
  test_shared_memory();
  test_refused_batches();
  test_refused_options();
  test_missing_queries();
  test_error_buffers();
}

}  // namespace c_test
