// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file resident_memory.hpp

#include <cstddef>

namespace llama_demo {

/// Bytes of the process in physical memory; 0 where the system does not tell.
std::size_t resident_memory();

}  // namespace llama_demo
