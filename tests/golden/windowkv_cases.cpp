// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Selections of the original WindowKV against the library's, stage by stage: budgets, token scores, window
// scores, kept windows and their order, kept rows of keys and values.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "case.hpp"
#include "compare.hpp"
#include "json.hpp"
#include "pipeline.hpp"
#include "settings.hpp"

namespace golden {
namespace {

/// One call of the original: a layer that was compressed.
struct layer_call {
  json const* data = nullptr;
  int index = 0;
  int layer = 0;
  int prompt = 0;
  int tokens = 0;
  int shared_by = -1;  // the call whose windows the original shares at this point
  settings options;    // with the call's overrides
  std::string where;   // names the call in messages, where there are several

  std::string const& branch() const { return (*data)["branch"].string(); }
};

/// A batch runs as one sequence whose heads are those of all elements, one element after the other: query
/// head b * Hq + h then reads KV head b * Hkv + floor(h / (Hq / Hkv)), every element attends to its own keys,
/// and the mean over heads is the mean over batch and heads that the original takes. So one plan yields its
/// one selection for all elements, and [B, H, S, D] arrays are [B * H, S, D] planes as they lie.
wkv::model_shape folded_shape(json const& shape, int layers) {
  int const batch = shape["B"].small_integer();
  return {layers, batch * shape["Hq"].small_integer(), batch * shape["Hkv"].small_integer(),
          shape["D"].small_integer()};
}

/// The numbers of an array as the case's number format holds them: they were chosen to fit.
template <class Element>
std::vector<Element> elements_of(tensor<float> const& source, char const* name) {
  std::vector<Element> out;
  out.reserve(source.values.size());
  for (float value : source.values) {
    out.push_back(static_cast<Element>(value));
    bool const is_same = static_cast<float>(out.back()) == value;
    require(is_same || std::isnan(value), std::string(name) + ": not representable in the case's dtype");
  }
  return out;
}

/// What the original answered to one call.
struct reference {
  tensor<float> token_scores;             // [B, Hq, R], leaders only
  tensor<float> window_scores;            // [Nw], leaders only
  std::vector<std::int32_t> order;        // kept windows, best first
  std::vector<std::int32_t> token_index;  // source position of every kept row, in this order
};

/// Reads it, and refuses what no run can have produced.
reference read_reference(golden_case const& c, layer_call const& call, wkv::plan_data const& p) {
  reference r;
  r.token_scores = c.floats(*call.data, "outputs", "token_scores");
  r.window_scores = c.floats(*call.data, "outputs", "window_scores");
  r.order = c.integers(*call.data, "outputs", "selected_order").values;
  r.token_index = c.integers(*call.data, "outputs", "token_index").values;
  if (call.branch() == "unchanged") {
    for (std::int32_t w = 0; w < p.windows; ++w) r.order.push_back(w);
  } else {
    auto const sorted = c.integers(*call.data, "outputs", "selected_sorted").values;
    require(sorted == ascending(r.order), "selected_sorted is not selected_order, sorted");
  }
  auto const distinct = ascending(r.order);
  require(std::adjacent_find(distinct.begin(), distinct.end()) == distinct.end(), "a window is listed twice");
  return r;
}

/// Positions of the kept tokens in the order of the original: its windows, then the suffix.
template <class WindowGrouping>
std::vector<std::int32_t> positions_of(std::vector<std::int32_t> const& order, WindowGrouping const& windows,
                                       wkv::plan_data const& p) {
  std::vector<std::int32_t> out;
  for (std::int32_t w : order) {
    require(w >= 0 && w < p.windows, "selected_order: there is no window " + std::to_string(w));
    for (int j = windows.begin(w, p.review); j < windows.end(w, p.review); ++j) out.push_back(j);
  }
  for (int j = p.review; j < p.prompt.tokens; ++j) out.push_back(j);
  return out;
}

/// Largest |q . k| / sqrt(D) of the last `suffix` queries.
template <class QueryPlane, class KeyPlane>
double largest_logit(QueryPlane const& queries, KeyPlane const& keys, int suffix) {
  int const heads_per_kv_head = queries.heads / keys.heads;
  float largest = 0;
  for (int head = 0; head < queries.heads; ++head) {
    for (int row = queries.slots - suffix; row < queries.slots; ++row) {
      for (int slot = 0; slot < keys.slots; ++slot) {
        float dot = 0;
        for (int d = 0; d < keys.head_dim; ++d) {
          dot += queries.load(row, head, d) * keys.load(slot, head / heads_per_kv_head, d);
        }
        largest = std::max(largest, std::fabs(dot));
      }
    }
  }
  return static_cast<double>(largest) / std::sqrt(static_cast<double>(keys.head_dim));
}

/// Windows that a selection keeps, best first.
template <class Pipeline>
std::vector<std::int32_t> ranked_windows(Pipeline const& pipeline, wkv::selection const& chosen) {
  std::vector<std::int32_t> ids(chosen.window_ids, chosen.window_ids + chosen.windows);
  if (pipeline.plan().group[chosen.group].keeps_all != 0) return ids;
  std::vector<float> const scores = pipeline.window_scores(chosen.group);
  std::sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) {
    return wkv::rank_key(scores[static_cast<std::size_t>(a)], a) >
           wkv::rank_key(scores[static_cast<std::size_t>(b)], b);
  });
  return ids;
}

