// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file options.hpp

#include <windowkv/policy/tasks.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "llama_shim.hpp"

namespace llama_demo {

struct options {
  std::string model;
  std::string prompt_file;  ///< empty: random tokens
  int prompt_tokens = 2048;
  int budget = 0;  ///< tokens kept per layer; 0: an eighth of the prompt
  int layers_per_group = 4;
  int new_tokens = 16;
  int threads = 2;
  bool flash_attention = false;
  ggml_type key_type = GGML_TYPE_F16;
  ggml_type value_type = GGML_TYPE_F16;
  windowkv::task task = windowkv::task::localization;
  bool verbose = false;
  bool help = false;
};

struct usage_error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

options parse_options(std::vector<std::string> const& arguments);
std::string help_text();

}  // namespace llama_demo
