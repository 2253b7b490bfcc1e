// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/memory.cuh
/// The CUDA backend's workspace: what it holds, how many bytes that takes, and the compression over it.

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/workspace.hpp"
#include "windowkv/cuda/executor.cuh"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// How many groups are under way at the same time: it sets the size of the workspace.
enum class schedule : std::uint8_t {
  batched,   ///< every layer may score before the first group is selected: few launches
  by_layer,  ///< groups one after the other, as layers are prefilled: the smaller workspace
};

namespace detail {

/// What a scoring layer leaves for its group's selection.
enum class score_form : std::uint8_t {
  token_sums,   ///< [parts][R] token scores; their sum over parts / divisor is the mean over heads
  token_rows,   ///< [score_rows][R] token scores of every head
  window_sums,  ///< [parts][Nw] window scores, then [parts][Nw] token scores summed per window
  row_sums,     ///< [rows][units] powers of 2 summed over 8 tokens, relative to the row's chunk maximum
};

inline constexpr int unit_tokens = 8;  // what one matrix instruction spans, and a row_sums entry
inline constexpr int tile_tokens_cuda = 32;
inline constexpr int span_tokens = 128;  // windows are folded this many tokens at a time
inline constexpr int row_tile = 16;      // rows of one matrix instruction
inline constexpr int max_block_warps = 8;

/// How the suffix rows of one KV head are cut into tiles of 16 and blocks of tiles. A head's rows are padded
/// to whole tiles, so that a tile belongs to one head.
struct row_tiling {
  int tiles_per_head = 0;
  int tiles = 0;  ///< per KV head
  int heads_per_block = 0;
  int blocks = 0;  ///< per KV head
  int rows = 0;    ///< of all KV heads, padded

