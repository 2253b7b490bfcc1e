// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/print.hpp"

#include <cstdio>
#include <string>

#include "catch.hpp"
#include "support.hpp"

namespace {

template <class T>
std::string printed(T const& what) {
  std::FILE* const file = std::tmpfile();
  REQUIRE(file != nullptr);
  wkv::print(file, what);
  std::rewind(file);
  char text[1000];
  std::size_t const length = std::fread(text, 1, sizeof text, file);
  std::fclose(file);
  return std::string(text, length);
}

}  // namespace

TEST_CASE("plans and reports print for people", "[print]") {
  auto const method = wkv::default_method(2).with_token_scorer(wkv::external_scores{1}).with_budget(40);
  auto const plan = wkv::make_plan(method, wkv::model_shape{3, 2, 1, 4}, {100, wkv::task::aggregation});
  REQUIRE(plan);
  std::string const bytes = std::to_string(plan->workspace_bytes);
  CHECK(printed<wkv::plan_data>(*plan) ==
        "N=100 tokens, aggregation: S=8, R=92, 92 windows; L=3, G=2; workspace " + bytes +
            " bytes\n"
            "  group 0: layers 0..1 (2), 2 score; keeps at most " +
            std::to_string(plan->max_kept(0)) +
            " tokens per layer\n"
            "  group 1: layers 2..2 (1), 1 score; keeps at most " +
            std::to_string(plan->max_kept(2)) + " tokens per layer\n");

  wkv::compression_report report;
  report.layers = 1;
  report.groups = 1;
  report.layer[0] = {0, 100, 40, 6400, 2560};
  report.group[0].tokens = 100;
  report.group[0].kept = 40;
  report.group[0].windows = 24;
  report.group[0].retained = 0.75f;
  CHECK(printed(report) ==
        "tokens 100 -> 40, bytes 6400 -> 2560\n"
        "  group 0: 40 of 100 tokens in 24 windows, 75.0 % of the review scores retained\n");
}
