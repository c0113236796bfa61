// SPDX-License-Identifier: Apache-2.0
// A tensor that the graph holds.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<ir::ValueType> infer_constant(const Opaque::Context& c) {
  const Tensor& t = c.attrs.tensor("value");
  return {{t.type(), ir::Dims(t.shape().begin(), t.shape().end())}};
}

}  // namespace

/// The importer knows ONNX's Constant by name.
OpDef constant() {
  return {
      .name = "constant",
      .doc = "The tensor `value`.",
      .inputs = {},
      .attrs = {{.name = "value", .kind = ir::AttrKind::tensor}},
      .opaque = Opaque{.infer = infer_constant},
      .structural = true,
  };
}

}  // namespace tessera::ops::records
