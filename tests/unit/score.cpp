// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/host/score.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

using namespace wkv_test;  // NOLINT(google-build-using-namespace): helpers of the tests
using wkv::model_shape;

/// Every layer for itself, every head's token scores kept apart, and nothing that lets a prompt pass
/// unscored.
auto method_of(int suffix) {
  return wkv::paper_method().with_suffix(suffix).with_budget(0).with_layer_grouping(wkv::no_sharing{});
}

/// A compression with its plan and workspace.
template <class Method>
struct started {
  wkv::plan<Method> plan;
  scratch memory;
  wkv::compression<Method> run;

  started(Method const& method, model_shape const& shape, int tokens)
      : plan(*wkv::make_plan(method, shape, {tokens})), memory(plan.workspace_bytes) {
    run = *wkv::begin(plan, memory.get());
  }
  std::vector<float> scores(int group = 0) const {
    float const* const first = run.token_scores(group);
    return {first, first + static_cast<std::ptrdiff_t>(plan.score_rows) * plan.review};
  }
};

template <class Source, class Keys>
std::vector<float> scores_of(model_shape const& shape, int tokens, int suffix, Source const& source,
                             Keys const& keys) {
  started s(method_of(suffix), shape, tokens);
  REQUIRE(message(wkv::score(serial, s.run, 0, source, keys)) == "ok");
  return s.scores();
}

template <class T>
void compare_all_layouts(int kv_heads, int heads_per_kv, int head_dim) {
  int const tokens = 37;
  int const suffix = 5;
  model_shape const shape{1, kv_heads * heads_per_kv, kv_heads, head_dim};
  unsigned const seed = static_cast<unsigned>(heads_per_kv * 1000 + head_dim);
  tensor const q = random_tensor(seed, suffix, shape.query_heads, head_dim, 3.f);
  tensor const k = random_tensor(seed + 1, tokens, kv_heads, head_dim, 3.f);
  stored<T> const rounded_q(q, order::slot_head_dim);
  stored<T> const rounded_k(k, order::slot_head_dim);
  auto const expected = naive_scores(read(rounded_q.plane), read(rounded_k.plane), suffix);
  std::vector<float> const first =
      scores_of(shape, tokens, suffix, wkv::suffix_queries{rounded_q.plane}, rounded_k.plane);
  CHECK(worst_error(first.data(), expected, tokens - suffix) < 1e-5);
  for (order o : orders) {  // the layout changes no bit
    stored<T> const queries(q, o);
    stored<T> const keys(k, o);
    CHECK(scores_of(shape, tokens, suffix, wkv::suffix_queries{queries.plane}, keys.plane) == first);
  }
}

}  // namespace

TEST_CASE("token scores equal the dense softmax in every layout and element type", "[score]") {
  for (int heads_per_kv : {1, 2, 4, 7}) {
    for (int head_dim : {1, 8, 20, 64, 128}) {
      CAPTURE(heads_per_kv, head_dim);
      compare_all_layouts<float>(2, heads_per_kv, head_dim);
      compare_all_layouts<wkv::float16>(1, heads_per_kv, head_dim);
      compare_all_layouts<wkv::bfloat16>(2, heads_per_kv, head_dim);
    }
  }
}

TEST_CASE("token scores equal the dense softmax at every size", "[score]") {
  struct size {
    int tokens, suffix;
  };
  model_shape const shape{1, 4, 2, 8};
  // R below a tile, N and S around tiles, panels of rows and chunks of tokens, R at and across a chunk's end.
  for (auto const [tokens, suffix] : {size{2, 1},
                                      {3, 2},
                                      {4, 3},
                                      {5, 3},
                                      {9, 8},
                                      {33, 32},
                                      {40, 33},
                                      {70, 64},
                                      {511, 7},
                                      {512, 16},
                                      {513, 15},
                                      {515, 3},
                                      {519, 7},
                                      {527, 15},
                                      {1030, 17},
                                      {1541, 5}}) {
    CAPTURE(tokens, suffix);
    tensor const q = random_tensor(5, suffix, 4, 8, 3.f);
    tensor const k = random_tensor(6, tokens, 2, 8, 3.f);
    stored<float> const queries(q, order::slot_head_dim);
    stored<float> const keys(k, order::slot_head_dim);
    std::vector<float> const got =
        scores_of(shape, tokens, suffix, wkv::suffix_queries{queries.plane}, keys.plane);
    CHECK(worst_error(got.data(), naive_scores(q, k, suffix), tokens - suffix) < 1e-5);
  }
}

