// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/thrust/compress.cuh"

#include <cstdint>
#include <vector>

#include "system.hpp"

namespace thrust_compress {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr wkv::model_shape shape{6, 4, 2, 8};
constexpr int tokens = 90;
constexpr int rows = 40;

void check_report(wkv::compression_report const& got, wkv::compression_report const& expected) {
  REQUIRE(got.layers == expected.layers);
  REQUIRE(got.groups == expected.groups);
  for (int l = 0; l < got.layers; ++l) {
    CHECK(got.layer[l].group == expected.layer[l].group);
    CHECK(got.layer[l].tokens_after == expected.layer[l].tokens_after);
  }
  CHECK(got.bytes_before() == expected.bytes_before());
  CHECK(got.bytes_after() == expected.bytes_after());
  for (int g = 0; g < got.groups; ++g) {
    CHECK(fetch(got.group[g].slots, got.group[g].kept) == slots_of(expected.group[g]));
    CHECK(got.group[g].retained == Approx(expected.group[g].retained).epsilon(1e-4));
  }
}

/// The driver and the driver by layers do what the host's driver does.
template <class T, class Method>
void check_method(Method const& method, wkv::task task) {
  CAPTURE(static_cast<int>(task));
  sequence<T> host_data(shape, tokens, rows);
  resident_sequence<T> const data(host_data);
  resident_sequence<T> const by_layer_data(host_data);
  both runs(method, shape, tokens, task);
  both by_layer(method, shape, tokens, task);
  std::vector<float> const before = data.contents();

  auto const expected = wkv::compress(
      serial, runs.plan, runs.host_memory.get(), [&](int l) { return host_data.queries(l); },
      [&](int l) { return host_data.kv(l); });
  REQUIRE(message(expected) == "ok");
  auto const kv_of = [&](int l) { return data.kv(l); };
  REQUIRE(message(wkv::compress(
              backend(), runs.run, [&](int l) { return data.queries(l); }, kv_of)) == "ok");
  CHECK(data.contents() == host_data.contents());
  CHECK(data.contents() != before);
  check_report(wkv::report(runs.run, fetch(runs.run.counts(), runs.plan.groups).data()), *expected);

  for (int l = 0; l < shape.layers; ++l) {
    REQUIRE(message(wkv::compress_layer(backend(), by_layer.run, l, by_layer_data.queries(l),
                                        [&](int k) { return by_layer_data.kv(k); })) == "ok");
  }
  CHECK(by_layer_data.contents() == host_data.contents());
  check_report(wkv::report(by_layer.run, fetch(by_layer.run.counts(), runs.plan.groups).data()), *expected);
}

}  // namespace

TEST_CASE("thrust: the default method compresses as on the host", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (wkv::task task : {wkv::task::localization, wkv::task::aggregation}) {
    check_method<float>(wkv::default_method(2).with_budget(40), task);
  }
}

TEST_CASE("thrust: the paper's method compresses as on the host", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (wkv::task task : {wkv::task::localization, wkv::task::aggregation}) {
    check_method<wkv::float16>(wkv::paper_method().with_budget(30), task);
  }
}

TEST_CASE("thrust: a prompt that fits stays as it is", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  both runs(wkv::default_method(2).with_budget(tokens), shape, tokens);
  resident_sequence<float> const data(sequence<float>(shape, tokens, rows));
  std::vector<float> const before = data.contents();
  REQUIRE(wkv::compress(
      backend(), runs.run, [&](int l) { return data.queries(l); }, [&](int l) { return data.kv(l); }));
  CHECK(data.contents() == before);
  wkv::compression_report const done =
      wkv::report(runs.run, fetch(runs.run.counts(), runs.plan.groups).data());
  CHECK(done.tokens_after() == std::int64_t{shape.layers} * tokens);
  CHECK(done.group[2].retained == 1.f);
}

TEST_CASE("thrust: a bad view of the last layer is refused before anything moves", "[thrust][compress]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  both runs(wkv::default_method(2).with_budget(40), shape, tokens);
  resident_sequence<float> const data(sequence<float>(shape, tokens, rows));
  std::vector<float> const before = data.contents();
  auto const queries_of = [&](int l) { return data.queries(l); };
  auto const good = [&](int l) { return data.kv(l); };
  auto const bad = [&](int l) {
    auto view = data.kv(l);
    if (l == shape.layers - 1) view.values.slots = tokens - 1;
    return view;
  };
  CHECK(message(wkv::compress(backend(), runs.run, queries_of, bad)) ==
        "layer 5: values.slots (tokens of the prompt): got 89, must be at least 90");
  CHECK(data.contents() == before);
  CHECK(message(wkv::compress(backend(), runs.run, queries_of, good)) == "ok");
  CHECK(data.contents() != before);

  both by_layer(wkv::default_method(2).with_budget(40), shape, tokens);
  CHECK(message(wkv::compress_layer(backend(), by_layer.run, 6, queries_of(0), good)) ==
        "layer: got 6, must be at most 5");
  CHECK(message(wkv::compress_layer(backend(), by_layer.run, 5, queries_of(5), bad)) ==
        "layer 5: values.slots (tokens of the prompt): got 89, must be at least 90");
}

}  // namespace thrust_compress
