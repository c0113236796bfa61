#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make demo`: writes two models from the zoo, optimizes each for this machine's CPU, checks each
# result against the original, and ends with one table. Everything is kept in build/demo.
#
#   tools/demo.sh TESSERA [MODEL...]          (default: bert_base resnet50)
set -euo pipefail
cd "$(dirname "$0")/.."
tessera=$1
shift
[ $# -gt 0 ] || set -- bert_base resnet50
folder=build/demo
mkdir -p "$folder"

step() {
  printf '\n\033[1m%s\033[0m\n' "$*" | sed "s|$tessera|tessera|"
  "$@"
}

status=0
for model in "$@"; do
  original=$folder/$model.onnx
  optimized=$folder/$model.optimized.onnx
  step "$tessera" zoo "$model" -o "$original"
  # Prints operators before and after by type, the rules used and how often, predicted and measured
  # milliseconds before and after, peak memory and the stop reason; progress goes to the terminal.
  step "$tessera" optimize "$original" -o "$optimized"
  step "$tessera" check "$original" "$optimized" || status=1
done
if [ $status -eq 0 ]; then
  printf '\nEach model computes what it computed before. They are in %s.\n' "$folder"
else
  printf '\nA check failed: see above.\n' >&2
fi
exit $status
