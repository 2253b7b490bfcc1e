// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/fold.hpp
/// The one shape that token scorers, poolings and window scorers share: a fold over floats. `init()` makes a
/// `state_type`, `add(state, x)` takes the next float, `finish(state, count)` turns the state into the
/// result. The order of the floats is fixed by each user of a fold, so a fold gives the same bits everywhere.

#include <type_traits>
#include <utility>

#include "windowkv/status.hpp"

namespace windowkv::detail {

template <class T, class = void>
struct is_fold : std::false_type {};
template <class T>
struct is_fold<
    T, std::void_t<typename T::state_type,
                   decltype(static_cast<typename T::state_type>(std::declval<T const&>().init())),
                   decltype(std::declval<T const&>().add(std::declval<typename T::state_type&>(), 0.f)),
                   decltype(static_cast<float>(std::declval<T const&>().finish(
                       std::declval<typename T::state_type const&>(), 0)))>> : std::is_trivially_copyable<T> {
};

template <class T, class = void>
struct has_validate : std::false_type {};
template <class T>
struct has_validate<T, std::void_t<decltype(status{std::declval<T const&>().validate()})>> : std::true_type {
};

/// A fold may carry `status validate() const`; one without it has nothing to refuse.
template <class Fold>
status validate_fold(Fold const& fold) {
  if constexpr (has_validate<Fold>::value) {
    return fold.validate();
  } else {
    static_cast<void>(fold);
    return {};
  }
}

template <class T, class = void>
struct refers_to_memory : std::false_type {};
template <class T>
struct refers_to_memory<T, std::void_t<decltype(T{std::declval<T const&>().on_device()}),
                                       decltype(status{std::declval<T const&>().validate_on_device()})>>
    : std::true_type {};

/// A policy that points to host memory has `on_device()`, itself with pointers to device memory, and
/// `status validate_on_device() const`, which refuses when there are none; other policies go as they are.
template <class Policy>
Policy on_device(Policy const& policy) {
  if constexpr (refers_to_memory<Policy>::value) {
    return policy.on_device();
  } else {
    return policy;
  }
}
template <class Policy>
status validate_on_device(Policy const& policy) {
  if constexpr (refers_to_memory<Policy>::value) {
    return policy.validate_on_device();
  } else {
    static_cast<void>(policy);
    return {};
  }
}

}  // namespace windowkv::detail
