#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make demo`: writes two models from the zoo, optimizes each for this machine's CPU, checks each
# result against the original, and ends with one table per model. Everything is kept in build/demo.
#
#   tools/demo.sh TESSERA [MODEL...]          (default: bert_base resnet50)
set -euo pipefail
cd "$(dirname "$0")/.."
tessera=$1
shift
[ $# -gt 0 ] || set -- bert_base resnet50
folder=build/demo
budget=15s
mkdir -p "$folder"

# Says what is run; its progress goes to the terminal, its result to stdout.
step() {
  printf '\n\033[1m$ tessera %s\033[0m\n' "$*" >&2
  "$tessera" "$@"
}

failed=()
for model in "$@"; do
  original=$folder/$model.onnx
  optimized=$folder/$model.optimized.onnx
  step zoo "$model" -o "$original"
  step optimize "$original" -o "$optimized" --budget "$budget" >"$folder/$model.txt"
  step check "$original" "$optimized" --seeds 1 >"$folder/$model.check.txt" || failed+=("$model")
done

for model in "$@"; do
  printf '\n%s\n' "------------------------------------------------------------------------"
  cat "$folder/$model.txt"
  printf '\nwritten, read again and checked: '
  cat "$folder/$model.check.txt"
done
if [ ${#failed[@]} -gt 0 ]; then
  printf '\nNot the same function any more: %s\n' "${failed[*]}" >&2
  exit 1
fi
printf '\nEach model computes what it computed before. They are in %s.\n' "$folder"
