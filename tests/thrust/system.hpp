// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The system under test is Thrust's device system, THRUST_DEVICE_SYSTEM: its executor, its memory, and
// compressions that run there and on the host backend side by side.

#include <thrust/execution_policy.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/thrust/compress.cuh"

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#include <cuda_runtime.h>
#endif

namespace wkv_test {

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

inline bool has_device() {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
}
inline cudaStream_t stream() {
  static cudaStream_t const created = [] {
    cudaStream_t s = nullptr;
    REQUIRE(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking) == cudaSuccess);
    return s;
  }();
  return created;
}
inline auto backend() { return wkv::thrust_executor{thrust::cuda::par_nosync.on(stream())}; }
template <class Allocator>
auto backend_with(Allocator& allocator) {
  return wkv::thrust_executor{thrust::cuda::par_nosync(allocator).on(stream())};
}
inline void* allocate(std::size_t size) {
  void* data = nullptr;
  REQUIRE(cudaMalloc(&data, size + 1) == cudaSuccess);
  return data;
}
inline void release(void* data) { cudaFree(data); }
inline void copy_bytes(void* to, void const* from, std::size_t size) {
  REQUIRE(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream()) == cudaSuccess);
  REQUIRE(cudaStreamSynchronize(stream()) == cudaSuccess);
}

#else

inline bool has_device() { return true; }
inline auto backend() { return wkv::thrust_executor{thrust::device}; }
template <class Allocator>
auto backend_with(Allocator& allocator) {
  return wkv::thrust_executor{thrust::device(allocator)};
}
inline constexpr std::align_val_t block_alignment{wkv::workspace_alignment};
inline void* allocate(std::size_t size) { return ::operator new(size, block_alignment); }
inline void release(void* data) { ::operator delete(data, block_alignment); }
inline void copy_bytes(void* to, void const* from, std::size_t size) {
  if (size > 0) std::memcpy(to, from, size);
}

#endif

using executor = decltype(backend());
inline constexpr wkv::memory_space space = executor::space;

template <class T>
std::vector<T> fetch(T const* data, std::size_t count) {
  std::vector<T> all(count);
  copy_bytes(all.data(), data, count * sizeof(T));
  return all;
}
template <class T>
std::vector<T> fetch(T const* data, int count) {
  return fetch(data, static_cast<std::size_t>(count));
}

/// An array in the backend's memory, of exactly its size.
template <class T>
class resident {
 public:
  explicit resident(std::vector<T> const& values)
      : count_(values.size()), data_(static_cast<T*>(allocate(count_ * sizeof(T)))) {
    copy_bytes(data_, values.data(), count_ * sizeof(T));
  }
  resident(resident const&) = delete;
  resident& operator=(resident const&) = delete;
  resident(resident&& other) noexcept : count_(other.count_), data_(other.data_) { other.data_ = nullptr; }
  ~resident() { release(data_); }

  T* data() const { return data_; }
  std::vector<T> get() const { return fetch<T>(data_, count_); }
  wkv::workspace workspace() const { return {data_, count_ * sizeof(T)}; }

 private:
  std::size_t count_;
  T* data_;
};

/// A `stored` plane's memory, canaries included, in the backend's memory.
template <class T>
struct resident_plane {
  resident<T> memory;
  wkv::dense_plane<T, space> plane;

  explicit resident_plane(stored<T> const& s)
      : memory(s.memory),
        plane{memory.data() + (s.plane.data - s.memory.data()),
              s.plane.slots,
              s.plane.heads,
              s.plane.head_dim,
              s.plane.layout,
              {}} {}
  std::vector<float> floats() const {
    std::vector<float> all;
    for (T const& x : memory.get()) all.push_back(static_cast<float>(x));
    return all;
  }
};

template <class T>
std::vector<T> copied(T const* data, int count) {
  return {data, data + count};
}

/// The bits of floats, so that NaN equals NaN and -0 differs from 0.
inline std::vector<std::uint32_t> bits(std::vector<float> const& values) {
  std::vector<std::uint32_t> all;
  for (float const x : values) all.push_back(x == x ? wkv::detail::float_bits(x) : 0x7fc00000u);
  return all;
}

inline std::vector<unsigned char> dirty(std::size_t size) { return std::vector<unsigned char>(size, 0xa5); }

/// One plan, begun on the host backend and on Thrust.
template <class Method>
struct both {
  wkv::plan<Method> plan;
  scratch host_memory;
  resident<unsigned char> memory;
  wkv::compression<Method> host;
  wkv::thrust_compression<Method> run;

  both(Method const& method, wkv::model_shape const& shape, int tokens,
       wkv::task task = wkv::task::localization)
      : plan(make(method, shape, {tokens, task})),
        host_memory(plan.workspace_bytes),
        memory(dirty(wkv::thrust_workspace_bytes(plan))) {
    host = *wkv::begin(plan, host_memory.get());
    auto begun = wkv::begin(backend(), plan, memory.workspace());
    REQUIRE(message(begun) == "ok");
    run = *std::move(begun);
  }

