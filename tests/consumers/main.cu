// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <cstdio>

#include <windowkv/windowkv.cuh>

namespace wkv = windowkv;

bool finds_thrust();  // thrust.cpp

int main() {
  auto const plan = wkv::make_plan(wkv::default_method(), {32, 32, 8, 128}, {32768});
  if (!plan || wkv::cuda_workspace_bytes(*plan) == 0 || !finds_thrust()) return 1;
  std::printf("windowkv %d.%d.%d\n", WINDOWKV_VERSION_MAJOR, WINDOWKV_VERSION_MINOR, WINDOWKV_VERSION_PATCH);
}
