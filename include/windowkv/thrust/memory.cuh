// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/memory.cuh
/// The Thrust backend's workspace: what it holds, how many bytes that takes, and the compression over it.

#include <cstddef>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/core/workspace.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"

namespace windowkv {
namespace detail {

/// Sums over the windows of one list up to one: how many are kept, their tokens, the mass of all and of the
/// kept ones.
struct kept_sums {
  std::int32_t list;
  std::int32_t windows;
  std::int32_t tokens;
  double mass;
  double kept_mass;
};

/// The parts of the workspace, in the executor's memory.
struct thrust_memory {
  selection_counts* counts = nullptr;    ///< [groups]
  float* partial_max = nullptr;          ///< [pieces][Hq * observers]; after the first pass [Hq * observers]
  float* partial_sum = nullptr;          ///< likewise
  float* row_scores = nullptr;           ///< [Hkv][R]: what a row scorer gives for one layer
  float* scratch = nullptr;              ///< [Hkv][needs.scratch]
  float* token_scores = nullptr;         ///< [score_buffers][score_rows][R], merged by the method's rules
  float* token_mass = nullptr;           ///< [score_buffers][R], the plain mean over heads and scoring layers
  float* window_scores = nullptr;        ///< [lists][Nw] of the group selected last, as are those that follow
  std::uint64_t* rank_keys = nullptr;    ///< [lists][Nw], twice where lists compete
  std::int64_t* running = nullptr;       ///< [lists][Nw], tokens of the windows down the rankings
  kept_sums* sums = nullptr;             ///< [lists][Nw]
  std::int32_t* budgets = nullptr;       ///< [lists], tokens of the review part
  std::int32_t* ends = nullptr;          ///< [lists], rank behind the last that may stay; tokens won, before
  std::int32_t* slots[max_layers] = {};  ///< [max_rows] of each group
  std::int32_t* windows[max_layers] = {};  ///< kept windows of each group
  std::int32_t* offsets[max_layers] = {};  ///< [2][lists + 1]: where each list begins in slots and in windows

  score_buffer buffer_of(plan_data const& p, int group) const {
    std::int64_t const index = p.group[group].score_buffer;
    return {token_scores + index * p.score_rows * p.review, token_mass + index * p.review};
  }
  float const* window_scores_of(plan_data const& /*p*/, int /*group*/) const { return window_scores; }
  std::int32_t const* offsets_of(int group) const { return offsets[group]; }
};

/// Query rows whose softmax is needed at one time: of all query heads.
inline std::int64_t observing_rows(plan_data const& p) {
  return p.needs.block_rows > 0 ? std::int64_t{p.shape.query_heads} * observers_of(p) : 0;
}
/// Into how many pieces the keys are cut to find it. Rows of the whole prompt are many enough themselves.
inline int softmax_pieces(plan_data const& p) {
  return p.needs.observes_prompt != 0 ? 1 : chunk_count(p.prompt.tokens);
}

/// Counts (with a null base) and hands out the parts of the workspace.
inline std::size_t carve(plan_data const& p, void* base, thrust_memory& out) {
  workspace_cursor cursor(base);
  bool const is_scored = p.score_buffers > 0;
  auto const when_scored = [&](std::int64_t count) {
    return static_cast<std::size_t>(is_scored ? count : 0);
  };
  std::size_t const rows = when_scored(observing_rows(p) * softmax_pieces(p));
  std::size_t const review = when_scored(p.review);
  std::size_t const windows = when_scored(std::int64_t{p.windows} * p.lists);
  auto const buffers = static_cast<std::size_t>(p.score_buffers);
  auto const kv_heads = static_cast<std::size_t>(p.shape.kv_heads);
  out.counts = cursor.take<selection_counts>(static_cast<std::size_t>(p.groups));
  out.partial_max = cursor.take<float>(rows);
  out.partial_sum = cursor.take<float>(rows);
  out.row_scores = cursor.take<float>(p.needs.has_row_scores != 0 ? review * kv_heads : 0);
  out.scratch = cursor.take<float>(when_scored(p.needs.scratch) * kv_heads);
  out.token_scores = cursor.take<float>(buffers * static_cast<std::size_t>(p.score_rows) * review);
  out.token_mass = cursor.take<float>(buffers * review);
  out.window_scores = cursor.take<float>(windows);
  out.rank_keys = cursor.take<std::uint64_t>(p.lists_compete != 0 ? 2 * windows : windows);
  out.running = cursor.take<std::int64_t>(windows);
  out.sums = cursor.take<kept_sums>(windows);
  out.budgets = cursor.take<std::int32_t>(when_scored(p.lists));
  out.ends = cursor.take<std::int32_t>(when_scored(p.lists));
  for (int g = 0; g < p.groups; ++g) {
    std::int64_t const kept = p.group[g].max_rows;
    std::int64_t const most_windows = std::int64_t{p.windows} * p.lists;  // of a token at least
    out.slots[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(kept));
    out.windows[g] =
        cursor.take<std::int32_t>(static_cast<std::size_t>(kept < most_windows ? kept : most_windows));
    out.offsets[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(2 * (p.lists + 1)));
  }
  return cursor.used();
}

}  // namespace detail

/// A compression on the Thrust backend.
template <class Method>
using thrust_compression = deferred_compression<Method, detail::thrust_memory>;

/// Bytes that a compression on the Thrust backend needs as its workspace.
template <class Method>
std::size_t thrust_workspace_bytes(plan<Method> const& p) {
  detail::thrust_memory unused;
  return detail::carve(p, nullptr, unused);
}

/// Starts the compression of one prompt. Queues nothing.
///
/// @param memory  `thrust_workspace_bytes(p)` bytes in the executor's memory, aligned to
///                `workspace_alignment`; contents do not matter
template <class Policy, class Method>
result<thrust_compression<Method>> begin(thrust_executor<Policy> const& /*on*/, plan<Method> const& p,
                                         workspace const& memory) {
  WINDOWKV_TRY(detail::validate_workspace(memory, thrust_workspace_bytes(p)));
  if constexpr (thrust_executor<Policy>::space == memory_space::device) {
    WINDOWKV_TRY(detail::with_scoring(p.method, p.prompt.task, [](auto const& scoring) {
      return detail::validate_scoring_on_device(scoring);
    }));
    WINDOWKV_TRY(detail::validate_on_device(p.method.selector));
    WINDOWKV_TRY(detail::validate_on_device(p.method.head_sharing.budget));
  }
  detail::thrust_memory parts;
  detail::carve(p, memory.data, parts);
  return thrust_compression<Method>(p, parts);
}
template <class Policy, class Method>
result<thrust_compression<Method>> begin(thrust_executor<Policy> const& on, plan<Method> const&& p,
                                         workspace const& memory) = delete;  // would dangle

}  // namespace windowkv
