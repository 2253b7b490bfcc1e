// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Scorers that see the attention of the whole prompt, that weigh values in, or that look at how attention
// varies.
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/host/thread_pool.hpp"
#include "windowkv/policy/token_scorers.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using floats = std::vector<float>;
using doubles = std::vector<double>;

/// Scores of every query head and token, unmerged.
template <class Scorer>
auto method_of(Scorer scorer, int suffix) {
  return wkv::paper_method().with_token_scorer(scorer).with_suffix(suffix).with_budget(0).with_layer_grouping(
      wkv::no_sharing{});
}

/// [Hq][R]
template <class Scorer, class Score>
floats scores_of(Scorer scorer, int suffix, wkv::model_shape const& shape, int tokens, Score score) {
  auto const plan = wkv::make_plan(method_of(scorer, suffix), shape, {tokens});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(message(score(*run)) == "ok");
  float const* const first = run->token_scores(0);
  return {first, first + static_cast<std::ptrdiff_t>(plan->score_rows) * plan->review};
}

auto plane(tensor const& t) { return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim); }

template <class Scorer, class Executor = wkv::host_executor<>>
floats scores_of(Scorer scorer, int suffix, tensor const& q, tensor const& k, tensor const& v,
                 Executor const& on = {}) {
  wkv::model_shape const shape{1, q.heads, k.heads, k.head_dim};
  return scores_of(scorer, suffix, shape, k.slots, [&](auto& run) {
    return wkv::score(on, run, 0, wkv::suffix_queries{plane(q)}, wkv::kv_view{plane(k), plane(v)});
  });
}

/// Sum over all queries of the attention to each review token, over their number with `is_mean`: [Hq][R].
doubles naive_prompt_scores(tensor const& q, tensor const& k, int suffix, bool is_mean) {
  int const n = k.slots;
  doubles const attention = naive_attention(q, k, n);
  doubles scores;
  for (int head = 0; head < q.heads; ++head) {
    for (int j = 0; j < n - suffix; ++j) {
      double sum = 0;
      for (int i = 0; i < n; ++i) sum += attention[static_cast<std::size_t>((head * n + i) * n + j)];
      scores.push_back(is_mean ? sum / (n - j) : sum);
    }
  }
  return scores;
}

double harmonic(int from, int to) {
  double sum = 0;
  for (int i = from; i <= to; ++i) sum += 1. / i;
  return sum;
}

}  // namespace

TEST_CASE("queries of 0 attend evenly: harmonic sums", "[prompt_scorers]") {
  tensor const zero(4, 1, 2);
  floats const sums = scores_of(wkv::accumulated_attention{}, 1, zero, zero, zero);
  REQUIRE(sums.size() == 3);
  CHECK(sums[0] == Approx(1 + 1. / 2 + 1. / 3 + 1. / 4));
  CHECK(sums[1] == Approx(1. / 2 + 1. / 3 + 1. / 4));
  CHECK(sums[2] == Approx(1. / 3 + 1. / 4));
  floats const means = scores_of(wkv::observed_attention{}, 0, zero, zero, zero);
  REQUIRE(means.size() == 4);
  for (int j = 0; j < 4; ++j) {
    CHECK(means[static_cast<std::size_t>(j)] == Approx(harmonic(j + 1, 4) / (4 - j)));
  }
}

TEST_CASE("attention of the whole prompt equals the dense softmax", "[prompt_scorers]") {
  for (int tokens : {2, 3, 63, 64, 65, 128, 130, 600}) {  // blocks of 64 queries, chunks of 512 tokens
    for (int suffix : {0, 1, 8}) {
      CAPTURE(tokens, suffix);
      if (suffix >= tokens) continue;
      tensor const q = random_tensor(1, tokens + 2, 4, 6, 3.f);  // the last N queries count
      tensor const k = random_tensor(2, tokens, 2, 6, 3.f);
      int const review = tokens - suffix;
      floats const sums = scores_of(wkv::accumulated_attention{}, suffix, q, k, k);
      CHECK(worst_error(sums.data(), naive_prompt_scores(q, k, suffix, false), review) < 1e-5);
      floats const means = scores_of(wkv::observed_attention{}, suffix, q, k, k);
      CHECK(worst_error(means.data(), naive_prompt_scores(q, k, suffix, true), review) < 1e-5);
    }
  }
}

