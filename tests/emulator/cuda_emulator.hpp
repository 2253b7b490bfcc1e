// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda_emulator.hpp
/// Runs CUDA kernels as plain C++ on the CPU: every CUDA thread is a fiber, one block runs after the other,
/// all on the calling thread. What a test sets and asks. The kernels themselves meet the emulator in the
/// headers of shadow/, which stand before CUDA's and the library's own on the include path.
///
/// It reports as cuda_emulator::error: barriers that not all threads of a block reach, or reach at different
/// lines; warp functions without all lanes of their mask; threads that wait for ever; misaligned asynchronous
/// copies; pointers to the wrong kind of memory. Shared memory is a heap block of exactly its size, filled
/// with 0xFF, so AddressSanitizer sees overruns and sums show what was never written. ThreadSanitizer knows
/// every CUDA thread as a thread that only barriers order, within a block and between blocks.
///
/// What it is not: threads of a warp do not run in lock-step (nor do they promise to on a device), blocks
/// cannot wait for each other, and memory is as strong as the host's.

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace cuda_emulator {

/// A kernel did what CUDA forbids. Launching throws it.
class error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Who runs first, among the blocks of a grid and among the threads that could run. In the first two a warp
/// runs as far as it can before the next one starts.
enum class order { ascending, descending, shuffled };

struct options {
  cuda_emulator::order order = cuda_emulator::order::ascending;
  std::uint64_t seed = 1;    ///< of order::shuffled
  bool late_copies = false;  ///< asynchronous copies land when they are waited for, not when they start
  int capability = 90;       ///< of the device that the library sees: 10 major + minor
  int multiprocessors = 4;
};

/// For all launches that follow.
void set_options(options const& chosen);
options const& current_options();

/// Options for the launches of a scope.
class scoped_options {
 public:
  explicit scoped_options(options const& chosen) : former_(current_options()) { set_options(chosen); }
  scoped_options(scoped_options const&) = delete;
  scoped_options& operator=(scoped_options const&) = delete;
  ~scoped_options() { set_options(former_); }

 private:
  options former_;
};

/// Kernels run so far by this process.
std::int64_t launches();

/// One launch is refused, without being run: the next one, or the next but `others`.
void fail_next_launch(int others = 0);

/// Most static and dynamic shared memory of a block, in bytes.
std::size_t most_shared_bytes(int capability);

}  // namespace cuda_emulator
