# SPDX-License-Identifier: Apache-2.0
"""An ONNX model as a PyTorch graph of aten operators, for torch.compile.

`trace(model, inputs)` runs the model's nodes once in PyTorch under make_fx. Sizes are those of the
inputs. What depends on constants and shapes alone is evaluated meanwhile and becomes a constant, so
nothing is left that reads a shape from a tensor, where torch.compile would break its graph. An
operator or a form that is not here raises Unsupported. compare.py checks the outputs."""
import math

import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing, make_fx


class Unsupported(Exception):
    """An operator, or a form of it, that has no counterpart here; the text names it."""


def numbers(value):
    """The elements of a tensor that is known when the graph is made."""
    if not isinstance(value, Known):
        raise Unsupported("a shape, an axis or a bound that depends on the inputs")
    return value.tensor.flatten().tolist()


class Known:
    """A value that does not depend on the inputs."""

    def __init__(self, tensor):
        self.tensor = tensor


def plain(value):
    return value.tensor if isinstance(value, Known) else value


class Node:
    """The attributes and inputs of one node; `x[i]` is a tensor or None, `known(i)` its numbers."""

    def __init__(self, proto, inputs, opset):
        self.proto, self.inputs, self.opset = proto, inputs, opset
        self.x = [plain(v) for v in inputs]
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}

    def get(self, name, default=None):
        value = self._attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def has(self, place):
        return place < len(self.inputs) and self.inputs[place] is not None

    def known(self, place):
        return numbers(self.inputs[place])

    def ints(self, name, place, default=None):
        """Integers that newer versions take as an input and older ones as an attribute."""
        return self.known(place) if self.has(place) else self.get(name, default)

    def require(self, condition, what):
        if not condition:
            raise Unsupported(f"{self.proto.op_type}: {what}")


def window(n, spatial, kernel):
    """Strides, dilations and pads (before and after each axis) of a convolution or pooling."""
    rank = len(spatial)
    strides, dilations = n.get("strides", [1] * rank), n.get("dilations", [1] * rank)
    auto = n.get("auto_pad", "NOTSET")
    if auto == "NOTSET":
        pads = n.get("pads", [0] * 2 * rank)
        return strides, dilations, list(zip(pads[:rank], pads[rank:]))
    if auto == "VALID":
        return strides, dilations, [(0, 0)] * rank
    pads = []
    for size, width, stride, dilation in zip(spatial, kernel, strides, dilations):
        total = max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if auto == "SAME_UPPER" else (more, less))
    return strides, dilations, pads


def flat_pads(pads):
    """Pads as F.pad takes them: the last axis first."""
    return [p for pair in reversed(pads) for p in pair]


def conv(n):
    x, weight = n.x[:2]
    strides, dilations, pads = window(n, x.shape[2:], weight.shape[2:])
    if any(before != after for before, after in pads):
        x, pads = F.pad(x, flat_pads(pads)), [(0, 0)] * len(pads)
    bias = n.x[2] if n.has(2) else None
    return getattr(F, f"conv{x.dim() - 2}d")(
        x, weight, bias, strides, [p for p, _ in pads], dilations, n.get("group", 1))


def conv_transpose(n):
    x, weight = n.x[:2]
    n.require(n.get("auto_pad", "NOTSET") == "NOTSET" and n.get("output_shape") is None, "padding")
    strides, dilations, pads = window(n, x.shape[2:], weight.shape[2:])
    n.require(all(before == after for before, after in pads), "pads that differ")
    more = n.get("output_padding", [0] * len(pads))
    return getattr(F, f"conv_transpose{x.dim() - 2}d")(
        x, weight, n.x[2] if n.has(2) else None, strides, [p for p, _ in pads], more,
        n.get("group", 1), dilations)


