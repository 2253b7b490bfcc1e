// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "cuda_emulator.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "block_run.hpp"
#include "device_side.hpp"
#include "fiber.hpp"

namespace cuda_emulator {
namespace {

options chosen_options;
std::int64_t launches_run = 0;
int launches_until_failure = -1;  // negative: none fails

void require(bool holds, char const* what, call_site where) {
  if (!holds) throw error(std::string(what) + ": " + block_run::current(what).place(where));
}
bool is_aligned(void const* p, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(p) % alignment == 0;
}

/// The order in which the blocks run.
std::vector<std::size_t> block_numbers(std::size_t count, random_numbers& random) {
  std::vector<std::size_t> numbers(count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = i;
  if (chosen_options.order == order::descending) std::reverse(numbers.begin(), numbers.end());
  if (chosen_options.order == order::shuffled) {
    for (std::size_t i = count; i > 1; --i) std::swap(numbers[i - 1], numbers[random.below(i)]);
  }
  return numbers;
}

/// The host's side of ThreadSanitizer's ordering: what it did before, and does after, the launch.
class launch_scope {
 public:
  explicit launch_scope(fiber& host) : host_(host) {
    host_.release(&block_run::before_launch, host_);
    host_.hide();
  }
  launch_scope(launch_scope const&) = delete;
  launch_scope& operator=(launch_scope const&) = delete;
  ~launch_scope() {
    host_.show();
    host_.acquire(&block_run::after_launch, host_);
  }

 private:
  fiber& host_;
};

}  // namespace

void set_options(options const& chosen) { chosen_options = chosen; }
options const& current_options() { return chosen_options; }
std::int64_t launches() { return launches_run; }
void fail_next_launch(int others) { launches_until_failure = others; }

std::size_t most_shared_bytes(int capability) {
  std::size_t const kibibytes = capability < 75    ? 48
                                : capability == 75 ? 64
                                : capability == 80 ? 163
                                : capability == 87 ? 163
                                : capability < 90  ? 99
                                                   : 227;
  return kibibytes * 1024;
}

cudaError_t admit_launch(dim3 grid, int threads) {
  bool const fails = launches_until_failure == 0;
  if (launches_until_failure >= 0) --launches_until_failure;
  if (fails) return cudaErrorLaunchOutOfResources;
  bool const fits = grid.x >= 1 && grid.x <= 0x7fffffffu && grid.y >= 1 && grid.y <= 65535 && grid.z >= 1 &&
                    grid.z <= 65535 && threads >= 1 && threads <= 1024;
  return fits ? cudaSuccess : cudaErrorInvalidConfiguration;
}

void run(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, std::function<void()> const& thread) {
  if (block_run::is_running()) throw error("a kernel launches a kernel");
  ++launches_run;
  fiber host;
  random_numbers random(chosen_options.seed);
  launch_scope const scope(host);
  launch_state const launch{grid, block, dynamic_shared_bytes, thread, host, random};
  gridDim = grid;
  blockDim = block;
  for (std::size_t number : block_numbers(std::size_t{grid.x} * grid.y * grid.z, random)) {
    uint3 const index{static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                      static_cast<unsigned>(number / grid.x / grid.y)};
    block_run(launch, index).run();
  }
}

void* dynamic_shared() { return block_run::current("dynamic_shared").dynamic_shared(); }
void* static_shared(void const* declaration, std::size_t bytes, std::size_t alignment) {
  return block_run::current("WINDOWKV_SHARED").static_shared(declaration, bytes, alignment);
}

void require_shared(void const* p, std::size_t bytes, call_site where) {
  require(block_run::current("shared memory").is_shared(p, bytes), "not in the block's shared memory", where);
  require(is_aligned(p, bytes), "misaligned pointer to shared memory", where);
}
void require_global(void const* p, std::size_t bytes, call_site where) {
  require(p != nullptr && !block_run::current("global memory").is_shared(p, bytes), "not in global memory",
          where);
  require(is_aligned(p, bytes), "misaligned pointer to global memory", where);
}

bool defer_copy(pending_copy const& copy) {
  if (chosen_options.late_copies) block_run::current("copy_async").start_copy(copy);
  return chosen_options.late_copies;
}
void end_copy_group() { block_run::current("commit_copies").end_copy_group(); }
pending_copy next_landing_copy(int pending) {
  return block_run::current("wait_for_copies").next_landing_copy(pending);
}

unsigned meet_block(bool predicate, call_site where) {
  return block_run::current("barrier").meet_block(predicate, where);
}
unsigned lane() { return block_run::current("lane").lane(); }
void meet_warp(unsigned mask, warp_operation operation, void const* in, void* out, call_site where) {
  block_run::current("warp function").meet_warp(mask, operation, in, out, where);
}

}  // namespace cuda_emulator
