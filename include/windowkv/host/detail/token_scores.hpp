// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file host/detail/token_scores.hpp
/// Token scores of one layer by each kind of scorer, merged into its group's score buffer.

#include <cstdint>

#include "windowkv/config.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/head_rows.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/stages.hpp"
#include "windowkv/host/detail/attention_scores.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/policy/token_scorers.hpp"

namespace windowkv::detail {

/// A fold's score of one (query head, token), times the token's weight where the scorer has one.
template <class TokenScorer>
float finish_score(plan_data const& p, TokenScorer const& scorer,
                   typename TokenScorer::state_type const& state, int rows, int head, std::int64_t token,
                   workspace_layout const& memory) {
  float const score = scorer.finish(state, rows);
  if constexpr (is_value_weighted_v<TokenScorer>) {
    std::int64_t const kv = head / (p.shape.query_heads / p.shape.kv_heads);
    return (score + scorer.epsilon) * memory.row_scores[kv * p.review + token];
  } else {
    static_cast<void>(p);
    static_cast<void>(head);
    static_cast<void>(token);
    static_cast<void>(memory);
    return score;
  }
}

/// Merges the scores of a chunk of tokens, which come head by head.
class chunk_merger {
 public:
  chunk_merger(plan_data const& p, score_merger const& merger, int chunk)
      : p_(p),
        merger_(merger),
        begin_(chunk * score_chunk),
        end_(p.review - begin_ < score_chunk ? p.review : begin_ + score_chunk),
        heads_per_list_(p.score_heads / p.lists) {
    for (head_reducer& one : reduced_) one.how = merger.reduction;
  }

  int begin() const { return begin_; }
  int end() const { return end_; }

  /// Heads of a token in ascending order.
  void add(int head, int token, float score) {
    int const i = token - begin_;
    sum_[i] = head == 0 ? score : sum_[i] + score;
    int const place = head % heads_per_list_;
    reduced_[i].add(score, place == 0);
    if (merger_.heads == head_merge::at_windows) {
      merger_.merge(merger_.scores[static_cast<std::int64_t>(head) * p_.review + token], score);
    } else if (place == heads_per_list_ - 1) {
      std::int64_t const list = head / heads_per_list_;
      merger_.merge(merger_.scores[list * p_.review + token], reduced_[i].finish(heads_per_list_));
    }
  }
  /// Once all heads have scored every token of the chunk.
  void finish() const {
    auto const heads = static_cast<float>(p_.score_heads);
    for (int token = begin_; token < end_; ++token) merger_.merge_mass(token, sum_[token - begin_] / heads);
  }

 private:
  plan_data const& p_;
  score_merger const& merger_;
  int begin_;
  int end_;
  int heads_per_list_;
  float sum_[score_chunk];
  head_reducer reduced_[score_chunk] = {};
};

/// Calls f(kv head, first token, count) for the tiles of tokens [begin, end), KV head by KV head.
template <class F>
void for_each_tile(int kv_heads, int begin, int end, F&& f) {
  for (int kv = 0; kv < kv_heads; ++kv) {
    for (int first = begin; first < end; first += tile_tokens) {
      f(kv, first, end - first < tile_tokens ? end - first : tile_tokens);
    }
  }
}

/// Scores from the attention of the suffix queries.
template <class ParallelFor, class TokenScorer, class QueryPlane, class KeyPlane>
void score_suffix_attention(host_executor<ParallelFor> const& on, plan_data const& p,
                            TokenScorer const& scorer, suffix_queries<QueryPlane> const& source,
                            KeyPlane const& keys, workspace_layout const& memory,
                            score_merger const& merger) {
  query_block const suffix{p.shape, p.suffix, p.prompt.tokens};
  pack_queries(source.queries, source.queries.slots - p.suffix, suffix, memory.packed_queries);
  find_softmax(on, suffix, keys, {source.log_sum_exp, p.suffix}, memory);
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    chunk_merger merged(p, merger, chunk);
    for_each_tile(p.shape.kv_heads, merged.begin(), merged.end(), [&](int kv, int first, int count) {
      fold_tile(
          suffix, scorer, keys, kv, first, count, memory,
          [&](int /*head*/, int /*t*/) { return scorer.init(); },
          [&](int head, int t, auto const& state) {
            merged.add(head, first + t, finish_score(p, scorer, state, p.suffix, head, first + t, memory));
          });
    });
    merged.finish();
  });
}

