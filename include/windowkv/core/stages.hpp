// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/stages.hpp
/// What every backend checks and records around its stages, whatever memory it works in.

#include <cstdint>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"

namespace windowkv::detail {

/// The views that a backend is handed must be of its memory.
template <memory_space Backend, class... Planes>
constexpr void require_space() {
  static_assert(Backend == memory_space::device || ((Planes::space == memory_space::host) && ...),
                "windowkv: the host backend works in host memory, and this view is of device memory");
  static_assert(Backend == memory_space::host || ((Planes::space == memory_space::device) && ...),
                "windowkv: this backend works in device memory, and this view is of host memory");
}

inline status validate_layer_index(plan_data const& p, int layer) {
  WINDOWKV_TRY(require_at_least("layer", layer, 0));
  return require_at_most("layer", layer, std::int64_t{p.shape.layers} - 1);
}

inline status validate_group_index(plan_data const& p, int group) {
  WINDOWKV_TRY(require_at_least("group", group, 0));
  return require_at_most("group", group, std::int64_t{p.groups} - 1);
}

/// What remains to be done for `layer`: false if it does not score, an error if it may not score now.
template <class Run>
result<bool> must_score(Run const& run, int layer) {
  using access = compression_access;
  plan_data const& p = run.plan();
  WINDOWKV_TRY(validate_layer_index(p, layer));
  int const g = p.layer[layer].group;
  if (g < 0 || p.layer[layer].scores == 0 || p.group[g].keeps_all != 0) return false;
  if (access::layer(run, layer).has_scored) {
    return status::failure(status_code::wrong_order, "score", "the layer has scored already").at_layer(layer);
  }
  int const owner = access::buffer_owner(run, p.group[g].score_buffer);
  if (owner >= 0 && owner != g && !access::group(run, owner).is_selected) {
    return status::failure(status_code::wrong_order, "score: the score buffer still holds group", owner,
                           "which must be selected before group", g)
        .at_layer(layer);
  }
  return true;
}

/// Records that the layer has scored, and returns how many layers of its group had scored before it.
template <class Run>
int record_scoring(Run& run, int layer) {
  using access = compression_access;
  plan_data const& p = run.plan();
  int const g = p.layer[layer].group;
  access::buffer_owner(run, p.group[g].score_buffer) = g;
  access::layer(run, layer).has_scored = true;
  return access::group(run, g).scored_layers++;
}

/// Refuses to select a group before all its scoring layers have scored.
template <class Run>
status must_have_scored(Run const& run, int group) {
  group_plan const& planned = run.plan().group[group];
  if (planned.keeps_all != 0) return {};
  return require(compression_access::group(run, group).scored_layers == planned.scoring_layers,
                 "select: layers of the group that scored",
                 compression_access::group(run, group).scored_layers, "must equal", planned.scoring_layers,
                 status_code::wrong_order)
      .at_layer(planned.last_scoring_layer);
}

template <memory_space Backend, class QueryPlane, class KeyPlane>
status validate_queries_and_keys(plan_data const& p, suffix_queries<QueryPlane> const& source,
                                 KeyPlane const& keys) {
  require_space<Backend, QueryPlane, KeyPlane>();
  QueryPlane const& q = source.queries;
  WINDOWKV_TRY(require(q.slots >= p.suffix, "queries.slots (suffix rows)", q.slots, "must be at least",
                       p.suffix, status_code::insufficient_queries));
  WINDOWKV_TRY(validate_plane(q, "queries.data", "queries.slots", "queries.heads", "queries.head_dim"));
  WINDOWKV_TRY(require_aligned("queries.log_sum_exp", source.log_sum_exp, alignof(float)));
  WINDOWKV_TRY(require_equal("queries.heads", q.heads, p.shape.query_heads));
  WINDOWKV_TRY(require_equal("queries.head_dim", q.head_dim, p.shape.head_dim));
  WINDOWKV_TRY(validate_plane(keys, "keys.data", "keys.slots", "keys.heads", "keys.head_dim"));
  WINDOWKV_TRY(require_equal("keys.heads", keys.heads, p.shape.kv_heads));
  WINDOWKV_TRY(require_equal("keys.head_dim", keys.head_dim, p.shape.head_dim));
  return require_at_least("keys.slots (tokens of the prompt)", keys.slots, p.prompt.tokens);
}

/// Bound on (extent x stride) of given scores: head, row and token offsets add up, and count floats.
inline constexpr std::int64_t most_score_elements = INT64_MAX / 16;

inline status validate_rows(plan_data const& p, attention_rows const& source) {
  WINDOWKV_TRY(require(source.rows >= p.suffix, "attention_rows.rows", source.rows, "must be at least",
                       p.suffix, status_code::insufficient_queries));
  WINDOWKV_TRY(require_not_null("attention_rows.data", source.data));
  WINDOWKV_TRY(require_equal("attention_rows.heads", source.heads, p.shape.query_heads));
  WINDOWKV_TRY(require_at_least("attention_rows.tokens", source.tokens, p.review));
  WINDOWKV_TRY(require_aligned("attention_rows.data", source.data, alignof(float)));
  WINDOWKV_TRY(require_at_least("attention_rows.row_stride", source.row_stride, 0));
  WINDOWKV_TRY(
      require_at_most("attention_rows.row_stride", source.row_stride, most_score_elements / source.rows));
  WINDOWKV_TRY(require_at_least("attention_rows.head_stride", source.head_stride, 0));
  return require_at_most("attention_rows.head_stride", source.head_stride,
                         most_score_elements / source.heads);
}

inline status validate_token_scores(plan_data const& p, head_merge heads, token_scores const& source) {
  WINDOWKV_TRY(require_not_null("token_scores.data", source.data));
  WINDOWKV_TRY(require_at_least("token_scores.tokens", source.tokens, p.review));
  WINDOWKV_TRY(require_at_least("token_scores.heads", source.heads, 1));
  if (heads == head_merge::at_windows)
    WINDOWKV_TRY(require_equal("token_scores.heads", source.heads, p.score_rows));
  WINDOWKV_TRY(require_aligned("token_scores.data", source.data, alignof(float)));
  WINDOWKV_TRY(require_at_least("token_scores.head_stride", source.head_stride, 0));
  return require_at_most("token_scores.head_stride", source.head_stride, most_score_elements / source.heads);
}

/// For methods that are scored by attention: refuses external_scores at compile time.
template <class TokenScorer>
constexpr void require_attention_scorer() {
  static_assert(is_attention_scorer_v<TokenScorer>,
                "windowkv: a method with external_scores is scored from token_scores, not from queries and "
                "keys or attention rows");
}

template <memory_space Backend, class KeyPlane, class ValuePlane>
status validate_kv(kv_view<KeyPlane, ValuePlane> const& kv) {
  require_space<Backend, KeyPlane, ValuePlane>();
  WINDOWKV_TRY(validate_plane(kv.keys, "keys.data", "keys.slots", "keys.heads", "keys.head_dim"));
  WINDOWKV_TRY(validate_plane(kv.values, "values.data", "values.slots", "values.heads", "values.head_dim"));
  WINDOWKV_TRY(require_equal("values.heads", kv.values.heads, kv.keys.heads));
  WINDOWKV_TRY(require_aligned("kv_view.positions", kv.positions, alignof(std::int32_t)));
  if (kv.rotation == key_rotation::at_attention && kv.positions == nullptr) {
    return status::failure(
        status_code::unsupported, "kv_view.positions",
        "must be given for keys that are rotated at attention time: moving a slot would move its "
        "position");
  }
  return {};
}

/// One layer's cache, before compaction.
template <memory_space Backend, class KeyPlane, class ValuePlane>
status validate_layer(plan_data const& p, int layer, kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(validate_kv<Backend>(kv).at_layer(layer));
  WINDOWKV_TRY(require_equal("keys.heads", kv.keys.heads, p.shape.kv_heads).at_layer(layer));
  WINDOWKV_TRY(
      require_at_least("keys.slots (tokens of the prompt)", kv.keys.slots, p.prompt.tokens).at_layer(layer));
  return require_at_least("values.slots (tokens of the prompt)", kv.values.slots, p.prompt.tokens)
      .at_layer(layer);
}

/// Where rows are copied to: the same elements, heads and dims, and room for `count` rows.
template <class FromKeys, class FromValues, class ToKeys, class ToValues>
status validate_copy(kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to,
                     int count) {
  static_assert(
      std::is_same_v<std::remove_const_t<typename FromKeys::element_type>, typename ToKeys::element_type> &&
          std::is_same_v<std::remove_const_t<typename FromValues::element_type>,
                         typename ToValues::element_type>,
      "windowkv: compact_copy moves rows as they are; source and destination need the same element type");
  WINDOWKV_TRY(require_equal("destination keys.heads", to.keys.heads, from.keys.heads));
  WINDOWKV_TRY(require_equal("destination keys.head_dim", to.keys.head_dim, from.keys.head_dim));
  WINDOWKV_TRY(require_equal("destination values.head_dim", to.values.head_dim, from.values.head_dim));
  WINDOWKV_TRY(require_at_least("destination keys.slots", to.keys.slots, count));
  return require_at_least("destination values.slots", to.values.slots, count);
}

/// A selection that is not this layer's, or a layer that was compacted before, is refused.
template <class Run, class Selection>
status must_compact(Run const& run, int layer, Selection const& chosen) {
  plan_data const& p = run.plan();
  WINDOWKV_TRY(require_equal("selection.group", chosen.group, p.layer[layer].group).at_layer(layer));
  WINDOWKV_TRY(require_equal("selection.tokens", chosen.tokens, p.prompt.tokens).at_layer(layer));
  if (compression_access::layer(run, layer).is_compacted) {
    return status::failure(status_code::wrong_order, "compact", "the layer has been compacted already")
        .at_layer(layer);
  }
  return {};
}

}  // namespace windowkv::detail