TEST_CASE("queries and keys may be read-only, and of different types", "[score]") {
  model_shape const shape{1, 2, 1, 8};
  stored<wkv::bfloat16> const queries(random_tensor(1, 4, 2, 8), order::slot_head_dim);
  stored<wkv::float16> const keys(random_tensor(2, 30, 1, 8), order::head_slot_dim);
  auto const read_only = wkv::head_slot_dim<wkv::float16 const>(keys.plane.data, 30, 1, 8);
  std::vector<float> const got = scores_of(shape, 30, 4, wkv::suffix_queries{queries.plane}, read_only);
  CHECK(worst_error(got.data(), naive_scores(read(queries.plane), read(keys.plane), 4), 26) < 1e-5);
}

TEST_CASE("more query rows than S: the last S count; more slots than N: the first N", "[score]") {
  model_shape const shape{1, 2, 1, 8};
  tensor const q = random_tensor(1, 9, 2, 8, 3.f);
  tensor const k = random_tensor(2, 30, 1, 8, 3.f);
  stored<float> const queries(q, order::head_slot_dim);
  stored<float> const keys(k, order::head_slot_dim);
  tensor first_keys(25, 1, 8);
  std::copy_n(k.numbers.begin(), first_keys.numbers.size(), first_keys.numbers.begin());
  std::vector<float> const got = scores_of(shape, 25, 4, wkv::suffix_queries{queries.plane}, keys.plane);
  CHECK(worst_error(got.data(), naive_scores(q, first_keys, 4), 21) < 1e-5);
}

TEST_CASE("a log-sum-exp saves a pass and changes nothing else", "[score]") {
  model_shape const shape{1, 6, 2, 20};
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
  stored<float> const queries(q, order::slot_head_dim);
  stored<float> const keys(k, order::slot_head_dim);
  std::vector<float> const got =
      scores_of(shape, tokens, suffix, wkv::suffix_queries{queries.plane, log_sum_exp.data()}, keys.plane);
  CHECK(worst_error(got.data(), naive_scores(q, k, suffix), tokens - suffix) < 1e-5);
}

TEST_CASE("attention rows and finished token scores agree with queries and keys", "[score]") {
  model_shape const shape{1, 4, 2, 8};
  int const suffix = 6;
  int const tokens = 530;
  int const review = tokens - suffix;
  tensor const q = random_tensor(1, suffix, 4, 8, 3.f);
  tensor const k = random_tensor(2, tokens, 2, 8, 3.f);
  std::vector<double> const expected = naive_scores(q, k, suffix);
  std::vector<double> const attention = naive_attention(q, k, suffix);

  // Two more rows in front, gaps behind every row and every head.
  int const rows = suffix + 2;
  std::int64_t const row_stride = tokens + 3;
  std::int64_t const head_stride = row_stride * rows + 5;
  std::vector<float> given(static_cast<std::size_t>(4 * head_stride), 1e9f);
  for (int head = 0; head < 4; ++head) {
    for (int i = 0; i < suffix; ++i) {
      for (int j = 0; j < tokens; ++j) {
        given[static_cast<std::size_t>(head * head_stride + (i + 2) * row_stride + j)] =
            static_cast<float>(attention[static_cast<std::size_t>((head * suffix + i) * tokens + j)]);
      }
    }
  }
  started from_rows(method_of(suffix), shape, tokens);
  REQUIRE(wkv::score(serial, from_rows.run, 0,
                     wkv::attention_rows{given.data(), 4, rows, tokens, head_stride, row_stride}));
  CHECK(worst_error(from_rows.scores().data(), expected, review) < 1e-5);

  std::vector<float> const finished(expected.begin(), expected.end());
  started from_scores(method_of(suffix), shape, tokens);
  REQUIRE(wkv::score(serial, from_scores.run, 0, wkv::token_scores{finished.data(), 4, review, review}));
  CHECK(from_scores.scores() == finished);
}

