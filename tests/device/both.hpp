// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Compressions on the device and on the host backend, side by side, and what may differ between them.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "device.hpp"
#include "windowkv/windowkv.cuh"

namespace wkv_test {

/// One scoring for both tasks: less to compile than two.
template <class Scoring>
auto method_of(Scoring const& scoring) {
  return wkv::method<Scoring, Scoring, wkv::uniform_budget, wkv::uniform_groups, wkv::top_windows>{
      scoring, scoring, {}, {}, {}, 16};
}
template <class TokenScorer, class Pooling, class WindowScorer>
auto scoring_of(int suffix, TokenScorer token_scorer, Pooling pooling, int width, WindowScorer window_scorer,
                wkv::head_merge heads = wkv::head_merge::at_windows) {
  return wkv::scoring<TokenScorer, Pooling, wkv::fixed_windows, WindowScorer>{suffix,  token_scorer,  pooling,
                                                                              {width}, window_scorer, heads};
}

/// No weighted sum: backends must hold a token's probabilities together, in order.
struct best_row {
  struct state_type {
    float best;
    int row;
    int row_of_best;
  };
  WINDOWKV_HD state_type init() const { return {0.f, 0, 0}; }
  WINDOWKV_HD void add(state_type& state, float probability) const {
    if (probability > state.best) {
      state.best = probability;
      state.row_of_best = state.row;
    }
    ++state.row;
  }
  WINDOWKV_HD float finish(state_type const& state, int rows) const {
    return state.best + static_cast<float>(state.row_of_best) / static_cast<float>(rows);
  }
};

/// No mean: the largest score, and a little for where in the window it stands.
struct peak_window {
  struct state_type {
    float largest;
    float sum_of_squares;
  };
  WINDOWKV_HD state_type init() const { return {0.f, 0.f}; }
  WINDOWKV_HD void add(state_type& state, float score) const {
    if (score > state.largest) state.largest = score;
    state.sum_of_squares += score * score;
  }
  WINDOWKV_HD float finish(state_type const& state, int /*tokens*/) const {
    return state.largest + state.sum_of_squares;
  }
};

template <class Method>
wkv::plan<Method> plan_of(Method const& method, wkv::model_shape const& shape, wkv::prompt const& request) {
  auto const made = wkv::make_plan(method, shape, request);
  REQUIRE(message(made) == "ok");
  return *made;
}

/// The bits of floats, so that NaN equals NaN and -0 differs from 0.
inline std::vector<std::uint32_t> bits(std::vector<float> const& values) {
  std::vector<std::uint32_t> all;
  for (float const x : values) all.push_back(std::isnan(x) ? 0x7fc00000u : wkv::detail::float_bits(x));
  return all;
}

/// Natural logarithm of the softmax denominators of the last `suffix` queries: [heads][suffix].
inline std::vector<float> log_sum_exp(tensor const& q, tensor const& k, int suffix) {
  std::vector<float> all;
  for (int head = 0; head < q.heads; ++head) {
    for (int i = 0; i < suffix; ++i) {
      std::vector<double> logits;
      for (int j = 0; j <= k.slots - suffix + i; ++j) {
        double dot = 0;
        for (int d = 0; d < q.head_dim; ++d) {
          dot += static_cast<double>(q.at(q.slots - suffix + i, head, d)) *
                 static_cast<double>(k.at(j, head / (q.heads / k.heads), d));
        }
        logits.push_back(dot / std::sqrt(static_cast<double>(q.head_dim)));
      }
      double const largest = *std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (double x : logits) sum += std::exp(x - largest);
      all.push_back(static_cast<float>(largest + std::log(sum)));
    }
  }
  return all;
}
template <class T>
std::vector<std::vector<float>> log_sum_exps(sequence<T> const& data, int suffix) {
  std::vector<std::vector<float>> all;
  for (auto const& layer : data.layers)
    all.push_back(log_sum_exp(read(layer.queries.plane), read(layer.keys.plane), suffix));
  return all;
}

/// What a scoring layer left on the device, as token scores [rows][R]; finished forms only.
template <class Method>
std::vector<float> device_token_scores(wkv::cuda_compression<Method> const& run, int layer) {
  wkv::plan_data const& p = run.plan();
  auto const& memory = wkv::compression_access::memory(run);
  auto const& record = memory.record[layer];
  float const* const scores = memory.scores + memory.score_slot[layer] * memory.slot_floats;
  if (record.form == wkv::detail::score_form::token_rows) return fetch(scores, p.score_rows * p.review);
  REQUIRE(record.form == wkv::detail::score_form::token_sums);
  std::vector<float> const parts = fetch(scores, record.parts * p.review);
  std::vector<float> sums(static_cast<std::size_t>(p.review));
  for (std::size_t i = 0; i < parts.size(); ++i) sums[i % sums.size()] += parts[i];
  for (float& sum : sums) sum /= record.divisor;
  return sums;
}

inline std::vector<double> as_doubles(float const* data, int count) { return {data, data + count}; }

struct device_selection {
  wkv::selection_counts counts;
  std::vector<int> slots;
  std::vector<int> windows;

