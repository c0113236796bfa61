// SPDX-License-Identifier: Apache-2.0
// A tensor that the graph holds.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef constant() {
  return {
      .name = "constant",
      .doc = "The tensor `value`.",
      .attrs = {{.name = "value", .kind = ir::AttrKind::tensor}},
      .opaque = Opaque{.infer = [](const Opaque::Context& c) -> std::vector<ir::ValueType> {
        const Tensor& t = c.attrs.tensor("value");
        return {{t.type(), ir::Dims(t.shape().begin(), t.shape().end())}};
      }},
      .structural = true,
  };
}

}  // namespace tessera::ops::records
