// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// The device of the tests and its memory: a GPU where nvcc compiles them, else the emulator.

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/cuda/executor.cuh"

#if defined(__CUDACC__)
#include <cuda_runtime.h>

#include <cstdlib>
#include <string>
#else
#include "cuda_emulator.hpp"
#endif

/// First statement of every test case that needs the device. WINDOWKV_REQUIRE_GPU=1 makes its absence a
/// failure.
#define WKV_NEEDS_DEVICE()                                                  \
  do {                                                                      \
    if (!wkv_test::has_device()) {                                          \
      if (wkv_test::must_have_device()) FAIL("no CUDA device can be used"); \
      WKV_SKIP("no CUDA device");                                           \
    }                                                                       \
  } while (false)

namespace wkv_test {

#if defined(__CUDACC__)

inline constexpr bool is_emulated = false;

inline bool has_device() {
  int devices = 0;
  return cudaGetDeviceCount(&devices) == cudaSuccess && devices > 0;
}
inline bool must_have_device() {
  char const* const value = std::getenv("WINDOWKV_REQUIRE_GPU");
  return value != nullptr && std::string(value) == "1";
}
inline void require_success(cudaError_t error) {
  REQUIRE(std::string(cudaGetErrorString(error)) == "no error");
}
/// A stream of its own, so that nothing works only thanks to the default stream's order.
inline cudaStream_t stream() {
  static cudaStream_t const created = [] {
    cudaStream_t s = nullptr;
    require_success(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking));
    return s;
  }();
  return created;
}
inline void* allocate(std::size_t size) {
  void* data = nullptr;
  require_success(cudaMalloc(&data, size > 0 ? size : 1));
  return data;
}
inline void release(void* data) { cudaFree(data); }
/// Ends when everything queued before has run.
inline void copy_bytes(void* to, void const* from, std::size_t size) {
  if (size > 0) require_success(cudaMemcpyAsync(to, from, size, cudaMemcpyDefault, stream()));
  require_success(cudaStreamSynchronize(stream()));
}

#else

inline constexpr bool is_emulated = true;

constexpr bool has_device() { return true; }
constexpr bool must_have_device() { return true; }
constexpr cudaStream_t stream() { return nullptr; }
inline constexpr std::align_val_t device_alignment{wkv::workspace_alignment};
inline void* allocate(std::size_t size) { return ::operator new(size, device_alignment); }
inline void release(void* data) { ::operator delete(data, device_alignment); }
inline void copy_bytes(void* to, void const* from, std::size_t size) {
  if (size > 0) std::memcpy(to, from, size);
}

#endif

template <int... HeadDims>
wkv::cuda_executor<wkv::head_dims<HeadDims...>> executor_of(wkv::cuda_tuning const* tuning = nullptr) {
  return {stream(), tuning};
}

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

/// An array in device memory, of exactly its size.
template <class T>
class device_array {
 public:
  explicit device_array(std::vector<T> const& values)
      : count_(values.size()), data_(static_cast<T*>(allocate(count_ * sizeof(T)))) {
    set(values);
  }
  device_array(device_array const&) = delete;
  device_array& operator=(device_array const&) = delete;
  device_array(device_array&& other) noexcept
      : count_(other.count_), data_(std::exchange(other.data_, nullptr)) {}
  ~device_array() {
    if (data_ != nullptr) release(data_);
  }

  T* data() const { return data_; }
  std::vector<T> get() const { return fetch<T>(data_, count_); }
  void set(std::vector<T> const& values) { copy_bytes(data_, values.data(), values.size() * sizeof(T)); }
  wkv::workspace workspace() const { return {data_, count_ * sizeof(T)}; }

 private:
  std::size_t count_;
  T* data_;
};

/// A workspace that was used before.
inline device_array<unsigned char> dirty_memory(std::size_t size) {
  return device_array<unsigned char>(std::vector<unsigned char>(size, 0xa5));
}

/// A `stored` plane's memory, canaries included, in device memory.
template <class T>
struct device_plane {
  device_array<T> memory;
  wkv::dense_plane<T, wkv::memory_space::device> plane;

  explicit device_plane(stored<T> const& s)
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

/// A `sequence` in device memory.
template <class T>
class device_sequence {
 public:
  explicit device_sequence(sequence<T> const& source) {
    for (auto const& each : source.layers) {
      layers_.push_back({device_plane<T>(each.queries), device_plane<T>(each.keys),
                         device_plane<T>(each.values), device_array<std::int32_t>(each.positions)});
    }
  }
  auto queries(int l) const { return wkv::suffix_queries{at(l).queries.plane}; }
  auto kv(int l) const { return wkv::kv_view{at(l).keys.plane, at(l).values.plane, at(l).positions.data()}; }
  /// As sequence::contents.
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
  /// Everything as in `source`, which has the same shape.
  void set(sequence<T> const& source) {
    for (std::size_t l = 0; l < layers_.size(); ++l) {
      layers_[l].queries.memory.set(source.layers[l].queries.memory);
      layers_[l].keys.memory.set(source.layers[l].keys.memory);
      layers_[l].values.memory.set(source.layers[l].values.memory);
      layers_[l].positions.set(source.layers[l].positions);
    }
  }

 private:
  struct layer {
    device_plane<T> queries;
    device_plane<T> keys;
    device_plane<T> values;
    device_array<std::int32_t> positions;
  };
  layer const& at(int l) const { return layers_[static_cast<std::size_t>(l)]; }

  std::vector<layer> layers_;
};

}  // namespace wkv_test
