#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats the C++ sources in place; with --check only names those that are not formatted (exit 1).
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t files < <(git ls-files -co --exclude-standard -- '*.cpp' '*.h' |
  while read -r file; do if [ -f "$file" ]; then echo "$file"; fi; done)
if [ "${1:-}" != --check ]; then
  printf '%s\0' "${files[@]}" | xargs -0 -r -P "$(nproc)" -n 40 clang-format -i
  exit
fi
printf '%s\0' "${files[@]}" |
  xargs -0 -r -P "$(nproc)" -n 40 clang-format --dry-run -ferror-limit=1 2>&1 |
  sed -n 's/^\([^:]*\):[0-9]*:[0-9]*: warning: .*/\1/p' | sort -u >build/unformatted
if [ -s build/unformatted ]; then
  sed 's/$/: not formatted (make format)/' build/unformatted
  exit 1
fi
echo "format: ok"
