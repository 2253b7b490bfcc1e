// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// windowkv_golden [--backend host|cuda|thrust] DIR...: replays recorded cases (README.md beside this file)
// through the library.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>

#include "case.hpp"

namespace {

using golden::outcome;
using golden::verdict;

/// Everything that is known about one `method` of the format: a function, or why there is none.
struct runner {
  char const* method;
  outcome (*check)(golden::golden_case const&, golden::backend);
  char const* reason = "";
};
constexpr runner runners[] = {
    {"windowkv", golden::check_windowkv},
    {"windowkv_budgets", golden::check_windowkv_budgets},
    // KVCache-Factory and the methods' own code
    {"snapkv", golden::check_tokens},
    {"snapkv_kvhead", golden::check_tokens},
    {"h2o", golden::check_tokens},
    {"h2o_kvhead", golden::check_tokens},
    {"pyramidkv", golden::check_tokens},
    {"pyramidkv_kvhead", golden::check_tokens},
    {"streaming_factory", golden::check_tokens},
    {"streaming_adakv", golden::check_tokens},
    {"l2norm", golden::check_tokens},
    {"adakv_factory", golden::check_tokens},
    {"adakv_orig", golden::check_tokens},
    {"headkv_factory", golden::check_tokens},
    {"pyramidkv_budgets", golden::check_pyramid_budgets},
    {"pyramidkv_adakv_budgets", golden::check_pyramid_budgets},
    {"snapkv_merge", nullptr, "merges evicted rows into kept ones, and the library never changes a row"},
    {"cam", nullptr, "adds evicted values to later ones, and the library never changes a row"},
    {"think_factory", nullptr, "drops channels of the keys, and the library never changes a row"},
    // kvpress
    {"kvpress_snapkv", golden::check_presses},
    {"kvpress_pyramidkv", golden::check_presses},
    {"tova", golden::check_presses},
    {"knorm", golden::check_presses},
    {"keydiff", golden::check_presses},
    {"lagkv", golden::check_presses},
    {"expected_attention", golden::check_presses},
    {"observed_attention", golden::check_presses},
    {"kvpress_streaming", golden::check_presses},
    {"cur", golden::check_presses},
    {"noncausal", golden::check_presses},
    {"leverage", golden::check_presses},
    {"chunkkv", golden::check_presses},
    {"chunk", golden::check_presses},
    {"kvpress_adakv", golden::check_presses},
    {"criticalkv", golden::check_presses},
    {"kvpress_pyramidkv_budgets", golden::check_pyramid_budgets},
    {"kvpress_think", nullptr, "zeroes channels of the keys, and the library never changes a row"},
};

outcome not_applicable(std::string const& reason) {
  outcome skipped;
  skipped.text = "not applicable: " + reason;
  return skipped;
}

outcome run_case(std::filesystem::path const& folder, golden::backend which) {
  try {
    golden::golden_case const c = golden::load_case(folder);
    std::string const& method = c.description["method"].string();
    for (runner const& r : runners) {
      if (method != r.method) continue;
      return r.check != nullptr ? r.check(c, which) : not_applicable(r.reason);
    }
    return not_applicable("method " + method + " is not known");
  } catch (std::exception const& error) {
    outcome broken;
    broken.result = verdict::failed;
    broken.text = error.what();
    return broken;
  }
}

struct totals {
  int cases[3] = {};  // by verdict
  int compared = 0;
  int left_out = 0;
  double worst_score_error = 0;

  void add(outcome const& o) {
    ++cases[static_cast<int>(o.result)];
    compared += o.compared;
    left_out += o.left_out;
    if (o.worst_score_error > worst_score_error) worst_score_error = o.worst_score_error;
  }
};

}  // namespace

int main(int argc, char** argv) {
  int first = 1;
  golden::backend which = golden::backend::host;
  bool is_understood = true;
  if (argc > 2 && std::string(argv[1]) == "--backend") {
    std::string const name = argv[2];
    is_understood = name == "host" || name == "cuda" || name == "thrust";
    which = name == "cuda"     ? golden::backend::cuda
            : name == "thrust" ? golden::backend::thrust
                               : golden::backend::host;
    first = 3;
  }
  if (!is_understood || argc <= first) {
    std::fprintf(
        stderr,
        "usage: windowkv_golden [--backend host|cuda|thrust] DIR...   (a folder of cases, or one case)\n");
    return 2;
  }
  if (!golden::has_backend(which)) {
    std::fprintf(stderr, "windowkv_golden: this program is built without the backend %s\n", argv[2]);
    return 2;
  }
  if (!golden::has_device(which)) {
    std::printf("skipped: no CUDA device\n");
    char const* const required = std::getenv("WINDOWKV_REQUIRE_GPU");
    return required != nullptr && std::string(required) == "1" ? 1 : 77;  // 77: CTest counts it as skipped
  }
  constexpr char const* names[] = {"passed", "FAILED", "n/a   "};
  totals sum;
  for (int i = first; i < argc; ++i) {
    try {
      for (auto const& folder : golden::find_cases(argv[i])) {
        outcome const o = run_case(folder, which);
        std::printf("%s %s: %s\n", names[static_cast<int>(o.result)], folder.filename().string().c_str(),
                    o.text.c_str());
        sum.add(o);
      }
    } catch (std::exception const& error) {
      std::printf("FAILED %s\n", error.what());
      ++sum.cases[static_cast<int>(verdict::failed)];
    }
  }
  std::printf("%d calls and tables compared, %d not applicable; worst score error: %.2g of the tolerance\n",
              sum.compared, sum.left_out, sum.worst_score_error);
  std::printf("%d passed, %d failed, %d skipped\n", sum.cases[static_cast<int>(verdict::passed)],
              sum.cases[static_cast<int>(verdict::failed)],
              sum.cases[static_cast<int>(verdict::not_applicable)]);
  return sum.cases[static_cast<int>(verdict::failed)] == 0 ? 0 : 1;
}
