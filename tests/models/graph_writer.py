# SPDX-License-Identifier: Apache-2.0
"""Writes ONNX graphs with seeded weights, in the forms in which PyTorch exports layers."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class GraphWriter:
    """A graph under construction; values are names. Calling it adds a node."""

    def __init__(self, seed):
        self._rng = np.random.default_rng(seed)
        self._nodes, self._inputs, self._constants = [], [], []

    def __call__(self, op, *inputs, outputs=1, **attributes):
        names = [f"v{len(self._nodes)}_{k}" for k in range(outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def input(self, name, shape, dtype=TensorProto.FLOAT):
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def constant(self, array):
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def number(self, value):
        return self.constant(np.float32(value))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def normal(self, *shape, scale):
        return self.constant((self._rng.standard_normal(shape) * scale).astype(np.float32))

    def uniform(self, low, high, *shape):
        return self.constant(self._rng.uniform(low, high, shape).astype(np.float32))

    def random_integers(self, low, high, shape):
        return self.constant(self._rng.integers(low, high + 1, shape).astype(np.int8))

    def model(self, name, *outputs):
        infos = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
        graph = helper.make_graph(self._nodes, name, self._inputs, infos, self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)],
                                  ir_version=8)
        return onnx.shape_inference.infer_shapes(model)

    # Layers.

    def conv(self, x, channels, kernel, stride=1, group=1, dilation=1):
        """`channels`: (in, out). Padding keeps the size, `kernel` is square or given per axis."""
        kernel = list(kernel) if isinstance(kernel, tuple) else [kernel, kernel]
        size = (channels[1], channels[0] // group, *kernel)
        pads = [(k - 1) // 2 * dilation for k in kernel] * 2
        weights = self.normal(*size, scale=(2 / np.prod(size[1:])) ** 0.5)
        return self("Conv", x, weights, self.normal(channels[1], scale=0.1), kernel_shape=kernel,
                    strides=[stride] * len(kernel), pads=pads, group=group,
                    dilations=[dilation] * len(kernel))

    def batch_norm(self, x, channels):
        scale, variance = (self.uniform(0.8, 1.2, channels) for _ in range(2))
        shift, mean = (self.uniform(-0.2, 0.2, channels) for _ in range(2))
        return self("BatchNormalization", x, scale, shift, mean, variance)

    def linear(self, x, width, to, bias=True):
        y = self("MatMul", x, self.normal(width, to, scale=width ** -0.5))
        return self("Add", y, self.normal(to, scale=0.1)) if bias else y

    def layer_norm(self, x, width):
        return self("LayerNormalization", x, self.uniform(0.8, 1.2, width),
                    self.normal(width, scale=0.1), axis=-1, epsilon=1e-5)

    def rms_norm(self, x, width):
        mean = self("ReduceMean", self("Pow", x, self.number(2)), axes=[-1], keepdims=1)
        root = self("Sqrt", self("Add", mean, self.number(1e-6)))
        return self("Mul", self.uniform(0.8, 1.2, width), self("Div", x, root))

    def swish(self, x):
        return self("Mul", x, self("Sigmoid", x))

    def gelu(self, x):
        erf = self("Erf", self("Div", x, self.number(2 ** 0.5)))
        return self("Mul", self("Mul", x, self("Add", erf, self.number(1))), self.number(0.5))

    def tanh_gelu(self, x):
        cubic = self("Mul", self.number(0.044715), self("Pow", x, self.number(3)))
        tanh = self("Tanh", self("Mul", self.number((2 / np.pi) ** 0.5), self("Add", x, cubic)))
        return self("Mul", self("Mul", self.number(0.5), x), self("Add", self.number(1), tanh))

    def scores_to_values(self, query, key, value, scale, bias=None, mask=None):
        """softmax(q·k·scale + bias, masked)·v of [batch, heads, tokens, width]."""
        last_two = [0, 1, 3, 2]
        scores = self("MatMul", self("Mul", query, self.number(scale)),
                      self("Transpose", key, perm=last_two))
        if bias:
            scores = self("Add", scores, bias)
        if mask:
            scores = self("Where", mask, scores, self.number(-1e9))
        return self("MatMul", self("Softmax", scores, axis=-1), value)

    def attention(self, x, memory, tokens, heads, width, **options):
        """`tokens`: (of x, of memory). Projections from and to heads·width."""
        whole = heads * width
        split = []
        for source, count in ((x, tokens[0]), (memory, tokens[1]), (memory, tokens[1])):
            y = self("Reshape", self.linear(source, whole, whole),
                     self.integers(1, count, heads, width))
            split.append(self("Transpose", y, perm=[0, 2, 1, 3]))
        y = self.scores_to_values(*split, width ** -0.5, **options)
        y = self("Reshape", self("Transpose", y, perm=[0, 2, 1, 3]),
                 self.integers(1, tokens[0], whole))
        return self.linear(y, whole, whole)

    def add_feed_forward(self, x, width, activation, norm):
        y = self.linear(activation(self.linear(norm(x, width), width, 4 * width)), 4 * width, width)
        return self("Add", x, y)
