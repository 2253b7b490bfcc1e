// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: compact_copy moves scales along; source and destination must both have them
#include <cstdint>

#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::slot_list kept, wkv::dense_plane<std::int8_t> numbers, wkv::dense_plane<float> scales) {
  (void)wkv::compact_copy(wkv::host_executor<>{}, kept, wkv::kv_view{wkv::with_scales(numbers, scales)},
                          wkv::kv_view{numbers});
}
