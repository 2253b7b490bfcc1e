// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// What the C functions keep, against the library called directly for one sequence at a time.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "model.hpp"
#include "tests.hpp"

namespace c_test {
namespace {

struct kept_tokens {
  std::vector<std::vector<int>> of_layer;
  std::vector<float> retained;
};

/// One sequence of the model, or its first `tokens` tokens, by the library alone. `rows` are the last tokens'
/// rows of the model's queries.
template <class T, class Method>
kept_tokens directly(model const& m, int sequence, int tokens, Method const& method, wkv::task task) {
  sizes const& s = m.size;
  auto const rows = [&](numbers const& from, int count) {
    std::vector<T> out;
    for (int n = 0; n < count; ++n) {
      for (int h = 0; h < from.heads; ++h) {
        for (int d = 0; d < from.head_dim; ++d) out.push_back(T(from.at(sequence, h, n, d)));
      }
    }
    return out;
  };
  std::vector<std::vector<T>> keys, values, queries;
  for (std::size_t l = 0; l < m.keys.size(); ++l) {
    keys.push_back(rows(m.keys[l], tokens));
    values.push_back(rows(m.values[l], tokens));
    queries.push_back(rows(m.queries[l], s.query_rows));
  }
  kept_tokens out;
  auto const plan =
      wkv::make_plan(method, {s.layers, s.query_heads, s.kv_heads, s.head_dim}, wkv::prompt{tokens, task});
  expect(plan.ok(), plan.error().message().c_str());
  if (!plan) return out;
  wkv::owned_workspace const memory(plan->workspace_bytes);
  auto const report = wkv::compress(
      wkv::host_executor{}, *plan, memory.get(),
      [&](int l) {
        auto& q = queries[static_cast<std::size_t>(l)];
        return wkv::suffix_queries{wkv::slot_head_dim(q.data(), s.query_rows, s.query_heads, s.head_dim)};
      },
      [&](int l) {
        auto const layer = static_cast<std::size_t>(l);
        return wkv::kv_view{wkv::slot_head_dim(keys[layer].data(), tokens, s.kv_heads, s.head_dim),
                            wkv::slot_head_dim(values[layer].data(), tokens, s.kv_heads, s.value_dim)};
      });
  expect(report.ok(), report.error().message().c_str());
  if (!report) return out;
  for (int l = 0; l < s.layers; ++l) {
    wkv::selection const& chosen = report->group[report->layer[l].group];
    out.of_layer.emplace_back(chosen.slots, chosen.slots + chosen.kept);
    out.retained.push_back(chosen.retained);
  }
  return out;
}

/// The rows of a sequence are the kept ones of the model, which lay at `first` and behind.
template <class T>
bool holds_kept_rows(made_tensor<T> const& tensor, numbers const& from, int sequence, int first,
                     std::vector<int> const& kept) {
  for (std::size_t i = 0; i < kept.size(); ++i) {
    for (int h = 0; h < from.heads; ++h) {
      for (int d = 0; d < from.head_dim; ++d) {
        float const wanted = static_cast<float>(T(from.at(sequence, h, first + kept[i], d)));
        if (tensor.at(sequence, h, static_cast<int>(i), d) != wanted) return false;
      }
    }
  }
  return true;
}

template <class T>
void expect_like_the_library(model const& m, batch_call<T>& call, int sequence, int first,
                             kept_tokens const& wanted, std::string const& name) {
  for (int l = 0; l < m.size.layers; ++l) {
    auto const layer = static_cast<std::size_t>(l);
    std::string const where =
        name + ", layer " + std::to_string(l) + ", sequence " + std::to_string(sequence);
    expect(call.kept(l, sequence) == wanted.of_layer[layer], where + ": other tokens are kept");
    expect(call.retained[call.pair(l, sequence)] == wanted.retained[layer], where + ": retained differs");
    expect(holds_kept_rows(call.keys[layer], m.keys[layer], sequence, first, wanted.of_layer[layer]),
           where + ": the rows of the keys are not the kept ones");
    expect(holds_kept_rows(call.values[layer], m.values[layer], sequence, first, wanted.of_layer[layer]),
           where + ": the rows of the values are not the kept ones");
    expect(call.keys[layer].are_canaries_alive() && call.values[layer].are_canaries_alive(),
           where + ": memory outside the tensor was written to");
  }
}

auto paper() {
  auto method = wkv::paper_method().with_budget(24);
  method.layer_grouping.layers_per_group = 2;
  return method;
}
auto by_default() { return wkv::default_method(2).with_budget(40); }

template <class T>
void test_elements(std::string const& name) {
  model const m;
  for (form const f : forms) {
    for (int const task : {windowkv_task_localization, windowkv_task_aggregation}) {
      auto const wkv_task =
          task == windowkv_task_localization ? wkv::task::localization : wkv::task::aggregation;
      for (int const method : {windowkv_method_default, windowkv_method_paper}) {
        batch_call<T> call(m, f);
        call.options.method = method;
        call.options.task = task;
        call.options.budget = method == windowkv_method_paper ? 24 : 40;
        std::string const what = name + ", form " + std::to_string(static_cast<int>(f)) + ", task " +
                                 std::to_string(task) + ", method " + std::to_string(method);
        expect_number(call.run(), windowkv_ok, what + ": " + call.error);
        expect_text(call.error, "");
        std::int64_t kept = 0;
        for (int b = 0; b < m.size.sequences; ++b) {
          kept_tokens const wanted = method == windowkv_method_paper
                                         ? directly<T>(m, b, m.size.slots, paper(), wkv_task)
                                         : directly<T>(m, b, m.size.slots, by_default(), wkv_task);
          expect_like_the_library(m, call, b, 0, wanted, what);
          for (auto const& layer : wanted.of_layer) kept += static_cast<std::int64_t>(layer.size());
        }
        std::int64_t const row =
            std::int64_t{m.size.kv_heads} * (m.size.head_dim + m.size.value_dim) * std::int64_t{sizeof(T)};
        expect_number(call.report.bytes_before, row * m.size.layers * m.size.sequences * m.size.slots,
                      "bytes before");
        expect_number(call.report.bytes_after, row * kept, "bytes after");
        expect(kept < std::int64_t{m.size.layers} * m.size.sequences * m.size.slots, "something was evicted");
      }
    }
  }
}

/// The same prompts alone, and in a batch with padding on either side that is full of NaN.
void test_padding(int padding, bool has_all_query_rows) {
  constexpr int tokens[] = {90, 53, 20, 7};  // more than is kept, less, and less than the suffix
  sizes size;
  size.sequences = 4;
  model const alone(size);
  model m = alone;
  float const nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t l = 0; l < m.keys.size(); ++l) {
    if (has_all_query_rows)
      m.queries[l] = numbers(0, size.sequences, size.query_heads, size.slots, size.head_dim);
    for (auto* part : {&m.keys[l], &m.values[l], &m.queries[l]}) {
      bool const is_queries = part == &m.queries[l];
      if (is_queries && !has_all_query_rows) continue;
      for (float& x : part->all) x = nan;
      for (int b = 0; b < size.sequences; ++b) {
        int const first = padding == windowkv_padding_left ? size.slots - tokens[b] : 0;
        int const skipped = is_queries ? tokens[b] - size.query_rows : 0;  // its rows are the last tokens'
        for (int n = skipped > 0 ? skipped : 0; n < tokens[b]; ++n) {
          for (int h = 0; h < part->heads; ++h) {
            for (int d = 0; d < part->head_dim; ++d) {
              part->at(b, h, first + n, d) = is_queries           ? alone.queries[l].at(b, h, n - skipped, d)
                                             : part == &m.keys[l] ? alone.keys[l].at(b, h, n, d)
                                                                  : alone.values[l].at(b, h, n, d);
            }
          }
        }
      }
    }
  }
  m.size.query_rows = has_all_query_rows ? size.slots : size.query_rows;
  batch_call<float> call(m, form::bnhd);
  call.options.padding = padding;
  call.cache.lengths = tokens;
  std::string const name = std::string(padding == windowkv_padding_left ? "left" : "right") + " padding" +
                           (has_all_query_rows ? ", all query rows" : "");
  expect_number(call.run(), windowkv_ok, name + ": " + call.error);
  std::int64_t const row = std::int64_t{size.kv_heads} * (size.head_dim + size.value_dim) * 4;
  expect_number(call.report.bytes_before, row * size.layers * (90 + 53 + 20 + 7), name + ": bytes before");
  for (int b = 0; b < size.sequences; ++b) {
    kept_tokens const wanted = directly<float>(alone, b, tokens[b], by_default(), wkv::task::localization);
    int const first = padding == windowkv_padding_left ? size.slots - tokens[b] : 0;
    expect_like_the_library(m, call, b, first, wanted, name);
    for (int l = 0; l < size.layers; ++l) {
      for (int i = call.lengths[call.pair(l, b)]; i < size.slots; ++i) {
        auto const at = call.pair(l, b) * static_cast<std::size_t>(size.slots) + static_cast<std::size_t>(i);
        expect_number(call.positions[at], -1, name + ": position behind the kept tokens");
      }
    }
  }
}

void test_axes_of_one_element() {
  sizes size;
  size.sequences = 1;
  size.query_heads = 1;
  size.kv_heads = 1;
  size.value_dim = 1;
  model const m(size);
  for (std::int64_t const odd : {std::int64_t{1}, std::int64_t{0}, std::int64_t{-3}, INT64_MAX}) {
    batch_call<wkv::bfloat16> call(m, form::dim_by_slot);  // the one with strides
    for (int l = 0; l < size.layers; ++l) {
      for (windowkv_tensor* t : {&call.key(l), &call.value(l), &call.query(l)})
        t->strides[0] = t->strides[1] = odd;
      call.value(l).strides[3] = odd;
    }
    expect_number(call.run(), windowkv_ok, "axes of one element: " + call.error);
    // what made_tensor reads by its strides is not affected, as the index of these axes is always 0
    expect_like_the_library(m, call, 0, 0,
                            directly<wkv::bfloat16>(m, 0, size.slots, by_default(), wkv::task::localization),
                            "axes of one element, stride " + std::to_string(odd));
  }
}

void test_layers_of_different_types() {
  model const m;
  batch_call<float> wide(m);
  batch_call<wkv::float16> narrow(m);
  for (std::size_t l : {std::size_t{1}, std::size_t{2}}) {
    wide.key_list[l] = narrow.key_list[l];
    wide.value_list[l] = narrow.value_list[l];
    wide.query_list[l] = narrow.query_list[l];
  }
  wide.options.layers_per_group = 1;
  expect_number(wide.run(), windowkv_ok, "layers of different types: " + wide.error);
  auto const method = wkv::default_method(1).with_budget(40);
  auto const as_float = directly<float>(m, 1, 90, method, wkv::task::localization);
  auto const as_half = directly<wkv::float16>(m, 1, 90, method, wkv::task::localization);
  expect(wide.kept(0, 1) == as_float.of_layer[0] && wide.kept(3, 1) == as_float.of_layer[3],
         "float32 layers");
  expect(wide.kept(1, 1) == as_half.of_layer[1] && wide.kept(2, 1) == as_half.of_layer[2], "float16 layers");
  expect(holds_kept_rows(narrow.values[2], m.values[2], 1, 0, as_half.of_layer[2]), "float16 rows");
}

void test_layers_left_alone() {
  model const m;
  std::uint8_t const evictable[] = {1, 0, 1, 1};
  batch_call<float> call(m);
  call.cache.evictable = evictable;
  call.key_list[1] = call.value_list[1] = call.query_list[1] = nullptr;
  int const tokens[] = {90, 60};
  call.cache.lengths = tokens;
  call.options.padding = windowkv_padding_left;
  expect_number(call.run(), windowkv_ok, "layers left alone: " + call.error);
  expect_number(call.lengths[call.pair(1, 1)], 90, "length of a layer left alone");
  expect(call.retained[call.pair(1, 1)] == 1.f, "retained of a layer left alone");
  std::vector<int> const positions = call.kept(1, 1);
  expect_number(positions[29], -1, "padding of a layer left alone");
  expect_number(positions[30], 0, "first token of a layer left alone");
  expect_number(positions[89], 59, "last token of a layer left alone");
  expect(call.kept(0, 0) == call.kept(2, 0), "a group runs over the layers that are evicted");
  expect(call.lengths[call.pair(3, 0)] < 90, "the others are compressed");
  expect(is_same_memory(call.keys[1].memory(), batch_call<float>(m).keys[1].memory()),
         "and it is not touched");
}

void test_threads() {
  model const m;
  batch_call<float> serial(m);
  batch_call<float> parallel(m);
  parallel.options.threads = 3;
  expect_number(serial.run(), windowkv_ok, serial.error);
  expect_number(parallel.run(), windowkv_ok, parallel.error);
  expect(serial.positions == parallel.positions && serial.retained == parallel.retained,
         "threads change nothing");
  expect(is_same_memory(serial.values[3].memory(), parallel.values[3].memory()), "threads change no row");
}

void test_arrays_that_nobody_wants() {
  model const m;
  batch_call<float> call(m);
  batch_call<float> full(m);
  call.report.lengths = nullptr;
  call.report.positions = nullptr;
  call.report.retained = nullptr;
  expect_number(call.run(), windowkv_ok, call.error);
  expect_number(full.run(), windowkv_ok, full.error);
  expect(is_same_memory(call.keys[0].memory(), full.keys[0].memory()), "a report without arrays");
}

}  // namespace

void test_compression() {
  test_elements<float>("float32");
  test_elements<wkv::float16>("float16");
  test_elements<wkv::bfloat16>("bfloat16");
  for (int const padding : {windowkv_padding_right, windowkv_padding_left}) {
    test_padding(padding, false);
    test_padding(padding, true);
  }
  test_axes_of_one_element();
  test_layers_of_different_types();
  test_layers_left_alone();
  test_threads();
  test_arrays_that_nobody_wants();
}

}  // namespace c_test