/// Keys and values of one layer, in memory of their own.
template <class Element>
struct layer_cache {
  std::vector<Element> keys;
  std::vector<Element> values;

  auto view(wkv::plan_data const& p) {
    return wkv::kv_view{
        wkv::head_slot_dim(keys.data(), p.prompt.tokens, p.shape.kv_heads, p.shape.head_dim),
        wkv::head_slot_dim(values.data(), p.prompt.tokens, p.shape.kv_heads, p.shape.head_dim)};
  }
};

/// The tensor [B, Hkv, n_out, D] of the original, made from a compacted plane: row i is the row that came
/// from position `token_index[i]`, which `slots` finds.
template <class Plane>
std::vector<float> rows_in_order(Plane const& compacted, std::vector<std::int32_t> const& slots,
                                 std::vector<std::int32_t> const& token_index) {
  std::vector<float> out;
  for (int head = 0; head < compacted.heads; ++head) {
    for (std::int32_t position : token_index) {
      auto const slot = std::lower_bound(slots.begin(), slots.end(), position) - slots.begin();
      for (int d = 0; d < compacted.head_dim; ++d) out.push_back(compacted.load(slot, head, d));
    }
  }
  return out;
}

/// Replays the calls of one prompt.
template <class Backend, class Element, class Method>
class prompt_replay {
 public:
  prompt_replay(golden_case const& c, findings& found, Method const& method, wkv::model_shape const& shape,
                wkv::prompt const& prompt)
      : case_(c), found_(found), pipeline_(method, shape, prompt) {}

  void replay(layer_call const& call) {
    wkv::plan_data const& p = plan();
    check_numbers(call);
    layer_cache<Element> cache{input(call, "K", p.shape.kv_heads, p.prompt.tokens),
                               input(call, "V", p.shape.kv_heads, p.prompt.tokens)};
    int const g = p.layer[call.layer].group;
    bool const leads = p.leads_group(call.layer);
    bool const is_scored = leads && p.group[g].keeps_all == 0;
    if (is_scored) score(call, cache);
    if (p.group[g].keeps_all == 0 && !leads && theirs_.count(g) == 0) {
      found_.leave_out(call.where, "the layer that leads its group has no call in this prompt");
      return;
    }
    wkv::selection const chosen = pipeline_.select(g);
    layer_cache<Element> const original = cache;
    pipeline_.compact(call.layer, chosen, cache.view(p));
    check_own_rows(call, chosen, original, cache);
    if (call.branch() == "error") {
      json const* error = call.data->find("error");
      found_.leave_out(
          call.where, "the original fails" + (error == nullptr ? std::string() : " with " + error->string()));
      return;
    }
    reference const theirs = read_reference(case_, call, p);
    if (!compare_selection(call, chosen, theirs, is_scored)) return;
    compare_kept_rows(call, chosen, theirs, original, cache);
    found_.count_compared();
  }

 private:
  /// What is kept of a leader's call for its followers.
  struct leader_answer {
    int call = -1;
    bool same_windows = true;  // false within the tolerance only
  };