  /// Scores a layer from given token scores [heads][R].
  void score(int layer, std::vector<float> const& scores, int heads) {
    wkv::token_scores source{scores.data(), heads, plan.review, plan.review};
    REQUIRE(message(wkv::score(serial, host, layer, source)) == "ok");
    resident<float> const there(scores);
    source.data = there.data();
    REQUIRE(message(wkv::score(backend(), run, layer, source)) == "ok");
    fetch(run.counts(), 1);  // the work has run before `there` goes
  }

  std::vector<float> host_scores(int group = 0) const {
    float const* const first = host.token_scores(group);
    return {first, first + static_cast<std::ptrdiff_t>(plan.score_rows) * plan.review};
  }
  std::vector<float> scores(int group = 0) const {
    auto const buffer = wkv::compression_access::memory(run).buffer_of(plan, group);
    return fetch<float>(buffer.scores, plan.score_rows * plan.review);
  }

  /// Selects a group on both and compares everything that a selection says.
  wkv::selection select(int group = 0) {
    auto const expected = wkv::select(serial, host, group);
    REQUIRE(message(expected) == "ok");
    auto const got = wkv::select(backend(), run, group);
    REQUIRE(message(got) == "ok");
    CHECK(got->group == group);
    CHECK(got->tokens == plan.prompt.tokens);
    CHECK(got->max_kept == plan.group[group].max_kept);
    CHECK(got->max_rows == plan.group[group].max_rows);
    REQUIRE(got->lists == expected->lists);
    wkv::selection_counts const counts = fetch(got->counts, 1)[0];
    REQUIRE(counts.kept == expected->kept);
    REQUIRE(counts.windows == expected->windows);
    REQUIRE(counts.rows == expected->rows());
    CHECK(fetch(got->slots, counts.rows) == copied(expected->slots, counts.rows));
    CHECK(fetch(got->window_ids, counts.windows) == windows_of(*expected));
    CHECK(fetch(got->offsets, got->lists + 1) == copied(expected->offsets, got->lists + 1));
    CHECK(fetch(got->window_offsets, got->lists + 1) == copied(expected->window_offsets, got->lists + 1));
    if (expected->retained == expected->retained) {
      CHECK(counts.retained == Approx(expected->retained).epsilon(1e-5).margin(1e-7));
    } else {
      CHECK(counts.retained != counts.retained);
    }
    if (plan.group[group].keeps_all == 0) {
      int const all = plan.lists * plan.windows;
      CHECK(bits(fetch(run.window_scores(group), all)) == bits(copied(host.window_scores(), all)));
    }
    return *expected;
  }

 private:
  static wkv::plan<Method> make(Method const& method, wkv::model_shape const& shape,
                                wkv::prompt const& request) {
    auto const made = wkv::make_plan(method, shape, request);
    REQUIRE(message(made) == "ok");
    return *made;
  }
};

/// `sequence` in the backend's memory.
template <class T>
class resident_sequence {
 public:
  explicit resident_sequence(sequence<T> const& source) {
    for (auto const& each : source.layers) {
      layers_.push_back({resident_plane<T>(each.queries), resident_plane<T>(each.keys),
                         resident_plane<T>(each.values), resident<std::int32_t>(each.positions)});
    }
  }
  wkv::suffix_queries<wkv::dense_plane<T, space>> queries(int l) const { return {at(l).queries.plane}; }
  wkv::kv_view<wkv::dense_plane<T, space>, wkv::dense_plane<T, space>> kv(int l) const {
    return {at(l).keys.plane, at(l).values.plane, at(l).positions.data()};
  }
  std::vector<float> contents() const {
    std::vector<float> all;
    for (auto const& each : layers_) {
      for (auto const* part : {&each.keys, &each.values}) {
        std::vector<float> const floats = part->floats();
        all.insert(all.end(), floats.begin(), floats.end());
      }
      for (std::int32_t const position : each.positions.get()) all.push_back(static_cast<float>(position));
    }
    return all;
  }

 private:
  struct layer {
    resident_plane<T> queries;
    resident_plane<T> keys;
    resident_plane<T> values;
    resident<std::int32_t> positions;
  };
  layer const& at(int l) const { return layers_[static_cast<std::size_t>(l)]; }

  std::vector<layer> layers_;
};

/// Few distinct values, so that ties are common, among them NaN, infinities and -0.
inline std::vector<float> odd_scores(random_source& random, int count) {
  std::vector<float> all;
  float const odd[] = {not_a_number, infinity, -infinity, -0.f};
  for (int j = 0; j < count; ++j) {
    all.push_back(random.below(25) == 0 ? odd[random.below(4)] : static_cast<float>(random.below(6)));
  }
  return all;
}
/// Scores without ties, whose sums round.
inline std::vector<float> plain_scores(random_source& random, int count) {
  std::vector<float> all;
  for (int j = 0; j < count; ++j) all.push_back(random.symmetric() + 1.f);
  return all;
}

}  // namespace wkv_test
