// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: WindowGrouping must have count, begin, end, nominal_tokens and validate
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct unchecked {
  int count(int review) const { return review; }
  int begin(int i, int) const { return i; }
  int end(int i, int) const { return i + 1; }
  int nominal_tokens(int, int) const { return 1; }
};

auto const method = wkv::default_method().with_windows(unchecked{});
