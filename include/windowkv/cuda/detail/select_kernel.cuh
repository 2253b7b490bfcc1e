// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file cuda/detail/select_kernel.cuh
/// Selection in one launch. Blocks of an item (a group of one sequence) first turn what its layers left into
/// window scores; the block that finishes last ranks the windows by radix select and lists what stays.
///
/// Grid: x cuts the windows of an item, y is the item.

#include <cuda_runtime.h>

#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>

#include <cstdint>
#include <type_traits>

#include "windowkv/config.hpp"
#include "windowkv/core/deferred.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/cuda/detail/intrinsics.cuh"
#include "windowkv/cuda/detail/softmax_kernel.cuh"
#include "windowkv/cuda/detail/table.cuh"
#include "windowkv/policy/method.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/policy/token_scorers.hpp"

namespace windowkv::detail {

inline constexpr int select_threads = 1024;
/// Tokens whose merged scores a block keeps in shared memory, and how far pooling may reach beyond its own.
inline constexpr int staged_tokens = 2048;
inline constexpr int staged_own_tokens = 1024;
inline constexpr int digit_bins = 2048;
/// Floats of shared memory, for whatever a block does with them.
inline constexpr int select_floats = most_combined_rows + max_block_warps * 2 * row_tile;
static_assert(select_floats >= staged_tokens + staged_own_tokens && select_floats >= digit_bins);

/// What one scoring layer left.
struct score_source {
  float const* scores = nullptr;
  float const* row_max = nullptr;
  float const* row_sum = nullptr;
  float divisor = 1.f;
  std::int16_t parts = 1;
  score_form form = score_form::token_sums;
};

/// One group of one sequence.
struct select_item {
  float* window_scores = nullptr;
  float* window_mass = nullptr;
  std::uint32_t* window_ranks = nullptr;
  std::int32_t* slots = nullptr;
  std::int32_t* window_ids = nullptr;
  selection_counts* counts = nullptr;
  unsigned* ticket = nullptr;
  std::int32_t budget = 0;  ///< tokens per layer as planned
  std::int32_t suffix = 0;  ///< tokens kept unconditionally
  std::int32_t review_budget = 0;
  std::int32_t windows_per_block = 1;
  std::int32_t blocks = 1;
  std::int16_t sequence = 0;
  std::int16_t first_source = 0;
  std::int16_t sources = 0;
  bool counts_suffix = false;  ///< whether `budget` pays for the suffix
  bool keeps_all = false;
  bool is_staged = false;
};

/// Parameters of the selection.
struct select_table {
  static constexpr int item_capacity = 96;
  static constexpr int source_capacity = 440;

  row_tiling rows;
  int score_rows = 1;
  int suffix = 0;
  sequence_facts sequences[max_table_sequences];
  select_item items[item_capacity];
  score_source sources[source_capacity];
};
static_assert(sizeof(select_table) + 1024 <= most_parameter_bytes);

/// Reads the token scores of an item, merged over its scoring layers by the method's rule.
struct token_reader {
  score_source const* sources;
  int count;
  layer_merge merge;
  std::int64_t stride;  // R as planned

