// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "experiment.hpp"
#include "options.hpp"

namespace needle {

/// An SVG picture: one heat map of exact answers per method (columns) and budget (rows), context length
/// across and depth of the fact down, averaged over the value lengths.
std::string draw_heat_maps(options const& o, std::vector<measurement> const& measurements);

/// An SVG picture: exact answers over the budget, a line per method, averaged over everything else.
std::string draw_curves(options const& o, std::vector<measurement> const& measurements);

}  // namespace needle
