// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What scoring leaves for the selection: every form, and scores that are hard to sum.

#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::detail::score_form;

constexpr double tolerance = 1e-5;

struct form_case {
  wkv::model_shape shape;
  int tokens;
  order planes = order::slot_head_dim;
};

/// Window scores and selection after scoring from queries and keys, which must have taken this form.
template <class T, class Scoring>
void check_form(Scoring const& scoring, form_case const& c, score_form form, bool has_log_sum_exp,
                wkv::layer_merge layers = wkv::layer_merge::first) {
  auto merged = scoring;
  merged.layers = layers;
  auto const method = method_of(merged)
                          .with_budget(c.tokens / 3)
                          .with_layer_grouping(wkv::uniform_groups{8, wkv::scoring_layers::all});
  CAPTURE(scoring.suffix, scoring.windows.width, c.tokens, c.shape.query_heads, c.shape.head_dim,
          has_log_sum_exp, static_cast<int>(layers));
  both<std::decay_t<decltype(method)>> pair(method, c.shape, c.tokens);
  sequence<T> data(c.shape, c.tokens, scoring.suffix, c.planes, 3, 0);
  device_sequence<T> const there(data);
  pair.score(data, there, has_log_sum_exp);
  CHECK(wkv::compression_access::memory(pair.run).record[0].form == form);
  pair.check_near_select(tolerance);
}

wkv::model_shape shape_of(int query_heads, int kv_heads, int head_dim = 64) {
  return {1, query_heads, kv_heads, head_dim};
}

/// Element by element: the error may be `relative` of the element itself. Values that a float barely holds
/// count as 0.
double worst_relative_error(std::vector<float> const& got, std::vector<float> const& expected) {
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    double const error = std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])) /
                         (std::fabs(static_cast<double>(expected[i])) + 1e-30);
    worst = error <= worst ? worst : std::isnan(error) ? HUGE_VAL : error;
  }
  return worst;
}

/// As a share of the largest finite score; infinite unless NaN and infinities are the same on both sides.
double worst_odd_error(std::vector<float> const& got, std::vector<float> const& expected) {
  double largest = 1e-30;
  for (float const x : expected) {
    if (std::isfinite(x)) largest = std::fmax(largest, std::fabs(static_cast<double>(x)));
  }
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (bits({got[i]}) == bits({expected[i]})) continue;
    double const error = std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i])) / largest;
    worst = std::fmax(worst, std::isfinite(error) ? error : HUGE_VAL);
  }
  return worst;
}

/// Queries and keys of one head whose logits are `logit(token)`, roughly: a row of them per query.
template <class T, class Logit>
sequence<T> shaped_sequence(wkv::model_shape const& shape, int tokens, int rows, Logit logit) {
  sequence<T> data(shape, tokens, rows, order::slot_head_dim, 5, 0);
  auto const d = static_cast<float>(shape.head_dim);
  for (auto& layer : data.layers) {
    tensor q = read(layer.queries.plane);
    tensor k = read(layer.keys.plane);
    for (float& x : q.numbers) x = x > 0.f ? 1.f : 0.5f;  // every sum is exact enough to compare
    for (int j = 0; j < tokens; ++j) {
      for (int h = 0; h < k.heads; ++h) {
        for (int i = 0; i < k.head_dim; ++i) k.at(j, h, i) = logit(j) / std::sqrt(d) + 0.01f * k.at(j, h, i);
      }
    }
    layer.queries.write(q);
    layer.keys.write(k);
  }
  return data;
}

}  // namespace