  int tiles_per_block() const { return heads_per_block * tiles_per_head; }
};

/// Row tiles that one warp holds in registers.
WINDOWKV_HD constexpr int row_tiles_per_warp(int head_dim) { return head_dim <= 128 ? 2 : 1; }

inline row_tiling row_tiling_of(plan_data const& p) {
  row_tiling s;
  int const heads_per_kv = p.shape.query_heads / p.shape.kv_heads;
  int const most = max_block_warps * row_tiles_per_warp(p.shape.head_dim);
  s.tiles_per_head = (p.suffix + row_tile - 1) / row_tile;
  s.tiles = heads_per_kv * s.tiles_per_head;
  s.heads_per_block = most / s.tiles_per_head < heads_per_kv ? most / s.tiles_per_head : heads_per_kv;
  if (s.heads_per_block < 1) s.heads_per_block = 1;  // refused by validate_suffix
  s.blocks = (heads_per_kv + s.heads_per_block - 1) / s.heads_per_block;
  s.rows = p.shape.kv_heads * s.tiles * row_tile;
  return s;
}

inline status validate_suffix(plan_data const& p) {
  int const most = max_block_warps * row_tiles_per_warp(p.shape.head_dim) * row_tile;
  return require(p.suffix <= most, "suffix (rows that one block holds)", p.suffix, "must be at most", most,
                 status_code::unsupported);
}

/// Tokens per chunk: softmax sums are made per chunk and combined in order, so chunks depend on the prompt
/// alone. At most 128 of them.
inline int chunk_tokens_of(int tokens) {
  constexpr int least = 512;
  constexpr int most_chunks = 128;
  return least * ((tokens + least * most_chunks - 1) / (least * most_chunks));
}

/// Rows that the selection can combine `row_sums` for: their offsets are kept in shared memory.
inline constexpr int most_combined_rows = 4096;

/// The form that scoring from queries and keys takes. Window scores need no second pass over the keys when
/// they are linear in the probabilities, and leave the kernel as windows when no other layer has a say. Heads
/// that merge at windows by another rule than the mean are merged by the selection, which needs their rows.
template <class Scoring>
score_form form_of(plan_data const& p, Scoring const& scoring, bool has_log_sum_exp) {
  using token_scorer = decltype(scoring.token_scorer);
  constexpr bool is_plain = std::is_same_v<std::decay_t<decltype(scoring.pooling)>, no_pooling> &&
                            std::is_same_v<std::decay_t<decltype(scoring.windows)>, fixed_windows>;
  constexpr bool is_mean = std::is_same_v<std::decay_t<decltype(scoring.window_scorer)>, window_mean>;
  score_form const by_token =
      scoring.heads == head_merge::at_tokens ? score_form::token_sums : score_form::token_rows;
  if (scoring.reduction != head_reduction::mean) return by_token;
  if constexpr (is_plain && is_attention_scorer_v<std::decay_t<token_scorer>>) {
    for (int g = 0; g < p.groups; ++g) {
      if (p.group[g].keeps_all == 0 && p.group[g].scoring_layers > 1) return by_token;
    }
    int const width = scoring.windows.width;
    if constexpr (is_mean && is_weighted_sum_v<std::decay_t<token_scorer>>) {
      if (!has_log_sum_exp && width % unit_tokens == 0 && row_tiling_of(p).rows <= most_combined_rows) {
        return score_form::row_sums;
      }
    }
    if (scoring.heads == head_merge::at_windows && span_tokens % width == 0) return score_form::window_sums;
  }
  return by_token;
}

/// How a layer has been scored.
struct score_record {
  score_form form = score_form::token_sums;
  int parts = 1;
  float divisor = 1.f;
};

/// The parts of the workspace (device memory), and what the host remembers of them.
struct cuda_memory {
  selection_counts* counts = nullptr;  ///< [groups]
  unsigned* tickets = nullptr;         ///< [groups]
  float* scores = nullptr;             ///< [score slots][slot_floats]
  float* row_max = nullptr;            ///< [score slots][chunks][rows]
  float* row_sum = nullptr;            ///< likewise
  float* window_scores = nullptr;      ///< [group slots][Nw]
  float* window_mass = nullptr;        ///< likewise
  std::uint32_t* window_ranks = nullptr;
  std::int32_t* slots[max_layers] = {};
  std::int32_t* windows[max_layers] = {};
  std::int64_t slot_floats = 0;
  std::int64_t row_floats = 0;
  windowkv::schedule schedule = windowkv::schedule::batched;
  int const* device_tokens = nullptr;
  std::int16_t score_slot[max_layers] = {};  ///< of each scoring layer
  score_record record[max_layers] = {};      ///< of each layer that has scored

