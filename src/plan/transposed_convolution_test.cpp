// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions against their meaning, on random windows.
#include <gtest/gtest.h>

#include "base/rng.h"
#include "ops/builder.h"
#include "ops/evaluate.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

using Ints = std::vector<int64_t>;

struct Case {
  Shape x, w;
  ir::AttrMap attrs;
  std::string text;
};

Case random_case(Rng& rng) {
  const int64_t rank = rng.integer(1, 3), groups = rng.integer(1, 2);
  Case c{{rng.integer(1, 2), groups * rng.integer(1, 2)}, {}, {{"group", groups}}, ""};
  c.w = {c.x[1], rng.integer(1, 3)};
  Ints strides, first, last, extra;
  for (int64_t a = 0; a < rank; ++a) {
    strides.push_back(rng.integer(1, 3));
    c.w.push_back(rng.integer(1, 5));
    c.x.push_back(rng.integer(1, 4));
    const int64_t full = (c.x.back() - 1) * strides.back() + c.w.back();
    first.push_back(rng.integer(0, std::min<int64_t>(2, full - 1)));
    last.push_back(rng.integer(0, std::min<int64_t>(2, full - 1 - first.back())));
    extra.push_back(rng.integer(0, strides.back() - 1));
  }
  first.insert(first.end(), last.begin(), last.end());
  c.attrs.insert({{"strides", strides}, {"pads", first}, {"output_padding", extra}});
  c.text = fmt::format("x {} w {} strides {} pads {} extra {}", shape_to_string(c.x),
                       shape_to_string(c.w), shape_to_string(strides), shape_to_string(first),
                       shape_to_string(extra));
  return c;
}

Tensor random_tensor(const Shape& shape, Rng& rng) {
  Tensor t(DType::f64, shape);
  for (int64_t i = 0; i < t.size(); ++i) t.set_float(i, rng.normal());
  return t;
}

TEST(TransposedConvolution, equals_its_phases_interleaved) {
  constexpr uint64_t seed = 20'261'121;
  Rng rng(seed);
  int split = 0;
  for (int round = 0; round < 200; ++round) {
    const Case c = random_case(rng);
    SCOPED_TRACE(fmt::format("seed {}, round {}: {}", seed, round, c.text));
    std::vector<Tensor> inputs{random_tensor(c.x, rng), random_tensor(c.w, rng)};
    const int64_t channels = c.w[1] * std::get<int64_t>(c.attrs.at("group"));
    inputs.push_back(random_tensor({channels}, rng));
    if (round % 3 == 0) inputs[0].set_float(0, std::numeric_limits<double>::infinity());
    ops::Builder b("whole");
    std::vector<ops::Val> values;
    std::vector<ir::ValueType> types;
    for (const Tensor& t : inputs)
      types.push_back({t.type(), {t.shape().begin(), t.shape().end()}});
    for (const ir::ValueType& type : types)
      values.push_back(b.input(fmt::format("in{}", values.size()), type));
    const ops::Val y = b.op("conv_transpose", values, c.attrs);
    const Shape shape = y.type().concrete_shape();
    b.output("y", y);
    const auto phases = convolution_of_phases({&types[0], &types[1], &types[2]}, c.attrs, shape);
    if (!phases) continue;
    ++split;
    const Tensor expected = ops::evaluate(std::move(b).finish(), inputs)[0];
    const Tensor found = ops::evaluate(*phases, inputs)[0];
    ASSERT_EQ(found.shape(), expected.shape());
    for (int64_t i = 0; i < expected.size(); ++i) {
      const double want = expected.float_at(i), have = found.float_at(i);
      if (!std::isfinite(want)) ASSERT_TRUE(have == want || (have != have && want != want));
      else ASSERT_NEAR(have, want, 1e-12 * (1 + std::abs(want)));
    }
  }
  EXPECT_GT(split, 80);
}

}  // namespace
}  // namespace tessera::plan
