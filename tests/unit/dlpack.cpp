// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/interop/dlpack.hpp"

#include <climits>
#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "catch.hpp"
#include "support.hpp"

namespace {

namespace dlpack = wkv::interop::dlpack;
using dlpack::tensor_axes;
using wkv_test::message;

/// The members of DLTensor and what manages it, as dlpack.h declares them.
enum device_kind { cpu = 1, cuda = 2, cuda_host = 3, metal = 8, cuda_managed = 13 };
struct dl_device {
  device_kind device_type;
  std::int32_t device_id;
};
struct dl_data_type {
  std::uint8_t code;
  std::uint8_t bits;
  std::uint16_t lanes;
};
struct dl_tensor {
  void* data;
  dl_device device;
  std::int32_t ndim;
  dl_data_type dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};
struct dl_managed_tensor {
  struct dl_tensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(dl_managed_tensor*);
};
struct dl_version {
  std::uint32_t major;
  std::uint32_t minor;
};
struct dl_managed_tensor_versioned {
  dl_version version;
  void* manager_ctx;
  void (*deleter)(dl_managed_tensor_versioned*);
  std::uint64_t flags;
  struct dl_tensor dl_tensor;
};

constexpr dl_data_type f32{2, 32, 1};
constexpr dl_data_type f16{2, 16, 1};
constexpr dl_data_type bf16{4, 16, 1};

/// A tensor over memory of its own, in which every element holds its offset. Compact unless strides are
/// given.
struct example {
  std::int64_t shape[4] = {};
  std::int64_t strides[4] = {};
  std::vector<float> memory;
  dl_tensor tensor;

  explicit example(std::vector<std::int64_t> const& extents, std::vector<std::int64_t> const& steps = {})
      : memory(4096), tensor{} {
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
    for (std::size_t i = 0; i < extents.size(); ++i) shape[i] = extents[i];
    for (std::size_t i = 0; i < steps.size(); ++i) strides[i] = steps[i];
    tensor = {memory.data(),
              {cpu, 0},
              static_cast<std::int32_t>(extents.size()),
              f32,
              shape,
              steps.empty() ? nullptr : strides,
              0};
  }
  example(example const&) = delete;
  example& operator=(example const&) = delete;
};

template <class T = float>
std::string problem(dl_tensor const& tensor, int sequence = 0) {
  return message(dlpack::plane_of<T>(tensor, sequence));
}

}  // namespace

TEST_CASE("a sequence of a compact tensor is a plane", "[dlpack]") {
  example const bhnd({2, 3, 5, 4});
  auto const plane = dlpack::plane_of<float>(bhnd.tensor, 1);
  REQUIRE(message(plane) == "ok");
  CHECK(plane->slots == 5);
  CHECK(plane->heads == 3);
  CHECK(plane->head_dim == 4);
  CHECK(plane->load(0, 0, 0) == 60.f);
  CHECK(plane->load(4, 2, 3) == 119.f);
  CHECK(plane->load(2, 1, 3) == 60 + 1 * 20 + 2 * 4 + 3);
  CHECK(dlpack::plane_of<float>(bhnd.tensor, 0)->load(2, 1, 3) == 1 * 20 + 2 * 4 + 3);

  example const bnhd({2, 5, 3, 4});
  auto const other = dlpack::plane_of<float>(bnhd.tensor, 1, tensor_axes::batch_slot_head_dim);
  REQUIRE(message(other) == "ok");
  CHECK(other->slots == 5);
  CHECK(other->heads == 3);
  CHECK(other->load(2, 1, 3) == 60 + 2 * 12 + 1 * 4 + 3);
}

TEST_CASE("the extents of a tensor follow its axes", "[dlpack]") {
  example const e({2, 3, 5, 4});
  auto const head_first = dlpack::extents_of(e.tensor);
  REQUIRE(head_first);
  CHECK(head_first->sequences == 2);
  CHECK(head_first->heads == 3);
  CHECK(head_first->slots == 5);
  CHECK(head_first->head_dim == 4);
  auto const slot_first = dlpack::extents_of(e.tensor, tensor_axes::batch_slot_head_dim);
  CHECK(slot_first->heads == 5);
  CHECK(slot_first->slots == 3);
}

