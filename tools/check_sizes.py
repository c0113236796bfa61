#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the hard limits on sizes and prints the lines of each module.

    tools/check_sizes.py [--quiet]

Header 300 lines, source 600, operator record 150, function 80 (best effort), line 100 columns,
40 files a folder (src/ops free); every source opens with the SPDX line and a description.
Exceptions stand in tools/size_waivers.txt, one `path: reason (owner)` a line. Exit 1 on an
offence."""
import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CODE = {".h", ".cpp", ".py", ".sh", ".cmake"}
COLUMNS = 100
FUNCTION = 80
FILES_IN_FOLDER = 40
NOT_A_FUNCTION = re.compile(r'(extern "C"|(inline )?namespace|class|struct|union|enum)\b')
SPDX = "SPDX-License-Identifier: Apache-2.0"


def ops_framework():
    """The stems in src/ops that are not operator records, as CMakeLists.txt lists them."""
    text = (ROOT / "CMakeLists.txt").read_text()
    return set(re.search(r"set\(OPS_FRAMEWORK ([^)]*)\)", text).group(1).split())


def limit(path, framework):
    """The most lines this file may have."""
    if path.suffix == ".h":
        return 300
    if path.parent.as_posix() == "src/ops" and path.suffix == ".cpp":
        if path.stem not in framework and not path.stem.endswith("_test"):
            return 150
    return 600


def long_functions(lines):
    """(first line, length) of each body that opens at column 0 and closes with a `}` there.

    The code is formatted, so a function body opens on an unindented line ending in `{` (or on the
    last, indented line of its parameters) and closes with an unindented `}`. Members of a class are
    passed over."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("}"):
            if start and number - start > FUNCTION:
                yield start, number - start + 1
            start = None
        elif start is None and re.search(r"[^= ] *{$", line.rstrip()) and line[:1] != "#":
            kind = NOT_A_FUNCTION.match(line)
            opens_scope = kind and ("namespace" in kind[1] or "extern" in kind[1])
            start = None if opens_scope else 0 if kind else number


def offences(path, lines, framework):
    most = limit(path, framework)
    if len(lines) > most:
        yield 1, f"{len(lines)} lines, at most {most}"
    head = "\n".join(lines[:3])
    if SPDX not in head:
        yield 1, f"does not open with '{SPDX}'"
    elif path.suffix in (".h", ".cpp") and not (len(lines) > 1 and lines[1].startswith("// ")):
        yield 2, "the SPDX line is not followed by a description of the file"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            yield number, f"{len(line)} columns, at most {COLUMNS}"
    if path.suffix in (".h", ".cpp"):
        for number, length in long_functions(lines):
            yield number, f"function of {length} lines, at most {FUNCTION}"


def read_waivers():
    waivers = {}
    for line in (ROOT / "tools/size_waivers.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            path, _, reason = line.partition(":")
            if not reason.strip():
                sys.exit(f"tools/size_waivers.txt: {path} has no reason")
            waivers[path.strip()] = reason.strip()
    return waivers


def main():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split("\n")
    framework, waivers = ops_framework(), read_waivers()
    bad, used = 0, set()
    per_module, per_folder = collections.Counter(), collections.Counter()
    for name in sorted(listed):
        path = pathlib.PurePosixPath(name)
        if path.suffix not in CODE or not (ROOT / path).is_file():
            continue
        lines = (ROOT / path).read_text(errors="replace").splitlines()
        folder = path.parent.as_posix()
        in_src = name.startswith("src/")
        per_module[folder.removeprefix("src/") if in_src else path.parts[0]] += len(lines)
        per_folder[folder] += 1
        for number, what in offences(path, lines, framework):
            if name in waivers:
                used.add(name)
                continue
            print(f"{name}:{number}: {what}")
            bad += 1
    for folder, count in per_folder.items():
        if folder.startswith("src/") and folder != "src/ops" and count > FILES_IN_FOLDER:
            print(f"{folder}: {count} files, at most {FILES_IN_FOLDER}")
            bad += 1
    for name in sorted(set(waivers) - used):
        print(f"tools/size_waivers.txt: {name} needs no waiver")
        bad += 1
    if "--quiet" not in sys.argv:
        print("lines: " + ", ".join(f"{m} {n}" for m, n in sorted(per_module.items())))
    print(f"check_sizes: {bad} offence(s)" if bad else "check_sizes: ok")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
