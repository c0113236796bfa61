// SPDX-License-Identifier: Apache-2.0
// Test for infinities.
#include <limits>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef is_inf() {
  return unary_record(
      {.name = "is_inf",
       .doc = "Whether x is +∞ (if detect_positive) or −∞ (if detect_negative), elementwise.",
       .onnx_op = "IsInf",
       .since = 10,
       .attrs = {int_attr("detect_negative", 1), int_attr("detect_positive", 1)}},
      [](MeaningBuilder& b, Expr x) {
        const double infinity = std::numeric_limits<double>::infinity();
        Expr found = b.literal(0, DType::boolean);
        if (b.flag("detect_positive")) found = found || ir::eq(x, infinity);
        if (b.flag("detect_negative")) found = found || ir::eq(x, -infinity);
        return found;
      });
}

}  // namespace tessera::ops::records
