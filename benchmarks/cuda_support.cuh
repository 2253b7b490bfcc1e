// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// What the device benchmarks share: memory, random data, graphs and the way to time them.

#include <benchmark/benchmark.h>
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace wkv_bench {

inline void check(cudaError_t error, char const* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

/// Device memory that one benchmark owns.
class device_memory {
 public:
  device_memory() = default;
  explicit device_memory(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaMalloc(&data_, bytes), "cudaMalloc");
  }
  device_memory(device_memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  device_memory& operator=(device_memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~device_memory() { cudaFree(data_); }

  std::size_t bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

template <class T>
std::vector<T> to_host(T const* data, std::size_t count) {
  std::vector<T> out(count);
  check(cudaMemcpy(out.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "cudaMemcpy");
  return out;
}

/// Sums of four uniform numbers, with variance 1: close enough to a normal distribution.
template <class T>
__global__ void fill_random(T* out, std::size_t count, float scale) {
  std::size_t const stride = std::size_t{gridDim.x} * blockDim.x;
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += stride) {
    std::uint64_t x = (i + 1) * 0x9e3779b97f4a7c15ull;  // splitmix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    x ^= x >> 31;
    float sum = 0.f;
    for (int part = 0; part < 4; ++part)
      sum += static_cast<float>((x >> (16 * part)) & 0xffffu) * (1.f / 65536.f);
    out[i] = static_cast<T>((sum - 2.f) * 1.7320508f * scale);
  }
}

template <class T>
__global__ void fill_value(T* out, std::size_t count, T value) {
  std::size_t const i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) out[i] = value;
}

/// Keeps the stream busy while the host queues what is to be timed, so that no launch waits for the host.
static __global__ void spin(unsigned nanoseconds) {
  std::uint64_t begin;
  std::uint64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(begin));
  do {
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  } while (now - begin < nanoseconds);
}

static __global__ void nothing() {}

/// The stream, the events and the memory that all benchmarks use in turn.
class device {
 public:
  static device& get() {
    static device instance;
    return instance;
  }

  cudaStream_t stream = nullptr;
  double copy_rate = 0;  ///< bytes read and written per second, cudaMemcpyAsync within the device

  void synchronize() const { check(cudaStreamSynchronize(stream), "cudaStreamSynchronize"); }

  /// Random bfloat16 of at least that many bytes; valid until more are asked for. Caches, queries and keys
  /// lie in it: benchmarks move its rows about, which leaves them random.
  char* random_bytes(std::size_t bytes) {
    if (random_.bytes() < bytes) {
      random_ = device_memory();
      random_ = device_memory(bytes);
      fill_random<<<4096, 256, 0, stream>>>(random_.as<__nv_bfloat16>(), bytes / 2, 1.f);
      check(cudaGetLastError(), "fill_random");
      synchronize();
    }
    return random_.as<char>();
  }
  void release_random() { random_ = device_memory(); }

  /// Most bytes that `random_bytes` can give while leaving `others` bytes for the rest.
  std::size_t random_capacity(std::size_t others) const {
    std::size_t free = 0;
    std::size_t total = 0;
    check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    free += random_.bytes();
    std::size_t const rest = others + (std::size_t{2} << 30);
    return free > rest ? free - rest : 0;
  }

  void flush_cache() const {
    check(cudaMemsetAsync(flushed_.as<void>(), 0x5a, flushed_.bytes(), stream), "cudaMemsetAsync");
  }

  /// Milliseconds on the device between the begin and the end of what `queue` queues.
  template <class Queue>
  float milliseconds(Queue&& queue) const {
    check(cudaEventRecord(begin_, stream), "cudaEventRecord");
    queue();
    check(cudaEventRecord(end_, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end_), "cudaEventSynchronize");
    float out = 0;
    check(cudaEventElapsedTime(&out, begin_, end_), "cudaEventElapsedTime");
    return out;
  }

 private:
  device() {
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    check(cudaEventCreate(&begin_), "cudaEventCreate");
    check(cudaEventCreate(&end_), "cudaEventCreate");
    flushed_ = device_memory(std::size_t{256} << 20);
    measure_copy_rate();
  }

  void measure_copy_rate() {
    constexpr std::size_t bytes = std::size_t{1} << 30;
    char* const data = random_bytes(2 * bytes);
    std::vector<float> times;
    for (int i = 0; i < 15; ++i) {
      times.push_back(milliseconds([&] {
        check(cudaMemcpyAsync(data + bytes, data, bytes, cudaMemcpyDeviceToDevice, stream),
              "cudaMemcpyAsync");
      }));
    }
    std::sort(times.begin() + 3, times.end());  // the first three warm up
    copy_rate = 2.0 * bytes / (1e-3 * static_cast<double>(times[3 + (times.size() - 3) / 2]));
  }

  device_memory random_;
  device_memory flushed_;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

/// What `queue` queues on the stream, captured. Nothing runs before `launch`.
class graph {
 public:
  template <class Queue>
  graph(device const& on, Queue&& queue) {
    check(cudaStreamBeginCapture(on.stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    try {
      queue();
    } catch (...) {
      cudaStreamEndCapture(on.stream, &graph_);
      cudaGraphDestroy(graph_);
      throw;
    }
    check(cudaStreamEndCapture(on.stream, &graph_), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&executable_, graph_, 0), "cudaGraphInstantiate");
    check(cudaGraphUpload(executable_, on.stream), "cudaGraphUpload");
  }
  graph(graph const&) = delete;
  graph& operator=(graph const&) = delete;
  ~graph() {
    if (executable_ != nullptr) cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
  }

  void launch(device const& on) const { check(cudaGraphLaunch(executable_, on.stream), "cudaGraphLaunch"); }
  std::size_t nodes() const {
    std::size_t count = 0;
    check(cudaGraphGetNodes(graph_, nullptr, &count), "cudaGraphGetNodes");
    return count;
  }

 private:
  cudaGraph_t graph_ = nullptr;
  cudaGraphExec_t executable_ = nullptr;
};

/// One sample per iteration: `prepare` and what sets the state of the L2 cache are outside the timed region,
/// and the stream is kept busy until the graph and both events are queued. A sample holds one launch of a
/// graph; the benchmark `empty` is what that costs with nothing in it.
template <class Prepare>
void time_graph(benchmark::State& state, graph const& timed, bool is_cold, Prepare&& prepare) {
  device const& on = device::get();
  prepare();
  timed.launch(on);  // loads the code
  on.synchronize();
  for (auto _ : state) {
    if (is_cold) {
      prepare();
      on.flush_cache();
    } else {
      prepare();
      timed.launch(on);
      prepare();
    }
    spin<<<1, 1, 0, on.stream>>>(30000);
    float const time = on.milliseconds([&] { timed.launch(on); });
    state.SetIterationTime(1e-3 * static_cast<double>(time));
  }
  check(cudaGetLastError(), "timed work");
  state.counters["launches"] = static_cast<double>(timed.nodes());
}
inline void time_graph(benchmark::State& state, graph const& timed, bool is_cold) {
  time_graph(state, timed, is_cold, [] {});
}

/// bytes/s, and that as a share of the copy's.
inline void count_bytes(benchmark::State& state, double bytes) {
  state.counters["bytes"] = benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_copy"] =
      benchmark::Counter(bytes / device::get().copy_rate, benchmark::Counter::kIsIterationInvariantRate);
}
inline void count_flops(benchmark::State& state, double flops) {
  state.counters["flops"] = benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace wkv_bench
