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
#include "windowkv/core/workspace.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/status.hpp"
#include "windowkv/thrust/executor.cuh"

namespace windowkv {
namespace detail {

/// Sums over the windows up to one: how many are kept, their tokens, the mass of all and of the kept ones.
struct kept_sums {
  std::int32_t windows;
  std::int32_t tokens;
  double mass;
  double kept_mass;
};

/// The parts of the workspace, in the executor's memory.
struct thrust_memory {
  selection_counts* counts = nullptr;  ///< [groups]
  float* partial_max = nullptr;        ///< [chunks][Hq * S]; after scoring's first pass [Hq * S]
  float* partial_sum = nullptr;        ///< likewise
  float* token_scores = nullptr;       ///< [score_buffers][score_rows][R], merged by the method's rules
  float* token_mass = nullptr;         ///< [score_buffers][R], the plain mean over heads and scoring layers
  float* window_scores = nullptr;      ///< [Nw] of the group selected last, as are the next three
  std::uint64_t* rank_keys = nullptr;  ///< [Nw]
  std::int64_t* running = nullptr;     ///< [Nw], tokens of the windows down the ranking
  kept_sums* sums = nullptr;           ///< [Nw]
  std::int32_t* slots[max_layers] = {};
  std::int32_t* windows[max_layers] = {};

  score_buffer buffer_of(plan_data const& p, int group) const {
    std::int64_t const index = p.group[group].score_buffer;
    return {token_scores + index * p.score_rows * p.review, token_mass + index * p.review};
  }
  float const* window_scores_of(plan_data const& /*p*/, int /*group*/) const { return window_scores; }
};

inline std::int64_t suffix_rows(plan_data const& p) { return std::int64_t{p.shape.query_heads} * p.suffix; }

/// Counts (with a null base) and hands out the parts of the workspace.
inline std::size_t carve(plan_data const& p, bool reads_keys, void* base, thrust_memory& out) {
  workspace_cursor cursor(base);
  bool const is_scored = p.score_buffers > 0;
  auto const buffers = static_cast<std::size_t>(p.score_buffers);
  std::size_t const rows =
      is_scored && reads_keys ? static_cast<std::size_t>(suffix_rows(p) * chunk_count(p.prompt.tokens)) : 0;
  auto const review = static_cast<std::size_t>(p.review);
  std::size_t const windows = is_scored ? static_cast<std::size_t>(p.windows) : 0;
  out.counts = cursor.take<selection_counts>(static_cast<std::size_t>(p.groups));
  out.partial_max = cursor.take<float>(rows);
  out.partial_sum = cursor.take<float>(rows);
  out.token_scores = cursor.take<float>(buffers * static_cast<std::size_t>(p.score_rows) * review);
  out.token_mass = cursor.take<float>(buffers * review);
  out.window_scores = cursor.take<float>(windows);
  out.rank_keys = cursor.take<std::uint64_t>(windows);
  out.running = cursor.take<std::int64_t>(windows);
  out.sums = cursor.take<kept_sums>(windows);
  for (int g = 0; g < p.groups; ++g) {
    std::int32_t const kept = p.group[g].max_kept;  // a window holds a token, so no more windows than that
    out.slots[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(kept));
    out.windows[g] = cursor.take<std::int32_t>(static_cast<std::size_t>(kept < p.windows ? kept : p.windows));
  }
  return cursor.used();
}
template <class Method>
std::size_t carve(plan<Method> const& p, void* base, thrust_memory& out) {
  return with_scoring(p.method, p.prompt.task, [&](auto const& scoring) {
    return carve(p, is_attention_scorer_v<decltype(scoring.token_scorer)>, base, out);
  });
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
  }
  detail::thrust_memory parts;
  detail::carve(p, memory.data, parts);
  return thrust_compression<Method>(p, parts);
}
template <class Policy, class Method>
result<thrust_compression<Method>> begin(thrust_executor<Policy> const& on, plan<Method> const&& p,
                                         workspace const& memory) = delete;  // would dangle

}  // namespace windowkv
