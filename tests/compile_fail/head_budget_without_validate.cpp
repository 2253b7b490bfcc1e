// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: HeadBudget must have tokens and validate, or reserve, weight, share, is_exact and
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct nothing_refused {
  int tokens(int, int, int even) const { return even; }
};

auto const method = wkv::snapkv().with_head_sharing(wkv::each_kv_head{nothing_refused{}});
