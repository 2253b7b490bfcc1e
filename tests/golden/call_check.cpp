// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "call_check.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace golden {
namespace {

/// Scores [elements][lists][count], one after the other, times `scale`.
std::vector<float> joined(std::vector<compressed> const& ours, std::vector<float> compressed::*scores,
                          double scale) {
  std::vector<float> out;
  for (compressed const& one : ours) {
    for (float score : one.*scores) out.push_back(static_cast<float>(static_cast<double>(score) * scale));
  }
  return out;
}

/// Review tokens of a list, best first.
id_list ranked(compressed const& ours, int head) {
  id_list ids = ours.list(head);
  ids.erase(std::lower_bound(ids.begin(), ids.end(), ours.review), ids.end());
  if (ours.window_scores.empty()) return ids;
  std::size_t const list = ours.lists.size() == 1 ? 0 : static_cast<std::size_t>(head);
  float const* const scores = ours.window_scores.data() + list * static_cast<std::size_t>(ours.review);
  std::sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) {
    return wkv::rank_key(scores[a], a) > wkv::rank_key(scores[b], b);
  });
  return ids;
}

/// One row of scores that judges ties.
std::vector<float> row_of(tensor<float> const& scores, compressed const& ours, call_shape const& shape,
                          int element, int head) {
  if (scores.values.empty()) {
    if (ours.window_scores.empty()) return {};
    std::ptrdiff_t const list = ours.lists.size() == 1 ? 0 : head;
    auto const first = ours.window_scores.begin() + list * ours.review;
    return {first, first + ours.review};
  }
  std::ptrdiff_t const columns = scores.shape.back();
  auto const first = scores.values.begin() + (std::ptrdiff_t{element} * shape.heads + head) * columns;
  return {first, first + columns};
}

}  // namespace

call_check::call_check(golden_case const& of, json const& one, findings& into, std::string name)
    : c(of),
      call(one),
      found(into),
      where(std::move(name)),
      allowed(of.description["tolerance"]),
      elements(read_sequences(of, one)) {}

void call_check::compare_number(char const* name, std::int64_t value) const {
  json const* stored = call.find(name);
  if (stored != nullptr && stored->integer() != value) {
    fail(std::string(name) + " " + std::to_string(value) + ", not " + std::to_string(stored->integer()));
  }
}

void call_check::compare_token_scores(char const* name, double scale) const {
  auto const stored = c.floats(call, "outputs", name);
  if (stored.shape.empty()) return;
  require_shape(stored, {shape().batch, shape().heads, ours.front().review}, name);
  std::vector<float> const scores = joined(ours, &compressed::token_scores, scale);
  require(scores.size() == stored.values.size(), std::string(name) + ": another number of scores");
  compare_scores(found, where, name, scores.data(), stored, allowed.score_rtol);
}

void call_check::compare_pooled_scores(char const* name, double scale) const {
  auto const stored = c.floats(call, "outputs", name);
  if (stored.shape.empty()) return;
  require_shape(stored, {shape().batch, shape().heads, ours.front().review}, name);
  std::vector<float> const scores = joined(ours, &compressed::window_scores, scale);
  require(scores.size() == stored.values.size(), std::string(name) + ": another number of scores");
  compare_scores(found, where, name, scores.data(), stored, allowed.score_rtol);
}

std::vector<bool> call_check::compare_lists(std::vector<compressed> const& selected, kept_lists const& theirs,
                                            int suffix, tensor<float> const& scores,
                                            bool compares_order) const {
  std::vector<bool> agrees(elements.size(), true);
  for (std::size_t b = 0; b < elements.size(); ++b) {
    for (int head = 0; head < shape().heads; ++head) {
      std::string const place = where + (elements.size() > 1 ? "element " + std::to_string(b) + ", " : "") +
                                "head " + std::to_string(head) + ": ";
      id_list list = theirs[b][static_cast<std::size_t>(head)];
      require_tokens(list, shape().tokens);
      if (list.size() < static_cast<std::size_t>(suffix)) {
        found.fail(place, "fewer tokens than the window has");
        continue;
      }
      id_list const newest(list.end() - suffix, list.end());
      list.erase(list.end() - suffix, list.end());
      id_list own = selected[b].list(head);
      for (int i = 0; i < suffix; ++i) {
        std::int32_t const token = shape().tokens - suffix + i;
        if (newest[static_cast<std::size_t>(i)] != token ||
            !std::binary_search(own.begin(), own.end(), token)) {
          found.fail(place,
                     "token " + std::to_string(token) + " of the window must be kept, behind the others");
          break;
        }
      }
      bool const is_ranked = compares_order && allowed.order_is_measured;
      if (is_ranked) {
        own = ranked(selected[b], head);
      } else {
        own.erase(own.end() - std::min(suffix, static_cast<int>(own.size())), own.end());
      }
      auto const row = row_of(scores, selected[b], shape(), static_cast<int>(b), head);
      if (!compare_kept(found, place, "tokens", own, list, row, allowed, is_ranked)) agrees[b] = false;
    }
  }
  return agrees;
}

void call_check::compare_kept_rows(kept_lists const& theirs, std::vector<bool> const& agrees) const {
  std::vector<float> keys;
  std::vector<float> values;
  for (std::size_t b = 0; b < elements.size(); ++b) {
    compressed const& rows = agrees[b] ? ours[b] : compact_to(elements[b], theirs[b]);
    for (int head = 0; head < shape().heads; ++head) {
      id_list const& ids = theirs[b][static_cast<std::size_t>(head)];
      append_rows(keys, rows, rows.cache.keys, head, ids);
      append_rows(values, rows, rows.cache.values, head, ids);
    }
  }
  compare_rows(found, where, c, call, "K_out", keys);
  compare_rows(found, where, c, call, "V_out", values);
}

void require_tokens(id_list const& ids, int tokens) {
  id_list const sorted = ascending(ids);
  bool const is_list = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end() &&
                       (sorted.empty() || (sorted.front() >= 0 && sorted.back() < tokens));
  require(is_list, "the kept tokens are not distinct tokens of the prompt");
}

kept_lists lists_of(tensor<std::int32_t> const& all, call_shape const& shape) {
  kept_lists out(static_cast<std::size_t>(shape.batch));
  for (int b = 0; b < shape.batch; ++b) {
    for (int head = 0; head < shape.heads; ++head) {
      out[static_cast<std::size_t>(b)].push_back(ids_of(all, shape, b, head));
      require_tokens(out[static_cast<std::size_t>(b)].back(), shape.tokens);
    }
  }
  return out;
}

}  // namespace golden
