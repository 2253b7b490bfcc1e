// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "two_units/unit.hpp"

#include <windowkv/windowkv.hpp>

int version_in_other_unit() { return WINDOWKV_VERSION; }