  wkv::plan<Method> const& plan() const { return pipeline_.plan(); }
  auto const& windows() const {
    return plan().prompt.task == wkv::task::localization ? plan().method.localization.windows
                                                         : plan().method.aggregation.windows;
  }

  /// The plain numbers of the call that the plan foresees.
  void check_numbers(layer_call const& call) {
    wkv::plan_data const& p = plan();
    auto const check = [&](char const* name, int ours) {
      json const* theirs = call.data->find(name);
      if (theirs != nullptr && theirs->small_integer() != ours) {
        found_.fail(call.where, std::string(name) + " " + std::to_string(ours) + ", not " +
                                    std::to_string(theirs->small_integer()));
      }
    };
    check("budget", p.group[p.layer[call.layer].group].budget);
    check("len_review", call.tokens - call.options.suffix);
    check("num_windows", p.windows);
    if (json const* leader = call.data->find("is_leader")) {
      if (leader->boolean() != p.leads_group(call.layer)) found_.fail(call.where, "is_leader differs");
    }
  }

  std::vector<Element> input(layer_call const& call, char const* name, int heads, int rows) {
    auto const source = case_.floats(*call.data, "inputs", name);
    int const batch = case_.description["shape"]["B"].small_integer();
    require_shape(source, {batch, heads / batch, rows, plan().shape.head_dim}, name);
    return elements_of<Element>(source, name);
  }

  void score(layer_call const& call, layer_cache<Element>& cache) {
    wkv::plan_data const& p = plan();
    json const& entry = (*call.data)["inputs"]["Q"];
    json const* row0 = entry.find("row0");
    int const rows = p.prompt.tokens - (row0 == nullptr ? 0 : row0->small_integer());
    auto const queries = input(call, "Q", p.shape.query_heads, rows);
    wkv::suffix_queries source{
        wkv::head_slot_dim(queries.data(), rows, p.shape.query_heads, p.shape.head_dim)};
    pipeline_.score(call.layer, source, cache.view(p).keys);
    if constexpr (!std::is_same_v<Element, float>) {
      rounded_logits_ = 2 * largest_logit(source.queries, cache.view(p).keys, p.suffix);
    }
  }

  /// False if the original did not follow the layer's own leader (a defect of state shared between layers and
  /// prompts): nothing to compare.
  bool compare_selection(layer_call const& call, wkv::selection const& chosen, reference const& theirs,
                         bool is_scored) {
    int const g = chosen.group;
    if (is_scored) {
      theirs_[g] = compare_scored(call, chosen, theirs);
    } else if (plan().group[g].keeps_all != 0) {
      compare_windows(found_, call.where, ranked_windows(pipeline_, chosen), theirs.order, {},
                      tolerance_of(call));
      theirs_[g] = {call.index, true};
    } else {
      auto const shared = call.shared_by < 0 ? std::vector<std::int32_t>() : windows_of(call.shared_by);
      if (theirs.order != shared) {
        found_.fail(call.where, "the windows are not those that the original shares at this point");
      }
      if (call.shared_by != theirs_[g].call) {
        found_.leave_out(call.where,
                         "the original reuses windows of another group or prompt, the library "
                         "follows the layer's own leader");
        return false;
      }
    }
    return true;
  }

  std::vector<std::int32_t> windows_of(int call) const {
    return case_.integers(case_.calls()[static_cast<std::size_t>(call)], "outputs", "selected_order").values;
  }

  /// Scores and selection of a leader, from queries and keys and once more from the stored token scores.
  leader_answer compare_scored(layer_call const& call, wkv::selection const& chosen,
                               reference const& theirs) {
    wkv::plan_data const& p = plan();
    tolerance const allowed = tolerance_of(call);
    auto const ranked = ranked_windows(pipeline_, chosen);
    if (p.review > 0) {
      int const batch = case_.description["shape"]["B"].small_integer();
      require_shape(theirs.token_scores, {batch, p.shape.query_heads / batch, p.review}, "token_scores");
      require_shape(theirs.window_scores, {p.windows}, "window_scores");
      double const score_rtol = allowed.score_rtol * (1 + rounded_logits_);
      std::vector<float> const token_scores = pipeline_.token_scores(call.layer);
      if (!token_scores.empty()) {
        compare_scores(found_, call.where, "token scores", token_scores.data(), theirs.token_scores,
                       score_rtol);
      }
      compare_scores(found_, call.where, "window scores", pipeline_.window_scores(chosen.group).data(),
                     theirs.window_scores, score_rtol);
      compare_from_stored_scores(call, theirs, allowed);
    }
    json const* needles = case_.description.find("must_select_windows");
    if (needles != nullptr && call.branch() == "select") {
      for (std::int32_t w : integers_of(*needles)) {
        bool const is_kept = std::find(ranked.begin(), ranked.end(), w) != ranked.end();
        if (!is_kept) found_.fail(call.where, "window " + std::to_string(w) + " must be kept");
      }
    }
    bool const same =
        compare_windows(found_, call.where, ranked, theirs.order, theirs.window_scores, allowed);
    return {call.index, same};
  }

