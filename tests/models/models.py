# SPDX-License-Identifier: Apache-2.0
"""The real models, ONNX Runtime and Tessera, as the comparison scripts use them.

The graphs lie outside the project, in ../shared/models, without their weights; fill.py there puts
seeded weights back. Filled models and inputs are kept in build/models and made anew when the graph,
its weights or fill.py change."""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "models"
CACHE = ROOT / "build" / "models"
SKIPPED = 77  # ctest counts this exit status as "skipped"


def add_options(parser):
    """The options that both scripts share."""
    parser.add_argument("models", nargs="*", help="names (default: all)")
    parser.add_argument("--tessera", default=ROOT / "build/release/tessera", type=pathlib.Path)
    parser.add_argument("--folder", default=SHARED, type=pathlib.Path, help="where the graphs are")
    parser.add_argument("--budget", default=None, help="passed to tessera optimize, e.g. 60s")
    parser.add_argument("--timeout", default=900, type=float, help="seconds a command may take")
    parser.add_argument("--json", dest="json_file", metavar="FILE", help="write results there too")


def choose(options):
    """The chosen models' names; ends the script when there is nothing to choose from."""
    if not options.folder.is_dir():
        print(f"passed over: {options.folder} is absent")
        sys.exit(SKIPPED)
    known = sorted(p.parent.name for p in options.folder.glob("*/graph.onnx"))
    unknown = sorted(set(options.models) - set(known))
    if unknown:
        sys.exit(f"no such model: {', '.join(unknown)} (known: {', '.join(known)})")
    if not os.access(options.tessera, os.X_OK):
        sys.exit(f"{options.tessera} is not there: build it with make")
    return options.models or known


class Model:
    """One model with its weights filled in, and inputs drawn from seeds."""

    def __init__(self, folder, name):
        self.name = name
        self.source = folder / name
        self.path = CACHE / f"{name}.onnx"
        self.optimized = CACHE / f"{name}.optimized.onnx"
        self.plan_log = CACHE / f"{name}.optimize.log"
        spec = importlib.util.spec_from_file_location("fill", folder / "fill.py")
        self._fill = importlib.util.module_from_spec(spec)
        sys.dont_write_bytecode = True
        spec.loader.exec_module(self._fill)
        self._make(folder)

    def _make(self, folder):
        parts = [self.source / "graph.onnx", self.source / "weights.npz", folder / "fill.py"]
        stamp = json.dumps([[p.stat().st_size, p.stat().st_mtime] for p in parts])
        stamp_file = CACHE / f"{self.name}.stamp"
        if stamp_file.exists() and stamp_file.read_text() == stamp and self.path.exists():
            return
        CACHE.mkdir(parents=True, exist_ok=True)
        model = onnx.load(parts[0])
        self._fill.fill(model.graph, np.load(parts[1]))
        onnx.save(model, self.path)
        for old in CACHE.glob(f"{self.name}.seed*.npz"):
            old.unlink()
        stamp_file.write_text(stamp)

    def inputs(self, seed):
        """The inputs of a seed, as {name: array}, and the file that holds them."""
        path = CACHE / f"{self.name}.seed{seed}.npz"
        if not path.exists():
            np.savez(path, **self._fill.inputs(onnx.load(self.source / "graph.onnx"), seed))
        return dict(np.load(path)), path


def ort_session(path, threads, optimized=True):
    """An ONNX Runtime session on the CPU with that many threads, its own rewrites on or off."""
    options = ort.SessionOptions()
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def ort_run(session, inputs):
    """{output name: array}."""
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


class TesseraError(Exception):
    """A command failed; the text is one line."""


class Tessera:
    """The program, as the scripts call it."""

    def __init__(self, options):
        self._options = options

    def _call(self, *arguments, log=None):
        command = [str(self._options.tessera), *map(str, arguments)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False,
                                  timeout=self._options.timeout)
        except subprocess.TimeoutExpired as late:
            raise TesseraError(f"{arguments[0]}: over {self._options.timeout:.0f} s") from late
        if log:
            log.write_text(done.stdout + done.stderr)
        if done.returncode != 0:
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise TesseraError(f"{arguments[0]}: exit {done.returncode}: {last}")
        return done.stdout

    def run(self, path, inputs_file, threads, *flags):
        """{output name: array} of a model."""
        outputs = CACHE / f"{path.stem}.outputs.npz"
        outputs.unlink(missing_ok=True)
        self._call("run", path, "--inputs", inputs_file, "--outputs", outputs, "--threads", threads,
                   *flags)
        return dict(np.load(outputs))

    def optimize(self, model, threads):
        """Writes model.optimized."""
        budget = ["--budget", self._options.budget] if self._options.budget else []
        model.optimized.unlink(missing_ok=True)
        self._call("optimize", model.path, "-o", model.optimized, "--threads", threads, *budget,
                   log=model.plan_log)

    def bench(self, path, threads, seconds, *flags):
        """The object that `bench --json` prints."""
        return json.loads(self._call("bench", path, "--json", "--threads", threads, "--budget",
                                     f"{seconds:g}s", *flags))


def write_json(options, result):
    """Writes the result to the file of --json, if one was named."""
    if options.json_file:
        pathlib.Path(options.json_file).write_text(json.dumps(result, indent=1) + "\n")


def print_table(head, rows):
    """Aligned columns: the first to the left, the others to the right."""
    widths = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        cells = [str(row[0]).ljust(widths[0])]
        cells += [str(cell).rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip(), flush=True)