/// Scores from the attention of every query that sees a token: a block of queries after the other, so that
/// memory is O(N). Time is O(N^2).
template <class ParallelFor, class TokenScorer, class QueryPlane, class KeyPlane>
void score_prompt_attention(host_executor<ParallelFor> const& on, plan_data const& p,
                            TokenScorer const& scorer, suffix_queries<QueryPlane> const& source,
                            KeyPlane const& keys, workspace_layout const& memory,
                            score_merger const& merger) {
  int const tokens = p.prompt.tokens;
  auto const column = [&](int head, std::int64_t token) -> float& {
    return memory.columns[static_cast<std::int64_t>(head) * p.review + token];
  };
  for (int first_row = 0; first_row < tokens; first_row += p.needs.block_rows) {
    int const rows = tokens - first_row < p.needs.block_rows ? tokens - first_row : p.needs.block_rows;
    query_block const block{p.shape, rows, first_row + rows};
    pack_queries(source.queries, source.queries.slots - tokens + first_row, block, memory.packed_queries);
    float const* const known = source.log_sum_exp == nullptr ? nullptr : source.log_sum_exp + first_row;
    find_softmax(on, block, keys, {known, tokens}, memory);
    int const scored = block.tokens < p.review ? block.tokens : p.review;
    on.parallel_for(chunk_count(scored), [&](int chunk) {
      int const begin = chunk * score_chunk;
      int const end = scored - begin < score_chunk ? scored : begin + score_chunk;
      for_each_tile(p.shape.kv_heads, begin, end, [&](int kv, int first, int count) {
        fold_tile(
            block, scorer, keys, kv, first, count, memory,
            [&](int head, int t) {
              return first + t >= block.first() ? scorer.init() : column(head, first + t);
            },
            [&](int head, int t, float state) { column(head, first + t) = state; });
      });
    });
  }
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    chunk_merger merged(p, merger, chunk);
    for (int token = merged.begin(); token < merged.end(); ++token) {
      for (int head = 0; head < p.shape.query_heads; ++head) {
        merged.add(head, token,
                   finish_score(p, scorer, column(head, token), tokens - token, head, token, memory));
      }
    }
    merged.finish();
  });
}

/// Scores from the softmax rows of the engine: those of the suffix, or of every query that sees the token.
template <class ParallelFor, class TokenScorer>
void score_attention_rows(host_executor<ParallelFor> const& on, plan_data const& p, TokenScorer const& scorer,
                          attention_rows const& source, workspace_layout const& memory,
                          score_merger const& merger) {
  constexpr bool sees_prompt = observes_prompt_v<TokenScorer>;
  int const observers = sees_prompt ? p.prompt.tokens : p.suffix;
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    chunk_merger merged(p, merger, chunk);
    for (int token = merged.begin(); token < merged.end(); ++token) {
      int const first = sees_prompt ? token : 0;  // the token's own query is the first to see it
      for (int head = 0; head < source.heads; ++head) {
        float const* const element =
            source.data + head * source.head_stride + (source.rows - observers) * source.row_stride + token;
        auto state = scorer.init();
        for (int row = first; row < observers; ++row) scorer.add(state, element[row * source.row_stride]);
        merged.add(head, token, finish_score(p, scorer, state, observers - first, head, token, memory));
      }
    }
    merged.finish();
  });
}

/// Scores of one token as they are given.
struct given_scores {
  token_scores source;
  std::int64_t token;

  WINDOWKV_HD float operator()(std::int64_t head) const {
    return source.data[head * source.head_stride + token];
  }
};

