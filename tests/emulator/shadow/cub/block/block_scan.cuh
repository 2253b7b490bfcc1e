// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Stands for cub::BlockScan. Like it, ends without a barrier: threads still read each other's part of the
// storage when it returns.

#include <cuda_runtime.h>

#include "block_exchange.hpp"
#include "call_site.hpp"

namespace cub {

template <class T, int Threads>
class BlockScan {
 public:
  struct TempStorage {
    T value[Threads];
  };

  explicit BlockScan(TempStorage& storage) : storage_(storage) {}

  void ExclusiveSum(T input, T& output, T& block_aggregate, cuda_emulator::call_site where = {}) {
    unsigned const self = cuda_emulator::thread_of_block<Threads>();
    storage_.value[self] = input;
    __syncthreads(where);
    if (self == 0) {
      for (int i = 1; i < Threads; ++i) storage_.value[i] = storage_.value[i - 1] + storage_.value[i];
    }
    __syncthreads(where);
    block_aggregate = storage_.value[Threads - 1];
    output = self == 0 ? T{} : storage_.value[self - 1];
  }
  void ExclusiveSum(T input, T& output, cuda_emulator::call_site where = {}) {
    T aggregate;
    ExclusiveSum(input, output, aggregate, where);
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