TEST_CASE("the whole prompt: engine's rows and log-sum-exp, threads, layouts", "[prompt_scorers]") {
  int const tokens = 150;
  int const suffix = 5;
  wkv::model_shape const shape{1, 4, 2, 6};
  tensor const q = random_tensor(1, tokens, 4, 6, 3.f);
  tensor const k = random_tensor(2, tokens, 2, 6, 3.f);
  wkv::accumulated_attention const scorer;
  doubles const expected = naive_prompt_scores(q, k, suffix, false);
  floats const first = scores_of(scorer, suffix, q, k, k);

  doubles const attention = naive_attention(q, k, tokens);
  floats const rows(attention.begin(), attention.end());
  std::int64_t const square = std::int64_t{tokens} * tokens;
  floats const from_rows = scores_of(scorer, suffix, shape, tokens, [&](auto& run) {
    return wkv::score(serial, run, 0, wkv::attention_rows{rows.data(), 4, tokens, tokens, square, tokens});
  });
  CHECK(worst_error(from_rows.data(), expected, tokens - suffix) < 1e-5);

  floats log_sum_exp;
  for (int head = 0; head < 4; ++head) {
    for (int i = 0; i < tokens; ++i) {
      double sum = 0;
      for (int j = 0; j <= i; ++j) {
        double dot = 0;
        for (int d = 0; d < 6; ++d)
          dot += static_cast<double>(q.at(i, head, d)) * static_cast<double>(k.at(j, head / 2, d));
        sum += std::exp(dot / std::sqrt(6.));
      }
      log_sum_exp.push_back(static_cast<float>(std::log(sum)));
    }
  }
  floats const with_known = scores_of(scorer, suffix, shape, tokens, [&](auto& run) {
    return wkv::score(serial, run, 0, wkv::suffix_queries{plane(q), log_sum_exp.data()}, plane(k));
  });
  CHECK(worst_error(with_known.data(), expected, tokens - suffix) < 1e-5);

  wkv::thread_pool pool(3);
  CHECK(scores_of(scorer, suffix, q, k, k, wkv::host_executor{pool.hook()}) == first);
  for (order o : orders) {
    stored<float> const queries(q, o);
    stored<float> const keys(k, o);
    CHECK(scores_of(scorer, suffix, shape, tokens, [&](auto& run) {
            return wkv::score(serial, run, 0, wkv::suffix_queries{queries.plane}, keys.plane);
          }) == first);
  }
}

TEST_CASE("the whole prompt needs all its queries", "[prompt_scorers]") {
  auto const plan =
      wkv::make_plan(method_of(wkv::accumulated_attention{}, 2), wkv::model_shape{1, 1, 1, 2}, {9});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  tensor const few(8, 1, 2);
  tensor const k(9, 1, 2);
  wkv::status const refused = wkv::score(serial, *run, 0, wkv::suffix_queries{plane(few)}, plane(k));
  CHECK(refused.code() == wkv::status_code::insufficient_queries);
  CHECK(message(refused) == "layer 0: queries.slots (suffix rows): got 8, must be at least 9");
  floats const rows(81);
  CHECK(message(wkv::score(serial, *run, 0, wkv::attention_rows{rows.data(), 1, 8, 9, 72, 9})) ==
        "layer 0: attention_rows.rows: got 8, must be at least 9");
}

TEST_CASE("the whole prompt: NaN is handed down to the tokens that it touches", "[prompt_scorers]") {
  tensor const q(5, 1, 1);
  tensor k(5, 1, 1);
  k.at(3, 0, 0) = not_a_number;  // seen by queries 3 and 4, which see all
  floats const scores = scores_of(wkv::accumulated_attention{}, 0, q, k, k);
  for (float score : scores) CHECK((std::isnan(score) || score == Approx(0)));
  CHECK(std::isnan(scores[3]));
}

TEST_CASE("mean plus gamma times the variance over the suffix queries", "[prompt_scorers]") {
  wkv::mean_variance_attention const scorer{10.f};
  auto fold = [&](floats const& probabilities) {
    auto state = scorer.init();
    for (float p : probabilities) scorer.add(state, p);
    return scorer.finish(state, static_cast<int>(probabilities.size()));
  };
  CHECK(fold({0.5f}) == 0.5f);                                 // one query has no variance
  CHECK(fold({0.25f, 0.75f}) == Approx(0.5 + 10 * 0.125));     // (1/16 + 1/16) / 1
  CHECK(fold({0.1f, 0.2f, 0.6f}) == Approx(0.3 + 10 * 0.07));  // (0.04 + 0.01 + 0.09) / 2
  CHECK(std::isnan(fold({0.1f, not_a_number})));
  tensor const q = random_tensor(1, 9, 4, 6, 3.f);
  tensor const k = random_tensor(2, 70, 2, 6, 3.f);
  doubles const expected = naive_scores(q, k, 9, [](doubles const& rows) {
    double mean = 0;
    for (double p : rows) mean += p / static_cast<double>(rows.size());
    double squares = 0;
    for (double p : rows) squares += (p - mean) * (p - mean);
    return mean + 200 * squares / (static_cast<double>(rows.size()) - 1);
  });
  CHECK(worst_error(scores_of(wkv::mean_variance_attention{}, 9, q, k, k).data(), expected, 61) < 1e-4);
}

