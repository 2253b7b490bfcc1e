// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the CUDA backend does not stop before the budget is spent (selectors with is_enough)
#include "windowkv/cuda/memory.cuh"

namespace wkv = windowkv;

using method = decltype(wkv::default_method().with_selector(wkv::top_mass{}));

bool use(wkv::plan<method> const& plan) { return wkv::begin(wkv::cuda_executor<>{}, plan, {}).ok(); }
