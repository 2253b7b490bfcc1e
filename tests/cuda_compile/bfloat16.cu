// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "instantiations.hpp"

wkv::status use(arguments const& with) {
  return for_each_method([&](auto const& method) { return score_and_move<wkv::bfloat16>(method, with); });
}
