// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the CUDA backend keeps no lists per KV head (each_kv_head)
#include "windowkv/cuda/memory.cuh"

namespace wkv = windowkv;

using method = decltype(wkv::default_method().with_head_sharing(wkv::each_kv_head{}));

bool use(wkv::plan<method> const& plan) { return wkv::begin(wkv::cuda_executor<>{}, plan, {}).ok(); }
