// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the row scorer reads keys, and this view's elements can only be moved
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

template <class Method>
void use(wkv::compression<Method>& run, wkv::dense_plane<wkv::opaque<34>> keys) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::no_queries{}, wkv::kv_view{keys});
}
template void use(wkv::compression<decltype(wkv::key_diff())>&, wkv::dense_plane<wkv::opaque<34>>);
