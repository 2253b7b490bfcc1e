// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/thrust/score.cuh"

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "system.hpp"

namespace thrust_score {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::head_merge;
using wkv::layer_merge;
using wkv::model_shape;

/// Every layer for itself, every head's token scores kept apart, and nothing that lets a prompt pass
/// unscored.
auto method_of(int suffix) {
  return wkv::paper_method().with_suffix(suffix).with_budget(0).with_layer_grouping(wkv::no_sharing{});
}

std::vector<double> widened(std::vector<float> const& values) { return {values.begin(), values.end()}; }

/// Scores a layer on both backends and returns the largest error, as a share of its row's largest score.
template <class Q, class K, class Method>
double error_of(Method const& method, model_shape const& shape, int tokens, tensor const& q, tensor const& k,
                order o, std::vector<float> const& log_sum_exp = {}) {
  both runs(method, shape, tokens);
  stored<Q> const queries(q, o);
  stored<K> const keys(k, o);
  REQUIRE(message(wkv::score(serial, runs.host, 0, wkv::suffix_queries{queries.plane}, keys.plane)) == "ok");
  resident_plane<Q> const there_queries(queries);
  resident_plane<K> const there_keys(keys);
  resident<float> const there_lse(log_sum_exp);
  wkv::suffix_queries const source{there_queries.plane, log_sum_exp.empty() ? nullptr : there_lse.data()};
  REQUIRE(message(wkv::score(backend(), runs.run, 0, source, there_keys.plane)) == "ok");
  return worst_error(runs.scores().data(), widened(runs.host_scores()), runs.plan.review);
}

template <class Q, class K = Q>
void check_layouts(int kv_heads, int heads_per_kv, int head_dim) {
  int const tokens = 37;
  int const suffix = 5;
  model_shape const shape{1, kv_heads * heads_per_kv, kv_heads, head_dim};
  tensor const q = random_tensor(1, suffix, shape.query_heads, head_dim, 3.f);
  tensor const k = random_tensor(2, tokens, kv_heads, head_dim, 3.f);
  for (order o : orders) {
    CAPTURE(kv_heads, heads_per_kv, head_dim, static_cast<int>(o));
    CHECK(error_of<Q, K>(method_of(suffix), shape, tokens, q, k, o) < 1e-5);
  }
}

}  // namespace

TEST_CASE("thrust: token scores are those of the host, in every layout and element type", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  check_layouts<float>(2, 1, 8);
  check_layouts<float>(1, 7, 20);
  check_layouts<wkv::float16>(2, 2, 64);
  check_layouts<wkv::bfloat16>(2, 4, 16);
  check_layouts<wkv::bfloat16, wkv::float16>(1, 2, 1);
}

TEST_CASE("thrust: token scores at every size", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  struct size {
    int tokens, suffix;
  };
  for (auto const [tokens, suffix] :
       {size{1, 1}, {2, 1}, {9, 8}, {33, 32}, {511, 7}, {512, 16}, {513, 15}, {527, 15}, {1030, 17}}) {
    CAPTURE(tokens, suffix);
    tensor const q = random_tensor(5, suffix + 2, 4, 8, 3.f);  // the last S rows count
    tensor const k = random_tensor(6, tokens + 3, 2, 8, 3.f);  // the first N slots
    CHECK(error_of<float, float>(method_of(suffix), {1, 4, 2, 8}, tokens, q, k, order::slot_head_dim) < 1e-5);
    CHECK(error_of<float, float>(wkv::default_method().with_suffix(suffix).with_budget(1), {1, 4, 2, 8},
                                 tokens, q, k, order::head_slot_dim) < 1e-5);
  }
}

TEST_CASE("thrust: a log-sum-exp saves a pass and changes nothing else", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  int const suffix = 7;
  int const tokens = 601;
  tensor const q = random_tensor(1, suffix, 6, 20, 3.f);
  tensor const k = random_tensor(2, tokens, 2, 20, 3.f);
  std::vector<float> log_sum_exp;
  for (int head = 0; head < 6; ++head) {
    for (int i = 0; i < suffix; ++i) {
      double sum = 0;
      for (int j = 0; j <= tokens - suffix + i; ++j) {
        double dot = 0;
        for (int d = 0; d < 20; ++d) dot += double{q.at(i, head, d)} * double{k.at(j, head / 3, d)};
        sum += std::exp(dot / std::sqrt(20.));
      }
      log_sum_exp.push_back(static_cast<float>(std::log(sum)));
    }
  }
  for (order o : orders) {
    CHECK(error_of<float, float>(method_of(suffix), {1, 6, 2, 20}, tokens, q, k, o, log_sum_exp) < 1e-5);
  }
}