namespace {
/// A custom token scorer: the most that any suffix query attends to the token.
struct largest_probability {
  using state_type = float;
  state_type init() const { return 0.f; }
  void add(state_type& state, float p) const { state = p > state ? p : state; }
  float finish(state_type const& state, int /*rows*/) const { return state; }
};
/// Sees the rows in order and their number: 3 x first + last, times rows.
struct first_and_last {
  struct state_type {
    float first, last;
    bool is_empty;
  };
  state_type init() const { return {0.f, 0.f, true}; }
  void add(state_type& s, float p) const {
    if (s.is_empty) s.first = p;
    s = {s.first, p, false};
  }
  float finish(state_type const& s, int rows) const {
    return (3 * s.first + s.last) * static_cast<float>(rows);
  }
};
static_assert(wkv::is_token_scorer_v<largest_probability> && wkv::is_attention_scorer_v<largest_probability>);
static_assert(wkv::is_token_scorer_v<wkv::external_scores> &&
              !wkv::is_attention_scorer_v<wkv::external_scores>);

template <class Scorer, class Fold>
void check_custom_scorer(Scorer const& scorer, Fold fold) {
  int const suffix = 19;  // rows of one head cross a panel of registers
  tensor const q = random_tensor(1, suffix, 4, 8, 3.f);
  tensor const k = random_tensor(2, 50, 2, 8, 3.f);
  stored<float> const queries(q, order::slot_head_dim);
  stored<float> const keys(k, order::slot_head_dim);
  started s(method_of(suffix).with_token_scorer(scorer), model_shape{1, 4, 2, 8}, 50);
  REQUIRE(wkv::score(serial, s.run, 0, wkv::suffix_queries{queries.plane}, keys.plane));
  CHECK(worst_error(s.scores().data(), naive_scores(q, k, suffix, fold), 50 - suffix) < 1e-5);
}
}  // namespace

TEST_CASE("recent attention weighs later rows more", "[score]") {
  check_custom_scorer(wkv::recent_attention{}, naive_recent{});
  check_custom_scorer(wkv::recent_attention{0.5f}, naive_recent{0.5});
  check_custom_scorer(wkv::recent_attention{1.f}, [](std::vector<double> const& rows) {
    return std::accumulate(rows.begin(), rows.end(), 0.);
  });
  check_custom_scorer(wkv::recent_attention{0.f},
                      [](std::vector<double> const& rows) { return rows.back(); });
}

TEST_CASE("a decay outside [0, 1] is refused", "[score]") {
  for (float decay : {-0.1f, 1.1f, not_a_number}) {
    auto const method = wkv::default_method().with_token_scorer(wkv::recent_attention{decay});
    CHECK(message(wkv::make_plan(method, {1, 1, 1, 8}, {100, wkv::task::localization}).error()) ==
          "recent_attention.decay: must lie in [0, 1]");
  }
}

TEST_CASE("a custom token scorer folds the rows of one head, first row first", "[score]") {
  check_custom_scorer(largest_probability{}, [](std::vector<double> const& rows) {
    return *std::max_element(rows.begin(), rows.end());
  });
  check_custom_scorer(first_and_last{}, [](std::vector<double> const& rows) {
    return (3 * rows.front() + rows.back()) * static_cast<double>(rows.size());
  });
}

TEST_CASE("NaN in a key or a query stays with the heads that read it", "[score]") {
  model_shape const shape{1, 4, 2, 8};
  tensor const q = random_tensor(1, 3, 4, 8);
  tensor const k = random_tensor(2, 21, 2, 8);
  std::vector<double> const expected = naive_scores(q, k, 3);
  auto const check = [&](tensor const& broken_q, tensor const& broken_k, int first_nan_head,
                         int last_nan_head) {
    stored<float> const queries(broken_q, order::slot_head_dim);
    stored<float> const keys(broken_k, order::slot_head_dim);
    std::vector<float> const got = scores_of(shape, 21, 3, wkv::suffix_queries{queries.plane}, keys.plane);
    for (int head = 0; head < 4; ++head) {
      CAPTURE(head);
      float const* const row = got.data() + head * 18;
      if (head >= first_nan_head && head <= last_nan_head) {
        CHECK(std::all_of(row, row + 18, [](float x) { return std::isnan(x); }));
      } else {
        CHECK(worst_error(row, {expected.begin() + head * 18, expected.begin() + (head + 1) * 18}, 18) <
              1e-5);
      }
    }
  };
  for (int token : {0, 5, 20}) {  // 20 is the last token: only the last query sees it
    tensor broken_k = k;
    broken_k.at(token, 1, 3) = not_a_number;
    check(q, broken_k, 2, 3);
  }
  tensor broken_q = q;
  broken_q.at(1, 2, 0) = not_a_number;
  check(broken_q, k, 2, 2);
}

