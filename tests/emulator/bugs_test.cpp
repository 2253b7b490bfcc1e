// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Bugs planted in small kernels, next to the kernel without the bug: the first must be reported, the second
// not. Some only a sanitizer can see.

#include <cstddef>
#include <string>
#include <vector>

#include "catch.hpp"
#include "cub/block/block_reduce.cuh"
#include "cub/block/block_scan.cuh"
#include "emulated.hpp"

namespace {

using namespace emulated;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr int threads = 64;
constexpr unsigned last_thread = threads - 1;
using floats = float[threads];
using int_scan = cub::BlockScan<int, threads>;
using int_scan_storage = int_scan::TempStorage;
using int_reduce = cub::BlockReduce<int, threads>;
using int_reduce_storage = int_reduce::TempStorage;

template <bool Bug>
void missing_barrier(float* out) {
  WINDOWKV_SHARED(floats, values);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (!Bug) __syncthreads();
  out[threadIdx.x] = values[last_thread - threadIdx.x];
}

template <bool Bug>
void divergent_barrier(float* out) {
  if (Bug && threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
}

template <bool Bug>
void barrier_after_exit(float* out) {
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  if (Bug && threadIdx.x == last_thread) return;
  __syncthreads();
}

template <bool Bug>
void shared_overrun(float* out) {
  WINDOWKV_SHARED(floats, values);
  float* const shifted = values + (Bug ? 1 : 0);
  shifted[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  out[threadIdx.x] = shifted[threadIdx.x];
}

template <bool Bug>
void dynamic_overrun(float* out) {
  auto* const values = reinterpret_cast<float*>(detail::dynamic_shared()) + (Bug ? 4 : 0);
  values[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  out[threadIdx.x] = values[threadIdx.x];
}

template <bool Bug>
void global_overrun(float* out) {
  out[threadIdx.x + (Bug ? 1 : 0)] = static_cast<float>(last_thread - threadIdx.x);
}

template <bool Bug>
void half_a_warp(float* out) {
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  if (Bug && threadIdx.x % 32 >= 16) return;
  out[threadIdx.x] += detail::shuffle_xor(0.f, 8);
}

template <bool Bug>
void unsynchronised_sum(int* sum) {
  if (Bug) {
    *sum += 1;
  } else {
    atomicAdd(sum, 1);
  }
}

template <bool Bug>
void missing_second_barrier(float* out) {
  WINDOWKV_SHARED(floats, values);
  float sum = 0;
  for (int i = 0; i < 2; ++i) {
    values[threadIdx.x] = static_cast<float>(i * threads) - sum;
    __syncthreads();
    sum = values[(threadIdx.x + 1) % threads];
    if (!Bug) __syncthreads();
  }
  out[threadIdx.x] = sum - last_thread - 1.f + static_cast<float>(last_thread - threadIdx.x);
}

/// Barriers order threads of a block, not blocks; a ticket orders blocks.
template <bool Bug>
void sum_of_blocks(int* parts, unsigned* tickets, int* sum) {
  WINDOWKV_SHARED(int, is_last);
  __syncthreads();
  if (threadIdx.x == 0) parts[blockIdx.x] = 1;
  __syncthreads();
  if (threadIdx.x == 0) {
    is_last = Bug ? blockIdx.x == gridDim.x - 1 : detail::take_ticket(tickets) == gridDim.x - 1;
  }
  __syncthreads();
  if (is_last != 0 && threadIdx.x == 1) {
    for (unsigned b = 0; b < gridDim.x; ++b) *sum += parts[b];
  }
}

template <bool Bug>
void uninitialised_shared(float* out) {
  WINDOWKV_SHARED(floats, values);
  if (!Bug || threadIdx.x != 0) values[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}

/// A shuffle brings lanes together, but orders no memory.
template <bool Bug>
void shuffle_for_a_barrier(float* out) {
  WINDOWKV_SHARED(floats, values);
  values[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
  detail::shuffle_xor(0.f, 1);
  if (!Bug) __syncwarp();
  float const other = values[threadIdx.x ^ 1u];
  out[threadIdx.x] = other + (threadIdx.x % 2 == 0 ? 1.f : -1.f);
}

template <bool Bug>
void missing_wait(float* out, uint4 const* in) {
  WINDOWKV_SHARED(uint4, chunk);
  if (threadIdx.x == 0) {
    detail::copy_async(&chunk, in);
    detail::commit_copies();
    if (!Bug) detail::wait_for_copies<0>();
  }
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x + chunk.w);
}

template <bool Bug>
void misaligned_copy(float* out, uint4 const* in) {
  using chunks = uint4[2];
  WINDOWKV_SHARED(chunks, two);
  if (threadIdx.x == 0) detail::copy_async(two, reinterpret_cast<char const*>(in) + (Bug ? 8 : 0));
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
}

template <bool Bug>
void copy_to_local(float* out, uint4 const* in) {
  WINDOWKV_SHARED(uint4, chunk);
  uint4 local{};
  if (threadIdx.x == 0) detail::copy_async(Bug ? &local : &chunk, in);
  out[threadIdx.x] = static_cast<float>(last_thread - threadIdx.x);
}

template <bool Bug>
void storage_of_scan_reused(float* out) {
  WINDOWKV_SHARED(int_scan_storage, storage);
  int before = 0;
  int_scan(storage).ExclusiveSum(1, before);
  if (!Bug) __syncthreads();
  int twice = 0;
  int_scan(storage).ExclusiveSum(2, twice);
  out[threadIdx.x] = static_cast<float>(last_thread) + static_cast<float>(before - twice);
}

template <bool Bug>
void storage_of_reduction_reused(float* out) {
  WINDOWKV_SHARED(int_reduce_storage, storage);
  WINDOWKV_SHARED(int, result);
  int const sum = int_reduce(storage).Sum(1);
  if (!Bug) __syncthreads();
  int const twice = int_reduce(storage).Sum(2);
  if (threadIdx.x == 0) result = twice - sum;
  __syncthreads();
  out[threadIdx.x] = static_cast<float>(result) - 1.f - static_cast<float>(threadIdx.x);
}

/// Every order, one block; right if out[t] == 63 - t.
template <class... Parameters>
bool counts_down(std::size_t shared_bytes, void (*kernel)(float*, Parameters...), Parameters... more) {
  bool right = true;
  for (auto options : all_orders()) {
    options.late_copies = true;
    cuda_emulator::scoped_options const scope(options);
    std::vector<float> out(threads);
    right =
        detail::launch(nullptr, dim3(1), threads, shared_bytes, kernel, out.data(), more...).ok() && right;
    for (unsigned t = 0; t <= last_thread; ++t) {
      right = right && out[t] == static_cast<float>(last_thread - t);
    }
  }
  return right;
}
template <void (*Kernel)(float*)>
bool simple() {
  return counts_down(sizeof(floats), Kernel);
}
template <void (*Kernel)(float*, uint4 const*)>
bool copying() {
  alignas(16) static uint4 const source[2] = {};
  return counts_down(0, Kernel, &source[0]);
}
template <bool Bug>
bool sums() {
  int sum = 0;
  launch(1, threads, &unsynchronised_sum<Bug>, &sum);
  return sum == threads;
}
template <bool Bug>
bool sums_of_blocks() {
  constexpr int blocks = 3;
  bool right = true;
  for (auto const& options : all_orders()) {
    cuda_emulator::scoped_options const scope(options);
    std::vector<int> parts(blocks);
    unsigned tickets = 0;
    int sum = 0;
    launch(blocks, threads, &sum_of_blocks<Bug>, parts.data(), &tickets, &sum);
    right = right && sum == blocks;
  }
  return right;
}
template <bool Bug>
bool blocks_race() {  // one order, in which the result is right
  int parts[2] = {};
  unsigned tickets = 0;
  int sum = 0;
  launch(2, threads, &sum_of_blocks<Bug>, &parts[0], &tickets, &sum);
  return sum == 2;
}

constexpr char const* race = "ThreadSanitizer: data race";
constexpr char const* overrun = "AddressSanitizer: heap-buffer-overflow";

struct planted {
  char const* name;
  bool (*with_bug)();
  bool (*without)();
  char const* everywhere;            // found in every build
  char const* by_address = nullptr;  // by AddressSanitizer
  char const* by_thread = nullptr;   // by ThreadSanitizer
};

#define PLANTED(kind, kernel) #kernel, &kind < &kernel < true>>, &kind < &kernel < false>>

planted const bugs[] = {
    {PLANTED(simple, missing_barrier), "wrong", nullptr, race},
    {PLANTED(simple, divergent_barrier), "divergent barrier"},
    {PLANTED(simple, barrier_after_exit), "1 threads have exited"},
    {PLANTED(simple, shared_overrun), nullptr, overrun},
    {PLANTED(simple, dynamic_overrun), nullptr, overrun},
    {PLANTED(simple, global_overrun), nullptr, overrun},
    {PLANTED(simple, half_a_warp), "waits for ever, 32 threads have exited"},
    {"unsynchronised_sum", &sums<true>, &sums<false>, nullptr, nullptr, race},
    {PLANTED(simple, missing_second_barrier), "wrong", nullptr, race},
    {"sum_of_blocks", &sums_of_blocks<true>, &sums_of_blocks<false>, "wrong", nullptr, race},
    {"blocks_race", &blocks_race<true>, &blocks_race<false>, nullptr, nullptr, race},
    {PLANTED(simple, uninitialised_shared), "wrong"},
    {PLANTED(simple, shuffle_for_a_barrier), nullptr, nullptr, race},
    {PLANTED(copying, missing_wait), "wrong"},
    {PLANTED(copying, misaligned_copy), "misaligned pointer to global memory"},
    {PLANTED(copying, copy_to_local), "not in the block's shared memory"},
    {PLANTED(simple, storage_of_scan_reused), nullptr, nullptr, race},
    {PLANTED(simple, storage_of_reduction_reused), nullptr, nullptr, race},
};

}  // namespace

TEST_CASE("planted bugs are reported", "[emulator]") {
  CHECK(
      simple<&missing_barrier<false>>());  // AddressSanitizer's remark about fibers, once and not by a child
  for (planted const& bug : bugs) {
    CAPTURE(bug.name);
    CHECK(report_of(bug.without) == "");
    char const* const special = with_address_sanitizer  ? bug.by_address
                                : with_thread_sanitizer ? bug.by_thread
                                                        : nullptr;
    // A sanitizer may end the program before the wrong result is seen.
    char const* const expected = special != nullptr ? special : bug.everywhere;
    if (expected == nullptr) continue;
    std::string const report = report_of(bug.with_bug);
    CAPTURE(report);
    CHECK(contains(report, expected));
  }
}
