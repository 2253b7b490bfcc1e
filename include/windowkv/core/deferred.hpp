// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/deferred.hpp
/// Compressions on backends that only queue their work: what was selected lies in the backend's memory and is
/// known when the work has run. The host knows what it needs to go on: how much is kept at most.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// The numbers of a selection.
struct selection_counts {
  std::int32_t kept = 0;     ///< M: slots after; of several lists, those of the longest
  std::int32_t windows = 0;  ///< kept windows of the review part, of all lists
  float retained = 1.f;      ///< as selection.retained
  std::int32_t rows = 0;     ///< kept slots of all lists
};

/// A `selection` whose contents the queued work will write. All pointers are to the backend's memory, inside
/// the compression's workspace. Where every KV head keeps its own tokens there are `lists` lists, one after
/// the other, as in a `selection`.
struct deferred_selection {
  int group = -1;
  int tokens = 0;                            ///< N: slots before
  int max_kept = 0;                          ///< M never is larger
  std::int32_t const* slots = nullptr;       ///< [counts->rows], strictly ascending within a list
  std::int32_t const* window_ids = nullptr;  ///< [counts->windows], ascending within a list
  selection_counts const* counts = nullptr;
  int lists = 1;                                 ///< 1, or one per KV head
  std::int32_t const* offsets = nullptr;         ///< [lists + 1] into slots; may be null for one list
  std::int32_t const* window_offsets = nullptr;  ///< [lists + 1] into window_ids; likewise
  std::int64_t max_rows = 0;                     ///< counts->rows never is larger: room for flattened copies
};

/// A compression under way on a backend that queues its work; `Memory` is the backend's. Refers to its plan
/// and its workspace, which must outlive it and the work.
template <class Method, class Memory>
class deferred_compression {
 public:
  deferred_compression() = default;
  deferred_compression(deferred_compression const&) = delete;  // two would share one workspace
  deferred_compression& operator=(deferred_compression const&) = delete;
  deferred_compression(deferred_compression&&) noexcept = default;
  deferred_compression& operator=(deferred_compression&&) noexcept = default;

  deferred_compression(windowkv::plan<Method> const& p, Memory const& memory) : plan_(&p), memory_(memory) {
    for (int l = 0; l < p.shape.layers; ++l) layers_[l].length = p.prompt.tokens;
    for (int b = 0; b < p.score_buffers; ++b) buffer_owners_[b] = -1;
  }

  windowkv::plan<Method> const& plan() const { return *plan_; }

  /// Slots that a layer holds at most, once the work queued so far has run; with a list per KV head, in its
  /// longest.
  int max_length(int layer) const { return layers_[layer].length; }

  /// Counts of all groups [plan().groups], one array in the backend's memory: one copy brings them to the
  /// host. A group's are written by the work that its `select` queues.
  selection_counts const* counts() const { return memory_.counts; }

  /// What a group selects; its contents are written by the work that its `select` queues.
  deferred_selection selected(int group) const {
    group_plan const& planned = plan_->group[group];
    std::int32_t const* const offsets = memory_.offsets_of(group);
    return {group,
            plan_->prompt.tokens,
            planned.max_kept,
            memory_.slots[group],
            memory_.windows[group],
            memory_.counts + group,
            plan_->lists,
            offsets,
            offsets == nullptr ? nullptr : offsets + plan_->lists + 1,
            planned.max_rows};
  }

  /// The scores by which a group was ranked [plan().lists][plan().windows], in the backend's memory; on a
  /// workspace for one group at a time, until another group needs the place. For diagnosis and tests.
  float const* window_scores(int group) const { return memory_.window_scores_of(*plan_, group); }

 private:
  friend struct compression_access;

  windowkv::plan<Method> const* plan_ = nullptr;
  Memory memory_{};
  detail::group_state groups_[max_layers];
  detail::layer_state layers_[max_layers];
  std::int32_t buffer_owners_[max_layers];
};

/// Sums up a compression whose work has run. `counts` [groups] is a copy of `run.counts()` in host memory;
/// the selections of the report point into the workspace, in the backend's memory. Of several lists there,
/// `selection::list` and `selection::rows` read `offsets`: on a device, copy these first.
template <class Method, class Memory>
compression_report report(deferred_compression<Method, Memory> const& run, selection_counts const* counts) {
  using access = compression_access;
  plan_data const& p = run.plan();
  compression_report out;
  out.layers = p.shape.layers;
  out.groups = p.groups;
  for (int g = 0; g < p.groups; ++g) {
    if (!access::group(run, g).is_selected) continue;
    deferred_selection const chosen = run.selected(g);
    selection& s = out.group[g];
    s.group = g;
    s.tokens = chosen.tokens;
    s.kept = counts[g].kept;
    s.slots = chosen.slots;
    s.windows = counts[g].windows;
    s.window_ids = chosen.window_ids;
    s.retained = counts[g].retained;
    s.lists = chosen.lists;
    s.offsets = chosen.offsets;
    s.window_offsets = chosen.window_offsets;
  }
  for (int l = 0; l < p.shape.layers; ++l) {
    detail::layer_state const& state = access::layer(run, l);
    int after = p.prompt.tokens;
    std::int64_t rows = std::int64_t{p.prompt.tokens} * p.lists;
    if (state.is_compacted) {
      after = counts[p.layer[l].group].kept;
      rows = counts[p.layer[l].group].rows;
    }
    out.layer[l] = {p.layer[l].group, p.prompt.tokens, after, state.row_bytes * p.prompt.tokens,
                    state.row_bytes * rows / p.lists};
  }
  return out;
}

}  // namespace windowkv
