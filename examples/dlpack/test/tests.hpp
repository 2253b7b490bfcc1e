// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

namespace c_test {

void test_compression();
void test_refusals();
void test_plan();
void test_structs();

}  // namespace c_test
