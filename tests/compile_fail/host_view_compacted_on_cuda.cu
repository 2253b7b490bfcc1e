// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: this backend works in device memory, and this view is of host memory
#include "windowkv/cuda/compact.cuh"

namespace wkv = windowkv;

using host_plane = wkv::dense_plane<float>;

wkv::status use(wkv::deferred_selection const& chosen, wkv::kv_view<host_plane, host_plane> const& kv) {
  return wkv::compact_copy(wkv::cuda_executor<>{}, chosen, kv, kv);
}
