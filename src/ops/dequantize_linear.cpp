// SPDX-License-Identifier: Apache-2.0
// From quantized integers back to floats.
#include "ops/pool_form.h"
#include "ops/quantize_form.h"

namespace tessera::ops::records {
namespace {

void dequantize_linear_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), scale = b.in(1);
  b.check(is_integer(x.type()) && bit_width(x.type()) <= 32, "cannot dequantize {}",
          to_string(x.type()));
  b.check(is_float(scale.type()), "the scale must be a float tensor");
  if (b.has(2)) b.check(b.in(2).type() == x.type(), "x and its zero point differ in type");
  const DType to = b.has_attr("to") ? b.dtype("to") : scale.type();
  const DType work = scale.type() == DType::f64 ? DType::f64 : DType::f32;
  const int64_t axis = b.integer("axis"), block = b.integer("block_size");
  const bool narrow = bit_width(x.type()) <= 16;
  b.output(x.shape(), [&](std::span<const Expr> i) {
    // Differences of 8 and 16 bits are exact in i32.
    const DType step = narrow ? DType::i32 : work;
    Expr value = cast(x(i), step);
    if (b.has(2))
      value = value - cast(quantization_parameter(b, b.in(2), i, x.shape(), axis, block), step);
    const Expr s = quantization_parameter(b, scale, i, x.shape(), axis, block);
    return cast(cast(value, work) * cast(s, work), to);
  });
}

void export_dequantize_linear(OnnxExport& c) {
  ir::AttrMap attrs;
  if (c.opset() >= 13) attrs.emplace("axis", *c.attr("axis"));
  if (std::get<int64_t>(*c.attr("block_size")) != 0) {
    if (c.opset() < 21) c.unsupported("blocked quantization needs operator set 21");
    attrs.emplace("block_size", *c.attr("block_size"));
  }
  const auto* to = c.attr("to");
  if (to != nullptr && std::get<DType>(*to) != c.input_type(1).dtype) {
    if (c.opset() < 23) c.unsupported("another type than the scale's needs operator set 23");
    attrs.emplace("output_dtype", c.onnx_type(std::get<DType>(*to)));
  }
  c.result(c.emit("DequantizeLinear", export_inputs(c), attrs));
}

}  // namespace

OpDef dequantize_linear() {
  const ir::ValueType x{DType::i8, {4, 6}}, scalar{DType::f32, {}}, row{DType::f32, {6}};
  return {
      .name = "dequantize_linear",
      .doc =
          "(x − zero_point) · scale; one scale for all, for each index of `axis`, or for each "
          "block of `block_size` indices.",
      .inputs = {{"x"}, {"scale"}, {"zero_point", true}},
      .attrs = {{.name = "axis", .default_value = int64_t{1}},
                {.name = "block_size", .default_value = int64_t{0}},
                {.name = "to", .kind = ir::AttrKind::dtype, .optional = true}},
      .meaning = dequantize_linear_meaning,
      .onnx = {{.op = "DequantizeLinear",
                .since = 10,
                .import =
                    [](OnnxImport& c) {
                      return import_linear_quantization(c, "dequantize_linear");
                    },
                .export_ = export_dequantize_linear}},
      .samples = {{{x, scalar, {DType::i8, {}}}},
                  {{x, row}},
                  {{x, {DType::f32, {2, 6}}}, {{"axis", int64_t{0}}, {"block_size", int64_t{2}}}}},
  };
}

}  // namespace tessera::ops::records
