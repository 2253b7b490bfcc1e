// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file mask_reference.hpp
/// The reference for every compressed cache: the full cache, with the dropped tokens hidden from attention.
/// One mask serves all layers of a graph, so it is rewritten in front of every layer.

#include <cstdint>
#include <vector>

#include "engine.hpp"

namespace llama_demo {

/// Hides cells from single-token batches, per layer.
class cell_hider final : public node_listener {
 public:
  /// @param kept_cells per layer, ascending; of the first `prompt_cells` cells all others are hidden
  cell_hider(std::vector<std::vector<std::int32_t>> const& kept_cells, int prompt_cells);

  void before(ggml_tensor* node) override;
  /// To be called between batches; an error unless the mask of every layer was rewritten.
  void finish_batch();

 private:
  std::vector<std::vector<bool>> is_hidden_;
  std::vector<unsigned char> engine_mask_;  // of the batch, before anything was hidden
  int layers_done_ = 0;
};

}  // namespace llama_demo
