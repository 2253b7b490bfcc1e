// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The methods of kvpress: scores per KV head, and what is made of them.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "call_check.hpp"
#include "case.hpp"
#include "compare.hpp"
#include "json.hpp"
#include "run_method.hpp"
#include "scorers.hpp"
#include "sequence.hpp"

namespace golden {
namespace {

/// int(S * (1 - ratio)) of Python.
int kept_count(json const& params, int tokens) {
  double const ratio = params["compression_ratio"].number();
  require(ratio >= 0 && ratio <= 1, "params: compression_ratio is no ratio");
  return static_cast<int>(tokens * (1 - ratio));
}

int chunk_length(json const& params, int tokens) {
  int const chunk = params["chunk_length"].small_integer();
  require(chunk >= 1, "params: chunk_length must be at least 1");
  return std::min(chunk, tokens);
}

/// The scores of a method of kvpress, and what it selects by them.
struct press {
  std::vector<compressed> ours;  ///< of each element
  /// [B, Hkv, S], larger = kept, in the units of the original and with its numbers for tokens that stay.
  tensor<float> scores;
  int begin = 0;  ///< columns [begin, end) are scores, the others such numbers
  int end = 0;
  double step = 0;          ///< of scores that are ranks
  bool is_refused = false;  ///< the plan would keep nothing: scores only
};

/// Options of a press that are ours.
struct press_options {
  settings_of_run run{};
  layer_place at{};
  bool keeps_nothing = false;  ///< not even of the window
};

template <class Backend>
struct press_runner {
  json const& params;
  std::vector<sequence> const& elements;
  press_options options;

  int tokens() const { return elements.front().tokens; }

  template <class Method>
  std::vector<compressed> run(Method const& method) {
    if (options.keeps_nothing && options.run.suffix > 0) {  // a plan refuses that: scores alone
      options.run.budget = {};
      options.run.tokens = 1;
    }
    return run_method<Backend>(settled(method, options.run), options.at, elements);
  }
  template <class Scorer>
  std::vector<compressed> run_rows(Scorer const& scorer) {
    return run(wkv::key_norm().with_token_scorer(scorer));
  }

  std::vector<compressed> run_named(std::string const& name) {
    settings_of_run& s = options.run;
    if (name == "kvpress_snapkv" || name == "kvpress_pyramidkv") {
      s.suffix = params["window_size"].small_integer();
      s.pooling = any_pooling::over(params["kernel_size"].small_integer(), false);
      s.heads = wkv::head_merge::at_windows;  // every query head pools
      if (name == "kvpress_pyramidkv") {
        options.at.layers = params["num_hidden_layers"].small_integer();
        double const kept = tokens() * (1 - params["compression_ratio"].number());
        s.budget = any_budget::of(wkv::rounded_pyramid_budget{params["beta"].small_integer(), kept});
      }
      return run(wkv::snapkv());
    }
    if (name == "tova") {
      s.suffix = 1;
      return run(wkv::tova());
    }
    if (name == "knorm") return run(wkv::key_norm());
    if (name == "keydiff") return run(wkv::key_diff());
    if (name == "observed_attention") return run(wkv::h2o().with_token_scorer(wkv::observed_attention{}));
    if (name == "kvpress_streaming") {
      s.sinks = params["n_sink"].small_integer();
      return run(wkv::streaming_llm());
    }
    if (name == "lagkv") {
      s.sinks = params["n_sink"].small_integer();
      return run_rows(
          wkv::lag_relative{s.sinks, params["lag_size"].small_integer(), params["cross_scoring"].boolean()});
    }
    if (name == "expected_attention") return run_expected();
    if (name == "cur") {
      s.sinks = params["num_sinks"].small_integer();
      return run_rows(block_leverage{params["local_window_size"].small_integer(), leverage_part()});
    }
    require(name == "noncausal", "kvpress method " + name + " is unknown");
    s.pooling = any_pooling::over(3, false);
    return run_rows(chunk_attention{params["chunk_size"].small_integer()});
  }

