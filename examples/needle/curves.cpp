// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "figure.hpp"
#include "svg.hpp"

namespace needle {
namespace {

constexpr double left = 62, top = 74, plot_width = 560, plot_height = 400, label_space = 190,
                 bottom_margin = 58;
constexpr double label_height = 14;

/// One method's line: exact answers for each budget, in the order of the budgets.
struct curve {
  std::string method;
  std::vector<double> accuracy;
  double label_y = 0;
};

bool starts_with(std::string const& text, char const* prefix) {
  return text.compare(0, std::char_traits<char>::length(prefix), prefix) == 0;
}

/// windowkv's own in teal, the paper's in brown, the others by what they look at: shades of grey without
/// queries, of blue with them.
std::string stroke_of(std::string const& method) {
  static std::vector<std::pair<char const*, char const*>> const strokes{
      {"full", "#222222"},      {"default", "#01665e"},  {"paper", "#a6611a"},    {"random", "#bbbbbb"},
      {"streaming", "#888888"}, {"key-norm", "#aaaaaa"}, {"key-diff", "#999999"}, {"lag", "#777777"},
      {"h2o", "#9e6ebd"},       {"expected", "#c994c7"}, {"tova", "#66a9cf"},     {"snapkv", "#2166ac"},
      {"pyramid", "#74add1"},   {"ada", "#4393c3"},      {"chunk", "#053061"},    {"cake", "#5e7fb1"}};
  for (auto const& [prefix, stroke] : strokes)
    if (starts_with(method, prefix)) return stroke;
  return "#555555";
}

std::vector<curve> curves_of(options const& o, std::vector<double> const& budgets,
                             std::vector<measurement> const& measurements) {
  std::vector<curve> all;
  for (std::string const& method : o.methods) {
    curve c{method, {}};
    for (double const budget : budgets) {
      score total;
      for (measurement const& m : measurements)
        if (m.method == method && (m.budget == budget || method == "full")) total.add(m.total);
      c.accuracy.push_back(total.accuracy());
    }
    all.push_back(std::move(c));
  }
  return all;
}

/// Labels beside the lines' ends, in the lines' order, at least a line apart.
void place_labels(std::vector<curve>& curves, double y_of_zero) {
  std::stable_sort(curves.begin(), curves.end(),
                   [](curve const& a, curve const& b) { return a.accuracy.back() > b.accuracy.back(); });
  double lowest = y_of_zero;
  for (std::size_t i = curves.size(); i-- > 0;) {
    curves[i].label_y = std::min(top + plot_height * (1 - curves[i].accuracy.back()), lowest);
    lowest = curves[i].label_y - label_height;
  }
  double highest = top;
  for (curve& c : curves) {
    if (c.label_y >= highest) break;
    c.label_y = highest;
    highest += label_height;
  }
}

}  // namespace

std::string draw_curves(options const& o, std::vector<measurement> const& measurements) {
  std::vector<double> budgets = o.budgets;
  std::sort(budgets.begin(), budgets.end());
  std::vector<curve> curves = curves_of(o, budgets, measurements);
  place_labels(curves, top + plot_height);

  svg picture(static_cast<int>(left + plot_width + label_space),
              static_cast<int>(top + plot_height + bottom_margin));
  picture.text(left, 32, 18, "start", "Exact answers by the part of the KV cache that is kept", bold);
  int documents = 0;
  for (measurement const& m : measurements)
    if (m.method == o.methods[0] && (m.budget == o.budgets[0] || m.method == "full"))
      documents += m.total.documents;
  picture.text(left, 52, 12, "start", std::to_string(documents) + " documents", grey);

  // Budgets stand apart by their logarithm: small ones are the interesting ones.
  double const narrowest = std::log(budgets.front()), widest = std::log(budgets.back());
  auto const x_of = [&](double budget) {
    return widest > narrowest ? left + plot_width * (std::log(budget) - narrowest) / (widest - narrowest)
                              : left + plot_width / 2;
  };
  auto const y_of = [](double accuracy) { return top + plot_height * (1 - accuracy); };
  for (int percentage = 0; percentage <= 100; percentage += 20) {
    double const y = y_of(percentage / 100.0);
    picture.line({{left, y}, {left + plot_width, y}}, "#dddddd", 1);
    picture.text(left - 8, y + 4, 11, "end", std::to_string(percentage) + " %", grey);
  }
  for (double const budget : budgets)
    picture.text(x_of(budget), top + plot_height + 18, 11, "middle", budget_text(budget) + " %", grey);
  picture.text(left + plot_width / 2, top + plot_height + 42, 12, "middle", "tokens kept per layer", grey);

  for (std::size_t i = curves.size(); i-- > 0;) {  // the best on top of the others
    curve const& c = curves[i];
    std::string const stroke = stroke_of(c.method);
    bool const is_ours = c.method == "default";
    std::vector<std::array<double, 2>> points;
    for (std::size_t b = 0; b < budgets.size(); ++b)
      points.push_back({x_of(budgets[b]), y_of(c.accuracy[b])});
    picture.line(points, stroke, is_ours ? 3 : 1.6, c.method == "full" ? "stroke-dasharray='4 4'" : "");
    for (auto const& point : points) picture.dot(point[0], point[1], is_ours ? 4 : 2.5, stroke);
    double const edge = left + plot_width;
    picture.line({{edge + 4, points.back()[1]}, {edge + 18, c.label_y}}, stroke, .7);
    picture.text(edge + 22, c.label_y + 4, 12, "start", c.method + " " + percent(c.accuracy.back()),
                 ("fill='" + stroke + "'" + (is_ours ? " font-weight='bold'" : "")).c_str());
  }
  return picture.finish();
}

}  // namespace needle
