// SPDX-License-Identifier: Apache-2.0
// A tensor that the graph holds.
#include <array>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_constant(const Opaque::Context& c) {
  const Tensor& t = c.attrs.tensor("value");
  return {{t.type(), ir::Dims(t.shape().begin(), t.shape().end())}};
}

std::vector<Val> import_constant(OnnxImport& c) {
  const auto length = [](const auto& values) { return static_cast<int64_t>(values.size()); };
  Tensor value;
  if (c.has_attr("value")) {
    value = *c.attr_tensor("value");
  } else if (c.has_attr("value_float")) {
    value = Tensor::from_floats(std::array{c.attr_float("value_float", 0)}, {});
  } else if (c.has_attr("value_int")) {
    value = Tensor::from_integers(std::array{c.attr_int("value_int", 0)}, {});
  } else if (c.has_attr("value_floats")) {
    const auto values = c.attr_floats("value_floats", {});
    value = Tensor::from_floats(values, {length(values)});
  } else if (c.has_attr("value_ints")) {
    const auto values = c.attr_ints("value_ints", {});
    value = Tensor::from_integers(values, {length(values)});
  } else {
    c.unsupported("a constant that is sparse or of strings");
  }
  return {c.builder().constant(std::move(value))};
}

}  // namespace

OpDef constant() {
  return {
      .name = "constant",
      .doc = "The tensor `value`.",
      .inputs = {},
      .attrs = {{.name = "value", .kind = ir::AttrKind::tensor}},
      .opaque = Opaque{.infer = infer_constant},
      .structural = true,
      .onnx = {{.op = "Constant", .import = import_constant}},
  };
}

}  // namespace tessera::ops::records
