// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

namespace cuda_emulator {

/// Where a function was called, as a default argument of it.
struct call_site {
  char const* file;
  int line;
  constexpr call_site(char const* f = __builtin_FILE(), int l = __builtin_LINE()) : file(f), line(l) {}
};

}  // namespace cuda_emulator
