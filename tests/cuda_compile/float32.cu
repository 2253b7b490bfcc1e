// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "instantiations.hpp"

wkv::status use(arguments const& with) {
  WINDOWKV_TRY(for_each_method(
      [&](auto const& method) { return compress<float>(method, with, with.queries<float>()); }));
  WINDOWKV_TRY(compress<float>(wkv::default_method(), with, wkv::attention_rows{}));
  auto const given = wkv::default_method().with_token_scorer(wkv::external_scores{1});
  return compress<float>(given, with, wkv::token_scores{});
}
