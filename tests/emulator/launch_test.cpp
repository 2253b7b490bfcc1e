// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Launches: what is refused, what is counted, and in which order things run.

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "catch.hpp"
#include "emulated.hpp"

namespace {

using namespace emulated;  // NOLINT(google-build-using-namespace): helpers of the tests

void nothing() {}

struct large_parameter {
  int numbers[8000];
};
void copy_parameter(large_parameter p, int* out) {
  p.numbers[7999] += static_cast<int>(threadIdx.x);  // a thread's own copy
  out[threadIdx.x] = p.numbers[7999];
}

void note_coordinates(unsigned* out) {
  unsigned const block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  unsigned* const mine = out + 4 * (block * blockDim.x + threadIdx.x);
  mine[0] = blockIdx.x;
  mine[1] = blockIdx.y;
  mine[2] = blockIdx.z;
  mine[3] = threadIdx.x;
}

/// Writes (block, thread) in the order of running.
void note_order(int* place, int* out) {
  int const at = atomicAdd(place, 1);
  out[at] = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

/// The order in which threads pass a barrier and a meeting of their warp.
void note_order_after_barrier(int* place, int* out) {
  __syncthreads();
  __syncwarp();
  note_order(place, out);
}

/// Shared objects are one per declaration and instance, and fresh in every block.
template <class T>
T* shared_number() {
  WINDOWKV_SHARED(T, number);
  return &number;
}
void shared_objects(int* wrong) {
  auto const* const bytes = detail::dynamic_shared();
  if (bytes[0] != 0xff || bytes[99] != 0xff) atomicAdd(wrong, 1);
  __syncthreads();
  if (threadIdx.x == 0) detail::dynamic_shared()[0] = 1;
  if (*shared_number<int>() != -1 || *shared_number<unsigned>() != ~0u) atomicAdd(wrong, 1);
  __syncthreads();
  if (threadIdx.x == 0) *shared_number<int>() = 5;
  __syncthreads();
  if (*shared_number<int>() != 5 || *shared_number<unsigned>() != ~0u) atomicAdd(wrong, 1);
}

struct much {
  unsigned char bytes[48 * 1024];
};
void much_shared_memory() {
  WINDOWKV_SHARED(much, memory);
  memory.bytes[0] = 1;
}
void too_much_shared_memory() {
  much_shared_memory();
  WINDOWKV_SHARED(char, one);
  one = 1;
}

std::vector<int> order_of(cuda_emulator::options const& options, void (*kernel)(int*, int*)) {
  cuda_emulator::scoped_options const scope(options);
  std::vector<int> out(3 * 64);
  int place = 0;
  launch(3, 64, kernel, &place, out.data());
  return out;
}

windowkv::status launch_of(dim3 grid, int threads, std::size_t shared_bytes = 0) {
  return detail::launch(nullptr, grid, threads, shared_bytes, &nothing);
}
bool is_refused(windowkv::status const& s, int code) {
  return s.code() == windowkv::status_code::device_error && s.actual() == code;
}

}  // namespace

TEST_CASE("launches that CUDA refuses", "[emulator]") {
  auto const before = cuda_emulator::launches();
  CHECK(is_refused(launch_of(0, 32), 9));
  CHECK(is_refused(launch_of({1, 0}, 32), 9));
  CHECK(is_refused(launch_of({1, 65536}, 32), 9));
  CHECK(is_refused(launch_of({1, 1, 65536}, 32), 9));
  CHECK(is_refused(launch_of(1, 0), 9));
  CHECK(is_refused(launch_of(1, 1025), 9));
  CHECK(is_refused(launch_of(1, 1, 227 * 1024 + 1), 1));
  CHECK(cuda_emulator::launches() == before);
  CHECK(launch_of(1, 1024).ok());
  CHECK(launch_of(1, 1, 227 * 1024).ok());
  CHECK(cuda_emulator::launches() == before + 2);
}

TEST_CASE("shared memory of older devices", "[emulator]") {
  cuda_emulator::options options;
  options.capability = GENERATE(75, 80, 86, 89);
  cuda_emulator::scoped_options const scope(options);
  std::size_t const most = (options.capability == 75 ? 64u : options.capability == 80 ? 163u : 99u) * 1024u;
  CHECK(launch_of(1, 1, most).ok());
  CHECK(is_refused(launch_of(1, 1, most + 1), 1));
}

TEST_CASE("declared shared memory counts, too", "[emulator]") {
  auto const run_much = [](std::size_t dynamic) {
    return error_of([&] { (void)detail::launch(nullptr, 1, 1, dynamic, &much_shared_memory); });
  };
  CHECK(run_much(179 * 1024) == "");
  CHECK(contains(run_much(179 * 1024 + 1), "too much shared memory"));
  CHECK(contains(error_of([] { launch(1, 1, &too_much_shared_memory); }), "too much shared memory"));
}

TEST_CASE("a launch fails on request", "[emulator]") {
  cuda_emulator::fail_next_launch();
  auto const before = cuda_emulator::launches();
  CHECK(is_refused(launch_of(1, 1), 701));
  CHECK(launch_of(1, 1).ok());
  cuda_emulator::fail_next_launch(1);
  CHECK(launch_of(1, 1).ok());
  CHECK(is_refused(launch_of(1, 1), 701));
  CHECK(launch_of(1, 1).ok());
  CHECK(cuda_emulator::launches() == before + 3);
  CHECK(std::string(cudaGetErrorString(cudaErrorLaunchOutOfResources)) ==
        "too many resources requested for launch");
}

TEST_CASE("the device is what the options say", "[emulator]") {
  CHECK(detail::current_device()->capability == 90);
  cuda_emulator::options options;
  options.capability = 86;
  options.multiprocessors = 7;
  cuda_emulator::scoped_options const scope(options);
  CHECK(detail::current_device()->capability == 86);
  CHECK(detail::current_device()->multiprocessors == 7);
}

TEST_CASE("parameters are copied", "[emulator]") {
  large_parameter p{};
  p.numbers[7999] = 40;
  std::vector<int> out(3);
  launch(1, 3, &copy_parameter, p, out.data());
  CHECK(out == std::vector<int>{40, 41, 42});
}

TEST_CASE("threads know where they are", "[emulator]") {
  for (auto const& options : all_orders()) {
    cuda_emulator::scoped_options const scope(options);
    std::vector<unsigned> out(4 * 2 * 3 * 4 * 5);
    REQUIRE(detail::launch(nullptr, {2, 3, 4}, 5, 0, &note_coordinates, out.data()).ok());
    std::vector<unsigned> expected;
    for (unsigned i = 0; i < 2 * 3 * 4 * 5; ++i) {
      for (unsigned x : {i / 5 % 2, i / 10 % 3, i / 30, i % 5}) expected.push_back(x);
    }
    CHECK(out == expected);
  }
}

TEST_CASE("orders of blocks and threads", "[emulator]") {
  auto const orders = all_orders();
  std::vector<int> upwards(3 * 64);
  for (int i = 0; i < 3 * 64; ++i) upwards[static_cast<std::size_t>(i)] = i;
  std::vector<int> const downwards(upwards.rbegin(), upwards.rend());
  for (auto* kernel : {&note_order, &note_order_after_barrier}) {
    CHECK(order_of(orders[0], kernel) == upwards);
    CHECK(order_of(orders[1], kernel) == downwards);
    std::vector<int> const shuffled = order_of(orders[2], kernel);
    CHECK(shuffled == order_of(orders[2], kernel));
    CHECK(shuffled != order_of(orders[3], kernel));
    std::vector<int> sorted = shuffled;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == upwards);
    CHECK(shuffled != upwards);
  }
}

TEST_CASE("shared objects", "[emulator]") {
  for (auto const& options : all_orders()) {
    cuda_emulator::scoped_options const scope(options);
    int wrong = 0;
    REQUIRE(detail::launch(nullptr, 3, 64, 100, &shared_objects, &wrong).ok());
    CHECK(wrong == 0);
  }
}
