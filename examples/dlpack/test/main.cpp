// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Tests of the C functions with hand-made tensors: no Python, no framework.

#include <cstdio>

#include "tensors.hpp"
#include "tests.hpp"

int main() {
  c_test::test_structs();
  c_test::test_plan();
  c_test::test_refusals();
  c_test::test_compression();
  std::printf("%d failures\n", c_test::failures);
  return c_test::failures == 0 ? 0 : 1;
}