  std::int64_t group_slot(plan_data const& p, int group) const {
    return schedule == windowkv::schedule::batched ? group : p.group[group].score_buffer;
  }
  float const* window_scores_of(plan_data const& p, int group) const {
    return window_scores + group_slot(p, group) * p.windows;
  }
  std::int32_t const* offsets_of(int /*group*/) const { return nullptr; }  // one list
};

inline std::int64_t larger_of(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

/// Floats that one scoring layer leaves, in whatever form.
template <class Scoring>
std::int64_t slot_floats_of(plan_data const& p, Scoring const& scoring) {
  std::int64_t most = std::int64_t{p.score_rows} * p.review;  // finished token scores
  if constexpr (is_attention_scorer_v<std::decay_t<decltype(scoring.token_scorer)>>) {
    row_tiling const rows = row_tiling_of(p);
    std::int64_t const parts = std::int64_t{p.shape.kv_heads} * rows.blocks;
    for (bool has_log_sum_exp : {false, true}) {
      switch (form_of(p, scoring, has_log_sum_exp)) {
        case score_form::token_sums:
          most = larger_of(most, parts * p.review);
          break;
        case score_form::token_rows:
          most = larger_of(most, std::int64_t{p.shape.query_heads} * p.review);
          break;
        case score_form::window_sums:
          most = larger_of(most, 2 * parts * p.windows);
          break;
        case score_form::row_sums:
          most = larger_of(most, std::int64_t{rows.rows} * ((p.review + unit_tokens - 1) / unit_tokens));
          break;
      }
    }
  }
  return most;
}

/// Assigns score slots to scoring layers and returns how many there are: one each, or, layer by layer, as
/// many per score buffer as the largest of its groups has.
inline int assign_score_slots(plan_data const& p, schedule when, std::int16_t (&slot)[max_layers]) {
  int places[max_layers] = {};  // of each score buffer
  int first_place[max_layers + 1] = {};
  for (int g = 0; g < p.groups; ++g) {
    group_plan const& group = p.group[g];
    if (group.keeps_all != 0) continue;
    int& most = places[group.score_buffer];
    if (when == schedule::batched) {
      most += group.scoring_layers;
    } else if (group.scoring_layers > most) {
      most = group.scoring_layers;
    }
  }
  for (int b = 0; b < p.score_buffers; ++b) first_place[b + 1] = first_place[b] + places[b];
  int used[max_layers] = {};  // by buffer if batched, else by group
  for (int l = 0; l < p.shape.layers; ++l) {
    int const g = p.layer[l].group;
    if (g < 0 || p.layer[l].scores == 0 || p.group[g].keeps_all != 0) continue;
    int const buffer = p.group[g].score_buffer;
    int& taken = used[when == schedule::batched ? buffer : g];
    slot[l] = static_cast<std::int16_t>(first_place[buffer] + taken++);
  }
  return first_place[p.score_buffers];
}

/// Counts (with a null base) and hands out the parts of the workspace.
template <class Method>
std::size_t carve(plan<Method> const& p, schedule when, void* base, cuda_memory& out) {
  workspace_cursor cursor(base);
  out.schedule = when;
  std::int64_t const score_slots = assign_score_slots(p, when, out.score_slot);
  with_scoring(p.method, p.prompt.task, [&](auto const& scoring) {
    constexpr bool reads_keys = is_attention_scorer_v<std::decay_t<decltype(scoring.token_scorer)>>;
    int const chunk = chunk_tokens_of(p.prompt.tokens);
    out.slot_floats = slot_floats_of(p, scoring);
    out.row_floats =
        reads_keys ? std::int64_t{row_tiling_of(p).rows} * ((p.prompt.tokens + chunk - 1) / chunk) : 0;
  });
  std::int64_t const group_slots = score_slots == 0            ? 0
                                   : when == schedule::batched ? p.groups
                                                               : p.score_buffers;
  auto const windows = static_cast<std::size_t>(group_slots * p.windows);
  out.counts = cursor.take<selection_counts>(static_cast<std::size_t>(p.groups));
  out.tickets = cursor.take<unsigned>(static_cast<std::size_t>(p.groups));
  out.scores = cursor.take<float>(static_cast<std::size_t>(score_slots * out.slot_floats));
  out.row_max = cursor.take<float>(static_cast<std::size_t>(score_slots * out.row_floats));
  out.row_sum = cursor.take<float>(static_cast<std::size_t>(score_slots * out.row_floats));
  out.window_scores = cursor.take<float>(windows);
  out.window_mass = cursor.take<float>(windows);
  out.window_ranks = cursor.take<std::uint32_t>(windows);
  for (int g = 0; g < p.groups; ++g) {
    std::int32_t const kept = p.group[g].max_kept;
    out.slots[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(kept));
    out.windows[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(kept < p.windows ? kept : p.windows));
  }
  return cursor.used();
}

/// Refuses methods at compile time that ask for what the kernels do not do.
template <class TokenScorer>
constexpr void require_cuda_scorer() {
  static_assert(!is_row_scorer_v<TokenScorer>,
                "windowkv: the CUDA backend runs no row scorers; the host and Thrust backends do");
  static_assert(
      !observes_prompt_v<TokenScorer>,
      "windowkv: the CUDA backend does not fold the attention of the whole prompt (observes_prompt); "
      "the host and Thrust backends do");
  static_assert(!is_value_weighted_v<TokenScorer>,
                "windowkv: the CUDA backend does not weigh scores by values (value_weighted); the host and "
                "Thrust backends do");
}
template <class Method>
constexpr void require_cuda_method() {
  static_assert(!Method::head_sharing_type::per_kv_head,
                "windowkv: the CUDA backend keeps no lists per KV head (each_kv_head); the host and Thrust "
                "backends do");
  static_assert(!stops_early_v<decltype(Method::selector)>,
                "windowkv: the CUDA backend does not stop before the budget is spent (selectors with "
                "is_enough); the host and Thrust backends do");
  require_cuda_scorer<decltype(decltype(Method::localization)::token_scorer)>();
  require_cuda_scorer<decltype(decltype(Method::aggregation)::token_scorer)>();
}

/// What can only be refused when the scoring is known.
template <class Scoring>
status validate_on_cuda(plan_data const& p, Scoring const& scoring) {
  WINDOWKV_TRY(validate_on_device(scoring.windows));
  if (scoring.heads == head_merge::at_tokens && scoring.reduction != head_reduction::mean) {
    return status::failure(status_code::unsupported, "scoring.reduction (of heads that merge at tokens)",
                           "must be mean on the CUDA backend; the host and Thrust backends know the others");
  }
  if constexpr (is_attention_scorer_v<std::decay_t<decltype(scoring.token_scorer)>>) {
    return validate_suffix(p);
  } else {
    return {};
  }
}

}  // namespace detail

/// A compression on the CUDA backend.
template <class Method>
using cuda_compression = deferred_compression<Method, detail::cuda_memory>;

/// Bytes of device memory that a compression needs as its workspace.
template <class Method>
std::size_t cuda_workspace_bytes(plan<Method> const& p, schedule when = schedule::batched) {
  detail::require_cuda_method<Method>();
  detail::cuda_memory unused;
  return detail::carve(p, when, nullptr, unused);
}

/// Starts the compression of one prompt. Queues nothing. Methods with a list per KV head, with row scorers,
/// with folds over the whole prompt, with scores weighted by values or with selectors that stop early do not
/// compile: the host and the Thrust backend run them.
///
/// @param memory         device memory, `cuda_workspace_bytes(p, when)` bytes, aligned to
///                       `workspace_alignment`; contents do not matter
/// @param when           whether layers score all at once or group by group
/// @param device_tokens  null, or the prompt's length in device memory, read when the work runs: at most
///                       `p.prompt.tokens` (clamped). So a captured graph serves every length: what is kept
///                       are the plan's budgets, or the whole prompt where it fits them. Needs a selector
///                       with `fill::within_budget`.
template <class HeadDims, class Method>
result<cuda_compression<Method>> begin(cuda_executor<HeadDims> const& /*on*/, plan<Method> const& p,
                                       workspace const& memory, schedule when = schedule::batched,
                                       int const* device_tokens = nullptr) {
  detail::require_cuda_method<Method>();
  WINDOWKV_TRY(detail::validate_workspace(memory, cuda_workspace_bytes(p, when)));
  WINDOWKV_TRY(detail::require_aligned("device_tokens", device_tokens, alignof(int)));
  WINDOWKV_TRY(detail::with_scoring(
      p.method, p.prompt.task, [&](auto const& scoring) { return detail::validate_on_cuda(p, scoring); }));
  WINDOWKV_TRY(detail::validate_on_device(p.method.selector));
  if (device_tokens != nullptr && p.method.selector.rule == fill::drop_whole_windows) {
    return status::failure(
        status_code::unsupported, "device_tokens",
        "needs a selector with fill::within_budget: how many tokens drop_whole_windows keeps "
        "depends on the prompt's length");
  }
  detail::cuda_memory parts;
  detail::carve(p, when, memory.data, parts);
  parts.device_tokens = device_tokens;
  return cuda_compression<Method>(p, parts);
}
template <class HeadDims, class Method>
result<cuda_compression<Method>> begin(cuda_executor<HeadDims> const& on, plan<Method> const&& p,
                                       workspace const& memory, schedule when = schedule::batched,
                                       int const* device_tokens = nullptr) = delete;  // would dangle

}  // namespace windowkv
