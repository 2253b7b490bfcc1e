// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/layer_groupings.hpp
/// A layer grouping says which layers share one selection, and which of them score it: `group_of(layer,
/// layers)` is the layer's group (-1: this layer is never evicted, e.g. sliding window or recurrent), and
/// `scores(layer, layers)` whether it takes part in its group's score when every layer may; `scoring` picks.

#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/status.hpp"

namespace windowkv {

/// Which layers of a group score. How their scores merge is part of the task's scoring (`layer_merge`).
enum class scoring_layers : std::uint8_t {
  first,   ///< the group's first layer leads, the others follow (paper)
  all,     ///< every layer of the group votes
  middle,  ///< the group's middle layer leads; of two, the lower
};

/// Consecutive groups of `layers_per_group` layers (paper: 8); the last may be shorter.
/// With an `evictable` table (one byte per layer, 0: never evicted) the groups run over the evictable layers.
struct uniform_groups {
  int layers_per_group = 8;
  scoring_layers scoring = scoring_layers::first;
  std::uint8_t const* evictable = nullptr;  ///< host memory [L] or null for all, read by make_plan only
  std::uint8_t const* scorers = nullptr;    ///< layers that may score, as in `table_groups`

  int group_of(int layer, int /*layers*/) const {
    if (evictable == nullptr) return layer / layers_per_group;
    if (evictable[layer] == 0) return -1;
    int rank = 0;
    for (int i = 0; i < layer; ++i) rank += evictable[i] != 0 ? 1 : 0;
    return rank / layers_per_group;
  }
  bool scores(int layer, int /*layers*/) const { return scorers == nullptr || scorers[layer] != 0; }
  status validate(int /*layers*/) const {
    return detail::require_at_least("uniform_groups.layers_per_group", layers_per_group, 1);
  }
};

/// Every layer selects for itself.
struct no_sharing {
  static constexpr scoring_layers scoring = scoring_layers::first;

  int group_of(int layer, int /*layers*/) const { return layer; }
  bool scores(int /*layer*/, int /*layers*/) const { return true; }
  status validate(int /*layers*/) const { return {}; }
};

/// The caller's own groups: any layers, in any order. Groups are numbered from 0 without a gap.
struct table_groups {
  std::int16_t const* group = nullptr;  ///< group of each layer, -1: never evicted; host memory [layers]
  int layers = 0;
  scoring_layers scoring = scoring_layers::first;
  /// 1 for the layers that may score; host memory [layers], or null for all. With `scoring_layers::first` the
  /// first such layer of the group leads, with `middle` the middle one of them.
  std::uint8_t const* scorers = nullptr;

  int group_of(int layer, int /*layers*/) const { return group[layer]; }
  bool scores(int layer, int /*layers*/) const { return scorers == nullptr || scorers[layer] != 0; }
  status validate(int model_layers) const {
    WINDOWKV_TRY(detail::require_not_null("table_groups.group", group));
    return detail::require_equal("table_groups.layers", layers, model_layers);
  }
};

namespace detail {
template <class T, class = void>
struct is_layer_grouping : std::false_type {};
template <class T>
struct is_layer_grouping<T, std::void_t<decltype(int{std::declval<T const&>().group_of(0, 0)}),
                                        decltype(bool{std::declval<T const&>().scores(0, 0)}),
                                        decltype(scoring_layers{std::declval<T const&>().scoring}),
                                        decltype(status{std::declval<T const&>().validate(0)})>>
    : std::is_trivially_copyable<T> {};
}  // namespace detail

template <class T>
inline constexpr bool is_layer_grouping_v = detail::is_layer_grouping<T>::value;

#if WINDOWKV_HAS_CONCEPTS
template <class T>
concept layer_grouping = is_layer_grouping_v<T>;
#endif

}  // namespace windowkv