 private:
  std::vector<compressed> run_expected() {
    wkv::expected_future_attention scorer;
    scorer.sinks = params["n_sink"].small_integer();
    scorer.future_positions = params["n_future_positions"].small_integer();
    scorer.theta = static_cast<float>(params["rope_theta"].number());
    scorer.use_covariance = params["use_covariance"].boolean();
    scorer.use_value_norm = params["use_vnorm"].boolean();
    scorer.epsilon = static_cast<float>(params["epsilon"].number());
    options.run.sinks = scorer.sinks;
    return run_rows(scorer);
  }
  block_leverage::part leverage_part() const {
    std::string const& name = params["leverage_type"].string();
    if (name == "key") return block_leverage::part::key;
    if (name == "value") return block_leverage::part::value;
    if (name == "kv_avg") return block_leverage::part::mean;
    require(name == "kv_product", "params: leverage_type " + name + " is unknown");
    return block_leverage::part::product;
  }
};

/// (x - mean) / deviation over the whole tensor, as two presses do.
void standardise(std::vector<float>& scores) {
  double const count = static_cast<double>(scores.size());
  double mean = 0;
  for (float s : scores) mean += static_cast<double>(s) / count;
  double squares = 0;
  for (float s : scores) squares += (static_cast<double>(s) - mean) * (static_cast<double>(s) - mean);
  double const deviation = std::max(std::sqrt(squares / (count - 1)), 1e-6);
  for (float& s : scores) s = static_cast<float>((static_cast<double>(s) - mean) / deviation);
}

/// The tensor of scores as the original has it, from ours.
void make_scores(std::string const& name, json const& params, call_shape const& shape, press& out) {
  out.begin = 0;
  out.end = shape.tokens;
  double scale = 1;
  bool has_fillers = false;
  if (name == "kvpress_snapkv" || name == "kvpress_pyramidkv" || name == "tova") {
    out.end = out.ours.front().review;
    scale = 1. / (shape.tokens - out.end);  // the mean over the window's queries
    has_fillers = true;
  } else if (name == "expected_attention") {
    out.begin = params["n_sink"].small_integer();
    has_fillers = true;
  } else if (name == "cur") {
    out.begin = params["num_sinks"].small_integer();
  } else if (name == "lagkv" && !params["cross_scoring"].boolean()) {
    int const sinks = params["n_sink"].small_integer();
    int const lag = params["lag_size"].small_integer();
    if (shape.tokens >= sinks + 2 * lag) out.step = 1. / lag;
  }
  std::vector<float>& all = out.scores.values;
  out.scores.shape = {shape.batch, shape.heads, shape.tokens};
  for (compressed const& one : out.ours) {
    for (int head = 0; head < shape.heads; ++head) {
      int const list = one.lists.size() == 1 ? 0 : head;
      std::ptrdiff_t const first = std::ptrdiff_t{list} * one.review;
      for (int token = 0; token < shape.tokens; ++token) {
        bool const is_scored = token >= out.begin && token < out.end;
        float score = is_scored ? one.window_scores.at(static_cast<std::size_t>(first + token)) : 1.f;
        if (name == "kvpress_streaming") {  // 1 for what it keeps, its sinks in any case
          id_list const& kept = one.list(head);
          bool const is_kept =
              token < params["n_sink"].small_integer() || std::binary_search(kept.begin(), kept.end(), token);
          score = is_kept ? 1.f : 0.f;
        }
        all.push_back(is_scored ? static_cast<float>(static_cast<double>(score) * scale) : score);
      }
    }
  }
  if (name == "noncausal" || name == "leverage") standardise(all);
  if (!has_fillers) return;
  float largest = -std::numeric_limits<float>::infinity();
  auto const for_each = [&](bool scored, auto const& f) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      int const token = static_cast<int>(i % static_cast<std::size_t>(shape.tokens));
      if ((token >= out.begin && token < out.end) == scored) f(all[i]);
    }
  };
  for_each(true, [&](float s) { largest = std::max(largest, s); });
  for_each(false, [&](float& s) { s = largest + 1; });
}

