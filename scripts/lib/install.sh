# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=sh
# Sourced by the scripts: finds out which packages are missing and installs them where that is possible.

missing=""

# want PACKAGE COMMAND...: PACKAGE is missing when COMMAND fails.
want() {
  package=$1
  shift
  "$@" >/dev/null 2>&1 || missing="$missing $package"
}

have_compiler() { command -v "${CXX:-c++}"; }
have_make() { [ -n "${CMAKE_GENERATOR:-}" ] || command -v make; }
have_catch2() {
  for header in catch2/catch_test_macros.hpp catch2/catch.hpp; do
    echo "#include <$header>" | "${CXX:-c++}" -std=c++17 -E -x c++ - && return
  done
}
have_benchmark() { echo "#include <benchmark/benchmark.h>" | "${CXX:-c++}" -std=c++17 -E -x c++ -; }

# The folder of the CUDA toolkit, if its compiler is there: nothing here installs that one.
cuda_toolkit() {
  for nvcc in "$(command -v nvcc)" "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; do
    if [ -x "$nvcc" ]; then
      dirname "$(dirname "$(readlink -f "$nvcc")")"
      return 0
    fi
  done
  return 1
}

want_build_tools() {
  want g++ have_compiler
  want cmake command -v cmake
  want make have_make
}

# Installs what is missing, or says how. Fails when something is still missing.
install_missing() {
  if [ -z "$missing" ]; then
    return 0
  fi
  line="apt-get update && apt-get install -y --no-install-recommends$missing"
  if ! command -v apt-get >/dev/null; then
    echo "Missing packages (names as in Debian):$missing" >&2
    return 1
  elif [ "$(id -u)" -eq 0 ]; then
    as_root="env"
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root="sudo env"
  else
    echo "Missing packages. Install them as root: $line" >&2
    return 1
  fi
  echo "Installing:$missing"
  # shellcheck disable=SC2086 # $missing is a list of words
  if $as_root apt-get update -qq </dev/null &&
    $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing </dev/null; then
    missing=""
    return 0
  fi
  echo "Could not install. With a network, run as root: $line" >&2
  return 1
}

# Stops when a build is impossible; otherwise sets the number of parallel jobs.
require_build_tools() {
  missing=""
  want_build_tools
  if [ -n "$missing" ]; then
    echo "Cannot go on without:$missing" >&2
    exit 1
  fi
  version=$(cmake --version | sed -n '1s/[^0-9]*\([0-9]*\)\.\([0-9]*\).*/\1 \2/p')
  if [ "${version% *}" -eq 3 ] && [ "${version#* }" -lt 25 ]; then
    echo "cmake 3.25 or newer is needed here; $(command -v cmake) is $(echo "$version" | tr ' ' '.')." >&2
    exit 1
  fi
  jobs=$(getconf _NPROCESSORS_ONLN)
  export CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$jobs}"
  export CTEST_PARALLEL_LEVEL="${CTEST_PARALLEL_LEVEL:-$jobs}"
}
