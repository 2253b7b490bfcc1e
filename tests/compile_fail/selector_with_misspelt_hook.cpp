// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: Selector must have rule, sinks, protects, in_ranges and validate
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct misspelt {
  wkv::fill rule = wkv::fill::within_budget;
  int sinks = 4;
  bool protect(int, int) const { return false; }
  bool in_ranges(int, int) const { return false; }
  wkv::status validate(int) const { return {}; }
};

auto const method = wkv::default_method().with_selector(misspelt{});