TEST_CASE("infinite logits follow the rules of IEEE arithmetic", "[score]") {
  // One dimension: head 0 asks with positive numbers, head 1 with negative ones.
  tensor q(2, 2, 1);
  tensor k(6, 1, 1);
  for (int i = 0; i < 2; ++i) {
    q.at(i, 0, 0) = 1.f;
    q.at(i, 1, 0) = -1.f;
  }
  k.at(1, 0, 0) = infinity;
  stored<float> const queries(q, order::slot_head_dim);
  stored<float> const keys(k, order::slot_head_dim);
  std::vector<float> const got =
      scores_of({1, 2, 1, 1}, 6, 2, wkv::suffix_queries{queries.plane}, keys.plane);
  for (int j = 0; j < 4; ++j) {
    CHECK(std::isnan(got[static_cast<std::size_t>(j)]));  // inf - inf
    float const share = 1.f / 4 + 1.f / 5;  // token 1 is out; the first query sees 4 tokens, then 5
    CHECK(got[static_cast<std::size_t>(4 + j)] == Approx(j == 1 ? 0.f : share).epsilon(1e-6));
  }
}

TEST_CASE("huge and far apart logits neither overflow nor lose the largest", "[score]") {
  tensor q(1, 1, 1);
  tensor k(5, 1, 1);
  q.at(0, 0, 0) = 1e19f;
  for (int j = 0; j < 5; ++j) k.at(j, 0, 0) = j == 2 ? 1e19f : static_cast<float>(-j) * 1e18f;
  stored<float> const queries(q, order::slot_head_dim);
  stored<float> const keys(k, order::slot_head_dim);
  CHECK(scores_of({1, 1, 1, 1}, 5, 1, wkv::suffix_queries{queries.plane}, keys.plane) ==
        std::vector<float>{0, 0, 1, 0});
}

TEST_CASE("too few queries: refused, and nothing is scored", "[score]") {
  model_shape const shape{1, 2, 1, 8};
  stored<float> const keys(random_tensor(1, 30, 1, 8), order::slot_head_dim);
  stored<float> const queries(random_tensor(2, 8, 2, 8), order::slot_head_dim);
  started s(method_of(8), shape, 30);
  auto few = queries.plane;
  few.slots = 7;
  wkv::status const refused = wkv::score(serial, s.run, 0, wkv::suffix_queries{few}, keys.plane);
  CHECK(refused.code() == wkv::status_code::insufficient_queries);
  CHECK(message(refused) == "layer 0: queries.slots (suffix rows): got 7, must be at least 8");
  std::vector<float> const rows(2 * 7 * 30);
  wkv::status const few_rows =
      wkv::score(serial, s.run, 0, wkv::attention_rows{rows.data(), 2, 7, 30, 210, 30});
  CHECK(few_rows.code() == wkv::status_code::insufficient_queries);
  CHECK(wkv::select(serial, s.run, 0).error().code() == wkv::status_code::wrong_order);
  CHECK(wkv::score(serial, s.run, 0, wkv::suffix_queries{queries.plane}, keys.plane).ok());
}

