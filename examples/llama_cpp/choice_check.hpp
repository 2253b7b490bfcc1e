// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file choice_check.hpp
/// Does windowkv keep what it would keep if it were handed the engine's own softmax?

#include <vector>

#include "choice.hpp"
#include "report.hpp"

namespace llama_demo {

/// Nothing to compare with flash attention, which forms no softmax.
void check_choice(checklist& checks, std::vector<layer_record> const& records, int prompt_tokens,
                  choice_options const& options);

}  // namespace llama_demo
