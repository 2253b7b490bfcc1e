// SPDX-FileCopyrightText: 2026 The windowkv authors
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#pragma once

/// @file windowkv.hpp
/// Everything that needs only a host compiler: views, policies, plans and the CPU backend. No CUDA.
/// Apart: exception.hpp (throwing wrapper), host/thread_pool.hpp (std::thread),
/// host/owned_workspace.hpp (allocates), print.hpp (text for people).

#include "windowkv/config.hpp"
#include "windowkv/core/accessor.hpp"
#include "windowkv/core/compression.hpp"
#include "windowkv/core/float8.hpp"
#include "windowkv/core/half.hpp"
#include "windowkv/core/head_rows.hpp"
#include "windowkv/core/heads.hpp"
#include "windowkv/core/layout.hpp"
#include "windowkv/core/lengths.hpp"
#include "windowkv/core/merge.hpp"
#include "windowkv/core/moves.hpp"
#include "windowkv/core/pages.hpp"
#include "windowkv/core/plan.hpp"
#include "windowkv/core/quantised.hpp"
#include "windowkv/core/rank.hpp"
#include "windowkv/core/selection.hpp"
#include "windowkv/core/slot_list.hpp"
#include "windowkv/core/view.hpp"
#include "windowkv/core/workspace.hpp"
#include "windowkv/host/compact.hpp"
#include "windowkv/host/compress.hpp"
#include "windowkv/host/executor.hpp"
#include "windowkv/host/score.hpp"
#include "windowkv/host/select.hpp"
#include "windowkv/policy/budgets.hpp"
#include "windowkv/policy/detail/exact_allocation.hpp"
#include "windowkv/policy/fold.hpp"
#include "windowkv/policy/head_sharing.hpp"
#include "windowkv/policy/layer_groupings.hpp"
#include "windowkv/policy/method.hpp"
#include "windowkv/policy/poolings.hpp"
#include "windowkv/policy/row_scorers.hpp"
#include "windowkv/policy/selectors.hpp"
#include "windowkv/policy/tasks.hpp"
#include "windowkv/policy/token_scorers.hpp"
#include "windowkv/policy/window_groupings.hpp"
#include "windowkv/policy/window_scorers.hpp"
#include "windowkv/status.hpp"
#include "windowkv/version.hpp"
