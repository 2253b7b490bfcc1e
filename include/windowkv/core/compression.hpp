// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file core/compression.hpp
/// One compression: a plan, a workspace, and how far it has come. `begin` makes it; the stages of a backend
/// (host/compress.hpp) advance it; `report` sums it up.

#include <cstdint>
#include <utility>

#include "windowkv/config.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/core/workspace.hpp"
#include "windowkv/status.hpp"

namespace windowkv {

/// Queries of one layer, after RoPE: a plane of [rows][Hq][D]; the last S rows are used, the suffix, or the
/// last N by scorers that observe the whole prompt (S in what follows then is N).
/// `log_sum_exp` [Hq][S] (fp32, natural logarithm of the softmax denominator of q.k / sqrt(D), one per head
/// and used row) is what flash-attention kernels produce besides their output; given, it saves a pass over
/// the keys.
template <class QueryPlane>
struct suffix_queries {
  using query_plane = QueryPlane;

  QueryPlane queries;
  float const* log_sum_exp = nullptr;
};
template <class QueryPlane>
suffix_queries(QueryPlane) -> suffix_queries<QueryPlane>;
template <class QueryPlane>
suffix_queries(QueryPlane, float const*) -> suffix_queries<QueryPlane>;

/// For row scorers that read no queries.
struct no_queries {};

/// Softmax rows of the suffix queries (of all queries, for scorers that observe the whole prompt) from the
/// engine's own attention: fp32, element (head, row, token) at data[head * head_stride + row * row_stride +
/// token]; the last S of `rows` rows and the first R of `tokens` columns are read.
struct attention_rows {
  float const* data = nullptr;
  int heads = 0;
  int rows = 0;
  int tokens = 0;
  std::int64_t head_stride = 0;
  std::int64_t row_stride = 0;
};

/// Finished token scores from the engine: fp32, element (head, token) at data[head * head_stride + token];
/// the first R of `tokens` columns are read. `heads` is 1 where the engine has already merged its heads.
struct token_scores {
  float const* data = nullptr;
  int heads = 0;
  int tokens = 0;
  std::int64_t head_stride = 0;
};

namespace detail {

/// Where a group accumulates its token scores.
struct score_buffer {
  float* scores;  ///< [score_rows][R], merged by the method's rules
  float* mass;    ///< [R], the plain mean over heads and scoring layers
};
inline score_buffer buffer_of(plan_data const& p, workspace_layout const& memory, int group) {
  std::int64_t const index = p.group[group].score_buffer;
  return {memory.token_scores + index * p.score_rows * p.review, memory.token_mass + index * p.review};
}

struct group_state {
  int scored_layers = 0;
  bool is_selected = false;
  selection chosen;
};

/// Where a layer's rows are.
struct layer_storage {
  storage_identity keys;
  storage_identity values;
  std::int32_t const* positions = nullptr;
};

struct layer_state {
  bool has_scored = false;
  bool is_compacted = false;
  int length = 0;         // slots in use, of the longest list
  std::int64_t rows = 0;  // slots in use of all lists, once compacted
  std::int64_t row_bytes = 0;
  layer_storage storage;  // of what this call has compacted
};

}  // namespace detail

/// A compression under way. Refers to its plan and its workspace, which must outlive it.
template <class Method>
class compression {
 public:
  compression() = default;
  compression(compression const&) = delete;  // two would share one workspace
  compression& operator=(compression const&) = delete;
  compression(compression&&) noexcept = default;
  compression& operator=(compression&&) noexcept = default;

  windowkv::plan<Method> const& plan() const { return *plan_; }

  /// Mean token score over heads and scoring layers of a group [plan().review], likewise: what `mass` means.
  float const* token_mass(int group) const { return detail::buffer_of(*plan_, memory_, group).mass; }

  /// Slots that a layer holds now: N, and what its group keeps once it is compacted; with a list per KV head,
  /// its longest.
  int length(int layer) const { return layers_[layer].length; }

  /// The scores by which the group selected last was ranked [plan().lists][plan().windows]. For diagnosis and
  /// tests.
  float const* window_scores() const { return memory_.window_scores; }
  /// Merged token scores of a group [plan().score_rows][plan().review], until another group needs the buffer.
  float const* token_scores(int group) const { return detail::buffer_of(*plan_, memory_, group).scores; }

 private:
  template <class M>
  friend result<compression<M>> begin(windowkv::plan<M> const& p, workspace const& memory);
  friend struct compression_access;

