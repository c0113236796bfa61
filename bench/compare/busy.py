#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does an engine keep its speed when another process takes a core?

    build/venv/bin/python3 bench/compare/busy.py [MODEL...] [--rounds 9]

Each round measures, by turns: one thread on a quiet machine, all threads on a quiet machine, and
all threads while a process that is bound to the last core computes without end. Printed: the
medians, and how much slower than one quiet thread all threads are beside that process (the median
over rounds, with a 95 % bootstrap interval); 1.00 or less: a second thread never does harm. With
--max-slowdown exit 1 when a model of Tessera's is surely above it."""
import argparse
import json
import os
import signal
import subprocess
import sys
import time

import compare
import figures
import report
from engines import Engine, EngineError

SPIN = "while True: pass"
SETTLE = 0.05  # seconds until the scheduler knows that the neighbour came or went


class Neighbour:
    """A process that computes without end on one core, between start() and stop()."""

    def __init__(self, core):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SPIN], preexec_fn=lambda: os.sched_setaffinity(0, {core}))
        self.stop()

    def start(self):
        self._process.send_signal(signal.SIGCONT)
        time.sleep(SETTLE)

    def stop(self):
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(SETTLE)

    def close(self):
        self._process.kill()
        self._process.wait()


def measure(name, model, inputs, cores, options):
    """{"alone": …, "all": …, "busy": …}: the median milliseconds of each round."""
    one = Engine(name, model, inputs, 1, options)
    every = Engine(name, model, inputs, cores, options)
    neighbour = Neighbour(sorted(os.sched_getaffinity(0))[cores - 1])

    def turn(engine):
        return float(compare.np.median(engine("run", runs=runs)["ms"]))
    try:
        once = min(one("run", runs=2)["ms"])
        every("run", runs=2)
        runs = int(min(max(1e3 * options.seconds / once, 3), 500))
        times = {"alone": [], "all": [], "busy": []}
        for _ in range(options.rounds):
            times["alone"].append(turn(one))
            times["all"].append(turn(every))
            neighbour.start()
            times["busy"].append(turn(every))
            neighbour.stop()
        return times
    finally:
        for thing in (one, every, neighbour):
            thing.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    compare.add_common(parser)
    parser.add_argument("--engines", default="tessera,ort,openvino")
    parser.add_argument("--rounds", default=9, type=int)
    parser.add_argument("--seconds", default=0.2, type=float, help="for a turn")
    parser.add_argument("--max-slowdown", type=float)
    options = compare.finish(parser, parser.parse_args())
    cores = len(os.sched_getaffinity(0))
    if cores < 2:
        print("passed over: there is one core only")
        return 77
    rows, found, late = [], [], []
    for name in options.models or compare.built_in_models(options):
        model = compare.model_file(name, options)
        inputs = compare.inputs_file(model, options)
        for engine in options.engines.split(","):
            row = {"model": compare.show_name(name), "engine": engine, "cores": cores}
            found.append(row)
            try:
                times = measure(engine, model, inputs, cores, options)
            except EngineError as e:
                row["failed"] = str(e)
                rows.append([row["model"], engine, row["failed"], *[""] * 4])
                late += [row["failed"]] if engine == "tessera" else []
                continue
            row["ms"] = {which: figures.spread(t) for which, t in times.items()}
            row["slowdown"] = figures.interval(
                [b / a for a, b in zip(times["alone"], times["busy"])])
            row["gain"] = figures.interval([a / b for a, b in zip(times["alone"], times["all"])])
            rows.append([row["model"], engine,
                         *[report.show_ms(row["ms"][which]) for which in ("alone", "all", "busy")],
                         report.show_interval(row["gain"]), report.show_interval(row["slowdown"])])
            if options.max_slowdown and engine == "tessera" and \
                    row["slowdown"]["low"] > options.max_slowdown:
                late.append(f"{row['model']}: {report.show_interval(row['slowdown'])} over "
                            f"{options.max_slowdown:g}")
    report.table(["median ms (p10-p90)", "engine", "1 thread", f"{cores} threads", "beside",
                  "1 / all", "beside / 1"], rows)
    print("\n".join(late))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