TEST_CASE("strides and byte offset say where elements are", "[dlpack]") {
  example e({2, 3, 5, 4}, {7, 300, 20, 2});  // the batch lies inside a slot, every second element is used
  e.tensor.strides[0] = 1;
  e.tensor.byte_offset = 11 * sizeof(float);
  auto const plane = dlpack::plane_of<float>(e.tensor, 1);
  REQUIRE(message(plane) == "ok");
  CHECK(plane->load(0, 0, 0) == 12.f);
  CHECK(plane->load(4, 2, 3) == 11 + 1 + 2 * 300 + 4 * 20 + 3 * 2);

  example transposed({1, 2, 6, 3}, {36, 18, 1, 6});
  auto const values = dlpack::plane_of<float>(transposed.tensor, 0);
  REQUIRE(message(values) == "ok");
  CHECK(values->load(4, 1, 2) == 18 + 4 + 2 * 6);
}

TEST_CASE("axes of one element may have any stride, and get one that suits", "[dlpack]") {
  for (std::int64_t const odd : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-7}, INT64_MAX, INT64_MIN}) {
    CAPTURE(odd);
    example heads({1, 1, 5, 4}, {odd, odd, 4, 1});
    auto const plane = dlpack::plane_of<float>(heads.tensor, 0);
    REQUIRE(message(plane) == "ok");
    CHECK(plane->layout.head_stride == 4);
    CHECK(plane->load(3, 0, 2) == 14.f);

    example slots({2, 3, 1, 4}, {12, 4, odd, 1});
    auto const row = dlpack::plane_of<float>(slots.tensor, 1);
    REQUIRE(message(row) == "ok");
    CHECK(row->layout.slot_stride == 4);
    CHECK(row->load(0, 2, 3) == 23.f);

    example dims({2, 3, 5, 1}, {15, 5, 1, odd});
    auto const thin = dlpack::plane_of<float>(dims.tensor, 1);
    REQUIRE(message(thin) == "ok");
    CHECK(thin->layout.dim_stride == 1);
    CHECK(thin->load(4, 2, 0) == 29.f);
  }
}

TEST_CASE("every plane is one that the stages accept", "[dlpack]") {
  for (auto const& strides : {std::vector<std::int64_t>{60, 20, 4, 1}, {0, 0, 0, 0}, {60, 4, 12, 1}}) {
    bool const single = strides[0] == 0;
    example e(single ? std::vector<std::int64_t>{1, 1, 1, 1} : std::vector<std::int64_t>{2, 3, 5, 4},
              strides);
    auto const plane = dlpack::plane_of<float>(e.tensor, 0);
    REQUIRE(message(plane) == "ok");
    CHECK(message(plane->layout.validate(plane->slots, plane->heads, plane->head_dim, 4)) == "ok");
  }
}

TEST_CASE("rank and extents are checked", "[dlpack]") {
  example const flat({2, 3, 5});
  CHECK(problem(flat.tensor) == "tensor.ndim: got 3, must equal 4");
  example e({2, 3, 5, 4});
  e.tensor.shape = nullptr;
  CHECK(problem(e.tensor) == "tensor.shape: must not be null");
  e.tensor.shape = e.shape;
  CHECK(problem(e.tensor) == "ok");
  char const* const names[] = {"(B, sequences)", "(H, heads)", "(N, slots)", "(D, head dimension)"};
  for (std::size_t axis = 0; axis < 4; ++axis) {
    std::string const name = std::string("tensor.shape ") + names[axis];
    std::int64_t const kept = e.shape[axis];
    e.shape[axis] = 0;
    CHECK(problem(e.tensor) == name + ": got 0, must be at least 1");
    e.shape[axis] = std::int64_t{INT_MAX} + 1;
    CHECK(problem(e.tensor) == name + ": got 2147483648, must be at most 2147483647");
    e.shape[axis] = kept;
  }
  CHECK(message(dlpack::plane_of<float>(e.tensor, 0, tensor_axes::batch_slot_head_dim)) == "ok");
  e.shape[1] = 0;
  CHECK(message(dlpack::plane_of<float>(e.tensor, 0, tensor_axes::batch_slot_head_dim)) ==
        "tensor.shape (N, slots): got 0, must be at least 1");
}

