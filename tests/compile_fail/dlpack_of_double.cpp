// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// expect: windowkv: DLPack tensors are read as float, float16, bfloat16, float8_e4m3 or float8_e5m2
#include "windowkv/interop/dlpack.hpp"

#include <cstdint>

struct tensor {
  void* data;
  struct {
    int device_type;
  } device;
  int ndim;
  struct {
    unsigned char code, bits;
    unsigned short lanes;
  } dtype;
  std::int64_t* shape;
  std::int64_t* strides;
  std::uint64_t byte_offset;
};

void use(tensor const& keys) { (void)windowkv::interop::dlpack::plane_of<double>(keys, 0); }
