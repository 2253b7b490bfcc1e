// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/policy/row_scorers.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/host/thread_pool.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using floats = std::vector<float>;
using doubles = std::vector<double>;

/// Scores of every KV head and token: a list per KV head, no suffix.
template <class Scorer>
auto method_of(Scorer scorer) {
  return wkv::key_norm().with_token_scorer(scorer).with_selector(wkv::top_windows{}).with_budget(1);
}

/// [Hkv][N]
template <class Scorer, class Source, class Kv, class Executor = wkv::host_executor<>>
floats scores_of(Scorer scorer, Source const& source, Kv const& kv, int tokens, int query_heads,
                 Executor const& on = {}) {
  auto const plan = wkv::make_plan(
      method_of(scorer), wkv::model_shape{1, query_heads, kv.keys.heads, kv.keys.head_dim}, {tokens});
  REQUIRE(message(plan) == "ok");
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  REQUIRE(run);
  REQUIRE(message(wkv::score(on, *run, 0, source, kv)) == "ok");
  float const* const first = run->token_scores(0);
  return {first, first + kv.keys.heads * tokens};
}

auto plane(tensor const& t) { return wkv::slot_head_dim(t.numbers.data(), t.slots, t.heads, t.head_dim); }

template <class Scorer, class Executor = wkv::host_executor<>>
floats scores_of(Scorer scorer, tensor const& keys, tensor const& values, int query_heads = 0,
                 Executor const& on = {}) {
  return scores_of(scorer, wkv::no_queries{}, wkv::kv_view{plane(keys), plane(values)}, keys.slots,
                   query_heads > 0 ? query_heads : keys.heads, on);
}

/// One head whose rows are given.
tensor rows_of(std::vector<floats> const& rows) {
  tensor t(static_cast<int>(rows.size()), 1, static_cast<int>(rows[0].size()));
  for (int s = 0; s < t.slots; ++s) {
    for (int d = 0; d < t.head_dim; ++d)
      t.at(s, 0, d) = rows[static_cast<std::size_t>(s)][static_cast<std::size_t>(d)];
  }
  return t;
}

double dot(tensor const& a, int i, tensor const& b, int j, int head) {
  double sum = 0;
  for (int d = 0; d < a.head_dim; ++d)
    sum += static_cast<double>(a.at(i, head, d)) * static_cast<double>(b.at(j, head, d));
  return sum;
}

doubles naive_key_dissimilarity(tensor const& keys) {
  doubles scores;
  for (int h = 0; h < keys.heads; ++h) {
    doubles anchor(static_cast<std::size_t>(keys.head_dim));
    for (int j = 0; j < keys.slots; ++j) {
      double const length = std::sqrt(dot(keys, j, keys, j, h));
      for (int d = 0; d < keys.head_dim; ++d) {
        anchor[static_cast<std::size_t>(d)] += static_cast<double>(keys.at(j, h, d)) / length / keys.slots;
      }
    }
    double anchor_length = 0;
    for (double x : anchor) anchor_length += x * x;
    anchor_length = std::sqrt(anchor_length);
    for (int j = 0; j < keys.slots; ++j) {
      double product = 0;
      for (int d = 0; d < keys.head_dim; ++d) {
        product += static_cast<double>(keys.at(j, h, d)) * anchor[static_cast<std::size_t>(d)];
      }
      scores.push_back(-product / std::sqrt(dot(keys, j, keys, j, h)) / anchor_length);
    }
  }
  return scores;
}

