// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What the functions of threads, warps and blocks return, against the programming guide's words.

#include <cmath>
#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "cub/block/block_reduce.cuh"
#include "cub/block/block_scan.cuh"
#include "emulated.hpp"

namespace {

using namespace emulated;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr int lanes = 32;

void shuffles(int* up, int* down, int* across, int* from, long long* wide, int width) {
  auto const lane = static_cast<int>(threadIdx.x);
  int const value = 100 + lane;
  up[lane] = __shfl_up_sync(~0u, value, 3, width);
  down[lane] = __shfl_down_sync(~0u, value, 3, width);
  across[lane] = __shfl_xor_sync(~0u, value, 5, width);
  from[lane] = __shfl_sync(~0u, value, 6, width);
  wide[lane] = __shfl_sync(~0u, 1ll << lane, 31);
}

void votes(unsigned* ballot, unsigned* same, int* any_all) {
  unsigned const lane = threadIdx.x;
  // The lower and the upper half of the warp vote apart.
  unsigned const mask = lane < 16 ? 0x0000ffffu : 0xffff0000u;
  ballot[lane] = __ballot_sync(mask, lane % 3 == 0 ? 7 : 0);
  same[lane] = __match_any_sync(mask, lane % 4 == 1 ? -1 : 2);
  any_all[lane] = 8 * __any_sync(mask, lane == 5) + 4 * __any_sync(mask, 0) +
                  2 * __all_sync(mask, lane < 16) + __all_sync(mask, lane != 5);
}

void block_votes(int* count, int* any, int* all) {
  auto const thread = static_cast<int>(threadIdx.x);
  count[thread] = __syncthreads_count(thread % 3 == 0 ? -4 : 0);
  any[thread] = 2 * __syncthreads_or(thread == 40) + __syncthreads_or(0);
  all[thread] = 2 * __syncthreads_and(thread != 40) + __syncthreads_and(7);
}

/// The block's second warp has 8 lanes.
void partial_warp(unsigned* ballot) { ballot[threadIdx.x] = __ballot_sync(~0u, 1); }

void atomics(int* numbers, unsigned* bits) {
  auto const thread = static_cast<int>(threadIdx.x);
  int const value = 3 * thread - 50;
  atomicAdd(&numbers[0], value);
  atomicMax(&numbers[1], value);
  atomicMin(&numbers[2], value);
  atomicAdd(&numbers[4 + atomicAdd(&numbers[3], 1)], 1);
  atomicOr(bits, 1u << thread);
}

void library_words(float* out, int* counter) {
  WINDOWKV_SHARED(int, sum);
  if (threadIdx.x == 0) sum = 0;
  __syncthreads();
  detail::add_shared(&sum, static_cast<int>(threadIdx.x));
  float const own = static_cast<float>(threadIdx.x);
  out[threadIdx.x] = detail::shuffle_xor(own, 16);
  bool const any = detail::any_lane(threadIdx.x == 31);
  bool const none = detail::any_lane(threadIdx.x == 32);
  __syncthreads();
  if (any && !none && threadIdx.x == 0) *counter = sum;
}

template <int Threads>
void primitives(int const* in, int* before, int* total, double* sum) {
  using scan = cub::BlockScan<int, Threads>;
  using scan_storage = typename scan::TempStorage;
  using reduce = cub::BlockReduce<double, Threads>;
  using reduce_storage = typename reduce::TempStorage;
  WINDOWKV_SHARED(scan_storage, for_scan);
  WINDOWKV_SHARED(reduce_storage, for_sum);
  unsigned const thread = threadIdx.x;
  scan(for_scan).ExclusiveSum(in[thread], before[thread], total[thread]);
  __syncthreads();
  int again = -1;
  scan(for_scan).ExclusiveSum(in[thread], again);
  if (again != before[thread]) total[thread] = -1;
  double const reduced = reduce(for_sum).Sum(in[thread]);
  if (thread == 0) *sum = reduced;
}

template <int Threads>
void check_primitives() {
  std::vector<int> in;
  std::vector<int> expected;
  int sum = 0;
  for (int t = 0; t < Threads; ++t) {
    in.push_back((7919 * t) % 101 - 30);
    expected.push_back(sum);
    sum += in.back();
  }
  std::vector<int> before(Threads);
  std::vector<int> total(Threads);
  double reduced = -1;
  launch(1, Threads, &primitives<Threads>, in.data(), before.data(), total.data(), &reduced);
  CHECK(before == expected);
  CHECK(total == std::vector<int>(Threads, sum));
  CHECK(reduced == static_cast<double>(sum));
}

void scan_for_others() {
  using scan = cub::BlockScan<int, lanes>;
  using storage = scan::TempStorage;
  WINDOWKV_SHARED(storage, memory);
  int before = 0;
  scan(memory).ExclusiveSum(1, before);
}

template <int Kind>
void misuse() {
  unsigned const lane = threadIdx.x;
  if (Kind == 0) __shfl_sync(0xffffu << (lane < 16 ? 0 : 16), 1, 31);
  if (Kind == 1) __ballot_sync(0xffffu, 1);
  if (Kind == 2) __ballot_sync(lane == 3 ? 0x7fffffffu : ~0u, 1);
  if (Kind == 3 && lane % 2 == 0) __any_sync(~0u, 1);
  if (Kind == 3 && lane % 2 == 1) __ballot_sync(~0u, 1);
  if (Kind == 4 && lane == 0) __syncthreads();
  if (Kind == 4 && lane != 0) __syncwarp();
  if (Kind == 5) __trap();
}

}  // namespace

