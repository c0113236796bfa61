#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Unpacks ONNX's node tests once: unpack_node_tests.sh ARCHIVE FOLDER. Without the archive there is
# nothing to do; the tests that want it then skip themselves.
set -eu
[ -f "$1" ] || { echo "skipped: no archive '$1'"; exit 0; }
[ -d "$2" ] && exit 0
mkdir -p "$2.part"
tar -xJf "$1" -C "$2.part"
mv "$2.part" "$2"
