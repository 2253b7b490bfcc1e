// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Matrix fragments, and copies from global to shared memory.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "catch.hpp"
#include "emulated.hpp"
#include "windowkv/core/half.hpp"

namespace {

using namespace emulated;  // NOLINT(google-build-using-namespace): helpers of the tests

constexpr int lanes = 32;
constexpr int rows = 16;     // of a
constexpr int columns = 16;  // of the result: rows of b
constexpr int depth = 32;    // two tiles

/// out = c + a b^T of row-major a and b, the way a kernel does: through shared memory and fragments.
template <class T>
void multiply(T const* a, T const* b, float const* c, float* out) {
  using a_memory = uint4[rows * depth / 8];
  using b_memory = uint4[columns * depth / 8];
  WINDOWKV_SHARED(a_memory, a_shared);
  WINDOWKV_SHARED(b_memory, b_shared);
  auto const lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < rows * depth / 8; i += lanes) {
    detail::copy_async(&a_shared[i], reinterpret_cast<uint4 const*>(a) + i);
    detail::copy_async(&b_shared[i], reinterpret_cast<uint4 const*>(b) + i);
  }
  detail::commit_copies();
  detail::wait_for_copies<0>();
  __syncwarp();
  int const row = lane / 4;
  int const column = 2 * (lane % 4);
  float sums[2][4];
  for (int n = 0; n < 2; ++n) {
    for (int r = 0; r < 4; ++r) {
      sums[n][r] = c[(row + 8 * (r / 2)) * columns + 8 * n + column + r % 2];
    }
  }
  constexpr int row_chunks = depth / 8;
  for (int k = 0; k < depth / 16; ++k) {
    std::uint32_t a_tile[4];  // rows 0-7 and 8-15 of the first 8 columns, then of the second
    detail::load_tiles(a_tile, &a_shared[(lane % 16) * row_chunks + 2 * k + lane / 16]);
    std::uint32_t b_tiles[4];  // columns 0-7 and 8-15 of the first 8 rows, then of the second
    detail::load_tiles(b_tiles, &b_shared[(lane / 16 * 8 + lane % 8) * row_chunks + 2 * k + lane / 8 % 2]);
    for (int n = 0; n < 2; ++n) {
      detail::multiply_tile<T>(sums[n], a_tile, b_tiles[2 * n], b_tiles[2 * n + 1]);
    }
  }
  for (int n = 0; n < 2; ++n) {
    for (int r = 0; r < 4; ++r) {
      out[(row + 8 * (r / 2)) * columns + 8 * n + column + r % 2] = sums[n][r];
    }
  }
}

/// One element of a and one of b are 1: register and lane of both as PTX has them in its tables
/// ("Matrix Fragments for mma.m16n8k16"), which name rows and columns from a register's number.
void multiply_units(int row, int column, int k, float* out) {
  auto const lane = static_cast<int>(threadIdx.x);
  int const group = lane >> 2;
  int const in_group = lane % 4;
  std::uint32_t a[4] = {};
  std::uint32_t b[2] = {};
  for (int i = 0; i < 8; ++i) {
    int const a_row = i < 2 || (i >= 4 && i < 6) ? group : group + 8;
    int const a_column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
    if (a_row == row && a_column == k) a[i / 2] |= 0x3c00u << (16 * (i % 2));
  }
  for (int i = 0; i < 4; ++i) {
    int const b_row = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
    if (b_row == k && group == column) b[i / 2] |= 0x3c00u << (16 * (i % 2));
  }
  float c[4] = {};
  detail::multiply_tile<windowkv::float16>(c, a, b[0], b[1]);
  for (int i = 0; i < 4; ++i) {
    int const c_row = i < 2 ? group : group + 8;
    out[c_row * 8 + in_group * 2 + (i & 1)] = c[i];
  }
}

void load_numbers(std::uint32_t* out) {
  using numbers = std::uint16_t[4 * 64];
  using memory = uint4[4 * 8];
  WINDOWKV_SHARED(memory, tiles);
  numbers values;
  if (threadIdx.x == 0) {
    for (int i = 0; i < 4 * 64; ++i) values[i] = static_cast<std::uint16_t>(i);
    std::memcpy(tiles, values, sizeof values);
  }
  __syncwarp();
  std::uint32_t tile[4];
  detail::load_tiles(tile, &tiles[threadIdx.x]);
  for (unsigned m = 0; m < 4; ++m) out[4 * threadIdx.x + m] = tile[m];
}

/// Copies of two groups; `seen` after the first has been waited for, then after both.
void two_groups(uint4 const* in, unsigned* seen) {
  using memory = uint4[2];
  WINDOWKV_SHARED(memory, chunks);
  detail::copy_async(&chunks[0], &in[0]);
  detail::commit_copies();
  detail::copy_async(&chunks[1], &in[1]);
  seen[0] = chunks[0].x;
  detail::commit_copies();
  detail::wait_for_copies<1>();
  seen[1] = chunks[0].x;
  seen[2] = chunks[1].x;
  detail::wait_for_copies<0>();
  seen[3] = chunks[1].x;
  detail::copy_async(&chunks[0], &in[1]);
  detail::wait_for_copies<0>();  // not committed: nothing to wait for
  seen[4] = chunks[0].x;
}