/// The softmax part of lag_relative for one block: shares of its tokens.
doubles naive_shares(tensor const& t, int head, int first, int lag) {
  doubles spread;
  for (int j = first; j < first + lag; ++j) {
    doubles y;
    for (int d = 0; d < t.head_dim; ++d) {
      double least = 1e30;
      double most = -1e30;
      for (int i = first + lag; i < first + 2 * lag; ++i) {
        least = std::fmin(least, static_cast<double>(t.at(i, head, d)));
        most = std::fmax(most, static_cast<double>(t.at(i, head, d)));
      }
      y.push_back((static_cast<double>(t.at(j, head, d)) - least) / (most - least));
    }
    double mean = 0;
    for (double x : y) mean += x / static_cast<double>(y.size());
    double squares = 0;
    for (double x : y) squares += (x - mean) * (x - mean);
    spread.push_back(std::exp(std::sqrt(squares / (static_cast<double>(y.size()) - 1))));
  }
  double sum = 0;
  for (double x : spread) sum += x;
  for (double& x : spread) x /= sum;
  return spread;
}

doubles naive_lag_relative(tensor const& keys, tensor const& values, int sinks, int lag) {
  doubles scores;
  for (int h = 0; h < keys.heads; ++h) {
    auto const start = scores.size();
    scores.resize(start + static_cast<std::size_t>(keys.slots), 1.);
    for (int first = sinks; first + 2 * lag <= keys.slots; first += lag) {
      doubles const k = naive_shares(keys, h, first, lag);
      doubles const v = naive_shares(values, h, first, lag);
      for (std::size_t i = 0; i < k.size(); ++i) {
        scores[start + static_cast<std::size_t>(first) + i] = (k[i] + v[i]) / 2;
      }
    }
  }
  return scores;
}

/// expected_future_attention in double precision, with the rotation as a matrix.
doubles naive_expected(wkv::expected_future_attention const& s, tensor const& q, tensor const& k,
                       tensor const& v) {
  int const dims = k.head_dim;
  auto const n = static_cast<std::size_t>(dims);
  auto const at = [&](int i, int j) { return static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j); };
  doubles turn(n * n);
  for (int position = k.slots; position < k.slots + s.future_positions; ++position) {
    for (int i = 0; i < dims / 2; ++i) {
      double const angle = position * std::pow(static_cast<double>(s.theta), -2. * i / dims);
      turn[at(i, i)] += std::cos(angle) / s.future_positions;
      turn[at(i + dims / 2, i + dims / 2)] += std::cos(angle) / s.future_positions;
      turn[at(i, i + dims / 2)] -= std::sin(angle) / s.future_positions;
      turn[at(i + dims / 2, i)] += std::sin(angle) / s.future_positions;
    }
  }
  int const heads_per_kv = q.heads / k.heads;
  int const skipped = std::max(0, s.sinks - (k.slots - q.slots));
  doubles scores(static_cast<std::size_t>(k.heads * k.slots));
  for (int h = 0; h < q.heads; ++h) {
    auto const rotated = [&](int row) {
      doubles out(n);
      for (int i = 0; i < dims; ++i) {
        for (int j = 0; j < dims; ++j)
          out[static_cast<std::size_t>(i)] += turn[at(i, j)] * static_cast<double>(q.at(row, h, j));
      }
      return out;
    };
    doubles mean(n);
    for (int row = skipped; row < q.slots; ++row) {
      doubles const x = rotated(row);
      for (std::size_t i = 0; i < n; ++i) mean[i] += x[i] / (q.slots - skipped);
    }
    doubles exponentials;
    double sum = 0;
    for (int token = s.sinks; token < k.slots; ++token) {
      double linear = 0;
      for (int i = 0; i < dims; ++i)
        linear += mean[static_cast<std::size_t>(i)] * static_cast<double>(k.at(token, h / heads_per_kv, i));
      double quadratic = 0;  // the variance of the rotated queries along the key
      for (int row = skipped; row < q.slots && s.use_covariance; ++row) {
        doubles const x = rotated(row);
        double along = 0;
        for (int i = 0; i < dims; ++i) {
          along += (x[static_cast<std::size_t>(i)] - mean[static_cast<std::size_t>(i)]) *
                   static_cast<double>(k.at(token, h / heads_per_kv, i));
        }
        quadratic += along * along / (q.slots - skipped);
      }
      exponentials.push_back(std::exp(linear / std::sqrt(dims) + quadratic / (2. * dims)));
      sum += exponentials.back();
    }
    for (int token = s.sinks; token < k.slots; ++token) {
      scores[static_cast<std::size_t>(h / heads_per_kv * k.slots + token)] +=
          exponentials[static_cast<std::size_t>(token - s.sinks)] / sum / heads_per_kv;
    }
  }
  for (int h = 0; h < k.heads && s.use_value_norm; ++h) {
    for (int token = s.sinks; token < k.slots; ++token) {
      double& score = scores[static_cast<std::size_t>(h * k.slots + token)];
      score = (score + static_cast<double>(s.epsilon)) * std::sqrt(dot(v, token, v, token, h));
    }
  }
  return scores;
}

}  // namespace