  /// Of one layer: its mean over heads, or one head's.
  __device__ float of_layer(int layer, int row, int token) const {
    score_source const& source = sources[layer];
    if (source.form == score_form::token_rows) return source.scores[row * stride + token];
    float sum = 0.f;
    for (int part = 0; part < source.parts; ++part) sum += source.scores[part * stride + token];
    return sum / source.divisor;
  }
  __device__ float mean(int row, int token) const {
    float sum = of_layer(0, row, token);
    for (int layer = 1; layer < count; ++layer) sum += of_layer(layer, row, token);
    return sum / static_cast<float>(count);
  }
  __device__ float merged(int row, int token) const {
    if (merge == layer_merge::mean) return mean(row, token);
    float best = of_layer(0, row, token);
    for (int layer = 1; layer < count; ++layer) {
      float const next = of_layer(layer, row, token);
      if (ranks_above(next, best)) best = next;
    }
    return best;
  }
};

/// Pooled score of a token; `score_of(token)` reads what is pooled.
template <class Pooling, class ScoreOf>
__device__ float pool(Pooling const& pooling, int review, int token, ScoreOf&& score_of) {
  int const begin = token > pooling.after ? token - pooling.after : 0;
  int const end = pooling.before < review - token ? token + pooling.before + 1 : review;
  auto state = pooling.init();
  for (int i = begin; i < end; ++i) pooling.add(state, score_of(i));
  return pooling.finish(state, end - begin);
}

/// Score and mass of one window.
struct window_result {
  float score;
  float mass;
};

/// A window's score from token scores; `score_of(row, token)` and `mean_of(row, token)` read them. Rows are
/// merged last, as on the host.
template <class Scoring, class ScoreOf, class MeanOf>
__device__ window_result fold_window(Scoring const& scoring, int rows, int review, int window,
                                     ScoreOf&& score_of, MeanOf&& mean_of) {
  int const begin = scoring.windows.begin(window, review);
  int const end = scoring.windows.end(window, review);
  head_reducer reduced{scoring.reduction};
  float mass = 0.f;
  for (int row = 0; row < rows; ++row) {
    auto state = scoring.window_scorer.init();
    for (int token = begin; token < end; ++token) {
      scoring.window_scorer.add(
          state, pool(scoring.pooling, review, token, [&](int i) { return score_of(row, i); }));
      mass += mean_of(row, token);
    }
    reduced.add(scoring.window_scorer.finish(state, end - begin), row == 0);
  }
  return {reduced.finish(rows), mass / static_cast<float>(rows)};
}

/// Window scores of windows [first, end) from merged token scores, staged in shared memory: a token is merged
/// once, however many spans it is pooled into.
template <class Scoring, class Write>
__device__ void staged_windows(Scoring const& scoring, token_reader const& reader, int review, int first,
                               int end, Write&& write) {
  auto* const scores = reinterpret_cast<float*>(dynamic_shared());
  float* const means = scores + staged_tokens;
  int const begin_token = scoring.windows.begin(first, review);
  int const end_token = scoring.windows.end(end - 1, review);
  int const after = scoring.pooling.after;
  int const before = scoring.pooling.before;
  int const begin_staged = begin_token > after ? begin_token - after : 0;
  int const end_staged = before < review - end_token ? end_token + before : review;
  for (int token = begin_staged + static_cast<int>(threadIdx.x); token < end_staged;
       token += select_threads) {
    bool const is_own = token >= begin_token && token < end_token;
    float const merged = reader.merged(0, token);
    scores[token - begin_staged] = merged;
    if (is_own) {
      means[token - begin_token] =
          reader.merge == layer_merge::maximum && reader.count > 1 ? reader.mean(0, token) : merged;
    }
  }
  __syncthreads();
  for (int w = first + static_cast<int>(threadIdx.x); w < end; w += select_threads) {
    write(w, fold_window(
                 scoring, 1, review, w, [&](int, int token) { return scores[token - begin_staged]; },
                 [&](int, int token) { return means[token - begin_token]; }));
  }
}

/// Window scores from sums over rows that wait for their denominators: one warp per window.
template <class Scoring, class Write>
__device__ void row_sum_windows(Scoring const& scoring, select_table const& table,
                                sequence_facts const& facts, score_source const& source, int review,
                                int first, int end, Write&& write) {
  auto* const offsets = reinterpret_cast<float*>(dynamic_shared());
  float* const weights = offsets + most_combined_rows;
  int const thread = static_cast<int>(threadIdx.x);
  int const rows = table.rows.rows;
  int const chunks = (facts.tokens_now() + facts.chunk_tokens - 1) / facts.chunk_tokens;
  for (int row = thread; row < rows; row += select_threads) {
    offsets[row] = combined_offset(source.row_max, source.row_sum, row, rows, chunks);
  }
  for (int row = thread; row < table.suffix; row += select_threads) {
    weights[row] = scoring.token_scorer.weight(row, table.suffix);
  }
  __syncthreads();
  int const rows_per_head = table.rows.tiles_per_head * row_tile;
  int const units = (review + unit_tokens - 1) / unit_tokens;
  for (int w = first + thread / 32; w < end; w += select_threads / 32) {
    int const begin = scoring.windows.begin(w, review);
    int const end_token = scoring.windows.end(w, review);
    float sum = 0.f;
    for (int unit = begin / unit_tokens; unit * unit_tokens < end_token && unit < units; ++unit) {
      float const* const unit_sums = source.scores + std::int64_t{unit} * rows;
      float const* const reference =
          source.row_max + std::int64_t{unit * unit_tokens / facts.chunk_tokens} * rows;
      for (int row = thread % 32; row < rows; row += 32) {
        int const suffix_row = row % rows_per_head;
        if (suffix_row >= table.suffix) continue;
        sum += weights[suffix_row] * unit_sums[row] * fast_exp2(reference[row] - offsets[row]);
      }
    }
    for (int mask = 1; mask <= 16; mask *= 2) sum += shuffle_xor(sum, mask);
    float const mass = sum / source.divisor;
    if (thread % 32 == 0) write(w, window_result{mass / static_cast<float>(end_token - begin), mass});
  }
}

/// The windows of one item as the last block ranks and lists them. Every thread owns a run of consecutive
/// windows, so that ties and lists follow the order of windows.
template <class WindowGrouping>
class window_list {
 public:
  using scan = cub::BlockScan<int, select_threads>;
  using reduce = cub::BlockReduce<double, select_threads>;
  struct shared_memory {
    typename scan::TempStorage scan_storage;
    typename reduce::TempStorage reduce_storage;
    int total;
    int digit;
    int remaining;
  };

