// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Compresses a batch one sequence at a time: everything is decided before the first row moves.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "batch.hpp"

namespace windowkv_c {

/// What stays of one sequence.
struct decision {
  struct group {
    std::vector<std::int32_t> slots;  ///< of the cache, padding counted; ascending
    float retained = 1.f;
  };
  std::vector<group> groups;
  std::vector<int> group_of_layer;  ///< [L], -1: not evicted
};

/// Scores one layer of one sequence.
template <class On, class Run>
wkv::status score_layer(On const& on, Run& run, batch const& in, int layer, int sequence) {
  windowkv_tensor const* const queries = in.queries(layer);
  if (queries == nullptr) {
    return wkv::status::failure(wkv::status_code::insufficient_queries, "tensor",
                                "must be given: this layer is scored");
  }
  windowkv_tensor const& keys = *in.cache.keys[layer];
  return dlpack::with_element_type(keys, [&](auto element) -> wkv::status {
    using T = decltype(element);
    WINDOWKV_TRY_ASSIGN(rows, query_rows<T const>(in, *queries, sequence));
    WINDOWKV_TRY_ASSIGN(all, dlpack::plane_of<T const>(keys, sequence, in.axes));
    return wkv::score(on, run, layer, wkv::suffix_queries{rows},
                      part_of(all, in.first_slot(sequence), in.length(sequence)));
  });
}

/// Scores and selects one sequence.
template <class On, class Method>
wkv::result<decision> decide(On const& on, Method const& method, wkv::task task, batch const& in,
                             int sequence, error_place& at) {
  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(method, in.shape, wkv::prompt{in.length(sequence), task}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(plan, memory.get()));
  decision out;
  out.groups.resize(static_cast<std::size_t>(plan.groups));
  for (int l = 0; l < plan.shape.layers; ++l) {
    int const g = plan.layer[l].group;
    out.group_of_layer.push_back(g);
    if (g < 0) continue;
    if (plan.layer[l].scores != 0 && plan.group[g].keeps_all == 0) {
      at = {l, "queries"};
      WINDOWKV_TRY(score_layer(on, run, in, l, sequence));
      at = {};
    }
    if (!plan.completes_group(l)) continue;
    WINDOWKV_TRY_ASSIGN(chosen, wkv::select(on, run, g));
    decision::group& kept = out.groups[static_cast<std::size_t>(g)];
    kept.slots.assign(chosen.slots, chosen.slots + chosen.kept);
    for (std::int32_t& slot : kept.slots) slot += in.first_slot(sequence);
    kept.retained = chosen.retained;
  }
  return out;
}

/// Moves the kept rows of one layer of one sequence to the front of the cache, and says in bytes what one
/// token takes.
template <class On>
wkv::result<std::int64_t> move_layer(On const& on, batch const& in, int layer, int sequence,
                                     std::vector<std::int32_t> const& slots) {
  windowkv_tensor const& keys = *in.cache.keys[layer];
  return dlpack::with_element_type(keys, [&](auto element) -> wkv::result<std::int64_t> {
    using T = decltype(element);
    WINDOWKV_TRY_ASSIGN(k, dlpack::plane_of<T>(keys, sequence, in.axes));
    WINDOWKV_TRY_ASSIGN(v, dlpack::plane_of<T>(*in.cache.values[layer], sequence, in.axes));
    WINDOWKV_TRY(
        wkv::compact_in_place(on, {slots.data(), static_cast<int>(slots.size())}, wkv::kv_view{k, v}));
    return k.row_bytes() + v.row_bytes();
  });
}

/// Writes the report's arrays for one layer of one sequence. `kept` is null for a layer that was left alone.
inline void report_layer(batch const& in, int layer, int sequence, decision::group const* kept,
                         windowkv_report& out) {
  auto const entry = static_cast<std::size_t>(layer) * static_cast<std::size_t>(in.sequences) +
                     static_cast<std::size_t>(sequence);
  auto const slots = static_cast<std::size_t>(in.slots);
  int const first = in.first_slot(sequence);
  if (out.lengths != nullptr) {
    out.lengths[entry] = kept != nullptr ? static_cast<std::int32_t>(kept->slots.size()) : in.slots;
  }
  if (out.retained != nullptr) out.retained[entry] = kept != nullptr ? kept->retained : 1.f;
  if (out.positions == nullptr) return;
  std::int32_t* const positions = out.positions + entry * slots;
  for (std::size_t i = 0; i < slots; ++i) {
    int const slot = static_cast<int>(i);
    bool const is_token = slot >= first && slot < first + in.length(sequence);
    if (kept != nullptr) {
      positions[i] = i < kept->slots.size() ? kept->slots[i] - first : -1;
    } else {
      positions[i] = is_token ? slot - first : -1;
    }
  }
}

/// Compresses all sequences. After a refusal no row has moved and `out` is as it was.
template <class On, class Method>
wkv::status compress_batch(On const& on, Method const& method, wkv::task task, batch const& in,
                           windowkv_report& out, error_place& at) {
  std::vector<decision> decisions;
  for (int b = 0; b < in.sequences; ++b) {
    WINDOWKV_TRY_ASSIGN(decided, decide(on, method, task, in, b, at));
    decisions.push_back(std::move(decided));
  }
  out.bytes_before = 0;
  out.bytes_after = 0;
  for (int l = 0; l < in.shape.layers; ++l) {
    for (int b = 0; b < in.sequences; ++b) {
      decision const& decided = decisions[static_cast<std::size_t>(b)];
      int const g = decided.group_of_layer[static_cast<std::size_t>(l)];
      decision::group const* const kept = g >= 0 ? &decided.groups[static_cast<std::size_t>(g)] : nullptr;
      if (kept != nullptr) {
        WINDOWKV_TRY_ASSIGN(row_bytes, move_layer(on, in, l, b, kept->slots));
        out.bytes_before += row_bytes * in.length(b);
        out.bytes_after += row_bytes * static_cast<std::int64_t>(kept->slots.size());
      }
      report_layer(in, l, b, kept, out);
    }
  }
  return {};
}

}  // namespace windowkv_c
