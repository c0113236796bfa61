// SPDX-License-Identifier: Apache-2.0
// Operators on inputs 1, 2, 3, … against values worked out by hand or with NumPy.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/check.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

using Numbers = std::vector<double>;
using Ints = std::vector<int64_t>;

Tensor counted(Shape shape, DType type = DType::f32) {
  Tensor tensor(type, std::move(shape));
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (is_float(type)) tensor.set_float(i, static_cast<double>(i + 1));
    else tensor.set_integer(i, i + 1);
  }
  return tensor;
}

std::vector<Tensor> apply(std::string_view op, std::vector<Tensor> inputs, ir::AttrMap attrs = {}) {
  const OpDef& def = registry().get(op);
  std::vector<ir::ValueType> types;
  for (const Tensor& t : inputs) types.push_back({t.type(), {t.shape().begin(), t.shape().end()}});
  InputTypes pointers;
  for (const ir::ValueType& t : types) pointers.push_back(&t);
  check_signature(def, inputs.size(), attrs);
  return evaluate_node(def, attrs, pointers, inputs, {}, {.wide = false});
}

Numbers numbers(const Tensor& t) {
  Numbers result;
  for (int64_t i = 0; i < t.size(); ++i)
    result.push_back(is_float(t.type()) ? t.float_at(i) : static_cast<double>(t.integer_at(i)));
  return result;
}

Numbers first(std::string_view op, std::vector<Tensor> inputs, ir::AttrMap attrs = {}) {
  return numbers(apply(op, std::move(inputs), std::move(attrs))[0]);
}

Numbers sliced(int64_t start, int64_t end, int64_t step) {
  return first("slice", {counted({5})},
               {{"starts", Ints{start}}, {"ends", Ints{end}}, {"steps", Ints{step}}});
}

TEST(Values, slice_clamps_and_steps_like_onnx) {
  EXPECT_EQ(sliced(1, 3, 1), (Numbers{2, 3}));
  EXPECT_EQ(sliced(-2, 100, 1), (Numbers{4, 5}));
  EXPECT_EQ(sliced(-100, INT64_MAX, 2), (Numbers{1, 3, 5}));
  EXPECT_EQ(sliced(-1, INT64_MIN, -2), (Numbers{5, 3, 1}));
  EXPECT_EQ(sliced(100, 0, -1), (Numbers{5, 4, 3, 2}));
  EXPECT_EQ(sliced(-100, INT64_MIN, -1), (Numbers{1}));
  EXPECT_EQ(sliced(3, 1, 1), Numbers{});
  EXPECT_EQ(sliced(0, 5, INT32_MAX), (Numbers{1}));
  EXPECT_EQ(sliced(-1, INT64_MAX, -1), Numbers{});
  EXPECT_THROW(sliced(0, 5, 0), UserError);
}

TEST(Values, slice_keeps_symbolic_bounds_simple) {
  Builder b;
  const sym::Expr n = sym::Expr::symbol("N");
  const Val x = b.input("x", {DType::f32, {n, 8}});
  EXPECT_EQ(slice(x, {0}, {1}, {INT64_MAX}).type().to_string(), "f32[N - 1,8]");
  EXPECT_EQ(slice(x, {0}, {0}, {1}).type().to_string(), "f32[1,8]");
  EXPECT_EQ(slice(x, {0}, {-2}, {INT64_MAX}).type().to_string(), "f32[2,8]");
  EXPECT_EQ(slice(x, {1}, {0}, {n}).type().to_string(), "f32[N,N]");
}

Numbers padded(const char* mode, Ints pads) {
  return first("pad", {counted({3})}, {{"mode", std::string(mode)}, {"pads", std::move(pads)}});
}

