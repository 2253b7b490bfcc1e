// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: TokenScorer must fold attention probabilities (state_type, init, add, finish), score
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct misspelt {
  using state_type = float;
  float init() const { return 0.f; }
  void addd(float& state, float probability) const { state += probability; }
  float finish(float const& state, int) const { return state; }
};

auto const method = wkv::paper_method().with_token_scorer(misspelt{});
