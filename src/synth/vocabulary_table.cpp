// SPDX-License-Identifier: Apache-2.0
// The vocabularies, one function each.
#include "synth/vocabulary.h"

#include "ops/registry.h"

namespace tessera::synth {
namespace {

using Fit = Template::Fit;
using Ints = std::vector<int64_t>;

Template op(std::string_view name, int arity = 1, ir::AttrMap attrs = {}, Fit fit = Fit::any) {
  return {.def = &ops::registry().get(name), .arity = arity, .attrs = std::move(attrs), .fit = fit};
}
Template elementwise(std::string_view name) { return op(name, 2, {}, Fit::equal_shapes); }
Template by_scalar(std::string_view name) { return op(name, 2, {}, Fit::second_scalar); }
Template concat(int axis) { return op("concat", 2, {{"axis", int64_t{axis}}}); }
Template transpose(Ints perm) { return op("transpose", 1, {{"perm", std::move(perm)}}); }
Template split(int axis, int64_t first = 0) {
  Template t = op("split");
  t.split_axis = axis;
  t.first = first;
  return t;
}
Template windowed(Template t) {
  t.same_pads = true;
  return t;
}
// The number of groups is always written, so that all convolutions have it.
Template conv(ir::AttrMap attrs = {}) {
  attrs.try_emplace("group", int64_t{1});
  return op("conv", 2, std::move(attrs));
}
ir::AttrMap kernel3() { return {{"kernel_shape", Ints{3, 3}}}; }
Template border(Ints pads) { return op("pad", 1, {{"pads", ir::Dims(pads.begin(), pads.end())}}); }

// TASO's operators and tensors (docs/design/synth.md compares them one by one).
Vocabulary taso() {
  Vocabulary v{.name = "taso", .doc = "the operators of TASO's generator"};
  v.inputs = {{"x", {2, 4}, 3},
              {"w", {4, 4}, 3},
              {"i", {1, 2, 3, 3}, 3},
              {"k", {2, 2, 3, 3}, 3},
              {"r", {2, 2, 1, 3}, 3},
              {"c", {2, 2, 1, 1}, 1},
              {"s", {}, 1},
              {"one", {1, 2, 3, 3}, 1, 1.0},
              {"eye", {4, 4}, 1, {}, true},
              {"delta", {2, 2, 3, 3}, 1, {}, true}};
  v.max_elements = 72;
  v.templates = {op("matmul", 2),
                 windowed(conv()),
                 windowed(conv({{"strides", Ints{2, 2}}})),
                 elementwise("add"),
                 elementwise("mul"),
                 by_scalar("mul"),
                 op("relu"),
                 concat(0),
                 concat(1),
                 split(0),
                 split(1),
                 transpose({1, 0}),
                 windowed(op("average_pool", 1, kernel3())),
                 windowed(op("max_pool", 1, kernel3())),
                 border({0, 0, 1, 0, 0, 0, 1, 0}),
                 border({0, 0, 0, 1, 0, 0, 0, 1})};
  return v;
}

// Products of matrices and what moves through them.
Vocabulary matrix() {
  Vocabulary v{.name = "matrix", .doc = "matrix products, transposes, reductions, parts"};
  v.corpus = true;
  v.inputs = {{"x", {2, 3}, 3}, {"w", {3, 3}, 3}, {"b", {3}, 1}, {"s", {}, 2}};
  v.templates = {op("matmul", 2),
                 elementwise("add"),
                 elementwise("mul"),
                 elementwise("sub"),
                 by_scalar("mul"),
                 by_scalar("add"),
                 op("relu"),
                 op("neg"),
                 concat(0),
                 concat(1),
                 split(0, 2),
                 split(1, 3),
                 transpose({1, 0}),
                 op("reduce_sum", 1, {{"axes", Ints{0}}}),
                 op("reduce_sum", 1, {{"axes", Ints{1}}})};
  return v;
}

// Functions of elements, and numbers.
Vocabulary pointwise() {
  Vocabulary v{.name = "pointwise", .doc = "functions of elements"};
  v.inputs = {{"x", {2, 3}, 3}, {"zero", {}, 1, 0.0}, {"one", {}, 1, 1.0}};
  for (const char* name : {"add", "sub", "mul", "div", "max", "min"}) {
    v.templates.push_back(elementwise(name));
    v.templates.push_back(by_scalar(name));
  }
  for (const char* name : {"neg", "abs", "relu", "exp", "log", "sqrt", "square", "reciprocal",
                           "tanh", "sigmoid", "erf", "softplus"})
    v.templates.push_back(op(name));
  return v;
}

// Reductions, the softmax and what norms are made of, under broadcasting.
Vocabulary reductions() {
  Vocabulary v{.name = "reductions", .doc = "reductions, softmax and pieces of norms"};
  v.corpus = true;
  v.inputs = {{"x", {2, 3}, 2}, {"c", {2, 1}, 1}, {"s", {}, 1}};
  v.operators = 2;
  for (const char* name : {"add", "sub", "mul", "div"}) v.templates.push_back(op(name, 2));
  v.templates.push_back(op("max", 2));
  for (const char* name : {"reduce_sum", "reduce_mean", "reduce_max", "reduce_min"})
    for (int64_t axis : {0, 1}) {
      v.templates.push_back(op(name, 1, {{"axes", Ints{axis}}}));
      v.templates.push_back(op(name, 1, {{"axes", Ints{axis}}, {"keepdims", int64_t{0}}}));
    }
  for (const char* name : {"neg", "exp", "log", "sqrt", "square", "relu", "reciprocal"})
    v.templates.push_back(op(name));
  v.templates.push_back(op("softmax", 1, {{"axis", int64_t{1}}}));
  v.templates.push_back(op("softmax", 1, {{"axis", int64_t{0}}}));
  v.templates.push_back(concat(0));
  v.templates.push_back(concat(1));
  v.templates.push_back(transpose({1, 0}));
  return v;
}

// Convolutions with stride, padding, dilation and groups, pooling, borders.
Vocabulary convolution() {
  Vocabulary v{.name = "convolution", .doc = "convolutions, pooling, borders, parts"};
  v.corpus = true;
  v.inputs = {{"x", {1, 2, 4, 3}, 2},
              {"k", {2, 2, 2, 3}, 2},
              {"r", {2, 2, 1, 1}, 1},
              {"d", {2, 1, 2, 3}, 1},
              {"s", {}, 1}};
  v.operators = 2;
  v.max_elements = 96;
  v.templates = {conv(),
                 windowed(conv()),
                 conv({{"strides", Ints{2, 1}}}),
                 conv({{"dilations", Ints{2, 1}}}),
                 conv({{"group", int64_t{2}}}),
                 elementwise("add"),
                 elementwise("sub"),
                 elementwise("mul"),
                 by_scalar("mul"),
                 op("relu"),
                 op("neg"),
                 concat(0),
                 concat(1),
                 concat(3),
                 split(0),
                 split(1),
                 windowed(op("average_pool", 1, kernel3())),
                 windowed(op("max_pool", 1, kernel3())),
                 op("max_pool", 1, {{"kernel_shape", Ints{2, 1}}, {"strides", Ints{2, 1}}}),
                 border({0, 0, 1, 0, 0, 0, 1, 0}),
                 border({0, 0, 0, 1, 0, 0, 0, 1}),
                 border({0, 0, 0, 0, 0, 0, 1, 0})};
  return v;
}

// Convolutions that share an image or weights, and what becomes one of two.
Vocabulary merges() {
  Vocabulary v{.name = "merges", .doc = "convolutions and pooling over concat and split"};
  v.inputs = {{"x", {1, 2, 3, 3}, 2}, {"k", {2, 2, 3, 3}, 2}};
  v.max_elements = 72;
  v.templates = {windowed(conv()),
                 conv({{"strides", Ints{2, 1}}}),
                 elementwise("add"),
                 op("relu"),
                 concat(0),
                 concat(1),
                 split(0),
                 split(1),
                 windowed(op("average_pool", 1, kernel3())),
                 windowed(op("max_pool", 1, kernel3()))};
  return v;
}

// Moves of elements: permutations, shapes, parts, borders.
Vocabulary moves() {
  Vocabulary v{.name = "moves", .doc = "permutations, shapes, parts and borders"};
  v.inputs = {{"x", {2, 1, 3}, 2}, {"y", {2, 3}, 1}, {"s", {}, 1}};
  v.templates = {elementwise("add"), elementwise("mul"), by_scalar("mul"), op("relu"),
                 op("neg"),          concat(0),          concat(1),        concat(2),
                 split(0, 1),        split(1, 2),        split(2, 1)};
  for (const Ints& perm :
       {Ints{0, 2, 1}, Ints{1, 0, 2}, Ints{2, 1, 0}, Ints{1, 2, 0}, Ints{2, 0, 1}, Ints{1, 0}})
    v.templates.push_back(transpose(perm));
  const auto slice = [](int64_t axis, int64_t begin, int64_t end) {
    return op("slice", 1,
              {{"axes", Ints{axis}}, {"starts", ir::Dims{begin}}, {"ends", ir::Dims{end}}});
  };
  v.templates.push_back(slice(0, 0, 1));
  v.templates.push_back(slice(0, 1, 2));
  v.templates.push_back(slice(2, 1, 3));
  v.templates.push_back(border({0, 0, 1, 0, 0, 1}));
  v.templates.push_back(border({1, 0, 0, 0}));
  v.templates.push_back(op("reshape", 1, {{"shape", ir::Dims{2, 3}}}));
  v.templates.push_back(op("reshape", 1, {{"shape", ir::Dims{6}}}));
  v.templates.push_back(op("reshape", 1, {{"shape", ir::Dims{2, 1, 3}}}));
  v.templates.push_back(op("unsqueeze", 1, {{"axes", Ints{1}}}));
  v.templates.push_back(op("squeeze", 1, {{"axes", Ints{1}}}));
  return v;
}

// Batched products with what attention is made of.
Vocabulary attention() {
  Vocabulary v{.name = "attention", .doc = "batched products, softmax, scalings"};
  v.operators = 2;
  v.corpus = true;
  v.inputs = {{"q", {2, 2, 3}, 2}, {"k", {2, 3, 2}, 2}, {"s", {}, 1}};
  v.templates = {op("matmul", 2),
                 elementwise("add"),
                 elementwise("mul"),
                 by_scalar("mul"),
                 by_scalar("add"),
                 by_scalar("div"),
                 op("exp"),
                 op("relu"),
                 op("softmax", 1, {{"axis", int64_t{-1}}}),
                 transpose({0, 2, 1}),
                 concat(0),
                 concat(1),
                 concat(2),
                 op("reduce_sum", 1, {{"axes", Ints{2}}}),
                 op("reduce_max", 1, {{"axes", Ints{2}}}),
                 elementwise("sub"),
                 elementwise("div")};
  return v;
}

}  // namespace

std::vector<Vocabulary> vocabulary_table() {
  return {taso(),       matrix(),      attention(), pointwise(),
          reductions(), convolution(), merges(),    moves()};
}

}  // namespace tessera::synth
