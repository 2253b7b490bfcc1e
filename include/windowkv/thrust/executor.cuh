// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file thrust/executor.cuh
/// Where the Thrust backend runs: any execution policy of Thrust. Include the header of the policy's system
/// (thrust/system/omp/execution_policy.h and the like) beside this backend.

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cpp/execution_policy.h>

#include <cstdint>
#include <type_traits>

#include "windowkv/core/view.hpp"
#include "windowkv/policy/fold.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// The Thrust executor: `thrust_executor{thrust::omp::par}`, or thrust::cpp::par, thrust::tbb::par,
/// thrust::host, thrust::device, thrust::cuda::par_nosync.on(stream).
///
/// Only algorithms that return nothing to the host are used, so that with `par_nosync` the work is merely
/// queued. The library allocates nothing; Thrust's sort and scan take temporary memory through the policy:
/// with `thrust::cuda::par_nosync(allocator).on(stream)` from your allocator, otherwise by cudaMalloc and
/// cudaFree, which may synchronise. What Thrust throws when CUDA refuses a call passes through.
template <class Policy>
struct thrust_executor {
  /// Memory that the policy's functions read and write.
  static constexpr memory_space space = std::is_base_of_v<thrust::cpp::execution_policy<Policy>, Policy>
                                            ? memory_space::host
                                            : memory_space::device;
  Policy policy;
};
template <class Policy>
thrust_executor(Policy) -> thrust_executor<Policy>;

namespace detail {

/// f(0), ..., f(n - 1), in any order.
template <class Policy, class F>
void for_each_index(thrust_executor<Policy> const& on, std::int64_t n, F const& f) {
  thrust::for_each_n(on.policy, thrust::counting_iterator<std::int64_t>(0), n, f);
}

/// The method's policies as functions in `Space` may read them.
template <memory_space Space, class Policy>
Policy resident(Policy const& policy) {
  if constexpr (Space == memory_space::device) {
    return on_device(policy);
  } else {
    return policy;
  }
}
template <memory_space Space, class Fold, class Weight>
value_weighted<Fold, Weight> resident(value_weighted<Fold, Weight> const& scorer) {
  return {resident<Space>(static_cast<Fold const&>(scorer)), resident<Space>(scorer.weight_of),
          scorer.epsilon};
}
template <memory_space Space, class Scoring>
Scoring resident_scoring(Scoring scoring) {
  scoring.token_scorer = resident<Space>(scoring.token_scorer);
  scoring.pooling = resident<Space>(scoring.pooling);
  scoring.windows = resident<Space>(scoring.windows);
  scoring.window_scorer = resident<Space>(scoring.window_scorer);
  return scoring;
}
template <class Fold, class Weight>
status validate_on_device(value_weighted<Fold, Weight> const& scorer) {
  WINDOWKV_TRY(validate_on_device(static_cast<Fold const&>(scorer)));
  return validate_on_device(scorer.weight_of);
}
template <class Scoring>
status validate_scoring_on_device(Scoring const& scoring) {
  WINDOWKV_TRY(validate_on_device(scoring.token_scorer));
  WINDOWKV_TRY(validate_on_device(scoring.pooling));
  WINDOWKV_TRY(validate_on_device(scoring.windows));
  return validate_on_device(scoring.window_scorer);
}

}  // namespace detail
}  // namespace windowkv
