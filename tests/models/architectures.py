#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Architectures that are no built-in models, against ONNX Runtime.

    build/venv/bin/python3 tests/models/architectures.py [NAME...] [--write FOLDER]

Small networks with seeded weights and the layers of well-known families. Each is run as imported
and optimized, and its export (`optimize -o`, dimensions left open where they are) by ONNX Runtime.
The error is |y - x| / |y| (2-norms) with y from ONNX Runtime on the original. --write only writes
the models, with sizes bound, for `bench/compare/compare.py FOLDER/*.onnx`.
Exit 1 if an error is over the limit or something failed."""
import argparse
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

import compare_ort
import models
from graph_writer import GraphWriter

LIMIT = 2e-5  # of f32 sums in two orders, over some tens of layers
FAR = 2 ** 31 - 1


def mobile(g):
    """Inverted residuals with squeeze and excitation (EfficientNet)."""
    x = g.swish(g.batch_norm(g.conv(g.input("x", ["batch", 3, 96, 96]), (3, 16), 3, 2), 16))
    width = 16
    for to, kernel, stride in ((24, 3, 2), (24, 3, 1), (40, 5, 2), (40, 5, 1), (80, 3, 2)):
        wide = 4 * width
        y = g.swish(g.batch_norm(g.conv(x, (width, wide), 1), wide))
        y = g.swish(g.batch_norm(g.conv(y, (wide, wide), kernel, stride, group=wide), wide))
        s = g("ReduceMean", y, axes=[2, 3], keepdims=1)
        s = g("Sigmoid", g.conv(g.swish(g.conv(s, (wide, width // 4), 1)), (width // 4, wide), 1))
        y = g.batch_norm(g.conv(g("Mul", y, s), (wide, to), 1), to)
        x = g("Add", x, y) if to == width else y
        width = to
    return g.linear(g("Flatten", g("GlobalAveragePool", x)), width, 100)


def dense(g):
    """Every layer sees all earlier ones (DenseNet)."""
    x = g.conv(g.input("x", [1, 3, 64, 64]), (3, 32), 7, 2)
    width = 32
    for layers in (4, 6):
        parts = [x]
        for _ in range(layers):
            y = g("Concat", *parts, axis=1)
            y = g.conv(g("Relu", g.batch_norm(y, width)), (width, 64), 1)
            parts.append(g.conv(g("Relu", g.batch_norm(y, 64)), (64, 16), 3))
            width += 16
        x = g("Relu", g.batch_norm(g("Concat", *parts, axis=1), width))
        x = g.conv(x, (width, width // 2), 1)
        x = g("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        width //= 2
    return g.linear(g("Flatten", g("GlobalAveragePool", x)), width, 100)


def shuffled(g):
    """Channels split, convolved and shuffled (ShuffleNet v2)."""
    side, width = 28, 48
    x = g.conv(g.input("x", [1, 3, 2 * side, 2 * side]), (3, width), 3, 2)
    for _ in range(3):
        a, b = g("Split", x, outputs=2, axis=1)
        half = width // 2
        b = g("Relu", g.batch_norm(g.conv(b, (half, half), 1), half))
        b = g.batch_norm(g.conv(b, (half, half), 3, group=half), half)
        x = g("Concat", a, g("Relu", g.conv(b, (half, half), 1)), axis=1)
        x = g("Reshape", x, g.integers(1, 2, half, side, side))
        x = g("Transpose", x, perm=[0, 2, 1, 3, 4])
        x = g("Reshape", x, g.integers(1, width, side, side))
    return g.linear(g("ReduceMean", x, axes=[2, 3], keepdims=0), width, 100)


def modern(g):
    """Large depthwise kernels, norms and products with channels last (ConvNeXt)."""
    width = 64
    x = g.conv(g.input("x", [1, 3, 64, 64]), (3, width), 4, 4)
    for _ in range(3):
        y = g("Transpose", g.conv(x, (width, width), 7, group=width), perm=[0, 2, 3, 1])
        y = g.gelu(g.linear(g.layer_norm(y, width), width, 4 * width))
        y = g("Mul", g.linear(y, 4 * width, width), g.normal(width, scale=0.3))
        x = g("Add", x, g("Transpose", y, perm=[0, 3, 1, 2]))
    return g.linear(g("Flatten", g("GlobalAveragePool", x)), width, 100)


def roll(g, x, by):
    for axis in (1, 2):
        tail = g("Slice", x, g.integers(by), g.integers(FAR), g.integers(axis))
        x = g("Concat", tail, g("Slice", x, g.integers(0), g.integers(by), g.integers(axis)),
              axis=axis)
    return x


def windows(g):
    """Attention in windows that are shifted in every other layer (Swin)."""
    side, window, width, heads = 28, 7, 48, 3
    count = side // window
    x = g.conv(g.input("x", [1, 3, 112, 112]), (3, width), 4, 4)
    x = g("Transpose", x, perm=[0, 2, 3, 1])
    x = g("Slice", x, g.integers(0, 0), g.integers(side, side), g.integers(1, 2))
    for shift in (0, 3):
        y = g.layer_norm(x, width)
        y = roll(g, y, shift) if shift else y
        y = g("Reshape", y, g.integers(1, count, window, count, window, width))
        y = g("Reshape", g("Transpose", y, perm=[0, 1, 3, 2, 4, 5]),
              g.integers(count * count, window * window, width))
        qkv = g("Reshape", g.linear(y, width, 3 * width),
                g.integers(count * count, window * window, 3, heads, width // heads))
        qkv = g("Transpose", qkv, perm=[2, 0, 3, 1, 4])
        parts = [g("Gather", qkv, g.constant(np.int64(k)), axis=0) for k in range(3)]
        bias = g.normal(1, heads, window * window, window * window, scale=0.3)
        y = g.scores_to_values(*parts, (width // heads) ** -0.5, bias=bias)
        y = g("Reshape", g("Transpose", y, perm=[0, 2, 1, 3]),
              g.integers(count, count, window, window, width))
        y = g("Reshape", g("Transpose", y, perm=[0, 2, 1, 3, 4]), g.integers(1, side, side, width))
        y = roll(g, y, -shift) if shift else y
        x = g("Add", x, g.linear(y, width, width))
        x = g.add_feed_forward(x, width, g.gelu, g.layer_norm)
    return g.linear(g("ReduceMean", g.layer_norm(x, width), axes=[1, 2], keepdims=0), width, 100)


def relative(g):
    """Relative position bias, root mean square norms, gated feed-forward (T5)."""
    tokens, heads, width = 48, 4, 32
    whole = heads * width
    ids = g.input("ids", [1, tokens], TensorProto.INT64)
    x = g("Gather", g.normal(500, whole, scale=1), ids)
    distance = np.abs(np.arange(tokens)[:, None] - np.arange(tokens)[None]) % 32
    bias = g("Gather", g.normal(32, heads, scale=0.5), g.constant(distance.astype(np.int64)))
    bias = g("Unsqueeze", g("Transpose", bias, perm=[2, 0, 1]), g.integers(0))
    for _ in range(2):
        y = g.rms_norm(x, whole)
        x = g("Add", x, g.attention(y, y, (tokens, tokens), heads, width, bias=bias))
        y = g.rms_norm(x, whole)
        gate = g.tanh_gelu(g.linear(y, whole, 2 * whole, bias=False))
        y = g("Mul", gate, g.linear(y, whole, 2 * whole, bias=False))
        x = g("Add", x, g.linear(y, 2 * whole, whole, bias=False))
    return g.rms_norm(x, whole)


def recurrent(g):
    """Two bidirectional layers of gated recurrent units."""
    steps, width, hidden = 20, 32, 48
    x = g.input("x", [steps, "batch", width])
    for size in (width, 2 * hidden):
        y, _ = g("GRU", x, g.normal(2, 3 * hidden, size, scale=size ** -0.5),
                 g.normal(2, 3 * hidden, hidden, scale=hidden ** -0.5),
                 g.normal(2, 6 * hidden, scale=0.1), outputs=2, hidden_size=hidden,
                 direction="bidirectional", linear_before_reset=1)
        x = g("Reshape", g("Transpose", y, perm=[0, 2, 1, 3]), g.integers(steps, -1, 2 * hidden))
    return g.linear(x, 2 * hidden, 50)


def speech(g):
    """One-dimensional convolutions, then attention (Whisper's encoder)."""
    frames, heads, width = 120, 2, 32
    whole = heads * width
    x = g.gelu(g.conv(g.input("x", [1, 40, frames]), (40, whole), (3,)))
    x = g.gelu(g.conv(x, (whole, whole), (3,), 2))
    x = g("Add", g("Transpose", x, perm=[0, 2, 1]), g.normal(frames // 2, whole, scale=0.3))
    for _ in range(2):
        y = g.layer_norm(x, whole)
        x = g("Add", x, g.attention(y, y, (frames // 2, frames // 2), heads, width))
        x = g.add_feed_forward(x, whole, g.gelu, g.layer_norm)
    return g.layer_norm(x, whole)


def decoder(g):
    """Causal and padding masks, attention to another sequence (encoder–decoder, second half)."""
    tokens, others, heads, width = 24, 30, 4, 16
    whole = heads * width
    ids = g.input("ids", [1, tokens], TensorProto.INT64)
    memory = g.input("memory", [1, others, whole])
    padding = g("Cast", g.input("mask", [1, tokens], TensorProto.INT64), to=TensorProto.BOOL)
    causal = g.constant(np.tril(np.ones((1, 1, tokens, tokens), bool)))
    mask = g("And", causal, g("Unsqueeze", padding, g.integers(1, 2)))
    x = g("Add", g("Gather", g.normal(500, whole, scale=1), ids),
          g.normal(1, tokens, whole, scale=0.2))
    for _ in range(2):
        y = g.attention(x, x, (tokens, tokens), heads, width, mask=mask)
        x = g.layer_norm(g("Add", x, y), whole)
        y = g.attention(x, memory, (tokens, others), heads, width)
        x = g.layer_norm(g("Add", x, y), whole)
        x = g.add_feed_forward(x, whole, lambda v: g("Relu", v), lambda v, _: v)
        x = g.layer_norm(x, whole)
    return g.linear(x, whole, 500)


def dilated(g):
    """Parallel dilated convolutions and bilinear upsampling (DeepLab)."""
    x = g.conv(g("Relu", g.conv(g.input("x", [1, 3, 65, 65]), (3, 32), 3, 2)), (32, 48), 3, 2)
    parts = [g("Relu", g.batch_norm(g.conv(x, (48, 24), 3, dilation=d), 24)) for d in (1, 2, 4)]
    pooled = g("Relu", g.conv(g("GlobalAveragePool", x), (48, 24), 1))
    how = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
    parts.append(g("Resize", pooled, "", "", g.integers(1, 24, 17, 17), **how))
    x = g.conv(g("Concat", *parts, axis=1), (96, 21), 1)
    return g("Resize", x, "", "", g.integers(1, 21, 65, 65), **how)


def upscaling(g):
    """Parametric rectifiers, and pixels out of channels (SRGAN)."""
    def activation(x):
        return g("PRelu", x, g.uniform(0.1, 0.3, 32, 1, 1))
    x = activation(g.conv(g.input("x", [1, 3, 24, 24]), (3, 32), 9))
    for _ in range(2):
        y = activation(g.batch_norm(g.conv(x, (32, 32), 3), 32))
        x = g("Add", x, g.conv(y, (32, 32), 3))
    y = g("DepthToSpace", g.conv(x, (32, 128), 3), blocksize=2, mode="CRD")
    return g("Tanh", g.conv(activation(y), (32, 3), 9))


def volume(g):
    """Convolutions and pooling over space and time (C3D)."""
    x, width = g.input("x", [1, 3, 8, 32, 32]), 3
    for to in (16, 32):
        x = g("Relu", g.conv(x, (width, to), (3, 3, 3)))
        x = g("MaxPool", x, kernel_shape=[2, 2, 2], strides=[2, 2, 2])
        width = to
    return g.linear(g("Flatten", x), width * 2 * 8 * 8, 50)


def hourglass(g):
    """Transposed convolutions back to the size of the input (U-Net), of any size."""
    x, skips, width = g.input("x", [1, 3, "height", "width"]), [], 3
    for to in (16, 32):
        x = g("InstanceNormalization", g.conv(x, (width, to), 3), g.uniform(0.8, 1.2, to),
              g.normal(to, scale=0.1))
        skips.append((g("Relu", x), to))
        x, width = g("MaxPool", skips[-1][0], kernel_shape=[2, 2], strides=[2, 2]), to
    x = g("LeakyRelu", g.conv(x, (width, 64), 3), alpha=0.1)
    width = 64
    for skip, to in reversed(skips):
        x = g("ConvTranspose", x, g.normal(width, to, 3, 3, scale=(2 / 9 / width) ** 0.5),
              g.normal(to, scale=0.1), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4,
              output_padding=[1, 1])
        x = g("Relu", g.batch_norm(g.conv(g("Concat", x, skip, axis=1), (2 * to, to), 3), to))
        width = to
    return g("Sigmoid", g.conv(x, (width, 1), 1))


def detector(g):
    """Boxes on a grid whose size follows the input's (YOLO)."""
    x = g.conv(g.input("x", [1, 3, "height", "width"]), (3, 24), 3, 2)
    x = g.conv(g.swish(x), (24, 12), 3, 2)
    sizes = g("Shape", x)
    ranges = []
    for axis in (2, 3):
        size = g("Gather", sizes, g.constant(np.int64(axis)), axis=0)
        limit = g("Cast", size, to=TensorProto.FLOAT)
        ranges.append(g("Add", g("Range", g.number(0), limit, g.number(1)), g.number(0.5)))
    one_channel = g("Shape", g("Slice", x, g.integers(0), g.integers(1), g.integers(1)))
    columns = g("Reshape", ranges[1], g.integers(1, 1, 1, -1))
    rows = g("Reshape", ranges[0], g.integers(1, 1, -1, 1))
    grid = [g("Expand", line, one_channel) for line in (columns, rows)]
    grid = g("Concat", *grid, axis=1)
    near, far, classes = g("Split", x, g.integers(2, 2, 8), outputs=3, axis=1)
    low, high = g("Sub", grid, g("Exp", near)), g("Add", grid, g("Exp", far))
    boxes = g("Concat", g("Div", g("Add", low, high), g.number(2)), g("Sub", high, low),
              g("Sigmoid", classes), axis=1)
    return g("Reshape", boxes, g.integers(1, 12, -1))


def blocks(g, x, width, heads, side, window):
    """Attention with a decomposed relative position, in padded windows or (0) over everything."""
    pad = -side % window if window else 0
    count, size = ((side + pad) // window, window) if window else (1, side)
    y = g.layer_norm(x, width)
    if window:
        y = g("Pad", y, g.integers(0, 0, 0, 0, 0, pad, pad, 0))
        y = g("Reshape", y, g.integers(1, count, size, count, size, width))
        y = g("Reshape", g("Transpose", y, perm=[0, 1, 3, 2, 4, 5]),
              g.integers(-1, size, size, width))
    n, tokens, each = count * count, size * size, width // heads
    qkv = g("Reshape", g.linear(y, width, 3 * width), g.integers(n, tokens, 3, heads, each))
    qkv = g("Reshape", g("Transpose", qkv, perm=[2, 0, 3, 1, 4]),
            g.integers(3, n * heads, tokens, each))
    q, k, v = (g("Squeeze", part, g.integers(0)) for part in g("Split", qkv, outputs=3, axis=0))
    scores = g("MatMul", g("Mul", q, g.number(each ** -0.5)), g("Transpose", k, perm=[0, 2, 1]))
    q = g("Reshape", q, g.integers(n * heads, size, size, each))
    distance = g.constant(np.arange(size)[:, None] - np.arange(size)[None] + size - 1)
    rows, columns = (g("Gather", g.normal(2 * size - 1, each, scale=0.3), distance)
                     for _ in range(2))
    rows = g("Einsum", q, rows, equation="bhwc,hkc->bhwk")
    columns = g("Einsum", q, columns, equation="bhwc,wkc->bhwk")
    scores = g("Reshape", scores, g.integers(n * heads, size, size, size, size))
    scores = g("Add", scores, g("Unsqueeze", rows, g.integers(4)))
    scores = g("Add", scores, g("Unsqueeze", columns, g.integers(3)))
    scores = g("Softmax", g("Reshape", scores, g.integers(n * heads, tokens, tokens)), axis=-1)
    y = g("Reshape", g("MatMul", scores, v), g.integers(n, heads, size, size, each))
    y = g("Reshape", g("Transpose", y, perm=[0, 2, 3, 1, 4]), g.integers(n, size, size, width))
    y = g.linear(y, width, width)
    if window:
        y = g("Reshape", y, g.integers(1, count, count, size, size, width))
        y = g("Reshape", g("Transpose", y, perm=[0, 1, 3, 2, 4, 5]),
              g.integers(1, side + pad, side + pad, width))
        y = g("Slice", y, g.integers(0, 0), g.integers(side, side), g.integers(1, 2))
    return g.add_feed_forward(g("Add", x, y), width, g.gelu, g.layer_norm)


def decomposed(g):
    """Windows with padding and positions by row and column (Segment Anything's encoder)."""
    side, width = 18, 32
    x = g("Conv", g.input("x", [1, 3, 8 * side, 8 * side]), g.normal(width, 3, 8, 8, scale=0.07),
          g.normal(width, scale=0.1), kernel_shape=[8, 8], strides=[8, 8])
    x = g("Add", g("Transpose", x, perm=[0, 2, 3, 1]), g.normal(1, side, side, width, scale=0.2))
    for window in (5, 5, 0):
        x = blocks(g, x, width, 2, side, window)
    return g.conv(g("Transpose", x, perm=[0, 3, 1, 2]), (width, 16), 3)


def disentangled(g):
    """Content and position attend to each other (DeBERTa)."""
    tokens, heads, width, span = 24, 4, 16, 8
    whole = heads * width
    x = g("Gather", g.normal(500, whole, scale=1), g.input("ids", [1, tokens], TensorProto.INT64))
    relative_rows = g.layer_norm(g.normal(2 * span, whole, scale=0.5), whole)
    distance = np.arange(tokens)[:, None] - np.arange(tokens)[None]
    place = [np.repeat(np.clip(sign * distance + span, 0, 2 * span - 1)[None], heads, 0)
             for sign in (1, -1)]
    split = [g("Reshape", g.linear(x, whole, whole), g.integers(tokens, heads, width))
             for _ in range(3)]
    q, k, v = (g("Transpose", part, perm=[1, 0, 2]) for part in split)
    scores = g("MatMul", q, g("Transpose", k, perm=[0, 2, 1]))
    for content, at, turned in ((q, place[0], False), (k, place[1], True)):
        rows = g("Reshape", g.linear(relative_rows, whole, whole),
                 g.integers(2 * span, heads, width))
        part = g("MatMul", content, g("Transpose", rows, perm=[1, 2, 0]))
        part = g("GatherElements", part, g.constant(at.astype(np.int64)), axis=-1)
        scores = g("Add", scores, g("Transpose", part, perm=[0, 2, 1]) if turned else part)
    scores = g("Softmax", g("Div", scores, g.number((3 * width) ** 0.5)), axis=-1)
    y = g("Transpose", g("MatMul", scores, v), perm=[1, 0, 2])
    x = g("Add", x, g.linear(g("Reshape", y, g.integers(1, tokens, whole)), whole, whole))
    return g.add_feed_forward(x, whole, g.gelu, g.layer_norm)


def messages(g):
    """Features added up along the edges of a graph."""
    nodes, edges, width = 60, 200, 24
    x = g.linear(g.input("x", [nodes, 16]), 16, width)
    ends = np.random.default_rng(3).integers(0, nodes, (2, edges))
    for _ in range(2):
        sent = g("Gather", x, g.constant(ends[0]))
        at = g.constant(np.repeat(ends[1][:, None], width, 1))
        none = g.constant(np.zeros((nodes, width), np.float32))
        y = g("ScatterElements", none, at, sent, axis=0, reduction="add")
        x = g("Relu", g("Add", g.linear(y, width, width), g.linear(x, width, width)))
    return g.linear(x, width, 7)


def quantized(g):
    """Residual blocks between quantizations, as static quantizers write them. Scales are powers
    of two, so that sums are exact and all engines round alike."""
    def again(x, scale, zero):
        scale, zero = g.number(scale), g.constant(np.int8(zero))
        return g("DequantizeLinear", g("QuantizeLinear", x, scale, zero), scale, zero)

    def conv(x, channels, kernel, stride=1):
        size = (channels[1], channels[0], kernel, kernel)
        whole = g.random_integers(-60, 60, size)
        scale = 2.0 ** -np.random.default_rng(4).integers(8, 11, size[:1])
        scale = g.constant(scale.astype(np.float32))
        whole = g("DequantizeLinear", whole, scale, g.constant(np.zeros(size[0], np.int8)), axis=0)
        return g("Conv", x, whole, kernel_shape=[kernel] * 2, strides=[stride] * 2,
                 pads=[kernel // 2] * 4)

    x = again(g.input("x", [1, 3, 40, 40]), 2 ** -5, 3)
    x, width = again(g("Relu", conv(x, (3, 32), 3, 2)), 2 ** -3, -128), 32
    for to, stride in ((32, 1), (64, 2)):
        y = again(g("Relu", conv(x, (width, to), 3, stride)), 2 ** -2, -128)
        y = again(conv(y, (to, to), 3), 2 ** -1, 0)
        x = again(conv(x, (width, to), 1, stride), 2 ** -2, 0) if to != width else x
        x, width = again(g("Relu", g("Add", x, y)), 2 ** -1, -128), to
    x = again(g("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 2 ** -1, -128)
    return g.linear(g("Flatten", x), width * 25, 10)


ARCHITECTURES = [mobile, dense, shuffled, modern, windows, relative, recurrent, speech, decoder,
                 dilated, upscaling, volume, hourglass, detector, decomposed, disentangled,
                 messages, quantized]
SIZES = {"batch": 2, "height": 48, "width": 64}  # what open dimensions are bound to


def written(make, seed, bound=False):
    g = GraphWriter(seed)
    model = g.model(make.__name__, make(g))
    if bound:
        for value in model.graph.input:
            for dim in value.type.tensor_type.shape.dim:
                if dim.dim_param:
                    dim.dim_value = SIZES[dim.dim_param]
        del model.graph.value_info[:]
        for value in model.graph.output:
            value.type.tensor_type.ClearField("shape")
    return model


class Written:
    """A model as compare_ort.compare() takes it."""

    def __init__(self, model, folder):
        self.name = model.graph.name
        self.path = folder / f"{self.name}.onnx"
        self.optimized = folder / f"{self.name}.optimized.onnx"
        self.plan_log = folder / f"{self.name}.optimize.log"
        self._inputs = model.graph.input
        onnx.save(model, self.path)

    def inputs(self, seed):
        """As of models.Model."""
        rng, values = np.random.default_rng(seed), {}
        for value in self._inputs:
            tensor = value.type.tensor_type
            shape = [SIZES[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            if dtype == np.float32:
                values[value.name] = rng.standard_normal(shape).astype(dtype)
            elif value.name == "mask":
                values[value.name] = (np.arange(shape[-1]) < shape[-1] - seed)[None].astype(dtype)
            else:
                values[value.name] = rng.integers(0, 500, shape).astype(dtype)
        path = self.path.with_suffix(f".seed{seed}.npz")
        np.savez(path, **values)
        return values, path


def main():
    names = {make.__name__: make for make in ARCHITECTURES}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    models.add_options(parser)
    parser.add_argument("--write", metavar="FOLDER", type=pathlib.Path)
    parser.add_argument("--seeds", default="1", help="seeds of the inputs compared")
    parser.add_argument("--threads", default=2, type=int)
    options = parser.parse_args()
    chosen = [names[name] for name in options.models or names]
    if options.write:
        options.write.mkdir(parents=True, exist_ok=True)
        for make in chosen:
            Written(written(make, seed=1, bound=True), options.write).inputs(1)
        return 0
    options.seeds = [int(s) for s in options.seeds.split(",")]
    options.budget = options.budget or "3s"
    tessera = models.Tessera(options)
    rows, notes = [], []
    with tempfile.TemporaryDirectory() as folder:
        models.CACHE = pathlib.Path(folder)
        for make in chosen:
            model = Written(written(make, seed=1), models.CACHE)
            found = compare_ort.compare(model, tessera, options, relative=True)
            good = all("failed" not in f and f["error"] <= LIMIT for f in found.values())
            notes += [f"{model.name} {way}: {f['failed']}" for way, f in found.items()
                      if "failed" in f]
            cells = ["failed" if "failed" in f else f"{f['error']:.1e}" for f in found.values()]
            rows.append([model.name, *cells, "ok" if good else "BAD"])
    models.print_table(["error against ONNX Runtime", *compare_ort.LIMITS, ""], rows)
    print("\n".join(notes))
    return 0 if all(row[-1] == "ok" for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
