#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, and only that: Debian packages when it may (as root, or through sudo),
# and a Python virtual environment with the test tools in build/venv. Quick when nothing is missing.
#
#   tools/setup.sh [build] [test] [bench] [lint] [fuzz]      (default: build)
#
# TESSERA_NO_INSTALL=1 forbids installing packages: what is missing is then listed as an error.
set -euo pipefail
cd "$(dirname "$0")/.."

packages_for() {
  case $1 in
    build) echo g++ cmake ninja-build ccache mold libfmt-dev libxxhash-dev libgtest-dev \
      libgmock-dev libbenchmark-dev libcli11-dev nlohmann-json3-dev libprotobuf-dev \
      protobuf-compiler llvm-19-dev zlib1g-dev libzstd-dev libdnnl-dev ocl-icd-opencl-dev \
      libz3-dev ;;
    test | bench) echo python3 python3-venv ca-certificates ;;
    lint) echo python3 clang-format clang-tidy-19 codespell ;;
    fuzz) echo clang-19 libclang-rt-19-dev ;;
    *) echo "setup.sh: unknown need '$1' (build, test, bench, lint, fuzz)" >&2; exit 2 ;;
  esac
}

missing() {
  { dpkg-query -W -f '${Package} ${db:Status-Status}\n' "$@" 2>/dev/null || true; } |
    awk '$2 == "installed" { print $1 }' | sort -u >"$tmp/have"
  printf '%s\n' "$@" | sort -u | comm -23 - "$tmp/have"
}

install_packages() {
  local -a lacking as_root=()
  local may=yes
  mapfile -t lacking < <(missing "$@")
  [ ${#lacking[@]} -eq 0 ] && return 0
  if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
    command -v sudo >/dev/null || may=no
  fi
  if [ -n "${TESSERA_NO_INSTALL:-}" ] || [ $may = no ]; then
    echo "setup.sh: these Debian packages are missing and may not be installed from here:" >&2
    echo "  ${lacking[*]}" >&2
    echo "Ask someone who may: apt-get install ${lacking[*]}" >&2
    exit 3
  fi
  echo "setup.sh: installing ${lacking[*]}"
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${lacking[@]}" >"$tmp/apt.log" 2>&1 || {
    tail -30 "$tmp/apt.log" >&2
    echo "setup.sh: apt-get install failed (Debian 12 is what this is made for): ${lacking[*]}" >&2
    exit 3
  }
}

# The environment is made anew when the requirements change, and mended when a module is gone.
make_venv() {
  local venv=build/venv want modules='import numpy, onnx, onnxruntime'
  want=$(sha256sum tests/requirements.txt)
  if [ "$(cat $venv/.requirements 2>/dev/null)" = "$want" ] &&
    $venv/bin/python3 -c "$modules" 2>/dev/null; then
    return 0
  fi
  echo "setup.sh: making the Python environment $venv"
  rm -rf "$venv"
  /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
  "$venv/bin/python3" -c "$modules"
  echo "$want" >"$venv/.requirements"
}

# What the comparison with other engines needs besides the test tools.
add_peers() {
  local venv=build/venv want
  want=$(sha256sum bench/requirements.txt)
  if [ "$(cat $venv/.peers 2>/dev/null)" = "$want" ] &&
    $venv/bin/python3 -c 'import openvino' 2>/dev/null; then
    return 0
  fi
  echo "setup.sh: adding the peers of bench/ to $venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/requirements.txt
  "$venv/bin/python3" -c 'import openvino'
  echo "$want" >"$venv/.peers"
}

command -v dpkg-query >/dev/null || {
  echo "setup.sh: no dpkg here; on a system that is not Debian install the equivalents of:" >&2
  echo "  $(packages_for build)" >&2
  exit 3
}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
[ $# -gt 0 ] || set -- build
wanted=()
for need in "$@"; do
  # shellcheck disable=SC2207
  wanted+=($(packages_for "$need"))
done
install_packages "${wanted[@]}"
mkdir -p build
case " $* " in *" test "* | *" bench "*) make_venv ;; esac
case " $* " in *" bench "*) add_peers ;; esac
