// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Token scorers of every kind: of cached rows, of every query of the prompt, weighted by values.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "system.hpp"
#include "windowkv/policy/expected_attention.hpp"
#include "windowkv/policy/lag_relative.hpp"
#include "windowkv/thrust/compress.cuh"

namespace thrust_scorers {
namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr wkv::model_shape shape{2, 4, 2, 8};
constexpr int layer = 1;  ///< the one that scores, for itself

/// Every layer for itself, every head's token scores kept apart, a list per KV head.
template <class TokenScorer>
auto method_of(TokenScorer const& scorer, int suffix) {
  using scoring = wkv::scoring<TokenScorer, wkv::no_pooling, wkv::fixed_windows, wkv::window_mean>;
  scoring const one{suffix, scorer, {}, {1}, {}};
  return wkv::method<scoring, scoring, wkv::uniform_budget, wkv::no_sharing, wkv::top_windows,
                     wkv::each_kv_head<>>{one, one, {}, {}, {}, 1, {}};
}

/// Of the prompt's queries, the later weigh more: their order matters.
struct fading_attention {
  static constexpr bool observes_prompt = true;
  using state_type = float;
  WINDOWKV_HD state_type init() const { return 0.f; }
  WINDOWKV_HD void add(state_type& state, float probability) const { state = state * 0.75f + probability; }
  WINDOWKV_HD float finish(state_type const& state, int rows) const {
    return state + 1e-3f * static_cast<float>(rows);
  }
};

/// Keys times the mean query of their KV head.
struct mean_query_product {
  static constexpr bool reads_queries = true;
  static constexpr int passes = 1;
  std::int64_t scratch_floats(wkv::row_shape const& s) const { return s.dims; }
  int items(int /*pass*/, wkv::row_shape const& s) const { return s.dims; }
  template <class Rows>
  WINDOWKV_HD void run(int /*pass*/, int item, Rows const& rows, float* scratch) const {
    float sum = 0.f;
    for (int h = 0; h < rows.query_heads; ++h) {
      for (int row = 0; row < rows.query_rows; ++row) sum += rows.query(row, h, item);
    }
    scratch[item] = sum / static_cast<float>(rows.query_heads * rows.query_rows);
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    float dot = 0.f;
    for (int d = 0; d < rows.dims; ++d) dot += scratch[d] * rows.key(token, d);
    return dot;
  }
};

/// A layer's queries and cache, here and in the backend's memory. Values are wider than keys.
struct layer_data {
  stored<float> queries;
  stored<float> keys;
  stored<float> values;
  resident_plane<float> queries_there{queries};
  resident_plane<float> keys_there{keys};
  resident_plane<float> values_there{values};

  layer_data(int tokens, int rows, order o)
      : queries(random_tensor(1, rows, shape.query_heads, shape.head_dim, 3.f), o),
        keys(random_tensor(2, tokens + 2, shape.kv_heads, shape.head_dim, 3.f), o),
        values(random_tensor(3, tokens + 1, shape.kv_heads, shape.head_dim + 3), o) {}

