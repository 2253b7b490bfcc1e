// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the host backend works in host memory, and this view is of device memory
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::slot_list kept, wkv::dense_plane<float> host,
         wkv::dense_plane<float, wkv::memory_space::device> device) {
  (void)wkv::compact_copy(wkv::host_executor<>{}, kept, wkv::kv_view{host, host},
                          wkv::kv_view{device, device});
}
