// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file experiment.hpp

#include "options.hpp"

namespace llama_demo {

/// Computes a prompt, compresses its cache in every way, decodes on, and prints what came of it.
/// Returns true if all checks hold.
bool run_experiment(options const& o);

}  // namespace llama_demo
