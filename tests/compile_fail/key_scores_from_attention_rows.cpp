// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: a method with a row scorer is scored from the cache, or from token_scores
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

using plane = wkv::dense_plane<float>;

template <class Method>
void use(wkv::compression<Method>& run, wkv::kv_view<plane, plane> kv) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, wkv::attention_rows{}, kv);
}
template void use(wkv::compression<decltype(wkv::key_norm())>&, wkv::kv_view<plane, plane>);