TEST(Values, pad_repeats_its_pattern_beyond_one_period) {
  EXPECT_EQ(padded("constant", {2, -1}), (Numbers{0, 0, 1, 2}));
  EXPECT_EQ(padded("edge", {2, 1}), (Numbers{1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(padded("reflect", {5, 2}), (Numbers{2, 1, 2, 3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(padded("reflect", {2, 1}), (Numbers{3, 2, 1, 2, 3, 2}));
  EXPECT_EQ(padded("wrap", {2, 1}), (Numbers{2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(padded("wrap", {4, 2}), (Numbers{3, 1, 2, 3, 1, 2, 3, 1, 2}));
  EXPECT_EQ(padded("reflect", {-1, 1}), (Numbers{2, 3, 2}));
  EXPECT_THROW(padded("edge", {-3, 1}), UserError);
}

TEST(Values, einsum_sums_labels_that_the_output_lacks) {
  const auto equation = [](const char* text) {
    return ir::AttrMap{{"equation", std::string(text)}};
  };
  EXPECT_EQ(first("einsum", {counted({2, 2}), counted({2, 2})}, equation("ij,jk->ik")),
            (Numbers{7, 10, 15, 22}));
  EXPECT_EQ(first("einsum", {counted({2, 2})}, equation("ii")), (Numbers{5}));
  EXPECT_EQ(first("einsum", {counted({2, 3})}, equation("ba")), (Numbers{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(first("einsum", {counted({2, 3})}, equation("...j->...")), (Numbers{6, 15}));
  for (const char* malformed : {"ij->ik", "i", "ij,jk->ik", "ij->ii", "i.j->i", "ijk->"})
    EXPECT_THROW(first("einsum", {counted({2, 3})}, equation(malformed)), UserError) << malformed;
}

TEST(Values, gather_counts_negative_indices_from_the_end_and_refuses_others) {
  const auto at = [](int64_t i) { return Tensor::from_integers(Ints{i}, {1}); };
  EXPECT_EQ(first("gather", {counted({4}), at(-1)}), (Numbers{4}));
  EXPECT_THROW(first("gather", {counted({4}), at(4)}), UserError);
  EXPECT_THROW(first("gather", {counted({4}), at(-5)}), UserError);
}

TEST(Values, cumulative_sums_run_both_ways) {
  const auto run = [](int64_t exclusive, int64_t reverse) {
    return first("cum_sum", {counted({4})},
                 {{"axis", int64_t{0}}, {"exclusive", exclusive}, {"reverse", reverse}});
  };
  EXPECT_EQ(run(0, 0), (Numbers{1, 3, 6, 10}));
  EXPECT_EQ(run(1, 0), (Numbers{0, 1, 3, 6}));
  EXPECT_EQ(run(0, 1), (Numbers{10, 9, 7, 4}));
  EXPECT_EQ(run(1, 1), (Numbers{9, 7, 4, 0}));
}

TEST(Values, extreme_arguments_neither_overflow_nor_lose_digits) {
  const auto f = [](std::string_view op, double x) {
    return first(op, {Tensor::from_floats(Numbers{x}, {})})[0];
  };
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_FLOAT_EQ(f("softplus", 200), 200);
  EXPECT_FLOAT_EQ(f("softplus", -50), std::exp(-50.0));
  EXPECT_EQ(f("sigmoid", -200), 0);
  EXPECT_FLOAT_EQ(f("mish", -40), -40 * std::exp(-40.0));
  EXPECT_FLOAT_EQ(f("sinh", 1e-4), std::sinh(1e-4));
  EXPECT_FLOAT_EQ(f("sinh", -89), std::sinh(-89.0));
  EXPECT_FLOAT_EQ(f("cosh", 89), std::cosh(89.0));
  EXPECT_EQ(f("sinh", -infinity), -infinity);
  EXPECT_FLOAT_EQ(f("asinh", -1e-5), std::asinh(-1e-5));
  EXPECT_FLOAT_EQ(f("asinh", 1e30), std::asinh(1e30));
  EXPECT_FLOAT_EQ(f("acosh", 1.0001f), std::acosh(static_cast<double>(1.0001f)));
  EXPECT_TRUE(std::isnan(f("acosh", -2)));
  EXPECT_EQ(f("atanh", -1), -infinity);
  EXPECT_TRUE(std::isnan(f("relu", std::nan(""))));
}

TEST(Values, integers_wrap_and_divide_by_zero_to_zero) {
  const auto f = [](std::string_view op, int64_t x, int64_t y, DType type, ir::AttrMap attrs = {}) {
    return first(
        op, {Tensor::from_integers(Ints{x}, {}, type), Tensor::from_integers(Ints{y}, {}, type)},
        std::move(attrs))[0];
  };
  EXPECT_EQ(f("add", 127, 1, DType::i8), -128);
  EXPECT_EQ(f("div", -7, 2, DType::i32), -3);
  EXPECT_EQ(f("div", 7, 0, DType::i64), 0);
  EXPECT_EQ(f("mod", -7, 3, DType::i32), 2);
  EXPECT_EQ(f("mod", -7, 3, DType::i32, {{"fmod", int64_t{1}}}), -1);
  EXPECT_EQ(f("bit_shift", 1, 9, DType::u8, {{"direction", std::string("LEFT")}}), 0);
  EXPECT_EQ(f("pow", 2, 10, DType::i32), 1024);
  EXPECT_THROW(first("sin", {counted({2}, DType::i32)}), UserError);
}

TEST(Values, counted_operators_refuse_other_counts) {
  const Tensor x = Tensor::from_floats(Numbers{3, 0, 1, 3}, {4});
  EXPECT_EQ(first("nonzero", {x}, {{"count", int64_t{3}}}), (Numbers{0, 2, 3}));
  EXPECT_THROW(first("nonzero", {x}, {{"count", int64_t{2}}}), UserError);
  const auto found = apply("unique", {x}, {{"count", int64_t{3}}});
  EXPECT_EQ(numbers(found[0]), (Numbers{0, 1, 3}));
  EXPECT_EQ(numbers(found[1]), (Numbers{1, 2, 0}));
  EXPECT_EQ(numbers(found[2]), (Numbers{2, 0, 1, 2}));
  EXPECT_EQ(numbers(found[3]), (Numbers{1, 1, 2}));
  EXPECT_THROW(apply("unique", {x}, {{"count", int64_t{4}}}), UserError);
}

TEST(Values, transforms_invert_each_other) {
  const auto dft = [](const Tensor& x, int64_t inverse, int64_t onesided) {
    return apply("dft", {x},
                 {{"axis", int64_t{0}},
                  {"length", ir::Dims{6}},
                  {"inverse", inverse},
                  {"onesided", onesided}})[0];
  };
  const Tensor x = counted({6, 1}, DType::f64);
  const Numbers real = numbers(dft(dft(x, 0, 1), 1, 1)), full = numbers(dft(dft(x, 0, 0), 1, 0));
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_NEAR(real[i], static_cast<double>(i + 1), 1e-12);
    EXPECT_NEAR(full[2 * i], static_cast<double>(i + 1), 1e-12);
    EXPECT_NEAR(full[2 * i + 1], 0, 1e-12);
  }
}

}  // namespace
}  // namespace tessera::ops