TEST_CASE("the sequence must exist", "[dlpack]") {
  example const e({2, 3, 5, 4});
  CHECK(problem(e.tensor, 1) == "ok");
  CHECK(problem(e.tensor, 2) == "sequence: got 2, must be at most 1");
  CHECK(problem(e.tensor, -1) == "sequence: got -1, must be at least 0");
}

TEST_CASE("the element type must be the tensor's", "[dlpack]") {
  example e({2, 3, 5, 4});
  CHECK(problem<wkv::float16>(e.tensor) == "tensor.dtype.bits: got 32, must equal 16");
  CHECK(problem<wkv::bfloat16>(e.tensor) == "tensor.dtype.code: got 2, must equal 4");
  e.tensor.dtype = f16;
  CHECK(problem<wkv::float16>(e.tensor) == "ok");
  CHECK(problem<float>(e.tensor) == "tensor.dtype.bits: got 16, must equal 32");
  e.tensor.dtype = bf16;
  CHECK(problem<wkv::bfloat16>(e.tensor) == "ok");
  CHECK(problem<wkv::float16>(e.tensor) == "tensor.dtype.code: got 4, must equal 2");
  e.tensor.dtype = {10, 8, 1};
  CHECK(problem<wkv::float8_e4m3>(e.tensor) == "ok");
  CHECK(problem<wkv::float8_e5m2>(e.tensor) == "tensor.dtype.code: got 10, must equal 12");
  e.tensor.dtype = {12, 8, 1};
  CHECK(problem<wkv::float8_e5m2>(e.tensor) == "ok");
  e.tensor.dtype = {0, 32, 1};
  CHECK(problem(e.tensor) == "tensor.dtype.code: got 0, must equal 2");
  e.tensor.dtype = {2, 32, 4};
  CHECK(problem(e.tensor) == "tensor.dtype.lanes: got 4, must equal 1");
}

TEST_CASE("a 16-bit tensor is read as it is stored", "[dlpack]") {
  example e({1, 1, 3, 2});
  std::vector<wkv::bfloat16> numbers(6, wkv::bfloat16(0.f));
  numbers[5] = wkv::bfloat16(-1.5f);
  e.tensor.data = numbers.data();
  e.tensor.dtype = bf16;
  CHECK(dlpack::plane_of<wkv::bfloat16>(e.tensor, 0)->load(2, 0, 1) == -1.5f);
  e.tensor.byte_offset = 2;
  e.shape[2] = 2;
  CHECK(dlpack::plane_of<wkv::bfloat16>(e.tensor, 0)->address(1, 0, 1) == numbers.data() + 4);
}

TEST_CASE("memory must be the host's, or for a device plane the device's", "[dlpack]") {
  example e({2, 3, 5, 4});
  auto const on_host = [&](device_kind kind) {
    e.tensor.device.device_type = kind;
    return problem(e.tensor);
  };
  auto const on_device = [&](device_kind kind) {
    e.tensor.device.device_type = kind;
    return message(dlpack::plane_of<float, wkv::memory_space::device>(e.tensor, 1));
  };
  CHECK(on_host(cpu) == "ok");
  CHECK(on_host(cuda_host) == "ok");
  CHECK(on_host(cuda) ==
        "tensor.device.device_type (host memory is wanted): got 2, must be kDLCUDAHost (3) or kDLCPU, 1");
  CHECK(on_host(cuda_managed) != "ok");
  CHECK(on_host(metal) != "ok");
  CHECK(on_device(cuda) == "ok");
  CHECK(on_device(cuda_managed) == "ok");
  CHECK(
      on_device(cpu) ==
      "tensor.device.device_type (CUDA memory is wanted): got 1, must be kDLCUDAManaged (13) or kDLCUDA, 2");
  CHECK(on_device(cuda_host) != "ok");

  e.tensor.device.device_type = cuda;
  auto const plane = dlpack::plane_of<float, wkv::memory_space::device>(e.tensor, 1);
  static_assert(
      std::is_same_v<decltype(plane), wkv::result<wkv::dense_plane<float, wkv::memory_space::device>> const>);
  CHECK(plane->data == e.memory.data() + 60);
  CHECK(plane->slots == 5);
  CHECK(plane->layout.slot_stride == 4);
  CHECK(dlpack::plane_of<float>(e.tensor, 0).error().code() == wkv::status_code::unsupported);
}

