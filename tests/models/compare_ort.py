#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does Tessera compute what ONNX Runtime computes, on the real models?

    build/venv/bin/python3 tests/models/compare_ort.py [MODEL...] [--seeds 1,2,3] [--threads N]

Three ways for each model and seed: as imported (`run --no-optimize`), optimized (`run`), and
exported (`optimize -o`, then ONNX Runtime runs the result). The error of an output is
|y - x| / |y(seed 1) - y(seed 2)| with y from ONNX Runtime on the original (2-norms): relative to
how far apart the model holds two inputs, so that a constant cannot pass. The worst output and seed
count.
Exit 1 if an error is over its limit or something failed, 77 if there are no models here."""
import argparse
import sys

import numpy as np

import models

LIMITS = {"imported": 1e-5, "optimized": 1e-4, "exported": 1e-4}


def norm(array):
    return float(np.linalg.norm(np.asarray(array, dtype=np.float64).ravel()))


def error(expected, found, spread):
    """(worst error over the outputs, its output). `spread`: |y(seed 1) - y(seed 2)| by output."""
    if list(expected) != list(found) and set(expected) != set(found):
        raise models.TesseraError(f"outputs {sorted(found)}, expected {sorted(expected)}")
    worst = (0.0, "")
    for name, y in expected.items():
        x = found[name]
        if x.shape != y.shape or x.dtype != y.dtype:
            raise models.TesseraError(
                f"output {name}: {x.dtype}{list(x.shape)}, expected {y.dtype}{list(y.shape)}")
        difference = norm(y.astype(np.float64) - x.astype(np.float64))
        e = difference / spread[name] if spread[name] > 0 else difference
        worst = max(worst, (np.inf if np.isnan(e) else e, name))
    return worst


def same_interface(original, exported):
    """Raises when names, order or types of inputs and outputs differ."""
    for side in ("get_inputs", "get_outputs"):
        a, b = ([(v.name, v.type) for v in getattr(s, side)()] for s in (original, exported))
        if a != b:
            raise models.TesseraError(f"exported {side[4:]} {b}, expected {a}")


def compare(model, tessera, options, ways=tuple(LIMITS), relative=False):
    """{way: {"error", "output", "seed"} or {"failed"}}. `relative`: errors in units of |y|."""
    session = models.ort_session(model.path, options.threads)
    expected = {s: models.ort_run(session, model.inputs(s)[0]) for s in {1, 2, *options.seeds}}
    spread = {name: norm(y.astype(np.float64) - (0 if relative else
                                                 expected[2][name].astype(np.float64)))
              for name, y in expected[1].items()}

    def exported_runner():
        tessera.optimize(model, options.threads)
        exported = models.ort_session(model.optimized, options.threads)
        same_interface(session, exported)
        return lambda seed: models.ort_run(exported, model.inputs(seed)[0])

    def tessera_runner(*flags):
        return lambda: lambda seed: tessera.run(model.path, model.inputs(seed)[1], options.threads,
                                                *flags)

    runners = {"imported": tessera_runner("--no-optimize"), "optimized": tessera_runner(),
               "exported": exported_runner}
    result = {}
    for way in ways:
        try:
            run = runners[way]()
            worst = max((*error(expected[s], run(s), spread), s) for s in options.seeds)
            result[way] = dict(zip(("error", "output", "seed"), worst))
            result[way]["ok"] = worst[0] <= LIMITS[way]
        except Exception as failure:  # one model's failure is a row of the table
            result[way] = {"failed": str(failure).splitlines()[0], "ok": False}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    models.add_options(parser)
    parser.add_argument("--seeds", default="1,2,3", help="seeds of the inputs compared")
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--ways", default="imported,optimized,exported", help="which of the three")
    options = parser.parse_args()
    options.seeds = [int(s) for s in options.seeds.split(",")]
    options.ways = options.ways.split(",")
    tessera = models.Tessera(options)
    results, rows, notes = {}, [], []
    for name in models.choose(options):
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = result = compare(models.Model(options.folder, name), tessera, options,
                                         options.ways)
        cells = []
        for way, found in result.items():
            cells.append("failed" if "failed" in found else f"{found['error']:.1e}")
            if "failed" in found:
                notes.append(f"{name} {way}: {found['failed']}")
            elif not found["ok"]:
                notes.append(f"{name} {way}: {found['error']:.2e} over {LIMITS[way]:g} "
                             f"at output {found['output']}, seed {found['seed']}")
        rows.append([name, *cells, "ok" if all(f["ok"] for f in result.values()) else "BAD"])
    limits = ["(limit)", *[f"{LIMITS[way]:.1e}" for way in options.ways], ""]
    models.print_table(["error against ONNX Runtime", *options.ways, ""], [*rows, limits])
    print("\n".join(notes))
    good = sum(row[-1] == "ok" for row in rows)
    models.write_json(options, {"limits": LIMITS, "seeds": options.seeds, "models": results})
    print(f"{good} passed, {len(rows) - good} failed")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