void load_from_global(uint4 const* in) {
  std::uint32_t tile[4];
  detail::load_tiles(tile, in);
}
template <class T>
void multiply_zero() {
  float c[4] = {};
  std::uint32_t const a[4] = {};
  detail::multiply_tile<T>(c, a, 0, 0);
}
void stream(uint4* p) { detail::store_streaming(p + 1, detail::load_streaming(p)); }
void stream_misaligned(uint4* p) { detail::load_streaming(reinterpret_cast<uint2*>(p) + 1); }
void stream_wide_misaligned(uint4* p) {
  detail::load_streaming(reinterpret_cast<uint4 const*>(reinterpret_cast<char*>(p) + 8));
}
void ticket_in_shared_memory() {
  WINDOWKV_SHARED(unsigned, counter);
  detail::take_ticket(&counter);
}

template <class T>
struct alignas(16) matrix {
  T elements[16 * depth];
};

template <class T>
matrix<T> random_matrix(unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> numbers(-2.f, 2.f);
  matrix<T> m;
  for (T& x : m.elements) x = T(numbers(generator));
  return m;
}

}  // namespace

TEMPLATE_TEST_CASE("multiply_tile is a product of matrices", "[emulator]", windowkv::float16,
                   windowkv::bfloat16) {
  auto const a = random_matrix<TestType>(1);
  auto const b = random_matrix<TestType>(2);
  auto const c_elements = random_matrix<TestType>(3);
  std::vector<float> c;
  for (int i = 0; i < rows * columns; ++i) c.push_back(static_cast<float>(c_elements.elements[i]));
  for (auto options : all_orders()) {
    options.late_copies = options.seed % 2 == 1;
    cuda_emulator::scoped_options const scope(options);
    std::vector<float> out(rows * columns);
    launch(1, lanes, &multiply<TestType>, &a.elements[0], &b.elements[0], c.data(), out.data());
    for (int i = 0; i < rows; ++i) {
      for (int j = 0; j < columns; ++j) {
        auto const at = static_cast<std::size_t>(i * columns + j);
        double sum = static_cast<double>(c[at]);
        double size = std::fabs(sum);
        for (int k = 0; k < depth; ++k) {
          double const product = static_cast<double>(static_cast<float>(a.elements[i * depth + k])) *
                                 static_cast<double>(static_cast<float>(b.elements[j * depth + k]));
          sum += product;
          size += std::fabs(product);
        }
        CHECK(std::fabs(static_cast<double>(out[at]) - sum) <= size * depth * 6e-8);
      }
    }
  }
}

TEST_CASE("fragments lie as PTX has them", "[emulator]") {
  for (int k = 0; k < 16; ++k) {
    int const row = (5 * k + 3) % 16;
    int const column = (3 * k + 1) % 8;
    std::vector<float> out(16 * 8);
    launch(1, lanes, &multiply_units, row, column, k, out.data());
    std::vector<float> expected(16 * 8);
    expected[static_cast<std::size_t>(row * 8 + column)] = 1.f;
    CHECK(out == expected);
  }
}

TEST_CASE("load_tiles hands out rows", "[emulator]") {
  std::vector<std::uint32_t> out(4 * lanes);
  launch(1, lanes, &load_numbers, out.data());
  for (unsigned l = 0; l < lanes; ++l) {
    for (unsigned m = 0; m < 4; ++m) {
      unsigned const first = 64 * m + 8 * (l / 4) + 2 * (l % 4);
      CHECK(out[4 * l + m] == (first | (first + 1) << 16));
    }
  }
}

TEST_CASE("asynchronous copies", "[emulator]") {
  std::vector<uint4> const in = {{11, 0, 0, 0}, {22, 0, 0, 0}};
  std::vector<unsigned> seen(5);
  constexpr unsigned unwritten = 0xffffffffu;

  launch(1, 1, &two_groups, in.data(), seen.data());
  CHECK(seen == std::vector<unsigned>{11, 11, 22, 22, 22});

  cuda_emulator::options options;
  options.late_copies = true;
  cuda_emulator::scoped_options const scope(options);
  launch(1, 1, &two_groups, in.data(), seen.data());
  CHECK(seen == std::vector<unsigned>{unwritten, 11, unwritten, 22, 11});
}

TEST_CASE("memory of the wrong kind or alignment", "[emulator]") {
  std::vector<uint4> memory(3);
  memory[0].y = 17;
  launch(1, 1, &stream, memory.data());
  CHECK(memory[1].y == 17);
  CHECK(error_of([&] { launch(1, 1, &stream_misaligned, memory.data()); }).empty());
  CHECK(contains(error_of([&] { launch(1, 1, &stream_wide_misaligned, memory.data()); }),
                 "misaligned pointer to global memory"));
  CHECK(contains(error_of([] { launch(1, 1, &ticket_in_shared_memory); }), "not in global memory"));
  CHECK(contains(error_of([&] { launch(1, lanes, &load_from_global, memory.data()); }),
                 "not in the block's shared memory"));
}

TEST_CASE("fragments need a device that has them, and a whole warp", "[emulator]") {
  using windowkv::bfloat16;
  using windowkv::float16;
  CHECK(contains(error_of([] { launch(1, 16, &multiply_zero<float16>); }), "needs all 32 lanes"));
  cuda_emulator::options options;
  options.capability = 75;
  cuda_emulator::scoped_options const scope(options);
  CHECK(error_of([] { launch(1, lanes, &multiply_zero<float16>); }).empty());
  CHECK(contains(error_of([] { launch(1, lanes, &multiply_zero<bfloat16>); }), "__trap"));
}