  void compare_from_stored_scores(layer_call const& call, reference const& theirs, tolerance const& allowed) {
    wkv::plan_data const& p = plan();
    int const heads = p.shape.query_heads;
    auto const method = plan().method.with_token_scorer(wkv::external_scores{heads});
    typename Backend::template pipeline<std::decay_t<decltype(method)>> from_scores(method, p.shape,
                                                                                    p.prompt);
    from_scores.score(call.layer,
                      wkv::token_scores{theirs.token_scores.values.data(), heads, p.review, p.review});
    auto const chosen = from_scores.select(p.layer[call.layer].group);
    std::string const where = call.where + "from stored token scores: ";
    compare_scores(found_, where, "window scores", from_scores.window_scores(chosen.group).data(),
                   theirs.window_scores, allowed.score_rtol);
    compare_windows(found_, where, ranked_windows(from_scores, chosen), theirs.order, theirs.window_scores,
                    allowed);
  }

  /// Keys and values that stay, and where they came from, against those of the original.
  void compare_kept_rows(layer_call const& call, wkv::selection const& chosen, reference const& theirs,
                         layer_cache<Element> const& original, layer_cache<Element> cache) {
    wkv::plan_data const& p = plan();
    if (theirs.token_index != positions_of(theirs.order, windows(), p)) {
      found_.fail(call.where, "token_index does not list the tokens of the kept windows and the suffix");
      return;
    }
    auto const their_slots = ascending(theirs.token_index);
    if (theirs_.at(chosen.group).same_windows) {
      if (std::vector<std::int32_t>(chosen.slots, chosen.slots + chosen.kept) != their_slots) {
        found_.fail(call.where, "kept tokens differ");
        return;
      }
    } else {  // within the tolerance: the rows are compared for the choice of the original
      cache = original;
      auto const count = static_cast<int>(their_slots.size());
      require_ok(wkv::compact_in_place(wkv::host_executor<>{}, {their_slots.data(), count}, cache.view(p)));
    }
    if (json const* n_out = call.data->find("n_out")) {
      if (static_cast<std::size_t>(n_out->small_integer()) != their_slots.size()) {
        found_.fail(call.where, "n_out is not the number of kept tokens");
      }
    }
    compare_rows(found_, call.where, case_, *call.data, "K_out",
                 rows_in_order(cache.view(p).keys, their_slots, theirs.token_index));
    compare_rows(found_, call.where, case_, *call.data, "V_out",
                 rows_in_order(cache.view(p).values, their_slots, theirs.token_index));
  }

  /// Every kept row is the row of its slot, whatever the original did.
  void check_own_rows(layer_call const& call, wkv::selection const& chosen, layer_cache<Element> original,
                      layer_cache<Element> compacted) {
    auto const compare = [&](auto const& from, auto const& to) {
      auto const bytes = static_cast<std::size_t>(from.head_dim) * sizeof(Element);
      for (int head = 0; head < from.heads; ++head) {
        for (int i = 0; i < chosen.kept; ++i) {
          if (std::memcmp(from.address(chosen.slots[i], head, 0), to.address(i, head, 0), bytes) == 0)
            continue;
          found_.fail(call.where, "row " + std::to_string(i) + " is not that of its slot");
          return;
        }
      }
    };
    compare(original.view(plan()).keys, compacted.view(plan()).keys);
    compare(original.view(plan()).values, compacted.view(plan()).values);
  }

