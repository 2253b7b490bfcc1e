// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: Budget must have counts_suffix and allocate(request, out) (see policy/budgets.hpp)
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct misspelt {
  bool count_suffix = true;
  wkv::status allocate(wkv::budget_request const&, std::int32_t*) const { return {}; }
};

auto const method = wkv::default_method().with_budget_shape(misspelt{});
