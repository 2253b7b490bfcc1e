// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file interop/dlpack.hpp
/// Planes over tensors that arrive through DLPack (PyTorch, NumPy, JAX, CuPy, ...). dlpack.h is not included:
/// a `Tensor` is whatever has the members of DLTensor, so the engine's own copy of that header fits, in any
/// version since 0.5. Where a function takes a Tensor it also takes the DLManagedTensor around it, and the
/// DLManagedTensorVersioned, whose version and read-only flag are then obeyed. Nothing is kept or freed:
/// deleters stay with the caller.

#include <climits>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "windowkv/core/float8.hpp"
#include "windowkv/core/half.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/status.hpp"

namespace windowkv::interop::dlpack {

/// Order of a tensor's four axes, outermost first.
enum class tensor_axes : std::uint8_t {
  batch_head_slot_dim,  ///< [B, H, N, D]: PyTorch's and Hugging Face's attention
  batch_slot_head_dim,  ///< [B, N, H, D]: flash-attention
};

/// Extents of a tensor of keys, values or queries; for queries a slot is a row.
struct tensor_extents {
  int sequences = 0;  ///< B
  int heads = 0;      ///< H
  int slots = 0;      ///< N
  int head_dim = 0;   ///< D
};

/// How an element type is called in DLPack: DLDataTypeCode and bits. To be specialised for other elements.
template <class T>
struct element {
  static_assert(!std::is_same_v<T, T>,
                "windowkv: DLPack tensors are read as float, float16, bfloat16, float8_e4m3 or float8_e5m2; "
                "specialise interop::dlpack::element for another type");
};
template <>
struct element<float> {
  static constexpr int code = 2;  // kDLFloat
  static constexpr int bits = 32;
};
template <>
struct element<float16> {
  static constexpr int code = 2;
  static constexpr int bits = 16;
};
template <>
struct element<bfloat16> {
  static constexpr int code = 4;  // kDLBfloat
  static constexpr int bits = 16;
};
template <>
struct element<float8_e4m3> {
  static constexpr int code = 10;  // kDLFloat8_e4m3fn
  static constexpr int bits = 8;
};
template <>
struct element<float8_e5m2> {
  static constexpr int code = 12;  // kDLFloat8_e5m2
  static constexpr int bits = 8;
};

namespace detail {

using windowkv::detail::require;
using windowkv::detail::require_aligned;
using windowkv::detail::require_at_least;
using windowkv::detail::require_at_most;
using windowkv::detail::require_equal;
using windowkv::detail::require_not_null;

template <class Tensor, class = void>
inline constexpr bool is_managed_tensor_v = false;
template <class Tensor>
inline constexpr bool is_managed_tensor_v<Tensor, std::void_t<decltype(std::declval<Tensor>().dl_tensor)>> =
    true;

template <class Tensor, class = void>
inline constexpr bool is_versioned_tensor_v = false;
template <class Tensor>
inline constexpr bool is_versioned_tensor_v<
    Tensor, std::void_t<decltype(std::declval<Tensor>().version.major, std::declval<Tensor>().flags)>> = true;

/// The DLTensor itself.
template <class Tensor>
auto const& plain_tensor(Tensor const& tensor) {
  if constexpr (is_managed_tensor_v<Tensor>) {
    return tensor.dl_tensor;
  } else {
    return tensor;
  }
}

/// The members before `dl_tensor` in a versioned tensor: only they say whether the rest may be read.
template <class Tensor>
status validate_version(Tensor const& tensor, bool writes) {
  if constexpr (is_versioned_tensor_v<Tensor>) {
    WINDOWKV_TRY(require(tensor.version.major == 1, "tensor.version.major",
                         static_cast<std::int64_t>(tensor.version.major), "must equal", 1,
                         status_code::unsupported));
    constexpr std::uint64_t read_only = 1;  // DLPACK_FLAG_BITMASK_READ_ONLY
    if (writes && (tensor.flags & read_only) != 0) {
      return status::failure(status_code::invalid_argument, "tensor.flags",
                             "the tensor is read-only and would be written to");
    }
  }
  return {};
}

/// Where the axes of a tensor are, and how to name them.
struct axis_name {
  int axis;
  char const* extent;
  char const* stride;
};
struct axis_names {
  axis_name batch;
  axis_name head;
  axis_name slot;
  axis_name dim;
};
constexpr axis_names names_of(tensor_axes axes) {
  bool const head_first = axes == tensor_axes::batch_head_slot_dim;
  return {{0, "tensor.shape (B, sequences)", "tensor.strides (B, sequences)"},
          {head_first ? 1 : 2, "tensor.shape (H, heads)", "tensor.strides (H, heads)"},
          {head_first ? 2 : 1, "tensor.shape (N, slots)", "tensor.strides (N, slots)"},
          {3, "tensor.shape (D, head dimension)", "tensor.strides (D, head dimension)"}};
}

/// Refuses strides that are not positive, that make two elements share an address, or that overflow an
/// offset. Axes of one element never step: their strides, which exporters fill in as they like, do not
/// matter.
inline status validate_strides(axis_names const& names, std::int64_t const* shape,
                               std::int64_t const* strides, std::int64_t element_bytes) {
  axis axes[4];
  for (axis_name const& name : {names.batch, names.head, names.slot, names.dim}) {
    axes[name.axis] = {shape[name.axis], strides[name.axis]};
    if (shape[name.axis] != 1) WINDOWKV_TRY(require_at_least(name.stride, strides[name.axis], 1));
  }
  return windowkv::detail::validate_axes(axes, 4, element_bytes);
}

/// Strides of a compact row-major tensor, which DLPack before 1.2 may leave out; refuses one that is too
/// large to have an address.
template <class DlTensor>
status compact_strides(DlTensor const& tensor, std::int64_t (&strides)[4]) {
  std::int64_t elements = 1;
  for (int axis = 3; axis >= 0; --axis) {
    strides[axis] = elements;
    WINDOWKV_TRY(require(tensor.shape[axis] <= INT64_MAX / 8 / elements, "tensor.shape", tensor.shape[axis],
                         "overflows an offset: must be at most", INT64_MAX / 8 / elements));
    elements *= tensor.shape[axis];
  }
  return {};
}

template <memory_space Space, class DlTensor>
status validate_device(DlTensor const& tensor) {
  constexpr int cpu = 1;            // kDLCPU
  constexpr int cuda = 2;           // kDLCUDA
  constexpr int cuda_host = 3;      // kDLCUDAHost: pinned host memory
  constexpr int cuda_managed = 13;  // kDLCUDAManaged
  auto const type = static_cast<int>(tensor.device.device_type);
  if constexpr (Space == memory_space::host) {
    return require(type == cpu || type == cuda_host, "tensor.device.device_type (host memory is wanted)",
                   type, "must be kDLCUDAHost (3) or kDLCPU,", cpu, status_code::unsupported);
  } else {
    return require(type == cuda || type == cuda_managed, "tensor.device.device_type (CUDA memory is wanted)",
                   type, "must be kDLCUDAManaged (13) or kDLCUDA,", cuda, status_code::unsupported);
  }
}

}  // namespace detail

/// The extents of a tensor of rank 4. Refused: another rank, and extents that are not in [1, INT_MAX].
template <class Tensor>
result<tensor_extents> extents_of(Tensor const& tensor, tensor_axes axes = tensor_axes::batch_head_slot_dim) {
  WINDOWKV_TRY(detail::validate_version(tensor, false));
  auto const& t = detail::plain_tensor(tensor);
  WINDOWKV_TRY(detail::require_equal("tensor.ndim", t.ndim, 4));
  WINDOWKV_TRY(detail::require_not_null("tensor.shape", t.shape));
  detail::axis_names const names = detail::names_of(axes);
  for (detail::axis_name const& name : {names.batch, names.head, names.slot, names.dim}) {
    WINDOWKV_TRY(detail::require_at_least(name.extent, t.shape[name.axis], 1));
    WINDOWKV_TRY(detail::require_at_most(name.extent, t.shape[name.axis], INT_MAX));
  }
  return tensor_extents{
      static_cast<int>(t.shape[names.batch.axis]), static_cast<int>(t.shape[names.head.axis]),
      static_cast<int>(t.shape[names.slot.axis]), static_cast<int>(t.shape[names.dim.axis])};
}

/// Sequence `sequence` of a tensor [B, H, N, D] (or [B, N, H, D]) as a plane of N slots, H heads and D dims.
///
/// @tparam T      float, float16, bfloat16 or an fp8 type: what the tensor holds. `T const` reads only, which
///                is all that a read-only tensor allows.
/// @tparam Space  `memory_space::host` takes kDLCPU and kDLCUDAHost, `memory_space::device` takes kDLCUDA and
///                kDLCUDAManaged; which device it is remains for the caller to see to
/// @param tensor  DLTensor, DLManagedTensor or DLManagedTensorVersioned; the plane points into its memory,
///                `byte_offset` included, and keeps nothing else of it. Null strides mean compact, row-major.
///                Any other strides will do that are positive and keep all elements of all sequences apart;
///                those of axes of one element are not looked at.
/// @return the plane, or which member was refused: rank, extents, data type, device, strides, null, alignment
///         to T, a version or flag that forbids it
template <class T, memory_space Space = memory_space::host, class Tensor>
result<dense_plane<T, Space>> plane_of(Tensor const& tensor, int sequence,
                                       tensor_axes axes = tensor_axes::batch_head_slot_dim) {
  using wanted = element<std::remove_const_t<T>>;
  WINDOWKV_TRY(detail::validate_version(tensor, !std::is_const_v<T>));
  auto const& t = detail::plain_tensor(tensor);
  WINDOWKV_TRY_ASSIGN(extents, extents_of(t, axes));
  WINDOWKV_TRY(detail::require_equal("tensor.dtype.code", t.dtype.code, wanted::code));
  WINDOWKV_TRY(detail::require_equal("tensor.dtype.bits", t.dtype.bits, wanted::bits));
  WINDOWKV_TRY(detail::require_equal("tensor.dtype.lanes", t.dtype.lanes, 1));
  WINDOWKV_TRY(detail::validate_device<Space>(t));
  WINDOWKV_TRY(detail::require_at_least("sequence", sequence, 0));
  WINDOWKV_TRY(detail::require_at_most("sequence", sequence, std::int64_t{extents.sequences} - 1));

  std::int64_t compact[4] = {};
  if (t.strides == nullptr) WINDOWKV_TRY(detail::compact_strides(t, compact));
  std::int64_t const* const strides = t.strides != nullptr ? t.strides : compact;
  detail::axis_names const names = detail::names_of(axes);
  WINDOWKV_TRY(detail::validate_strides(names, t.shape, strides, std::int64_t{sizeof(T)}));

  WINDOWKV_TRY(detail::require_not_null("tensor.data", t.data));
  auto* const bytes = static_cast<unsigned char*>(t.data) + t.byte_offset;
  WINDOWKV_TRY(detail::require_aligned("tensor.data + byte_offset", bytes, alignof(T)));
  // An axis that never steps gets the stride of a packed row, which suits vector loads.
  std::int64_t const dim = extents.head_dim == 1 ? 1 : strides[names.dim.axis];
  std::int64_t const row = extents.head_dim * dim;
  dense_layout const layout{extents.slots == 1 ? row : strides[names.slot.axis],
                            extents.heads == 1 ? row : strides[names.head.axis], dim};
  T* const data = reinterpret_cast<T*>(bytes) + sequence * strides[names.batch.axis];
  auto const host = strided(data, extents.slots, extents.heads, extents.head_dim, layout);
  if constexpr (Space == memory_space::host) {
    return host;
  } else {
    return in_device_memory(host);
  }
}

/// Calls `f(T{})` with the element type T that the tensor holds: float, float16 or bfloat16. `f` returns a
/// status or a result, the same for all three; another type is `unsupported`.
template <class Tensor, class F>
auto with_element_type(Tensor const& tensor, F&& f) -> decltype(f(float{})) {
  auto const& t = detail::plain_tensor(tensor);
  auto const is = [&](auto zero) {
    using wanted = element<decltype(zero)>;
    return t.dtype.code == wanted::code && t.dtype.bits == wanted::bits && t.dtype.lanes == 1;
  };
  if (is(float{})) return f(float{});
  if (is(float16{})) return f(float16{});
  if (is(bfloat16{})) return f(bfloat16{});
  return status::failure(status_code::unsupported, "tensor.dtype",
                         "must be float32, float16 or bfloat16, one lane");
}

}  // namespace windowkv::interop::dlpack
