// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

// Cases of methods other than WindowKV: every batch element is a sequence of its own, since each selects for
// itself there.

#include <cstdint>
#include <string>
#include <vector>

#include "case.hpp"
#include "compare.hpp"
#include "windowkv/windowkv.hpp"

namespace golden {

namespace wkv = windowkv;

using id_list = std::vector<std::int32_t>;

/// One batch element of a call, with a K and a V row per query head where the original repeated them. Planes
/// are [head][token][D].
struct sequence {
  int tokens = 0;
  int query_heads = 0;
  int kv_heads = 0;
  int dims = 0;
  int query_rows = 0;  ///< of the last tokens; 0: there are none
  std::vector<float> queries;
  std::vector<float> keys;
  std::vector<float> values;  ///< the keys once more where the case has none

  wkv::suffix_queries<wkv::dense_plane<float const>> query_source() const {
    return {wkv::head_slot_dim(queries.data(), query_rows, query_heads, dims), nullptr};
  }
  auto cache() {
    return wkv::kv_view{wkv::head_slot_dim(keys.data(), tokens, kv_heads, dims),
                        wkv::head_slot_dim(values.data(), tokens, kv_heads, dims)};
  }
};

/// Sizes of a call, as the library sees them.
struct call_shape {
  int batch = 0;
  int heads = 0;  ///< that select: KV heads, or query heads where K and V are repeated
  int tokens = 0;
};

std::vector<sequence> read_sequences(golden_case const& c, json const& call);
inline call_shape shape_of(std::vector<sequence> const& elements) {
  return {static_cast<int>(elements.size()), elements.front().kv_heads, elements.front().tokens};
}

/// A part of a sequence's tokens as a sequence.
sequence part_of(sequence const& whole, int begin, int tokens);

/// What one compression of one sequence came to, in host memory.
struct compressed {
  bool is_evicted = true;  ///< false: its layer never is
  bool keeps_all = true;
  int budget = 0;
  int review = 0;
  std::vector<id_list> lists;        ///< kept slots of each list, ascending
  std::vector<float> token_scores;   ///< [rows][R]
  std::vector<float> window_scores;  ///< [lists][Nw]
  sequence cache;                    ///< compacted in place
  std::vector<float> flat_keys;      ///< of several lists, one behind the other: [rows][D]
  std::vector<float> flat_values;

  /// What a head keeps.
  id_list const& list(int head) const {
    return lists[lists.size() == 1 ? 0 : static_cast<std::size_t>(head)];
  }
};

/// Empty if every kept row is the row of its slot, else a sentence.
std::string check_own_rows(sequence const& original, compressed const& ours);

/// The same sequence compacted to given lists, by hand.
compressed compact_to(sequence const& original, std::vector<id_list> const& lists);

/// Rows of K or V of one head, in the order of `ids`, which lists what is kept.
void append_rows(std::vector<float>& rows, compressed const& ours, std::vector<float> const& plane, int head,
                 id_list const& ids);

/// Ids of an array [B, H, n] or, for all alike, [n].
id_list ids_of(tensor<std::int32_t> const& all, call_shape const& shape, int element, int head);

}  // namespace golden
