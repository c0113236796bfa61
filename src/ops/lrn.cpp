// SPDX-License-Identifier: Apache-2.0
// Local response normalization across channels.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void lrn_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() >= 2 && is_float(x.type()), "x must be a float tensor of rank 2 or more");
  const int64_t size = b.integer("size");
  b.check(size >= 1, "size must be positive, found {}", size);
  const double alpha = b.real("alpha"), beta = b.real("beta"), bias = b.real("bias");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr squares = b.sum(size, [&](Expr r) {
      Indices at(i.begin(), i.end());
      at[1] = i[1] + r - (size - 1) / 2;
      const Expr element = x(at);
      const Expr inside = b.integer(0) <= at[1] && at[1] < x.dim(1);
      return ir::select(inside, element * element, literal_like(element, 0));
    });
    const Expr base = squares * (alpha / static_cast<double>(size)) + bias;
    return x(i) / pow(base, beta);
  });
}

}  // namespace

OpDef lrn() {
  return {
      .name = "lrn",
      .doc =
          "x / (bias + alpha / size · Σ x²)^beta over `size` neighbouring channels "
          "(Krizhevsky et al., 2012).",
      .inputs = {{"x"}},
      .attrs = {{.name = "size"},
                {.name = "alpha", .kind = ir::AttrKind::real, .default_value = 1e-4},
                {.name = "beta", .kind = ir::AttrKind::real, .default_value = 0.75},
                {.name = "bias", .kind = ir::AttrKind::real, .default_value = 1.0}},
      .meaning = lrn_meaning,
      .onnx = {{.op = "LRN"}},
      .samples = {sample({2, 6, 3, 3}, DType::f32, {{"size", int64_t{5}}}),
                  sample({1, 4, 2}, DType::f32, {{"size", int64_t{2}}, {"bias", 2.0}})},
  };
}

}  // namespace tessera::ops::records
