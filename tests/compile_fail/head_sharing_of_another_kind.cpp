// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: HeadSharing must be all_heads or each_kv_head
#include "windowkv/windowkv.hpp"

namespace wkv = windowkv;

struct some_heads {
  static constexpr bool per_kv_head = true;
  wkv::equal_heads budget{};
};

auto const method = wkv::snapkv().with_head_sharing(some_heads{});
