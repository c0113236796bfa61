#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How fast is Tessera against its peers, and against what the machine can do?

    build/venv/bin/python3 bench/compare/compare.py [MODEL...] [--threads 1,2] [--batch N]

MODEL is a .onnx file or a built-in model; without any, all built-in models. FILE.seed1.npz beside
FILE.onnx holds its inputs; otherwise Tessera draws them. Every engine runs in a process of its own
on the same processors, in f32; with --reduced REL Tessera chooses precisions within that tolerance,
OpenVINO computes in bf16, and the engine `exact` is Tessera in f32. Rounds are interleaved, in an
order that rotates; each round also measures the machine's peaks. Unless --warm is given, the caches
are flushed before every run, so that weights come from memory, as between requests to a server.

A time counts when the outputs agree with the other engines'; where they do not, the float64
reference decides. Printed: medians with the 10th and 90th percentile; best peer / Tessera (over 1:
Tessera is faster), the median over rounds with a 95 % bootstrap interval; and the share of the
roofline that Tessera reaches. Models on which Tessera loses come first. Exit 1 when an output of
Tessera's is wrong or it fails; with --no-loss also when it is surely slower than the best peer."""
import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys

import numpy as np

import figures
import report
from engines import PEERS, Engine, EngineError

ROOT = pathlib.Path(__file__).resolve().parents[2]
WARM_UP = 2


