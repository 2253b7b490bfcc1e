#!/bin/sh
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Builds and runs all tests, installing what they need (g++, cmake, make, Catch2) when it is missing.
# The CUDA parts are compiled where nvcc is, and run where a GPU is.
set -eu
cd "$(dirname "$0")/.."
. scripts/lib/install.sh

want_build_tools
want catch2 have_catch2
install_missing || echo "Going on with what is there." >&2
require_build_tools
cuda_toolkit >/dev/null || echo "Skipped: what needs the CUDA compiler nvcc, which is not here."

exec cmake --workflow --preset test
