// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <string>
#include <vector>

#include "configuration.hpp"
#include "evaluate.hpp"

namespace needle {

/// One comparison that the search made.
struct search_step {
  int round;
  int stage;
  std::string what;  ///< the change from the round's start
  configuration tried;
  standing stands;
  comparison against_start;
};

struct search_result {
  configuration best;
  std::vector<search_step> steps;
};

/// Coordinate descent with successive halving. Each round tries every change of one part on the first study's
/// documents, the best ten on the second's (more of them, other ones), and the best three, and all pairs of
/// these, on the third's; it moves to the best when that is better by more than 1.5 standard errors there,
/// and ends otherwise. `fixed` names parts that stay.
search_result search(configuration const& start, std::vector<std::string> const& fixed,
                     std::vector<study*> stages, int most_rounds);

}  // namespace needle