  friend bool operator==(device_selection const& a, device_selection const& b) {
    return a.counts.kept == b.counts.kept && a.counts.windows == b.counts.windows &&
           bits({a.counts.retained}) == bits({b.counts.retained}) && a.slots == b.slots &&
           a.windows == b.windows;
  }
};
template <class Method>
device_selection selection_of(wkv::cuda_compression<Method> const& run, int group) {
  wkv::deferred_selection const chosen = run.selected(group);
  device_selection all;
  all.counts = fetch(chosen.counts, 1)[0];
  REQUIRE(all.counts.kept <= chosen.max_kept);
  REQUIRE(all.counts.windows <= all.counts.kept);
  all.slots = fetch(chosen.slots, all.counts.kept);
  all.windows = fetch(chosen.window_ids, all.counts.windows);
  return all;
}
template <class Method>
std::vector<device_selection> selections_of(wkv::cuda_compression<Method> const& run) {
  std::vector<device_selection> all;
  for (int g = 0; g < run.plan().groups; ++g) all.push_back(selection_of(run, g));
  return all;
}

/// `got` equals `expected`, but for windows whose scores are so close that rounding decides. The scores are
/// those of the host, by which `expected` was ranked.
inline void check_near_selection(device_selection const& got, wkv::selection const& expected,
                                 std::vector<float> const& window_scores, double tolerance) {
  CHECK(got.counts.retained == Approx(expected.retained).epsilon(1e-4).margin(1e-6));
  std::vector<int> const wanted = windows_of(expected);
  if (got.windows == wanted) {
    CHECK(got.slots == slots_of(expected));
    return;
  }
  std::vector<int> different;
  std::set_symmetric_difference(got.windows.begin(), got.windows.end(), wanted.begin(), wanted.end(),
                                std::back_inserter(different));
  float least = infinity;
  float most = -infinity;
  for (int w : different) {
    least = std::min(least, window_scores[static_cast<std::size_t>(w)]);
    most = std::max(most, window_scores[static_cast<std::size_t>(w)]);
  }
  CAPTURE(got.windows, wanted);
  CHECK(static_cast<double>(most - least) <= tolerance * static_cast<double>(most));
}

/// A selection of these slots, as a group's selection would have left it.
struct given_selection {
  device_array<std::int32_t> slots;
  device_array<wkv::selection_counts> counts;
  wkv::deferred_selection chosen;

  given_selection(std::vector<int> const& kept, int tokens, int max_kept)
      : slots(kept), counts({{static_cast<int>(kept.size()), 0, 1.f}}) {
    chosen.group = 0;
    chosen.tokens = tokens;
    chosen.max_kept = max_kept;
    chosen.slots = slots.data();
    chosen.counts = counts.data();
  }
};

/// Slots are those of the windows and the newest `suffix` tokens.
template <class WindowGrouping>
std::vector<int> slots_of_windows(WindowGrouping const& windows, std::vector<int> const& ids, int review,
                                  int tokens, int suffix) {
  std::vector<int> all;
  for (int w : ids) all = std::move(all) + range(windows.begin(w, review), windows.end(w, review));
  return std::move(all) + range(tokens - suffix, tokens);
}

/// One plan, begun on the host backend and on the device.
template <class Method, class Executor = wkv::cuda_executor<wkv::head_dims<64>>>
struct both {
  Executor on{stream(), nullptr};
  wkv::plan<Method> plan;
  scratch host_memory;
  device_array<unsigned char> memory;
  wkv::compression<Method> host;
  wkv::cuda_compression<Method> run;

