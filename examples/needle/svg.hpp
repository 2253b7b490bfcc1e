// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <array>
#include <cmath>
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

namespace needle {

inline std::string percent(double fraction) { return std::to_string(std::lround(100 * fraction)); }

inline std::string budget_text(double budget) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", std::round(budget * 1000) / 10);
  return text;
}

inline constexpr char const* bold = "font-weight='bold'";
inline constexpr char const* grey = "fill='#555'";

/// Writes an SVG picture.
class svg {
 public:
  svg(int width, int height) {
    out_ << "<svg xmlns='http://www.w3.org/2000/svg' width='" << width << "' height='" << height
         << "' viewBox='0 0 " << width << ' ' << height
         << "' font-family='Helvetica, Arial, sans-serif' fill='#222'>\n"
         << "<rect width='100%' height='100%' fill='#fff'/>\n";
  }
  void rectangle(double x, double y, double width, double height, std::string const& fill) {
    out_ << "<rect x='" << x << "' y='" << y << "' width='" << width << "' height='" << height << "' fill='"
         << fill << "'/>\n";
  }
  void line(std::vector<std::array<double, 2>> const& points, std::string const& stroke, double width,
            char const* style = "") {
    out_ << "<polyline fill='none' stroke='" << stroke << "' stroke-width='" << width << "' " << style
         << " points='";
    for (auto const& point : points) out_ << point[0] << ',' << point[1] << ' ';
    out_ << "'/>\n";
  }
  void dot(double x, double y, double radius, std::string const& fill) {
    out_ << "<circle cx='" << x << "' cy='" << y << "' r='" << radius << "' fill='" << fill << "'/>\n";
  }
  void text(double x, double y, int size, char const* anchor, std::string const& content,
            char const* style = "") {
    out_ << "<text x='" << x << "' y='" << y << "' font-size='" << size << "' text-anchor='" << anchor << "' "
         << style << '>' << content << "</text>\n";
  }
  void upright_text(double x, double y, int size, std::string const& content) {
    out_ << "<text transform='translate(" << x << ' ' << y << ") rotate(-90)' font-size='" << size
         << "' text-anchor='middle' fill='#555'>" << content << "</text>\n";
  }
  std::string finish() { return out_.str() + "</svg>\n"; }

 private:
  std::ostringstream out_;
};

}  // namespace needle
