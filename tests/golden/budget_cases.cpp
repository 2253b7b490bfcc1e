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

}  // namespace

outcome check_windowkv_budgets(golden_case const& c, backend /*which*/) {
  outcome out;
  std::string failures;
  std::string differences;
  for (json const& call : c.calls()) {
    for (json const& options : call["combos"].array()) {
      table_check const check = check_table(options);
      if (!check.failure.empty()) failures += "; " + describe(options) + ": " + check.failure;
      if (!check.difference.empty()) differences += "; " + describe(options) + ": " + check.difference;
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

}  // namespace golden
