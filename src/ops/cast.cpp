// SPDX-License-Identifier: Apache-2.0
// Conversion of the element type.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void cast_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const DType to = b.dtype("to");
  b.output(x.shape(), [&](std::span<const Expr> i) { return ir::cast(x(i), to); });
}

// The second input gives only its type.
std::vector<Val> import_cast_like(OnnxImport& c) { return {cast(c.input(0), c.input(1).dtype())}; }

}  // namespace

OpDef cast() {
  return {
      .name = "cast",
      .doc = "x converted to the type `to`; float to integer truncates toward zero.",
      .inputs = {{"x"}},
      .attrs = {{.name = "to", .kind = ir::AttrKind::dtype}},
      .meaning = cast_meaning,
      .onnx = {{.op = "Cast", .since = 6, .ignored = {"saturate", "round_mode"}},
               {.op = "CastLike", .since = 15, .import = import_cast_like}},
      .samples = {sample({3, 5}, DType::f32, {{"to", DType::i32}}),
                  sample({4}, DType::i64, {{"to", DType::f32}}),
                  sample({4}, DType::f32, {{"to", DType::f16}}),
                  sample({4}, DType::f32, {{"to", DType::boolean}})},
  };
}

}  // namespace tessera::ops::records
