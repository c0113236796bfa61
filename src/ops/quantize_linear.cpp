// SPDX-License-Identifier: Apache-2.0
// Quantization to integers.
#include "ops/pool_form.h"
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

void quantize_linear_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), scale = b.in(1);
  const DType to = b.has(2) ? b.in(2).type() : b.dtype("to");
  b.check(is_float(scale.type()), "the scale must be a float tensor");
  const DType work = scale.type() == DType::f64 || x.type() == DType::f64 ? DType::f64 : DType::f32;
  const int64_t axis = b.integer("axis"), block = b.integer("block_size");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr s = quantization_parameter(b, scale, i, x.shape(), axis, block);
    Expr value = ir::round(cast(x(i), work) / cast(s, work));
    if (b.has(2))
      value = value + cast(quantization_parameter(b, b.in(2), i, x.shape(), axis, block), work);
    return saturate(b, value, to);
  });
}

void export_quantize_linear(OnnxExport& c) {
  ir::AttrMap attrs;
  if (c.opset() >= 13) attrs.emplace("axis", *c.attr("axis"));
  const bool blocked = std::get<int64_t>(*c.attr("block_size")) != 0;
  const DType to = std::get<DType>(*c.attr("to"));
  const bool typed = !c.has_input(2) && to != DType::u8;
  if ((blocked || typed) && c.opset() < 21)
    c.unsupported("this quantization needs operator set 21");
  if (blocked) attrs.emplace("block_size", *c.attr("block_size"));
  if (typed) attrs.emplace("output_dtype", c.onnx_type(to));
  c.result(c.emit("QuantizeLinear", export_inputs(c), attrs));
}

}  // namespace

OpDef quantize_linear() {
  const ir::ValueType x{DType::f32, {4, 6}}, scalar{DType::f32, {}}, row{DType::f32, {6}};
  return {
      .name = "quantize_linear",
      .doc =
          "saturate(round(x / scale) + zero_point), rounding half to even; one scale for all, for "
          "each index of `axis`, or for each block of `block_size` indices.",
      .inputs = {{"x"}, {"scale"}, {"zero_point", true}},
      .attrs = {{.name = "axis", .default_value = int64_t{1}},
                {.name = "block_size", .default_value = int64_t{0}},
                {.name = "to", .kind = ir::AttrKind::dtype, .default_value = DType::u8}},
      .meaning = quantize_linear_meaning,
      .onnx = {{.op = "QuantizeLinear",
                .since = 10,
                .import =
                    [](OnnxImport& c) { return import_linear_quantization(c, "quantize_linear"); },
                .export_ = export_quantize_linear}},
      .samples = {{{x, scalar, {DType::u8, {}}}},
                  {{x, row, {DType::i8, {6}}}},
                  {{x, scalar}},
                  {{x, {DType::f32, {4, 2}}}, {{"block_size", int64_t{3}}}}},
  };
}

}  // namespace tessera::ops::records
