// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "figure.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <string>
#include <vector>

#include "svg.hpp"

namespace needle {
namespace {

constexpr int cell_height = 16;
constexpr int panel_gap = 22;
constexpr int left_margin = 92;
constexpr int top_margin = 72;
constexpr int panel_title = 38;
constexpr int tick_space = 40;
constexpr int right_margin = 84;
constexpr int bottom_margin = 30;

bool asks_for_one_fact(options const& o) {
  return !o.all_tasks && o.tasks == std::vector<task_kind>{task_kind::needle};
}

std::string task_names(options const& o) {
  if (o.all_tasks) return "all tasks of the model";
  std::string names;
  for (task_kind const task : o.tasks) names += (names.empty() ? "" : ", ") + std::string(name_of(task));
  return names;
}

struct colour {
  double red, green, blue;
};

/// From brown (no answer is right) through cream to teal (all are): apart also for colour-blind readers.
std::string colour_of(double accuracy) {
  constexpr std::array<colour, 5> stops{
      {{140, 81, 10}, {216, 179, 101}, {246, 237, 212}, {106, 186, 176}, {1, 102, 94}}};
  double const at = std::min(std::max(accuracy, 0.0), 1.0) * (stops.size() - 1);
  std::size_t const i = std::min(stops.size() - 2, static_cast<std::size_t>(at));
  double const t = at - static_cast<double>(i);
  auto const mix = [&](double a, double b) { return static_cast<int>(std::lround(a + (b - a) * t)); };
  char text[16];
  std::snprintf(text, sizeof text, "#%02x%02x%02x", mix(stops[i].red, stops[i + 1].red),
                mix(stops[i].green, stops[i + 1].green), mix(stops[i].blue, stops[i + 1].blue));
  return text;
}

/// Scores of one method and budget at one context length, over all value lengths.
struct column {
  score total;
  std::array<score, depth_bins> by_depth;
};

column column_of(std::vector<measurement> const& measurements, std::string const& method, double budget,
                 int context) {
  column c;
  for (measurement const& m : measurements) {
    bool const matches =
        m.method == method && m.context == context && (m.budget == budget || method == "full");
    if (!matches) continue;
    c.total.add(m.total);
    for (std::size_t d = 0; d < c.by_depth.size(); ++d) c.by_depth[d].add(m.by_depth[d]);
  }
  return c;
}

/// Where things lie on the page.
struct page {
  explicit page(options const& o) : asked(o) {
    columns = static_cast<int>(o.methods.size());
    rows = static_cast<int>(o.budgets.size());
    auto const contexts = static_cast<int>(o.contexts.size());
    cell_width = std::max(34, 110 / contexts);
    map_width = cell_width * contexts;
    depth_rows = asks_for_one_fact(o) ? depth_bins : 1;
    map_height = (depth_rows == 1 ? 5 : 1) * cell_height * depth_rows;
    width = std::max(700, left_margin + columns * (map_width + panel_gap) - panel_gap + right_margin);
    height = top_margin + rows * row_height() + bottom_margin - (tick_space - 24);
  }
  int row_height() const { return panel_title + map_height + tick_space; }
  double panel_x(int column) const { return left_margin + column * (map_width + panel_gap); }
  double panel_y(int row) const { return top_margin + panel_title + row * row_height(); }
  /// Contexts rise from left to right whatever order they were asked in.
  std::vector<int> contexts() const {
    std::vector<int> sorted = asked.contexts;
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  }

