// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the scales must be in the memory space of the plane
#include <cstdint>

#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::dense_plane<std::int8_t, wkv::memory_space::device> numbers, wkv::dense_plane<float> scales) {
  (void)wkv::with_scales(numbers, scales);
}