  __device__ window_list(select_item const& item, WindowGrouping const& windows, int review, fill rule,
                         shared_memory& shared)
      : item_(item),
        windows_(windows),
        review_(review),
        count_(windows.count(review)),
        rule_(rule),
        shared_(shared) {
    int const run = (count_ + select_threads - 1) / select_threads;
    int const first = static_cast<int>(threadIdx.x) * run;
    begin_ = first < count_ ? first : count_;
    end_ = first + run < count_ ? first + run : count_;
  }

  /// Finds the longest head of the ranking that the budget pays for, and writes its windows and slots.
  __device__ void select(int tokens, int suffix) {
    int limit = item_.review_budget;
    if (rule_ == fill::drop_whole_windows) {
      int nominal = 0;
      for (int w = begin_; w < end_; ++w) nominal += windows_.nominal_tokens(w, review_);
      int const must_drop = review_ > limit ? review_ - limit : 0;
      limit = sum_of(nominal) - must_drop;
    }
    find_threshold(limit > 0 ? limit : 0);
    list(tokens, suffix);
  }

 private:
  __device__ int tokens_of(int w) const { return windows_.end(w, review_) - windows_.begin(w, review_); }
  __device__ int weight_of(int w) const {
    return rule_ == fill::drop_whole_windows ? windows_.nominal_tokens(w, review_) : tokens_of(w);
  }

  /// Sum over the block, for every thread.
  __device__ int sum_of(int value) {
    int total = 0;
    sum_before(value, total);
    return total;
  }
  /// Sum over the threads before.
  __device__ int sum_before(int value, int& total) {
    int before = 0;
    scan(shared_.scan_storage).ExclusiveSum(value, before, total);
    __syncthreads();  // the storage is used again
    return before;
  }