TEMPLATE_TEST_CASE("form: row sums", "[score]", wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  for (int width : {8, 16, 40}) {
    for (form_case const& c : {form_case{shape_of(1, 1), 700},
                               {shape_of(6, 2), 129},
                               {shape_of(4, 1), 33},
                               {shape_of(7, 1), 100},
                               {shape_of(4, 2, 24), 75},
                               {shape_of(2, 1, 128), 90}}) {
      check_form<TestType>(
          scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, width, wkv::window_mean{}), c,
          score_form::row_sums, false);
      check_form<TestType>(scoring_of(9, wkv::recent_attention{0.7f}, wkv::no_pooling{}, width,
                                      wkv::window_mean{}, wkv::head_merge::at_tokens),
                           c, score_form::row_sums, false);
    }
  }
  check_form<TestType>(scoring_of(40, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}),
                       {shape_of(8, 1), 1100}, score_form::row_sums, false);
  // Chunks of 512 tokens, as many blocks: their references differ.
  check_form<TestType>(scoring_of(1, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}),
                       {shape_of(1, 1), 2049}, score_form::row_sums, false);
}

TEMPLATE_TEST_CASE("form: window sums", "[score]", wkv::float16, float) {
  WKV_NEEDS_DEVICE();
  for (int width : {1, 4, 8, 128}) {
    for (form_case const& c : {form_case{shape_of(1, 1), 700},
                               {shape_of(6, 2), 146},
                               {shape_of(7, 1), 100},
                               {shape_of(4, 2, 24), 75}}) {
      for (bool has_log_sum_exp : {false, true}) {
        check_form<TestType>(
            scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, width, wkv::window_top_mean{3}), c,
            score_form::window_sums, has_log_sum_exp);
        check_form<TestType>(scoring_of(9, wkv::recent_attention{}, wkv::no_pooling{}, width, peak_window{}),
                             c, score_form::window_sums, has_log_sum_exp);
      }
      check_form<TestType>(
          scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, width, wkv::window_mean{}), c,
          score_form::window_sums, true);
      check_form<TestType>(scoring_of(16, best_row{}, wkv::no_pooling{}, width, wkv::window_mean{}), c,
                           score_form::window_sums, false);
    }
  }
}

TEMPLATE_TEST_CASE("form: token rows and token sums", "[score]", wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  for (form_case const& c :
       {form_case{shape_of(1, 1), 700}, {shape_of(6, 2), 146}, {shape_of(4, 2, 24), 75}}) {
    for (bool has_log_sum_exp : {false, true}) {
      check_form<TestType>(scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 5, wkv::window_mean{}),
                           c, score_form::token_rows, has_log_sum_exp);
      check_form<TestType>(scoring_of(10, best_row{}, wkv::max_pooling{3, 2}, 4, wkv::window_top_mean{2}), c,
                           score_form::token_rows, has_log_sum_exp);
      check_form<TestType>(scoring_of(16, wkv::recent_attention{}, wkv::max_pooling{7, 0}, 1,
                                      wkv::window_mean{}, wkv::head_merge::at_tokens),
                           c, score_form::token_sums, has_log_sum_exp);
      check_form<TestType>(scoring_of(16, best_row{}, wkv::no_pooling{}, 8, wkv::window_top_mean{4},
                                      wkv::head_merge::at_tokens),
                           c, score_form::token_sums, has_log_sum_exp);
    }
  }
}

TEST_CASE("form: several layers vote", "[score][sanitize]") {
  WKV_NEEDS_DEVICE();
  for (bool has_log_sum_exp : {false, true}) {
    for (wkv::layer_merge merge : {wkv::layer_merge::mean, wkv::layer_merge::maximum}) {
      form_case const c{{3, 4, 2, 64}, 90};
      check_form<wkv::bfloat16>(
          scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}), c,
          score_form::token_rows, has_log_sum_exp, merge);
      check_form<wkv::bfloat16>(scoring_of(16, wkv::recent_attention{}, wkv::no_pooling{}, 8,
                                           wkv::window_mean{}, wkv::head_merge::at_tokens),
                                c, score_form::token_sums, has_log_sum_exp, merge);
    }
  }
}

