// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// A CUDA runtime that runs nothing and writes down what it is asked for. It has the functions that the
// library may call between `begin` and the last launch and no others: a program that would allocate, copy or
// synchronise does not link with it.

#include <cstddef>
#include <string>
#include <vector>

namespace fake_cuda {

struct launch {
  std::string kernel;  ///< name without namespaces and arguments
  void* stream;
};

/// The device that there seems to be.
struct device {
  int capability;  ///< 10 major + minor
  int multiprocessors;
};

/// Forgets what was launched, and puts another device in.
void reset(device const& d = {90, 132});

/// Launches since then, in order.
std::vector<launch> const& launches();

/// What CUDA would have refused since then, in words: sizes of grids, blocks and shared memory.
std::vector<std::string> const& violations();

/// From here on, the launch after `accepted` more ones fails for lack of resources.
void refuse_after(int accepted);

/// From here on there is no device.
void remove_device();

}  // namespace fake_cuda
