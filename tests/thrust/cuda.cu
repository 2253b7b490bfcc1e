// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// All tests again on thrust::cuda::par_nosync. One unit, since Thrust's sort and scan are slow to compile.
#include "any_cache.cpp"
#include "compact.cpp"
#include "compress.cpp"
#include "lists.cpp"
#include "score.cpp"
#include "scorers.cpp"
#include "select.cpp"
