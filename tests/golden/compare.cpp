// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "compare.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <iterator>
#include <stdexcept>

namespace golden {
namespace {

std::string list_of(std::vector<std::int32_t> const& ids) {
  std::string text;
  for (std::size_t i = 0; i < ids.size() && i < 8; ++i) {
    if (i > 0) text += ' ';
    text += std::to_string(ids[i]);
  }
  return ids.size() > 8 ? text + " ..." : text;
}

/// Largest error of one row, as a share of what the tolerance allows: `score_rtol` times the row's largest
/// stored score. Infinite where one side alone has a NaN, or where infinities differ.
double row_error(float const* got, float const* expected, std::size_t count, double score_rtol) {
  double scale = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double const size = std::fabs(static_cast<double>(expected[i]));
    if (std::isfinite(size) && size > scale) scale = size;
  }
  double worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    double const a = static_cast<double>(got[i]);
    double const b = static_cast<double>(expected[i]);
    if (a == b || (std::isnan(a) && std::isnan(b))) continue;
    double const error = std::fabs(a - b) / (score_rtol * (scale > 0 ? scale : 1));
    worst = std::max(worst, std::isfinite(error) ? error : HUGE_VAL);
  }
  return worst;
}

/// Distance of two stored scores, relative to the larger. Scores below a millionth of the largest of all are
/// noise, and count as that; numbers beyond every score stand for "always kept", and are no measure.
double score_distance(std::vector<float> const& scores, std::int32_t a, std::int32_t b) {
  constexpr double most = 1e29;
  double largest = 0;
  for (float s : scores) {
    double const size = std::fabs(static_cast<double>(s));
    if (size < most) largest = std::max(largest, size);
  }
  double const x = static_cast<double>(scores[static_cast<std::size_t>(a)]);
  double const y = static_cast<double>(scores[static_cast<std::size_t>(b)]);
  return std::fabs(x - y) / std::max({std::fabs(x), std::fabs(y), 1e-6 * largest, 1e-300});
}

}  // namespace

void require(bool holds, std::string const& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

void require_shape(tensor<float> const& t, std::vector<int> const& shape, char const* name) {
  require(t.shape == shape, std::string(name) + (t.shape.empty() ? ": missing" : ": unexpected shape"));
}

std::vector<std::int32_t> ascending(std::vector<std::int32_t> ids) {
  std::sort(ids.begin(), ids.end());
  return ids;
}

void compare_scores(findings& found, std::string const& where, char const* what, float const* got,
                    tensor<float> const& expected, double score_rtol) {
  std::size_t const columns = static_cast<std::size_t>(expected.shape.back());
  double worst = 0;
  for (std::size_t at = 0; at < expected.values.size(); at += columns) {
    worst = std::max(worst, row_error(got + at, expected.values.data() + at, columns, score_rtol));
  }
  found.score_error(worst);
  if (worst > 1) {
    found.fail(where, std::string(what) + ": error " + std::to_string(worst) + " of the tolerance");
  }
}

void compare_scores(findings& found, std::string const& where, char const* what, float const* got,
                    tensor<float> const& expected, double score_rtol, int begin, int end) {
  std::size_t const columns = static_cast<std::size_t>(expected.shape.back());
  auto const first = static_cast<std::size_t>(begin);
  auto const last = static_cast<std::size_t>(end);
  double worst = 0;
  for (std::size_t at = 0; at < expected.values.size(); at += columns) {
    float const* const row = expected.values.data() + at;
    worst = std::max(worst, row_error(got + at + first, row + first, last - first, score_rtol));
    for (std::size_t i = 0; i < columns; ++i) {
      if (i < first || i >= last) worst = std::max(worst, row_error(got + at + i, row + i, 1, score_rtol));
    }
  }
  found.score_error(worst);
  if (worst > 1) {
    found.fail(where, std::string(what) + ": error " + std::to_string(worst) + " of the tolerance");
  }
}

bool compare_kept(findings& found, std::string const& where, char const* items,
                  std::vector<std::int32_t> const& ours, std::vector<std::int32_t> const& theirs,
                  std::vector<float> const& stored_scores, tolerance const& allowed, bool compares_order) {
  if (ours.size() != theirs.size()) {
    found.fail(where,
               std::to_string(ours.size()) + " " + items + " kept, not " + std::to_string(theirs.size()));
    return false;
  }
  auto const a = ascending(ours);
  auto const b = ascending(theirs);
  if (a == b) {
    if (compares_order && allowed.order_is_exact && ours != theirs) {
      found.fail(where,
                 "order of the " + std::string(items) + ": " + list_of(ours) + ", not " + list_of(theirs));
    }
    return true;
  }
  std::vector<std::int32_t> differing;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(differing));
  auto const is_scored = [&](std::int32_t id) {
    return id >= 0 && static_cast<std::size_t>(id) < stored_scores.size();
  };
  bool is_tolerable = !allowed.set_is_exact && std::all_of(differing.begin(), differing.end(), is_scored) &&
                      std::all_of(theirs.begin(), theirs.end(), is_scored);
  if (is_tolerable) {
    auto const score_of = [&](std::int32_t id) { return stored_scores[static_cast<std::size_t>(id)]; };
    std::int32_t const last = *std::min_element(theirs.rbegin(), theirs.rend(),
                                                [&](auto x, auto y) { return score_of(x) < score_of(y); });
    is_tolerable = std::all_of(differing.begin(), differing.end(), [&](std::int32_t id) {
      return score_distance(stored_scores, id, last) <= allowed.gap;
    });
  }
  if (!is_tolerable) found.fail(where, "kept " + std::string(items) + " differ in " + list_of(differing));
  return false;
}

void compare_rows(findings& found, std::string const& where, golden_case const& c, json const& call,
                  std::string const& name, std::vector<float> const& rows) {
  std::size_t const bytes = rows.size() * sizeof(float);
  if (json const* crc = call.find(name + "_crc32")) {
    if (static_cast<std::int64_t>(crc32(rows.data(), bytes)) != crc->integer()) {
      found.fail(where, name + ": crc32 differs");
    }
  }
  auto const stored = c.floats(call, "outputs", name.c_str());
  if (stored.shape.empty()) return;
  bool const is_same = stored.values.size() == rows.size() &&
                       (bytes == 0 || std::memcmp(stored.values.data(), rows.data(), bytes) == 0);
  if (!is_same) found.fail(where, name + ": rows differ");
}

std::uint32_t crc32(void const* data, std::size_t bytes) {
  static std::array<std::uint32_t, 256> const table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      t[i] = i;
      for (int bit = 0; bit < 8; ++bit) t[i] = (t[i] >> 1) ^ ((t[i] & 1u) != 0 ? 0xedb88320u : 0u);
    }
    return t;
  }();
  std::uint32_t crc = 0xffffffffu;
  auto const* byte = static_cast<unsigned char const*>(data);
  for (std::size_t i = 0; i < bytes; ++i) crc = (crc >> 8) ^ table[(crc ^ byte[i]) & 0xffu];
  return ~crc;
}

}  // namespace golden
