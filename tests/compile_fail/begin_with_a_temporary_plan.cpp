// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: deleted function
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

// The compression would refer to a plan that is gone.
auto run =
    wkv::begin(*wkv::make_plan(wkv::default_method(), wkv::model_shape{1, 1, 1, 1}, {100}), wkv::workspace{});
