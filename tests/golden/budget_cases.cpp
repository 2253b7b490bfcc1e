// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Budget tables of the original against the plan's, one table per set of options.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "case.hpp"
#include "json.hpp"
#include "settings.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/policy/methods.hpp"

namespace golden {
namespace {

windowkv::result<windowkv::plan<decltype(method_of({}))>> plan_of(settings const& s, int layers) {
  return windowkv::make_plan(method_of(s), {layers, 1, 1, 1}, {1, s.task});
}

struct table_check {
  std::string failure;
  std::string difference;  ///< why there is nothing to compare, if so
};

/// Where the original has no table (an exception, no whole group, another series) the library must still
/// answer: with a plan, which gives a single group exactly C, or with a refusal.
table_check check_undefined(settings const& s, std::string const& why) {
  auto const plan = plan_of(s, s.layers);
  if (!plan) return {"", why + "; refused here"};
  if (plan->groups == 1 && plan->group[0].budget != s.tokens_per_layer) {
    return {"one group must get " + std::to_string(s.tokens_per_layer) + " tokens, got " +
                std::to_string(plan->group[0].budget),
            ""};
  }
  return {"", why};
}

table_check check_table(json const& options) {
  settings s;
  s.read_budget_options(options);
  if (json const* error = options.find("error")) return check_undefined(s, error->string());
  std::vector<std::int32_t> const expected = integers_of(options["layers_budget"]);
  if (!s.has_budgets) return check_undefined(s, "no table for another series");
  if (s.layers_with_budget() == 0) return check_undefined(s, "no whole group");
  auto const plan = plan_of(s, s.layers_with_budget());
  if (!plan) return {plan.error().message().text, ""};
  std::vector<std::int32_t> const budgets = layer_budgets(*plan);
  if (budgets.size() != expected.size()) {
    return {std::to_string(expected.size()) + " budgets, not " + std::to_string(budgets.size()), ""};
  }
  auto const [ours, theirs] = std::mismatch(budgets.begin(), budgets.end(), expected.begin());
  if (ours == budgets.end()) return {};
  return {"layer " + std::to_string(ours - budgets.begin()) + " gets " + std::to_string(*ours) + ", not " +
              std::to_string(*theirs),
          ""};
}

std::string describe(json const& options) {
  settings s;
  s.read_budget_options(options);
  return "L=" + std::to_string(s.layers) + " g=" + std::to_string(s.layers_per_group) +
         " beta=" + std::to_string(s.beta) + " C=" + std::to_string(s.tokens_per_layer);
}

/// Tables of budgets, options by options, of every call.
template <class Check, class Describe>
outcome check_tables(golden_case const& c, Check const& check_one, Describe const& describe_one) {
  outcome out;
  std::string failures;
  std::string differences;
  for (json const& call : c.calls()) {
    for (json const& options : call["combos"].array()) {
      table_check const check = check_one(options);
      if (!check.failure.empty()) failures += "; " + describe_one(options) + ": " + check.failure;
      if (!check.difference.empty()) differences += "; " + describe_one(options) + ": " + check.difference;
      ++(check.difference.empty() ? out.compared : out.left_out);
    }
  }
  out.text = std::to_string(out.compared) + " tables";
  if (!differences.empty()) out.text += "; not applicable" + differences;
  if (!failures.empty()) out.text = failures.substr(2);
  if (out.compared + out.left_out == 0) failures = out.text = "no table in the case";
  out.result = !failures.empty()  ? verdict::failed
               : out.compared > 0 ? verdict::passed
                                  : verdict::not_applicable;
  return out;
}

/// Tokens that every layer of a plan keeps, all of them where the prompt fits.
template <class Budget>
table_check check_kept(json const& options, Budget const& budget, int tokens_per_layer,
                       std::vector<std::int32_t> const& expected) {
  int const tokens = options["S"].small_integer();
  int const layers = options["num_hidden_layers"].small_integer();
  auto const method = windowkv::snapkv()
                          .with_suffix(options["window_size"].small_integer())
                          .with_budget_shape(budget)
                          .with_budget(tokens_per_layer);
  auto const plan = windowkv::make_plan(method, {layers, 1, 1, 1}, {tokens, windowkv::task::localization});
  if (!plan) {
    bool const is_empty = std::any_of(expected.begin(), expected.end(), [](auto kept) { return kept < 1; });
    return is_empty ? table_check{"", "a layer would keep nothing; refused here"}
                    : table_check{plan.error().message().text, ""};
  }
  if (expected.size() != static_cast<std::size_t>(layers)) return {"unexpected length of the table", ""};
  for (int l = 0; l < layers; ++l) {
    auto const& group = plan->group[plan->layer[l].group];
    int const kept = group.keeps_all != 0 ? tokens : group.budget;
    int const wanted = expected[static_cast<std::size_t>(l)];
    if (kept != wanted) {
      return {
          "layer " + std::to_string(l) + " keeps " + std::to_string(kept) + ", not " + std::to_string(wanted),
          ""};
    }
  }
  return {};
}

table_check check_pyramid(json const& options, bool is_ada) {
  std::int64_t const window = options["window_size"].small_integer();
  auto expected = integers_of(options["past_kept"]);  // without the window; -1: untouched
  for (std::int32_t& kept : expected) {
    std::int64_t const all = kept < 0 ? options["S"].integer() : kept + window;
    kept = static_cast<std::int32_t>(std::min<std::int64_t>(all, INT32_MAX));
  }
  windowkv::pyramid_budget const budget{options["beta"].small_integer(), !is_ada};
  return check_kept(options, budget, options["max_capacity_prompt"].small_integer(), expected);
}

table_check check_rounded_pyramid(json const& options) {
  double const kept = options["S"].number() * (1 - options["compression_ratio"].number());
  windowkv::rounded_pyramid_budget const budget{options["beta"].small_integer(), kept};
  return check_kept(options, budget, std::max(1, static_cast<int>(kept)), integers_of(options["kept"]));
}

std::string describe_pyramid(json const& options) {
  std::string text;
  for (char const* name : {"num_hidden_layers", "window_size", "beta", "S"}) {
    text += std::string(text.empty() ? "" : " ") + name + "=" + std::to_string(options[name].integer());
  }
  return text;
}

}  // namespace

outcome check_windowkv_budgets(golden_case const& c, backend /*which*/) {
  return check_tables(c, check_table, describe);
}

outcome check_pyramid_budgets(golden_case const& c, backend /*which*/) {
  std::string const& method = c.description["method"].string();
  return check_tables(
      c,
      [&](json const& options) {
        return method == "kvpress_pyramidkv_budgets"
                   ? check_rounded_pyramid(options)
                   : check_pyramid(options, method == "pyramidkv_adakv_budgets");
      },
      describe_pyramid);
}

}  // namespace golden
