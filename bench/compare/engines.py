# SPDX-License-Identifier: Apache-2.0
"""The engines that compare.py measures, each in a process of its own.

A process prints one JSON object when its model is ready ({"load_s": …} or {"failed": …}) and then
answers orders, one JSON object a line: {"do": "run", "runs": N} -> {"ms": […]},
{"do": "save", "file": F} writes the outputs by name, {"do": "memory"} -> {"peak_rss": …}; Tessera's
(worker.cpp) also knows "peaks" and "kernels". Only the engine that got an order computes."""
import json
import os
import pathlib
import select
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PEERS = ("ort", "openvino", "torch")


class EngineError(Exception):
    """An engine could not do what it was asked; the text is one line."""


class Engine:
    """One model in one engine's process, bound to the first `threads` processors we may use."""

    def __init__(self, name, model, inputs, threads, options):
        self.name = name
        self._timeout = options.timeout
        self._errors = open(options.folder / f"{name}.log", "w+", encoding="utf-8")
        if name in PEERS:
            command = [sys.executable, HERE / "peer.py", name, model, inputs, str(threads)]
            command += ["bf16"] if options.reduced else []
        else:
            command = [options.worker, model, inputs, str(threads)]
            command += {"imported": ["--no-optimize"], "generated": ["--no-onednn"]}.get(name, [])
            command += ["--cache", options.cache] if options.cache else []
            if name == "tessera" and options.reduced:
                command += ["--tolerance", options.reduced]
        processors = sorted(os.sched_getaffinity(0))[:threads]
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, text=True, bufsize=1,
            preexec_fn=lambda: os.sched_setaffinity(0, processors))
        try:
            self.ready = self._answer()
        except EngineError:
            self.close()
            raise

    def __call__(self, what, **more):
        try:
            self._process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        except BrokenPipeError:
            pass  # _answer tells why
        return self._answer()

    def _answer(self):
        ready, _, _ = select.select([self._process.stdout], [], [], self._timeout)
        if not ready:
            raise EngineError(f"{self.name}: no answer in {self._timeout:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            last = (self._errors.read().strip() or "no message").splitlines()[-1]
            raise EngineError(f"{self.name}: ended with {self._process.wait()}: {last}")
        answer = json.loads(line)
        if "failed" in answer:
            raise EngineError(f"{self.name}: {answer['failed']}")
        return answer

    def close(self):
        self._process.kill()
        self._process.wait()
        self._errors.close()