/// Runs a press by its name: its scores, and as many tokens kept as it keeps.
template <class Backend>
press run_press(std::string const& name, json const& params, json const& call,
                std::vector<sequence> const& elements) {
  press_runner<Backend> runner{params, elements, {}};
  if (json const* layer = call.find("layer_idx")) runner.options.at.layer = layer->small_integer();
  int& layer_index = runner.options.at.layer;
  require(layer_index >= 0 && layer_index < wkv::max_layers, "layer_idx: unexpected number");
  runner.options.at.layers = layer_index + 1;
  runner.options.run.tokens = kept_count(params, runner.tokens());
  json const* kept = call.find("n_out");
  runner.options.keeps_nothing = kept != nullptr && kept->integer() == 0;
  press out;
  out.ours = runner.run_named(name);
  out.is_refused = runner.options.keeps_nothing && runner.options.run.suffix > 0;
  make_scores(name, params, shape_of(elements), out);
  return out;
}

void compare_press_scores(call_check const& check, std::string const& name, press const& ours) {
  auto const stored = check.c.floats(check.call, "outputs", name.c_str());
  require_shape(stored, ours.scores.shape, name.c_str());
  if (ours.step == 0) {
    compare_scores(check.found, check.where, name.c_str(), ours.scores.values.data(), stored,
                   check.allowed.score_rtol, ours.begin, ours.end);
    return;
  }
  for (std::size_t i = 0; i < stored.values.size(); ++i) {  // rounding may swap neighbours in rank
    double const ranks =
        (static_cast<double>(ours.scores.values[i]) - static_cast<double>(stored.values[i])) / ours.step;
    if (!(std::fabs(ranks) < 1.5 && std::fabs(ranks - std::nearbyint(ranks)) < 1e-3)) {
      check.fail(name + ": ranks differ by more than one");
      return;
    }
  }
}

/// The original lists what it keeps best first.
void require_descending(kept_lists const& lists, tensor<float> const& scores) {
  auto row = scores.values.begin();
  for (auto const& of_element : lists) {
    for (id_list const& ids : of_element) {
      require(std::is_sorted(ids.begin(), ids.end(), [&](auto a, auto b) { return row[a] > row[b]; }),
              "indices: not in the order of their scores");
      row += scores.shape.back();
    }
  }
}

/// Element `b` of a tensor [B, H, S].
float const* element_of(tensor<float> const& scores, std::size_t b) {
  return scores.values.data() + b * scores.values.size() / static_cast<std::size_t>(scores.shape[0]);
}

/// A selection of single tokens by finished scores, as many for every head.
template <class Backend>
std::vector<compressed> select_tokens(call_check const& check, tensor<float> const& scores, int count) {
  settings_of_run s;
  s.tokens = count;
  std::vector<compressed> out;
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    out.push_back(run_scores<Backend>(wkv::each_kv_head<>{}, s, check.elements[b], element_of(scores, b),
                                      check.shape().heads));
  }
  return out;
}

/// Tokens that every head keeps by its scores.
template <class Backend>
void check_press(call_check& check) {
  std::string const& name = check.c.description["method"].string();
  json const& params = check.c.description["params"];
  press const ours = run_press<Backend>(name, params, check.call, check.elements);
  check.ours = ours.ours;
  compare_press_scores(check, "scores", ours);
  check.found.count_compared();
  auto const indices = check.c.integers(check.call, "outputs", "indices");
  if (indices.shape.empty()) return;
  auto const theirs = lists_of(indices, check.shape());
  auto const stored = check.c.floats(check.call, "outputs", "scores");
  require_descending(theirs, stored);
  int kept = static_cast<int>(check.ours.front().list(0).size());
  if (ours.is_refused) {
    kept = 0;
    check.found.note(check.where + "a plan that keeps nothing is refused");
  } else {
    auto const agrees = check.compare_lists(check.ours, theirs, 0, stored, false);
    check.compare_kept_rows(theirs, agrees);
  }
  check.compare_number("n_out", kept);
  call_check const again{check.c, check.call, check.found, check.where + "from stored scores: "};
  again.compare_lists(select_tokens<Backend>(check, stored, kept), theirs, 0, stored, false);
}

