// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The build reads the version from these three lines; it is written nowhere else.
#define WINDOWKV_VERSION_MAJOR 0
#define WINDOWKV_VERSION_MINOR 1
#define WINDOWKV_VERSION_PATCH 0

// One integer for comparisons: 10203 is 1.2.3.
#define WINDOWKV_VERSION \
  (WINDOWKV_VERSION_MAJOR * 10000 + WINDOWKV_VERSION_MINOR * 100 + WINDOWKV_VERSION_PATCH)