TEST_CASE("form: few threads", "[score][race]") {
  WKV_NEEDS_DEVICE();
  form_case const c{shape_of(4, 1), 130};
  check_form<wkv::bfloat16>(scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}),
                            c, score_form::row_sums, false);
  check_form<float>(scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}),
                    {shape_of(4, 1, 24), 70}, score_form::row_sums, false);
  check_form<wkv::bfloat16>(
      scoring_of(16, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_top_mean{4}), c,
      score_form::window_sums, true);
}

TEMPLATE_TEST_CASE("rising logits move the references of the softmax", "[score][sanitize]", wkv::bfloat16,
                   float) {
  WKV_NEEDS_DEVICE();
  // In units of the natural logarithm: rises of 70 and 300 are still seen by a float at the other end of the
  // prompt (so the early windows are compared as well), 10000 is far beyond.
  for (float rise : {70.f, 300.f, 10000.f, -10000.f}) {
    for (int kind = 0; kind < 3; ++kind) {
      for (int tokens : {100, 1100}) {
        auto const logit = [&](int j) {
          float const share = static_cast<float>(j) / static_cast<float>(tokens);
          return kind == 0   ? rise * share
                 : kind == 1 ? (j % 97 < 3 ? rise * share : 0.f)
                             : rise * std::floor(share * 4.f) / 4.f;
        };
        wkv::model_shape const shape = shape_of(2, 1);
        auto data = shaped_sequence<TestType>(shape, tokens, 5, logit);
        device_sequence<TestType> const there(data);
        CAPTURE(rise, kind, tokens);
        // Logits of this size are rounded, differently on either side, before anything else happens.
        double const rounding = 4 * std::fabs(static_cast<double>(rise)) * 6e-8 * std::sqrt(64.0);
        auto const check = [&](auto const& scoring, bool has_log_sum_exp) {
          auto const method = method_of(scoring).with_budget(tokens / 2);
          both<std::decay_t<decltype(method)>> pair(method, shape, tokens);
          pair.score(data, there, has_log_sum_exp);
          REQUIRE(wkv::select(serial, pair.host, 0));
          REQUIRE(wkv::select(pair.on, pair.run, 0));
          std::vector<float> const got = fetch(pair.run.window_scores(0), pair.plan.windows);
          CHECK(worst_relative_error(got, pair.host_window_scores()) <= tolerance + rounding);
        };
        check(scoring_of(5, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}), false);
        check(scoring_of(5, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_top_mean{2}), false);
      }
    }
  }
}

TEMPLATE_TEST_CASE("NaN and infinite keys rank as on the host", "[score][sanitize]", wkv::bfloat16, float) {
  WKV_NEEDS_DEVICE();
  int const tokens = 150;
  int const suffix = 10;
  wkv::model_shape const shape{2, 4, 2, 64};
  for (float odd : {not_a_number, infinity, -infinity}) {
    for (int where : {37, tokens - suffix - 1, tokens - 4}) {
      for (bool has_log_sum_exp : {false, true}) {
        sequence<TestType> data(shape, tokens, suffix, order::slot_head_dim, 9, 0);
        std::vector<std::vector<float>> const known = log_sum_exps(data, suffix);  // of the keys as they were
        *data.layers[0].keys.plane.address(where, 1, 3) = TestType(odd);
        device_sequence<TestType> const there(data);
        CAPTURE(odd, where, has_log_sum_exp);
        auto const check = [&](auto const& scoring) {
          auto const method = method_of(scoring).with_budget(50).with_layer_grouping(
              wkv::uniform_groups{2, wkv::scoring_layers::all});
          both<std::decay_t<decltype(method)>> pair(method, shape, tokens);
          for (int l = 0; l < 2; ++l) {
            auto source = data.queries(l);
            auto source_there = there.queries(l);
            device_array<float> const known_there(known[static_cast<std::size_t>(l)]);
            if (has_log_sum_exp) {
              source.log_sum_exp = known[static_cast<std::size_t>(l)].data();
              source_there.log_sum_exp = known_there.data();
            }
            REQUIRE(message(wkv::score(serial, pair.host, l, source, data.kv(l).keys)) == "ok");
            REQUIRE(message(wkv::score(pair.on, pair.run, l, source_there, there.kv(l).keys)) == "ok");
            fetch(pair.run.counts(), 1);
          }
          auto const expected = wkv::select(serial, pair.host, 0);
          REQUIRE(expected);
          REQUIRE(wkv::select(pair.on, pair.run, 0));
          auto const got = selection_of(pair.run, 0);
          CHECK(got.windows == windows_of(*expected));
          CHECK(got.slots == slots_of(*expected));
          auto const scores = fetch(pair.run.window_scores(0), pair.plan.windows);
          auto const host_scores = pair.host_window_scores();
          CHECK(worst_odd_error(scores, host_scores) <= 1e-4);
        };
        auto scoring = scoring_of(suffix, wkv::suffix_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{});
        check(scoring);  // row sums
        scoring.layers = wkv::layer_merge::maximum;
        check(scoring);  // token rows of two layers
        auto pooled = scoring_of(suffix, wkv::suffix_attention{}, wkv::max_pooling{3, 0}, 1,
                                 wkv::window_top_mean{1}, wkv::head_merge::at_tokens);
        pooled.layers = wkv::layer_merge::maximum;
        check(pooled);  // token sums
        pooled.layers = wkv::layer_merge::mean;
        check(pooled);
      }
    }
  }
}