TEST_CASE("sources that do not fit the plan are refused", "[score]") {
  model_shape const shape{2, 4, 2, 8};
  stored<float> const keys(random_tensor(1, 30, 2, 8), order::slot_head_dim);
  stored<float> const queries(random_tensor(2, 8, 4, 8), order::slot_head_dim);
  auto const q = queries.plane;
  auto const k = keys.plane;
  started s(method_of(8), shape, 30);
  auto const problem = [&](auto const&... source) {
    return message(wkv::score(serial, s.run, 1, source...));
  };

  auto changed = [](auto plane, auto change) {
    change(plane);
    return plane;
  };
  auto const with_q = [&](auto change) { return problem(wkv::suffix_queries{changed(q, change)}, k); };
  auto const with_k = [&](auto change) { return problem(wkv::suffix_queries{q}, changed(k, change)); };
  CHECK(with_q([](auto& p) { p.data = nullptr; }) == "layer 1: queries.data: must not be null");
  CHECK(with_q([](auto& p) { p.heads = 2; }) == "layer 1: queries.heads: got 2, must equal 4");
  CHECK(with_q([](auto& p) { p.head_dim = 7; }) == "layer 1: queries.head_dim: got 7, must equal 8");
  CHECK(with_q([](auto& p) { p.layout.slot_stride = 0; }) ==
        "layer 1: layout.slot_stride: got 0, must be at least 1");
  CHECK(with_k([](auto& p) { p.data = nullptr; }) == "layer 1: keys.data: must not be null");
  CHECK(with_k([](auto& p) { p.heads = 1; }) == "layer 1: keys.heads: got 1, must equal 2");
  CHECK(with_k([](auto& p) { p.head_dim = 4; }) == "layer 1: keys.head_dim: got 4, must equal 8");
  CHECK(with_k([](auto& p) { p.slots = 29; }) ==
        "layer 1: keys.slots (tokens of the prompt): got 29, must be at least 30");
  CHECK(with_k([](auto& p) { p.layout.head_stride = 3; }) ==
        "layer 1: layout (elements overlap): stride: got 3, must be at least 8");

  std::vector<float> const rows(4 * 8 * 30);
  using wkv::attention_rows;
  CHECK(problem(attention_rows{nullptr, 4, 8, 30, 240, 30}) ==
        "layer 1: attention_rows.data: must not be null");
  CHECK(problem(attention_rows{rows.data(), 2, 8, 30, 240, 30}) ==
        "layer 1: attention_rows.heads: got 2, must equal 4");
  CHECK(problem(attention_rows{rows.data(), 4, 8, 21, 240, 30}) ==
        "layer 1: attention_rows.tokens: got 21, must be at least 22");
  CHECK(problem(attention_rows{rows.data(), 4, 8, 30, 240, -1}) ==
        "layer 1: attention_rows.row_stride: got -1, must be at least 0");
  CHECK(problem(attention_rows{rows.data(), 4, 8, 30, -1, 30}) ==
        "layer 1: attention_rows.head_stride: got -1, must be at least 0");

  using wkv::token_scores;
  CHECK(problem(token_scores{nullptr, 4, 22, 22}) == "layer 1: token_scores.data: must not be null");
  CHECK(problem(token_scores{rows.data(), 4, 21, 22}) ==
        "layer 1: token_scores.tokens: got 21, must be at least 22");
  CHECK(problem(token_scores{rows.data(), 0, 22, 22}) ==
        "layer 1: token_scores.heads: got 0, must be at least 1");
  CHECK(problem(token_scores{rows.data(), 4, 22, -1}) ==
        "layer 1: token_scores.head_stride: got -1, must be at least 0");
  CHECK(problem(token_scores{rows.data(), 1, 22, 0}) == "layer 1: token_scores.heads: got 1, must equal 4");

  CHECK(message(wkv::score(serial, s.run, -1, wkv::suffix_queries{q}, k)) ==
        "layer: got -1, must be at least 0");
  CHECK(message(wkv::score(serial, s.run, 2, wkv::suffix_queries{q}, k)) ==
        "layer: got 2, must be at most 1");
  CHECK(problem(wkv::suffix_queries{q}, k) == "ok");  // every refusal left the layer unscored
  CHECK(problem(wkv::suffix_queries{q}, k) == "layer 1: score: the layer has scored already");
}

TEST_CASE("a stride whose product overflows is refused", "[score]") {
  std::vector<float> const rows(4 * 8 * 30);
  started s(method_of(8), model_shape{1, 4, 2, 8}, 30);
  std::int64_t const huge = INT64_MAX / 2;
  CHECK_FALSE(wkv::score(serial, s.run, 0, wkv::attention_rows{rows.data(), 4, 8, 30, INT64_MAX, huge}).ok());
}

TEST_CASE("misaligned scores are refused", "[score]") {
  std::vector<float> const rows(4 * 8 * 30 + 1);
  auto const* const off =
      reinterpret_cast<float const*>(reinterpret_cast<unsigned char const*>(rows.data()) + 1);
  auto const code_for = [](auto const&... source) {
    started s(method_of(8), model_shape{1, 4, 2, 8}, 30);
    return wkv::score(serial, s.run, 0, source...).code();
  };
  CHECK(code_for(wkv::attention_rows{off, 4, 8, 30, 240, 30}) == wkv::status_code::misaligned);
  CHECK(code_for(wkv::token_scores{off, 4, 22, 22}) == wkv::status_code::misaligned);
  stored<float> const queries(random_tensor(1, 8, 4, 8), order::slot_head_dim);
  stored<float> const keys(random_tensor(2, 30, 2, 8), order::slot_head_dim);
  CHECK(code_for(wkv::suffix_queries{queries.plane, off}, keys.plane) == wkv::status_code::misaligned);
}

TEST_CASE("a layer that does not score is left out at no cost", "[score]") {
  auto const method = wkv::paper_method().with_suffix(8).with_budget(4);
  started s(method, model_shape{2, 4, 2, 8}, 30);
  // Nothing is read, so nothing can be wrong with it.
  CHECK(wkv::score(serial, s.run, 1, wkv::token_scores{}).ok());
  CHECK(wkv::score(serial, s.run, 1, wkv::token_scores{}).ok());
  CHECK_FALSE(wkv::score(serial, s.run, 0, wkv::token_scores{}).ok());
}
