// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "sequence.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace golden {
namespace {

/// Heads of one element of a tensor [B, H, rows, D], each `copies` times.
std::vector<float> heads_of(tensor<float> const& all, int element, int copies) {
  auto const heads = static_cast<std::size_t>(all.shape[1]);
  auto const head_floats = static_cast<std::size_t>(all.shape[2]) * static_cast<std::size_t>(all.shape[3]);
  std::vector<float> out;
  out.reserve(heads * head_floats * static_cast<std::size_t>(copies));
  for (std::size_t head = 0; head < heads; ++head) {
    auto const first =
        all.values.begin() +
        static_cast<std::ptrdiff_t>((static_cast<std::size_t>(element) * heads + head) * head_floats);
    for (int copy = 0; copy < copies; ++copy) {
      out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(head_floats));
    }
  }
  return out;
}

}  // namespace

std::vector<sequence> read_sequences(golden_case const& c, json const& call) {
  json const& shape = c.description["shape"];
  int const batch = shape["B"].small_integer();
  int const query_heads = shape["Hq"].small_integer();
  int const kv_heads = shape["Hkv"].small_integer();
  int const dims = shape["D"].small_integer();
  require(batch >= 1 && kv_heads >= 1 && query_heads >= 1 && query_heads % kv_heads == 0,
          "shape: B, Hq and Hkv cannot be");
  json const* repeats = c.description.find("repeat_kv");
  int const copies = repeats != nullptr && repeats->boolean() ? query_heads / kv_heads : 1;
  auto const keys = c.floats(call, "inputs", "K");
  require(keys.shape.size() == 4, "K: four extents are wanted");
  int const tokens = keys.shape[2];
  require_shape(keys, {batch, kv_heads, tokens, dims}, "K");
  auto values = c.floats(call, "inputs", "V");
  if (values.shape.empty()) values = keys;
  require_shape(values, {batch, kv_heads, tokens, dims}, "V");
  auto const queries = c.floats(call, "inputs", "Q");
  int rows = 0;
  if (!queries.shape.empty()) {
    require(queries.shape.size() == 4, "Q: four extents are wanted");
    rows = queries.shape[2];
    require_shape(queries, {batch, query_heads, rows, dims}, "Q");
    json const* first = call["inputs"]["Q"].find("row0");
    require((first == nullptr ? 0 : first->integer()) + rows == tokens,
            "Q: its rows do not end with the prompt");
  }
  std::vector<sequence> out;
  for (int b = 0; b < batch; ++b) {
    sequence one{tokens, query_heads, kv_heads * copies, dims, rows, {}, {}, {}};
    if (rows > 0) one.queries = heads_of(queries, b, 1);
    one.keys = heads_of(keys, b, copies);
    one.values = heads_of(values, b, copies);
    out.push_back(std::move(one));
  }
  return out;
}

sequence part_of(sequence const& whole, int begin, int tokens) {
  sequence part = whole;
  part.tokens = tokens;
  part.query_rows = 0;
  part.queries.clear();
  auto const cut = [&](std::vector<float> const& plane) {
    std::vector<float> out;
    for (std::ptrdiff_t head = 0; head < whole.kv_heads; ++head) {
      auto const first = plane.begin() + (head * whole.tokens + begin) * whole.dims;
      out.insert(out.end(), first, first + std::ptrdiff_t{tokens} * whole.dims);
    }
    return out;
  };
  part.keys = cut(whole.keys);
  part.values = cut(whole.values);
  return part;
}

std::string check_own_rows(sequence const& original, compressed const& ours) {
  auto const row = [&](std::vector<float> const& plane, int head, std::int32_t slot) {
    return plane.data() + (std::int64_t{head} * original.tokens + slot) * original.dims;
  };
  auto const bytes = static_cast<std::size_t>(original.dims) * sizeof(float);
  std::size_t flat_row = 0;
  for (int head = 0; head < original.kv_heads; ++head) {
    std::int32_t to = 0;
    for (std::int32_t from : ours.list(head)) {
      float const* const key = row(original.keys, head, from);
      float const* const value = row(original.values, head, from);
      bool is_right = std::memcmp(key, row(ours.cache.keys, head, to), bytes) == 0 &&
                      std::memcmp(value, row(ours.cache.values, head, to), bytes) == 0;
      if (!ours.flat_keys.empty()) {
        std::size_t const at = flat_row * static_cast<std::size_t>(original.dims);
        is_right = is_right && std::memcmp(key, ours.flat_keys.data() + at, bytes) == 0 &&
                   std::memcmp(value, ours.flat_values.data() + at, bytes) == 0;
      }
      if (!is_right) {
        return "head " + std::to_string(head) + ": row " + std::to_string(to) + " is not that of its slot";
      }
      ++to;
      ++flat_row;
    }
  }
  return {};
}

compressed compact_to(sequence const& original, std::vector<id_list> const& lists) {
  compressed out;
  out.lists = lists;
  out.cache = original;
  id_list slots;
  id_list offsets{0};
  wkv::selection chosen;
  chosen.group = 0;
  chosen.tokens = original.tokens;
  for (id_list& list : out.lists) {
    list = ascending(list);
    slots.insert(slots.end(), list.begin(), list.end());
    offsets.push_back(static_cast<std::int32_t>(slots.size()));
    chosen.kept = std::max(chosen.kept, static_cast<int>(list.size()));
  }
  chosen.slots = slots.data();
  chosen.lists = static_cast<int>(lists.size());
  chosen.offsets = offsets.data();
  auto const status = wkv::compact_in_place(wkv::host_executor<>{}, chosen, out.cache.cache());
  require(status.ok(), status.message().text);
  return out;
}

void append_rows(std::vector<float>& rows, compressed const& ours, std::vector<float> const& plane, int head,
                 id_list const& ids) {
  id_list const& kept = ours.list(head);
  int const dims = ours.cache.dims;
  for (std::int32_t id : ids) {
    auto const slot = std::lower_bound(kept.begin(), kept.end(), id) - kept.begin();
    auto const first = plane.begin() + (std::ptrdiff_t{head} * ours.cache.tokens + slot) * dims;
    rows.insert(rows.end(), first, first + dims);
  }
}

id_list ids_of(tensor<std::int32_t> const& all, call_shape const& shape, int element, int head) {
  if (all.shape.size() == 1) return all.values;
  require(all.shape.size() == 3 && all.shape[0] == shape.batch && all.shape[1] == shape.heads,
          "kept tokens: unexpected shape");
  std::ptrdiff_t const count = all.shape[2];
  auto const first = all.values.begin() + (std::ptrdiff_t{element} * shape.heads + head) * count;
  return {first, first + count};
}

}  // namespace golden
