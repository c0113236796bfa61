#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast is Tessera against ONNX Runtime, and its optimized model against the original?

    build/venv/bin/python3 tests/models/bench_ort.py [MODEL...] [--threads 1,2] [--rounds 7]

Interleaved: each round measures, in an order that rotates, Tessera as imported
(`bench --no-optimize`), Tessera optimized (`bench` of what `optimize -o` wrote) and ONNX Runtime.
Times are medians over rounds of each round's median, with the 10th and 90th percentile; ratios are
medians of the rounds' paired ratios with a 95 % bootstrap interval. Exit 1 if something failed, or,
with --max-ratio R, if optimized / ONNX Runtime is surely over R, or, with --not-slower, if
optimized / imported is surely over 1 (the interval lies above); 77 if there are no models here."""
import argparse
import platform
import statistics
import sys
import time

import numpy as np

import models

WAYS = ("imported", "optimized", "ort")


def time_ort(session, inputs, seconds):
    """Median milliseconds of runs that fill about `seconds`, five or more, after two of warm-up."""
    names = [o.name for o in session.get_outputs()]
    for _ in range(2):
        session.run(names, inputs)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        session.run(names, inputs)
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def interval(ratios, seed=1):
    """(median, low, high): 95 % bootstrap interval of the median."""
    ratios = np.asarray(ratios)
    draws = np.random.default_rng(seed).choice(ratios, (4000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {"median": float(np.median(ratios)), "low": float(low), "high": float(high)}


def measure(model, tessera, threads, options):
    """{"ms": {way: {...}}, "ratio": {pair: {...}}} of one model with that many threads."""
    inputs, _ = model.inputs(1)
    session = models.ort_session(model.path, threads)
    tessera.optimize(model, threads)
    clocks = {
        "imported": lambda: tessera.bench(model.path, threads, options.seconds,
                                          "--no-optimize")["median_ms"],
        "optimized": lambda: tessera.bench(model.optimized, threads, options.seconds)["median_ms"],
        "ort": lambda: time_ort(session, inputs, options.seconds),
    }
    rounds = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for step in range(len(WAYS)):
            way = WAYS[(number + step) % len(WAYS)]
            rounds[way].append(clocks[way]())

    def ratio(above, below):
        return interval([a / b for a, b in zip(rounds[above], rounds[below])])

    quantiles = {way: np.percentile(times, [50, 10, 90]) for way, times in rounds.items()}
    return {
        "ms": {way: dict(zip(("median", "p10", "p90"), map(float, q)))
               for way, q in quantiles.items()},
        "ratio": {"imported/ort": ratio("imported", "ort"),
                  "optimized/ort": ratio("optimized", "ort"),
                  "optimized/imported": ratio("optimized", "imported")},
        "rounds": rounds,
    }


def show_ms(q):
    return f"{q['median']:.2f} ({q['p10']:.2f}-{q['p90']:.2f})"


def show_ratio(r):
    return f"{r['median']:.2f} [{r['low']:.2f}, {r['high']:.2f}]"


def complaints(name, threads, ratios, options):
    """What the limits asked for say against this result."""
    against_ort, paired = ratios["optimized/ort"], ratios["optimized/imported"]
    if options.max_ratio and against_ort["low"] > options.max_ratio:
        yield f"{name}, {threads} threads: {show_ratio(against_ort)} over {options.max_ratio:g}"
    if options.not_slower and paired["low"] > 1:
        yield f"{name}, {threads} threads: optimized is slower: {show_ratio(paired)}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    models.add_options(parser)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--seconds", default=1.0, type=float, help="for each measurement")
    parser.add_argument("--max-ratio", type=float)
    parser.add_argument("--not-slower", action="store_true")
    options = parser.parse_args()
    tessera = models.Tessera(options)
    results, rows, notes = [], [], []
    for name in models.choose(options):
        model = models.Model(options.folder, name)
        for threads in map(int, options.threads.split(",")):
            print(f"{name}, {threads} threads ...", file=sys.stderr, flush=True)
            try:
                found = measure(model, tessera, threads, options)
            except Exception as failure:  # one model's failure is a row of the table
                reason = str(failure).splitlines()[0]
                results.append({"model": name, "threads": threads, "failed": reason})
                rows.append([name, threads, "failed", *[""] * 5])
                notes.append(f"{name}, {threads} threads: {reason}")
                continue
            results.append({"model": name, "threads": threads, **found})
            rows.append([name, threads, *[show_ms(found["ms"][way]) for way in WAYS],
                         *map(show_ratio, found["ratio"].values())])
            notes.extend(complaints(name, threads, found["ratio"], options))
    models.print_table(["median ms (p10-p90)", "threads", "imported", "optimized", "ort",
                        "imported/ort", "optimized/ort", "optimized/imported"], rows)
    print("\n".join(notes))
    models.write_json(options, {"machine": platform.platform(), "rounds": options.rounds,
                                "ort": models.ort.__version__, "results": results})
    return 1 if notes else 0


if __name__ == "__main__":
    sys.exit(main())
