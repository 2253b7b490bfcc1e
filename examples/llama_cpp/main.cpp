// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Compresses the KV cache of a llama.cpp context with windowkv, through public API only, and goes on
// decoding. README.md has the tour.

#include <cstdio>
#include <exception>

#include "engine.hpp"
#include "experiment.hpp"
#include "options.hpp"

int main(int argc, char** argv) {
  try {
    llama_demo::options const o = llama_demo::parse_options({argv + 1, argv + argc});
    if (o.help) {
      std::fputs(llama_demo::help_text().c_str(), stdout);
      return 0;
    }
    llama_demo::set_engine_log(o.verbose);
    return llama_demo::run_experiment(o) ? 0 : 1;
  } catch (llama_demo::usage_error const& error) {
    std::fprintf(stderr, "windowkv_llama_cpp: %s\nTry --help.\n", error.what());
    return 2;
  } catch (std::exception const& error) {
    std::fprintf(stderr, "windowkv_llama_cpp: %s\n", error.what());
    return 1;
  }
}
