// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdio>

#include <windowkv/windowkv.hpp>

int main() {
  std::printf("windowkv %d.%d.%d\n", WINDOWKV_VERSION_MAJOR, WINDOWKV_VERSION_MINOR, WINDOWKV_VERSION_PATCH);
}