TEST_CASE("shuffles", "[emulator]") {
  int const width = GENERATE(32, 16, 8);
  CAPTURE(width);
  std::vector<int> up(lanes);
  std::vector<int> down(lanes);
  std::vector<int> across(lanes);
  std::vector<int> from(lanes);
  std::vector<long long> wide(lanes);
  launch(1, lanes, &shuffles, up.data(), down.data(), across.data(), from.data(), wide.data(), width);
  for (int l = 0; l < lanes; ++l) {
    auto const i = static_cast<std::size_t>(l);
    int const within = l % width;
    CHECK(up[i] == 100 + (within >= 3 ? l - 3 : l));
    CHECK(down[i] == 100 + (within + 3 < width ? l + 3 : l));
    CHECK(across[i] == 100 + (l ^ 5));
    CHECK(from[i] == 100 + l - within + 6);
    CHECK(wide[i] == 1ll << 31);
  }
}

TEST_CASE("votes of parts of a warp", "[emulator]") {
  std::vector<unsigned> ballot(lanes);
  std::vector<unsigned> same(lanes);
  std::vector<int> any_all(lanes);
  for (auto const& options : all_orders()) {
    cuda_emulator::scoped_options const scope(options);
    launch(1, lanes, &votes, ballot.data(), same.data(), any_all.data());
    for (std::size_t l = 0; l < lanes; ++l) {
      CHECK(ballot[l] == (l < 16 ? 0x00009249u : 0x49240000u));
      unsigned const ones = l < 16 ? 0x00002222u : 0x22220000u;
      unsigned const twos = l < 16 ? 0x0000ddddu : 0xdddd0000u;
      CHECK(same[l] == (l % 4 == 1 ? ones : twos));
      CHECK(any_all[l] == (l < 16 ? 8 + 2 : 1));
    }
  }
}

TEST_CASE("votes of a block", "[emulator]") {
  constexpr int threads = 72;
  std::vector<int> count(threads);
  std::vector<int> any(threads);
  std::vector<int> all(threads);
  launch(1, threads, &block_votes, count.data(), any.data(), all.data());
  CHECK(count == std::vector<int>(threads, 24));
  CHECK(any == std::vector<int>(threads, 2));
  CHECK(all == std::vector<int>(threads, 1));
}

TEST_CASE("a warp that is not full", "[emulator]") {
  std::vector<unsigned> ballot(40);
  launch(1, 40, &partial_warp, ballot.data());
  CHECK(ballot[31] == 0xffffffffu);
  CHECK(ballot[32] == 0x000000ffu);
}

TEST_CASE("atomics", "[emulator]") {
  std::vector<int> numbers(4 + lanes);
  numbers[1] = -1000;
  numbers[2] = 1000;
  unsigned bits = 0;
  launch(1, lanes, &atomics, numbers.data(), &bits);
  CHECK(numbers[0] == 3 * 496 - 50 * 32);
  CHECK(numbers[1] == 43);
  CHECK(numbers[2] == -50);
  CHECK(numbers[3] == lanes);
  for (std::size_t i = 0; i < lanes; ++i) CHECK(numbers[4 + i] == 1);
  CHECK(bits == 0xffffffffu);
}

TEST_CASE("the library's words", "[emulator]") {
  std::vector<float> out(lanes);
  int counter = 0;
  launch(1, lanes, &library_words, out.data(), &counter);
  for (std::size_t l = 0; l < lanes; ++l) CHECK(out[l] == static_cast<float>(l ^ 16));
  CHECK(counter == 496);

  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(detail::fast_exp2(3.f) == 8.f);
  CHECK(detail::fast_exp2(-126.f) == std::numeric_limits<float>::min());
  CHECK(detail::fast_exp2(-126.5f) == 0.f);
  CHECK(detail::fast_exp2(-infinity) == 0.f);
  CHECK(detail::fast_exp2(infinity) == infinity);
  CHECK(std::isnan(detail::fast_exp2(std::numeric_limits<float>::quiet_NaN())));
}

TEST_CASE("functions of single threads", "[emulator]") {
  CHECK(__popc(0xf00fu) == 8);
  CHECK(__ffs(0) == 0);
  CHECK(__ffs(8) == 4);
  CHECK(__clz(0) == 32);
  CHECK(__clz(1) == 31);
  CHECK(__clz(-1) == 0);
  CHECK(__float_as_uint(1.f) == 0x3f800000u);
  CHECK(__uint_as_float(0xc0000000u) == -2.f);
  CHECK(__int_as_float(__float_as_int(-0.5f)) == -0.5f);
  float const tiny = std::ldexp(1.f, -23);
  CHECK(__fadd_rn(__fmul_rn(1.f + tiny, 1.f - tiny), -1.f) == 0.f);  // the product rounds to 1
  CHECK(__fmaf_rn(1.f + tiny, 1.f - tiny, -1.f) == -tiny * tiny);
  CHECK(__fdiv_rn(1.f, 3.f) == 1.f / 3.f);
  CHECK(__fsub_rn(1.f, 3.f) == -2.f);
}

TEST_CASE("block primitives", "[emulator]") {
  for (auto const& options : all_orders()) {
    cuda_emulator::scoped_options const scope(options);
    check_primitives<1>();
    check_primitives<32>();
    check_primitives<72>();
  }
  CHECK(contains(error_of([] { launch(1, 64, &scan_for_others); }), "for 32 threads in a block of another"));
}

TEST_CASE("misuse of warp functions is an error", "[emulator]") {
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<0>); }), "which does not take part"));
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<1>); }), "calling lane is not in the mask"));
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<2>); }), "different places"));
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<3>); }), "different places"));
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<4>); }), "waits for ever"));
  CHECK(contains(error_of([] { launch(1, lanes, &misuse<5>); }), "__trap"));
  CHECK(contains(error_of([] { __syncthreads(); }), "outside a kernel"));
  // The emulator works on after an error.
  check_primitives<32>();
}
