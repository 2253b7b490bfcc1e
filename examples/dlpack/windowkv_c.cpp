// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// The exported functions: structs of any age in, no exception out.

#include "windowkv_c.h"

#include <windowkv/host/thread_pool.hpp>
#include <windowkv/windowkv.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <optional>

#include "batch.hpp"
#include "compress_batch.hpp"
#include "methods.hpp"

namespace {

namespace wkv = windowkv;
using windowkv_c::error_place;

/// A caller's struct, of whatever size it says it has, as this library knows it.
template <class Struct>
wkv::result<Struct> read(char const* name, Struct const* given) {
  constexpr auto bad = wkv::status_code::invalid_argument;
  if (given == nullptr) return wkv::status::failure(bad, name, "must not be null");
  std::size_t const size = given->size;
  if (size < sizeof given->size) {
    return wkv::status::failure(bad, name, static_cast<std::int64_t>(size),
                                "bytes (its size), must be at least", sizeof given->size);
  }
  auto const* const bytes = reinterpret_cast<unsigned char const*>(given);
  for (std::size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] != 0) {
      return wkv::status::failure(wkv::status_code::unsupported, name, static_cast<std::int64_t>(size),
                                  "bytes, of which this version knows only", sizeof(Struct));
    }
  }
  Struct known{};
  std::memcpy(&known, given, std::min(size, sizeof(Struct)));
  return known;
}

/// Puts down what happened, if there is room, and returns it as a number.
std::int32_t finish(std::int32_t code, char const* text, char* error, std::size_t error_size) {
  if (error != nullptr && error_size > 0) std::snprintf(error, error_size, "%s", text);
  return code;
}
std::int32_t finish(wkv::status const& outcome, error_place const& at, char* error, std::size_t error_size) {
  wkv::status_text const message = outcome.message();
  char text[256] = "";
  if (at.layer < 0) {
    std::snprintf(text, sizeof text, "%s", outcome ? "" : message.c_str());
  } else if (outcome.layer() >= 0) {
    std::snprintf(text, sizeof text, "%s", message.c_str());
  } else {
    std::snprintf(text, sizeof text, "layer %d %s: %s", at.layer, at.tensor, message.c_str());
  }
  return finish(static_cast<std::int32_t>(outcome.code()), text, error, error_size);
}

/// Runs `work(error_place&)`, a status, and hands out whatever goes wrong as a number and a text.
template <class Work>
std::int32_t guarded(char* error, std::size_t error_size, Work&& work) {
  try {
    error_place at;
    wkv::status const outcome = work(at);
    return finish(outcome, at, error, error_size);
  } catch (std::exception const& problem) {  // std::bad_alloc, or a thread that could not start
    return finish(windowkv_out_of_resources, problem.what(), error, error_size);
  }
}

wkv::status plan_layers(windowkv_options const* given, wkv::model_shape const& shape, wkv::prompt prompt,
                        std::uint8_t const* evictable, std::int32_t* suffix, std::uint8_t* needs_queries,
                        std::int32_t* max_kept) {
  WINDOWKV_TRY_ASSIGN(options, read("options", given));
  WINDOWKV_TRY(windowkv_c::validate(options));
  prompt.task = windowkv_c::task_of(options);
  return windowkv_c::with_method(options, evictable, [&](auto const& method) -> wkv::status {
    WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, shape, prompt));
    if (suffix != nullptr) *suffix = plan.suffix;
    for (int l = 0; l < shape.layers; ++l) {
      int const g = plan.layer[l].group;
      bool const is_scored = g >= 0 && plan.layer[l].scores != 0 && plan.group[g].keeps_all == 0;
      if (needs_queries != nullptr) needs_queries[l] = is_scored ? 1 : 0;
      if (max_kept != nullptr) max_kept[l] = plan.max_kept(l);
    }
    return {};
  });
}

wkv::status compress_cache(windowkv_options const* given_options, windowkv_cache const* given_cache,
                           windowkv_report* given_report, error_place& at) {
  WINDOWKV_TRY_ASSIGN(options, read("options", given_options));
  WINDOWKV_TRY(windowkv_c::validate(options));
  WINDOWKV_TRY_ASSIGN(cache, read("cache", given_cache));
  WINDOWKV_TRY_ASSIGN(report, read("report", given_report));
  WINDOWKV_TRY(windowkv_c::require_reserved("report.reserved", report.reserved));
  WINDOWKV_TRY_ASSIGN(batch, windowkv_c::examine(cache, options, at));

  std::optional<wkv::thread_pool> pool;
  if (options.threads > 1) pool.emplace(options.threads);
  wkv::host_executor const on{[&](int n, auto&& f) {
    if (pool) {
      pool->parallel_for(n, f);
    } else {
      wkv::serial_for{}(n, f);
    }
  }};
  WINDOWKV_TRY(windowkv_c::with_method(options, cache.evictable, [&](auto const& method) {
    return windowkv_c::compress_batch(on, method, windowkv_c::task_of(options), batch, report, at);
  }));
  std::memcpy(given_report, &report, std::min<std::size_t>(report.size, sizeof report));
  return {};
}

}  // namespace

std::int32_t windowkv_version() { return WINDOWKV_VERSION; }

std::int32_t windowkv_plan(windowkv_options const* options, std::int32_t layers, std::int32_t tokens,
                           std::uint8_t const* evictable, std::int32_t* suffix, std::uint8_t* needs_queries,
                           std::int32_t* max_kept, char* error, std::size_t error_size) {
  return guarded(error, error_size, [&](error_place&) {
    wkv::model_shape const shape{layers, 1, 1, 1};  // heads and dims do not matter to what is asked here
    return plan_layers(options, shape, {tokens, {}}, evictable, suffix, needs_queries, max_kept);
  });
}

std::int32_t windowkv_compress(windowkv_options const* options, windowkv_cache const* cache,
                               windowkv_report* report, char* error, std::size_t error_size) {
  return guarded(error, error_size,
                 [&](error_place& at) { return compress_cache(options, cache, report, at); });
}
