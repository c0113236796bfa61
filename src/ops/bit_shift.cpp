// SPDX-License-Identifier: Apache-2.0
// Bitwise shifts.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void bit_shift_meaning(MeaningBuilder& b) {
  check_domain(b, b.common_type(), Domain::integers);
  const std::string& direction = b.string("direction");
  b.check(direction == "LEFT" || direction == "RIGHT", "direction = '{}'", direction);
  b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
    const Expr x = b.in(0).broadcast_at(i), y = b.in(1).broadcast_at(i);
    return direction == "LEFT" ? ir::shift_left(x, y) : ir::shift_right(x, y);
  });
}

}  // namespace

OpDef bit_shift() {
  const ir::AttrMap left{{"direction", std::string("LEFT")}},
      right{{"direction", std::string("RIGHT")}};
  return {
      .name = "bit_shift",
      .doc =
          "x shifted by y bits to the LEFT or RIGHT, elementwise under NumPy broadcasting; "
          "shifting out all bits gives 0 (−1 for negative x to the right).",
      .inputs = {{"x"}, {"y"}},
      .attrs = {{.name = "direction", .kind = ir::AttrKind::string}},
      .meaning = bit_shift_meaning,
      .onnx = {{.op = "BitShift", .since = 11}},
      .samples = {sample({{3, 5}, {5}}, left, DType::u8), sample({{7}, {7}}, right, DType::u32),
                  sample({{7}, {7}}, right, DType::i64)},
  };
}

}  // namespace tessera::ops::records
