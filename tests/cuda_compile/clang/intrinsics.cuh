// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Intrinsics that clang 14 does not declare; enough to look at code that calls them.
namespace windowkv::detail {

template <class T>
__device__ T __ldcs(T const* p) {
  return *p;
}
template <class T>
__device__ void __stcs(T* p, T const& value) {
  *p = value;
}

}  // namespace windowkv::detail
