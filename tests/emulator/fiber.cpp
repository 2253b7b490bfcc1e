// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fiber.hpp"

#include <sys/mman.h>

#include <cstdlib>
#include <new>
#include <vector>

// The sanitizers' interfaces are weak: null in programs without that sanitizer.
// NOLINTBEGIN(bugprone-reserved-identifier)
extern "C" {
[[gnu::weak]] void* __tsan_get_current_fiber();
[[gnu::weak]] void* __tsan_create_fiber(unsigned flags);
[[gnu::weak]] void __tsan_destroy_fiber(void* fiber);
[[gnu::weak]] void __tsan_switch_to_fiber(void* fiber, unsigned flags);
[[gnu::weak]] void __tsan_acquire(void* token);
[[gnu::weak]] void __tsan_release(void* token);
[[gnu::weak]] void AnnotateIgnoreReadsBegin(char const* file, int line);
[[gnu::weak]] void AnnotateIgnoreReadsEnd(char const* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesBegin(char const* file, int line);
[[gnu::weak]] void AnnotateIgnoreWritesEnd(char const* file, int line);
[[gnu::weak]] void __asan_unpoison_memory_region(void const volatile* begin, std::size_t size);
[[gnu::weak]] void __sanitizer_start_switch_fiber(void** fake_stack, void const* bottom, std::size_t size);
[[gnu::weak]] void __sanitizer_finish_switch_fiber(void* fake_stack, void const** old_bottom,
                                                   std::size_t* old_size);
}
// NOLINTEND(bugprone-reserved-identifier)

namespace cuda_emulator {
namespace {

constexpr unsigned no_ordering = 1;  // a flag of __tsan_switch_to_fiber
constexpr std::size_t page = 4096;
constexpr std::size_t stack_bytes = 32 * page;
constexpr std::size_t sanitized_stack_bytes = 64 * page;

fiber* previous = nullptr;  // whose turn ended with the switch under way
fiber* next_up = nullptr;   // whose turn begins

std::size_t usual_stack_bytes() {
  return races_are_watched() || __asan_unpoison_memory_region != nullptr ? sanitized_stack_bytes
                                                                         : stack_bytes;
}

/// Stacks without an owner; the lowest page of a stack catches overflows.
class stack_pool {
 public:
  stack_pool() = default;
  stack_pool(stack_pool const&) = delete;
  stack_pool& operator=(stack_pool const&) = delete;
  ~stack_pool() {
    for (void* stack : free_) munmap(stack, usual_stack_bytes());
  }
  void* take() {
    if (!free_.empty()) {
      void* const stack = free_.back();
      free_.pop_back();
      if (__asan_unpoison_memory_region != nullptr) {
        // Frames that were left without returning.
        __asan_unpoison_memory_region(static_cast<char*>(stack) + page, usual_stack_bytes() - page);
      }
      return stack;
    }
    void* const stack = mmap(nullptr, usual_stack_bytes(), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) throw std::bad_alloc();
    if (mprotect(stack, page, PROT_NONE) != 0) throw std::bad_alloc();
    return stack;
  }
  void give_back(void* stack) {
    // A fresh mapping has no past: ThreadSanitizer must not take the next owner's locals for this one's.
    if (races_are_watched()) {
      munmap(stack, usual_stack_bytes());
    } else {
      free_.push_back(stack);
    }
  }

 private:
  std::vector<void*> free_;
} stacks;

}  // namespace

bool races_are_watched() { return __tsan_switch_to_fiber != nullptr; }

fiber::fiber() {
  if (races_are_watched()) identity_ = __tsan_get_current_fiber();
}

fiber::fiber(void (*entry)()) : entry_(entry), stack_(stacks.take()) {
  bottom_ = static_cast<char*>(stack_) + page;
  size_ = usual_stack_bytes() - page;
  if (races_are_watched()) identity_ = __tsan_create_fiber(0);
  getcontext(&context_);
  context_.uc_stack.ss_sp = static_cast<char*>(stack_) + page;
  context_.uc_stack.ss_size = size_;
  context_.uc_link = nullptr;
  makecontext(&context_, &fiber::begin, 0);
}

fiber::~fiber() {
  if (stack_ == nullptr) return;
  if (races_are_watched()) {
    if (hidden_) {  // left in the middle of something: ThreadSanitizer does not let it end like this
      void* const running = __tsan_get_current_fiber();
      __tsan_switch_to_fiber(identity_, no_ordering);
      show();
      __tsan_switch_to_fiber(running, no_ordering);
    }
    __tsan_destroy_fiber(identity_);
  }
  stacks.give_back(stack_);
}

void fiber::begin() {
  fiber& self = *next_up;
  self.arrive();
  self.entry_();
  std::abort();
}

void fiber::switch_to(fiber& next, bool for_good) {
  previous = this;
  next_up = &next;
  if (__sanitizer_start_switch_fiber != nullptr) {
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_stack_, next.bottom_, next.size_);
  }
  if (races_are_watched()) __tsan_switch_to_fiber(next.identity_, no_ordering);
  swapcontext(&context_, &next.context_);
  arrive();
}

void fiber::arrive() {
  if (__sanitizer_finish_switch_fiber != nullptr) {
    // This is how the bounds of the host thread's stack become known.
    __sanitizer_finish_switch_fiber(fake_stack_, &previous->bottom_, &previous->size_);
  }
}

void fiber::release(void* token, fiber const& running) {
  if (!races_are_watched()) return;
  __tsan_switch_to_fiber(identity_, no_ordering);
  __tsan_release(token);
  __tsan_switch_to_fiber(running.identity_, no_ordering);
}

void fiber::acquire(void* token, fiber const& running) {
  if (!races_are_watched()) return;
  __tsan_switch_to_fiber(identity_, no_ordering);
  __tsan_acquire(token);
  __tsan_switch_to_fiber(running.identity_, no_ordering);
}

void fiber::hide() {
  hidden_ = true;
  if (AnnotateIgnoreReadsBegin != nullptr) AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  if (AnnotateIgnoreWritesBegin != nullptr) AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
}

void fiber::show() {
  if (AnnotateIgnoreWritesEnd != nullptr) AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
  if (AnnotateIgnoreReadsEnd != nullptr) AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  hidden_ = false;
}

}  // namespace cuda_emulator
