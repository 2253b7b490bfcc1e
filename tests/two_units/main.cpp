// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Two units that include everything must link: a function that is not inline would be defined twice.
#include "two_units/unit.hpp"

#include <windowkv/windowkv.hpp>

int main() { return version_in_other_unit() == WINDOWKV_VERSION ? 0 : 1; }