  /// Descends through the ranks digit by digit, highest first: `threshold_` becomes the rank at which the
  /// budget ends and `remaining_` what is left for windows of just that rank.
  __device__ void find_threshold(int limit) {
    auto* const histogram = reinterpret_cast<int*>(dynamic_shared());
    int const thread = static_cast<int>(threadIdx.x);
    std::uint32_t mask = 0;
    threshold_ = 0;
    remaining_ = limit;
    constexpr int shifts[] = {21, 10, 0};
    constexpr std::uint32_t digit_masks[] = {0x7ffu, 0x7ffu, 0x3ffu};
    WINDOWKV_UNROLL
    for (int pass = 0; pass < 3; ++pass) {
      for (int bin = thread; bin < digit_bins; bin += select_threads) histogram[bin] = 0;
      if (thread == 0) shared_.digit = -1;
      __syncthreads();
      count_digits(histogram, shifts[pass], digit_masks[pass], mask);
      __syncthreads();
      // Bins in descending order of digits, two per thread.
      int const first_bin = digit_bins - 1 - 2 * thread;
      int const high = histogram[first_bin];
      int const low = histogram[first_bin - 1];
      int total = 0;
      int const before = sum_before(high + low, total);
      if (before <= remaining_ && before + high > remaining_) {
        shared_.digit = first_bin;
        shared_.remaining = remaining_ - before;
      } else if (before + high <= remaining_ && before + high + low > remaining_) {
        shared_.digit = first_bin - 1;
        shared_.remaining = remaining_ - before - high;
      }
      __syncthreads();
      int const digit = shared_.digit;
      if (digit < 0) {  // the budget pays for every window with this prefix
        keeps_ties_ = true;
        return;
      }
      remaining_ = shared_.remaining;
      threshold_ |= static_cast<std::uint32_t>(digit) << shifts[pass];
      mask |= digit_masks[pass] << shifts[pass];
      __syncthreads();
    }
  }

  __device__ void count_digits(int* histogram, int shift, std::uint32_t digit_mask, std::uint32_t mask) {
    constexpr int batch = 8;  // independent loads under way
    for (int first = static_cast<int>(threadIdx.x); first < count_; first += batch * select_threads) {
      std::uint32_t rank[batch];
      WINDOWKV_UNROLL
      for (int i = 0; i < batch; ++i) {
        int const w = first + i * select_threads;
        rank[i] = w < count_ ? item_.window_ranks[w] : 0;
      }
      WINDOWKV_UNROLL
      for (int i = 0; i < batch; ++i) {
        int const w = first + i * select_threads;
        if (w < count_ && (rank[i] & mask) == threshold_) {
          add_shared(histogram + (rank[i] >> shift & digit_mask), weight_of(w));
        }
      }
    }
  }

  /// True for windows above the threshold, and for those at it as far as the budget reaches, in order.
  __device__ bool keeps(int w, int& spent) const {
    std::uint32_t const rank = item_.window_ranks[w];
    if (rank != threshold_) return rank > threshold_;
    if (keeps_ties_) return true;
    spent += weight_of(w);
    return spent <= remaining_;
  }

  __device__ void list(int tokens, int suffix) {
    int tied = 0;
    for (int w = begin_; w < end_; ++w) {
      if (item_.window_ranks[w] == threshold_) tied += weight_of(w);
    }
    int ignored = 0;
    int const spent_before = sum_before(tied, ignored);
    int kept_windows = 0;
    int kept_tokens = 0;
    double mass = 0;
    double kept_mass = 0;
    int spent = spent_before;
    for (int w = begin_; w < end_; ++w) {
      auto const window_mass = static_cast<double>(item_.window_mass[w]);
      mass += window_mass;
      if (!keeps(w, spent)) continue;
      ++kept_windows;
      kept_tokens += tokens_of(w);
      kept_mass += window_mass;
    }
    int windows = 0;
    int review_tokens = 0;
    int next_window = sum_before(kept_windows, windows);
    int next_slot = sum_before(kept_tokens, review_tokens);
    spent = spent_before;
    for (int w = begin_; w < end_; ++w) {
      if (!keeps(w, spent)) continue;
      item_.window_ids[next_window++] = w;
      int const end = windows_.end(w, review_);
      for (int slot = windows_.begin(w, review_); slot < end; ++slot) item_.slots[next_slot++] = slot;
    }
    for (int i = static_cast<int>(threadIdx.x); i < suffix; i += select_threads) {
      item_.slots[review_tokens + i] = tokens - suffix + i;
    }
    double const all = reduce(shared_.reduce_storage).Sum(mass);
    __syncthreads();  // the storage is used again
    double const kept = reduce(shared_.reduce_storage).Sum(kept_mass);
    if (threadIdx.x == 0) {
      int const slots = review_tokens + suffix;
      *item_.counts = {slots, windows, all == kept ? 1.f : static_cast<float>(kept / all), slots};
    }
  }

