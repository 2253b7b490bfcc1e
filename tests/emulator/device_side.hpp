// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file device_side.hpp
/// What the shadow headers call: the scheduler as a CUDA thread sees it. Every function may throw
/// cuda_emulator::error, also when it is called outside a kernel.

#include <driver_types.h>
#include <vector_types.h>

#include <cstddef>
#include <functional>
#include <type_traits>

#include "call_site.hpp"
#include "cuda_emulator.hpp"

namespace cuda_emulator {

inline constexpr int warp_lanes = 32;

/// Why CUDA would refuse the launch, or cudaSuccess. Counts down to the launch that shall fail.
cudaError_t admit_launch(dim3 grid, int threads);

/// Runs `thread` once for every CUDA thread of the grid.
void run(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, std::function<void()> const& thread);

/// Shared memory of the running block.
void* dynamic_shared();
/// `declaration` tells one object from another.
void* static_shared(void const* declaration, std::size_t bytes, std::size_t alignment);
template <class T>
T& static_shared(void const* declaration) {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T>);
  return *static_cast<T*>(static_shared(declaration, sizeof(T), alignof(T)));
}

/// Refuses a pointer that does not point to `bytes` bytes of the block's shared memory, or does, for global
/// memory. `bytes` is the alignment, too.
void require_shared(void const* p, std::size_t bytes, call_site where);
void require_global(void const* p, std::size_t bytes, call_site where);

/// A copy of 16 bytes that has started and not landed.
struct pending_copy {
  void* to = nullptr;
  void const* from = nullptr;
};
/// Keeps the copy for later if options::late_copies; else the caller makes it.
bool defer_copy(pending_copy const& copy);
void end_copy_group();
/// Hands out, one by one, the copies of all but the latest `pending` groups; null pointers at the end.
pending_copy next_landing_copy(int pending);

/// All threads of the block meet, what they did before is visible to all. Returns how many predicates hold.
unsigned meet_block(bool predicate, call_site where);

unsigned lane();

/// What the lanes of a warp's function bring and take home; null for lanes that are not in the mask.
struct warp_meeting {
  unsigned mask = 0;
  void const* in[warp_lanes] = {};
  void* out[warp_lanes] = {};
};
using warp_operation = void (*)(warp_meeting&);

/// The lanes of `mask` meet and the operation runs once for all of them.
void meet_warp(unsigned mask, warp_operation operation, void const* in, void* out, call_site where);

/// The operations, and what each lane brings (in) and takes (out).
void synchronise_lanes(warp_meeting& meeting);  ///< nothing; orders memory, which no other operation does

struct shuffle_input {
  unsigned long long bits;
  int source;
};
void shuffle_lanes(warp_meeting& meeting);  ///< in shuffle_input, out unsigned long long
void ballot_lanes(warp_meeting& meeting);   ///< in bool, out unsigned: the lanes that bring true
void match_lanes(warp_meeting& meeting);  ///< in unsigned long long, out unsigned: lanes that bring the same

struct multiply_input {
  float c[4];
  unsigned a[4];
  unsigned b[2];
};
void multiply_float16_lanes(warp_meeting& meeting);   ///< in multiply_input, out float[4]
void multiply_bfloat16_lanes(warp_meeting& meeting);  ///< in multiply_input, out float[4]
void load_tiles_lanes(warp_meeting& meeting);         ///< in uint4, the lane's row; out unsigned[4]

}  // namespace cuda_emulator
