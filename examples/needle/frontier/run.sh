#!/bin/sh
# SPDX-FileCopyrightText: 2026 The windowkv authors
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# Makes everything in results/: run.sh PROGRAM [STEP...], steps: compare points shapes search long.
set -eu
program=$(realpath "${1:-build/demo/examples/windowkv_needle_frontier}")
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- compare points shapes search long
cd "$(dirname "$0")"

models() {
  list=
  for name in "$@"; do list=$list${list:+,}../weights/tinylm_$name.fp16.bin; done
  echo "$list"
}
tuned=$(models a d p)
held_out=$(models w q r)
# What default_method() was when the search began.
begin="suffix=16 decay=0.8"

compare() { # NAME KIND LIST MODELS DOCUMENTS
  "$program" compare --for "$2" --list "$3" --models "$4" --documents "$5" --seed 11 \
    --csv "results/$1.csv" >"results/$1.md"
}

for step in "$@"; do
  case $step in
    compare)
      compare localization_held_out localization localization.txt "$held_out" 20
      compare aggregation_held_out aggregation aggregation.txt "$held_out" 60
      compare localization_tuned localization localization.txt "$tuned" 20
      compare aggregation_tuned aggregation aggregation.txt "$tuned" 60
      ;;
    points)
      compare points_localization localization points.txt "$tuned,$held_out" 12
      compare points_aggregation aggregation points.txt "$tuned,$held_out" 40
      ;;
    shapes)
      compare shapes_localization localization shapes.txt "$tuned,$held_out" 12
      compare shapes_aggregation aggregation shapes.txt "$tuned,$held_out" 40
      ;;
    search)
      "$program" search --for localization --models "$tuned" --start "$begin" --fixed sinks --rounds 3 \
        --documents 4,12,30 --csv results/search_localization.csv >results/search_localization.txt
      "$program" search --for aggregation --models "$tuned" --start "$begin" --fixed sinks --rounds 3 \
        --documents 10,30,80 --csv results/search_aggregation.csv >results/search_aggregation.txt
      ;;
    long)
      "$program" compare --for localization --list long.txt --models "$(models a d w)" --documents 6 --seed 3 \
        --context 2048,4096 --budget 0.015,0.03,0.05 --csv results/long.csv >results/long.md
      ;;
    *)
      echo "no step $step" >&2
      exit 1
      ;;
  esac
done
