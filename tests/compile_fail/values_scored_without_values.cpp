// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the scorer reads values: pass a kv_view that has them
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

template <class Method>
void use(wkv::compression<Method>& run, wkv::dense_plane<float> keys) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::no_queries{}, wkv::kv_view{keys});
}
template void use(wkv::compression<decltype(wkv::lag_kv())>&, wkv::dense_plane<float>);