def processor_caches():
    """Bytes of the second-level and of the largest cache of the first processor."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    sizes = {}
    for place in pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        size = (place / "size").read_text().strip()
        sizes[int((place / "level").read_text())] = int(size[:-1]) * units[size[-1]]
    return figures.Caches(sizes.get(2, 1 << 20), max(sizes.values(), default=32 << 20))


class Flusher:
    """Writes more memory than the last-level cache holds."""

    def __init__(self, cache_bytes):
        self._memory = np.zeros(3 * cache_bytes, dtype=np.uint8)
        self._value = 0

    def __call__(self):
        self._value = (self._value + 1) % 256
        self._memory.fill(self._value)


def model_file(name, options):
    """The file of a model: itself, or the built-in one written for us."""
    if name.endswith(".onnx"):
        if options.batch != 1:
            raise EngineError("--batch is for built-in models; a file has its own")
        return pathlib.Path(name).resolve()
    path = options.folder / f"{name}-b{options.batch}.onnx"
    if not path.exists():
        part = path.with_suffix(".part.onnx")
        done = subprocess.run([options.tessera, "zoo", name, "--batch", str(options.batch),
                               "-o", part], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise EngineError((done.stderr.strip() or "no message").splitlines()[-1])
        part.rename(path)
    return path


def inputs_file(model, options):
    """The inputs beside the model, or those that Tessera draws."""
    beside = model.with_name(f"{model.stem}.seed1.npz")
    if beside.exists():
        return beside
    place = options.folder / f"{model.stem}.inputs.npz"
    place.unlink(missing_ok=True)
    Engine("tessera", model, place, 1, options).close()
    return place


def start(model, threads, options):
    """The engines that could load the model, and why others could not."""
    inputs = inputs_file(model, options)
    engines, failed = {}, {}
    for name in options.engines:
        try:
            engines[name] = Engine(name, model, inputs, threads, options)
        except EngineError as e:
            failed[name] = str(e)
    return engines, failed, inputs


def reference(model, inputs, options):
    """The outputs that the float64 reference finds."""
    outputs = options.folder / "reference.npz"
    done = subprocess.run(
        [options.tessera, "run", model, "--no-optimize", "--target", "ref", "--inputs", inputs,
         "--outputs", outputs, "-q"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EngineError("reference: " + (done.stderr.strip() or "no message").splitlines()[-1])
    return dict(np.load(outputs))


def check(engines, model, inputs, options):
    """{engine: what is wrong with its outputs} and the largest difference between any two."""
    outputs = {}
    for name, engine in engines.items():
        file = options.folder / f"{name}.outputs.npz"
        engine("save", file=str(file))
        outputs[name] = dict(np.load(file))
    names = list(outputs)
    gaps = [figures.difference(outputs[a], outputs[b])[0]
            for k, a in enumerate(names) for b in names[:k]]
    gap = max(gaps, default=0.0)
    if gap <= options.tolerance and len(names) > 1:
        return {}, gap
    expected = reference(model, inputs, options)
    wrong = {}
    for name, found in outputs.items():
        error, where = figures.difference(found, expected)
        if error > options.tolerance:
            wrong[name] = f"{name}: output '{where}' is off by {error:.2g}"
    return wrong, gap


def measure(engines, options, flush):
    """Rounds of all engines by turns: {engine: [times of each round]}, [peaks of each round]."""
    pause = 0 if options.warm else 1
    runs = {}
    for name, engine in engines.items():
        once = min(engine("run", runs=WARM_UP)["ms"])
        per_run = once + (options.flush_ms if pause else 0)
        share = 1e3 * options.seconds / options.rounds
        runs[name] = int(min(max(share / per_run, 1), 200))
    names, times, peaks = list(engines), {name: [] for name in engines}, []
    for number in range(options.rounds):
        for step in range(len(names)):
            name = names[(number + step) % len(names)]
            if options.warm:
                engines[name]("run", runs=1)
                times[name].append(engines[name]("run", runs=runs[name])["ms"])
                continue
            turn = []
            for _ in range(runs[name]):
                flush()
                turn += engines[name]("run", runs=1)["ms"]
            times[name].append(turn)
        if "tessera" in engines:
            peaks.append(engines["tessera"]("peaks"))
    return times, peaks


def compare(name, threads, options, flush):
    """The row of one model with that many threads."""
    row = {"model": show_name(name), "threads": threads, "batch": options.batch}
    engines = {}
    try:
        model = model_file(name, options)
        engines, row["absent"], inputs = start(model, threads, options)
        row["wrong"], row["largest_difference"] = check(engines, model, inputs, options)
        for bad in row["wrong"]:
            engines.pop(bad).close()
        row.update(figures_of(engines, threads, options, flush))
    except EngineError as e:
        row["failed"] = str(e)
    finally:
        for engine in engines.values():
            engine.close()
    return row


def figures_of(engines, threads, options, flush):
    times, peaks = measure(engines, options, flush)
    middles = {name: [float(np.median(turn)) for turn in turns] for name, turns in times.items()}
    found = {
        "ms": {name: figures.spread(np.concatenate(turns)) for name, turns in times.items()},
        "load_s": {name: e.ready["load_s"] for name, e in engines.items()},
        "peak_rss": {name: e("memory")["peak_rss"] for name, e in engines.items()},
        "versions": {name: e.ready["version"] for name, e in engines.items()
                     if "version" in e.ready},
        "precision": {name: e.ready["precision"] for name, e in engines.items()
                      if "precision" in e.ready},
        "rounds": middles,
    }
    if "tessera" not in engines:
        return found
    kernels = engines["tessera"]("kernels", repeats=options.repeats)
    caches = options.caches._replace(second=threads * options.caches.second)
    ratio = [figures.roofline_ms(kernels["kernels"], p, caches) / t
             for p, t in zip(peaks, middles["tessera"])]
    found["roofline"] = figures.interval(ratio)
    found["peaks"] = {key: figures.interval([p[key] for p in peaks]) for key in peaks[0]}
    typical = {key: q["median"] for key, q in found["peaks"].items()}
    found["kernels"] = report.kernel_rows(kernels, typical, caches)
    peers = [name for name in engines if name in PEERS]
    for peer in [name for name in engines if name != "tessera"]:
        pairs = zip(middles[peer], middles["tessera"])
        found.setdefault("ratio", {})[peer] = figures.interval([p / t for p, t in pairs])
    if peers:
        found["best_peer"] = min(peers, key=lambda p: found["ms"][p]["median"])
    return found


def add_common(parser):
    """The options that startup.py and busy.py share."""
    parser.add_argument("models", nargs="*")
    parser.add_argument("--batch", default=1, type=int, help="of built-in models")
    parser.add_argument("--json", metavar="FILE", type=pathlib.Path)
    parser.add_argument("--timeout", default=600, type=float, help="seconds for an answer")
    parser.add_argument("--build", default=ROOT / "build/release", type=pathlib.Path)
    parser.add_argument("--folder", default=ROOT / "build/bench", type=pathlib.Path,
                        help="for models, inputs and outputs")
    parser.add_argument("--reduced", metavar="REL", type=float,
                        help="Tessera within this tolerance, OpenVINO in bf16")


def finish(parser, options):
    """Finds the programs and makes the folder."""
    options.worker = options.build / "bench_worker"
    options.tessera = options.build / "tessera"
    for program in (options.worker, options.tessera):
        if not os.access(program, os.X_OK):
            parser.error(f"{program} is not there: build it with make")
    options.folder.mkdir(parents=True, exist_ok=True)
    options.cache = None
    return options


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add_common(parser)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--engines", default="tessera,ort,openvino,torch",
                        help="also: imported (Tessera without rewriting), "
                        "generated (without oneDNN's kernels), exact")
    parser.add_argument("--rounds", default=9, type=int)
    parser.add_argument("--seconds", default=3.0, type=float, help="for an engine on a model")
    parser.add_argument("--warm", action="store_true", help="runs follow each other")
    parser.add_argument("--tolerance", type=float, help="between engines' outputs (default 1e-3, "
                        "and 0.2 where precision is reduced)")
    parser.add_argument("--kernels", default=0, type=int, metavar="N",
                        help="list N kernels of each model by what they lose")
    parser.add_argument("--repeats", default=5, type=int, help="runs of each kernel by itself")
    parser.add_argument("--no-loss", action="store_true")
    options = parser.parse_args()
    options.engines = options.engines.split(",")
    if options.tolerance is None:
        options.tolerance = 0.2 if options.reduced else 1e-3
    unknown = set(options.engines) - {*report.OURS, *PEERS}
    if unknown:
        parser.error(f"unknown engine {', '.join(sorted(unknown))}")
    return finish(parser, options)


def show_name(name):
    """A file without its folder; a built-in model as it is."""
    return pathlib.Path(name).stem if name.endswith(".onnx") else name


def built_in_models(options):
    listed = subprocess.run([options.tessera, "zoo", "--json"], capture_output=True, text=True,
                            check=True)
    return [m["name"] for m in json.loads(listed.stdout)["models"]]


def main():
    options = parse()
    options.caches = processor_caches()
    flush = Flusher(options.caches.last)
    options.flush_ms = 1e-6 * 3 * options.caches.last / 5  # at about 5 GB/s
    rows = []
    for name in options.models or built_in_models(options):
        for threads in map(int, options.threads.split(",")):
            print(f"{name}, {threads} threads ...", file=sys.stderr, flush=True)
            rows.append(compare(name, threads, options, flush))
            if options.json:  # after each model: what was measured is kept
                result = {"machine": platform.platform(), "processor": report.processor(),
                          "cold": not options.warm, "rounds": options.rounds, "results": rows}
                options.json.write_text(json.dumps(result, indent=1) + "\n")
    report.show(rows, options)
    return report.status(rows, options)


if __name__ == "__main__":
    sys.exit(main())
