#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks every #include "module/..." in src/ against layers.txt.

    tools/check_layers.py

Also checked: LLVM headers only in codegen, amx and backend/cpu, no `..` in include paths, no folder
in src/ that layers.txt does not name. Prints each offence as file:line; exit 1 if there is one."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LLVM_USERS = ("codegen", "amx", "backend/cpu")
INCLUDE = re.compile(r'\s*#\s*include\s+(["<])([^">]+)[">]')


def read_layers():
    """{module: set of modules it may include}, with `+x` and `*` resolved as layers.txt says."""
    layers = {}
    for line in (ROOT / "layers.txt").read_text().splitlines():
        if not re.match(r"[a-z]", line):
            continue
        module, _, words = line.partition(":")
        allowed = set()
        for word in words.split():
            if word == "*":
                allowed |= {m for m in layers if not m.startswith("backend/")}
            elif word.startswith("+"):
                allowed |= {word[1:]} | layers[word[1:]]
            else:
                allowed.add(word)
        for other in allowed - set(layers):
            sys.exit(f"layers.txt: {module} may include {other}, which is not below it")
        layers[module] = allowed
    return layers


def module_of(path, layers):
    """The module that holds `path` (relative to src/), by its one or two leading folders."""
    parts = pathlib.PurePosixPath(path).parts
    for depth in (2, 1):
        name = "/".join(parts[:depth])
        if len(parts) > depth and name in layers:
            return name
    return None


def offence(module, kind, target, layers):
    """Why `module` may not include `target`, or None."""
    if target.startswith("llvm/") or target.startswith("llvm-c/"):
        return None if module in LLVM_USERS else "LLVM headers belong to codegen and backend/cpu"
    if kind == "<":
        return None
    if target.startswith("tessera/"):
        return None if module in ("api", "cli") else "public headers are for api and cli"
    if ".." in target:
        return "include paths start at src/"
    other = module_of(target, layers)
    if other is None:
        return "not a path of the form module/file.h"
    if other != module and other not in layers[module]:
        return f"{module} may not include {other} (layers.txt)"
    return None


def main():
    layers = read_layers()
    bad = 0
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".h", ".cpp", ".def", ".inc"):
            continue
        relative = path.relative_to(ROOT / "src").as_posix()
        module = module_of(relative, layers)
        if module is None:
            print(f"src/{relative}:1: not in a module of layers.txt")
            bad += 1
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            match = INCLUDE.match(line)
            why = match and offence(module, *match.groups(), layers)
            if why:
                print(f"src/{relative}:{number}: {match.group(2)}: {why}")
                bad += 1
    print(f"check_layers: {bad} offence(s)" if bad else "check_layers: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
