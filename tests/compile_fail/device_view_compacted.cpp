// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the host backend works in host memory, and this view is of device memory
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::slot_list kept, wkv::dense_plane<float> keys,
         wkv::dense_plane<float, wkv::memory_space::device> values) {
  (void)wkv::compact_in_place(wkv::host_executor<>{}, kept, wkv::kv_view{keys, values});
}