TEST_CASE("null and misaligned memory is refused", "[dlpack]") {
  example e({2, 3, 5, 4});
  e.tensor.data = nullptr;
  CHECK(problem(e.tensor) == "tensor.data: must not be null");
  e.tensor.data = e.memory.data();
  e.tensor.byte_offset = 2;
  CHECK(problem(e.tensor) == "tensor.data + byte_offset: got 2, bytes off an alignment of 4");
  CHECK(dlpack::plane_of<float>(e.tensor, 0).error().code() == wkv::status_code::misaligned);
  e.tensor.dtype = f16;
  CHECK(problem<wkv::float16>(e.tensor) == "ok");
}

TEST_CASE("strides of a tensor that are not positive are refused", "[dlpack]") {
  char const* const names[] = {"(B, sequences)", "(H, heads)", "(N, slots)", "(D, head dimension)"};
  for (std::size_t axis = 0; axis < 4; ++axis) {
    for (std::int64_t const bad : {std::int64_t{0}, std::int64_t{-4}}) {
      example e({2, 3, 5, 4}, {60, 20, 4, 1});
      e.strides[axis] = bad;
      CHECK(problem(e.tensor) == std::string("tensor.strides ") + names[axis] + ": got " +
                                     std::to_string(bad) + ", must be at least 1");
    }
  }
}

TEST_CASE("strides of a tensor that make elements overlap are refused, over sequences too", "[dlpack]") {
  auto const with_strides = [](std::vector<std::int64_t> const& strides) {
    example const e({2, 3, 5, 4}, strides);
    return problem(e.tensor);
  };
  CHECK(with_strides({60, 20, 4, 1}) == "ok");
  CHECK(with_strides({59, 20, 4, 1}) == "layout (elements overlap): stride: got 59, must be at least 60");
  CHECK(with_strides({60, 19, 4, 1}) == "layout (elements overlap): stride: got 19, must be at least 20");
  CHECK(with_strides({60, 20, 3, 1}) == "layout (elements overlap): stride: got 3, must be at least 4");
  CHECK(with_strides({1, 40, 8, 2}) == "ok");
  CHECK(with_strides({1, 40, 8, 1}) == "layout (elements overlap): stride: got 1, must be at least 2");
}

TEST_CASE("strides of a tensor that overflow an offset are refused", "[dlpack]") {
  std::int64_t const most = INT64_MAX / 4 - 60;  // 60 elements precede
  example e({2, 3, 5, 4}, {most, 20, 4, 1});
  CHECK(problem(e.tensor) == "ok");
  e.strides[0] = most + 1;
  CHECK(problem(e.tensor) == "layout (offset overflows): stride: got " + std::to_string(most + 1) +
                                 ", must be at most " + std::to_string(most));
  example const large({INT_MAX, INT_MAX, INT_MAX, INT_MAX});
  CHECK(problem(large.tensor).find("tensor.shape: got 2147483647, overflows an offset: must be at most ") ==
        0);
}

TEST_CASE("a managed tensor is as good as the tensor in it", "[dlpack]") {
  example e({2, 3, 5, 4});
  dl_managed_tensor const managed{e.tensor, nullptr, nullptr};
  auto const plane = dlpack::plane_of<float>(managed, 1);
  REQUIRE(message(plane) == "ok");
  CHECK(plane->load(4, 2, 3) == 119.f);
  CHECK(dlpack::extents_of(managed)->slots == 5);
}

