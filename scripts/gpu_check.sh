#!/bin/bash
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Builds, tests and measures the CUDA parts on the GPU of this machine and writes one folder of results.
#
#   scripts/gpu_check.sh [--out DIR] [--quick]   needs a GPU, nvcc, g++ and python3; no network, no packages
#   scripts/gpu_check.sh --prepare               on a machine with apt-get and a network: puts Catch2 and Google
#                                                Benchmark into .deps/ (4 MB), to be carried along with the sources
#
# Ends within 9 minutes (--quick: 5). Exit status: 0 if all passed, 1 if something failed or was not reached,
# 2 if it cannot be built here, 3 if there is no GPU. WINDOWKV_COMMIT names the commit where git cannot.
set -u
cd "$(dirname "$0")/.." || exit 2
root=$PWD

usage() { sed -n '4,12s/^# \{0,1\}//p' scripts/gpu_check.sh; }

prepare() {
  if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "gpu_check: --prepare needs apt-get and dpkg" >&2
    exit 2
  fi
  rm -rf .deps
  mkdir -p .deps/debs
  (cd .deps/debs && apt-get -o APT::Sandbox::User=root download catch2 libbenchmark-dev libbenchmark1debian) || exit 2
  for package in .deps/debs/*.deb; do
    dpkg -x "$package" .deps || exit 2
  done
  rm -rf .deps/debs .deps/usr/share
  # Files instead of links, which not everything that copies folders keeps.
  find .deps -type l -exec sh -c 'cp --remove-destination "$(readlink -f "$1")" "$1"' - {} \;
  echo "gpu_check: .deps/ is ready ($(du -sh .deps | cut -f1)). Ignored by git: carry it along with the sources."
}

out=""
quick=0
while [ $# -gt 0 ]; do
  case $1 in
    --prepare) prepare; exit ;;
    --quick) quick=1 ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    --help | -h) usage; exit ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

if ! gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1) || [ -z "$gpu" ]; then
  echo "gpu_check: no GPU: nvidia-smi is missing or names none. Nothing was built or run." >&2
  exit 3
fi
for tool in nvcc g++ python3 timeout; do
  if [ $tool = nvcc ] && ! command -v nvcc >/dev/null && [ -x /usr/local/cuda/bin/nvcc ]; then
    PATH=$PATH:/usr/local/cuda/bin
  fi
  command -v $tool >/dev/null || { echo "gpu_check: $tool is missing" >&2; exit 2; }
done
PATH=$PATH:$(dirname "$(readlink -f "$(command -v nvcc)")") # compute-sanitizer lies beside it

commit=${WINDOWKV_COMMIT:-$(git describe --always --dirty --abbrev=12 2>/dev/null || echo unknown)}
export WINDOWKV_COMMIT=$commit
out=${out:-build/gpu/results/$(date -u +%Y-%m-%dT%H%M%SZ)}
build=$root/build/gpu
mkdir -p "$out" "$build"
out=$(cd "$out" && pwd)
rm -f "$out"/*.log "$out"/*.json "$out"/*.csv "$out"/steps.tsv "$out"/table.md
steps=$out/steps.tsv
: >"$steps"
seconds=540
[ $quick = 1 ] && seconds=300
reserve=10 # for the report
jobs=$(nproc)

left() { echo $((seconds - reserve - SECONDS)); }

# note NAME STATUS SECONDS TEXT
note() {
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" >>"$steps"
  printf '%-12s %-24s %4s s  %s\n' "$2" "$1" "$3" "$4"
}

# step NAME LIMIT COMMAND...: runs it with its output in NAME.log. Fails as the command does.
step() {
  local name=$1 limit=$2 begin=$SECONDS status text
  shift 2
  [ "$limit" -lt "$(left)" ] || limit=$(left)
  if [ "$limit" -lt 3 ]; then
    note "$name" "not reached" 0 "no time was left"
    return 1
  fi
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1 </dev/null
  status=$?
  text=$(grep -aE 'test cases|All tests passed|cases:|ERROR SUMMARY|[0-9]+ (passed|failed)' "$out/$name.log" | tail -n 1)
  text=$(printf '%s' "$text" | tr '\t' ' ' | cut -c1-120)
  if [ $status = 124 ] || [ $status = 137 ]; then
    note "$name" "timed out" $((SECONDS - begin)) "after $limit s; $text"
  elif [ $status != 0 ]; then
    note "$name" failed $((SECONDS - begin)) "status $status; $text"
  else
    note "$name" passed $((SECONDS - begin)) "$text"
  fi
  return $status
}

# Tests that found nothing to run, or no device, have not passed.
test_step() {
  step "$@" || return
  if grep -aqE 'No test cases matched|No tests ran|skipped: no ' "$out/$1.log"; then
    sed -i '$d' "$steps"
    note "$1" failed 0 "tests were skipped, or none matched"
    return 1
  fi
}

facts() {
  echo "date: $(date -u +%Y-%m-%dT%H:%M:%SZ)"
  echo "commit: $commit"
  local key
  for key in name driver_version compute_cap memory.total clocks.sm clocks.mem clocks.max.sm clocks.max.mem power.limit; do
    echo "gpu.$key: $(nvidia-smi --query-gpu=$key --format=csv,noheader | head -n 1)"
  done
  echo "nvcc: $(nvcc --version | sed -n 's/.*release \([^,]*\), \(.*\)/\2/p')"
  echo "g++: $(g++ --version | head -n 1)"
  echo "cmake: $(cmake --version 2>/dev/null | head -n 1)"
  echo "torch: $(python3 -c 'import torch; print(torch.__version__)' 2>/dev/null || echo none)"
  echo "kernel: $(uname -r), $jobs cores"
}
facts | tee "$out/facts.txt"
cap=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '.')

# What a compiler can include: the system's packages, else those of .deps.
finds() { echo "#include <$1>" | g++ -std=c++17 -E -x c++ "${@:2}" - >/dev/null 2>&1; }
catch2=1
benchmark=1
if [ -d .deps/usr ]; then
  export CMAKE_PREFIX_PATH=$root/.deps/usr${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
  LD_LIBRARY_PATH=$root/.deps/usr/lib/$(g++ -print-multiarch)${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  export LD_LIBRARY_PATH
else
  finds catch2/catch.hpp || finds catch2/catch_test_macros.hpp || catch2=0
  finds benchmark/benchmark.h || benchmark=0
fi
[ $catch2 = 1 ] || note prepare failed 0 "Catch2 is missing: run --prepare where there is a network and carry .deps/"
[ $benchmark = 1 ] || note prepare failed 0 "Google Benchmark is missing: run --prepare where there is a network"
on_off() { [ "$1" = 1 ] && echo ON || echo OFF; }

build_with_cmake() {
  local generator=()
  command -v ninja >/dev/null && generator=(-G Ninja)
  # Fresh, since the machine may not be the one that a carried build folder is from.
  rm -rf "$build/CMakeCache.txt" "$build/CMakeFiles"
  step configure 60 cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DWINDOWKV_CUDA=ON \
    -DCMAKE_CUDA_ARCHITECTURES="$cap" -DWINDOWKV_BUILD_EXAMPLES=OFF -DWINDOWKV_INSTALL=OFF \
    -DWINDOWKV_BUILD_TESTS="$(on_off $catch2)" -DWINDOWKV_BUILD_BENCHMARKS="$(on_off $benchmark)" || return
  local targets=() target
  cmake --build "$build" --target help >"$out/targets.log" 2>&1
  for target in windowkv_device_tests windowkv_thrust_tests_cuda windowkv_golden_cuda windowkv_bench_cuda_stages; do
    grep -qw $target "$out/targets.log" && targets+=("$target")
  done
  local keep_going=(-k)
  [ ${#generator[@]} -gt 0 ] && keep_going=(-k 0)
  [ ${#targets[@]} = 0 ] && return 1
  step build 240 cmake --build "$build" --parallel "$jobs" --target "${targets[@]}" -- "${keep_going[@]}"
}

# Device tests and benchmarks alone, where there is no cmake.
build_without_cmake() {
  local deps=.deps/usr library flags
  library=$deps/lib/$(g++ -print-multiarch)
  flags="-std=c++17 -O3 -arch=sm_$cap -Iinclude -Itests -Itests/unit -isystem $deps/include -x cu"
  mkdir -p "$build/direct"
  printf '#define CATCH_CONFIG_MAIN\n#include <catch2/catch.hpp>\n' >"$build/direct/catch2_main.cu"
  export has_catch2=0
  finds catch2/catch.hpp -I$deps/include && has_catch2=1
  # shellcheck disable=SC2086,SC2016 # $flags is a list of words, the program between quotes is for bash
  step build 240 bash -c '
    out=$1 jobs=$2 library=$3; shift 3
    nvcc "$@" -DWINDOWKV_BENCHMARK_COMMIT="\"$WINDOWKV_COMMIT\"" -o "$out/windowkv_bench_cuda_stages" \
      benchmarks/cuda_stages.cu -L"$library" -lbenchmark -lpthread &
    tests=0
    if [ $has_catch2 = 1 ]; then
      printf "%s\n" tests/device/*.cpp "$out/catch2_main.cu" |
        xargs -P "$jobs" -I{} sh -c "f={}; exec \"\$@\" -c -o $out/\$(basename \$f).o \$f" - nvcc "$@" &&
        nvcc -o "$out/windowkv_device_tests" "$out"/*.o || tests=1
    fi
    wait $! && exit $tests' - "$build/direct" "$jobs" "$library" $flags
}

without=failed # what it means that a program was not built
if command -v cmake >/dev/null; then
  build_with_cmake
else
  without="not run"
  note configure passed 0 "no cmake: device tests and benchmarks without their cuBLAS baseline are built directly"
  build_without_cmake
fi
program() { find "$build" -name "$1" -type f -perm -u+x 2>/dev/null | head -n 1; }
device_tests=$(program windowkv_device_tests)
thrust_tests=$(program windowkv_thrust_tests_cuda)
golden=$(program windowkv_golden_cuda)
bench=$(program windowkv_bench_cuda_stages)
export WINDOWKV_REQUIRE_GPU=1

if [ -n "$device_tests" ]; then
  test_step device_tests 120 "$device_tests"
  test_step graph_capture 60 "$device_tests" '[graph]'
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
      if ! step sanitize_$tool 35 compute-sanitizer --tool $tool --error-exitcode 86 "$device_tests" '[sanitize]' &&
        grep -aq 'Device not supported' "$out/sanitize_$tool.log"; then
        sed -i '$d' "$steps"
        note sanitize_$tool "not run" 0 "compute-sanitizer does not support this device"
        break
      fi
    done
  else
    note sanitize "not run" 0 "no compute-sanitizer"
  fi
else
  note device_tests failed 0 "windowkv_device_tests was not built"
fi
if [ -n "$golden" ]; then
  step golden_cuda 60 "$golden" --backend cuda tests/golden/data
  step golden_thrust 60 "$golden" --backend thrust tests/golden/data
else
  note golden "$without" 0 "windowkv_golden_cuda was not built"
fi
if [ -n "$thrust_tests" ]; then
  test_step thrust_tests 60 "$thrust_tests"
else
  note thrust_tests "$without" 0 "windowkv_thrust_tests_cuda was not built"
fi

if [ -n "$bench" ]; then
  nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu --format=csv -lms 500 \
    >"$out/clocks.csv" 2>/dev/null </dev/null &
  watcher=$!
  trap 'kill $watcher 2>/dev/null' EXIT
  repetitions=9
  filter=.
  if [ $quick = 1 ]; then
    repetitions=3
    filter='^(empty|copy|select|compact|(unfused_)?(score|compress)/Llama-3-8B)'
  fi
  step benchmarks 150 "$bench" --benchmark_repetitions=$repetitions --benchmark_report_aggregates_only=true \
    --benchmark_filter="$filter" --benchmark_out="$out/benchmarks.json" --benchmark_out_format=json
  kill $watcher 2>/dev/null
  trap - EXIT
  if ! grep -qs '"run_name"' "$out/benchmarks.json"; then
    sed -i '$d' "$steps"
    note benchmarks failed 0 "nothing was measured"
  elif grep -q '"error_occurred": true' "$out/benchmarks.json"; then
    sed -i '$d' "$steps"
    note benchmarks failed 0 "some ended in errors: see table.md"
  fi
else
  note benchmarks failed 0 "windowkv_bench_cuda_stages was not built"
fi
if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
  lengths=8192,32768,131072
  [ $quick = 1 ] && lengths=8192
  step peer_check 30 python3 benchmarks/peers/torch_pipeline.py --check
  step peer_torch 60 python3 benchmarks/peers/torch_pipeline.py --lengths $lengths --out "$out/torch.json"
  step peer_authors 60 python3 benchmarks/peers/authors_loop.py --lengths 8192 --out "$out/authors.json"
else
  note peers "not run" 0 "python3 has no torch that sees the GPU"
fi

timeout -k 2 10 python3 scripts/lib/gpu_report.py "$out" || note report failed 0 "gpu_report.py"
echo
[ -f "$out/table.md" ] && cat "$out/table.md"
echo
echo "gpu_check: $(cut -f2 "$steps" | sort | uniq -c | tr -s ' \n' ' ')- results in $out"
! cut -f2 "$steps" | grep -qE 'failed|timed out|not reached'
