// SPDX-License-Identifier: Apache-2.0
// Every elementwise record unfolds to primitives that compute the same.
#include "ops/primitive_graph.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

TEST(PrimitiveGraph, computes_what_the_record_computes) {
  int unfolded = 0;
  for (const OpDef& def : registry().all()) {
    if (!def.meaning || def.impure) continue;
    for (const Sample& sample : def.samples) {
      InputTypes types;
      std::vector<Tensor> inputs;
      Rng rng(11);
      for (const ir::ValueType& type : sample.inputs) {
        types.push_back(&type);
        Tensor tensor(type.dtype, type.concrete_shape());
        for (int64_t i = 0; i < tensor.size(); ++i)
          is_float(type.dtype) ? tensor.set_float(i, rng.normal())
                               : tensor.set_integer(i, rng.integer(0, 1));
        inputs.push_back(std::move(tensor));
      }
      const ir::Meaning meaning = instantiate(def, types, sample.attrs);
      const auto graph = primitive_graph(meaning);
      if (!graph) continue;
      ++unfolded;
      const Tensor expected = tree_evaluate(meaning, inputs, true)[0];
      const Tensor found = evaluate(*graph, inputs, {.tier = Tier::tree})[0];
      ASSERT_EQ(found.shape(), expected.shape()) << def.name;
      const double rounding = size_of(meaning.output_type(0).dtype) == 2 ? 1e-2 : 1e-6;
      for (int64_t i = 0; i < expected.size(); ++i) {
        if (is_float(expected.type())) {
          const double a = found.float_at(i), b = expected.float_at(i);
          // A graph's constants are rounded to the operator's type.
          const bool close = std::fabs(a - b) <= rounding * std::fabs(b);
          EXPECT_TRUE(a == b || close || (std::isnan(a) && std::isnan(b))) << def.name;
        } else {
          EXPECT_EQ(found.integer_at(i), expected.integer_at(i)) << def.name;
        }
      }
    }
  }
  EXPECT_GE(unfolded, 60);
}

TEST(PrimitiveGraph, refuses_what_is_not_elementwise) {
  const ir::ValueType matrix{DType::f32, {3, 3}};
  const auto refused = [&](const char* op, InputTypes inputs, ir::AttrMap attrs) {
    return !primitive_graph(instantiate(registry().get(op), inputs, attrs));
  };
  EXPECT_TRUE(refused("matmul", {&matrix, &matrix}, {}));
  EXPECT_TRUE(refused("transpose", {&matrix}, {}));
  EXPECT_TRUE(refused("reduce_sum", {&matrix}, {}));
}

}  // namespace
}  // namespace tessera::ops