TEST_CASE("recency and random order read nothing", "[row_scorers]") {
  tensor const any(5, 2, 1);
  CHECK(scores_of(wkv::recency{}, any, any) == floats{0, 1, 2, 3, 4, 0, 1, 2, 3, 4});
  // The order of a seed is for ever.
  CHECK(scores_of(wkv::random_order{1}, tensor(3, 2, 1), any) ==
        floats{14684716 * 0x1p-24f, 2731363 * 0x1p-24f, 15568732 * 0x1p-24f, 6591896 * 0x1p-24f,
               3844677 * 0x1p-24f, 8222504 * 0x1p-24f});
  tensor const many(1000, 2, 1);
  floats const dice = scores_of(wkv::random_order{7}, many, many);
  CHECK(dice == scores_of(wkv::random_order{7}, many, many));
  CHECK(dice != scores_of(wkv::random_order{8}, many, many));
  CHECK(floats(dice.begin(), dice.begin() + 1000) != floats(dice.begin() + 1000, dice.end()));
  CHECK(std::set<float>(dice.begin(), dice.end()).size() > 1990);  // hardly any ties
  CHECK(*std::min_element(dice.begin(), dice.end()) >= 0.f);
  CHECK(*std::max_element(dice.begin(), dice.end()) < 1.f);
  double sum = 0;
  for (float x : dice) sum += static_cast<double>(x);
  CHECK(std::fabs(sum / 2000 - 0.5) < 0.03);
}

TEST_CASE("dice fall anew for every layer and head", "[row_scorers]") {
  auto const at = [](int layer, int head, int token) {
    wkv::detail::any_rows rows{};
    rows.layer = layer;
    rows.head = head;
    return wkv::random_order{1}.score(token, rows, nullptr);
  };
  CHECK(at(0, 0, 5) != at(1, 0, 5));
  CHECK(at(0, 0, 5) != at(0, 1, 5));
  CHECK(at(1, 0, 5) != at(0, 1, 5));
  CHECK(at(3, 2, 5) == at(3, 2, 5));
}

TEST_CASE("norms of keys and values", "[row_scorers]") {
  tensor const rows = rows_of({{3, 4}, {0, 0}, {-1, 0}, {0, not_a_number}, {infinity, 1}});
  floats const keys = scores_of(wkv::inverse_key_norm{}, rows, rows);
  CHECK(floats(keys.begin(), keys.begin() + 3) == floats{-5, -0.f, -1});
  CHECK(std::isnan(keys[3]));
  CHECK(keys[4] == -infinity);
  floats const sizes = scores_of(wkv::value_norm{1}, rows, rows);
  CHECK(floats(sizes.begin(), sizes.begin() + 3) == floats{7, 0, 1});
  CHECK(scores_of(wkv::value_norm{2}, rows, rows)[0] == 5.f);
  CHECK(message(wkv::make_plan(method_of(wkv::value_norm{0}), wkv::model_shape{1, 1, 1, 1}, {3})) ==
        "value_norm.p: got 0, must be at least 1");
  CHECK(message(wkv::make_plan(method_of(wkv::value_norm{3}), wkv::model_shape{1, 1, 1, 1}, {3})) ==
        "value_norm.p: got 3, must be at most 2");
}