  options const& asked;
  int columns, rows, cell_width, map_width, depth_rows, map_height, width, height;
};

void draw_panel(svg& picture, page const& p, int row, int panel,
                std::vector<measurement> const& measurements) {
  std::string const& method = p.asked.methods[static_cast<std::size_t>(panel)];
  double const budget = p.asked.budgets[static_cast<std::size_t>(row)];
  double const left = p.panel_x(panel), top = p.panel_y(row);
  score overall;
  double x = left;
  for (int context : p.contexts()) {
    column const c = column_of(measurements, method, budget, context);
    overall.add(c.total);
    double const height = static_cast<double>(p.map_height) / p.depth_rows;
    for (int d = 0; d < p.depth_rows; ++d) {
      score const& s = p.depth_rows == 1 ? c.total : c.by_depth[static_cast<std::size_t>(d)];
      double const y = top + d * height;
      picture.rectangle(x + .5, y + .5, p.cell_width - 1, height - 1,
                        s.documents == 0 ? "#eeeeee" : colour_of(s.accuracy()));
      if (s.documents == 0) continue;
      bool const is_dark = s.accuracy() > .8 || s.accuracy() < .15;
      picture.text(x + p.cell_width / 2.0, y + height / 2 + 3.5, 9, "middle", percent(s.accuracy()),
                   is_dark ? "fill='#fff'" : "fill='#333'");
    }
    picture.text(x + p.cell_width / 2.0, top + p.map_height + 13, 10, "middle", std::to_string(context),
                 grey);
    x += p.cell_width;
  }
  double const centre = left + p.map_width / 2.0;
  picture.text(centre, top - 22, 12, "middle", method, bold);
  picture.text(centre, top - 7, 11, "middle", percent(overall.accuracy()) + " % exact", grey);
}

void draw_depth_axis(svg& picture, page const& p, int row) {
  double const top = p.panel_y(row);
  for (int d = 0; p.depth_rows > 1 && d < p.depth_rows; d += 2)
    picture.text(left_margin - 6, top + d * cell_height + cell_height - 4, 10, "end",
                 std::to_string(10 * d + 5) + " %", grey);
  if (p.depth_rows > 1) {
    picture.upright_text(left_margin - 44, top + p.map_height / 2.0, 11, "depth of the fact");
  }
  picture.upright_text(left_margin - 66, top + p.map_height / 2.0, 13,
                       "keep " + budget_text(p.asked.budgets[static_cast<std::size_t>(row)]) + " %");
}

void draw_colour_bar(svg& picture, page const& p) {
  constexpr int steps = 50;
  double const x = p.width - right_margin + 22, top = p.panel_y(0);
  double const step = static_cast<double>(p.map_height) / steps;
  for (int i = 0; i < steps; ++i)
    picture.rectangle(x, top + i * step, 12, step + .5, colour_of(1 - (i + .5) / steps));
  for (int percentage : {0, 50, 100})
    picture.text(x + 17, top + p.map_height * (1 - percentage / 100.0) + 4, 10, "start",
                 std::to_string(percentage) + " %", grey);
  picture.text(x, top - 7, 11, "start", "exact", grey);
}

std::string title(options const& o) {
  return asks_for_one_fact(o) ? "Needle in a haystack with a compressed KV cache"
                              : "Answers from a compressed KV cache";
}

std::string subtitle(options const& o) {
  if (!asks_for_one_fact(o))
    return task_names(o) + "; " + std::to_string(o.documents) + " documents per task and context length";
  std::string digits;
  for (std::size_t i = 0; i < o.values.size(); ++i)
    digits += (i == 0 ? "" : i + 1 == o.values.size() ? " and " : ", ") + std::to_string(o.values[i]);
  return "One fact of " + digits + " digits is asked for among three others; " +
         std::to_string(static_cast<std::size_t>(o.documents) * o.values.size()) +
         " documents per context length";
}

}  // namespace

std::string draw_heat_maps(options const& o, std::vector<measurement> const& measurements) {
  page const p(o);
  svg picture(p.width, p.height);
  picture.text(left_margin, 32, 18, "start", title(o), bold);
  picture.text(left_margin, 52, 12, "start", subtitle(o), grey);
  for (int row = 0; row < p.rows; ++row) {
    draw_depth_axis(picture, p, row);
    for (int panel = 0; panel < p.columns; ++panel) draw_panel(picture, p, row, panel, measurements);
  }
  draw_colour_bar(picture, p);
  double const centre = (p.panel_x(0) + p.panel_x(p.columns - 1) + p.map_width) / 2;
  picture.text(centre, p.panel_y(p.rows - 1) + p.map_height + 32, 11, "middle", "context length (tokens)",
               grey);
  return picture.finish();
}

}  // namespace needle
