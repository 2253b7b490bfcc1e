// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/similarity.hpp
/// Groups of layers by how alike their own selections are, instead of every g layers. Measured once, on some
/// calibration prompts, each compressed by a method without sharing between layers:
///
///     auto report = compress(...);                       // no_sharing: a selection for each layer
///     add_overlaps(report->group, layers, matrix);       // float matrix[layers * layers], first all 0
///     ... after the last prompt ...
///     group_similar_layers(matrix, layers, groups, table);   // std::int16_t table[layers]
///     auto method = default_method().with_layer_grouping(table_groups{table, layers});
///
/// Host only; nothing is allocated.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/slot_list.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// |A and B| / |A or B| of two lists of kept slots, both ascending; 1 for two empty lists.
inline float overlap(slot_list const& a, slot_list const& b) {
  int both = 0;
  for (int i = 0, j = 0; i < a.count && j < b.count;) {
    std::int32_t const left = a.slots[i];
    std::int32_t const right = b.slots[j];
    both += left == right ? 1 : 0;
    i += left <= right ? 1 : 0;
    j += right <= left ? 1 : 0;
  }
  int const either = a.count + b.count - both;
  return either == 0 ? 1.f : static_cast<float>(both) / static_cast<float>(either);
}

/// Adds one prompt's overlaps of all pairs of layers to `matrix` [layers][layers]; with lists per KV head the
/// mean over the heads.
///
/// @param chosen the selection of each layer [layers], of one prompt, e.g. `report->group`
inline status add_overlaps(selection const* chosen, int layers, float* matrix) {
  WINDOWKV_TRY(detail::require_not_null("add_overlaps: chosen", chosen));
  WINDOWKV_TRY(detail::require_not_null("add_overlaps: matrix", matrix));
  WINDOWKV_TRY(detail::require_at_least("add_overlaps: layers", layers, 1));
  WINDOWKV_TRY(detail::require_at_most("add_overlaps: layers", layers, max_layers));
  for (int a = 0; a < layers; ++a) {
    WINDOWKV_TRY(detail::require_equal("selection.lists", chosen[a].lists, chosen[0].lists).at_layer(a));
    WINDOWKV_TRY(detail::require_equal("selection.tokens", chosen[a].tokens, chosen[0].tokens).at_layer(a));
  }
  for (int a = 0; a < layers; ++a) {
    for (int b = 0; b < layers; ++b) {
      float sum = 0.f;
      for (int list = 0; list < chosen[a].lists; ++list) {
        sum += overlap(chosen[a].list(list), chosen[b].list(list));
      }
      matrix[a * layers + b] += sum / static_cast<float>(chosen[a].lists);
    }
  }
  return {};
}

/// Cuts the layers into `groups` runs of neighbours: beginning with every layer by itself, the two
/// neighbouring groups merge whose layers are most alike on average, the lower ones of equals, until `groups`
/// are left. Any symmetric measure will do, also one that is summed over prompts.
///
/// @param matrix similarity of every two layers [layers][layers]
/// @param table  out: group of each layer [layers], ascending from 0
inline status group_similar_layers(float const* matrix, int layers, int groups, std::int16_t* table) {
  WINDOWKV_TRY(detail::require_not_null("group_similar_layers: matrix", matrix));
  WINDOWKV_TRY(detail::require_not_null("group_similar_layers: table", table));
  WINDOWKV_TRY(detail::require_at_least("group_similar_layers: layers", layers, 1));
  WINDOWKV_TRY(detail::require_at_most("group_similar_layers: layers", layers, max_layers));
  WINDOWKV_TRY(detail::require_at_least("group_similar_layers: groups", groups, 1));
  WINDOWKV_TRY(detail::require_at_most("group_similar_layers: groups", groups, layers));
  for (int i = 0; i < layers * layers; ++i) {
    if (matrix[i] != matrix[i]) {
      return status::failure(status_code::invalid_argument, "group_similar_layers: matrix: likeness to layer",
                             i % layers, "must not be NaN; layers:", layers)
          .at_layer(i / layers);
    }
  }
  int begins[max_layers + 1];  // first layer of each group, and the end
  for (int i = 0; i <= layers; ++i) begins[i] = i;
  auto const likeness = [&](int group) {  // of a group and the next
    double sum = 0;
    for (int a = begins[group]; a < begins[group + 1]; ++a) {
      for (int b = begins[group + 1]; b < begins[group + 2]; ++b) {
        sum += static_cast<double>(matrix[a * layers + b]);
      }
    }
    int const pairs = (begins[group + 1] - begins[group]) * (begins[group + 2] - begins[group + 1]);
    return sum / pairs;
  };
  for (int left = layers; left > groups; --left) {
    int best = 0;
    double most = likeness(0);
    for (int group = 1; group + 1 < left; ++group) {
      double const one = likeness(group);
      if (one > most) {
        most = one;
        best = group;
      }
    }
    for (int i = best + 1; i < left; ++i) begins[i] = begins[i + 1];
  }
  for (int group = 0; group < groups; ++group) {
    for (int l = begins[group]; l < begins[group + 1]; ++l) table[l] = static_cast<std::int16_t>(group);
  }
  return {};
}

}  // namespace windowkv