  windowkv::plan<Method> const* plan_ = nullptr;
  detail::workspace_layout memory_{};
  detail::group_state groups_[max_layers];
  detail::layer_state layers_[max_layers];
  std::int32_t buffer_owners_[max_layers];  // group whose scores a score buffer holds, or -1
};

/// For backends: the state behind a compression, const where the compression is.
struct compression_access {
  template <class Run>
  static auto& memory(Run& run) {
    return run.memory_;
  }
  template <class Run>
  static auto& group(Run& run, int g) {
    return run.groups_[g];
  }
  template <class Run>
  static auto& layer(Run& run, int l) {
    return run.layers_[l];
  }
  template <class Run>
  static auto& buffer_owner(Run& run, int buffer) {
    return run.buffer_owners_[buffer];
  }
};

/// Starts the compression of one prompt. `memory` needs `p.workspace_bytes` bytes, aligned to
/// `workspace_alignment`, in the memory space of the backend that will run it. Nothing is allocated; a
/// workspace may be used again as soon as the selections and reports that point into it are no longer read.
template <class Method>
result<compression<Method>> begin(plan<Method> const& p, workspace const& memory) {
  WINDOWKV_TRY(detail::validate_workspace(memory, p.workspace_bytes));
  compression<Method> run;
  run.plan_ = &p;
  detail::carve(p, memory.data, run.memory_);
  for (int l = 0; l < p.shape.layers; ++l) run.layers_[l].length = p.prompt.tokens;
  for (int b = 0; b < p.score_buffers; ++b) run.buffer_owners_[b] = -1;
  return result<compression<Method>>(std::move(run));
}
template <class Method>
result<compression<Method>> begin(plan<Method> const&& p, workspace const& memory) = delete;  // would dangle

/// What an engine lets differ between the layers of one sequence: it decides what evicted tokens save.
enum class engine_tier : std::uint8_t {
  /// One list of slots and one length for all layers (llama.cpp, SGLang, TurboMind, MLC, one cache group of
  /// vLLM): a slot is free only when no layer uses it, so every layer costs as much as the longest.
  shared_slots,
  /// Layers have page tables of their own and one length (OpenVINO): attention reads as many slots in every
  /// layer, so every layer costs as much as the longest here, too.
  per_layer_tables,
  /// Every layer has its own length (PyTorch, mlx-lm): it costs what it keeps.
  per_layer_lengths,
};

/// One layer before and after.
struct layer_report {
  int group = -1;
  int tokens_before = 0;
  int tokens_after = 0;
  /// Keys and values of the prompt's tokens; 0 if the layer was not compacted through the compression.
  std::int64_t bytes_before = 0;
  std::int64_t bytes_after = 0;
};

/// What a compression did. Selections point into its workspace.
struct compression_report {
  int layers = 0;
  int groups = 0;
  layer_report layer[max_layers];
  selection group[max_layers];

  std::int64_t tokens_before() const { return sum(&layer_report::tokens_before); }
  std::int64_t tokens_after() const { return sum(&layer_report::tokens_after); }
  std::int64_t bytes_before() const { return sum(&layer_report::bytes_before); }
  /// Keys and values of the tokens that are kept, each layer counted by itself.
  std::int64_t bytes_after() const { return sum(&layer_report::bytes_after); }

  /// Bytes that the prompt takes from a cache of pages of `page_size` slots (1: no pages; less counts as 1):
  /// a page that is begun is taken whole. The number to compare `bytes_after(tier, page_size)` with.
  std::int64_t bytes_before(int page_size) const {
    std::int64_t total = 0;
    for (int l = 0; l < layers; ++l) {
      total += is_evictable(layer[l]) ? bytes_of(layer[l], layer[l].tokens_before, page_size)
                                      : layer[l].bytes_before;
    }
    return total;
  }

  /// Bytes that an engine of this tier still needs, and so what it really saves. Where layers share slots or
  /// a length, those that keep less than the longest save nothing by it; and only whole pages can be given
  /// back. `bytes_after()` is the answer of per_layer_lengths without pages. Layers outside the groups are
  /// taken to have a cache of their own: they set no length and keep their bytes.
  std::int64_t bytes_after(engine_tier tier, int page_size = 1) const {
    int longest = 0;
    for (int l = 0; l < layers; ++l) {
      if (is_evictable(layer[l]) && layer[l].tokens_after > longest) longest = layer[l].tokens_after;
    }
    std::int64_t total = 0;
    for (int l = 0; l < layers; ++l) {
      int const slots = tier == engine_tier::per_layer_lengths ? layer[l].tokens_after : longest;
      total += is_evictable(layer[l]) ? bytes_of(layer[l], slots, page_size) : layer[l].bytes_after;
    }
    return total;
  }

 private:
  static bool is_evictable(layer_report const& one) { return one.group >= 0; }
  /// Bytes of `slots` slots of a layer, whole pages.
  static std::int64_t bytes_of(layer_report const& one, std::int64_t slots, std::int64_t page_size) {
    if (one.tokens_before < 1) return 0;
    std::int64_t const page = page_size < 1 ? 1 : page_size;
    return (slots + page - 1) / page * page * (one.bytes_before / one.tokens_before);
  }
  template <class T>
  std::int64_t sum(T layer_report::*field) const {
    std::int64_t total = 0;
    for (int l = 0; l < layers; ++l) total += layer[l].*field;
    return total;
  }
};

/// Sums up a compression, finished or not.
template <class Method>
compression_report report(compression<Method> const& run) {
  using access = compression_access;
  plan_data const& p = run.plan();
  compression_report out;
  out.layers = p.shape.layers;
  out.groups = p.groups;
  for (int l = 0; l < p.shape.layers; ++l) {
    detail::layer_state const& state = access::layer(run, l);
    std::int64_t const rows = state.is_compacted ? state.rows : std::int64_t{p.prompt.tokens} * p.lists;
    out.layer[l] = {p.layer[l].group, p.prompt.tokens, state.length, state.row_bytes * p.prompt.tokens,
                    state.row_bytes * rows / p.lists};
  }
  for (int g = 0; g < p.groups; ++g) out.group[g] = access::group(run, g).chosen;
  return out;
}

}  // namespace windowkv
