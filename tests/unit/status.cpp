// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "windowkv/status.hpp"

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "catch.hpp"
#include "support.hpp"
#include "windowkv/exception.hpp"

namespace {

using wkv::result;
using wkv::status;
using wkv::status_code;
using wkv_test::message;

static_assert(std::is_trivially_copyable_v<status>);
static_assert(!std::is_convertible_v<status, bool>, "a status must not be mistaken for a number");

status refused() {
  return status::failure(status_code::invalid_argument, "budget", -3, "must be at least", 1);
}
result<int> half_of(int n) {
  if (n % 2 != 0) return status::failure(status_code::unsupported, "n", n, "must be a multiple of", 2);
  return n / 2;
}

status try_both(bool first, bool second, int& reached) {
  if (first)
    WINDOWKV_TRY(refused());  // without braces: must not swallow what follows
  else
    reached = 1;
  WINDOWKV_TRY(second ? refused().at_layer(7) : status());
  reached = 2;
  return {};
}
result<int> quarter_of(int n) {
  WINDOWKV_TRY_ASSIGN(once, half_of(n));
  WINDOWKV_TRY_ASSIGN(twice, half_of(once));
  ++twice;
  return twice - 1;
}

}  // namespace

TEST_CASE("a status says what is wrong in one sentence", "[status]") {
  CHECK(message(status()) == "ok");
  CHECK(message(refused()) == "budget: got -3, must be at least 1");
  CHECK(message(refused().at_layer(7)) == "layer 7: budget: got -3, must be at least 1");
  CHECK(message(wkv::detail::require_not_null("keys.data", nullptr)) == "keys.data: must not be null");
  CHECK(message(wkv::detail::require_equal("x", INT64_MIN, INT64_MAX)) ==
        "x: got -9223372036854775808, must equal 9223372036854775807");
  CHECK(message(wkv::detail::require_at_most("x", 4, 3)) == "x: got 4, must be at most 3");

  status const s = refused().at_layer(2);
  CHECK_FALSE(s.ok());
  CHECK_FALSE(static_cast<bool>(s));
  CHECK(s.code() == status_code::invalid_argument);
  CHECK(std::string(s.parameter()) == "budget");
  CHECK(std::string(s.problem()) == "must be at least");
  CHECK(s.actual() == -3);
  CHECK(s.limit() == 1);
  CHECK(s.layer() == 2);
  CHECK(status().layer() == -1);
}

TEST_CASE("a message that is too long is cut, not overrun", "[status]") {
  std::string const endless(500, 'x');
  status const s = status::failure(status_code::unsupported, endless.c_str(), endless.c_str());
  CHECK(message(s) == std::string(191, 'x'));
}

TEST_CASE("the checks pass what is right", "[status]") {
  CHECK(wkv::detail::require_at_least("x", 1, 1).ok());
  CHECK(wkv::detail::require_at_most("x", 1, 1).ok());
  CHECK(wkv::detail::require_equal("x", 1, 1).ok());
  int something = 0;
  CHECK(wkv::detail::require_not_null("x", &something).ok());
}

TEST_CASE("a result holds a value or a reason", "[status]") {
  result<int> const good = half_of(8);
  REQUIRE(good);
  CHECK(*good == 4);
  CHECK(good.error().ok());
  result<int> const bad = half_of(7);
  CHECK_FALSE(bad.ok());
  CHECK(message(bad) == "n: got 7, must be a multiple of 2");
  CHECK(bad.error().code() == status_code::unsupported);

  result<std::unique_ptr<int>> owner(std::make_unique<int>(5));
  CHECK(*owner->get() == 5);
  std::unique_ptr<int> const taken = *std::move(owner);
  CHECK(*taken == 5);
}

TEST_CASE("WINDOWKV_TRY returns the first failure", "[status]") {
  int reached = 0;
  CHECK(message(try_both(true, true, reached)) == "budget: got -3, must be at least 1");
  CHECK(reached == 0);
  CHECK(try_both(false, true, reached).layer() == 7);
  CHECK(reached == 1);
  CHECK(try_both(false, false, reached).ok());
  CHECK(reached == 2);
}

TEST_CASE("WINDOWKV_TRY_ASSIGN names the value or returns the reason", "[status]") {
  CHECK(*quarter_of(12) == 3);
  CHECK(quarter_of(6).error().actual() == 3);
  CHECK(quarter_of(5).error().actual() == 5);
}

TEST_CASE("or_throw turns a failure into an exception", "[status]") {
  CHECK_NOTHROW(wkv::or_throw(status()));
  CHECK(wkv::or_throw(half_of(6)) == 3);
  CHECK_THROWS_AS(wkv::or_throw(half_of(7)), wkv::error);
  try {
    wkv::or_throw(refused().at_layer(3));
    FAIL("must throw");
  } catch (std::runtime_error const& thrown) {
    CHECK(std::string(thrown.what()) == "layer 3: budget: got -3, must be at least 1");
    CHECK(dynamic_cast<wkv::error const&>(thrown).why().limit() == 1);
  }
}
