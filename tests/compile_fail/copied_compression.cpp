// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: deleted
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

// Two compressions would share one workspace.
using compression = wkv::compression<decltype(wkv::default_method())>;
compression twice(compression const& run) { return run; }