TEST_CASE("projected value norm: the mean over the query heads of |W_o v|", "[row_scorers]") {
  // Two query heads of 2 dims, a model of 2 dims; rows of W_o are 5 floats apart.
  float const weight[] = {1, 0, 0, 2, 99, 0, -1, 1, 1, 99};
  tensor const v = rows_of({{3, 4}, {1, -1}});
  // Head 0: (3, -4) and (1, 1); head 1: (8, 7) and (-2, 0).
  CHECK(scores_of(wkv::projected_value_norm{weight, 2, 5}, v, v, 2) == floats{(7 + 15) / 2.f, (2 + 2) / 2.f});
  CHECK(message(wkv::projected_value_norm{nullptr, 2, 5}.validate()) ==
        "projected_value_norm.weight: must not be null");
  CHECK(message(wkv::projected_value_norm{weight, 0, 5}.validate()) ==
        "projected_value_norm.model_dim: got 0, must be at least 1");
}

TEST_CASE("key dissimilarity: minus the cosine to the mean of the unit keys", "[row_scorers]") {
  // Units (1, 0), (1, 0), (0, 1): the mean points to (2, 1).
  floats const literal =
      scores_of(wkv::key_dissimilarity{}, rows_of({{2, 0}, {5, 0}, {0, 3}}), rows_of({{0}, {0}, {0}}));
  CHECK(literal[0] == Approx(-2 / std::sqrt(5.)));
  CHECK(literal[1] == Approx(-2 / std::sqrt(5.)));
  CHECK(literal[2] == Approx(-1 / std::sqrt(5.)));
  for (int tokens : {2, 63, 64, 65, 128, 300}) {
    tensor const keys = random_tensor(3, tokens, 2, 5);
    CAPTURE(tokens);
    CHECK(worst_error(scores_of(wkv::key_dissimilarity{}, keys, keys).data(), naive_key_dissimilarity(keys),
                      tokens) < 1e-5);
  }
  tensor const zero(4, 1, 3);
  CHECK(scores_of(wkv::key_dissimilarity{}, zero, zero) == floats(4, -0.f));
}

TEST_CASE("lag-relative scores, literally", "[row_scorers]") {
  // Blocks of 2 behind one sink; the block [1, 3) is seen relative to [3, 5), whose extremes are 0 and 1 in
  // both channels. Token 1 spreads by |1 - 0| / sqrt(2), token 2 not at all.
  tensor const rows = rows_of({{7, 7}, {1, 0}, {2, 2}, {0, 0}, {1, 1}, {9, 9}});
  double const share = 1 / (1 + std::exp(-std::sqrt(0.5)));
  floats const cross = scores_of(wkv::lag_relative{1, 2, true}, rows, rows);
  CHECK(cross[1] == Approx(share));
  CHECK(cross[2] == Approx(1 - share));
  CHECK((cross[0] == 1.f && cross[3] == 1.f && cross[4] == 1.f && cross[5] == 1.f));
  CHECK(scores_of(wkv::lag_relative{1, 2}, rows, rows) == floats{1, 0.5f, 0, 1, 1, 1});
  // Too short for two blocks: a ramp behind the sinks.
  CHECK(scores_of(wkv::lag_relative{1, 3}, rows, rows) == floats{1, 0, 0.2f, 0.4f, 0.6f, 0.8f});
  CHECK(scores_of(wkv::lag_relative{6, 2}, rows, rows) == floats(6, 1.f));
  CHECK(scores_of(wkv::lag_relative{9, 2}, rows, rows) == floats(6, 1.f));
  CHECK(scores_of(wkv::lag_relative{0, INT32_MAX}, rows, rows)[5] == Approx(5. / 6));
}