TEST_CASE("values weigh in: (score + epsilon) x what the row scorer gives", "[prompt_scorers]") {
  int const tokens = 80;
  int const suffix = 7;
  tensor const q = random_tensor(1, tokens, 4, 6, 3.f);
  tensor const k = random_tensor(2, tokens, 2, 6, 3.f);
  tensor const v = random_tensor(3, tokens, 2, 9);
  floats weight;  // [Hkv][R]
  for (int h = 0; h < 2; ++h) {
    for (int j = 0; j < tokens - suffix; ++j) {
      float sum = 0;
      for (int d = 0; d < 9; ++d) sum += std::fabs(v.at(j, h, d));
      weight.push_back(sum);
    }
  }
  auto const check = [&](auto fold) {
    floats const plain = scores_of(fold, suffix, q, k, v);
    floats const weighted = scores_of(wkv::value_weighted(fold, wkv::value_norm{1}, 0.25f), suffix, q, k, v);
    REQUIRE(plain.size() == weighted.size());
    bool is_right = true;
    for (std::size_t i = 0; i < plain.size(); ++i) {
      auto const review = static_cast<std::size_t>(tokens - suffix);
      std::size_t const kv = i / review / 2;
      float const expected = (plain[i] + 0.25f) * weight[kv * review + i % review];
      is_right = is_right && std::fabs(weighted[i] - expected) <= 1e-4f * expected;
    }
    CHECK(is_right);
  };
  check(wkv::suffix_attention{});
  check(wkv::recent_attention{});
  check(wkv::mean_variance_attention{});
  check(wkv::accumulated_attention{});
  check(wkv::observed_attention{});
}

TEST_CASE("value-weighted scores from the engine's rows", "[prompt_scorers]") {
  // Two query heads of one KV head, a suffix of two, three review tokens whose values sum to 1, 2 and 3.
  floats const rows = {.1f, .2f, .3f, 0, 0, .3f, .2f, .1f, 0, 0, .5f, 0, .1f, 0, 0, .5f, 0, .1f, 0, 0};
  tensor v(5, 1, 1);
  for (int j = 0; j < 5; ++j) v.at(j, 0, 0) = static_cast<float>(j + 1);
  tensor const k(5, 1, 1);
  floats const scores = scores_of(
      wkv::value_weighted(wkv::suffix_attention{}, wkv::value_norm{1}), 2, {1, 2, 1, 1}, 5, [&](auto& run) {
        return wkv::score(serial, run, 0, wkv::attention_rows{rows.data(), 2, 2, 5, 10, 5},
                          wkv::kv_view{plane(k), plane(v)});
      });
  floats const expected = {.4f, .8f, 1.2f, 1.f, 0, .6f};
  REQUIRE(scores.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(scores[i] == Approx(expected[i]));
}

TEST_CASE("a value-weighted scorer hands on what its weight refuses", "[prompt_scorers]") {
  auto const bad = method_of(wkv::value_weighted(wkv::suffix_attention{}, wkv::value_norm{5}), 2);
  CHECK(message(wkv::make_plan(bad, wkv::model_shape{1, 1, 1, 1}, {9})) ==
        "value_norm.p: got 5, must be at most 2");
}

TEST_CASE("what counts as a scorer of the prompt, of the suffix, as a weighted sum", "[prompt_scorers]") {
  CHECK((wkv::observes_prompt_v<wkv::accumulated_attention> &&
         wkv::observes_prompt_v<wkv::observed_attention>));
  CHECK_FALSE((wkv::observes_prompt_v<wkv::suffix_attention> || wkv::observes_prompt_v<wkv::recency>));
  CHECK((wkv::is_weighted_sum_v<wkv::suffix_attention> && wkv::is_weighted_sum_v<wkv::recent_attention>));
  CHECK_FALSE((wkv::is_weighted_sum_v<wkv::mean_variance_attention> ||
               wkv::is_weighted_sum_v<wkv::accumulated_attention>));
  using weighted = wkv::value_weighted<wkv::suffix_attention, wkv::value_norm>;
  CHECK((wkv::is_attention_scorer_v<weighted> && wkv::is_token_scorer_v<weighted>));
  CHECK_FALSE((wkv::is_weighted_sum_v<weighted> || wkv::is_row_scorer_v<weighted>));
  CHECK(wkv::observes_prompt_v<wkv::value_weighted<wkv::accumulated_attention, wkv::value_norm>>);
}
