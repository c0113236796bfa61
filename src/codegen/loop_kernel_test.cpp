// SPDX-License-Identifier: Apache-2.0
// Compiled kernels against the tree walker.
#include "codegen/loop_kernel.h"

#include <gtest/gtest.h>

#include "codegen/kernel_check.h"
#include "ops/registry.h"

namespace tessera::codegen {
namespace {

using ops::OpDef;

bool one_shape(const ir::Meaning& meaning) {
  for (const ir::MeaningOutput& o : meaning.outputs)
    if (o.shape != meaning.outputs[0].shape) return false;
  return true;
}

TEST(LoopKernel, computes_every_sample_like_the_tree_walker) {
  for (const OpDef& def : ops::registry().all()) {
    if (!def.meaning) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      ops::InputTypes types;
      for (const ir::ValueType& type : def.samples[s].inputs) types.push_back(&type);
      const ir::Meaning meaning = ops::instantiate(def, types, def.samples[s].attrs);
      if (!one_shape(meaning)) continue;
      for (Numbers numbers : {Numbers::usual, Numbers::unusual}) {
        const int parts = numbers == Numbers::usual ? 1 : 3;
        EXPECT_EQ(check_meaning(meaning, numbers, s + 1, 64, parts), "");
      }
    }
  }
}

// The samples of elementwise records and reductions in other float types.
TEST(LoopKernel, computes_in_every_float_type) {
  for (const OpDef& def : ops::registry().all()) {
    if (!def.meaning || def.samples.empty()) continue;
    for (DType type : {DType::f64, DType::f16, DType::bf16}) {
      SCOPED_TRACE(fmt::format("{} of {}", def.name, to_string(type)));
      std::vector<ir::ValueType> retyped = def.samples[0].inputs;
      bool changed = false;
      for (ir::ValueType& t : retyped)
        if (t.dtype == DType::f32) t.dtype = type, changed = true;
      ops::InputTypes types;
      for (const ir::ValueType& t : retyped) types.push_back(&t);
      ir::Meaning meaning;
      try {
        meaning = ops::instantiate(def, types, def.samples[0].attrs);
      } catch (const UserError&) {
        continue;  // the record wants f32
      }
      if (!changed || !one_shape(meaning)) continue;
      EXPECT_EQ(check_meaning(meaning, Numbers::usual, 7, 64), "");
    }
  }
}

// Heads merged by a transposition and a reshape: the axis is walked as the two that it is made of.
TEST(LoopKernel, splits_axes_that_are_divided) {
  ir::Meaning meaning;
  meaning.pool = std::make_unique<ir::ExprPool>();
  ir::ExprPool& pool = *meaning.pool;
  meaning.inputs = {{DType::f32, {3, 5, 32}}, {DType::f32, {32}}};
  const ir::Expr t = pool.variable({ir::Var::Kind::output, 0});
  const ir::Expr i = pool.variable({ir::Var::Kind::output, 1});
  const ir::Expr width = pool.integer(32);
  const std::vector<ir::Expr> element{floor_div(i, width), t, mod(i, width)};
  const std::vector<ir::Expr> quarter{floor_div(i, pool.integer(3))};
  meaning.outputs.push_back(
      {{5, 96}, pool.read(0, DType::f32, element) * pool.read(1, DType::f32, quarter)});
  EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "");
}

// A group's statistics, read through the reshapes of a group normalization.
TEST(LoopKernel, takes_what_varies_fast_out_of_divisions) {
  ir::Meaning meaning;
  meaning.pool = std::make_unique<ir::ExprPool>();
  ir::ExprPool& pool = *meaning.pool;
  meaning.inputs = {{DType::f32, {8, 5, 7}}, {DType::f32, {4}}};
  std::vector<ir::Expr> i;
  for (uint32_t k = 0; k < 3; ++k) i.push_back(pool.variable({ir::Var::Kind::output, k}));
  const ir::Expr flat = (i[0] * 5 + i[1]) * 7 + i[2];
  const std::vector<ir::Expr> group{floor_div(flat, pool.integer(70))};
  const ir::Expr rest = cast(mod(flat, pool.integer(70)), DType::f32);
  meaning.outputs.push_back(
      {{8, 5, 7}, pool.read(0, DType::f32, i) - pool.read(1, DType::f32, group) + rest});
  EXPECT_EQ(check_meaning(meaning, Numbers::usual, 1, 4, 3), "");
}

}  // namespace
}  // namespace tessera::codegen
