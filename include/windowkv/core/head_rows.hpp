// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/head_rows.hpp
/// One KV head's cache as a row scorer sees it (policy/row_scorers.hpp).

#include "windowkv/config.hpp"
#include "windowkv/core/view.hpp"

namespace windowkv::detail {

template <class KeyPlane, class ValuePlane, class QueryPlane>
struct head_rows {
  KeyPlane keys;
  ValuePlane values;
  QueryPlane queries;
  int tokens = 0;
  int dims = 0;
  int value_dims = 0;
  int query_heads = 0;  ///< that share the KV head
  int query_rows = 0;   ///< queries that are given: those of the last tokens
  int head = 0;         ///< which KV head
  int layer = 0;

  WINDOWKV_HD float key(int token, int d) const { return keys.load(token, head, d); }
  WINDOWKV_HD float value(int token, int d) const { return values.load(token, head, d); }
  WINDOWKV_HD float query(int row, int query_head, int d) const {
    return queries.load(queries.slots - query_rows + row, head * query_heads + query_head, d);
  }
};

}  // namespace windowkv::detail
