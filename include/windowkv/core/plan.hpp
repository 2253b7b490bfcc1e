// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/plan.hpp
/// The plan: everything that can be known before a single score is. Plain data of fixed size (it can be
/// printed, sent to another rank or written to disk), made once per prompt shape on the host.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/workspace.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// The model, as far as its cache is concerned.
struct model_shape {
  int layers = 0;       ///< L
  int query_heads = 0;  ///< Hq, a multiple of Hkv
  int kv_heads = 0;     ///< Hkv
  int head_dim = 0;     ///< D
};

/// One prompt.
struct prompt {
  int tokens = 0;  ///< N
  windowkv::task task = windowkv::task::localization;
};

/// What one group of layers will keep.
struct group_plan {
  std::int32_t layers = 0;          ///< layers that share the selection
  std::int32_t first_layer = 0;     ///< lowest of them
  std::int32_t last_layer = 0;      ///< highest of them
  std::int32_t scoring_layers = 0;  ///< how many of them score
  std::int32_t first_scoring_layer = 0;
  std::int32_t last_scoring_layer = 0;  ///< once it has scored, the group can select
  std::int32_t budget = 0;              ///< tokens per layer as the budget policy gave them
  std::int32_t suffix = 0;              ///< newest tokens that stay unconditionally
  std::int32_t review_budget = 0;       ///< tokens to choose among the review part
  std::int32_t max_kept = 0;            ///< a list of a selection never holds more slots
  std::int64_t max_rows = 0;            ///< nor all its lists together
  std::int32_t score_buffer = 0;        ///< which score buffer of the workspace it accumulates in
  std::uint8_t keeps_all = 0;           ///< the whole prompt fits: nothing is scored or moved
};

/// One layer's place.
struct layer_plan {
  std::int16_t group = -1;  ///< -1: never evicted
  std::uint8_t scores = 0;
};

/// What the host backend's scoring needs of the workspace.
struct scoring_needs {
  std::int32_t block_rows = 0;  ///< query rows per head whose softmax is in work at one time
  std::int64_t scratch = 0;     ///< floats of a row scorer, for each KV head
  /// Every query observes: a score per (query head, token) grows from block to block.
  std::uint8_t observes_prompt = 0;
  std::uint8_t has_row_scores = 0;  ///< a score per (KV head, token) from cached rows
};

/// The policy-independent part of a plan.
struct plan_data {
  model_shape shape;
  windowkv::prompt prompt;
  std::int32_t suffix = 0;         ///< S as observed: min(configured S, N)
  std::int32_t review = 0;         ///< R = N - S
  std::int32_t windows = 0;        ///< Nw
  std::int32_t groups = 0;         ///< G
  std::int32_t lists = 1;          ///< lists of kept tokens in a selection: 1, or one per KV head
  std::int32_t score_heads = 0;    ///< heads that the token scorer yields scores for
  std::int32_t score_rows = 0;     ///< rows of a score buffer: one per list, or one per scored head
  std::int32_t score_buffers = 0;  ///< most groups that accumulate scores at the same time
  std::uint8_t lists_compete = 0;  ///< for their tokens: the head budget is adaptive
  scoring_needs needs;
  std::uint64_t workspace_bytes = 0;
  group_plan group[max_layers];
  layer_plan layer[max_layers];

  /// True if `layer` is the first of a group to score: the paper's leader.
  bool leads_group(int l) const {
    return layer[l].group >= 0 && group[layer[l].group].first_scoring_layer == l;
  }
  /// True if the layer's group can be selected as soon as this layer has scored.
  bool completes_group(int l) const {
    return layer[l].group >= 0 && group[layer[l].group].last_scoring_layer == l;
  }
  /// Tokens that a layer holds after compression, at most.
  int max_kept(int l) const { return layer[l].group >= 0 ? group[layer[l].group].max_kept : prompt.tokens; }
};
static_assert(std::is_trivially_copyable_v<plan_data>);

/// A plan and the method it was made for.
template <class Method>
struct plan : plan_data {
  using method_type = Method;
  Method method;
};

