// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A needle-in-a-haystack experiment with a small trained model: how many questions about a document does it
// still answer when windowkv, or another method, has compressed its KV cache? README.md has the tour.
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "experiment.hpp"
#include "figure.hpp"
#include "model.hpp"
#include "options.hpp"
#include "report.hpp"
#include "tokenizer.hpp"
#include "weights.hpp"

namespace {

void run(needle::options const& o) {
  needle::model const lm(needle::load_weights(o.weights));
  needle::tokenizer const words(lm.words());
  if (!o.document.empty()) {
    needle::print_replies(needle::answer_question(lm, words, o));
    return;
  }
  std::vector<needle::measurement> const measurements = needle::run_experiment(lm, words, o);
  needle::print_tables(measurements);
  if (!o.json.empty()) needle::write_file(o.json, needle::to_json(o, measurements));
  if (!o.figure.empty()) {
    needle::write_file(o.figure, needle::draw_heat_maps(o, measurements));
    std::printf("Heat map of context length by depth: %s\n", o.figure.c_str());
  }
  if (!o.curves.empty()) {
    needle::write_file(o.curves, needle::draw_curves(o, measurements));
    std::printf("Exact answers over the budget: %s\n", o.curves.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    needle::options const o = needle::parse_options({argv + 1, argv + argc});
    if (o.help) {
      std::fputs(needle::help_text().c_str(), stdout);
      return 0;
    }
    run(o);
    return 0;
  } catch (needle::usage_error const& error) {
    std::fprintf(stderr, "windowkv_needle: %s\nTry --help.\n", error.what());
    return 2;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_needle: %s\n", error.what());
    return 1;
  }
}
