// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file exception.hpp
/// For those who prefer exceptions: `or_throw(windowkv::make_plan(...))`. Not part of the umbrella header.

#include <stdexcept>
#include <utility>

#include "windowkv/status.hpp"

namespace windowkv {

/// A failed status as an exception; `what()` is its message.
class error : public std::runtime_error {
 public:
  explicit error(status const& why) : std::runtime_error(why.message().c_str()), why_(why) {}
  status const& why() const { return why_; }

 private:
  status why_;
};

inline void or_throw(status const& outcome) {
  if (!outcome.ok()) throw error(outcome);
}

template <class T>
T or_throw(result<T>&& outcome) {
  if (!outcome.ok()) throw error(outcome.error());
  return *std::move(outcome);
}

}  // namespace windowkv
