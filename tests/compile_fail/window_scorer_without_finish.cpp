// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: WindowScorer must have state_type, init, add and finish (see policy/window_scorers.hpp)
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct no_finish {
  using state_type = float;
  float init() const { return 0.f; }
  void add(float& state, float score) const { state += score; }
};

auto const method = wkv::default_method().with_window_scorer(no_finish{});
