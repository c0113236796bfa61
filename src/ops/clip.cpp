// SPDX-License-Identifier: Apache-2.0
// Clamping to an interval.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void clip_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  check_domain(b, b.common_type(), Domain::numbers);
  const auto bound = [&](int k) {
    const TensorArg bound = b.in(k);
    b.check(bound.rank() <= 1, "a bound must be a scalar, found rank {}", bound.rank());
    if (bound.rank() == 1) b.require_equal(bound.dim(0), 1, "a bound must be a scalar");
    return bound(Indices(bound.shape().size(), b.integer(0)));
  };
  b.output(x.shape(), [&](std::span<const Expr> i) {
    Expr element = x(i);
    if (b.has(1)) element = ir::max(element, bound(1));
    if (b.has(2)) element = ir::min(element, bound(2));
    return element;
  });
}

std::vector<Val> import_clip_6(OnnxImport& c) {
  const Val x = c.input(0);
  const auto bound = [&](const char* name) {
    return c.has_attr(name) ? c.builder().scalar(c.attr_float(name, 0), x.dtype()) : Val{};
  };
  return {c.op("clip", {x, bound("min"), bound("max")})};
}

void export_clip(OnnxExport& c) {
  if (c.opset() < 11) c.unsupported("bounds that are inputs need operator set 11");
  std::vector<std::string> inputs{c.input(0)};
  if (c.has_input(1) || c.has_input(2)) inputs.push_back(c.has_input(1) ? c.input(1) : "");
  if (c.has_input(2)) inputs.push_back(c.input(2));
  c.result(c.emit("Clip", inputs));
}

}  // namespace

OpDef clip() {
  const ir::ValueType x{DType::f32, {3, 5}}, bound{DType::f32, {}};
  return {
      .name = "clip",
      .doc = "min(max(x, low), high), elementwise; NaN stays NaN, high wins over low.",
      .inputs = {{"x"}, {.name = "low", .optional = true}, {.name = "high", .optional = true}},
      .meaning = clip_meaning,
      .onnx = {{.op = "Clip", .since = 6, .import = import_clip_6, .export_ = export_clip},
               {.op = "Clip",
                .since = 11,
                .import = [](OnnxImport& c) -> std::vector<Val> {
                  return {c.op("clip", {c.input(0), c.has_input(1) ? c.input(1) : Val{},
                                        c.has_input(2) ? c.input(2) : Val{}})};
                },
                .export_ = export_clip}},
      .samples = {{{x, bound, bound}},
                  {{x, bound}},
                  {{x}},
                  {{{DType::i8, {0}}, {DType::i8, {}}, {DType::i8, {}}}}},
  };
}

}  // namespace tessera::ops::records
