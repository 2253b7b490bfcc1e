// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "experiment.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "choice.hpp"
#include "choice_check.hpp"
#include "continuation.hpp"
#include "other_tokens.hpp"
#include "prompt_cache.hpp"
#include "report.hpp"
#include "resident_memory.hpp"
#include "routes.hpp"

namespace llama_demo {
namespace {

using token_lists = std::vector<std::vector<std::int32_t>>;

template <class F>
double time_of(F&& f) {
  auto const begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

/// What the full cache gives with all but the kept tokens hidden, and with others hidden.
struct yardstick {
  token_lists kept;
  continuation reference;
  continuation control;
};

class experiment {
 public:
  explicit experiment(options const& o) : o_(o), model_(o.model), prompt_(read_prompt(o, model_)) {
    n_ = static_cast<int>(prompt_.size());
    budget_ = o.budget > 0 ? o.budget : n_ / 8;
    suffix_ = suffix_of(o.task);
    if (budget_ < 2 * suffix_ || budget_ >= n_) {
      throw std::runtime_error("a budget of " + std::to_string(budget_) + " tokens for a prompt of " +
                               std::to_string(n_) + ": it must be at least " + std::to_string(2 * suffix_) +
                               ", twice the queries that windowkv scores by, and less than the prompt");
    }
  }

  bool run() {
    compute_prompt();
    token_lists const uniform = choose_tokens(model_.layers());
    token_lists const grouped = choose_tokens(o_.layers_per_group);
    measure_full();
    yardstick const for_uniform{uniform, hide_all_but(uniform),
                                hide_all_but(mirrored(uniform, n_ - suffix_))};
    yardstick const for_grouped{grouped, hide_all_but(grouped), hide_all_but(swapped(grouped, n_ - suffix_))};

    try_removal(for_uniform);
    try_rewriting(for_grouped);
    try_moving(for_grouped);
    print_table(table_);
    return checks_.all_hold();
  }

 private:
  void compute_prompt() {
    full_ = open_session(o_, model_, n_ + o_.new_tokens);
    double const milliseconds =
        time_of([&] { records_ = prefill(*full_, prompt_, model_.layers(), suffix_); });
    std::printf("prompt: %d tokens in %.0f ms, %d layers, keys %s, values %s, flash attention %s\n", n_,
                milliseconds, model_.layers(), ggml_type_name(o_.key_type), ggml_type_name(o_.value_type),
                o_.flash_attention ? "on" : "off");
  }

  token_lists choose_tokens(int layers_per_group) {
    choice_options const how{budget_, layers_per_group, o_.task};
    kept_tokens kept;
    double const milliseconds =
        time_of([&] { kept = choose(records_, n_, how, score_source::queries_and_keys); });
    std::printf("windowkv: %d tokens per layer in groups of %d layers, chosen in %.1f ms; attention kept:",
                kept.count(), layers_per_group, milliseconds);
    for (float const share : kept.retained) std::printf(" %.0f %%", 100. * double{share});
    std::printf("\n");
    check_choice(checks_, records_, n_, how);
    return kept.of_layers();
  }

  void measure_full() {
    next_ = continue_greedily(*full_, n_, o_.new_tokens);
    state_ = full_->save();
    table_.push_back({"full cache", n_, state_.size(), 0, decode_tokens(*full_, next_, n_)});
    full_->remove(n_, -1);
  }

  continuation hide_all_but(token_lists const& kept) { return decode_with_hidden(*full_, next_, n_, kept); }

  expected_state whole_prompt() const { return expect_state(records_, first_positions(n_)); }

  void try_removal(yardstick const& y) {
    std::unique_ptr<session> const engine = open_session(o_, model_, n_ + o_.new_tokens);
    engine->load(state_);
    double const milliseconds = time_of([&] { remove_others(*engine, y.kept.front(), n_); });
    finish("1 positions removed", *engine, milliseconds, y);
  }

  void try_rewriting(yardstick const& y) {
    std::unique_ptr<session> const engine = open_session(o_, model_, n_ + o_.new_tokens);
    engine->load(state_);
    double const milliseconds =
        time_of([&] { engine->load(compressed_state(*engine, whole_prompt(), y.kept)); });
    finish("2 state rewritten", *engine, milliseconds, y);
  }

  void try_moving(yardstick const& y) {
    auto const kept = static_cast<int>(y.kept.front().size());
    std::unique_ptr<session> const engine = open_session(o_, model_, kept + o_.new_tokens);
    double const milliseconds =
        time_of([&] { engine->load(compressed_state(*full_, whole_prompt(), y.kept)); });
    std::size_t const before = resident_memory();
    full_.reset();
    std::size_t const after = resident_memory();
    finish("3 moved to a smaller context", *engine, milliseconds, y);
    checks_.expect(table_.back().decoded.cache_bytes < table_.front().decoded.cache_bytes,
                   table_.back().name + ": its cache takes less memory");
    std::printf("resident memory: %zu MiB with both contexts, %zu MiB without the large one\n", before >> 20,
                after >> 20);
  }

  void finish(std::string name, session& engine, double milliseconds, yardstick const& y) {
    std::size_t const bytes = check_state(name, engine, y.kept.front());
    continuation decoded = decode_tokens(engine, next_, n_);
    checks_.expect_same(name, compare(decoded, y.reference), compare(decoded, y.control));
    auto const cells = static_cast<int>(y.kept.front().size());
    table_.push_back({std::move(name), cells, bytes, milliseconds, std::move(decoded)});
  }

  /// The state must hold what was kept and nothing else.
  std::size_t check_state(std::string const& name, session const& engine,
                          std::vector<std::int32_t> const& kept) {
    state_bytes const state = engine.save();
    state_layout const layout = parse_state(state, expect_state(records_, kept));
    std::size_t const dropped = (static_cast<std::size_t>(n_) - kept.size()) * layout.bytes_per_cell();
    checks_.expect(state_.size() - state.size() == dropped,
                   name + ": " + std::to_string(layout.cells) +
                       " cells with original positions, a state smaller by " + std::to_string(dropped) +
                       " bytes");
    return state.size();
  }

  options o_;
  model model_;
  std::vector<llama_token> prompt_;
  int n_ = 0;
  int budget_ = 0;
  int suffix_ = 0;

  std::unique_ptr<session> full_;
  std::vector<layer_record> records_;
  std::vector<llama_token> next_;
  state_bytes state_;
  checklist checks_;
  std::vector<measurement> table_;
};

}  // namespace

bool run_experiment(options const& o) { return experiment(o).run(); }

}  // namespace llama_demo
