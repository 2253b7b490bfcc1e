// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <map>
#include <string>
#include <vector>

#include <windowkv/policy/method.hpp>

namespace needle {

/// One point of the search: every part of a method by name and value, as text.
///
///   suffix  S, the observing queries                          16
///   decay   weight of a suffix row relative to the next one   0.8 (1: all the same)
///   values  score times the size of the value: none or norm
///   pool    none, max:AFTER:BEFORE or mean:AFTER:BEFORE
///   window  tokens of a window (1: single tokens), :top for the mean of its better half
///   heads   where heads merge, and how: tokens or windows, :mean or :max
///   layers  how scoring layers merge: max or mean
///   group   layers that share a selection
///   scorers which of them score: all, first, middle, or every Nth (every2, every4)
///   last    % of the mean budget that the last group gets (100: uniform)
///   sinks   first tokens that stay
///   lists   lists of kept tokens in a layer: one, each (KV head), adaptive (heads compete)
using configuration = std::map<std::string, std::string>;

/// What default_method() does for a localization, and for an aggregation.
configuration default_localization();
configuration default_aggregation();

/// "name=value name=value ...", on top of `base`. Throws std::runtime_error for unknown names and bad values.
configuration parse_configuration(configuration base, std::string const& text);
std::string to_string(configuration const& c);

/// Values of each part that the search tries, in order of the parts' names.
std::map<std::string, std::vector<std::string>> const& search_space();

enum class pool_kind { none, maximum, mean };
enum class list_kind { one, each, adaptive };

/// The same as the library wants it.
struct settings {
  int suffix;
  float decay;
  bool weighs_values;
  pool_kind pooling;
  int after, before;
  int width;
  bool is_top_half;
  windowkv::head_merge heads;
  windowkv::head_reduction reduction;
  windowkv::layer_merge layers;
  int group;
  windowkv::scoring_layers scoring;
  int every;  ///< of a group's layers, every Nth scores (with scoring_layers::all)
  int last;
  int sinks;
  list_kind lists;
};
settings settings_of(configuration const& c);

}  // namespace needle