TEST_CASE("the version and the read-only flag of a tensor are obeyed", "[dlpack]") {
  example e({2, 3, 5, 4});
  dl_managed_tensor_versioned versioned{{1, 3}, nullptr, nullptr, 0, e.tensor};
  CHECK(message(dlpack::plane_of<float>(versioned, 0)) == "ok");
  versioned.flags = 2;  // "is a copy" forbids nothing
  CHECK(message(dlpack::plane_of<float>(versioned, 0)) == "ok");
  versioned.flags = 3;
  CHECK(message(dlpack::plane_of<float>(versioned, 0)) ==
        "tensor.flags: the tensor is read-only and would be written to");
  auto const readable = dlpack::plane_of<float const>(versioned, 1);
  REQUIRE(message(readable) == "ok");
  static_assert(std::is_same_v<decltype(readable->data), float const*>);
  CHECK(readable->load(4, 2, 3) == 119.f);

  versioned.version.major = 2;
  versioned.dl_tensor.shape = nullptr;  // of another layout: must not be looked at
  CHECK(message(dlpack::plane_of<float const>(versioned, 0)) == "tensor.version.major: got 2, must equal 1");
  CHECK(message(dlpack::extents_of(versioned)) == "tensor.version.major: got 2, must equal 1");
}

TEST_CASE("the element type is found at run time", "[dlpack]") {
  example e({1, 1, 1, 1});
  auto const name = [&] {
    return dlpack::with_element_type(e.tensor, [](auto element) -> wkv::result<std::string> {
      using T = decltype(element);
      return std::string(std::is_same_v<T, float>          ? "float"
                         : std::is_same_v<T, wkv::float16> ? "float16"
                                                           : "bfloat16");
    });
  };
  e.tensor.dtype = f32;
  CHECK(*name() == "float");
  e.tensor.dtype = f16;
  CHECK(*name() == "float16");
  e.tensor.dtype = bf16;
  CHECK(*name() == "bfloat16");
  for (dl_data_type const& other : {dl_data_type{2, 64, 1}, {0, 32, 1}, {4, 32, 1}, {2, 16, 2}, {10, 8, 1}}) {
    e.tensor.dtype = other;
    CHECK(message(name()) == "tensor.dtype: must be float32, float16 or bfloat16, one lane");
    CHECK(name().error().code() == wkv::status_code::unsupported);
  }
}

TEST_CASE("a batch in a tensor is compressed one sequence at a time", "[dlpack]") {
  wkv::model_shape const shape{1, 2, 2, 4};
  constexpr int tokens = 40;
  example keys({2, 2, tokens, 4});
  example values({2, 2, tokens, 4});
  example queries({2, 2, 16, 4});
  for (float& x : queries.memory) x = 0.01f * static_cast<float>(static_cast<int>(x) % 13);
  std::vector<float> const before = values.memory;

  auto const method = wkv::default_method().with_budget(24);
  auto const plan = wkv::make_plan(method, shape, wkv::prompt{tokens, wkv::task::aggregation});
  REQUIRE(message(plan) == "ok");
  wkv_test::scratch const memory(plan->workspace_bytes);
  auto const k = dlpack::plane_of<float>(keys.tensor, 1);
  auto const v = dlpack::plane_of<float>(values.tensor, 1);
  auto const q = dlpack::plane_of<float const>(queries.tensor, 1);
  REQUIRE((k.ok() && v.ok() && q.ok()));
  auto const report = wkv::compress(
      wkv_test::serial, *plan, memory.get(), [&](int) { return wkv::suffix_queries{*q}; },
      [&](int) {
        return wkv::kv_view{*k, *v};
      });
  REQUIRE(message(report) == "ok");
  REQUIRE(report->group[0].kept == 24);
  for (int i = 0; i < 24; ++i) {
    int const slot = report->group[0].slots[i];
    CHECK(v->load(i, 1, 3) == before[static_cast<std::size_t>((3 * tokens + slot) * 4 + 3)]);
  }
  // The other sequence and what lies behind the tensor are as they were.
  std::size_t const first = std::size_t{2} * tokens * 4;
  for (std::size_t i = 0; i < first; ++i) REQUIRE(values.memory[i] == before[i]);
  for (std::size_t i = 2 * first; i < before.size(); ++i) REQUIRE(values.memory[i] == before[i]);
}