TEST_CASE("lag-relative scores equal a naive computation", "[row_scorers]") {
  for (int tokens : {40, 41, 55, 56, 57, 300}) {
    for (int sinks : {0, 4}) {
      tensor const keys = random_tensor(5, tokens, 2, 6);
      tensor const values = random_tensor(6, tokens, 2, 9);
      CAPTURE(tokens, sinks);
      doubles const expected = naive_lag_relative(keys, values, sinks, 16);
      floats const cross = scores_of(wkv::lag_relative{sinks, 16, true}, keys, values);
      CHECK(worst_error(cross.data(), expected, tokens) < 1e-5);
      floats const ranks = scores_of(wkv::lag_relative{sinks, 16}, keys, values);
      bool is_right = true;  // ranks order each block as the shares do
      for (int h = 0; h < 2; ++h) {
        for (int first = sinks; first + 32 <= tokens; first += 16) {
          auto const start = std::ptrdiff_t{h} * tokens + first;
          for (int i = 0; i < 16; ++i) {
            auto const below = std::count_if(cross.begin() + start, cross.begin() + start + 16, [&](float x) {
              return x < cross[static_cast<std::size_t>(start + i)];
            });
            is_right =
                is_right && ranks[static_cast<std::size_t>(start + i)] == static_cast<float>(below) / 16.f;
          }
        }
      }
      CHECK(is_right);
    }
  }
}

TEST_CASE("lag-relative scores: ties, NaN and constant channels", "[row_scorers]") {
  // Tokens 0 and 1 spread alike: the earlier ranks lower.
  CHECK(scores_of(wkv::lag_relative{0, 3}, rows_of({{1, 0}, {0, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}}),
                  rows_of({{1, 0}, {0, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}})) ==
        floats{1 / 3.f, 2 / 3.f, 0, 1, 1, 1});
  // NaN ranks lowest and leaves the others alone.
  floats const with_nan = scores_of(wkv::lag_relative{0, 3, true},
                                    rows_of({{1, 0}, {not_a_number, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}}),
                                    rows_of({{1, 0}, {0, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}}));
  CHECK(std::isnan(with_nan[1]));
  CHECK(with_nan[0] > with_nan[2]);
  CHECK(scores_of(wkv::lag_relative{0, 3},
                  rows_of({{1, 0}, {not_a_number, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}}),
                  rows_of({{1, 0}, {0, 1}, {1, 1}, {0, 0}, {1, 1}, {0, 1}})) ==
        floats{2 / 3.f, 0, 1 / 3.f, 1, 1, 1});
  // A channel that is constant over the next block says nothing, whatever it holds before.
  auto const padded = [](float x) {
    return rows_of({{1, 0, x}, {0, 2, 3}, {1, 1, 7}, {0, 0, 5}, {1, 1, 5}, {0, 1, 5}});
  };
  floats const constant = scores_of(wkv::lag_relative{0, 3, true}, padded(5), padded(5));
  CHECK(constant == scores_of(wkv::lag_relative{0, 3, true}, padded(-100), padded(-100)));
  CHECK(std::none_of(constant.begin(), constant.end(), [](float x) { return std::isnan(x); }));
  tensor const zero(9, 1, 2);
  floats const even = scores_of(wkv::lag_relative{0, 3, true}, zero, zero);
  CHECK(even[0] == Approx(1. / 3));
}

TEST_CASE("lag-relative settings that mean nothing are refused", "[row_scorers]") {
  CHECK(message(wkv::lag_relative{-1, 2}.validate()) == "lag_relative.sinks: got -1, must be at least 0");
  CHECK(message(wkv::lag_relative{0, 0}.validate()) == "lag_relative.lag: got 0, must be at least 1");
}

