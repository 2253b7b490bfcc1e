// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/thread_pool.hpp
/// A plain std::thread pool for those who have none. Not part of the umbrella header.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace windowkv {

/// Threads that wait for loops to run. `parallel_for` allocates nothing; one loop runs at a time, loops do
/// not nest, and `f` must not throw. Use: `thread_pool pool(4); host_executor on{pool.hook()};`
class thread_pool {
 public:
  /// `threads` counts the caller, who works too: 1 makes no thread.
  explicit thread_pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  thread_pool(thread_pool const&) = delete;
  thread_pool& operator=(thread_pool const&) = delete;
  ~thread_pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  template <class F>
  void parallel_for(int n, F&& f) {
    using callable = std::remove_reference_t<F>;
    std::unique_lock<std::mutex> lock(mutex_);
    call_ = [](void* context, int i) { (*static_cast<callable*>(context))(i); };
    context_ = const_cast<void*>(static_cast<void const*>(std::addressof(f)));
    count_ = n;
    next_.store(0, std::memory_order_relaxed);
    busy_ = static_cast<int>(workers_.size());
    ++round_;
    lock.unlock();
    wake_.notify_all();
    take_turns();
    lock.lock();
    done_.wait(lock, [this] { return busy_ == 0; });
  }

  /// The hook for `host_executor`.
  auto hook() {
    return [this](int n, auto&& f) { parallel_for(n, f); };
  }

 private:
  void take_turns() {
    for (int i = next_.fetch_add(1, std::memory_order_relaxed); i < count_;
         i = next_.fetch_add(1, std::memory_order_relaxed)) {
      call_(context_, i);
    }
  }
  void work() {
    unsigned long seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return is_stopping_ || round_ != seen; });
      if (is_stopping_) return;
      seen = round_;
      lock.unlock();
      take_turns();
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<int> next_{0};
  void (*call_)(void*, int) = nullptr;
  void* context_ = nullptr;
  int count_ = 0;
  int busy_ = 0;
  unsigned long round_ = 0;
  bool is_stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace windowkv
