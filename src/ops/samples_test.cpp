// SPDX-License-Identifier: Apache-2.0
// Every record's samples: inference agrees with evaluation, and the two tiers with each other.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "ops/evaluate.h"
#include "ops/registry.h"

namespace tessera::ops {
namespace {

Tensor random_tensor(const ir::ValueType& type, Rng& rng) {
  Tensor tensor(type.dtype, type.concrete_shape());
  for (int64_t i = 0; i < tensor.size(); ++i) {
    if (is_float(type.dtype)) tensor.set_float(i, 0.05 + rng.uniform());
    else tensor.set_integer(i, rng.integer(0, 1));
  }
  return tensor;
}

TEST(Samples, evaluate_alike_in_both_tiers) {
  for (const OpDef& def : registry().all()) {
    if (def.impure) continue;
    for (size_t s = 0; s < def.samples.size(); ++s) {
      SCOPED_TRACE(fmt::format("{} sample {}", def.name, s));
      const Sample& sample = def.samples[s];
      Rng rng(s + 1);
      InputTypes types;
      std::vector<Tensor> inputs;
      std::vector<const Tensor*> values;
      for (const ir::ValueType& type : sample.inputs) {
        types.push_back(&type);
        inputs.push_back(random_tensor(type, rng));
      }
      for (const Tensor& t : inputs) values.push_back(&t);
      try {
        const auto inferred = infer(def, types, sample.attrs, {}, values);
        EvalOptions tree, loops;
        tree.tier = Tier::tree;
        const auto expected = evaluate_node(def, sample.attrs, types, inputs, {}, tree);
        const auto found = evaluate_node(def, sample.attrs, types, inputs, {}, loops);
        ASSERT_EQ(expected.size(), inferred.size());
        for (size_t k = 0; k < expected.size(); ++k) {
          EXPECT_EQ(expected[k].shape(), inferred[k].concrete_shape());
          EXPECT_EQ(expected[k].type(), evaluated_type(inferred[k].dtype, true));
          for (int64_t i = 0; i < expected[k].size(); ++i) {
            if (!is_float(expected[k].type())) {
              ASSERT_EQ(expected[k].integer_at(i), found[k].integer_at(i));
              continue;
            }
            const double e = expected[k].float_at(i), f = found[k].float_at(i);
            ASSERT_TRUE(std::isnan(e) ? std::isnan(f) : std::abs(e - f) <= 1e-9 * (1 + std::abs(e)))
                << e << " and " << f;
          }
        }
      } catch (const std::exception& e) {
        ADD_FAILURE() << e.what();
      }
    }
  }
}

}  // namespace
}  // namespace tessera::ops