  auto kv() const { return wkv::kv_view{keys.plane, values.plane}; }
  auto kv_there() const { return wkv::kv_view{keys_there.plane, values_there.plane}; }
};

/// The scores of the layer: the same bits if `tolerance` is 0.
template <class Method>
void check_scores(both<Method> const& runs, double tolerance) {
  std::vector<float> const expected = runs.host_scores(layer);
  if (tolerance > 0) {
    CHECK(worst_error(runs.scores(layer).data(), {expected.begin(), expected.end()}, runs.plan.review) <
          tolerance);
  } else {
    CHECK(bits(runs.scores(layer)) == bits(expected));
  }
}

/// From queries, if `rows` of them are given, and the cache.
template <class TokenScorer>
void check_cache(TokenScorer const& scorer, int suffix, int tokens, double tolerance, int rows = 0,
                 order o = order::slot_head_dim, std::vector<float> const& log_sum_exp = {}) {
  CAPTURE(suffix, tokens, rows, static_cast<int>(o), log_sum_exp.size());
  both runs(method_of(scorer, suffix), shape, tokens);
  layer_data const data(tokens, rows > 0 ? rows : 1, o);
  resident<float> const known(log_sum_exp);
  bool const has_known = !log_sum_exp.empty();
  wkv::suffix_queries const source{data.queries.plane, has_known ? log_sum_exp.data() : nullptr};
  wkv::suffix_queries const there{data.queries_there.plane, has_known ? known.data() : nullptr};
  if constexpr (wkv::is_row_scorer_v<TokenScorer> && !wkv::detail::reads_queries<TokenScorer>::value) {
    REQUIRE(message(wkv::score(serial, runs.host, layer, wkv::no_queries{}, data.kv())) == "ok");
    REQUIRE(message(wkv::score(backend(), runs.run, layer, wkv::no_queries{}, data.kv_there())) == "ok");
  } else {
    REQUIRE(message(wkv::score(serial, runs.host, layer, source, data.kv())) == "ok");
    REQUIRE(message(wkv::score(backend(), runs.run, layer, there, data.kv_there())) == "ok");
  }
  check_scores(runs, tolerance);
}

/// From the engine's attention, with more rows than are needed in front and gaps behind rows and heads.
template <class TokenScorer>
void check_rows(TokenScorer const& scorer, int suffix, int tokens, int rows, double tolerance) {
  CAPTURE(suffix, tokens, rows);
  both runs(method_of(scorer, suffix), shape, tokens);
  layer_data const data(tokens, 1, order::head_slot_dim);
  std::int64_t const row_stride = tokens + 3;
  std::int64_t const head_stride = row_stride * rows + 5;
  random_source random(4);
  std::vector<float> const given = plain_scores(random, static_cast<int>(shape.query_heads * head_stride));
  resident<float> const there(given);
  wkv::attention_rows source{given.data(), shape.query_heads, rows, tokens, head_stride, row_stride};
  REQUIRE(message(wkv::score(serial, runs.host, layer, source, data.kv())) == "ok");
  source.data = there.data();
  REQUIRE(message(wkv::score(backend(), runs.run, layer, source, data.kv_there())) == "ok");
  check_scores(runs, tolerance);
}

/// Natural logarithms of the softmax denominators of all queries [Hq][N].
std::vector<float> log_sum_exps(int tokens, order o) {
  layer_data const data(tokens, tokens, o);
  auto const& q = data.queries.plane;
  auto const& k = data.keys.plane;
  std::vector<float> all;
  for (int head = 0; head < q.heads; ++head) {
    for (int i = 0; i < tokens; ++i) {
      double sum = 0;
      for (int j = 0; j <= i; ++j) {
        double dot = 0;
        for (int d = 0; d < q.head_dim; ++d)
          dot += double{q.load(i, head, d)} * double{k.load(j, head / 2, d)};
        sum += std::exp(dot / std::sqrt(static_cast<double>(q.head_dim)));
      }
      all.push_back(static_cast<float>(std::log(sum)));
    }
  }
  return all;
}

using weighted_suffix = wkv::value_weighted<wkv::suffix_attention, wkv::value_norm>;
using weighted_prompt = wkv::value_weighted<wkv::accumulated_attention, wkv::value_norm>;

}  // namespace

TEST_CASE("thrust: scores of cached rows are those of the host", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  check_cache(wkv::recency{}, 0, 100, 0.);
  check_cache(wkv::random_order{7}, 3, 100, 0.);
  for (order o : orders) {
    check_cache(wkv::inverse_key_norm{}, 0, 70, 1e-5, 0, o);
    check_cache(wkv::key_dissimilarity{}, 5, 200, 1e-5, 0, o);
    check_cache(wkv::value_norm{2}, 0, 70, 1e-5, 0, o);
    check_cache(mean_query_product{}, 4, 70, 1e-5, 6, o);
  }
  check_cache(wkv::lag_relative{2, 8, true}, 0, 70, 1e-5);
  check_cache(wkv::expected_future_attention{}, 0, 70, 1e-4, 70);
  check_cache(wkv::key_dissimilarity{}, 0, 300, 1e-5);
  check_cache(wkv::key_dissimilarity{}, 1, 2, 1e-5);
}

TEST_CASE("thrust: folds over every query of the prompt are those of the host", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  for (int suffix : {0, 8}) {
    for (int tokens : {9, 64, 65, 130}) {
      check_cache(wkv::accumulated_attention{}, suffix, tokens, 1e-5, tokens);
      check_cache(wkv::observed_attention{}, suffix, tokens, 1e-5, tokens + 3, order::head_slot_dim);
      check_cache(fading_attention{}, suffix, tokens, 1e-5, tokens, order::padded);
    }
    check_cache(wkv::accumulated_attention{}, suffix, 600, 1e-5, 600);
    check_cache(wkv::accumulated_attention{}, suffix, 70, 1e-5, 70, order::slot_head_dim,
                log_sum_exps(70, order::slot_head_dim));
  }
  check_cache(wkv::accumulated_attention{}, 0, 2, 1e-5, 2);
}

