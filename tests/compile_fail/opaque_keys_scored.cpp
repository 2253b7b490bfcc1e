// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: scoring reads the keys, and this view's elements can only be moved
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

using rows = wkv::dense_plane<wkv::opaque<34>>;

template <class Method>
void use(wkv::compression<Method>& run, wkv::dense_plane<float> queries, rows keys) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::suffix_queries{queries}, keys);
}
template void use(wkv::compression<decltype(wkv::default_method())>&, wkv::dense_plane<float>, rows);
