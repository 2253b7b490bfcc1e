// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: a method with external_scores is scored from token_scores, not from queries and
#include "windowkv/cuda/score.cuh"

namespace wkv = windowkv;

using device_plane = wkv::dense_plane<float, wkv::memory_space::device>;
using method = decltype(wkv::default_method().with_token_scorer(wkv::external_scores{1}));

wkv::status use(wkv::cuda_compression<method>& run, device_plane queries, device_plane keys) {
  return wkv::score(wkv::cuda_executor<>{}, run, 0, wkv::suffix_queries{queries}, keys);
}
