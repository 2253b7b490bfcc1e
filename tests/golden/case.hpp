// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "json.hpp"

namespace golden {

/// A raw array file: little-endian, C order.
template <class T>
struct tensor {
  std::vector<int> shape;
  std::vector<T> values;
};

/// One case: a folder with `case.json` and the arrays it names.
struct golden_case {
  std::filesystem::path folder;
  json description;

  std::vector<json> const& calls() const { return description["calls"].array(); }

  /// Array `name` of `call[kind]`, kind being "inputs" or "outputs"; empty shape and values if there is none.
  tensor<float> floats(json const& call, char const* kind, char const* name) const;
  tensor<std::int32_t> integers(json const& call, char const* kind, char const* name) const;
};

/// The cases at or below `folder`, in the order of their paths. A folder without `case.json` counts as a
/// (broken) case when nothing lies below it. Throws when there is no such folder.
std::vector<std::filesystem::path> find_cases(std::filesystem::path const& folder);

/// Throws std::runtime_error with a sentence when the case cannot be read.
golden_case load_case(std::filesystem::path const& folder);

enum class verdict { passed, failed, not_applicable };

/// What became of a case.
struct outcome {
  verdict result = verdict::not_applicable;
  std::string text;              ///< one line: what was compared, why it failed, or why it does not apply
  int compared = 0;              ///< calls or budget tables that were compared
  int left_out = 0;              ///< those that do not apply
  double worst_score_error = 0;  ///< relative, as a share of what is tolerated
};

enum class backend { host, cuda, thrust };

/// False if the program was built without it.
bool has_backend(backend which);
/// False if it needs a GPU and there is none.
bool has_device(backend which);

outcome check_windowkv(golden_case const& c, backend which);
outcome check_windowkv_budgets(golden_case const& c, backend which);
outcome check_pyramid_budgets(golden_case const& c, backend which);
outcome check_tokens(golden_case const& c, backend which);
outcome check_presses(golden_case const& c, backend which);

}  // namespace golden
