// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/workspace.hpp
/// Scratch memory that the caller owns. One function (`detail::carve`, in compression.hpp) both counts its
/// bytes and hands out its parts, so the two can never disagree.

#include <cstddef>
#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// `bytes` bytes at `data`, aligned to `workspace_alignment`, used by one compression at a time.
struct workspace {
  void* data = nullptr;
  std::size_t bytes = 0;
};

namespace detail {

/// Walks through a workspace from front to back; with a null base it only counts.
class workspace_cursor {
 public:
  explicit workspace_cursor(void* base) : base_(static_cast<unsigned char*>(base)) {}

  template <class T>
  T* take(std::size_t count) {
    constexpr auto alignment = static_cast<std::size_t>(workspace_alignment);
    std::size_t const start = used_;
    used_ += (count * sizeof(T) + alignment - 1) / alignment * alignment;
    return base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + start);
  }
  std::size_t used() const { return used_; }

 private:
  unsigned char* base_;
  std::size_t used_ = 0;
};

inline status validate_workspace(workspace const& w, std::size_t needed) {
  if (needed == 0) return {};
  WINDOWKV_TRY(require_not_null("workspace.data", w.data));
  WINDOWKV_TRY(require(w.bytes >= needed, "workspace.bytes", static_cast<std::int64_t>(w.bytes),
                       "must be at least", static_cast<std::int64_t>(needed),
                       status_code::insufficient_workspace));
  return require_aligned("workspace.data", w.data, workspace_alignment);
}

}  // namespace detail
}  // namespace windowkv
