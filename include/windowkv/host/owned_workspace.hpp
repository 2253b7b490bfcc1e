// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/owned_workspace.hpp
/// A workspace for those who have no allocator of their own. It allocates, so it is not part of the umbrella
/// header.

#include <cstddef>
#include <memory>

#include "windowkv/config.hpp"
#include "windowkv/core/workspace.hpp"

namespace windowkv {

/// Host memory of at least `bytes` bytes with the alignment that `begin` wants. Throws std::bad_alloc.
class owned_workspace {
 public:
  explicit owned_workspace(std::size_t bytes)
      : blocks_(new block[bytes / sizeof(block) + 1]), bytes_((bytes / sizeof(block) + 1) * sizeof(block)) {}

  /// The memory, for `begin` and `compress`.
  workspace get() const { return {blocks_.get(), bytes_}; }

 private:
  struct alignas(workspace_alignment) block {
    unsigned char bytes[workspace_alignment];
  };
  std::unique_ptr<block[]> blocks_;
  std::size_t bytes_;
};

}  // namespace windowkv
