// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "fake_cuda.hpp"

#include <cuda_runtime_api.h>

#include <limits>
#include <map>

namespace fake_cuda {
namespace {

struct state {
  std::map<void const*, std::string> names;           // by host function, filled before main
  std::map<void const*, std::size_t> granted_shared;  // cudaFuncSetAttribute
  std::vector<launch> launches;
  std::vector<std::string> violations;
  device present{90, 132};
  bool has_device = true;
  int accepted = std::numeric_limits<int>::max();
};

state& now() {
  static state s;
  return s;
}

/// "score_kernel" of "_ZN8windowkv6detail12score_kernelI...": the last of the nested names.
std::string plain_name(std::string const& mangled) {
  std::string name;
  std::size_t at = mangled.rfind("_ZN", 0) == 0 ? 3 : 2;
  while (at < mangled.size() && mangled[at] >= '0' && mangled[at] <= '9') {
    std::size_t digits = 0;
    std::size_t const length = std::stoul(mangled.substr(at), &digits);
    name = mangled.substr(at + digits, length);
    at += digits + length;
  }
  return name;
}

std::size_t most_shared(int capability) {
  if (capability == 75) return 64 * 1024;
  if (capability == 80 || capability == 87) return 163 * 1024;
  if (capability == 86 || capability == 89 || capability >= 120) return 99 * 1024;
  return 227 * 1024;
}

void refuse_unless(bool holds, std::string const& kernel, char const* what) {
  if (!holds) now().violations.push_back(kernel + ": " + what);
}

}  // namespace

void reset(device const& d) {
  now().granted_shared.clear();
  now().launches.clear();
  now().violations.clear();
  now().present = d;
  now().has_device = true;
  now().accepted = std::numeric_limits<int>::max();
}
std::vector<launch> const& launches() { return now().launches; }
std::vector<std::string> const& violations() { return now().violations; }
void refuse_after(int accepted) { now().accepted = accepted; }
void remove_device() { now().has_device = false; }

}  // namespace fake_cuda

using fake_cuda::now;

extern "C" {

// What nvcc's host code calls before main: a kernel's host function and its name.
void** __cudaRegisterFatBinary(void*) {
  static void* handle = nullptr;
  return &handle;
}
void __cudaRegisterFatBinaryEnd(void**) {}
void __cudaUnregisterFatBinary(void**) {}
void __cudaRegisterFunction(void**, char const* host_function, char*, char const* name, int, void*, void*,
                            void*, void*, int*) {
  now().names[host_function] = fake_cuda::plain_name(name);
}
void __cudaRegisterVar(void**, char*, char*, char const*, int, std::size_t, int, int) {}
// The kernels' stubs for <<<...>>> refer to these (some versions of nvcc to the one, some to the others); the
// library launches in another way.
cudaError_t cudaLaunchKernel(void const*, dim3, dim3, void**, std::size_t, cudaStream_t) {
  now().violations.emplace_back("cudaLaunchKernel");
  return cudaErrorNotSupported;
}
cudaError_t __cudaGetKernel(cudaKernel_t*, void const*) {
  now().violations.emplace_back("__cudaGetKernel");
  return cudaErrorNotSupported;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, std::size_t, cudaStream_t) {
  now().violations.emplace_back("__cudaLaunchKernel");
  return cudaErrorNotSupported;
}
unsigned __cudaPopCallConfiguration(dim3*, dim3*, std::size_t*, void*) { return cudaErrorNotSupported; }

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return now().has_device ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int) {
  switch (attribute) {
    case cudaDevAttrComputeCapabilityMajor:
      *value = now().present.capability / 10;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = now().present.capability % 10;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = now().present.multiprocessors;
      return cudaSuccess;
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t cudaFuncSetAttribute(void const* function, cudaFuncAttribute attribute, int value) {
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return cudaErrorInvalidValue;
  now().granted_shared[function] = static_cast<std::size_t>(value);
  return cudaSuccess;
}

cudaError_t cudaLaunchKernelExC(cudaLaunchConfig_t const* config, void const* function, void**) {
  auto const known = now().names.find(function);
  std::string const name = known == now().names.end() ? "?" : known->second;
  dim3 const& grid = config->gridDim;
  dim3 const& block = config->blockDim;
  auto const granted = now().granted_shared.find(function);
  std::size_t const allowed = granted == now().granted_shared.end() ? 48 * 1024 : granted->second;
  using fake_cuda::refuse_unless;
  refuse_unless(known != now().names.end(), name, "no kernel of this program");
  refuse_unless(grid.x >= 1 && grid.x <= 0x7fffffffu, name, "grid.x");
  refuse_unless(grid.y >= 1 && grid.y <= 65535, name, "grid.y");
  refuse_unless(grid.z >= 1 && grid.z <= 65535, name, "grid.z");
  refuse_unless(block.x >= 1 && block.y == 1 && block.z == 1 && block.x <= 1024, name, "block");
  refuse_unless(config->dynamicSmemBytes <= allowed, name, "shared memory that it did not ask for");
  refuse_unless(config->dynamicSmemBytes <= fake_cuda::most_shared(now().present.capability), name,
                "more shared memory than a block can have");
  if (now().accepted-- <= 0) return cudaErrorLaunchOutOfResources;
  now().launches.push_back({name, config->stream});
  return cudaSuccess;
}

}  // extern "C"