/// The same for scores that are given.
template <class ParallelFor>
void merge_token_scores(host_executor<ParallelFor> const& on, plan_data const& p, token_scores const& source,
                        score_merger const& merger) {
  int const heads_per_list = source.heads / p.lists;
  on.parallel_for(chunk_count(p.review), [&](int chunk) {
    int const begin = chunk * score_chunk;
    int const end = p.review - begin < score_chunk ? p.review : begin + score_chunk;
    for (int token = begin; token < end; ++token) {
      merger.merge_token(token, heads_per_list, p.lists, given_scores{source, token});
    }
  });
}

/// A plane whose rows lie in one piece: a loop over their numbers then has no stride to multiply by.
template <class Plane>
struct contiguous_rows {
  Plane plane;

  WINDOWKV_HD float load(std::int64_t slot, std::int64_t head, std::int64_t dim) const {
    auto const* const row = plane.address(slot, head, 0);
    return plane.accessor.load(row[dim / Plane::dims_per_element], slot, head, dim);
  }
};
template <class Plane>
bool is_contiguous(Plane const& plane) {
  if constexpr (is_absent_v<Plane>) {
    return true;
  } else {
    return run_of(plane.layout, 1, plane.units()) == plane.units();
  }
}

/// Calls f with the rows, in their faster form where their planes allow it.
template <class KeyPlane, class ValuePlane, class QueryPlane, class F>
void with_fast_rows(head_rows<KeyPlane, ValuePlane, QueryPlane> const& rows, F&& f) {
  if (is_contiguous(rows.keys) && is_contiguous(rows.values)) {
    f(head_rows<contiguous_rows<KeyPlane>, contiguous_rows<ValuePlane>, QueryPlane>{{rows.keys},
                                                                                    {rows.values},
                                                                                    rows.queries,
                                                                                    rows.tokens,
                                                                                    rows.dims,
                                                                                    rows.value_dims,
                                                                                    rows.query_heads,
                                                                                    rows.query_rows,
                                                                                    rows.head,
                                                                                    rows.layer});
  } else {
    f(rows);
  }
}

template <class ParallelFor, class RowScorer, class Rows>
void find_row_scores_of(host_executor<ParallelFor> const& on, plan_data const& p, RowScorer const& scorer,
                        Rows const& rows, workspace_layout const& memory) {
  constexpr int items_per_work = 64;
  row_shape const shape{p.prompt.tokens, p.shape.head_dim, rows.query_heads};
  auto const for_each_item = [&](int items, auto&& f) {
    int const pieces = (items + items_per_work - 1) / items_per_work;
    on.parallel_for(pieces * p.shape.kv_heads, [&](int work) {
      Rows of_head = rows;
      of_head.head =
          work % p.shape.kv_heads;  // heads of the same tokens one after the other: they share pages
      int const begin = work / p.shape.kv_heads * items_per_work;
      int const end = items - begin < items_per_work ? items : begin + items_per_work;
      float* const scratch = memory.scratch + of_head.head * p.needs.scratch;
      for (int item = begin; item < end; ++item) f(item, of_head, scratch);
    });
  };
  if constexpr (passes_of<RowScorer>::value > 0) {
    for (int pass = 0; pass < RowScorer::passes; ++pass) {
      for_each_item(scorer.items(pass, shape), [&](int item, Rows const& of_head, float* scratch) {
        scorer.run(pass, item, of_head, scratch);
      });
    }
  }
  for_each_item(p.review, [&](int token, Rows const& of_head, float* scratch) {
    memory.row_scores[static_cast<std::int64_t>(of_head.head) * p.review + token] =
        scorer.score(token, of_head, scratch);
  });
}

/// What a row scorer gives for every review token of one layer: memory.row_scores.
template <class ParallelFor, class RowScorer, class Rows>
void find_row_scores(host_executor<ParallelFor> const& on, plan_data const& p, RowScorer const& scorer,
                     Rows const& rows, workspace_layout const& memory) {
  if constexpr (reads_keys<RowScorer>::value || reads_values<RowScorer>::value) {
    with_fast_rows(rows, [&](auto const& fast) { find_row_scores_of(on, p, scorer, fast, memory); });
  } else {
    find_row_scores_of(on, p, scorer, rows, memory);
  }
}

}  // namespace windowkv::detail
