// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the CUDA backend runs no row scorers
#include "windowkv/cuda/memory.cuh"

namespace wkv = windowkv;

using method = decltype(wkv::default_method().with_token_scorer(wkv::inverse_key_norm{}));

bool use(wkv::plan<method> const& plan) { return wkv::begin(wkv::cuda_executor<>{}, plan, {}).ok(); }
