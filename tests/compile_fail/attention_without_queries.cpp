// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: the method's token scorer reads queries: pass suffix_queries or attention_rows
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

using plane = wkv::dense_plane<float>;

template <class Method>
void use(wkv::compression<Method>& run, wkv::kv_view<plane, plane> kv) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::no_queries{}, kv);
}
template void use(wkv::compression<decltype(wkv::snapkv())>&, wkv::kv_view<plane, plane>);
