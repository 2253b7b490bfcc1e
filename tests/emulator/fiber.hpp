// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <ucontext.h>

#include <cstddef>

namespace cuda_emulator {

/// A course of execution with a stack of its own; fibers take turns on one host thread. The sanitizers are
/// told of every switch. Each fiber is a thread to ThreadSanitizer, and ordered only by acquire and release.
class fiber {
 public:
  /// Stands for the host thread that makes it.
  fiber();
  /// Runs `entry` when it is first switched to. `entry` must not return.
  explicit fiber(void (*entry)());
  fiber(fiber const&) = delete;
  fiber& operator=(fiber const&) = delete;
  ~fiber();

  /// From the running fiber, this one, to another. With `for_good` it never returns.
  void switch_to(fiber& next, bool for_good = false);

  /// What this fiber did before release happens before what another does after its acquire. For any fiber, by
  /// the running one.
  void release(void* token, fiber const& running);
  void acquire(void* token, fiber const& running);

  /// Between the two, ThreadSanitizer does not see what the running fiber, this one, reads, writes and frees.
  void hide();
  void show();

 private:
  static void begin();
  void arrive();

  ucontext_t context_{};
  void (*entry_)() = nullptr;
  void* stack_ = nullptr;  // null for the host thread
  void const* bottom_ = nullptr;
  std::size_t size_ = 0;
  void* fake_stack_ = nullptr;  // AddressSanitizer's
  void* identity_ = nullptr;    // ThreadSanitizer's
  bool hidden_ = false;
};

/// True under ThreadSanitizer.
bool races_are_watched();

}  // namespace cuda_emulator
