#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long until a model is ready, and how much memory does it take?

    build/venv/bin/python3 bench/compare/startup.py [MODEL...] [--threads 2] [--repeats 3]

Cold: a fresh process with an empty kernel cache. Warm: a fresh process with the cache that the
cold one left. Files are in the system's cache both times. Times are the least of --repeats, in
seconds: reading and importing the file, rewriting, compiling (folding, packing weights, kernels);
memory is the process's peak after a run. ONNX Runtime beside it. With --max-cold and --max-warm
exit 1 when a model takes longer."""
import argparse
import json
import pathlib
import sys
import tempfile

import compare
import report
from engines import Engine, EngineError


def start(name, model, inputs, options):
    """What an engine says when it is ready, and its peak memory after a run."""
    engine = Engine(name, model, inputs, options.threads, options)
    try:
        engine("run", runs=1)
        return {**engine.ready, **engine("memory")}
    finally:
        engine.close()


def quickest(starts):
    return min(starts, key=lambda s: s["load_s"])


def measure(model, inputs, options):
    """The quickest cold and warm start of Tessera, and ONNX Runtime's."""
    cold, warm, ort = [], [], []
    for _ in range(options.repeats):
        with tempfile.TemporaryDirectory(dir=options.folder) as cache:
            options.cache = pathlib.Path(cache) / "kernels"
            cold.append(start("tessera", model, inputs, options))
            warm.append(start("tessera", model, inputs, options))
        ort.append(start("ort", model, inputs, options))
    return {"cold": quickest(cold), "warm": quickest(warm), "ort": quickest(ort)}


def show(rows):
    lines = []
    for row in rows:
        if "failed" in row:
            lines.append([row["model"], row["failed"], *[""] * 9])
            continue
        line = [row["model"]]
        for which in ("cold", "warm"):
            found = row[which]
            line += [f"{found['load_s']:.2f}"]
            line += [f"{found[part]:.2f}" for part in ("import_s", "optimize_s", "compile_s")]
        line += [row["cold"]["kernels_compiled"], f"{row['ort']['load_s']:.2f}"]
        line += [f"{row[which]['peak_rss'] / 1e6:.0f}" for which in ("warm", "ort")]
        lines.append(line)
    report.table(["seconds", "cold", "import", "rewrite", "compile", "warm", "import", "rewrite",
                  "compile", "kernels", "ort", "peak MB", "ort's"], lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    compare.add_common(parser)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--repeats", default=3, type=int)
    parser.add_argument("--max-cold", type=float)
    parser.add_argument("--max-warm", type=float)
    options = compare.finish(parser, parser.parse_args())
    rows, late = [], []
    for name in options.models or compare.built_in_models(options):
        row = {"model": compare.show_name(name)}
        try:
            model = compare.model_file(name, options)
            row.update(measure(model, compare.inputs_file(model, options), options))
        except EngineError as e:
            row["failed"] = str(e)
            late.append(f"{row['model']}: {e}")
        rows.append(row)
        for which, limit in (("cold", options.max_cold), ("warm", options.max_warm)):
            if limit and which in row and row[which]["load_s"] > limit:
                late.append(f"{row['model']}: {which} {row[which]['load_s']:.2f} s over {limit:g}")
    show(rows)
    print("\n".join(late))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
