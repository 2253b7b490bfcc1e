// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the host backend works in host memory, and this view is of device memory
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

using host_plane = wkv::dense_plane<float>;
using device_plane = wkv::dense_plane<float, wkv::memory_space::device>;

template <class Method>
void use(wkv::compression<Method>& run, host_plane queries, device_plane keys) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::suffix_queries{queries}, keys);
}
template void use(wkv::compression<decltype(wkv::default_method())>&, host_plane, device_plane);
