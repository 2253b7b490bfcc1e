// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

// A method from a paper, added in one place: CurDKV (arXiv 2509.15038) as kvpress runs it. A token counts
// |k|^2 |v|^2, each as a share of its neighbourhood of 16 tokens, a stand-in for the leverage scores of a CUR
// decomposition; the first 4 tokens always stay; every KV head keeps its own best.

#include <windowkv/host/owned_workspace.hpp>
#include <windowkv/windowkv.hpp>

#include <cstdio>
#include <vector>

namespace wkv = windowkv;

struct local_leverage {
  static constexpr bool reads_values = true;
  static constexpr int passes = 1;
  int width = 16;

  int scratch_floats(wkv::row_shape const& s) const { return 2 * items(0, s); }
  int items(int /*pass*/, wkv::row_shape const& s) const { return (s.tokens + width - 1) / width; }
  template <class Rows>
  WINDOWKV_HD void run(int /*pass*/, int item, Rows const& rows, float* scratch) const {
    float keys = 0.f, values = 0.f;
    for (int j = item * width; j < rows.tokens && j < (item + 1) * width; ++j) {
      keys += size(rows, j, false);
      values += size(rows, j, true);
    }
    scratch[2 * item] = keys;
    scratch[2 * item + 1] = values;
  }
  template <class Rows>
  WINDOWKV_HD float score(int token, Rows const& rows, float const* scratch) const {
    float const* const sums = scratch + 2 * (token / width);
    return size(rows, token, false) / sums[0] * (size(rows, token, true) / sums[1]);
  }
  template <class Rows>
  WINDOWKV_HD static float size(Rows const& rows, int token, bool of_value) {
    float sum = 0.f;
    for (int d = 0; d < (of_value ? rows.value_dims : rows.dims); ++d) {
      float const x = of_value ? rows.value(token, d) : rows.key(token, d);
      sum += x * x;
    }
    return sum;
  }
};

inline auto curd_kv() {
  return wkv::key_norm()
      .with_token_scorer(local_leverage{})
      .with_selector(wkv::top_windows{wkv::fill::within_budget, 4});
}

namespace {

// One layer with two KV heads: all rows alike but for three tokens of one head, whose values are larger, and
// one of the other. Ten tokens stay in each.
wkv::status show() {
  constexpr int tokens = 48, heads = 2, dim = 8;
  std::vector<float> keys(tokens * heads * dim, 1.f), values(keys);
  auto const all_values = wkv::slot_head_dim(values.data(), tokens, heads, dim);
  auto const enlarge = [&](int head, int token) {
    for (int d = 0; d < dim; ++d) *all_values.address(token, head, d) = 3.f;
  };
  for (int token : {20, 21, 40}) enlarge(0, token);
  enlarge(1, 33);

  WINDOWKV_TRY_ASSIGN(plan, wkv::make_plan(curd_kv().with_budget(10), wkv::model_shape{1, 4, heads, dim},
                                           wkv::prompt{tokens, wkv::task::localization}));
  wkv::owned_workspace const memory(plan.workspace_bytes);
  WINDOWKV_TRY_ASSIGN(
      report, wkv::compress(
                  wkv::host_executor{}, plan, memory.get(), [](int) { return wkv::no_queries{}; },
                  [&](int) {
                    return wkv::kv_view{wkv::slot_head_dim(keys.data(), tokens, heads, dim), all_values};
                  }));
  for (int head = 0; head < heads; ++head) {
    wkv::slot_list const kept = report.group[0].list(head);
    std::printf("head %d keeps", head);
    for (int i = 0; i < kept.count; ++i) std::printf(" %d", kept.slots[i]);
    std::printf("\n");
  }
  return {};
}

}  // namespace

int main() {
  wkv::status const outcome = show();
  if (!outcome) std::fprintf(stderr, "windowkv: %s\n", outcome.message().c_str());
  return outcome ? 0 : 1;
}