  tolerance tolerance_of(layer_call const& call) const {
    json const* own = call.data->find("tolerance");
    return tolerance(own != nullptr ? *own : case_.description["tolerance"]);
  }

  golden_case const& case_;
  findings& found_;
  typename Backend::template pipeline<Method> pipeline_;
  /// In a half-precision case the original rounds every logit x twice (the product, then the division), the
  /// library never: with u the rounding unit, x is off by 2 u |x|, so a probability by up to 4 u max|x| of
  /// itself. The case's score_rtol is 2 u, for the roundings of probability and row sum: this is what the
  /// logits add, in units of it.
  double rounded_logits_ = 0;
  std::map<int, leader_answer> theirs_;  // by group
};

std::vector<layer_call> read_calls(golden_case const& c, settings const& options) {
  std::vector<layer_call> calls;
  int shared_by = -1;
  for (json const& data : c.calls()) {
    layer_call call;
    call.data = &data;
    call.index = static_cast<int>(calls.size());
    call.shared_by = shared_by;
    if (call.branch() == "select") shared_by = call.index;
    call.layer = data["layer_idx"].small_integer();
    call.options = options;
    if (json const* prompt = data.find("prompt")) call.prompt = prompt->small_integer();
    if (json const* changed = data.find("params_override")) {
      call.options.read_budget_options(*changed);
      call.options.read_selection_options(*changed);
    }
    if (json const* keys = data["inputs"].find("K")) {  // missing where the original failed at once
      auto const& extents = (*keys)["shape"].array();
      require(extents.size() == 4, "K: four extents are wanted");
      call.tokens = extents[2].small_integer();
    }
    if (c.calls().size() > 1) {
      call.where = "call " + std::to_string(call.index) + " (layer " + std::to_string(call.layer) + "): ";
    }
    calls.push_back(std::move(call));
  }
  return calls;
}

/// Calls that belong to one compression: one prompt, seen with the same windows. A layer that comes again
/// starts the next.
std::vector<std::vector<layer_call>> prompts_of(std::vector<layer_call> const& calls) {
  auto const key = [](layer_call const& c) {
    return std::tuple(c.prompt, c.tokens, c.options.layers_per_group, c.options.window, c.options.suffix,
                      c.options.top, c.options.task);
  };
  std::vector<std::vector<layer_call>> prompts;
  for (layer_call const& call : calls) {
    auto const last = std::find_if(prompts.rbegin(), prompts.rend(),
                                   [&](auto const& prompt) { return key(prompt.front()) == key(call); });
    bool const is_new = last == prompts.rend() ||
                        std::any_of(last->begin(), last->end(),
                                    [&](layer_call const& other) { return other.layer == call.layer; });
    if (is_new) {
      prompts.push_back({call});
    } else {
      last->push_back(call);
    }
  }
  return prompts;
}

template <class Backend, class Element, class Method>
void replay_calls(golden_case const& c, findings& found, Method const& method, wkv::model_shape const& shape,
                  std::vector<layer_call> const& calls) {
  prompt_replay<Backend, Element, Method> replay(c, found, method, shape,
                                                 {calls.front().tokens, calls.front().options.task});
  for (layer_call const& call : calls) {
    try {
      replay.replay(call);
    } catch (std::exception const& error) {
      found.fail(call.where, error.what());
    }
  }
}

