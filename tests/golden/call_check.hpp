// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "case.hpp"
#include "compare.hpp"
#include "sequence.hpp"

namespace golden {

/// Tokens by batch element and head.
using kept_lists = std::vector<std::vector<id_list>>;

/// One call of the original with what we made of it.
struct call_check {
  golden_case const& c;
  json const& call;
  findings& found;
  std::string where;  ///< names the call in messages, where there are several
  tolerance allowed;
  std::vector<sequence> elements;
  std::vector<compressed> ours{};  ///< of each element

  call_check(golden_case const& of, json const& one, findings& into, std::string name);

  call_shape shape() const { return shape_of(elements); }
  void fail(std::string const& what) const { found.fail(where, what); }

  /// A plain number of the call, where it has it.
  void compare_number(char const* name, std::int64_t value) const;

  /// Token scores [B, H, R] times `scale`.
  void compare_token_scores(char const* name, double scale) const;
  /// Scores after pooling, likewise, which are those of single tokens.
  void compare_pooled_scores(char const* name, double scale) const;

  /// What every head keeps against `theirs`, lists in the order of the original, of which the last `suffix`
  /// tokens stay unconditionally. `scores` [B, H, any] judge ties; where there are none, ours do. The order
  /// of the others is compared with the rank of ours. True for each element whose sets agree.
  std::vector<bool> compare_lists(std::vector<compressed> const& selected, kept_lists const& theirs,
                                  int suffix, tensor<float> const& scores, bool compares_order) const;

  /// Compacted rows of K and V in the order of `theirs`, of all elements. Where an element does not agree,
  /// within the tolerance, its rows are compared for the choice of the original.
  void compare_kept_rows(kept_lists const& theirs, std::vector<bool> const& agrees) const;
};

/// Lists of a tensor [B, H, n]; refuses what is no list of distinct tokens.
kept_lists lists_of(tensor<std::int32_t> const& all, call_shape const& shape);
void require_tokens(id_list const& ids, int tokens);

}  // namespace golden