def max_pool(n):
    x, kernel = n.x[0], n.get("kernel_shape")
    n.require(len(n.proto.output) == 1, "indices")
    strides, dilations, pads = window(n, x.shape[2:], kernel)
    if any(before != after or 2 * before > width for (before, after), width in zip(pads, kernel)):
        x, pads = F.pad(x, flat_pads(pads), value=-math.inf), [(0, 0)] * len(pads)
    return getattr(F, f"max_pool{x.dim() - 2}d")(
        x, kernel, strides, [p for p, _ in pads], dilations, bool(n.get("ceil_mode", 0)))


def average_pool(n):
    x, kernel = n.x[0], n.get("kernel_shape")
    strides, dilations, pads = window(n, x.shape[2:], kernel)
    n.require(all(d == 1 for d in dilations), "dilations")
    counted = bool(n.get("count_include_pad", 0))
    if any(before != after for before, after in pads):
        n.require(counted, "pads that differ and are not counted")
        x, pads = F.pad(x, flat_pads(pads)), [(0, 0)] * len(pads)
    return getattr(F, f"avg_pool{x.dim() - 2}d")(
        x, kernel, strides, [p for p, _ in pads], bool(n.get("ceil_mode", 0)), counted)


def batch_norm(n):
    n.require(not n.get("training_mode", 0), "training")
    return F.batch_norm(n.x[0], n.x[3], n.x[4], n.x[1], n.x[2], eps=n.get("epsilon", 1e-5))


def layer_norm(n):
    n.require(len([o for o in n.proto.output if o]) == 1, "statistics as outputs")
    shape = n.x[0].shape[n.get("axis", -1) % n.x[0].dim():]
    bias = n.x[2].expand(shape) if n.has(2) else None
    return F.layer_norm(n.x[0], shape, n.x[1].expand(shape), bias, n.get("epsilon", 1e-5))


def gemm(n):
    a = n.x[0].t() if n.get("transA", 0) else n.x[0]
    b = n.x[1].t() if n.get("transB", 0) else n.x[1]
    alpha, beta = n.get("alpha", 1.0), n.get("beta", 1.0)
    if n.has(2):
        return torch.addmm(n.x[2], a, b, alpha=alpha, beta=beta)
    return a @ b if alpha == 1.0 else alpha * (a @ b)


def wrapped(indices, size):
    """Indices with negative ones counted from the end."""
    return torch.where(indices < 0, indices + size, indices).long()


def gather(n):
    x, axis = n.x[0], n.get("axis", 0) % n.x[0].dim()
    indices = wrapped(n.x[1], x.shape[axis])
    shape = [*x.shape[:axis], *indices.shape, *x.shape[axis + 1:]]
    return x.index_select(axis, indices.flatten()).reshape(shape)


def slices(n):
    x = n.x[0]
    starts, ends = n.ints("starts", 1), n.ints("ends", 2)
    axes = n.ints("axes", 3) or range(len(starts))
    steps = n.known(4) if n.has(4) else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps):
        places = range(x.shape[axis])[slice(start, end, step)]
        if step > 0:
            take = [slice(None)] * (axis % x.dim()) + [slice(start, end, step)]
            x = x[tuple(take)]
        else:
            x = x.index_select(axis, torch.tensor(list(places), dtype=torch.long))
    return x


