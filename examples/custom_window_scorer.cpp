// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A window scorer of one's own: rewards one sharp token in a window over many middling ones.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cstdio>

namespace wkv = windowkv;

struct peak_minus_mean {
  struct state_type {
    float peak, sum;
  };
  float weight = 0.5f;
  WINDOWKV_HD state_type init() const { return {0.f, 0.f}; }
  WINDOWKV_HD void add(state_type& s, float score) const {
    s.peak = score > s.peak ? score : s.peak;
    s.sum += score;
  }
  WINDOWKV_HD float finish(state_type const& s, int tokens) const {
    return s.peak - weight * s.sum / static_cast<float>(tokens);
  }
};
static_assert(wkv::is_window_scorer_v<peak_minus_mean>);

namespace {

// The paper's method with this scorer, on token scores that the engine already has: one layer, one head, 12
// review tokens in windows of 4 (flat, peaked, in between), and room for one window besides the suffix of one
// token.
wkv::status show() {
  float const scores[12] = {.3f, .3f, .3f, .3f, .0f, .5f, .0f, .0f, .2f, .4f, .2f, .2f};
  auto const method = wkv::paper_method(4)
                          .with_window_scorer(peak_minus_mean{})
                          .with_token_scorer(wkv::external_scores{})
                          .with_suffix(1)
                          .with_budget(4);
  WINDOWKV_TRY_ASSIGN(
      plan, wkv::make_plan(method, wkv::model_shape{1, 1, 1, 64}, wkv::prompt{13, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  WINDOWKV_TRY_ASSIGN(run, wkv::begin(plan, memory.get()));
  wkv::host_executor const on;
  WINDOWKV_TRY(wkv::score(on, run, 0, wkv::token_scores{scores, 1, 12, 12}));
  WINDOWKV_TRY_ASSIGN(chosen, wkv::select(on, run, 0));
  for (int i = 0; i < chosen.kept; ++i) std::printf("%d ", chosen.slots[i]);
  std::printf("\n");
  return {};
}

}  // namespace

int main() {
  wkv::status const outcome = show();
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  return outcome ? 0 : 1;
}
