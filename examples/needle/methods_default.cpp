// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include <string>
#include <vector>

#include "windowkv_compressor.hpp"

namespace needle {
namespace {

constexpr int layers_per_group = 8;

auto ours(int group) { return wkv::default_method(group); }

}  // namespace

std::vector<method_entry> default_methods() {
  using config = model_config;
  std::vector<method_entry> entries{entry_of("default", "windowkv::default_method(), groups of 8 layers",
                                             [](config const&) { return ours(layers_per_group); })};
  for (int g : {1, 2, 4})
    entries.push_back(entry_of("default-g" + std::to_string(g),
                               "the same, groups of " + std::to_string(g) + " layers",
                               [g](config const&) { return ours(g); }));
  entries.push_back(
      entry_of("default-leader", "default, but each group's first layer decides alone", [](config const&) {
        return ours(layers_per_group).with_layer_grouping(wkv::uniform_groups{layers_per_group});
      }));
  entries.push_back(entry_of(
      "default-even", "default, but all observing queries count the same",
      [](config const&) { return ours(layers_per_group).with_token_scorer(wkv::suffix_attention{}); }));
  entries.push_back(
      entry_of("default-window8", "default, but windows on a grid of 8 for both tasks", [](config const&) {
        auto const method = ours(layers_per_group);
        auto const localization =
            method.localization.with_pooling(wkv::no_pooling{}).with_window_scorer(wkv::window_top_mean{4});
        return method.with_localization(localization).with_windows(wkv::fixed_windows{8});
      }));
  entries.push_back({{"default-wrong-task", "default, told the other task"},
                     [](config const& c, compression_request const& r) {
                       task_kind const other =
                           r.task == task_kind::city ? task_kind::needle : task_kind::city;
                       return compress_by(ours(layers_per_group), c, {r.tokens, r.keep, other});
                     }});
  return entries;
}

}  // namespace needle
