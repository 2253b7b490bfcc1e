// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: compact_copy moves rows as they are; source and destination need the same element type
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::slot_list kept, wkv::dense_plane<float> wide, wkv::dense_plane<wkv::float16> narrow) {
  (void)wkv::compact_copy(wkv::host_executor<>{}, kept, wkv::kv_view{wide, wide},
                          wkv::kv_view{narrow, narrow});
}