TEST_CASE("attention rows and token scores of the engine", "[score][sanitize]") {
  WKV_NEEDS_DEVICE();
  int const tokens = 300;
  wkv::model_shape const shape{2, 4, 2, 8};
  for (int suffix : {1, 7, 16}) {
    int const rows = suffix + 2;
    random_source random(static_cast<unsigned>(suffix));
    for (wkv::head_merge heads : {wkv::head_merge::at_tokens, wkv::head_merge::at_windows}) {
      auto scoring =
          scoring_of(suffix, wkv::suffix_attention{}, wkv::max_pooling{1, 1}, 3, wkv::window_mean{}, heads);
      scoring.layers = wkv::layer_merge::mean;
      auto const method = method_of(scoring).with_budget(80).with_layer_grouping(
          wkv::uniform_groups{2, wkv::scoring_layers::all});
      both<std::decay_t<decltype(method)>> pair(method, shape, tokens);
      int const stride = pair.plan.review + 3;
      for (int l = 0; l < 2; ++l) {
        std::vector<float> given(static_cast<std::size_t>(4 * rows * stride));
        for (float& x : given) x = random.symmetric() + 1.f;
        device_array<float> const there(given);
        wkv::attention_rows source{given.data(), 4, rows, stride, std::int64_t{rows} * stride, stride};
        REQUIRE(message(wkv::score(serial, pair.host, l, source)) == "ok");
        source.data = there.data();
        REQUIRE(message(wkv::score(pair.on, pair.run, l, source)) == "ok");
        fetch(pair.run.counts(), 1);
      }
      pair.check_select();  // a plain sum: the same bits
    }
  }
}

TEST_CASE("rows of the engine through a scorer with products", "[score]") {
  WKV_NEEDS_DEVICE();
  int const tokens = 200;
  auto const method =
      method_of(scoring_of(9, wkv::recent_attention{}, wkv::no_pooling{}, 8, wkv::window_mean{}))
          .with_budget(80);
  both<std::decay_t<decltype(method)>> pair(method, shape_of(3, 1), tokens);
  random_source random(2);
  std::vector<float> given(static_cast<std::size_t>(3 * 9 * pair.plan.review));
  for (float& x : given) x = random.symmetric() + 1.f;
  device_array<float> const there(given);
  wkv::attention_rows source{given.data(),    3, 9, pair.plan.review, std::int64_t{9} * pair.plan.review,
                             pair.plan.review};
  REQUIRE(wkv::score(serial, pair.host, 0, source));
  source.data = there.data();
  REQUIRE(wkv::score(pair.on, pair.run, 0, source));
  pair.check_near_select(tolerance);
}
