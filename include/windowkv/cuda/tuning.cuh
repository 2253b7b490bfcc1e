// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/tuning.cuh
/// Numbers that decide how work is cut for a device. They change speed, never a result: sums are cut by the
/// prompt alone.

#include "windowkv/status.hpp"

namespace windowkv {

struct cuda_tuning {
  /// score: tiles of 32 keys per block that are in shared memory or on their way, 2 to 4.
  int key_stages = 3;
  /// score: blocks per multiprocessor that a launch is cut into, if the prompt is long enough.
  int score_blocks = 16;
  /// compact: blocks per multiprocessor that a launch is cut into, if the rows are wide enough.
  int compact_blocks = 4;

  status validate() const {
    WINDOWKV_TRY(detail::require_at_least("cuda_tuning.key_stages", key_stages, 2));
    WINDOWKV_TRY(detail::require_at_most("cuda_tuning.key_stages", key_stages, 4));
    WINDOWKV_TRY(detail::require_at_least("cuda_tuning.score_blocks", score_blocks, 1));
    return detail::require_at_least("cuda_tuning.compact_blocks", compact_blocks, 1);
  }
};

namespace detail {

/// For a compute capability (10 major + minor). Only shared memory per multiprocessor tells them apart so
/// far: 64 KiB on 7.5, 100 KiB on 8.6, 8.9 and 12.0, 164 KiB and more on 8.0, 9.0 and 10.0.
inline cuda_tuning tuning_for(int capability) {
  cuda_tuning tuning;
  bool const is_small =
      capability < 80 || capability == 86 || capability == 87 || capability == 89 || capability >= 120;
  if (is_small) {
    tuning.key_stages = 2;
    tuning.score_blocks = 8;
  }
  return tuning;
}

}  // namespace detail
}  // namespace windowkv
