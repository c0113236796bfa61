// SPDX-License-Identifier: Apache-2.0
// Remainders.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void mod_meaning(MeaningBuilder& b) {
  check_domain(b, b.common_type(), Domain::numbers);
  const bool truncated = b.flag("fmod");
  b.output(broadcast_inputs(b), [&](std::span<const Expr> i) {
    const Expr x = b.in(0).broadcast_at(i), y = b.in(1).broadcast_at(i);
    return truncated ? ir::fmod(x, y) : ir::mod(x, y);
  });
}

}  // namespace

OpDef mod() {
  const ir::AttrMap fmod{{"fmod", int64_t{1}}};
  return {
      .name = "mod",
      .doc =
          "The remainder of x / y, elementwise under NumPy broadcasting: with the sign of y, or "
          "with `fmod` that of x; integers modulo 0 give 0.",
      .inputs = {{"x"}, {"y"}},
      .attrs = {int_attr("fmod", 0)},
      .meaning = mod_meaning,
      .onnx = {{.op = "Mod", .since = 10}},
      .samples = {sample({{3, 1}, {5}}), sample({{3, 1}, {5}}, fmod),
                  sample({{7}, {7}}, {}, DType::i32), sample({{7}, {7}}, fmod, DType::i64)},
  };
}

}  // namespace tessera::ops::records