TEST_CASE("thrust: NaN and infinite elements spoil the scores that they spoil on the host",
          "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  int const suffix = 3;
  int const tokens = 530;
  tensor const q = random_tensor(1, suffix, 4, 8);
  for (float const odd : {not_a_number, infinity, -infinity}) {
    tensor k = random_tensor(2, tokens, 2, 8);
    k.at(515, 0, 3) = odd;  // KV head 0: query heads 0 and 1
    both runs(method_of(suffix), {1, 4, 2, 8}, tokens);
    stored<float> const queries(q, order::slot_head_dim);
    stored<float> const keys(k, order::slot_head_dim);
    REQUIRE(wkv::score(serial, runs.host, 0, wkv::suffix_queries{queries.plane}, keys.plane));
    resident_plane<float> const there_queries(queries);
    resident_plane<float> const there_keys(keys);
    REQUIRE(wkv::score(backend(), runs.run, 0, wkv::suffix_queries{there_queries.plane}, there_keys.plane));
    std::vector<float> const expected = runs.host_scores();
    std::vector<float> const got = runs.scores();
    int differing = 0;
    int spoilt = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (std::isnan(expected[i]) != std::isnan(got[i])) ++differing;
      if (std::isnan(got[i])) ++spoilt;
    }
    CAPTURE(odd);
    CHECK(differing == 0);
    CHECK(spoilt < 4 * (tokens - suffix));
  }
}

TEST_CASE("thrust: attention rows are folded as on the host, bit for bit", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  int const suffix = 6;
  int const tokens = 60;
  int const rows = suffix + 2;  // two more rows in front, gaps behind every row and every head
  std::int64_t const row_stride = tokens + 3;
  std::int64_t const head_stride = row_stride * rows + 5;
  random_source random(1);
  std::vector<float> const given = plain_scores(random, static_cast<int>(4 * head_stride));
  resident<float> const there(given);
  both runs(method_of(suffix), {1, 4, 2, 8}, tokens);
  REQUIRE(wkv::score(serial, runs.host, 0,
                     wkv::attention_rows{given.data(), 4, rows, tokens, head_stride, row_stride}));
  REQUIRE(message(wkv::score(backend(), runs.run, 0,
                             wkv::attention_rows{there.data(), 4, rows, tokens, head_stride, row_stride})) ==
          "ok");
  CHECK(bits(runs.scores()) == bits(runs.host_scores()));
}

TEST_CASE("thrust: every merge of heads and layers gives the host's bits", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  random_source random(2);
  for (int heads : {1, 3}) {
    for (head_merge by_head : {head_merge::at_windows, head_merge::at_tokens}) {
      for (layer_merge by_layer : {layer_merge::first, layer_merge::mean, layer_merge::maximum}) {
        for (bool is_odd : {false, true}) {
          auto method = wkv::default_method(3)
                            .with_token_scorer(wkv::external_scores{heads})
                            .with_suffix(2)
                            .with_budget(20);
          method.localization.heads = by_head;
          method.localization.layers = by_layer;
          both runs(method, {3, 4, 2, 8}, 102);
          for (int l = 0; l < 3; ++l) {
            runs.score(l, is_odd ? odd_scores(random, heads * 100) : plain_scores(random, heads * 100),
                       heads);
          }
          CAPTURE(heads, static_cast<int>(by_head), static_cast<int>(by_layer), is_odd);
          CHECK(bits(runs.scores()) == bits(runs.host_scores()));
          runs.select();
        }
      }
    }
  }
}

TEST_CASE("thrust: sources that cannot be meant are refused", "[thrust][score]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  int const tokens = 30;
  both runs(method_of(4), {2, 4, 2, 8}, tokens);
  resident_plane<float> const queries(stored<float>(random_tensor(1, 4, 4, 8), order::slot_head_dim));
  resident_plane<float> const keys(stored<float>(random_tensor(2, tokens, 2, 8), order::slot_head_dim));
  auto const problem = [&](int layer, auto change) {
    auto q = queries.plane;
    auto k = keys.plane;
    change(q, k);
    return message(wkv::score(backend(), runs.run, layer, wkv::suffix_queries{q}, k));
  };
  CHECK(problem(-1, [](auto&, auto&) {}) == "layer: got -1, must be at least 0");
  CHECK(problem(2, [](auto&, auto&) {}) == "layer: got 2, must be at most 1");
  CHECK(problem(0, [](auto& q, auto&) { q.slots = 3; }) ==
        "layer 0: queries.slots (suffix rows): got 3, must be at least 4");
  CHECK(problem(0, [](auto& q, auto&) { q.data = nullptr; }) == "layer 0: queries.data: must not be null");
  CHECK(problem(0, [](auto&, auto& k) { k.slots = 29; }) ==
        "layer 0: keys.slots (tokens of the prompt): got 29, must be at least 30");
  CHECK(problem(0, [](auto&, auto& k) { k.head_dim = 4; }) == "layer 0: keys.head_dim: got 4, must equal 8");
  CHECK(message(wkv::score(backend(), runs.run, 0, wkv::attention_rows{})) ==
        "layer 0: attention_rows.rows: got 0, must be at least 4");
  CHECK(message(wkv::score(backend(), runs.run, 0, wkv::token_scores{})) ==
        "layer 0: token_scores.data: must not be null");
  CHECK(problem(0, [](auto&, auto&) {}) == "ok");
  CHECK(problem(0, [](auto&, auto&) {}) == "layer 0: score: the layer has scored already");
  CHECK(problem(1, [](auto&, auto&) {}) ==
        "layer 1: score: the score buffer still holds group: got 0, which must be selected before group 1");
  CHECK(message(wkv::select(backend(), runs.run, 0)) == "ok");
  CHECK(problem(1, [](auto&, auto&) {}) == "ok");
}

}  // namespace thrust_score
