#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random one-node models with the outputs of ONNX Runtime, as folders for tools/node_tests.

    build/venv/bin/python3 tests/models/random_nodes.py FOLDER [--seed N]
    build/release/tools/node_tests FOLDER

Covers what ONNX's node tests cover thinly: recurrent layers with all options, windows with every
padding, resizing, quantization, scattering. Left out is where ONNX Runtime and ONNX's reference
differ: SAME padding of strides beyond the kernel, fractional scales where the rounded extent
counts (align_corners, pytorch_half_pixel, tf_crop_and_resize). Exit 1 if ONNX Runtime refuses a
case."""
import argparse
import os
import random
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper


class Cases:
    def __init__(self, folder, seed):
        self.folder, self.count, self.refused = folder, 0, 0
        self.pick, self.rng = random.Random(seed), np.random.default_rng(seed)
        self.options = onnxruntime.SessionOptions()
        self.options.graph_optimization_level = (
            onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
        self.options.log_severity_level = 4

    def normal(self, *shape):
        return self.rng.standard_normal(shape).astype(np.float32)

    def positive(self, *shape):
        return (np.abs(self.normal(*shape)) * 0.05 + 0.01).astype(np.float32)

    def integers(self, low, high, dtype, *shape):
        return np.asarray(self.rng.integers(low, high, shape), dtype=dtype)

    def maybe(self, value, chance=0.5):
        return value if self.pick.random() < chance else None

    def add(self, op, inputs, outputs=1, opset=17, constants=(), **attributes):
        """Runs one node; inputs may be None, those in `constants` become initializers."""
        names = [f"i{k}" if v is not None else "" for k, v in enumerate(inputs)]
        while names[-1] == "":
            names.pop()
        node = helper.make_node(op, names, [f"o{k}" for k in range(outputs)], **attributes)
        given = {f"i{k}": v for k, v in enumerate(inputs) if v is not None}
        fixed = [numpy_helper.from_array(given.pop(f"i{k}"), f"i{k}") for k in constants]
        declared = [self.declare(n, v) for n, v in given.items()]

        def model(results):
            graph = helper.make_graph([node], "g", declared, results, fixed)
            version = [helper.make_opsetid("", opset)]
            return helper.make_model(graph, opset_imports=version, ir_version=9)

        empty = [helper.make_empty_tensor_value_info(f"o{k}") for k in range(outputs)]
        try:
            session = onnxruntime.InferenceSession(model(empty).SerializeToString(), self.options)
            results = session.run(None, given)
        except Exception as error:  # whatever it refuses is shown
            print(f"{op} {attributes}: {error}")
            self.refused += 1
            return
        path = os.path.join(self.folder, f"test_{self.count:04d}_{op.lower()}")
        data = os.path.join(path, "test_data_set_0")
        os.makedirs(data)
        named = [(f"o{k}", v) for k, v in enumerate(results)]
        onnx.save(model([self.declare(n, v) for n, v in named]), os.path.join(path, "model.onnx"))
        for kind, tensors in (("input", given.items()), ("output", named)):
            for k, (name, value) in enumerate(tensors):
                with open(os.path.join(data, f"{kind}_{k}.pb"), "wb") as file:
                    file.write(numpy_helper.from_array(value, name).SerializeToString())
        self.count += 1

    @staticmethod
    def declare(name, value):
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def recurrent(c):
    kinds = {"LSTM": (4, ["HardSigmoid", "Relu", "Softsign"], [0.3], [0.4]),
             "GRU": (3, ["HardSigmoid", "LeakyRelu"], [0.3, 0.1], [0.4]),
             "RNN": (1, ["Elu"], [1.5], [])}
    for op, (gates, names, alpha, beta) in kinds.items():
        for direction in ("forward", "reverse", "bidirectional"):
            for rep in range(5):
                ways = 2 if direction == "bidirectional" else 1
                steps, batch, width, hidden = (c.pick.choice(r) for r in
                                               ([1, 3, 5], [1, 2, 3], [2, 4], [2, 3]))
                lengths = c.integers(1, steps + 1, np.int32, batch) if rep in (1, 3) else None
                inputs = [c.normal(steps, batch, width), c.normal(ways, gates * hidden, width),
                          c.normal(ways, gates * hidden, hidden),
                          c.maybe(c.normal(ways, 2 * gates * hidden), 0.7), lengths,
                          c.maybe(c.normal(ways, batch, hidden))]
                more = {"hidden_size": hidden, "direction": direction}
                if op == "LSTM":
                    inputs += [c.maybe(c.normal(ways, batch, hidden)),
                               c.maybe(c.normal(ways, 3 * hidden))]
                    more["input_forget"] = int(rep == 4)
                if op == "GRU":
                    more["linear_before_reset"] = rep % 2
                if rep == 2:
                    more["clip"] = 0.7
                if rep == 3:
                    more.update(activations=names * ways, activation_alpha=alpha * ways)
                    if beta:
                        more["activation_beta"] = beta * ways
                c.add(op, inputs, 3 if op == "LSTM" else 2, **more)


def windows(c):
    for rep in range(130):
        op = ("Conv", "Conv", "ConvTranspose", "MaxPool", "AveragePool")[rep % 5]
        rank = c.pick.choice([1, 2, 2, 3])
        extents = [c.pick.choice([5, 6, 7, 9]) for _ in range(rank)]
        kernel = [c.pick.choice([1, 2, 3]) for _ in range(rank)]
        strides = [c.pick.choice([1, 2, 3]) for _ in range(rank)]
        more = {"strides": strides}
        if all(s <= k for s, k in zip(strides, kernel)) and c.pick.random() < 0.5:
            more["auto_pad"] = c.pick.choice(["SAME_UPPER", "SAME_LOWER"])
        else:
            more["pads"] = [c.pick.randrange(k) for k in kernel * 2]
            more["dilations"] = [c.pick.choice([1, 2]) for _ in kernel]
            if op == "ConvTranspose":
                more["output_padding"] = [c.pick.randrange(s) for s in strides]
            elif op != "Conv":
                more["ceil_mode"] = c.pick.choice([0, 1])
        if not op.startswith("Conv"):
            more["kernel_shape"] = kernel
            if op == "AveragePool":
                more["count_include_pad"] = c.pick.choice([0, 1])
            c.add(op, [c.normal(2, 3, *extents)], 1 + (op == "MaxPool"), 19, **more)
            continue
        group, depth, width = c.pick.choice([1, 1, 2, 4]), *c.pick.choices([1, 2, 3], k=2)
        shape = (group * width, depth) if op == "Conv" else (group * depth, width)
        c.add(op, [c.normal(2, group * depth, *extents), c.normal(*shape, *kernel),
                   c.maybe(c.normal(group * width))], group=group, **more)


def resizes(c):
    for rep in range(90):
        mode = c.pick.choice(["nearest", "linear", "cubic"])
        transform = c.pick.choice(["half_pixel", "pytorch_half_pixel", "align_corners",
                                   "asymmetric", "half_pixel_symmetric"])
        shape = (1, 2, c.pick.choice([3, 4, 5, 8]), c.pick.choice([3, 4, 7]))
        more = {"mode": mode, "coordinate_transformation_mode": transform}
        if mode == "nearest":
            more["nearest_mode"] = c.pick.choice(["round_prefer_floor", "round_prefer_ceil",
                                                  "floor", "ceil"])
            # Other positions may miss integers by a rounding error.
            if more["nearest_mode"] in ("floor", "ceil"):
                more["coordinate_transformation_mode"] = transform = "asymmetric"
        elif c.pick.random() < 0.3 and transform == "half_pixel":
            more["antialias"] = 1
        elif mode == "cubic":
            more["exclude_outside"] = c.pick.choice([0, 1])
        image = 1 + c.rng.random(shape).astype(np.float32)
        rounded = transform in ("align_corners", "pytorch_half_pixel")
        if not rounded and c.pick.random() < 0.5:
            scales = np.array([1, 1, *c.pick.choices([0.5, 0.75, 1.5, 2, 3], k=2)], np.float32)
            c.add("Resize", [image, None, scales], 1, 19, (2,), **more)
        else:
            sizes = np.array([1, 2, *c.pick.choices([2, 3, 5, 8, 9], k=2)], np.int64)
            c.add("Resize", [image, None, None, sizes], 1, 19, (3,), **more)


def quantized(c):
    for rep in range(12):
        low, high, dtype = ((0, 256, np.uint8), (-128, 128, np.int8))[rep % 2]
        own = lambda *shape: c.integers(low, high, dtype, *shape)
        byte = lambda *shape: c.integers(0, 256, np.uint8, *shape)
        number = lambda x: np.array(x, np.float32)
        c.add("QuantizeLinear", [c.normal(3, 4) * 5, number(0.05), own()])
        c.add("QuantizeLinear", [c.normal(3, 4) * 5, c.positive(4), own(4)], axis=1)
        c.add("DequantizeLinear", [own(3, 4), c.positive(3), own(3)], axis=0)
        c.add("MatMulInteger", [byte(3, 4), own(4, 5), byte(), own()])
        c.add("QLinearMatMul", [byte(3, 4), number(0.02), byte(), own(4, 5), number(0.03), own(),
                                number(0.3), byte()])
        c.add("ConvInteger", [byte(1, 2, 5, 5), byte(3, 2, 3, 3), byte()], pads=[1, 1, 1, 1])
        c.add("QLinearConv", [byte(1, 2, 5, 5), number(0.02), byte(),
                              c.integers(-128, 128, np.int8, 3, 2, 3, 3), c.positive(3),
                              np.zeros(3, np.int8), number(0.4), byte(),
                              c.integers(-900, 900, np.int32, 3)],
              constants=range(1, 9), pads=[1, 1, 0, 0])
        c.add("DynamicQuantizeLinear", [c.normal(4, 5) * 10], 3)


def others(c):
    for rep in range(8):
        reduction = ("add", "mul", "max", "min")[rep % 4]
        c.add("ScatterElements", [c.normal(3, 5), c.integers(-3, 3, np.int64, 2, 4),
                                  c.normal(2, 4)], 1, 18, axis=0, reduction=reduction)
        c.add("ScatterND", [c.normal(4, 3, 2), c.integers(-4, 4, np.int64, 3, 1),
                            c.normal(3, 3, 2)], 1, 18, reduction=reduction)
        c.add("TopK", [c.normal(3, 6), np.array([1 + rep % 6], np.int64)], 2, constants=(1,),
              axis=1, largest=rep % 2)
        boxes = np.sort(c.rng.random((2, 6, 4)).astype(np.float32))
        scores = c.rng.random((2, 3, 6)).astype(np.float32)
        c.add("NonMaxSuppression", [boxes, scores, np.array([3], np.int64),
                                    np.array([0.4], np.float32), np.array([0.2], np.float32)])
        c.add("ArgMax", [c.integers(0, 4, np.int32, 3, 5)], axis=rep % 2, keepdims=rep // 2 % 2,
              select_last_index=rep // 4)
        grid = c.rng.random((1, 3, 4, 2)).astype(np.float32) * 3 - 1.5
        image = 1 + c.rng.random((1, 2, 4, 5)).astype(np.float32)
        c.add("GridSample", [image, grid], 1, 16, align_corners=rep % 2,
              mode=c.pick.choice(["bilinear", "nearest", "bicubic"]),
              padding_mode=c.pick.choice(["zeros", "border", "reflection"]))
        c.add("LRN", [c.normal(2, 6, 3, 3)], size=c.pick.choice([1, 3, 5]), alpha=0.3, beta=0.6)
        c.add("ReduceLogSumExp", [c.normal(3, 4) * 50], axes=[rep % 2])
        c.add("LayerNormalization", [c.normal(2, 3, 4), c.normal(3, 4), c.normal(3, 4)], 3, axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    os.makedirs(options.folder)
    cases = Cases(options.folder, options.seed)
    for family in (recurrent, windows, resizes, quantized, others):
        family(cases)
    print(f"{cases.count} cases, {cases.refused} refused by ONNX Runtime")
    return 1 if cases.refused else 0


if __name__ == "__main__":
    sys.exit(main())