/// LeverageScorePress, which needs the random matrix of its case.
template <class Backend>
void check_leverage(call_check& check) {
  json const& params = check.c.description["params"];
  int const heads = check.shape().heads;
  int const columns = params["sketch_dimension"].small_integer();
  auto const sketch = check.c.floats(check.call, "inputs", "sketch_raw");
  require_shape(sketch, {check.shape().batch, heads, check.elements.front().dims, columns}, "sketch_raw");
  settings_of_run s;
  s.tokens = kept_count(params, check.shape().tokens);
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    typename Backend::floats const matrix(element_of(sketch, b),
                                          sketch.values.size() / check.elements.size());
    sketched_leverage const scorer{matrix.data(), columns, static_cast<float>(params["jitter"].number())};
    check.ours.push_back(
        run_method<Backend>(settled(wkv::key_norm().with_token_scorer(scorer), s), {}, check.elements[b]));
  }
  press ours;
  ours.ours = check.ours;
  make_scores("leverage", params, check.shape(), ours);
  compare_press_scores(check, "scores", ours);
  check.found.count_compared();
  auto const indices = check.c.integers(check.call, "outputs", "indices");
  if (indices.shape.empty()) return;
  auto const theirs = lists_of(indices, check.shape());
  auto const agrees =
      check.compare_lists(check.ours, theirs, 0, check.c.floats(check.call, "outputs", "scores"), false);
  check.compare_kept_rows(theirs, agrees);
}

/// What an inner press scores, and the selection of a wrapper by that: directly where the inner scorer reads
/// rows, from its scores otherwise.
template <class Backend, class Sharing>
std::vector<compressed> run_wrapper(call_check const& check, Sharing const& sharing, settings_of_run const& s,
                                    tensor<float> const& scores) {
  std::string const& inner = check.c.description["params"]["inner"].string();
  auto const run = [&](auto const& method) {
    return run_method<Backend>(settled(method.with_head_sharing(sharing), s), {}, check.elements);
  };
  if (inner == "knorm") return run(wkv::key_norm());
  if (inner == "keydiff") return run(wkv::key_diff());
  std::vector<compressed> out;
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    out.push_back(
        run_scores<Backend>(sharing, s, check.elements[b], element_of(scores, b), check.shape().heads));
  }
  return out;
}

/// ChunkKV: chunks for all heads.
template <class Backend>
void check_chunk_kv(call_check& check) {
  json const& params = check.c.description["params"];
  int const tokens = check.shape().tokens;
  int const chunk = chunk_length(params, tokens);
  int const chunks = (tokens + chunk - 1) / chunk;
  int const kept = std::max(1, kept_count(params, chunks));
  press const inner = run_press<Backend>(params["inner"].string(), params, check.call, check.elements);
  compare_press_scores(check, "scores", inner);
  check.compare_number("n_chunks_kept", kept);
  settings_of_run s;
  s.tokens = kept * chunk;
  s.chunk = chunk;
  s.reduction = wkv::head_reduction::sum;
  check.ours = run_wrapper<Backend>(check, wkv::all_heads{}, s, inner.scores);
  auto const stored = check.c.floats(check.call, "outputs", "chunk_scores");
  require_shape(stored, {check.shape().batch, chunks}, "chunk_scores");
  auto const order = check.c.integers(check.call, "outputs", "selected_order");
  require(order.shape == std::vector<int>{check.shape().batch, kept}, "selected_order: unexpected shape");
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    compressed const& ours = check.ours[b];
    std::ptrdiff_t const row = static_cast<std::ptrdiff_t>(b);
    tensor<float> const scores{
        {chunks}, {stored.values.begin() + row * chunks, stored.values.begin() + (row + 1) * chunks}};
    compare_scores(check.found, check.where, "chunk scores", ours.window_scores.data(), scores,
                   check.allowed.score_rtol);
    id_list windows;
    for (std::int32_t w = 0; w < chunks; ++w) {
      if (std::binary_search(ours.lists[0].begin(), ours.lists[0].end(), w * chunk)) windows.push_back(w);
    }
    std::sort(windows.begin(), windows.end(), [&](std::int32_t x, std::int32_t y) {
      return wkv::rank_key(ours.window_scores[static_cast<std::size_t>(x)], x) >
             wkv::rank_key(ours.window_scores[static_cast<std::size_t>(y)], y);
    });
    id_list const theirs{order.values.begin() + row * kept, order.values.begin() + (row + 1) * kept};
    compare_windows(check.found, check.where, windows, theirs, scores, check.allowed);
  }
  // The chunks of the first element are used for all.
  auto const token_index = check.c.integers(check.call, "outputs", "token_index").values;
  require_tokens(token_index, tokens);
  check.compare_number("n_out", static_cast<std::int64_t>(token_index.size()));
  id_list expected;
  for (std::int32_t w : ascending({order.values.begin(), order.values.begin() + kept})) {
    for (int j = w * chunk; j < std::min((w + 1) * chunk, tokens); ++j) expected.push_back(j);
  }
  if (token_index != expected) check.fail("token_index does not list the tokens of the chunks");
  for (std::size_t b = 1; b < check.elements.size(); ++b) {
    check.ours[b] = compact_to(check.elements[b], check.ours[0].lists);
  }
  bool const agrees = check.ours[0].lists[0] == token_index;
  kept_lists const theirs(check.elements.size(),
                          std::vector<id_list>(static_cast<std::size_t>(check.shape().heads), token_index));
  check.compare_kept_rows(theirs, std::vector<bool>(check.elements.size(), agrees));
  check.found.count_compared();
}