TEST_CASE("thrust: attention rows of the whole prompt are folded as on the host", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  check_rows(wkv::accumulated_attention{}, 5, 60, 62, 0.);
  check_rows(wkv::observed_attention{}, 0, 60, 60, 0.);
  check_rows(fading_attention{}, 5, 60, 61, 1e-5);  // a product and a sum, which a compiler may fuse
}

TEST_CASE("thrust: scores weighted by values are those of the host", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  check_rows(weighted_suffix{{}, {1}, 0.5f}, 5, 60, 7, 0.);
  check_cache(weighted_suffix{{}, {2}, 1e-4f}, 5, 130, 1e-5, 5);
  check_cache(weighted_prompt{{}, {1}}, 2, 130, 1e-5, 130);
}

TEST_CASE("thrust: sources that a scorer cannot do with are refused", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  int const tokens = 30;
  layer_data const data(tokens, tokens, order::slot_head_dim);
  both observing(method_of(wkv::accumulated_attention{}, 4), shape, tokens);
  auto few = data.queries_there.plane;
  few.slots = tokens - 1;
  CHECK(message(wkv::score(backend(), observing.run, 0, wkv::suffix_queries{few}, data.kv_there())) ==
        "layer 0: queries.slots (suffix rows): got 29, must be at least 30");
  CHECK(message(wkv::score(backend(), observing.run, 0, wkv::attention_rows{nullptr, 4, 29, tokens})) ==
        "layer 0: attention_rows.rows: got 29, must be at least 30");

  both weighted(method_of(weighted_suffix{}, 4), shape, tokens);
  auto short_values = data.kv_there();
  short_values.values.slots = tokens - 1;
  CHECK(message(wkv::score(backend(), weighted.run, 0, wkv::suffix_queries{data.queries_there.plane},
                           short_values)) ==
        "layer 0: values.slots (tokens of the prompt): got 29, must be at least 30");

  both by_queries(method_of(mean_query_product{}, 4), shape, tokens);
  auto narrow = data.queries_there.plane;
  narrow.head_dim = 4;
  CHECK(message(wkv::score(backend(), by_queries.run, 0, wkv::suffix_queries{narrow}, data.kv_there())) ==
        "layer 0: queries.head_dim: got 4, must equal 8");
  CHECK(message(wkv::score(backend(), by_queries.run, 0, wkv::suffix_queries{data.queries_there.plane},
                           data.kv_there())) == "ok");
}

TEST_CASE("thrust: a batch is compressed without queries", "[thrust][scorers]") {
  if (!has_device()) WKV_SKIP("no CUDA device");
  auto const method = method_of(wkv::key_dissimilarity{}, 0).with_budget(20);
  int const tokens[] = {50, 71};
  sequence<float> host_data[] = {{shape, tokens[0], 1}, {shape, tokens[1], 1, order::head_slot_dim, 7}};
  resident_sequence<float> const data[] = {resident_sequence<float>(host_data[0]),
                                           resident_sequence<float>(host_data[1])};
  both first(method, shape, tokens[0]);
  both second(method, shape, tokens[1]);
  auto const without_positions = [](auto kv) {
    kv.positions = nullptr;
    return kv;
  };
  wkv::plan<std::decay_t<decltype(method)>> const* const plans[] = {&first.plan, &second.plan};
  scratch const* const memories[] = {&first.host_memory, &second.host_memory};
  for (int s = 0; s < 2; ++s) {
    REQUIRE(wkv::compress(
        serial, *plans[s], memories[s]->get(), [](int) { return wkv::no_queries{}; },
        [&](int l) { return without_positions(host_data[s].kv(l)); }));
  }
  wkv::thrust_compression<std::decay_t<decltype(method)>> runs[] = {std::move(first.run),
                                                                    std::move(second.run)};
  REQUIRE(message(wkv::compress(
              backend(), runs, 2, [](int, int) { return wkv::no_queries{}; },
              [&](int s, int l) { return without_positions(data[s].kv(l)); })) == "ok");
  for (int s = 0; s < 2; ++s) CHECK(data[s].contents() == host_data[s].contents());
}

}  // namespace thrust_scorers
