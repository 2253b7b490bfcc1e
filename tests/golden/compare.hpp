// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "case.hpp"
#include "json.hpp"

namespace golden {

/// What the case turned out to be. `where` names a call, or is empty where there is but one.
class findings {
 public:
  void fail(std::string const& where, std::string const& what) { failures_ += "; " + where + what; }
  void leave_out(std::string const& where, std::string const& why) {
    notes_ += "; " + where + "not applicable: " + why;
    ++left_out_;
  }
  void note(std::string const& what) { notes_ += "; " + what; }
  void count_compared() { ++compared_; }
  void score_error(double share_of_tolerance) {
    if (share_of_tolerance > worst_score_error_) worst_score_error_ = share_of_tolerance;
  }

  outcome result() const {
    std::string const text = std::to_string(compared_) + (compared_ == 1 ? " call" : " calls") + notes_;
    if (!failures_.empty()) {
      return {verdict::failed, failures_.substr(2), compared_, left_out_, worst_score_error_};
    }
    if (compared_ == 0 && left_out_ > 0) {
      return {verdict::not_applicable, notes_.substr(2), 0, left_out_, 0};
    }
    return {verdict::passed, text, compared_, left_out_, worst_score_error_};
  }

 private:
  std::string failures_;
  std::string notes_;
  int compared_ = 0;
  int left_out_ = 0;
  double worst_score_error_ = 0;
};

/// How closely a call must agree.
struct tolerance {
  bool set_is_exact = true;
  bool order_is_exact = true;
  bool order_is_measured = true;  ///< false where the original leaves the order open
  double score_rtol = 0;
  double gap = 0;

  explicit tolerance(json const& t)
      : set_is_exact(t["set"].string() == "exact"),
        order_is_exact(set_is_exact && t["order"].string() == "exact"),
        order_is_measured(t.find("order_gap_rel") != nullptr),
        score_rtol(t["score_rtol"].number()),
        gap(t["gap_threshold"].number()) {}
};

/// Throws std::runtime_error.
void require(bool holds, std::string const& otherwise);
void require_shape(tensor<float> const& t, std::vector<int> const& shape, char const* name);

std::vector<std::int32_t> ascending(std::vector<std::int32_t> ids);

/// Scores against stored ones: in every row the error may be `score_rtol` times the row's largest stored
/// score. A NaN must stand where a NaN is stored, and nowhere else.
void compare_scores(findings& found, std::string const& where, char const* what, float const* got,
                    tensor<float> const& expected, double score_rtol);
/// The same where only the columns [begin, end) are scores: the others are numbers that the original puts in
/// for tokens that always stay, each compared by its own size.
void compare_scores(findings& found, std::string const& where, char const* what, float const* got,
                    tensor<float> const& expected, double score_rtol, int begin, int end);

/// Kept windows, or other items, best first, against those of the original. Where the tolerance is not exact,
/// one that only one side keeps must score as much as the last kept one, nearly. True if the sets agree.
bool compare_kept(findings& found, std::string const& where, char const* items,
                  std::vector<std::int32_t> const& ours, std::vector<std::int32_t> const& theirs,
                  std::vector<float> const& stored_scores, tolerance const& allowed, bool compares_order);
inline bool compare_windows(findings& found, std::string const& where, std::vector<std::int32_t> const& ours,
                            std::vector<std::int32_t> const& theirs, tensor<float> const& stored_scores,
                            tolerance const& allowed) {
  return compare_kept(found, where, "windows", ours, theirs, stored_scores.values, allowed, true);
}

/// Rows of an output of the call, in its order, bit for bit with what the case holds of them: the rows, or
/// their CRC-32.
void compare_rows(findings& found, std::string const& where, golden_case const& c, json const& call,
                  std::string const& name, std::vector<float> const& rows);

/// CRC-32 as zlib computes it.
std::uint32_t crc32(void const* data, std::size_t bytes);

}  // namespace golden
