#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far apart are two float32 runs of a model, before anyone optimizes anything?

    build/venv/bin/python3 tests/models/rounding.py [MODEL...] [--seeds 1,2]

The yardstick of compare_ort.py, between Tessera's float64 reference (f64), ONNX Runtime (ort), ONNX
Runtime with its own rewrites off (plain) and Tessera as imported. Where `ort-f64` is over a limit,
no engine can stay within it of ONNX Runtime, not even an exact one. Judges nothing. Exit 77 if
there are no models here."""
import argparse
import sys

import models
from compare_ort import error, norm

PAIRS = (("ort", "f64"), ("plain", "f64"), ("ort", "plain"), ("tessera", "f64"), ("tessera", "ort"))


def compare(model, tessera, options):
    """{pair: worst error over the seeds and outputs}."""
    sessions = {"ort": models.ort_session(model.path, options.threads),
                "plain": models.ort_session(model.path, options.threads, optimized=False)}
    ends = [models.ort_run(sessions["ort"], model.inputs(seed)[0]) for seed in (1, 2)]
    spread = {name: norm(y.astype("f8") - ends[1][name].astype("f8"))
              for name, y in ends[0].items()}
    worst = dict.fromkeys(PAIRS, 0.0)
    for seed in options.seeds:
        inputs, file = model.inputs(seed)
        found = {way: models.ort_run(session, inputs) for way, session in sessions.items()}
        found["f64"] = tessera.run(model.path, file, options.threads, "--target", "ref")
        found["tessera"] = tessera.run(model.path, file, options.threads, "--no-optimize")
        for pair in PAIRS:
            worst[pair] = max(worst[pair], error(found[pair[1]], found[pair[0]], spread)[0])
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    models.add_options(parser)
    parser.add_argument("--seeds", default="1,2", help="seeds of the inputs compared")
    parser.add_argument("--threads", default=2, type=int)
    options = parser.parse_args()
    options.seeds = [int(s) for s in options.seeds.split(",")]
    tessera = models.Tessera(options)
    rows, results = [], {}
    for name in models.choose(options):
        print(f"{name} ...", file=sys.stderr, flush=True)
        worst = compare(models.Model(options.folder, name), tessera, options)
        results[name] = {"-".join(pair): value for pair, value in worst.items()}
        rows.append([name, *(f"{value:.1e}" for value in worst.values())])
    models.print_table(["distance", *("-".join(pair) for pair in PAIRS)], rows)
    models.write_json(options, {"seeds": options.seeds, "models": results})


if __name__ == "__main__":
    main()
