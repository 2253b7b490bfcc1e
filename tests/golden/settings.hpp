// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "json.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/policy/layer_groupings.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/policy/tasks.hpp"

namespace golden {

/// The options of the original, under the words of this library.
struct settings {
  int layers = 0;
  int layers_per_group = 0;
  int beta = 0;
  int tokens_per_layer = 0;
  bool has_budgets = true;  ///< only the arithmetic series gives the original any
  int window = 8;
  int suffix = 16;
  int top = 0;
  windowkv::task task = windowkv::task::aggregation;

  /// The original makes a budget for floor(L / g) whole groups; layers behind them have none. Its table is
  /// what the library gives a model that ends there.
  int layers_with_budget() const { return layers / layers_per_group * layers_per_group; }

  void read_budget_options(json const& params) {
    if (auto const* v = params.find("num_hidden_layers")) layers = v->small_integer();
    if (auto const* v = params.find("shared_layers")) layers_per_group = v->small_integer();
    if (auto const* v = params.find("beta")) beta = v->small_integer();
    if (auto const* v = params.find("max_capacity_prompt")) tokens_per_layer = v->small_integer();
    if (auto const* v = params.find("layer_decay_strategy")) has_budgets = v->string() == "arithmetic";
    if (layers < 1 || layers_per_group < 1) throw std::runtime_error("params: layers and groups are missing");
  }
  void read_selection_options(json const& params) {
    if (auto const* v = params.find("review_window_size")) window = v->small_integer();
    if (auto const* v = params.find("suffix_size")) suffix = v->small_integer();
    if (auto const* v = params.find("win_max_attn_scores")) top = v->small_integer();
    if (auto const* v = params.find("window_select_strategy")) {
      if (v->string() != "max" && v->string() != "average") {
        throw std::runtime_error("params: window_select_strategy " + v->string() + " is unknown");
      }
      task = v->string() == "max" ? windowkv::task::localization : windowkv::task::aggregation;
    }
  }
};

/// The paper's method with these options.
inline auto method_of(settings const& s) {
  auto method = windowkv::paper_method(s.window)
                    .with_budget(s.tokens_per_layer)
                    .with_suffix(s.suffix)
                    .with_budget_shape(windowkv::arithmetic_budget{s.beta})
                    .with_layer_grouping(windowkv::uniform_groups{s.layers_per_group});
  method.localization.window_scorer.top = s.top;
  return method;
}

/// Budgets of the plan, one per layer.
inline std::vector<std::int32_t> layer_budgets(windowkv::plan_data const& p) {
  std::vector<std::int32_t> budgets(static_cast<std::size_t>(p.shape.layers));
  std::transform(p.layer, p.layer + p.shape.layers, budgets.begin(),
                 [&](windowkv::layer_plan const& l) { return p.group[l.group].budget; });
  return budgets;
}

inline std::vector<std::int32_t> integers_of(json const& array) {
  std::vector<std::int32_t> out;
  for (json const& value : array.array()) out.push_back(value.small_integer());
  return out;
}

}  // namespace golden
