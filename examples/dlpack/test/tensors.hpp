// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Hand-made tensors, and a way to complain.

#include <windowkv/interop/dlpack.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "windowkv_c.h"

namespace c_test {

namespace wkv = windowkv;

inline int failures = 0;

inline void expect(bool holds, std::string const& what) {
  if (holds) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}
inline void expect_text(std::string const& got, std::string const& wanted) {
  expect(got == wanted, "\n  got    " + got + "\n  wanted " + wanted);
}
inline void expect_number(long long got, long long wanted, std::string const& what) {
  expect(got == wanted, what + ": got " + std::to_string(got) + ", wanted " + std::to_string(wanted));
}

/// Numbers [B][H][N][D], before any tensor holds them.
struct numbers {
  int sequences, heads, slots, head_dim;
  std::vector<float> all;

  numbers(unsigned seed, int b, int h, int n, int d)
      : sequences(b),
        heads(h),
        slots(n),
        head_dim(d),
        all(static_cast<std::size_t>(b) * size_t_of(h) * size_t_of(n) * size_t_of(d)) {
    std::mt19937 random(seed);
    for (float& x : all) x = static_cast<float>(random() >> 8) * (6.f / (1 << 24)) - 3.f;
  }
  float& at(int b, int h, int n, int d) { return all[index(b, h, n, d)]; }
  float at(int b, int h, int n, int d) const { return all[index(b, h, n, d)]; }

 private:
  static std::size_t size_t_of(int n) { return static_cast<std::size_t>(n); }
  std::size_t index(int b, int h, int n, int d) const {
    return ((size_t_of(b) * size_t_of(heads) + size_t_of(h)) * size_t_of(slots) + size_t_of(n)) *
               size_t_of(head_dim) +
           size_t_of(d);
  }
};

/// How a tensor stores them.
enum class form {
  bhnd,         ///< compact, without strides
  bnhd,         ///< compact, the other order of axes, without strides
  gaps,         ///< every second element of padded rows, behind a byte offset, heads outermost
  dim_by_slot,  ///< [B][H][D][N]: the slots are contiguous
};
inline constexpr form forms[] = {form::bhnd, form::bnhd, form::gaps, form::dim_by_slot};

inline std::int32_t axes_of(form f) { return f == form::bnhd ? windowkv_axes_bnhd : windowkv_axes_bhnd; }

/// A tensor in memory of its own, which is full of canaries wherever the tensor has no element.
template <class T>
class made_tensor {
 public:
  made_tensor(numbers const& from, form f) : form_(f) {
    std::int64_t const b = from.sequences;
    std::int64_t const h = from.heads;
    std::int64_t const n = from.slots;
    std::int64_t const d = from.head_dim;
    std::int64_t const row = 2 * d + 3;
    step_[0] = f == form::gaps ? n * row : h * n * d;
    step_[1] = f == form::bnhd ? d : f == form::gaps ? b * n * row + 5 : n * d;
    step_[2] = f == form::bnhd ? h * d : f == form::gaps ? row : f == form::dim_by_slot ? 1 : d;
    step_[3] = f == form::gaps ? 2 : f == form::dim_by_slot ? n : 1;
    std::size_t const size =
        f == form::gaps ? static_cast<std::size_t>(h * step_[1]) : static_cast<std::size_t>(b * h * n * d);
    memory_.assign(size + 2 * margin, T(canary));
    is_element_.assign(memory_.size(), false);
    extent_[0] = b;
    extent_[1] = h;
    extent_[2] = n;
    extent_[3] = d;
    if (f == form::bnhd) {
      std::swap(extent_[1], extent_[2]);
    }
    each([&](std::size_t at, int s, int head, int slot, int dim) {
      memory_[at] = T(from.at(s, head, slot, dim));
      is_element_[at] = true;
    });
    using element = wkv::interop::dlpack::element<T>;
    bool const is_offset = f == form::gaps;
    tensor_ = {memory_.data() + (is_offset ? 0 : margin),
               {1, 0},
               4,
               {element::code, element::bits, 1},
               extent_,
               f == form::bhnd || f == form::bnhd ? nullptr : step_,
               is_offset ? margin * sizeof(T) : 0};
  }
  made_tensor(made_tensor const&) = delete;
  made_tensor& operator=(made_tensor const&) = delete;

  windowkv_tensor* get() { return &tensor_; }
  float at(int b, int h, int n, int d) const { return static_cast<float>(memory_[index(b, h, n, d)]); }
  std::vector<T> const& memory() const { return memory_; }
  bool are_canaries_alive() const {
    for (std::size_t i = 0; i < memory_.size(); ++i) {
      if (!is_element_[i] && static_cast<float>(memory_[i]) != canary) return false;
    }
    return true;
  }

 private:
  static constexpr std::size_t margin = 7;
  static constexpr float canary = 123.f;

  std::size_t index(int b, int h, int n, int d) const {
    return margin + static_cast<std::size_t>(b * step_[0] + h * step_[1] + n * step_[2] + d * step_[3]);
  }
  template <class F>
  void each(F&& f) const {
    bool const swapped = form_ == form::bnhd;
    for (int b = 0; b < extent_[0]; ++b) {
      for (int h = 0; h < extent_[swapped ? 2 : 1]; ++h) {
        for (int n = 0; n < extent_[swapped ? 1 : 2]; ++n) {
          for (int d = 0; d < extent_[3]; ++d) f(index(b, h, n, d), b, h, n, d);
        }
      }
    }
  }

  form form_;
  std::int64_t extent_[4] = {};
  std::int64_t step_[4] = {};
  std::vector<T> memory_;
  std::vector<bool> is_element_;
  windowkv_tensor tensor_{};
};

/// True if both hold the same bits, NaN included.
template <class T>
bool is_same_memory(std::vector<T> const& a, std::vector<T> const& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace c_test
