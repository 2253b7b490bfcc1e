// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/detail/exact_allocation.hpp
/// Whole tokens per layer for groups of layers, in proportion to weights, with an exact sum over all layers.

#include <cstdint>

#include "windowkv/config.hpp"

namespace windowkv::detail {

/// Every layer of group i gets the same count, within [least, most]; the counts sum to `mean` times the
/// number of layers. least <= mean <= most, so the uniform split is one solution.
struct allocation {
  int groups;
  std::int32_t const* layers;   ///< of each group
  std::int32_t const* weights;  ///< of each group; below 0 counts as 0
  int mean;
  int least;
  int most;

  double clamp(double count) const { return count < least ? least : count > most ? most : count; }
};

/// Real-valued counts in proportion to the weights, clamped, with the same sum (water filling): as long as
/// clamps bind, the groups on the side that matters more are fixed and the rest shares what remains.
inline void fill_proportionally(allocation const& a, double* target) {
  bool is_fixed[max_layers] = {};
  double remaining = 0;
  for (int i = 0; i < a.groups; ++i) remaining += static_cast<double>(a.mean) * a.layers[i];
  for (bool any = true; any;) {
    double weight_sum = 0;
    double free_layers = 0;
    for (int i = 0; i < a.groups; ++i) {
      if (is_fixed[i]) continue;
      free_layers += a.layers[i];
      if (a.weights[i] > 0) weight_sum += static_cast<double>(a.weights[i]) * a.layers[i];
    }
    double excess = 0;  // above `most` minus below `least`
    for (int i = 0; i < a.groups; ++i) {
      if (is_fixed[i]) continue;
      double const weight = a.weights[i] > 0 ? a.weights[i] : 0;
      target[i] = weight_sum > 0 ? remaining * weight / weight_sum : remaining / free_layers;
      excess += (target[i] - a.clamp(target[i])) * a.layers[i];
    }
    any = false;
    for (int i = 0; i < a.groups; ++i) {
      bool const binds = excess >= 0 ? target[i] > a.most : target[i] < a.least;
      if (is_fixed[i] || !binds) continue;
      target[i] = a.clamp(target[i]);
      remaining -= target[i] * a.layers[i];
      is_fixed[i] = any = true;
    }
  }
  for (int i = 0; i < a.groups; ++i) target[i] = a.clamp(target[i]);
}

/// The groups of one size. A token more for a group costs the same within a class.
struct size_class {
  std::int64_t layers;  ///< of each of its groups
  std::int64_t groups;
  double wanted;        ///< sum of the targets of its groups
  std::int64_t tokens;  ///< sum of the counts of its groups
};

inline std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

inline std::int64_t greatest_common_divisor(std::int64_t a, std::int64_t b) {
  while (b != 0) {
    std::int64_t const remainder = a % b;
    a = b;
    b = remainder;
  }
  return a;
}

/// Moves tokens between two classes, towards what `to` wants, in steps that both can pay in whole tokens.
inline void exchange(allocation const& a, size_class& from, size_class& to) {
  std::int64_t const divisor = greatest_common_divisor(from.layers, to.layers);
  std::int64_t const gained = from.layers / divisor;
  std::int64_t const paid = to.layers / divisor;
  std::int64_t const most_up =
      smaller((to.groups * a.most - to.tokens) / gained, (from.tokens - from.groups * a.least) / paid);
  std::int64_t const most_down =
      smaller((to.tokens - to.groups * a.least) / gained, (from.groups * a.most - from.tokens) / paid);
  double const ideal = (to.wanted - static_cast<double>(to.tokens)) / static_cast<double>(gained);
  auto const nearest = static_cast<std::int64_t>(ideal < 0 ? ideal - 0.5 : ideal + 0.5);
  std::int64_t const steps = nearest > most_up ? most_up : nearest < -most_down ? -most_down : nearest;
  to.tokens += steps * gained;
  from.tokens -= steps * paid;
}

/// Whole counts for the groups of class `c` that sum to `tokens`: floors, then the largest remainders.
inline void round_class(allocation const& a, int const* class_of, int c, std::int64_t tokens,
                        double const* target, std::int32_t* out) {
  for (int i = 0; i < a.groups; ++i) {
    if (class_of[i] != c) continue;
    out[i] = static_cast<std::int32_t>(target[i]);
    tokens -= out[i];
  }
  while (tokens != 0) {
    std::int64_t const sign = tokens > 0 ? 1 : -1;
    auto const room = [&](int i) {
      return class_of[i] != c ? 0 : sign > 0 ? a.most - out[i] : out[i] - a.least;
    };
    auto const lead = [&](int i) { return static_cast<double>(sign) * (target[i] - out[i]); };
    int best = -1;
    std::int64_t takers = 0;
    for (int i = 0; i < a.groups; ++i) {
      if (room(i) == 0) continue;
      ++takers;
      if (best < 0 || lead(i) > lead(best)) best = i;
    }
    std::int64_t const even = sign * tokens / takers;  // above 0 where clamps left much over
    for (int i = 0; i < a.groups; ++i) {
      std::int64_t const share = even > 0 ? smaller(room(i), even) : i == best ? 1 : 0;
      out[i] += static_cast<std::int32_t>(sign * share);
      tokens -= sign * share;
    }
  }
}

/// Solves it. Groups of unequal size make an exact sum an integer puzzle; this starts from the uniform split,
/// which is exact, and only makes exchanges between size classes that keep it so.
inline void allocate_exactly(allocation const& a, std::int32_t* out) {
  double target[max_layers] = {};
  fill_proportionally(a, target);

  size_class classes[max_layers] = {};
  int class_of[max_layers] = {};
  int class_count = 0;
  int largest = 0;
  for (int i = 0; i < a.groups; ++i) {
    int c = 0;
    while (c < class_count && classes[c].layers != a.layers[i]) ++c;
    if (c == class_count) classes[class_count++] = {a.layers[i], 0, 0, 0};
    class_of[i] = c;
    classes[c].groups += 1;
    classes[c].wanted += target[i];
    classes[c].tokens += a.mean;
    if (classes[c].groups > classes[largest].groups) largest = c;
  }
  for (int c = 0; c < class_count; ++c) {
    if (c != largest) exchange(a, classes[largest], classes[c]);
  }
  for (int c = 0; c < class_count; ++c) {
    double const shift =
        (static_cast<double>(classes[c].tokens) - classes[c].wanted) / static_cast<double>(classes[c].groups);
    for (int i = 0; i < a.groups; ++i) {
      if (class_of[i] == c) target[i] = a.clamp(target[i] + shift);
    }
    round_class(a, class_of, c, classes[c].tokens, target, out);
  }
}

}  // namespace windowkv::detail
