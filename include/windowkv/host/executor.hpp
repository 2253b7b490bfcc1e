// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/executor.hpp
/// Where the host backend runs. Its one hook is `parallel_for(n, f)`: call f(0), ..., f(n - 1), each once, in
/// any order and on any threads, and return when all are done. Results are identical for every number of
/// threads.

namespace windowkv {

/// Runs everything on the calling thread.
struct serial_for {
  template <class F>
  void operator()(int n, F&& f) const {
    for (int i = 0; i < n; ++i) f(i);
  }
};

/// The host executor. `ParallelFor` is any callable with the signature above: `serial_for`, a `thread_pool`
/// reference (host/thread_pool.hpp), or the engine's own: `host_executor on{[&](int n, auto&& f) { ... }};`
template <class ParallelFor = serial_for>
struct host_executor {
  ParallelFor parallel_for{};
};
template <class ParallelFor>
host_executor(ParallelFor) -> host_executor<ParallelFor>;

}  // namespace windowkv
