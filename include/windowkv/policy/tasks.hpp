// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file policy/tasks.hpp
/// What the prompt asks for decides how windows are scored (paper, section 3.2).

#include <cstdint>

namespace windowkv {

enum class task : std::uint8_t {
  localization,  ///< find a fact: question answering, retrieval
  aggregation,   ///< digest everything: summaries, counting, few-shot examples, code
};

/// The task for a classifier's probability that the prompt is a localization. NaN counts as aggregation, the
/// choice that assumes least about where the evidence is.
constexpr task task_from_probability(float localization_probability, float threshold = 0.5f) {
  return localization_probability >= threshold ? task::localization : task::aggregation;
}

}  // namespace windowkv
