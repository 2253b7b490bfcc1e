// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: LayerGrouping must have group_of, scores, scoring and validate
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct silent {
  wkv::scoring_layers scoring = wkv::scoring_layers::all;
  int group_of(int layer, int) const { return layer; }
  wkv::status validate(int) const { return {}; }
};

auto const method = wkv::default_method().with_layer_grouping(silent{});