TEST_CASE("expected attention equals a naive computation", "[row_scorers]") {
  struct variant {
    int tokens, rows, query_heads, kv_heads, dims;
    wkv::expected_future_attention scorer;
  };
  wkv::expected_future_attention const standard{};
  wkv::expected_future_attention keys_only{2, 16, 10000.f, true, false, 0.f};
  wkv::expected_future_attention mean_only{4, 512, 500000.f, false, true, 0.02f};
  wkv::expected_future_attention no_sinks{0, 1, 10000.f, true, true, 0.1f};
  for (variant const& c : {variant{40, 40, 4, 2, 8, standard}, variant{33, 33, 3, 1, 34, keys_only},
                           variant{100, 100, 2, 2, 16, mean_only}, variant{5, 5, 2, 1, 4, standard},
                           variant{64, 64, 2, 1, 20, no_sinks}, variant{40, 10, 2, 1, 8, standard},
                           variant{40, 38, 2, 1, 8, standard}}) {
    CAPTURE(c.tokens, c.rows, c.dims);
    tensor q = random_tensor(1, c.rows, c.query_heads, c.dims, 2.f);
    for (float& x : q.numbers) x += 0.5f;
    tensor const k = random_tensor(2, c.tokens, c.kv_heads, c.dims, 2.f);
    tensor const v = random_tensor(3, c.tokens, c.kv_heads, c.dims + 1);
    floats const scores = scores_of(c.scorer, wkv::suffix_queries{plane(q)}, wkv::kv_view{plane(k), plane(v)},
                                    c.tokens, c.query_heads);
    CHECK(worst_error(scores.data(), naive_expected(c.scorer, q, k, v), c.tokens) < 1e-5);
    for (int i = 0; i < c.scorer.sinks; ++i) CHECK(scores[static_cast<std::size_t>(i)] == 0.f);
  }
}

TEST_CASE("expected attention: extremes", "[row_scorers]") {
  tensor const q(6, 1, 2);
  tensor k = random_tensor(2, 6, 1, 2);
  tensor const v = rows_of({{1}, {1}, {1}, {1}, {1}, {1}});
  wkv::kv_view const kv{plane(k), plane(v)};
  wkv::expected_future_attention s{2};
  auto const score = [&] { return scores_of(s, wkv::suffix_queries{plane(q)}, kv, 6, 1); };
  // Queries of 0 attend evenly.
  CHECK(score() == floats{0, 0, 0.25f, 0.25f, 0.25f, 0.25f});
  s.sinks = 6;
  CHECK(score() == floats(6, 0.f));
  s.sinks = 99;
  CHECK(score() == floats(6, 0.f));
  s.sinks = 2;
  k.at(3, 0, 1) = not_a_number;
  floats const with_nan = score();
  CHECK(std::isnan(with_nan[3]));
  CHECK(with_nan[4] == Approx(1. / 3));
  // More queries than tokens: those of the last tokens count.
  tensor const many = random_tensor(4, 9, 1, 2);
  tensor last(6, 1, 2);
  std::copy(many.numbers.begin() + 6, many.numbers.end(), last.numbers.begin());
  k.at(3, 0, 1) = 0;
  CHECK(scores_of(s, wkv::suffix_queries{plane(many)}, kv, 6, 1) ==
        scores_of(s, wkv::suffix_queries{plane(last)}, kv, 6, 1));
}

TEST_CASE("expected attention refuses what it cannot do", "[row_scorers]") {
  CHECK(message(wkv::expected_future_attention{-1}.validate()) ==
        "expected_future_attention.sinks: got -1, must be at least 0");
  CHECK(message(wkv::expected_future_attention{0, 0}.validate()) ==
        "expected_future_attention.future_positions: got 0, must be at least 1");
  for (float theta : {0.f, -1.f, not_a_number}) {
    CHECK(message(wkv::expected_future_attention{0, 1, theta}.validate()) ==
          "expected_future_attention.theta: must be above 0");
  }
  auto const plan =
      wkv::make_plan(method_of(wkv::expected_future_attention{}), wkv::model_shape{1, 2, 1, 4}, {9});
  REQUIRE(plan);
  scratch const memory(plan->workspace_bytes);
  auto run = wkv::begin(*plan, memory.get());
  tensor const q(0, 2, 4);
  tensor const wrong(9, 1, 4);
  tensor const k(9, 1, 4);
  CHECK(
      message(wkv::score(serial, *run, 0, wkv::suffix_queries{plane(q)}, wkv::kv_view{plane(k), plane(k)})) ==
      "layer 0: queries.slots (suffix rows): got 0, must be at least 1");
  CHECK(message(wkv::score(serial, *run, 0, wkv::suffix_queries{plane(wrong)},
                           wkv::kv_view{plane(k), plane(k)})) ==
        "layer 0: queries.heads: got 1, must equal 2");
}

