#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy on the sources that changed, codespell on everything.
#
#   tools/lint.sh BUILD_FOLDER
#
# Changed: against LINT_BASE (default: where this branch left origin/main, or on main itself the
# 20th commit back), at most LINT_FILES files (default 40, newest first), LINT_SECONDS each (default
# 120).
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
base=${LINT_BASE:-$(git merge-base HEAD origin/main 2>/dev/null || true)}
if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then
  base=$(git rev-list HEAD | sed -n 21p)
  base=${base:-$(git hash-object -t tree /dev/null)}
fi
status=0

if command -v codespell >/dev/null; then
  git ls-files -z -- ':!LICENSE' ':!*.npz' ':!*.onnx' ':!*.proto' |
    xargs -0 codespell --ignore-words tools/spelling.txt --quiet-level 3 || status=1
else
  echo "lint: no codespell here, passed over"
fi

mapfile -t changed < <({
  git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp'
  git ls-files -o --exclude-standard -- 'src/*.cpp'
} | sort -u | while read -r file; do
  # op records are compiled in batches, so only sources with an entry of their own can be checked
  if grep -qs "\"file\": \".*/$file\"" "$build/compile_commands.json"; then
    printf '%s %s\n' "$(git log -1 --format=%ct -- "$file" 2>/dev/null)" "$file"
  fi
done | sort -rn | head -n "${LINT_FILES:-40}" | awk '{print $NF}')

echo "lint: clang-tidy on ${#changed[@]} changed file(s)"
if [ ${#changed[@]} -gt 0 ]; then
  # The compile commands name a precompiled header and warnings that only g++ knows.
  mkdir -p "$build/lint"
  sed -e 's/ -Werror / /; s/-Winvalid-pch/-Wno-unknown-warning-option/g' \
    -e 's/-fpch-preprocess//g; s/-include [^ ]*cmake_pch.hxx//g' \
    "$build/compile_commands.json" >"$build/lint/compile_commands.json"
  printf '%s\n' "${changed[@]}" |
    xargs -P "$(nproc)" -n 1 timeout "${LINT_SECONDS:-120}" \
      clang-tidy-19 -p "$build/lint" --quiet --warnings-as-errors='*' 2>"$build/lint/log" ||
    status=1
  grep -E 'error:' "$build/lint/log" || true
fi
[ $status -eq 0 ] && echo "lint: ok"
exit $status
