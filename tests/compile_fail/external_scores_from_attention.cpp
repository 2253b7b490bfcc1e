// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: is scored from token_scores, not from queries and keys or attention rows
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

void use(wkv::compression<decltype(wkv::default_method().with_token_scorer(wkv::external_scores{1}))>& run,
         wkv::attention_rows rows) {
  (void)wkv::score(wkv::host_executor<>{}, run, 0, rows);
}