/// ChunkPress: the best of every chunk, each chunk a prompt of its own.
template <class Backend>
void check_chunk(call_check& check) {
  json const& params = check.c.description["params"];
  if (params["inner"].string() != "knorm") {
    check.found.leave_out(check.where, "only key norms are local to a chunk");
    return;
  }
  int const tokens = check.shape().tokens;
  int const chunk = chunk_length(params, tokens);
  press const whole = run_press<Backend>("knorm", params, check.call, check.elements);
  compare_press_scores(check, "scores", whole);
  auto const stored = check.c.floats(check.call, "outputs", "scores");
  auto const theirs = lists_of(check.c.integers(check.call, "outputs", "indices"), check.shape());
  std::vector<compressed> joined(check.elements.size());
  std::vector<bool> agrees(check.elements.size(), true);
  std::size_t at = 0;
  for (int begin = 0; begin < tokens; begin += chunk) {
    int const length = std::min(chunk, tokens - begin);
    settings_of_run s;
    s.tokens = std::max(1, kept_count(params, length));
    std::size_t const next = at + static_cast<std::size_t>(s.tokens);
    for (std::size_t b = 0; b < check.elements.size(); ++b) {
      sequence const part = part_of(check.elements[b], begin, length);
      compressed const ours = run_method<Backend>(settled(wkv::key_norm(), s), {}, part);
      joined[b].lists.resize(static_cast<std::size_t>(check.shape().heads));
      for (int head = 0; head < check.shape().heads; ++head) {
        auto const h = static_cast<std::size_t>(head);
        id_list const& all = theirs[b][h];
        require(all.size() >= next, "indices: too few");
        id_list list{all.begin() + static_cast<std::ptrdiff_t>(at),
                     all.begin() + static_cast<std::ptrdiff_t>(next)};
        id_list own = ours.list(head);
        float const* const scores = ours.window_scores.data() + h * static_cast<std::size_t>(length);
        std::sort(own.begin(), own.end(), [&](std::int32_t x, std::int32_t y) {
          return wkv::rank_key(scores[x], x) > wkv::rank_key(scores[y], y);
        });
        for (std::int32_t& token : own) token += begin;
        std::size_t const row =
            (b * static_cast<std::size_t>(check.shape().heads) + h) * static_cast<std::size_t>(tokens);
        std::vector<float> const of_head(stored.values.begin() + static_cast<std::ptrdiff_t>(row),
                                         stored.values.begin() + static_cast<std::ptrdiff_t>(row) + tokens);
        if (!compare_kept(check.found, check.where, "tokens", own, list, of_head, check.allowed,
                          check.allowed.order_is_measured)) {
          agrees[b] = false;
        }
        joined[b].lists[h].insert(joined[b].lists[h].end(), own.begin(), own.end());
      }
    }
    at = next;
  }
  check.compare_number("n_out", static_cast<std::int64_t>(at));
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    check.ours.push_back(compact_to(check.elements[b], joined[b].lists));
  }
  check.compare_kept_rows(theirs, agrees);
  check.found.count_compared();
}

