// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "call_site.hpp"
#include "device_side.hpp"
#include "fiber.hpp"

namespace cuda_emulator {

/// Not the standard library's: instances of its templates may come from units that ThreadSanitizer watches.
class random_numbers {
 public:
  explicit random_numbers(std::uint64_t seed) : state_(seed) {}
  std::size_t below(std::size_t bound) {  // splitmix64
    std::uint64_t x = state_ += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::size_t>((x ^ (x >> 31)) % bound);
  }

 private:
  std::uint64_t state_;
};

/// What all blocks of a launch share.
struct launch_state {
  dim3 grid;
  dim3 block;
  std::size_t dynamic_shared_bytes;
  std::function<void()> const& thread;
  fiber& host;
  random_numbers& random;
};

/// One thread block, from its first thread's start to its last one's end.
class block_run {
 public:
  block_run(launch_state const& launch, uint3 index);
  block_run(block_run const&) = delete;
  block_run& operator=(block_run const&) = delete;
  ~block_run();

  void run();

  /// The running block; throws outside kernels.
  static block_run& current(char const* what);
  static bool is_running();

  // What device_side.hpp declares, for the running thread.
  void* dynamic_shared();
  void* static_shared(void const* declaration, std::size_t bytes, std::size_t alignment);
  bool is_shared(void const* p, std::size_t bytes) const;
  std::string place(call_site where) const;
  void start_copy(pending_copy const& copy);
  void end_copy_group();
  pending_copy next_landing_copy(int pending);
  unsigned meet_block(bool predicate, call_site where);
  unsigned lane() const;
  void meet_warp(unsigned mask, warp_operation operation, void const* in, void* out, call_site where);

  /// Tokens of what happens before a launch's threads start and after they have ended.
  static char before_launch;
  static char after_launch;

 private:
  enum class state { ready, at_barrier, at_warp, finished };

  struct grouped_copy {
    pending_copy copy;
    int group;
  };

  struct device_thread {
    fiber context{&block_run::thread_main};
    uint3 index{};
    std::size_t number = 0;
    block_run::state state = state::ready;
    call_site where{"", 0};
    unsigned mask = 0;  // of the warp's meeting
    warp_operation operation = nullptr;
    void const* in = nullptr;
    void* out = nullptr;
    unsigned votes = 0;  // of the last barrier
    std::vector<grouped_copy> copies;
    std::size_t landed = 0;
    int groups_ended = 0;
  };

  struct shared_object {
    void const* declaration;
    void* memory;
    std::size_t bytes;
    std::size_t alignment;
  };

  /// While it lives, ThreadSanitizer takes no notice of the running thread.
  class unobserved;

  static void thread_main();
  void make_ready(device_thread& thread);
  device_thread& take_ready();
  void resume(device_thread& next, fiber& from, bool for_good);
  void give_way(bool for_good);
  bool warp_has_met(unsigned mask) const;
  void release_warp(unsigned mask);
  template <class TakesPart>
  void order_memory(void* token, TakesPart takes_part);
  void* allocate_shared(void const* declaration, std::size_t bytes, std::size_t alignment);
  std::string describe(device_thread const& thread) const;
  std::string why_stuck() const;

  launch_state const& launch_;
  uint3 index_;
  std::deque<device_thread> threads_;
  std::vector<device_thread*> ready_;  // a stack
  device_thread* running_ = nullptr;
  std::size_t finished_ = 0;
  std::size_t at_barrier_ = 0;
  unsigned votes_ = 0;
  std::vector<shared_object> shared_;  // the first is the dynamic one
  std::unique_ptr<std::uint64_t[]>
      tokens_;  // one per warp, one for the block: fresh memory, so without a past
  std::exception_ptr failure_;
};

}  // namespace cuda_emulator