TEST_CASE("row scorers: no bit depends on threads or the order in memory", "[row_scorers]") {
  int const tokens = 700;
  tensor const q = random_tensor(1, tokens, 4, 8);
  tensor const k = random_tensor(2, tokens, 2, 8);
  tensor const v = random_tensor(3, tokens, 2, 5);
  wkv::thread_pool pool(3);
  auto const check = [&](auto scorer) {
    floats const first =
        scores_of(scorer, wkv::suffix_queries{plane(q)}, wkv::kv_view{plane(k), plane(v)}, tokens, 4);
    CHECK(scores_of(scorer, wkv::suffix_queries{plane(q)}, wkv::kv_view{plane(k), plane(v)}, tokens, 4,
                    wkv::host_executor{pool.hook()}) == first);
    for (order o : orders) {
      stored<float> const queries(q, o);
      stored<float> const keys(k, o);
      stored<float> const values(v, o);
      CHECK(scores_of(scorer, wkv::suffix_queries{queries.plane}, wkv::kv_view{keys.plane, values.plane},
                      tokens, 4) == first);
    }
  };
  check(wkv::recency{});
  check(wkv::random_order{});
  check(wkv::inverse_key_norm{});
  check(wkv::value_norm{});
  check(wkv::key_dissimilarity{});
  check(wkv::lag_relative{4, 64});
  check(wkv::expected_future_attention{});
}

TEST_CASE("row scorers read half precision", "[row_scorers]") {
  tensor const k = random_tensor(2, 300, 2, 8);
  stored<wkv::float16> const keys(k, order::slot_head_dim);
  tensor const rounded = read(keys.plane);
  CHECK(scores_of(wkv::key_dissimilarity{}, wkv::no_queries{}, wkv::kv_view{keys.plane, keys.plane}, 300,
                  2) == scores_of(wkv::key_dissimilarity{}, rounded, rounded));
  CHECK(scores_of(wkv::lag_relative{}, wkv::no_queries{}, wkv::kv_view{keys.plane, keys.plane}, 300, 2) ==
        scores_of(wkv::lag_relative{}, rounded, rounded));
}

TEST_CASE("scratch is counted in 64 bits", "[row_scorers]") {
  wkv::row_shape const shape{1 << 28, 1024, 8};
  CHECK(wkv::detail::scratch_floats(wkv::key_dissimilarity{}, shape) ==
        (1 << 28) + 1 + 1024 * (1 + (std::int64_t{1} << 22)));
  CHECK(wkv::detail::scratch_floats(wkv::lag_relative{}, shape) == std::int64_t{1} << 30);
  CHECK(wkv::detail::scratch_floats(wkv::lag_relative{}, {259, 8, 1}) == 0);
  CHECK(wkv::detail::scratch_floats(wkv::expected_future_attention{}, shape) ==
        1024 + std::int64_t{8} * (1025 * 1024 + (1 << 28) + 2));
  CHECK(wkv::detail::scratch_floats(wkv::recency{}, shape) == 0);
}

TEST_CASE("what counts as a row scorer", "[row_scorers]") {
  CHECK((wkv::is_row_scorer_v<wkv::recency> && wkv::is_row_scorer_v<wkv::random_order>));
  CHECK((wkv::is_row_scorer_v<wkv::inverse_key_norm> && wkv::is_row_scorer_v<wkv::value_norm>));
  CHECK((wkv::is_row_scorer_v<wkv::projected_value_norm> && wkv::is_row_scorer_v<wkv::key_dissimilarity>));
  CHECK((wkv::is_row_scorer_v<wkv::lag_relative> && wkv::is_row_scorer_v<wkv::expected_future_attention>));
  CHECK_FALSE((wkv::is_row_scorer_v<wkv::suffix_attention> || wkv::is_row_scorer_v<wkv::external_scores>));
}
