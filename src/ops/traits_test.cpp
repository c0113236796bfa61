// SPDX-License-Identifier: Apache-2.0
// Derived traits of known operators, and linearity sampled on every record that has it.
#include "ops/traits.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/check.h"
#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

ir::Meaning meaning_of(std::string_view op, std::vector<Shape> shapes, ir::AttrMap attrs = {}) {
  std::vector<ir::ValueType> types;
  for (const Shape& s : shapes) types.push_back({DType::f32, ir::Dims(s.begin(), s.end())});
  InputTypes pointers;
  for (const auto& t : types) pointers.push_back(&t);
  return instantiate(registry().get(op), pointers, attrs);
}

TEST(Traits, linearity_follows_from_the_meaning) {
  EXPECT_TRUE(linear_in(meaning_of("matmul", {{2, 3}, {3, 4}}), 0));
  EXPECT_TRUE(linear_in(meaning_of("matmul", {{2, 3}, {3, 4}}), 1));
  EXPECT_TRUE(linear_in(meaning_of("div", {{2}, {2}}), 0));
  EXPECT_FALSE(linear_in(meaning_of("div", {{2}, {2}}), 1));
  EXPECT_FALSE(linear_in(meaning_of("add", {{2}, {2}}), 0));  // affine
  EXPECT_FALSE(linear_in(meaning_of("exp", {{2}}), 0));
  EXPECT_TRUE(linear_in(meaning_of("reduce_sum", {{2, 3}}), 0));
  EXPECT_FALSE(linear_in(meaning_of("reduce_max", {{2, 3}}), 0));
  EXPECT_TRUE(linear_in(meaning_of("conv", {{1, 2, 5, 5}, {3, 2, 3, 3}},
                                   {{"pads", std::vector<int64_t>{1, 1, 1, 1}}}),
                        1));
}

TEST(Traits, moves) {
  EXPECT_TRUE(moves_only(meaning_of("transpose", {{2, 3}})));
  EXPECT_TRUE(moves_only(meaning_of("concat", {{2}, {3}}, {{"axis", int64_t{0}}})));
  EXPECT_FALSE(moves_only(meaning_of("neg", {{2}})));
  EXPECT_FALSE(moves_only(meaning_of("reduce_sum", {{2, 3}})));
}

/// f(2x + 3y) = 2f(x) + 3f(y) wherever linear_in says so.
TEST(Traits, every_linear_record_is_linear_on_its_samples) {
  int checked = 0;
  for (const OpDef& def : registry().all())
    for (const Sample& sample : def.samples) {
      if (!def.meaning) continue;
      InputTypes types;
      bool floats = true;
      for (const ir::ValueType& t : sample.inputs) {
        types.push_back(t.opaque ? nullptr : &t);
        floats &= t.opaque || is_float(t.dtype);
      }
      if (!floats) continue;
      const ir::Meaning meaning = instantiate(def, types, sample.attrs);
      for (uint32_t k = 0; k < types.size(); ++k) {
        if (!types[k] || !linear_in(meaning, k)) continue;
        SCOPED_TRACE(fmt::format("{} in input {}", def.name, k));
        Rng rng(7);
        std::vector<Tensor> a, b;
        for (const ir::ValueType& t : sample.inputs) {
          a.push_back(t.opaque ? Tensor{} : Tensor(DType::f64, t.concrete_shape()));
          for (int64_t i = 0; !t.opaque && i < a.back().size(); ++i)
            a.back().set_float(i, rng.uniform() + 0.5);
        }
        b = a;
        std::vector<Tensor> c = a;
        b[k] = Tensor(DType::f64, a[k].shape());
        c[k] = Tensor(DType::f64, a[k].shape());
        for (int64_t i = 0; i < a[k].size(); ++i) {
          b[k].set_float(i, rng.uniform());
          c[k].set_float(i, 2 * a[k].float_at(i) + 3 * b[k].float_at(i));
        }
        const auto fa = tree_evaluate(meaning, a, true), fb = tree_evaluate(meaning, b, true);
        const auto fc = tree_evaluate(meaning, c, true);
        for (size_t o = 0; o < fa.size(); ++o)
          for (int64_t i = 0; i < fa[o].size(); ++i) {
            const double expected = 2 * fa[o].float_at(i) + 3 * fb[o].float_at(i);
            ASSERT_NEAR(fc[o].float_at(i), expected, 1e-9 * (1 + std::fabs(expected)));
          }
        ++checked;
      }
    }
  EXPECT_GT(checked, 20);
}

}  // namespace
}  // namespace tessera::ops
