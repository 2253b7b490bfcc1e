// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Token scores from queries and keys: every shape, type, layout and path of the kernels.

#include <type_traits>
#include <vector>

#include "both.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests

struct score_case {
  int head_dim;
  int suffix;
  int query_heads;
  int kv_heads;
  int tokens;
};

/// Of token scores, as a share of the largest of their head.
constexpr double tolerance = 1e-5;

/// Every head's token scores reach the selection: the identity as pooling asks for them.
template <class TokenScorer>
auto rows_method(int suffix, TokenScorer const& scorer) {
  return method_of(scoring_of(suffix, scorer, wkv::average_pooling{}, 4, wkv::window_mean{}))
      .with_budget(300);
}

template <class T, class TokenScorer>
void check_scores(score_case const& c, TokenScorer const& scorer, bool has_log_sum_exp,
                  order o = order::slot_head_dim, std::size_t margin = 0) {
  CAPTURE(c.head_dim, c.suffix, c.query_heads, c.kv_heads, c.tokens, has_log_sum_exp, static_cast<int>(o),
          margin);
  wkv::model_shape const shape{1, c.query_heads, c.kv_heads, c.head_dim};
  both<decltype(rows_method(1, scorer)), wkv::cuda_executor<>> pair(
      rows_method(c.suffix, scorer).with_budget(c.suffix), shape, c.tokens);
  sequence<T> data(shape, c.tokens, c.suffix + 2, o, 7, margin);
  device_sequence<T> const there(data);
  pair.score(data, there, has_log_sum_exp);
  auto const got = device_token_scores(pair.run, 0);
  REQUIRE(got.size() == static_cast<std::size_t>(c.query_heads * pair.plan.review));
  auto const expected = as_doubles(pair.host.token_scores(0), c.query_heads * pair.plan.review);
  CHECK(worst_error(got.data(), expected, pair.plan.review) <= tolerance);
}

template <class T>
bool is_on_tensor_cores(int head_dim, order o, std::size_t margin) {
  wkv::model_shape const shape{1, 2, 1, head_dim};
  sequence<T> const data(shape, 33, 20, o, 7, margin);
  device_sequence<T> const there(data);
  return wkv::detail::fits_tensor_cores(there.kv(0).keys, there.queries(0).queries, 90);
}

}  // namespace

TEMPLATE_TEST_CASE("token scores: shapes of tensor cores", "[score][sanitize]", wkv::bfloat16, wkv::float16,
                   float) {
  WKV_NEEDS_DEVICE();
  if constexpr (!std::is_same_v<TestType, float>) {
    REQUIRE(is_on_tensor_cores<TestType>(64, order::slot_head_dim, 0));
    REQUIRE(is_on_tensor_cores<TestType>(64, order::head_slot_dim, 8));
    REQUIRE(!is_on_tensor_cores<TestType>(64, order::slot_head_dim, 5));
    REQUIRE(!is_on_tensor_cores<TestType>(64, order::head_dim_slot, 0));
  }
  bool has_log_sum_exp = false;
  // Tokens at the edges of tiles (32) and chunks (512); rows that fill a tile, a warp, a block, and one more.
  for (score_case const& c :
       {score_case{64, 1, 1, 1, 2}, {64, 7, 2, 1, 31},     {64, 10, 4, 1, 32},    {64, 16, 6, 1, 33},
        {64, 16, 7, 1, 127},        {64, 16, 8, 1, 128},   {128, 32, 8, 1, 65},   {96, 32, 2, 1, 129},
        {96, 10, 6, 3, 40},         {128, 64, 4, 2, 97},   {64, 200, 2, 1, 201},  {128, 200, 1, 1, 233},
        {256, 16, 2, 1, 129},       {256, 100, 2, 1, 130}, {256, 128, 1, 1, 150}, {64, 7, 1, 1, 511},
        {64, 7, 1, 1, 512},         {64, 1, 1, 1, 513},    {96, 7, 1, 1, 1023},   {64, 10, 1, 1, 1024},
        {128, 1, 1, 1, 1025},       {64, 16, 1, 1, 1300}}) {
    check_scores<TestType>(c, wkv::suffix_attention{}, has_log_sum_exp);
    has_log_sum_exp = !has_log_sum_exp;
  }
}

TEMPLATE_TEST_CASE("token scores: other head dimensions", "[score]", wkv::bfloat16, wkv::float16, float) {
  WKV_NEEDS_DEVICE();
  bool has_log_sum_exp = false;
  for (score_case const& c : {score_case{8, 1, 1, 1, 2},
                              {8, 16, 8, 1, 1025},
                              {40, 7, 4, 2, 33},
                              {72, 10, 6, 1, 128},
                              {80, 32, 7, 1, 70},
                              {112, 64, 2, 1, 129},
                              {160, 16, 2, 1, 127},
                              {160, 100, 2, 1, 110},
                              {7, 200, 1, 1, 513},
                              {1, 3, 2, 1, 40}}) {
    check_scores<TestType>(c, wkv::recent_attention{0.7f}, has_log_sum_exp);
    has_log_sum_exp = !has_log_sum_exp;
  }
}

TEMPLATE_TEST_CASE("token scores: every order and alignment of planes", "[score][sanitize]", wkv::bfloat16,
                   wkv::float16, float) {
  WKV_NEEDS_DEVICE();
  for (order o : orders) {
    for (std::size_t margin : {0u, 5u, 8u}) {
      check_scores<TestType>({64, 10, 4, 2, 45}, wkv::suffix_attention{}, margin == 8, o, margin);
      check_scores<TestType>({40, 10, 4, 2, 45}, wkv::suffix_attention{}, margin == 8, o, margin);
    }
  }
}

TEMPLATE_TEST_CASE("token scores: a scorer that is no weighted sum", "[score][sanitize]", wkv::bfloat16,
                   float) {
  WKV_NEEDS_DEVICE();
  for (score_case const& c : {score_case{64, 10, 4, 2, 70},
                              {128, 16, 6, 1, 33},
                              {64, 33, 3, 1, 130},
                              {256, 100, 1, 1, 140},
                              {64, 200, 2, 1, 240},
                              {64, 1, 1, 1, 700}}) {
    check_scores<TestType>(c, best_row{}, false);
    check_scores<TestType>(c, best_row{}, true);
  }
}

TEST_CASE("token scores: few threads", "[score][race]") {
  WKV_NEEDS_DEVICE();
  for (bool has_log_sum_exp : {false, true}) {
    check_scores<wkv::bfloat16>({64, 16, 4, 1, 130}, wkv::suffix_attention{}, has_log_sum_exp);
    check_scores<wkv::bfloat16>({64, 16, 4, 1, 100}, best_row{}, has_log_sum_exp);
    check_scores<float>({24, 16, 4, 1, 70}, wkv::suffix_attention{}, has_log_sum_exp);
    check_scores<float>({24, 16, 4, 1, 70}, best_row{}, has_log_sum_exp);
  }
}
