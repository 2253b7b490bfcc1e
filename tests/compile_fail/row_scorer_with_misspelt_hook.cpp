// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: TokenScorer must fold attention probabilities (state_type, init, add, finish), score
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct misspelt {
  template <class Rows>
  float scores(int, Rows const&, float const*) const {
    return 0.f;
  }
};

auto const method = wkv::key_norm().with_token_scorer(misspelt{});
