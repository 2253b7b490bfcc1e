// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/stages.hpp
/// What every backend checks and records around its stages, whatever memory it works in.

#include <cstdint>
#include <type_traits>

#include "windowkv/core/compression.hpp"
#include "windowkv/core/head_rows.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/overlap.hpp"
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

/// Records that the layer has scored, and returns what merges its scores into its group's buffer.
template <class Run>
score_merger merger_of(Run& run, int layer, score_buffer const& into) {
  plan_data const& p = run.plan();
  score_merger merger{};
  with_scoring(run.plan().method, p.prompt.task, [&](auto const& scoring) {
    merger.heads = scoring.heads;
    merger.reduction = scoring.reduction;
    merger.layers = scoring.layers;
  });
  int const earlier = record_scoring(run, layer);
  int const scoring_layers = p.group[p.layer[layer].group].scoring_layers;
  merger.scores = into.scores;
  merger.mass = into.mass;
  merger.review = p.review;
  merger.is_first_layer = earlier == 0;
  merger.is_last_layer = earlier + 1 == scoring_layers;
  merger.scoring_layers = static_cast<float>(scoring_layers);
  return merger;
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

/// Queries per head that a plan's attention scorer reads.
inline int observers_of(plan_data const& p) {
  return p.needs.observes_prompt != 0 ? p.prompt.tokens : p.suffix;
}

template <class QueryPlane>
status validate_queries(plan_data const& p, QueryPlane const& queries, int rows) {
  WINDOWKV_TRY(require(queries.slots >= rows, "queries.slots (suffix rows)", queries.slots,
                       "must be at least", rows, status_code::insufficient_queries));
  WINDOWKV_TRY(validate_plane(queries, query_names));
  WINDOWKV_TRY(require_equal("queries.heads", queries.heads, p.shape.query_heads));
  return require_equal("queries.head_dim", queries.head_dim, p.shape.head_dim);
}

template <class KeyPlane>
status validate_scored_keys(plan_data const& p, KeyPlane const& keys) {
  WINDOWKV_TRY(validate_plane(keys, key_names));
  WINDOWKV_TRY(require_equal("keys.heads", keys.heads, p.shape.kv_heads));
  WINDOWKV_TRY(require_equal("keys.head_dim", keys.head_dim, p.shape.head_dim));
  return require_at_least("keys.slots (tokens of the prompt)", keys.slots, p.prompt.tokens);
}

template <memory_space Backend, class QueryPlane, class KeyPlane>
status validate_queries_and_keys(plan_data const& p, suffix_queries<QueryPlane> const& source,
                                 KeyPlane const& keys) {
  require_space<Backend, QueryPlane, KeyPlane>();
  static_assert(is_readable_v<typename QueryPlane::accessor_type>,
                "windowkv: scoring reads the queries, and this view's elements can only be moved");
  static_assert(
      is_readable_v<typename KeyPlane::accessor_type>,
      "windowkv: scoring reads the keys, and this view's elements can only be moved: pass token_scores or "
      "attention_rows");
  WINDOWKV_TRY(validate_queries(p, source.queries, observers_of(p)));
  WINDOWKV_TRY(require_aligned("queries.log_sum_exp", source.log_sum_exp, alignof(float)));
  return validate_scored_keys(p, keys);
}

/// Bound on (extent x stride) of given scores: head, row and token offsets add up, and count floats.
inline constexpr std::int64_t most_score_elements = INT64_MAX / 16;

inline status validate_rows(plan_data const& p, attention_rows const& source) {
  int const rows = observers_of(p);
  WINDOWKV_TRY(require(source.rows >= rows, "attention_rows.rows", source.rows, "must be at least", rows,
                       status_code::insufficient_queries));
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
  WINDOWKV_TRY(require(source.heads % p.lists == 0, "token_scores.heads", source.heads,
                       "must be a multiple of kv_heads", p.lists));
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

/// Where a scorer needs no cache.
struct no_cache {
  no_plane<memory_space::host> keys;
};
template <class Source>
inline constexpr bool has_query_plane_v = false;
template <class QueryPlane>
inline constexpr bool has_query_plane_v<suffix_queries<QueryPlane>> = true;

/// The rows of a layer's first KV head, as its scorer sees them.
template <class Source, class KeyPlane, class ValuePlane>
auto rows_of(plan_data const& p, int layer, Source const& source, kv_view<KeyPlane, ValuePlane> const& kv) {
  int value_dims = 0;
  if constexpr (!is_absent_v<ValuePlane>) value_dims = kv.values.head_dim;
  int const query_heads = p.shape.query_heads / p.shape.kv_heads;
  int const tokens = p.prompt.tokens;
  if constexpr (has_query_plane_v<Source>) {
    int const given = source.queries.slots < tokens ? source.queries.slots : tokens;
    return head_rows<KeyPlane, ValuePlane, typename Source::query_plane>{
        kv.keys,    kv.values,   source.queries, tokens, p.shape.head_dim,
        value_dims, query_heads, given,          0,      layer};
  } else {
    return head_rows<KeyPlane, ValuePlane, no_plane<KeyPlane::space>>{
        kv.keys, kv.values, {}, tokens, p.shape.head_dim, value_dims, query_heads, 0, 0, layer};
  }
}

/// What a row scorer reads must be there.
template <memory_space Backend, class RowScorer, class Source, class KeyPlane, class ValuePlane>
status validate_row_source(plan_data const& p, RowScorer const& /*scorer*/, Source const& source,
                           kv_view<KeyPlane, ValuePlane> const& kv) {
  require_space<Backend, KeyPlane, ValuePlane>();
  if constexpr (reads_keys<RowScorer>::value) {
    static_assert(is_readable_v<typename KeyPlane::accessor_type>,
                  "windowkv: the row scorer reads keys, and this view's elements can only be moved");
    WINDOWKV_TRY(validate_scored_keys(p, kv.keys));
  }
  if constexpr (reads_values<RowScorer>::value) {
    static_assert(!is_absent_v<ValuePlane>,
                  "windowkv: the scorer reads values: pass a kv_view that has them");
    if constexpr (!is_absent_v<ValuePlane>) {
      static_assert(is_readable_v<typename ValuePlane::accessor_type>,
                    "windowkv: the row scorer reads values, and this view's elements can only be moved");
      WINDOWKV_TRY(validate_plane(kv.values, value_names));
      WINDOWKV_TRY(require_equal("values.heads", kv.values.heads, p.shape.kv_heads));
      WINDOWKV_TRY(require_at_least("values.slots (tokens of the prompt)", kv.values.slots, p.prompt.tokens));
    }
  }
  if constexpr (reads_queries<RowScorer>::value) {
    static_assert(has_query_plane_v<Source>,
                  "windowkv: the row scorer reads queries: pass suffix_queries as its source");
    if constexpr (has_query_plane_v<Source>) {
      require_space<Backend, typename Source::query_plane>();
      WINDOWKV_TRY(validate_queries(p, source.queries, 1));
    }
  }
  static_cast<void>(source);
  return {};
}

/// Everything that a layer's scoring reads, by the kind of its scorer and its source.
template <memory_space Backend, class Scoring, class Source, class Kv>
status validate_source(plan_data const& p, Scoring const& scoring, Source const& source, Kv const& kv) {
  using token_scorer = std::decay_t<decltype(scoring.token_scorer)>;
  constexpr bool has_cache = !std::is_same_v<Kv, no_cache>;
  if constexpr (std::is_same_v<Source, token_scores>) {
    return validate_token_scores(p, scoring.heads, source);
  } else if constexpr (is_row_scorer_v<token_scorer>) {
    static_assert(has_cache && !std::is_same_v<Source, attention_rows>,
                  "windowkv: a method with a row scorer is scored from the cache, or from token_scores");
    if constexpr (has_cache && !std::is_same_v<Source, attention_rows>) {
      return validate_row_source<Backend>(p, scoring.token_scorer, source, kv);
    }
  } else {
    require_attention_scorer<token_scorer>();
    static_assert(!std::is_same_v<Source, no_queries>,
                  "windowkv: the method's token scorer reads queries: pass suffix_queries or attention_rows");
    static_assert(has_cache || !is_value_weighted_v<token_scorer>,
                  "windowkv: the method's token scorer reads values: pass the cache beside attention_rows");
    if constexpr (is_value_weighted_v<token_scorer> && has_cache) {
      WINDOWKV_TRY(validate_row_source<Backend>(p, scoring.token_scorer.weight_of, source, kv));
    }
    if constexpr (std::is_same_v<Source, attention_rows>) {
      return validate_rows(p, source);
    } else if constexpr (has_query_plane_v<Source>) {
      return validate_queries_and_keys<Backend>(p, source, kv.keys);
    }
  }
  return {};
}

template <memory_space Backend, class KeyPlane, class ValuePlane>
status validate_kv(kv_view<KeyPlane, ValuePlane> const& kv) {
  require_space<Backend, KeyPlane, ValuePlane>();
  WINDOWKV_TRY(validate_plane(kv.keys, key_names));
  if constexpr (!is_absent_v<ValuePlane>) {
    WINDOWKV_TRY(validate_plane(kv.values, value_names));
    if constexpr (is_readable_v<typename KeyPlane::accessor_type> &&
                  is_readable_v<typename ValuePlane::accessor_type>) {
      WINDOWKV_TRY(require_equal("values.heads", kv.values.heads, kv.keys.heads));
    }
    WINDOWKV_TRY(require_apart(kv.keys, kv.values, "keys and values"));
  }
  WINDOWKV_TRY(require_aligned("kv_view.positions", kv.positions, alignof(std::int32_t)));
  WINDOWKV_TRY(require_at_least("kv_view.shared_slots", kv.shared_slots, 0));
  if (kv.rotation == key_rotation::at_attention && kv.positions == nullptr) {
    return status::failure(
        status_code::unsupported, "kv_view.positions",
        "must be given for keys that are rotated at attention time: moving a slot would move its "
        "position");
  }
  return {};
}

/// Every slot of both planes that a stage reads must exist.
template <class KeyPlane, class ValuePlane>
status require_slots(kv_view<KeyPlane, ValuePlane> const& kv, int slots) {
  WINDOWKV_TRY(require_at_least("keys.slots (tokens of the prompt)", kv.keys.slots, slots));
  if constexpr (!is_absent_v<ValuePlane>) {
    WINDOWKV_TRY(require_at_least("values.slots (tokens of the prompt)", kv.values.slots, slots));
  }
  return {};
}

template <class KeyPlane, class ValuePlane>
int granularity_of(kv_view<KeyPlane, ValuePlane> const& kv) {
  int const keys = kv.keys.granularity();
  if constexpr (is_absent_v<ValuePlane>) {
    return keys;
  } else {
    int const values = kv.values.granularity();
    return keys % values == 0 ? keys : values % keys == 0 ? values : keys * values;
  }
}

/// A plane of which every head may keep other rows.
template <class Plane>
status validate_separable(Plane const& plane, int lists, plane_names const& names) {
  if constexpr (!is_absent_v<Plane>) {
    WINDOWKV_TRY(require(plane.heads == lists, names.heads, plane.heads,
                         "must equal (every KV head keeps its own tokens)", lists));
    if constexpr (has_side_v<typename Plane::accessor_type>) {
      return validate_separable(plane.accessor.side, lists, scale_names);
    }
  }
  return {};
}

/// A view of which every head may keep other rows.
template <class KeyPlane, class ValuePlane>
status validate_separable(kv_view<KeyPlane, ValuePlane> const& kv, int lists) {
  WINDOWKV_TRY(validate_separable(kv.keys, lists, key_names));
  WINDOWKV_TRY(validate_separable(kv.values, lists, value_names));
  if (kv.positions == nullptr) return {};
  return status::failure(status_code::unsupported, "kv_view.positions",
                         "must be null where every KV head keeps its own tokens: a slot has no one position "
                         "then (selection.list has them)");
}

/// One layer's cache, before compaction.
template <memory_space Backend, class KeyPlane, class ValuePlane>
status validate_layer(plan_data const& p, int layer, kv_view<KeyPlane, ValuePlane> const& kv) {
  WINDOWKV_TRY(validate_kv<Backend>(kv).at_layer(layer));
  if constexpr (is_readable_v<typename KeyPlane::accessor_type>) {
    WINDOWKV_TRY(require_equal("keys.heads", kv.keys.heads, p.shape.kv_heads).at_layer(layer));
  }
  return require_slots(kv, p.prompt.tokens).at_layer(layer);
}

template <class From, class To>
inline constexpr bool has_same_elements_v =
    is_absent_v<From>
        ? is_absent_v<To>
        : std::is_same_v<std::remove_const_t<typename From::element_type>, typename To::element_type>;

/// Rows of `to` must be able to hold rows of `from`, as they are.
template <class From, class To>
status validate_copy_of(From const& from, To const& to, int count, plane_names const& names) {
  if constexpr (!is_absent_v<From>) {
    using from_accessor = typename From::accessor_type;
    using to_accessor = typename To::accessor_type;
    static_assert(has_side_v<from_accessor> == has_side_v<to_accessor>,
                  "windowkv: compact_copy moves scales along; source and destination must both have them");
    WINDOWKV_TRY(require_equal(names.heads, to.heads, from.heads));
    WINDOWKV_TRY(require_equal(names.head_dim, to.head_dim, from.head_dim));
    WINDOWKV_TRY(require_at_least(names.slots, to.slots, count));
    WINDOWKV_TRY(require_equal("destination granularity", to.granularity(), from.granularity()));
    if constexpr (has_side_v<from_accessor>) {
      WINDOWKV_TRY(validate_copy_of(
          from.accessor.side, to.accessor.side, pages_of(count, from.granularity()),
          {"", "destination scales.slots", "destination scales.heads", "destination scales.head_dim"}));
    }
    if constexpr (std::is_same_v<from_accessor, to_accessor> && can_differ_v<from_accessor>) {
      if (!from.accessor.reads_like(to.accessor)) {
        return status::failure(status_code::invalid_argument, names.data,
                               "has another scale than the source, and elements are moved as they are");
      }
    }
    return require_apart(from, to, names.data);
  }
  return {};
}

/// Where rows are copied to: the same elements, heads and dims, room for `count` rows, and other memory.
template <class FromKeys, class FromValues, class ToKeys, class ToValues>
status validate_copy(kv_view<FromKeys, FromValues> const& from, kv_view<ToKeys, ToValues> const& to,
                     int count) {
  static_assert(
      has_same_elements_v<FromKeys, ToKeys> && has_same_elements_v<FromValues, ToValues>,
      "windowkv: compact_copy moves rows as they are; source and destination need the same element type");
  WINDOWKV_TRY(require(count == 0 || to.shared_slots == 0, "destination kv_view.shared_slots",
                       to.shared_slots, "must equal", 0));
  WINDOWKV_TRY(validate_copy_of(from.keys, to.keys, count,
                                {"destination keys.data", "destination keys.slots", "destination keys.heads",
                                 "destination keys.head_dim"}));
  return validate_copy_of(from.values, to.values, count,
                          {"destination values.data", "destination values.slots", "destination values.heads",
                           "destination values.head_dim"});
}

/// Storage of a layer that was compacted, to know it again.
template <class KeyPlane, class ValuePlane>
layer_storage storage_of(kv_view<KeyPlane, ValuePlane> const& kv) {
  return {identity_of(kv.keys), identity_of(kv.values), kv.positions};
}

/// Layers may share storage if they keep the same tokens, that is, within a group.
inline status validate_sharing(plan_data const& p, int layer, layer_storage const& storage, int other,
                               layer_storage const& other_storage) {
  if (!(storage.keys == other_storage.keys)) return {};
  if (!(storage.values == other_storage.values) || storage.positions != other_storage.positions) {
    return status::failure(status_code::invalid_argument,
                           "kv_view: the layer shares its keys, but not its values and positions, with layer",
                           other, "of", p.shape.layers)
        .at_layer(layer);
  }
  return require(p.layer[layer].group == p.layer[other].group, "kv_view: the layer shares storage with layer",
                 other, "whose group differs; its own is", p.layer[layer].group)
      .at_layer(layer);
}

/// The same for all layers of a cache.
template <class KvOf>
status validate_sharing(plan_data const& p, KvOf&& kv_of) {
  layer_storage storage[max_layers];
  for (int l = 0; l < p.shape.layers; ++l) {
    if (p.layer[l].group < 0) continue;
    storage[l] = storage_of(kv_of(l));
    for (int other = 0; other < l; ++other) {
      if (p.layer[other].group >= 0) WINDOWKV_TRY(validate_sharing(p, l, storage[l], other, storage[other]));
    }
  }
  return {};
}

/// Forgets where compacted layers were: what one call is told exists at one time, but between two calls an
/// engine may have used a layer's memory again, for another.
template <class Run>
void forget_storage(Run& run) {
  for (int l = 0; l < run.plan().shape.layers; ++l) compression_access::layer(run, l).storage = {};
}

/// True if the rows have been moved already in this call, as those of another layer.
template <class Run>
result<bool> has_moved(Run const& run, int layer, layer_storage const& storage) {
  plan_data const& p = run.plan();
  for (int other = 0; other < p.shape.layers; ++other) {
    layer_state const& state = compression_access::layer(run, other);
    if (!state.is_compacted) continue;
    WINDOWKV_TRY(validate_sharing(p, layer, storage, other, state.storage));
    if (storage.keys == state.storage.keys) return true;
  }
  return false;
}

/// Refuses windows that could take apart slots which must stay together: in groups of `tokens` slots, every
/// window and the suffix must start at a multiple. For backends that cannot look at a selection.
template <class Method>
status respects_granularity(plan<Method> const& p, int group, int tokens) {
  if (tokens == 1 || p.group[group].keeps_all != 0) return {};
  WINDOWKV_TRY(require(p.group[group].suffix == p.suffix && p.review % tokens == 0,
                       "granularity (tokens that share a scale): the suffix starts at token",
                       p.prompt.tokens - p.group[group].suffix, "must be a multiple of", tokens));
  return with_scoring(p.method, p.prompt.task, [&](auto const& scoring) -> status {
    for (int i = 0; i < p.windows; ++i) {
      int const begin = scoring.windows.begin(i, p.review);
      WINDOWKV_TRY(require(begin % tokens == 0,
                           "granularity (tokens that share a scale): a window starts at token", begin,
                           "must be a multiple of", tokens));
    }
    return {};
  });
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
