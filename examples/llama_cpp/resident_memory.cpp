// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "resident_memory.hpp"

#include <fstream>
#if defined(__linux__)
#include <unistd.h>
#endif

namespace llama_demo {

std::size_t resident_memory() {
#if defined(__linux__)
  std::ifstream file("/proc/self/statm");
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  if (file >> total_pages >> resident_pages)
    return resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
#endif
  return 0;
}

}  // namespace llama_demo
