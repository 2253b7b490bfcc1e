// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// Compresses the cache of a whole prompt in place, on a GPU. The memory here is made up; an engine points at
// its own.

#include <windowkv/print.hpp>
#include <windowkv/windowkv.cuh>

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

namespace wkv = windowkv;

namespace {

constexpr wkv::model_shape shape{32, 8, 2, 64};  // L, Hq, Hkv, D
constexpr int n_tokens = 2000;

void check(cudaError_t error) {
  if (error == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(error));
  std::exit(1);
}

/// Device memory with random numbers.
wkv::bfloat16* random_device_memory(std::size_t count) {
  static std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<wkv::bfloat16> numbers(count);
  for (wkv::bfloat16& x : numbers) x = wkv::bfloat16(normal(random));
  void* memory = nullptr;
  check(cudaMalloc(&memory, count * sizeof(wkv::bfloat16)));
  check(cudaMemcpy(memory, numbers.data(), count * sizeof(wkv::bfloat16), cudaMemcpyHostToDevice));
  return static_cast<wkv::bfloat16*>(memory);
}

struct layer_cache {
  wkv::bfloat16* queries = random_device_memory(std::size_t{16} * 8 * 64);  // of the last 16 tokens
  wkv::bfloat16* keys = random_device_memory(std::size_t{n_tokens} * 2 * 64);
  wkv::bfloat16* values = random_device_memory(std::size_t{n_tokens} * 2 * 64);
};

wkv::status compress_prompt(std::vector<layer_cache>& cache, cudaStream_t stream) {
  auto queries = [&](int layer) {
    auto const plane = wkv::slot_head_dim(cache[std::size_t(layer)].queries, 16, 8, 64);
    return wkv::suffix_queries{wkv::in_device_memory(plane)};
  };
  auto kv = [&](int layer) {
    layer_cache& c = cache[std::size_t(layer)];
    return wkv::kv_view{wkv::in_device_memory(wkv::slot_head_dim(c.keys, n_tokens, 2, 64)),
                        wkv::in_device_memory(wkv::slot_head_dim(c.values, n_tokens, 2, 64))};
  };

  auto const method = wkv::default_method().with_budget(240);  // 12 % of the prompt per layer, on average
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, wkv::prompt{n_tokens, wkv::task::localization}));

  wkv::workspace memory{nullptr, wkv::cuda_workspace_bytes(plan)};
  check(cudaMalloc(&memory.data, memory.bytes));
  wkv::cuda_executor<wkv::head_dims<64>> const on{stream};
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(on, plan, memory));
  WINDOWKV_TRY(wkv::compress(on, run, queries, kv));  // queued: four kernels, and nothing else

  std::vector<wkv::selection_counts> counts(std::size_t(plan.groups));
  check(cudaMemcpyAsync(counts.data(), run.counts(), counts.size() * sizeof(counts[0]),
                        cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  wkv::print(stdout, wkv::report(run, counts.data()));
  check(cudaFree(memory.data));
  return {};
}

}  // namespace

int main() {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    std::puts("skipped: no CUDA device");
    return 0;
  }
  cudaStream_t stream = nullptr;
  check(cudaStreamCreate(&stream));
  std::vector<layer_cache> cache(std::size_t(shape.layers));
  wkv::status const outcome = compress_prompt(cache, stream);
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  return outcome ? 0 : 1;
}