namespace detail {

/// Calls f with the scoring of the prompt's task.
template <class Method, class F>
auto with_scoring(Method const& method, task kind, F&& f) {
  return kind == task::localization ? f(method.localization) : f(method.aggregation);
}

/// Query rows that see one stretch of the prompt: those of the last `rows` tokens before `tokens`. The
/// suffix, or a block of all queries.
struct query_block {
  model_shape shape;
  int rows;
  int tokens;

  int first() const { return tokens - rows; }  ///< token of the first row
  int heads_per_kv_head() const { return shape.query_heads / shape.kv_heads; }
};

/// Where everything in the workspace lies.
struct workspace_layout {
  float* packed_queries;              ///< [Hq * block rows, padded][D], scaled, for one layer
  float* partial_max;                 ///< [chunks][Hq * block rows, padded]
  float* partial_sum;                 ///< likewise
  float* columns;                     ///< [Hq][R]: scores of one layer that grow block by block
  float* row_scores;                  ///< [Hkv][R]: what a row scorer gives for one layer
  float* scratch;                     ///< [Hkv][needs.scratch]
  float* token_scores;                ///< [score_buffers][score_rows][R]
  float* token_mass;                  ///< [score_buffers][R]: mean token score over heads and scoring layers
  float* window_scores;               ///< [lists][Nw] of the group selected last
  std::uint64_t* rank_keys;           ///< [lists][Nw], twice where lists compete
  std::int32_t* slots[max_layers];    ///< [max_rows] of each group
  std::int32_t* windows[max_layers];  ///< kept windows of each group
  std::int32_t* offsets[max_layers];  ///< [2][lists + 1]: where each list begins in slots and in windows
};

/// Tokens that one work item of the host scorer handles; sets the size of its partial results.
inline constexpr int score_chunk = 512;
/// Rows of packed queries are padded to a multiple of this, the widest register in floats times two.
inline constexpr int row_padding = 32;
/// Queries of a block, where the whole prompt observes.
inline constexpr int prompt_block_rows = 64;

inline std::int64_t rows_per_kv_head(query_block const& b) {
  return std::int64_t{b.heads_per_kv_head()} * b.rows;
}
inline std::int64_t padded_rows_per_kv_head(query_block const& b) {
  return (rows_per_kv_head(b) + row_padding - 1) / row_padding * row_padding;
}
inline int chunk_count(int tokens) { return (tokens + score_chunk - 1) / score_chunk; }

/// Counts (with a null base) and hands out the parts of the workspace.
inline std::size_t carve(plan_data const& p, void* base, workspace_layout& out) {
  workspace_cursor cursor(base);
  bool is_scored = false;
  for (int g = 0; g < p.groups; ++g) is_scored = is_scored || p.group[g].keeps_all == 0;
  auto const when_scored = [&](std::int64_t count) {
    return static_cast<std::size_t>(is_scored ? count : 0);
  };
  scoring_needs const& needs = p.needs;
  std::size_t const rows =
      when_scored(padded_rows_per_kv_head({p.shape, needs.block_rows, p.prompt.tokens}) * p.shape.kv_heads);
  auto const chunks = static_cast<std::size_t>(chunk_count(p.prompt.tokens));
  std::size_t const review = when_scored(p.review);
  std::size_t const windows = when_scored(std::int64_t{p.windows} * p.lists);
  auto const buffers = static_cast<std::size_t>(p.score_buffers);
  auto const kv_heads = static_cast<std::size_t>(p.shape.kv_heads);
  out.packed_queries = cursor.take<float>(rows * static_cast<std::size_t>(p.shape.head_dim));
  out.partial_max = cursor.take<float>(rows * chunks);
  out.partial_sum = cursor.take<float>(rows * chunks);
  out.columns = cursor.take<float>(
      needs.observes_prompt != 0 ? review * static_cast<std::size_t>(p.shape.query_heads) : 0);
  out.row_scores = cursor.take<float>(needs.has_row_scores != 0 ? review * kv_heads : 0);
  out.scratch = cursor.take<float>(when_scored(needs.scratch) * kv_heads);
  out.token_scores = cursor.take<float>(buffers * static_cast<std::size_t>(p.score_rows) * review);
  out.token_mass = cursor.take<float>(buffers * review);
  out.window_scores = cursor.take<float>(windows);
  out.rank_keys = cursor.take<std::uint64_t>(p.lists_compete != 0 ? 2 * windows : windows);
  for (int g = 0; g < p.groups; ++g) {
    group_plan const& group = p.group[g];
    // A window holds a token, so no more windows than that.
    std::int64_t const most_windows = std::int64_t{p.windows} * p.lists;
    out.slots[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(group.max_rows));
    out.windows[g] = cursor.take<std::int32_t>(
        static_cast<std::size_t>(group.max_rows < most_windows ? group.max_rows : most_windows));
    out.offsets[g] = cursor.take<std::int32_t>(2 * (static_cast<std::size_t>(p.lists) + 1));
  }
  return cursor.used();
}

inline status validate_shape(model_shape const& shape, prompt const& p) {
  WINDOWKV_TRY(require_at_least("model_shape.layers", shape.layers, 1));
  WINDOWKV_TRY(require_at_most("model_shape.layers", shape.layers, max_layers));
  WINDOWKV_TRY(require_at_least("model_shape.kv_heads", shape.kv_heads, 1));
  WINDOWKV_TRY(require_at_least("model_shape.query_heads", shape.query_heads, 1));
  WINDOWKV_TRY(require(shape.query_heads % shape.kv_heads == 0, "model_shape.query_heads", shape.query_heads,
                       "must be a multiple of kv_heads", shape.kv_heads));
  WINDOWKV_TRY(require_at_least("model_shape.head_dim", shape.head_dim, 1));
  WINDOWKV_TRY(require_at_most("model_shape.head_dim", shape.head_dim, max_head_dim));
  WINDOWKV_TRY(require_at_most("model_shape.query_heads", shape.query_heads, max_heads));
  WINDOWKV_TRY(require_at_least("prompt.tokens", p.tokens, 1));
  return require_at_most("prompt.tokens", p.tokens, 1 << 28);
}

/// Which of a group's layers that may score is the one that leads, or -1 where all of them vote.
inline int leader_rank(scoring_layers which, layer_merge merge, int candidates) {
  if (which == scoring_layers::middle) return (candidates - 1) / 2;
  return which == scoring_layers::first || merge == layer_merge::first ? 0 : -1;
}

/// Groups of the layers, and which layers score.
template <class LayerGrouping>
status assign_layers(LayerGrouping const& grouping, layer_merge merge, plan_data& p) {
  WINDOWKV_TRY(grouping.validate(p.shape.layers));
  int candidates[max_layers] = {};  // layers of each group that may score
  for (int l = 0; l < p.shape.layers; ++l) {
    int const g = grouping.group_of(l, p.shape.layers);
    WINDOWKV_TRY(require_at_least("layer_grouping.group_of", g, -1).at_layer(l));
    WINDOWKV_TRY(require_at_most("layer_grouping.group_of", g, std::int64_t{p.shape.layers} - 1).at_layer(l));
    p.layer[l] = {static_cast<std::int16_t>(g), 0};
    if (g < 0) continue;
    group_plan& group = p.group[g];
    if (group.layers++ == 0) group.first_layer = l;
    group.last_layer = l;
    if (g >= p.groups) p.groups = g + 1;
    if (grouping.scores(l, p.shape.layers)) ++candidates[g];
  }
  int rank[max_layers] = {};
  for (int l = 0; l < p.shape.layers; ++l) {
    int const g = p.layer[l].group;
    if (g < 0 || !grouping.scores(l, p.shape.layers)) continue;
    int const leader = leader_rank(grouping.scoring, merge, candidates[g]);
    if (leader >= 0 && rank[g]++ != leader) continue;
    group_plan& group = p.group[g];
    if (group.scoring_layers++ == 0) group.first_scoring_layer = l;
    group.last_scoring_layer = l;
    p.layer[l].scores = 1;
  }
  for (int g = 0; g < p.groups; ++g) {
    if (p.group[g].layers == 0) {
      return status::failure(status_code::invalid_argument,
                             "layer_grouping.group_of (groups without a gap): group", g,
                             "must have a layer; groups:", p.groups);
    }
    if (p.group[g].scoring_layers == 0) {
      return status::failure(status_code::invalid_argument, "layer_grouping.scores: scoring layers of group",
                             g, "must be at least", 1);
    }
  }
  return {};
}

/// What the windows mean for every group's plan.
struct window_facts {
  int protected_tokens = 0;         ///< of the windows that hold a token of the selector's ranges
  std::int64_t nominal_excess = 0;  ///< tokens by which nominal widths exceed what the windows hold
};
template <class WindowGrouping, class Selector>
window_facts examine_windows(WindowGrouping const& windows, Selector const& selector, plan_data const& p) {
  window_facts facts;
  for (int i = 0; i < p.windows; ++i) {
    int const begin = windows.begin(i, p.review);
    int const end = windows.end(i, p.review);
    int const excess = windows.nominal_tokens(i, p.review) - (end - begin);
    if (excess > 0) facts.nominal_excess += excess;
    if (selector.in_ranges(begin, end)) facts.protected_tokens += end - begin;
  }
  return facts;
}

/// Turns the budget policy's count for one group into what its layers keep.
template <class Selector, class HeadBudget>
status plan_group(Selector const& selector, HeadBudget const& heads, bool counts_suffix,
                  window_facts const& facts, plan_data& p, int index) {
  group_plan& group = p.group[index];
  int const n = p.prompt.tokens;
  std::int64_t const available = counts_suffix ? n : p.review;
  group.keeps_all = p.review == 0 && !counts_suffix ? 1 : group.budget >= available ? 1 : 0;
  if (group.keeps_all != 0) {
    group.suffix = p.suffix;
    group.review_budget = p.review;
    group.max_kept = n;
    group.max_rows = std::int64_t{n} * p.lists;
    return {};
  }
  if (counts_suffix)
    WINDOWKV_TRY(require_at_least("budget (tokens per layer, suffix included)", group.budget, 1));
  group.suffix = counts_suffix && group.budget < p.suffix ? group.budget : p.suffix;
  if (group.suffix < p.suffix && selector.in_ranges(p.review, n - group.suffix)) {
    return status::failure(status_code::invalid_argument,
                           "budget (tokens per layer, for the protected ranges)", group.budget,
                           "must be at least", p.suffix);
  }
  group.review_budget = counts_suffix ? group.budget - group.suffix : group.budget > 0 ? group.budget : 0;
  WINDOWKV_TRY(require_at_least("budget (tokens per layer, for the protected ranges)", group.review_budget,
                                facts.protected_tokens));
  std::int64_t const excess = selector.rule == fill::drop_whole_windows ? facts.nominal_excess : 0;
  auto const most_of_list = [&](std::int64_t review_tokens) {
    std::int64_t const most = group.suffix + (review_tokens < 0 ? 0 : review_tokens) + excess;
    return most < n ? most : std::int64_t{n};
  };
  if constexpr (is_adaptive_head_budget_v<HeadBudget>) {
    if (!heads.is_exact && facts.protected_tokens > 0) {
      return status::failure(
          status_code::unsupported, "head budget: is_exact",
          "must be true where ranges are protected: lists that are rounded each for itself "
          "may come out below them");
    }
    // What a list wins the others do not have; rounding for itself, each may have one more.
    std::int64_t const even = std::int64_t{group.review_budget} * p.lists + (heads.is_exact ? 0 : p.lists);
    group.max_kept = static_cast<std::int32_t>(most_of_list(even));
    group.max_rows = even + p.lists * (group.suffix + excess);
    std::int64_t const all = std::int64_t{n} * p.lists;
    if (group.max_rows > all) group.max_rows = all;
  } else {
    for (int list = 0; list < p.lists; ++list) {
      int const tokens = heads.tokens(index, list, group.review_budget);
      WINDOWKV_TRY(require_at_least("head budget (tokens of a list, for the protected ranges)", tokens,
                                    facts.protected_tokens));
      std::int64_t const most = most_of_list(tokens);
      if (most > group.max_kept) group.max_kept = static_cast<std::int32_t>(most);
      group.max_rows += most;
    }
  }
  return {};
}

/// What the scorer needs, and how many heads it scores.
template <class TokenScorer>
status plan_scorer(TokenScorer const& scorer, plan_data& p) {
  row_shape const rows{p.prompt.tokens, p.shape.head_dim, p.shape.query_heads / p.shape.kv_heads};
  p.score_heads = p.shape.query_heads;
  if constexpr (std::is_same_v<TokenScorer, external_scores>) {
    WINDOWKV_TRY(require_at_least("external_scores.heads", scorer.heads, 0));
    WINDOWKV_TRY(require_at_most("external_scores.heads", scorer.heads, max_heads));
    if (scorer.heads > 0) p.score_heads = scorer.heads;
  } else if constexpr (is_row_scorer_v<TokenScorer>) {
    WINDOWKV_TRY(validate_fold(scorer));
    p.score_heads = p.shape.kv_heads;
    p.needs.has_row_scores = 1;
    p.needs.scratch = scratch_floats(scorer, rows);
  } else {
    WINDOWKV_TRY(validate_fold(scorer));
    p.needs.observes_prompt = observes_prompt_v<TokenScorer> ? 1 : 0;
    p.needs.block_rows = !observes_prompt_v<TokenScorer>       ? p.suffix
                         : p.prompt.tokens < prompt_block_rows ? p.prompt.tokens
                                                               : prompt_block_rows;
    if constexpr (is_value_weighted_v<TokenScorer>) {
      WINDOWKV_TRY(validate_fold(scorer.weight_of));
      p.needs.has_row_scores = 1;
      p.needs.scratch = scratch_floats(scorer.weight_of, rows);
    }
  }
  return require_at_least("row scorer: scratch_floats", p.needs.scratch, 0);
}

/// Lists of kept tokens, and the rows that are kept of their scores.
template <class HeadSharing>
status plan_lists(HeadSharing const& sharing, head_merge merge, plan_data& p) {
  if constexpr (HeadSharing::per_kv_head) {
    p.lists = p.shape.kv_heads;
    WINDOWKV_TRY(require(p.score_heads % p.lists == 0, "external_scores.heads", p.score_heads,
                         "must be a multiple of kv_heads", p.lists));
    if constexpr (is_adaptive_head_budget_v<typename HeadSharing::head_budget_type>) {
      p.lists_compete = 1;
      WINDOWKV_TRY(sharing.budget.validate());
    } else {
      WINDOWKV_TRY(sharing.budget.validate(p.groups, p.lists));
    }
  }
  static_cast<void>(sharing);
  WINDOWKV_TRY(require_at_most("prompt.tokens times kv_heads (of a list for each)",
                               std::int64_t{p.prompt.tokens} * p.lists, INT32_MAX));
  p.score_rows = merge == head_merge::at_tokens ? p.lists : p.score_heads;
  return {};
}

/// Gives every group a score buffer; groups whose scoring layers do not overlap in time share one.
inline void assign_score_buffers(plan_data& p) {
  for (int g = 0; g < p.groups; ++g) {
    group_plan& group = p.group[g];
    if (group.keeps_all != 0) continue;
    bool is_taken[max_layers] = {};
    for (int other = 0; other < p.groups; ++other) {
      group_plan const& o = p.group[other];
      bool const is_assigned = other < g && o.keeps_all == 0;
      bool const overlaps = o.first_scoring_layer <= group.last_scoring_layer &&
                            group.first_scoring_layer <= o.last_scoring_layer;
      if (is_assigned && overlaps) is_taken[o.score_buffer] = true;
    }
    while (is_taken[group.score_buffer]) ++group.score_buffer;
    if (group.score_buffer >= p.score_buffers) p.score_buffers = group.score_buffer + 1;
  }
}

template <class Scoring, class Method>
status fill_plan(Scoring const& scoring, Method const& method, plan_data& p) {
  using token_scorer = std::decay_t<decltype(scoring.token_scorer)>;
  constexpr bool needs_suffix = is_attention_scorer_v<token_scorer> && !observes_prompt_v<token_scorer>;
  WINDOWKV_TRY(require_at_least("suffix", scoring.suffix, needs_suffix ? 1 : 0));
  WINDOWKV_TRY(require_at_most("suffix", scoring.suffix, 1 << 16));
  WINDOWKV_TRY(require_at_least("pooling.after", scoring.pooling.after, 0));
  WINDOWKV_TRY(require_at_least("pooling.before", scoring.pooling.before, 0));
  WINDOWKV_TRY(validate_fold(scoring.window_scorer));
  p.suffix = scoring.suffix < p.prompt.tokens ? scoring.suffix : p.prompt.tokens;
  p.review = p.prompt.tokens - p.suffix;
  WINDOWKV_TRY(scoring.windows.validate(p.review));
  WINDOWKV_TRY(method.selector.validate(p.prompt.tokens));
  p.windows = scoring.windows.count(p.review);
  WINDOWKV_TRY(plan_scorer(scoring.token_scorer, p));
  WINDOWKV_TRY(assign_layers(method.layer_grouping, scoring.layers, p));
  WINDOWKV_TRY(plan_lists(method.head_sharing, scoring.heads, p));

  bool const counts_suffix = method.budget.counts_suffix;
  WINDOWKV_TRY(require_at_least("budget (tokens per layer)", method.tokens_per_layer, counts_suffix ? 1 : 0));
  window_facts const facts = examine_windows(scoring.windows, method.selector, p);
  budget_request request;
  std::int32_t group_layers[max_layers];
  std::int32_t counts[max_layers] = {};
  for (int g = 0; g < p.groups; ++g) {
    group_layers[g] = p.group[g].layers;
    if (group_layers[g] > request.layers_per_group) request.layers_per_group = group_layers[g];
  }
  request.tokens_per_layer = method.tokens_per_layer;
  request.available = counts_suffix ? p.prompt.tokens : p.review;
  int const sinks = method.selector.sinks < p.prompt.tokens ? method.selector.sinks : p.prompt.tokens;
  request.suffix = p.suffix;
  request.minimum = (counts_suffix ? p.suffix : 0) + facts.protected_tokens + sinks;
  request.groups = p.groups;
  request.group_layers = group_layers;
  if (p.groups > 0) WINDOWKV_TRY(method.budget.allocate(request, counts));
  for (int g = 0; g < p.groups; ++g) {
    p.group[g].budget = counts[g];
    WINDOWKV_TRY(plan_group(method.selector, method.head_sharing.budget, counts_suffix, facts, p, g)
                     .at_layer(p.group[g].first_layer));
  }
  assign_score_buffers(p);
  workspace_layout unused;
  p.workspace_bytes = carve(p, nullptr, unused);
  return {};
}

}  // namespace detail

/// Plans the compression of one prompt: groups, budgets, windows, and the bytes of workspace it needs.
/// Host only; nothing is allocated. Refuses shapes, budgets, tables and policies that cannot be meant, naming
/// the parameter and the numbers.
template <class Method>
result<plan<Method>> make_plan(Method const& method, model_shape const& shape, prompt const& request) {
  WINDOWKV_TRY(detail::validate_shape(shape, request));
  plan<Method> p{};
  p.method = method;
  p.shape = shape;
  p.prompt = request;
  WINDOWKV_TRY(detail::with_scoring(
      method, request.task, [&](auto const& scoring) { return detail::fill_plan(scoring, method, p); }));
  return p;
}

}  // namespace windowkv
