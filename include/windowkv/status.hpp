// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file status.hpp
/// Errors as values. Every function that can refuse its input returns a `status` or a `result<T>`; both work
/// under `-fno-exceptions -fno-rtti`. exception.hpp has a wrapper for those who prefer to throw.

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace windowkv {

enum class status_code : std::uint8_t {
  ok,
  invalid_argument,        ///< a shape, stride, pointer, budget or table that cannot be meant
  insufficient_queries,    ///< fewer suffix queries than the plan observes: nothing was scored
  insufficient_workspace,  ///< the workspace is smaller than `plan.workspace_bytes`
  misaligned,              ///< a pointer is not aligned as its type needs
  unsupported,             ///< valid, but beyond what this library or backend does
  wrong_order,             ///< a stage was called before the stage it depends on, or twice
  device_error,            ///< CUDA refused a call; the number is its cudaError_t
};

/// The text of a status, in a buffer of its own: no allocation.
struct status_text {
  char text[192] = {};
  char const* c_str() const { return text; }
};

/// Outcome of a call: `ok`, or which parameter was refused and the two numbers that disagree.
/// All strings are literals, so a status may be copied and kept for ever.
class [[nodiscard]] status {
 public:
  constexpr status() = default;

  /// "parameter: got `actual`, `relation` `limit`", e.g. "budget: got -3, must be at least 1".
  static constexpr status failure(status_code code, char const* parameter, std::int64_t actual,
                                  char const* relation, std::int64_t limit) {
    status s;
    s.code_ = code;
    s.parameter_ = parameter;
    s.problem_ = relation;
    s.actual_ = actual;
    s.limit_ = limit;
    s.has_numbers_ = true;
    return s;
  }

  /// "parameter: `problem`", for what no number describes (a null pointer).
  static constexpr status failure(status_code code, char const* parameter, char const* problem) {
    status s;
    s.code_ = code;
    s.parameter_ = parameter;
    s.problem_ = problem;
    return s;
  }

  constexpr bool ok() const { return code_ == status_code::ok; }
  constexpr explicit operator bool() const { return ok(); }
  constexpr status_code code() const { return code_; }
  constexpr char const* parameter() const { return parameter_; }
  constexpr char const* problem() const { return problem_; }
  constexpr std::int64_t actual() const { return actual_; }
  constexpr std::int64_t limit() const { return limit_; }
  /// Layer the refusal is about, or -1.
  constexpr int layer() const { return layer_; }

  constexpr status at_layer(int layer) const {
    status s = *this;
    s.layer_ = layer;
    return s;
  }

  status_text message() const {
    status_text out;
    if (ok()) {
      std::snprintf(out.text, sizeof out.text, "ok");
      return out;
    }
    char where[24] = {};
    if (layer_ >= 0) std::snprintf(where, sizeof where, "layer %d: ", layer_);
    if (has_numbers_) {
      std::snprintf(out.text, sizeof out.text, "%s%s: got %lld, %s %lld", where, parameter_,
                    static_cast<long long>(actual_), problem_, static_cast<long long>(limit_));
    } else {
      std::snprintf(out.text, sizeof out.text, "%s%s: %s", where, parameter_, problem_);
    }
    return out;
  }

 private:
  status_code code_ = status_code::ok;
  bool has_numbers_ = false;
  int layer_ = -1;
  char const* parameter_ = "";
  char const* problem_ = "";
  std::int64_t actual_ = 0;
  std::int64_t limit_ = 0;
};

/// A value, or the status that says why there is none. `*r` and `r->` need a result that holds a value.
template <class T>
class [[nodiscard]] result {
 public:
  result(T value)
      : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor): `return value;` must work
  result(status failure)
      : status_(failure) {  // NOLINT(google-explicit-constructor): `return failure;` must work
    assert(!failure.ok() && "a result without a value needs a failed status");
  }

  bool ok() const { return status_.ok(); }
  explicit operator bool() const { return ok(); }
  status const& error() const { return status_; }

  T& operator*() & {
    assert(ok());
    return value_;
  }
  T const& operator*() const& {
    assert(ok());
    return value_;
  }
  T&& operator*() && {
    assert(ok());
    return std::move(value_);
  }
  T* operator->() {
    assert(ok());
    return &value_;
  }
  T const* operator->() const {
    assert(ok());
    return &value_;
  }

 private:
  status status_;
  T value_{};
};

namespace detail {

constexpr status require(bool holds, char const* parameter, std::int64_t actual, char const* relation,
                         std::int64_t limit, status_code code = status_code::invalid_argument) {
  return holds ? status() : status::failure(code, parameter, actual, relation, limit);
}
constexpr status require_at_least(char const* parameter, std::int64_t actual, std::int64_t least) {
  return require(actual >= least, parameter, actual, "must be at least", least);
}
constexpr status require_at_most(char const* parameter, std::int64_t actual, std::int64_t most) {
  return require(actual <= most, parameter, actual, "must be at most", most);
}
constexpr status require_equal(char const* parameter, std::int64_t actual, std::int64_t expected) {
  return require(actual == expected, parameter, actual, "must equal", expected);
}
inline status require_aligned(char const* parameter, void const* pointer, int alignment) {
  auto const remainder = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(pointer) %
                                                   static_cast<std::uintptr_t>(alignment));
  return require(remainder == 0, parameter, remainder, "bytes off an alignment of", alignment,
                 status_code::misaligned);
}
constexpr status require_not_null(char const* parameter, void const* pointer) {
  return pointer != nullptr ? status()
                            : status::failure(status_code::invalid_argument, parameter, "must not be null");
}

}  // namespace detail
}  // namespace windowkv

/// Returns from the enclosing function when `expression` (a status) failed.
#define WINDOWKV_TRY(expression)                                                    \
  do {                                                                              \
    if (::windowkv::status windowkv_status = (expression); !windowkv_status.ok()) { \
      return windowkv_status;                                                       \
    }                                                                               \
  } while (false)

/// Declares `name` as the value of `expression` (a result), or returns its status from the enclosing
/// function.
#define WINDOWKV_TRY_ASSIGN(name, expression)       \
  auto name##_result = (expression);                \
  if (!name##_result) return name##_result.error(); \
  auto& name = *name##_result