def split(n):
    axis, count = n.get("axis", 0), len(n.proto.output)
    size = n.x[0].shape[axis]
    sizes = n.ints("split", 1)
    if sizes is None:
        part = -(-size // count)
        sizes = [part] * (count - 1) + [size - part * (count - 1)]
    return torch.split(n.x[0], sizes, axis)


def reshape(n):
    x, shape = n.x[0], n.ints("shape", 1)
    if not n.get("allowzero", 0):
        shape = [x.shape[k] if s == 0 else s for k, s in enumerate(shape)]
    return x.reshape(shape)


def squeeze(n):
    axes = n.ints("axes", 1)
    axes = [k for k, s in enumerate(n.x[0].shape) if s == 1] if axes is None else axes
    gone = {axis % n.x[0].dim() for axis in axes}
    return n.x[0].reshape([s for k, s in enumerate(n.x[0].shape) if k not in gone])


def unsqueeze(n):
    axes = n.ints("axes", 1)
    rank = n.x[0].dim() + len(axes)
    x = n.x[0]
    for axis in sorted(a % rank for a in axes):
        x = x.unsqueeze(axis)
    return x


def flatten(n):
    axis, shape = n.get("axis", 1), n.x[0].shape
    axis = axis + len(shape) if axis < 0 else axis
    return n.x[0].reshape(math.prod(shape[:axis]), math.prod(shape[axis:]))


def clip(n):
    low = n.x[1] if n.has(1) else n.get("min")
    high = n.x[2] if n.has(2) else n.get("max")
    low = n.known(1)[0] if n.has(1) and isinstance(n.inputs[1], Known) else low
    high = n.known(2)[0] if n.has(2) and isinstance(n.inputs[2], Known) else high
    return n.x[0] if low is None and high is None else torch.clamp(n.x[0], low, high)


def cast(n):
    kind = onnx.helper.tensor_dtype_to_np_dtype(n.get("to"))
    return n.x[0].to(getattr(torch, kind.name))


def pad(n):
    x, mode, rank = n.x[0], n.get("mode", "constant"), n.x[0].dim()
    pads, axes = n.ints("pads", 1), n.known(3) if n.has(3) else range(rank)
    pairs = [(0, 0)] * rank
    for k, axis in enumerate(axes):
        pairs[axis] = (pads[k], pads[k + len(pads) // 2])
    if mode == "constant":
        return F.pad(x, flat_pads(pairs), value=n.known(2)[0] if n.has(2) else 0)
    n.require(all(pair == (0, 0) for pair in pairs[:2]), "reflection of batch or channels")
    return F.pad(x, flat_pads(pairs[2:]), mode={"edge": "replicate"}.get(mode, mode))


def resize(n):
    mode, place = n.get("mode", "nearest"), n.get("coordinate_transformation_mode", "half_pixel")
    rank, sizes = n.x[0].dim(), n.known(3) if n.has(3) else None
    if sizes is None:
        scales = n.known(2)
        sizes = [math.floor(s * f) for s, f in zip(n.x[0].shape, scales)]
    n.require(len(sizes) == rank and sizes[:2] == list(n.x[0].shape[:2]), "batch or channels")
    whole = all(s % x == 0 for s, x in zip(sizes, n.x[0].shape))
    if mode == "nearest":  # whole factors: every rule of rounding takes the same element
        n.require(whole and n.get("nearest_mode", "round_prefer_floor") in (
            "floor", "round_prefer_floor"), "nearest at fractions")
        return F.interpolate(n.x[0], sizes[2:], mode="nearest")
    n.require(mode == "linear" and place in ("half_pixel", "pytorch_half_pixel", "align_corners"),
              f"{mode}, {place}")
    kind = {3: "linear", 4: "bilinear", 5: "trilinear"}[rank]
    return F.interpolate(n.x[0], sizes[2:], mode=kind, align_corners=place == "align_corners")


def reduction(function):
    def run(n):
        axes = n.ints("axes", 1)
        if not axes and n.get("noop_with_empty_axes", 0):
            return n.x[0]
        axes = list(axes) if axes else list(range(n.x[0].dim()))
        return function(n.x[0], axes, bool(n.get("keepdims", 1)))
    return run


def one_axis(function):
    def run(n):
        n.require(n.opset >= 13, "the form before opset 13")
        return function(n.x[0], n.get("axis", -1))
    return run


def lstm(n):
    """ONNX keeps the gates as input, output, forget, cell; PyTorch as input, forget, cell,
    output."""
    x, w, r = n.x[:3]
    both = n.get("direction", "forward") == "bidirectional"
    n.require(n.get("direction", "forward") != "reverse" and not n.get("layout", 0)
              and n.get("activations") is None and n.get("clip") is None
              and not n.has(4) and not n.has(7), "this form")
    hidden, (ways, batch) = n.get("hidden_size"), (w.shape[0], x.shape[1])

    def ordered(m):
        i, o, f, c = m.split(hidden)
        return torch.cat([i, f, c, o])

    biases = n.x[3] if n.has(3) else torch.zeros(ways, 8 * hidden)
    weights = []
    for k in range(ways):
        weights += [ordered(w[k]), ordered(r[k]), *map(ordered, biases[k].split(4 * hidden))]
    state = [n.x[k] if n.has(k) else torch.zeros(ways, batch, hidden) for k in (5, 6)]
    y, h, c = torch.lstm(x, state, weights, True, 1, 0.0, False, both, False)
    return y.reshape(x.shape[0], batch, ways, hidden).transpose(1, 2), h, c


def constant(n):
    for name in ("value_float", "value_int", "value_floats", "value_ints"):
        if n.get(name) is not None:
            kind = torch.int64 if "int" in name else torch.float32
            return torch.tensor(n.get(name), dtype=kind)
    n.require(n.get("value") is not None, "this kind of value")
    return tensor_of(n.get("value"))


def constant_of_shape(n):
    value = n.get("value")
    value = torch.zeros(1) if value is None else tensor_of(value)
    return value.expand(n.known(0)).clone()


def expand(n):
    return n.x[0].expand(torch.broadcast_shapes(n.x[0].shape, tuple(n.known(1))))


def divide(n):
    whole = not n.x[0].is_floating_point()
    return torch.div(n.x[0], n.x[1], rounding_mode="trunc" if whole else None)


def space_to_channels(n):
    b, c, h, w = n.x[0].shape
    k = n.get("blocksize")
    if n.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(n.x[0], k)
    y = n.x[0].reshape(b, k, k, c // (k * k), h, w).permute(0, 3, 4, 1, 5, 2)
    return y.reshape(b, c // (k * k), h * k, w * k)


def prelu(n):
    slope = n.x[1]
    return torch.where(n.x[0] < 0, n.x[0] * slope, n.x[0])


def unary(function):
    return lambda n: function(n.x[0])


def binary(function):
    return lambda n: function(n.x[0], n.x[1])


OPERATORS = {
    "Add": binary(torch.add), "Sub": binary(torch.sub), "Mul": binary(torch.mul), "Div": divide,
    "Pow": binary(torch.pow), "And": binary(torch.logical_and), "Or": binary(torch.logical_or),
    "Equal": binary(torch.eq), "Less": binary(torch.lt), "Greater": binary(torch.gt),
    "LessOrEqual": binary(torch.le), "GreaterOrEqual": binary(torch.ge),
    "MatMul": binary(torch.matmul), "Max": binary(torch.maximum), "Min": binary(torch.minimum),
    "Relu": unary(torch.relu), "Sigmoid": unary(torch.sigmoid), "Tanh": unary(torch.tanh),
    "Erf": unary(torch.erf), "Exp": unary(torch.exp), "Log": unary(torch.log),
    "Sqrt": unary(torch.sqrt), "Reciprocal": unary(torch.reciprocal), "Neg": unary(torch.neg),
    "Abs": unary(torch.abs), "Ceil": unary(torch.ceil), "Floor": unary(torch.floor),
    "Sin": unary(torch.sin), "Cos": unary(torch.cos), "Not": unary(torch.logical_not),
    "Identity": unary(lambda x: x), "Dropout": unary(lambda x: x),
    "HardSwish": unary(F.hardswish), "Softplus": unary(F.softplus), "Sign": unary(torch.sign),
    "Elu": lambda n: F.elu(n.x[0], n.get("alpha", 1.0)),
    "LeakyRelu": lambda n: F.leaky_relu(n.x[0], n.get("alpha", 0.01)),
    "HardSigmoid": lambda n: torch.clamp(
        n.get("alpha", 0.2) * n.x[0] + n.get("beta", 0.5), 0.0, 1.0),
    "Gelu": lambda n: F.gelu(n.x[0], approximate=n.get("approximate", "none")),
    "PRelu": prelu, "Clip": clip, "Cast": cast, "Where": lambda n: torch.where(*n.x[:3]),
    "Conv": conv, "ConvTranspose": conv_transpose, "Gemm": gemm, "LSTM": lstm,
    "MaxPool": max_pool, "AveragePool": average_pool,
    "GlobalAveragePool": lambda n: n.x[0].mean(list(range(2, n.x[0].dim())), keepdim=True),
    "BatchNormalization": batch_norm, "LayerNormalization": layer_norm,
    "InstanceNormalization": lambda n: F.instance_norm(
        n.x[0], weight=n.x[1], bias=n.x[2], eps=n.get("epsilon", 1e-5)),
    "GroupNormalization": lambda n: F.group_norm(
        n.x[0], n.get("num_groups"), n.x[1], n.x[2], n.get("epsilon", 1e-5)),
    "Softmax": one_axis(F.softmax), "LogSoftmax": one_axis(F.log_softmax),
    "ReduceMean": reduction(torch.mean), "ReduceSum": reduction(torch.sum),
    "ReduceMax": reduction(torch.amax), "ReduceMin": reduction(torch.amin),
    "Gather": gather, "Slice": slices, "Split": split, "Reshape": reshape, "Squeeze": squeeze,
    "GatherElements": lambda n: torch.gather(
        n.x[0], n.get("axis", 0), wrapped(n.x[1], n.x[0].shape[n.get("axis", 0)])),
    "Unsqueeze": unsqueeze, "Flatten": flatten, "Expand": expand, "Pad": pad, "Resize": resize,
    "Concat": lambda n: torch.cat(n.x, n.get("axis")),
    "Transpose": lambda n: n.x[0].permute(n.get("perm", list(range(n.x[0].dim()))[::-1])),
    "Tile": lambda n: n.x[0].repeat(n.known(1)), "DepthToSpace": space_to_channels,
    "CumSum": lambda n: n.x[0].cumsum(n.known(1)[0]),
    "Einsum": lambda n: torch.einsum(n.get("equation"), *n.x),
    "Range": lambda n: torch.arange(*(n.known(k)[0] for k in range(3)), dtype=n.x[0].dtype),
    "Constant": constant, "ConstantOfShape": constant_of_shape,
}


def tensor_of(proto, folder=""):
    return torch.from_numpy(numpy_helper.to_array(proto, folder).copy())


def evaluate(proto, inputs, opset):
    """The results of one node, Known where they do not depend on the model's inputs."""
    if proto.op_type == "Shape":
        shape = list(plain(inputs[0]).shape)
        node = Node(proto, inputs, opset)
        with disable_proxy_modes_tracing():
            return [Known(torch.tensor(shape[node.get("start", 0):node.get("end", len(shape))]))]
    operator = OPERATORS.get(proto.op_type) if proto.domain in ("", "ai.onnx") else None
    if operator is None:
        raise Unsupported(f"no form of {proto.domain}{proto.op_type}")
    node = Node(proto, inputs, opset)
    if all(v is None or isinstance(v, Known) for v in inputs):
        with disable_proxy_modes_tracing():
            results = operator(node)
            return [Known(r) for r in ([results] if torch.is_tensor(results) else results)]
    results = operator(node)
    return [results] if torch.is_tensor(results) else results


def trace(model, inputs):
    """The file `model` as a torch.fx.GraphModule for inputs of these sizes, in the order of its
    inputs that are no constants; it returns a tuple, in the order of its outputs."""
    loaded = onnx.load(model)
    graph = loaded.graph
    opset = max(o.version for o in loaded.opset_import if o.domain in ("", "ai.onnx"))
    constants = {i.name: Known(tensor_of(i)) for i in graph.initializer}
    names = [i.name for i in graph.input if i.name not in constants]

    def run(*given):
        values = {**constants, **dict(zip(names, given)), "": None}
        for proto in graph.node:
            results = evaluate(proto, [values[name] for name in proto.input], opset)
            values.update(zip(proto.output, results))
        return tuple(plain(values[o.name]) for o in graph.output)

    return make_fx(run)(*[inputs[name] for name in names]), names
