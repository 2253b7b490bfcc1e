// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "other_tokens.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace llama_demo {

std::vector<std::vector<std::int32_t>> mirrored(std::vector<std::vector<std::int32_t>> const& kept,
                                                int review) {
  std::vector<std::vector<std::int32_t>> lists = kept;
  for (std::vector<std::int32_t>& list : lists) {
    for (std::int32_t& token : list) token = token < review ? review - 1 - token : token;
    std::sort(list.begin(), list.end());
  }
  return lists;
}

std::vector<std::vector<std::int32_t>> swapped(std::vector<std::vector<std::int32_t>> const& kept,
                                               int review) {
  std::vector<std::int32_t> common;
  std::set_intersection(kept.front().begin(), kept.front().end(), kept.back().begin(), kept.back().end(),
                        std::back_inserter(common));
  if (common.size() > kept.front().size() / 2) return mirrored(kept, review);
  return {kept.rbegin(), kept.rend()};
}

}  // namespace llama_demo
