// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// How many launches a compression takes, counted on a machine that needs no GPU. That nothing is allocated,
// copied or waited for is proven by the linker (fake_cuda.hpp).
#include "catch.hpp"
#include "fake_cuda.hpp"
#include "scenario.hpp"

namespace {

using names = std::vector<std::string>;

names launched() {
  names all;
  for (fake_cuda::launch const& l : fake_cuda::launches()) all.push_back(l.kernel);
  return all;
}

/// Kernels that one compression of a whole batch launches.
names launched_by(scenario const& s) {
  wkv::status const queued = compress_batch(s);
  INFO(queued.message().c_str());
  CHECK(queued.ok());
  CHECK(fake_cuda::violations() == names{});
  return launched();
}

std::vector<int> launches_by_layer(scenario const& s) {
  wkv::result<std::vector<int>> const queued = compress_by_layer(s);
  INFO(queued.error().message().c_str());
  REQUIRE(queued.ok());
  CHECK(fake_cuda::violations() == names{});
  return *queued;
}

/// Ragged; the shortest keeps everything.
std::vector<int> const eight_prompts{32768, 100, 4096, 131072, 513, 8192, 20000, 2048};

names const one_pass{"softmax_kernel", "select_kernel", "compact_kernel"};
names const given_denominators{"fold_kernel", "select_kernel", "compact_kernel"};
names const two_passes{"softmax_kernel", "fold_kernel", "select_kernel", "compact_kernel"};

}  // namespace

TEST_CASE("a batch is compressed in three launches, four where keys are read twice", "[launches]") {
  std::vector<int> const tokens = GENERATE(std::vector<int>{32768}, eight_prompts);
  int const capability = GENERATE(75, 80, 86, 90, 100, 120);
  fake_cuda::reset({capability, capability == 90 ? 132 : 40});
  CAPTURE(tokens.size(), capability);
  scenario s;
  s.tokens = tokens;

  SECTION("paper, aggregation") { CHECK(launched_by(s) == one_pass); }
  SECTION("paper, localization") {
    s.task = wkv::task::localization;
    CHECK(launched_by(s) == two_passes);
  }
  SECTION("default") {
    s.method = method_name::standard;
    s.task = GENERATE(wkv::task::aggregation, wkv::task::localization);
    CHECK(launched_by(s) == two_passes);
  }
  SECTION("with the log-sum-exp of the engine's attention") {
    s.has_log_sum_exp = true;
    s.method = GENERATE(method_name::paper, method_name::standard);
    s.task = GENERATE(wkv::task::aggregation, wkv::task::localization);
    CHECK(launched_by(s) == given_denominators);
  }
}

TEST_CASE("a batch beyond a kernel's parameters takes one more launch of a stage", "[launches]") {
  fake_cuda::reset();
  scenario s;
  s.tokens.assign(20, 4096);  // 80 scoring layers, 640 to compact
  CHECK(launched_by(s) == names{"softmax_kernel", "select_kernel", "compact_kernel", "compact_kernel"});
}

TEST_CASE("a prompt that fits its budget is selected and left alone", "[launches]") {
  fake_cuda::reset();
  scenario s;
  s.tokens = {100};
  CHECK(launched_by(s) == names{"select_kernel", "compact_kernel"});
}

TEST_CASE("layer by layer, a leader takes three launches and a follower one", "[launches]") {
  fake_cuda::reset();
  scenario s;
  std::vector<int> expected(32, 1);
  SECTION("aggregation") {
    for (std::size_t leader = 0; leader < 32; leader += 8) expected[leader] = 3;
  }
  SECTION("localization") {
    s.task = wkv::task::localization;
    for (std::size_t leader = 0; leader < 32; leader += 8) expected[leader] = 4;
  }
  SECTION("localization with the log-sum-exp") {
    s.task = wkv::task::localization;
    s.has_log_sum_exp = true;
    for (std::size_t leader = 0; leader < 32; leader += 8) expected[leader] = 3;
  }
  CHECK(launches_by_layer(s) == expected);
}

TEST_CASE("layer by layer, a group of voters is selected and compacted with its last one", "[launches]") {
  fake_cuda::reset();
  scenario s;
  s.method = method_name::standard;
  s.has_log_sum_exp = GENERATE(false, true);
  int const passes = s.has_log_sum_exp ? 1 : 2;
  std::vector<int> expected(32, passes);
  for (std::size_t last = 7; last < 32; last += 8) expected[last] = passes + 2;
  CHECK(launches_by_layer(s) == expected);
}

TEST_CASE("a layer is copied in one launch", "[launches]") {
  fake_cuda::reset();
  CHECK(copy_layer({}).ok());
  CHECK(launched() == names{"compact_kernel"});
}

TEST_CASE("a launch that CUDA refuses is a device_error, and the last one", "[launches]") {
  fake_cuda::reset();
  scenario s;
  s.task = wkv::task::localization;
  int const accepted = GENERATE(0, 1, 2, 3);
  fake_cuda::refuse_after(accepted);
  wkv::status const queued = compress_batch(s);
  CHECK(queued.code() == wkv::status_code::device_error);
  CHECK(std::string(queued.message().c_str()).find("cudaLaunchKernelEx: cudaError_t: got 701") == 0);
  CHECK(launched() == names(two_passes.begin(), two_passes.begin() + accepted));

  fake_cuda::reset();
  fake_cuda::refuse_after(accepted);
  CHECK(compress_by_layer(s).error().code() == wkv::status_code::device_error);
  CHECK(launched().size() == static_cast<std::size_t>(accepted));
}

TEST_CASE("without a device nothing is launched", "[launches]") {
  fake_cuda::reset();
  fake_cuda::remove_device();
  CHECK(compress_batch({}).code() == wkv::status_code::device_error);
  CHECK(compress_by_layer({}).error().code() == wkv::status_code::device_error);
  CHECK(copy_layer({}).code() == wkv::status_code::device_error);
  CHECK(launched().empty());
}
