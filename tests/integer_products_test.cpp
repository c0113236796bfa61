// SPDX-License-Identifier: Apache-2.0
// Quantized convolutions and products on their integers, against the reference. Scales are powers
// of two, so every sum is exact and halves occur: results must be equal, not near.
#include <gtest/gtest.h>

#include "backend/cpu/target.h"
#include "base/rng.h"
#include "codegen/loop_kernel.h"
#include "ops/evaluate.h"
#include "plan/compile.h"

namespace tessera {
namespace {

using ops::Builder;
using ops::Val;
using Ints = std::vector<int64_t>;

Tensor random_integers(DType type, const Shape& shape, Rng& rng, int64_t low, int64_t high) {
  Tensor t(type, shape);
  for (int64_t i = 0; i < t.size(); ++i) t.set_integer(i, rng.integer(low, high));
  return t;
}

Val integer(Builder& b, DType type, int64_t value) {
  return b.constant(Tensor::from_integers(Ints{value}, {}, type));
}

// 2^−k for each of `count` channels, or one for all.
Val scales(Builder& b, int64_t count, Rng& rng) {
  Tensor t(DType::f32, count == 1 ? Shape{} : Shape{count});
  for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, std::ldexp(1, -rng.integer(3, 6)));
  return b.constant(std::move(t));
}

struct Quantized {
  DType type;
  int64_t zero_point;
};

// What the plan's launches compute, after all outputs were compared.
std::vector<std::string> expect_equal(const ir::Graph& graph, Rng& rng) {
  std::vector<Tensor> inputs;
  for (ir::NodeId id : graph.inputs()) {
    const ir::ValueType& type = graph.node(id).outputs[0];
    inputs.push_back(random_integers(type.dtype, type.concrete_shape(), rng,
                                     is_float(type.dtype) ? -40 : min_integer(type.dtype),
                                     is_float(type.dtype) ? 40 : max_integer(type.dtype)));
    if (is_float(type.dtype))
      for (int64_t i = 0; i < inputs.back().size(); ++i)
        inputs.back().set_float(i, static_cast<double>(rng.integer(-80, 80)) / 16);
  }
  const auto target = backend::cpu::make_target();
  const auto plan = plan::compile(graph, *target, {.threads = 2});
  const std::vector<Tensor> expected = ops::evaluate(graph, inputs), found = plan->run(inputs);
  for (size_t k = 0; k < found.size(); ++k)
    for (int64_t i = 0; i < found[k].size(); ++i) {
      const bool real = is_float(found[k].type());
      const double a = real ? found[k].float_at(i) : static_cast<double>(found[k].integer_at(i));
      const double b =
          real ? expected[k].float_at(i) : static_cast<double>(expected[k].integer_at(i));
      if (a == b) continue;
      ADD_FAILURE() << "output " << k << ", element " << i << ": " << a << " for " << b;
      return {};
    }
  std::vector<std::string> names;
  for (const runtime::Launch& l : plan->launches()) names.push_back(l.name);
  return names;
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return !codegen::host_vector_unit().has_i16 ||  // floats then
         std::find(names.begin(), names.end(), name) != names.end();
}

// x quantized, a convolution with ReLU, quantized again.
ir::Graph convolution(Rng& rng, Quantized in, Quantized out, bool per_channel) {
  const int64_t groups = rng.integer(0, 2) == 0 ? 2 : 1, channels = 8 * groups, to = 16 * groups;
  const int64_t taps = rng.integer(0, 1) == 0 ? 1 : 3;
  Builder b;
  const Val sx = b.scalar(1.0 / 16, DType::f32), zx = integer(b, in.type, in.zero_point);
  const Val q =
      b.op("quantize_linear", {b.input("x", {DType::f32, {2, channels, 9, 7}}), sx, zx}, {});
  const Val w =
      b.constant(random_integers(DType::i8, {to, channels / groups, taps, taps}, rng, -127, 127));
  const Val weights =
      b.op("dequantize_linear", {w, scales(b, per_channel ? to : 1, rng)}, {{"axis", int64_t{0}}});
  Tensor bias(DType::f32, {to});
  for (int64_t i = 0; i < to; ++i) bias.set_float(i, static_cast<double>(rng.integer(-64, 64)) / 8);
  const int64_t stride = rng.integer(1, 2), pad = taps / 2;
  const Val sums = b.op(
      "conv", {b.op("dequantize_linear", {q, sx, zx}, {}), weights, b.constant(std::move(bias))},
      {{"strides", Ints{stride, stride}}, {"pads", Ints{pad, pad, pad, pad}}, {"group", groups}});
  const Val sy = b.scalar(4, DType::f32), zy = integer(b, out.type, out.zero_point);
  b.output("y", b.op("quantize_linear", {b.op("relu", {sums}), sy, zy}, {}));
  return std::move(b).finish();
}

TEST(IntegerProducts, convolve_quantized_images) {
  Rng rng(3);
  int integers = 0;
  const Quantized kinds[] = {{DType::u8, 128}, {DType::i8, 0}, {DType::u8, 0}, {DType::i8, -7}};
  for (const Quantized& in : kinds)
    for (const Quantized& out : kinds)
      for (const bool per_channel : {false, true}) {
        SCOPED_TRACE(fmt::format("{} {} to {} {}", to_string(in.type), in.zero_point,
                                 to_string(out.type), out.zero_point));
        const auto names = expect_equal(convolution(rng, in, out, per_channel), rng);
        integers += has(names, "conv+relu+quantize_linear") ? 1 : 0;
      }
  EXPECT_GE(integers, 28);  // of 32: oneDNN has no kernel for some groups with a zero point of i8
}

// Weights of u8 around their zero point, one scale a column, through the transposition of a linear
// layer; the result stays a float.
TEST(IntegerProducts, multiply_by_dequantized_weights) {
  Rng rng(5);
  for (const bool transposed : {false, true}) {
    Builder b;
    const Val sx = b.scalar(1.0 / 32, DType::f32), zx = integer(b, DType::u8, 9);
    const Val x = b.op("dequantize_linear", {b.input("x", {DType::u8, {3, 5, 24}}), sx, zx}, {});
    const Shape shape = transposed ? Shape{40, 24} : Shape{24, 40};
    const Val zeros = b.constant(random_integers(DType::u8, {40}, rng, 126, 128));
    const Val w = b.op(
        "dequantize_linear",
        {b.constant(random_integers(DType::u8, shape, rng, 0, 254)), scales(b, 40, rng), zeros},
        {{"axis", int64_t{transposed ? 0 : 1}}});
    const Val y = matmul(x, transposed ? ops::transpose(w, {1, 0}) : w);
    Tensor bias(DType::f32, {40});
    for (int64_t i = 0; i < 40; ++i) bias.set_float(i, static_cast<double>(i - 20) / 4);
    b.output("y", y + b.constant(std::move(bias)));
    const ir::Graph graph = std::move(b).finish();
    EXPECT_TRUE(has(expect_equal(graph, rng), "matmul+add"));
  }
}

// Weights that do not fit 8 bits without their zero point stay floats.
TEST(IntegerProducts, leave_wide_weights_alone) {
  Rng rng(6);
  Builder b;
  const Val s = b.scalar(1.0 / 32, DType::f32);
  const Val x = b.op("dequantize_linear", {b.input("x", {DType::i8, {4, 24}}), s}, {});
  const Val w = b.op(
      "dequantize_linear",
      {b.constant(random_integers(DType::u8, {24, 16}, rng, 0, 255)), s, integer(b, DType::u8, 3)},
      {});
  b.output("y", matmul(x, w));
  const auto names = expect_equal(std::move(b).finish(), rng);
  EXPECT_EQ(names, (std::vector<std::string>{"dequantize_linear", "matmul"}));
}

// The integer operators, with zero points that are known and that are not.
TEST(IntegerProducts, are_those_of_the_integer_operators) {
  Rng rng(7);
  Builder b;
  const Val x = b.input("x", {DType::u8, {2, 6, 32}}), zero = b.input("zero", {DType::u8, {}});
  const Val w = b.constant(random_integers(DType::i8, {32, 48}, rng, -128, 127));
  b.output("known", b.op("matmul_integer", {x, w, integer(b, DType::u8, 77)}, {}));
  b.output("given", b.op("matmul_integer", {x, w, zero, integer(b, DType::i8, 0)}, {}));
  const Val image = b.input("image", {DType::u8, {1, 6, 8, 8}});
  const Val taps = b.constant(random_integers(DType::i8, {16, 6, 3, 3}, rng, -128, 127));
  b.output("convolved", b.op("conv_integer", {image, taps, integer(b, DType::u8, 130)},
                             {{"pads", Ints{1, 1, 1, 1}}}));
  const auto names = expect_equal(std::move(b).finish(), rng);
  const auto count = std::count(names.begin(), names.end(), "matmul");
  if (codegen::host_vector_unit().has_i16) {
    EXPECT_EQ(count, 2);
  }
  EXPECT_TRUE(has(names, "conv"));
}

}  // namespace
}  // namespace tessera