/// Replays the calls of one prompt. `first_budgets`: of every layer, for the case's own options.
template <class Backend, class Element>
void replay_prompt(golden_case const& c, findings& found, std::vector<layer_call> const& calls,
                   std::vector<std::int32_t> const& first_budgets) {
  settings const& options = calls.front().options;
  int const layers = static_cast<int>(first_budgets.size());
  auto const shape = folded_shape(c.description["shape"], layers);
  wkv::prompt const prompt{calls.front().tokens, options.task};
  auto const plan = value_of(wkv::make_plan(method_of(options), shape, prompt));
  std::vector<std::int32_t> planned;
  std::transform(plan.group, plan.group + plan.groups, std::back_inserter(planned),
                 [](wkv::group_plan const& group) { return group.budget; });

  // The original computes its budgets once per process and ignores the options of later calls. What such
  // calls select is still comparable, once the plan is given the budgets of the first.
  std::vector<std::int32_t> budgets = planned;
  for (layer_call const& call : calls) {
    auto const own = value_of(wkv::make_plan(method_of(call.options), shape, prompt));
    int const wanted = own.group[own.layer[call.layer].group].budget;
    int const stored = (*call.data)["budget"].small_integer();
    int const first = first_budgets[static_cast<std::size_t>(call.layer)];
    bool const is_outdated = stored != wanted && stored == first;
    if (is_outdated) {
      found.note(call.where + "compared with the budget " + std::to_string(first) +
                 " of the first options, to which the original keeps, where the library plans " +
                 std::to_string(wanted));
    }
    budgets[static_cast<std::size_t>(plan.layer[call.layer].group)] = is_outdated ? first : wanted;
  }
  if (budgets == planned) {
    replay_calls<Backend, Element>(c, found, method_of(options), shape, calls);
  } else {
    wkv::table_budget const table{budgets.data(), plan.groups, false};
    replay_calls<Backend, Element>(c, found, method_of(options).with_budget_shape(table), shape, calls);
  }
}

/// The plan's budgets for the case's own options, compared with the table that the case holds.
std::vector<std::int32_t> check_budgets(golden_case const& c, findings& found, settings const& options) {
  auto const shape = folded_shape(c.description["shape"], options.layers_with_budget());
  auto budgets = layer_budgets(value_of(wkv::make_plan(method_of(options), shape, {1, options.task})));
  json const* table = c.description["params"].find("layers_budget");
  if (table != nullptr && budgets != integers_of(*table)) {
    found.fail("", "the plan's budgets are not layers_budget");
  }
  return budgets;
}

template <class Backend>
outcome check_on(golden_case const& c) {
  require(!c.calls().empty(), "no calls in the case");
  settings options;
  options.read_budget_options(c.description["params"]);
  options.read_selection_options(c.description["params"]);
  findings found;
  int const groups = options.has_budgets ? options.layers / options.layers_per_group : 0;
  if (groups < 2) {
    found.leave_out("",
                    "the original makes no budgets (it needs the arithmetic series and two whole groups)");
    return found.result();
  }
  int const covered = options.layers_with_budget();
  if (covered != options.layers) {
    found.note("the original has budgets for " + std::to_string(covered) + " of " +
               std::to_string(options.layers) + " layers: compared with a model of that many");
  }
  std::vector<std::int32_t> const budgets = check_budgets(c, found, options);
  std::vector<layer_call> calls;
  for (layer_call const& call : read_calls(c, options)) {
    require(call.layer >= 0 && call.layer < options.layers, "layer_idx: there is no such layer");
    if (call.layer < covered) {
      calls.push_back(call);
    } else {
      found.leave_out(call.where, "the original has no budget for the layer");
    }
  }
  std::string const& dtype = c.description["dtype"].string();
  for (auto const& prompt : prompts_of(calls)) {
    if (dtype == "float32") {
      replay_prompt<Backend, float>(c, found, prompt, budgets);
    } else if (dtype == "float16") {
      replay_prompt<Backend, wkv::float16>(c, found, prompt, budgets);
    } else if (dtype == "bfloat16") {
      replay_prompt<Backend, wkv::bfloat16>(c, found, prompt, budgets);
    } else {
      throw std::runtime_error("dtype " + dtype + " is unknown");
    }
  }
  return found.result();
}

}  // namespace

bool has_backend(backend which) {
#if defined(GOLDEN_WITH_CUDA)
  if (which == backend::cuda) return true;
#endif
#if defined(GOLDEN_WITH_THRUST)
  if (which == backend::thrust) return true;
#endif
  return which == backend::host;
}

bool has_device([[maybe_unused]] backend which) {
#if defined(__CUDACC__)
  int devices = 0;
  return which == backend::host || (cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0);
#else
  return true;
#endif
}

outcome check_windowkv(golden_case const& c, backend which) {
  require(has_backend(which), "the program is built without this backend");
#if defined(GOLDEN_WITH_CUDA)
  if (which == backend::cuda) return check_on<cuda_backend>(c);
#endif
#if defined(GOLDEN_WITH_THRUST)
  if (which == backend::thrust) return check_on<thrust_backend>(c);
#endif
  return check_on<host_backend>(c);
}

}  // namespace golden
