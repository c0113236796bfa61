// SPDX-License-Identifier: Apache-2.0
// The vector forms of transcendental functions against f64, over the whole range of f32.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "codegen/kernel_check.h"
#include "codegen/loop_kernel.h"
#include "ops/registry.h"

namespace tessera::codegen {
namespace {

using Function = double (*)(double);

// Every 997th f32 and the neighbourhoods of some numbers.
Tensor all_magnitudes() {
  std::vector<double> values;
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 997)
    values.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (double centre : {0.0, 0.34, 0.625, 0.95, 1.0, 4.0, 9.0, 88.7, 89.0, 103.0, 104.0, 1e9})
    for (double sign : {1.0, -1.0})
      for (int k = -3; k <= 3; ++k) values.push_back(sign * centre * (1 + k * 0x1p-22));
  for (int k = -4000; k <= 4000; ++k) values.push_back(k / 200.0);
  const double infinity = std::numeric_limits<double>::infinity();
  for (double v : {infinity, -infinity, -0.0, std::nan("")}) values.push_back(v);
  return Tensor::from_floats(values, {static_cast<int64_t>(values.size())});
}

double ulps(double expected, double found) {
  if ((std::isnan(expected) && std::isnan(found)) || expected == found) return 0;
  const double rounded = static_cast<float>(expected);
  if (std::isinf(rounded) || std::isnan(rounded)) return rounded == found ? 0 : 1e9;
  const double unit = std::ldexp(1.0, std::max(std::ilogb(expected) - 23, -149));
  return std::abs(expected - found) / unit;
}

TEST(EmitMath, is_within_a_few_ulp_everywhere) {
  struct Case {
    ir::Prim prim;
    Function reference;
    double most;
  };
  const double by_tables = host_vector_unit().lanes == 16 ? 2 : 4;
  const Case cases[] = {
      {ir::Prim::exp, std::exp, 2},         {ir::Prim::expm1, std::expm1, 4},
      {ir::Prim::log, std::log, 2},         {ir::Prim::log1p, std::log1p, 2},
      {ir::Prim::sin, std::sin, 2},         {ir::Prim::cos, std::cos, 2},
      {ir::Prim::erf, std::erf, by_tables}, {ir::Prim::tanh, std::tanh, by_tables}};
  const Tensor x = all_magnitudes();
  for (const auto& [prim, reference, most] : cases) {
    SCOPED_TRACE(std::string(ir::to_string(prim)));
    ir::Meaning meaning;
    meaning.pool = std::make_unique<ir::ExprPool>();
    meaning.inputs = {{DType::f32, {x.size()}}};
    const std::vector<ir::Expr> index{meaning.pool->variable({ir::Var::Kind::output, 0})};
    meaning.outputs.push_back(
        {{x.size()}, ir::unary(prim, meaning.pool->read(0, DType::f32, index))});
    Jit jit;
    const ir::Meaning* one[] = {&meaning};
    const auto found = run_kernel(jit.compile(one)[0], meaning, std::vector<Tensor>{x}, 3);
    double worst = 0, at = 0;
    for (int64_t i = 0; i < x.size(); ++i) {
      const double error = ulps(reference(x.float_at(i)), found[0].float_at(i));
      if (error > worst) worst = error, at = x.float_at(i);
    }
    EXPECT_LE(worst, most) << "at " << at;
    RecordProperty(std::string(ir::to_string(prim)), fmt::format("{:.2f}", worst));
  }
}

}  // namespace
}  // namespace tessera::codegen
