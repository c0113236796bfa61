// SPDX-License-Identifier: Apache-2.0
// Another shape with as many elements in the same row-major order.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// Splits source and target axes into the finest groups of equal products, so that axes that do not
// change keep their own index and only split or merged axes pay for div and mod.
void reshape_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Dims shape = b.dims("shape");
  b.require_equal(sym::product(x.shape()), sym::product(shape),
                  "reshape changes the element count");
  b.output(shape, [&](std::span<const Expr> i) {
    const Dims& from = x.shape();
    Indices source(from.size());
    size_t f = 0, t = 0;
    while (f < from.size() || t < shape.size()) {
      const size_t f0 = f, t0 = t;
      Size pf = f < from.size() ? from[f++] : Size(1), pt = t < shape.size() ? shape[t++] : Size(1);
      while (!(pf == pt)) {
        const auto difference = (pf - pt).constant();
        const bool grow_source = difference ? *difference < 0 : t >= shape.size();
        if (grow_source && f < from.size()) pf = pf * from[f++];
        else if (t < shape.size()) pt = pt * shape[t++];
        else if (f < from.size()) pf = pf * from[f++];
        else break;
      }
      Expr flat = b.integer(0);
      for (size_t k = t0; k < t; ++k) flat = flat * shape[k] + i[k];
      for (size_t k = f; k-- > f0;) {
        const bool outermost = k == f0;
        source[k] = from[k] == Size(1) ? b.integer(0) : outermost ? flat : mod(flat, from[k]);
        if (!outermost) flat = floor_div(flat, from[k]);
      }
    }
    return x(source);
  });
}

// 0 copies the input's dimension (unless allowzero), −1 stands for what is left.
std::vector<Val> import_reshape(OnnxImport& c, ir::Dims shape) {
  const Val x = c.input(0);
  const bool allow_zero = c.attr_int("allowzero", 0) != 0;
  std::optional<size_t> rest;
  sym::Expr known(1);
  for (size_t k = 0; k < shape.size(); ++k) {
    if (shape[k] == sym::Expr(0) && !allow_zero) {
      if (static_cast<int>(k) >= x.rank()) c.fail("shape copies an axis that does not exist");
      shape[k] = x.dim(static_cast<int>(k));
    }
    if (shape[k] == sym::Expr(-1)) {
      if (rest) c.fail("shape holds -1 twice");
      rest = k;
    } else {
      known = known * shape[k];
    }
  }
  if (rest) {
    if (known == sym::Expr(0)) c.fail("shape leaves -1 undetermined");
    shape[*rest] = sym::floor_div(sym::product(x.shape()), known);
  }
  return {reshape(x, shape)};
}

void export_reshape(OnnxExport& c) {
  const ir::Dims shape = c.attr_dims("shape");
  ir::AttrMap attrs;
  for (const sym::Expr& d : shape)
    if (d == sym::Expr(0) && c.opset() >= 14) attrs.emplace("allowzero", int64_t{1});
  c.result(c.emit("Reshape", {c.input(0), c.dims(shape)}, attrs));
}

}  // namespace

OpDef reshape() {
  return {
      .name = "reshape",
      .doc = "x with another shape; elements keep their row-major order.",
      .inputs = {{"x"}},
      .attrs = {{.name = "shape", .kind = ir::AttrKind::dims}},
      .meaning = reshape_meaning,
      .onnx = {{.op = "Reshape",
                .import =
                    [](OnnxImport& c) {
                      const auto ints = c.attr_ints("shape", {});
                      return import_reshape(c, {ints.begin(), ints.end()});
                    }},
               {.op = "Reshape",
                .since = 5,
                .import = [](OnnxImport& c) { return import_reshape(c, c.dims(1)); },
                .export_ = export_reshape}},
      .samples = {sample({4, 6}, DType::f32, {{"shape", ir::Dims{2, 2, 3, 2}}}),
                  sample({2, 3, 4}, DType::f32, {{"shape", ir::Dims{24}}}),
                  sample({2, 0}, DType::f32, {{"shape", ir::Dims{0, 3}}})},
  };
}

}  // namespace tessera::ops::records
