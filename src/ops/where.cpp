// SPDX-License-Identifier: Apache-2.0
// Elementwise choice.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void where_meaning(MeaningBuilder& b) {
  b.check(b.in(0).type() == DType::boolean, "the condition must be bool, found {}",
          to_string(b.in(0).type()));
  b.common_type(1, 2);
  b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
    return select(b.in(0).broadcast_at(i), b.in(1).broadcast_at(i), b.in(2).broadcast_at(i));
  });
}

}  // namespace

OpDef where() {
  const ir::ValueType condition{DType::boolean, {2, 1, 5}};
  return {
      .name = "where",
      .doc = "x where the condition holds, else y, elementwise under NumPy broadcasting.",
      .inputs = {{"condition"}, {"x"}, {"y"}},
      .meaning = where_meaning,
      .onnx = {{.op = "Where", .since = 9}},
      .samples = {{{condition, {DType::f32, {3, 5}}, {DType::f32, {}}}},
                  {{{DType::boolean, {4}}, {DType::i64, {4}}, {DType::i64, {4}}}},
                  {{{DType::boolean, {0}}, {DType::f16, {1}}, {DType::f16, {1}}}}},
  };
}

}  // namespace tessera::ops::records
