#!/bin/sh
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Builds and runs the demo, installing what it needs (g++, cmake, make) when it is missing.
# Arguments go to the demo; scripts/demo.sh --help lists them.
set -eu
called_from=$PWD
cd "$(dirname "$0")/.."
root=$PWD
. scripts/lib/install.sh

want_build_tools
install_missing || echo "Going on with what is there." >&2
require_build_tools

if [ $# -eq 0 ]; then
  exec cmake --workflow --preset demo
fi
cmake --preset demo
cmake --build build/demo --target windowkv_needle
cd "$called_from" # files are named relative to it
exec "$root/build/demo/examples/windowkv_needle" "$@"