  both(Method const& method, wkv::model_shape const& shape, int tokens,
       wkv::task task = wkv::task::localization, wkv::schedule when = wkv::schedule::batched)
      : plan(plan_of(method, shape, {tokens, task})),
        host_memory(plan.workspace_bytes),
        memory(dirty_memory(wkv::cuda_workspace_bytes(plan, when))) {
    host = *wkv::begin(plan, host_memory.get());
    auto begun = wkv::begin(on, plan, memory.workspace(), when);
    REQUIRE(message(begun) == "ok");
    run = *std::move(begun);
  }
  both(both const&) = delete;
  both& operator=(both const&) = delete;

  /// Scores a layer from given token scores [heads][R].
  void score(int layer, std::vector<float> const& scores, int heads) {
    wkv::token_scores source{scores.data(), heads, plan.review, plan.review};
    REQUIRE(message(wkv::score(serial, host, layer, source)) == "ok");
    device_array<float> const there(scores);
    source.data = there.data();
    REQUIRE(message(wkv::score(on, run, layer, source)) == "ok");
    fetch(run.counts(), 1);  // the work has run before `there` goes
  }

  /// Scores every layer from queries and keys on both sides.
  template <class T>
  void score(sequence<T>& data, device_sequence<T> const& there, bool has_log_sum_exp) {
    std::vector<std::vector<float>> known;
    if (has_log_sum_exp) known = log_sum_exps(data, plan.suffix);
    for (int l = 0; l < plan.shape.layers; ++l) {
      auto source = data.queries(l);
      auto source_there = there.queries(l);
      device_array<float> const known_there(has_log_sum_exp ? known[static_cast<std::size_t>(l)]
                                                            : std::vector<float>());
      if (has_log_sum_exp) {
        source.log_sum_exp = known[static_cast<std::size_t>(l)].data();
        source_there.log_sum_exp = known_there.data();
      }
      REQUIRE(message(wkv::score(serial, host, l, source, data.kv(l).keys)) == "ok");
      REQUIRE(message(wkv::score(on, run, l, source_there, there.kv(l).keys)) == "ok");
      fetch(run.counts(), 1);
    }
  }

  std::vector<float> host_window_scores() const {
    return {host.window_scores(), host.window_scores() + plan.windows};
  }

  /// Selects a group on both; bit for bit the same, from the same token scores.
  void check_select(int group = 0) {
    auto const expected = wkv::select(serial, host, group);
    REQUIRE(message(expected) == "ok");
    auto const chosen = wkv::select(on, run, group);
    REQUIRE(message(chosen) == "ok");
    CHECK(chosen->group == group);
    CHECK(chosen->tokens == plan.prompt.tokens);
    CHECK(chosen->max_kept == plan.group[group].max_kept);
    device_selection const got = selection_of(run, group);
    CHECK(got.counts.kept == expected->kept);
    CHECK(got.counts.rows == expected->kept);
    CHECK(got.counts.windows == expected->windows);
    CHECK(got.slots == slots_of(*expected));
    CHECK(got.windows == windows_of(*expected));
    if (std::isnan(expected->retained)) {
      CHECK(std::isnan(got.counts.retained));
    } else {
      CHECK(got.counts.retained == Approx(expected->retained).epsilon(1e-5).margin(1e-7));
    }
    if (plan.group[group].keeps_all == 0) {
      CHECK(bits(fetch(run.window_scores(group), plan.windows)) == bits(host_window_scores()));
    }
  }

  /// Selects a group on both after scoring from queries and keys: window scores to `tolerance` of the
  /// largest.
  void check_near_select(double tolerance, int group = 0) {
    auto const expected = wkv::select(serial, host, group);
    REQUIRE(message(expected) == "ok");
    REQUIRE(message(wkv::select(on, run, group)) == "ok");
    if (plan.group[group].keeps_all == 0) {
      auto const got = fetch(run.window_scores(group), plan.windows);
      CHECK(worst_error(got.data(), as_doubles(host.window_scores(), plan.windows), plan.windows) <=
            tolerance);
    }
    check_near_selection(selection_of(run, group), *expected, host_window_scores(), 2 * tolerance);
  }
};

}  // namespace wkv_test