/// AdaKVPress: what all heads together evict.
template <class Backend>
void check_ada_press(call_check& check) {
  json const& params = check.c.description["params"];
  int const tokens = check.shape().tokens;
  int const heads = check.shape().heads;
  press const inner = run_press<Backend>(params["inner"].string(), params, check.call, check.elements);
  compare_press_scores(check, "scores", inner);
  settings_of_run s;
  s.tokens = kept_count(params, tokens);
  std::int64_t const evicted = std::int64_t{heads} * (tokens - s.tokens);
  check.compare_number("n_pruned_per_batch", evicted);
  wkv::safeguarded_heads sharing;
  sharing.safe = params["alpha_safeguard"].number();
  check.ours = run_wrapper<Backend>(check, wkv::each_kv_head{sharing}, s, inner.scores);
  auto const stored = check.c.floats(check.call, "outputs", "scores");
  auto const masked = check.c.integers(check.call, "outputs", "masked");
  auto const kept = check.c.integers(check.call, "outputs", "head_kept");
  require(masked.values.size() == 3 * static_cast<std::size_t>(evicted * check.shape().batch) &&
              kept.values.size() == check.elements.size() * static_cast<std::size_t>(heads),
          "masked or head_kept: unexpected shape");
  auto triplet = masked.values.begin();
  for (std::size_t b = 0; b < check.elements.size(); ++b) {
    id_list theirs;
    for (std::int64_t i = 0; i < evicted; ++i, triplet += 3) {
      require(triplet[0] == static_cast<std::int32_t>(b) && triplet[1] >= 0 && triplet[1] < heads &&
                  triplet[2] >= 0 && triplet[2] < tokens,
              "masked: not a token of its element");
      theirs.push_back(triplet[1] * tokens + triplet[2]);
    }
    require_tokens(theirs, heads * tokens);
    // The best of what goes are at the cut.
    id_list own;
    for (int head = 0; head < heads; ++head) {
      id_list const& kept_tokens = check.ours[b].list(head);
      for (int token = 0; token < tokens; ++token) {
        if (!std::binary_search(kept_tokens.begin(), kept_tokens.end(), token))
          own.push_back(head * tokens + token);
      }
    }
    std::vector<float> losses(element_of(stored, b), element_of(stored, b) + std::ptrdiff_t{heads} * tokens);
    for (float& score : losses) score = -score;
    bool const agrees =
        compare_kept(check.found, check.where + "element " + std::to_string(b) + ": evicted, not ", "tokens",
                     own, theirs, losses, check.allowed, false);
    for (int head = 0; agrees && head < heads; ++head) {
      auto const count = static_cast<std::int32_t>(check.ours[b].list(head).size());
      if (kept.values[b * static_cast<std::size_t>(heads) + static_cast<std::size_t>(head)] != count) {
        check.fail("head_kept: head " + std::to_string(head) + " keeps " + std::to_string(count));
      }
    }
  }
  check.found.count_compared();
}

/// How far every token can move the layer's output: the second factor of CriticalKV.
template <class Backend>
tensor<float> value_norms(call_check const& check) {
  auto const weight = check.c.floats(check.call, "inputs", "Wo");
  sequence const& first = check.elements.front();
  require(weight.shape.size() == 2 && weight.shape[1] == first.query_heads * first.dims,
          "Wo: unexpected shape");
  typename Backend::floats const there(weight.values.data(), weight.values.size());
  wkv::projected_value_norm const scorer{there.data(), weight.shape[0], weight.shape[1]};
  settings_of_run s;
  s.tokens = 1;
  tensor<float> out{{check.shape().batch, check.shape().heads, check.shape().tokens}, {}};
  for (compressed const& one :
       run_method<Backend>(settled(wkv::key_norm().with_token_scorer(scorer), s), {}, check.elements)) {
    out.values.insert(out.values.end(), one.window_scores.begin(), one.window_scores.end());
  }
  return out;
}

