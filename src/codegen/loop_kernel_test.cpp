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

}  // namespace
}  // namespace tessera::codegen