  select_item const& item_;
  WindowGrouping const& windows_;
  int review_;
  int count_;
  fill rule_;
  shared_memory& shared_;
  int begin_;
  int end_;
  std::uint32_t threshold_ = 0;
  int remaining_ = 0;
  bool keeps_ties_ = false;
};

/// Everything stays: the blocks of the item share the writing.
template <class WindowGrouping>
__device__ void list_all(select_item const& item, WindowGrouping const& windows, int tokens, int review) {
  int const first = static_cast<int>(blockIdx.x) * select_threads + static_cast<int>(threadIdx.x);
  int const stride = item.blocks * select_threads;
  int const count = review > 0 ? windows.count(review) : 0;
  for (int i = first; i < tokens; i += stride) item.slots[i] = i;
  for (int i = first; i < count; i += stride) item.window_ids[i] = i;
  if (first == 0) *item.counts = {tokens, count, 1.f, tokens};
}

template <class Scoring, class Selector>
__global__ void __launch_bounds__(select_threads, 1)
    select_kernel(select_table const __grid_constant__ table, Scoring const scoring,
                  Selector const selector) {
  using list_type = window_list<std::decay_t<decltype(scoring.windows)>>;
  WINDOWKV_SHARED(typename list_type::shared_memory, shared);
  auto const& item = table.items[blockIdx.y];
  if (static_cast<int>(blockIdx.x) >= item.blocks) return;
  sequence_facts const& facts = table.sequences[item.sequence];
  int const tokens = facts.tokens_now();
  int const review = facts.review_now();
  int const suffix = item.suffix < tokens ? item.suffix : tokens;
  if (item.keeps_all || (item.counts_suffix ? tokens : review) <= item.budget) {
    list_all(item, scoring.windows, tokens, review);
    return;
  }
  int const windows = review > 0 ? scoring.windows.count(review) : 0;
  int const first = static_cast<int>(blockIdx.x) * item.windows_per_block;
  int const end = first + item.windows_per_block < windows ? first + item.windows_per_block : windows;
  auto const write = [&](int w, window_result const& result) {
    int const begin_token = scoring.windows.begin(w, review);
    int const end_token = scoring.windows.end(w, review);
    item.window_scores[w] = result.score;
    item.window_mass[w] = result.mass;
    item.window_ranks[w] = selector.in_ranges(begin_token, end_token)  ? 0xffffffffu
                           : selector.protects(begin_token, end_token) ? 0xfffffffeu
                                                                       : rank_bits(result.score);
  };
  score_source const* const sources = table.sources + item.first_source;
  if (first < end) {
    switch (sources->form) {
      case score_form::window_sums:
        for (int w = first + static_cast<int>(threadIdx.x); w < end; w += select_threads) {
          float score = 0.f;
          float mass = 0.f;
          for (int part = 0; part < sources->parts; ++part) {
            score += sources->scores[std::int64_t{part} * facts.windows + w];
            mass += sources->scores[(std::int64_t{sources->parts} + part) * facts.windows + w];
          }
          write(w, {score / sources->divisor, mass / sources->divisor});
        }
        break;
      case score_form::row_sums:
        if constexpr (is_weighted_sum_v<std::decay_t<decltype(scoring.token_scorer)>>) {
          row_sum_windows(scoring, table, facts, *sources, review, first, end, write);
        }
        break;
      default: {
        token_reader const reader{sources, item.sources, scoring.layers, facts.review};
        if (item.is_staged) {
          staged_windows(scoring, reader, review, first, end, write);
          break;
        }
        int const rows = sources->form == score_form::token_rows ? table.score_rows : 1;
        for (int w = first + static_cast<int>(threadIdx.x); w < end; w += select_threads) {
          write(w,
                fold_window(
                    scoring, rows, review, w, [&](int row, int token) { return reader.merged(row, token); },
                    [&](int row, int token) { return reader.mean(row, token); }));
        }
      }
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) shared.total = static_cast<int>(take_ticket(item.ticket));
  __syncthreads();
  if (shared.total + 1 != item.blocks) return;
  if (threadIdx.x == 0) *item.ticket = 0;  // a graph may replay the selection alone
  list_type(item, scoring.windows, review, selector.rule, shared).select(tokens, suffix);
}

}  // namespace windowkv::detail