/// CriticalKV in its two stages.
template <class Backend>
void check_critical(call_check& check) {
  json const& params = check.c.description["params"];
  int const tokens = check.shape().tokens;
  int const heads = check.shape().heads;
  double const kept_share = 1 - params["compression_ratio"].number();
  press const inner = run_press<Backend>(params["inner"].string(), params, check.call, check.elements);
  compare_press_scores(check, "inner_scores", inner);
  tensor<float> const norms = value_norms<Backend>(check);
  auto const stored_norms = check.c.floats(check.call, "outputs", "wov_norm");
  require_shape(stored_norms, norms.shape, "wov_norm");
  compare_scores(check.found, check.where, "wov_norm", norms.values.data(), stored_norms,
                 check.allowed.score_rtol);

  // What stays by the inner scores alone.
  int const first_count = static_cast<int>(kept_share * tokens * params["first_stage_ratio"].number());
  auto const stored = check.c.floats(check.call, "outputs", "scores");
  require_shape(stored, norms.shape, "scores");
  kept_lists first(check.elements.size());
  for (std::size_t i = 0; i < stored.values.size(); ++i) {
    std::size_t const row = i / static_cast<std::size_t>(tokens);
    auto& of_element = first[row / static_cast<std::size_t>(heads)];
    of_element.resize(static_cast<std::size_t>(heads));
    if (stored.values[i] > 1e38f) {
      of_element[row % static_cast<std::size_t>(heads)].push_back(
          static_cast<std::int32_t>(i % static_cast<std::size_t>(tokens)));
    }
  }
  check.compare_lists(select_tokens<Backend>(check, inner.scores, first_count), first, 0,
                      check.c.floats(check.call, "outputs", "inner_scores"), false);

  // The others by how far they move the output; with the first stage of the original, as ties may differ.
  double const epsilon = params["epsilon"].number();
  tensor<float> scores = inner.scores;
  tensor<float> expected = stored;
  for (std::size_t i = 0; i < scores.values.size(); ++i) {
    float& score = scores.values[i];
    bool const is_first = stored.values[i] > 1e38f;
    score = is_first ? 0.f
                     : static_cast<float>((static_cast<double>(score) + epsilon) *
                                          static_cast<double>(norms.values[i]));
    if (is_first) expected.values[i] = 0.f;
  }
  constexpr double rtol = 2;  // of a product, so that of both factors
  compare_scores(check.found, check.where, "scores", scores.values.data(), expected,
                 rtol * check.allowed.score_rtol, inner.begin, inner.end);
  for (std::size_t i = 0; i < scores.values.size(); ++i) {
    if (stored.values[i] > 1e38f) scores.values[i] = std::numeric_limits<float>::max();
  }
  int const count = kept_count(params, tokens);
  check.compare_number("n_out", count);
  check.ours = select_tokens<Backend>(check, scores, count);
  auto const theirs = lists_of(check.c.integers(check.call, "outputs", "indices"), check.shape());
  auto const agrees = check.compare_lists(check.ours, theirs, 0, stored, false);
  check.compare_kept_rows(theirs, agrees);
  check.found.count_compared();
}

template <class Backend>
outcome check_on(golden_case const& c) {
  struct entry {
    char const* method;
    void (*check)(call_check&);
  };
  constexpr entry entries[] = {
      {"chunkkv", check_chunk_kv<Backend>},        {"chunk", check_chunk<Backend>},
      {"kvpress_adakv", check_ada_press<Backend>}, {"criticalkv", check_critical<Backend>},
      {"leverage", check_leverage<Backend>},
  };
  require(!c.calls().empty(), "no calls in the case");
  std::string const& name = c.description["method"].string();
  auto const found_entry = std::find_if(std::begin(entries), std::end(entries),
                                        [&](entry const& one) { return name == one.method; });
  auto* const check = found_entry == std::end(entries) ? check_press<Backend> : found_entry->check;
  findings found;
  int index = 0;
  for (json const& call : c.calls()) {
    std::string const where = c.calls().size() > 1 ? "call " + std::to_string(index++) + ": " : "";
    try {
      call_check one(c, call, found, where);
      check(one);
    } catch (std::exception const& error) {
      found.fail(where, error.what());
    }
  }
  return found.result();
}

}  // namespace

outcome check_presses(golden_case const& c, backend which) {
  return check_on_backend(c, which,
                          [](auto on, golden_case const& one) { return check_on<decltype(on)>(one); });
}

}  // namespace golden
