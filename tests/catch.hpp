// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// One spelling for Catch2 3.x and 2.13. Tests use what both have (TEST_CASE, SECTION, REQUIRE, CHECK,
// CAPTURE, GENERATE, TEMPLATE_TEST_CASE, Catch::Matchers::Equals), wkv_test::Approx and WKV_SKIP.
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#include <catch2/matchers/catch_matchers_all.hpp>

namespace wkv_test {
using Approx = Catch::Approx;
}
#define WKV_SKIP(message) SKIP("skipped: " message)
#else
#include <catch2/catch.hpp>

namespace wkv_test {
using Approx = Catch::Detail::Approx;
}
// 2.13 cannot skip: the text is what CTest looks for. Only for the body of a test case.
#define WKV_SKIP(message)      \
  do {                         \
    WARN("skipped: " message); \
    return;                    \
  } while (false)
#endif
