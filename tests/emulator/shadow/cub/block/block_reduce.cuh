// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Stands for cub::BlockReduce. Like it, ends without a barrier, and only thread 0 has the result.

#include <cuda_runtime.h>

#include <cstring>

#include "block_exchange.hpp"
#include "call_site.hpp"

namespace cub {

template <class T, int Threads>
class BlockReduce {
 public:
  struct TempStorage {
    T value[Threads];
  };

  explicit BlockReduce(TempStorage& storage) : storage_(storage) {}

  T Sum(T input, cuda_emulator::call_site where = {}) {
    unsigned const self = cuda_emulator::thread_of_block<Threads>();
    storage_.value[self] = input;
    __syncthreads(where);
    T sum;
    if (self != 0) {
      std::memset(&sum, 0xff, sizeof sum);  // not to be used
      return sum;
    }
    sum = input;
    for (int i = 1; i < Threads; ++i) sum = sum + storage_.value[i];
    return sum;
  }

 private:
  TempStorage& storage_;
};

}  // namespace cub
