// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// What the numbers of windowkv_options mean to the library.

#include <windowkv/interop/dlpack.hpp>
#include <windowkv/windowkv.hpp>

#include <cstdint>
#include <utility>

#include "windowkv_c.h"

namespace windowkv_c {

namespace wkv = windowkv;
namespace dlpack = windowkv::interop::dlpack;

inline wkv::status require_one_of_two(char const* parameter, std::int32_t value) {
  return value == 0 || value == 1
             ? wkv::status()
             : wkv::status::failure(wkv::status_code::invalid_argument, parameter, value, "must be 0 or", 1);
}

inline wkv::status require_reserved(char const* parameter, std::int32_t value) {
  if (value == 0) return {};
  return wkv::status::failure(wkv::status_code::invalid_argument, parameter, value, "must be", 0);
}

/// Numbers that have no meaning at all; the plan refuses those that merely do not fit the prompt.
inline wkv::status validate(windowkv_options const& options) {
  WINDOWKV_TRY(require_one_of_two("options.method", options.method));
  WINDOWKV_TRY(require_one_of_two("options.task", options.task));
  WINDOWKV_TRY(require_one_of_two("options.axes", options.axes));
  WINDOWKV_TRY(require_one_of_two("options.padding", options.padding));
  for (auto const& [name, value] : {std::pair{"options.budget", options.budget},
                                    {"options.suffix", options.suffix},
                                    {"options.layers_per_group", options.layers_per_group},
                                    {"options.threads", options.threads}}) {
    if (value < 0) {
      return wkv::status::failure(wkv::status_code::invalid_argument, name, value, "must be at least", 0);
    }
  }
  WINDOWKV_TRY(require_reserved("options.reserved", options.reserved));
  constexpr int most_threads = 1024;
  if (options.threads > most_threads) {
    return wkv::status::failure(wkv::status_code::invalid_argument, "options.threads", options.threads,
                                "must be at most", most_threads);
  }
  return {};
}

inline wkv::task task_of(windowkv_options const& options) {
  return options.task == windowkv_task_localization ? wkv::task::localization : wkv::task::aggregation;
}

inline dlpack::tensor_axes axes_of(windowkv_options const& options) {
  return options.axes == windowkv_axes_bhnd ? dlpack::tensor_axes::batch_head_slot_dim
                                            : dlpack::tensor_axes::batch_slot_head_dim;
}

/// Calls `f(method)` with the method of the options, which must have been validated.
/// @param evictable [layers] or null; must outlive the making of plans
template <class F>
auto with_method(windowkv_options const& options, std::uint8_t const* evictable, F&& f) {
  int const group = options.layers_per_group > 0 ? options.layers_per_group : 8;
  auto const adjusted = [&](auto method) {
    method.layer_grouping.layers_per_group = group;
    method.layer_grouping.evictable = evictable;
    if (options.budget > 0) method = method.with_budget(options.budget);
    if (options.suffix > 0) method = method.with_suffix(options.suffix);
    return method;
  };
  if (options.method == windowkv_method_paper) return f(adjusted(wkv::paper_method()));
  return f(adjusted(wkv::default_method(group)));
}

}  // namespace windowkv_c
