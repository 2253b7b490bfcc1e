// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: this backend works in device memory, and this view is of host memory
#include "windowkv/cuda/score.cuh"

namespace wkv = windowkv;

using host_plane = wkv::dense_plane<float>;
using device_plane = wkv::dense_plane<float, wkv::memory_space::device>;

template <class Method>
wkv::status use(wkv::cuda_compression<Method>& run, device_plane queries, host_plane keys) {
  return wkv::score(wkv::cuda_executor<>{}, run, 0, wkv::suffix_queries{queries}, keys);
}
template wkv::status use(wkv::cuda_compression<decltype(wkv::default_method())>&, device_plane, host_plane);
