// SPDX-License-Identifier: Apache-2.0
// Scaled exponential linear unit.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef selu() {
  return unary_record({.name = "selu",
                       .doc = "gamma · x, or gamma · alpha · (e^x − 1) at or below 0, elementwise "
                              "(Klambauer et al. 2017).",
                       .onnx_op = "Selu",
                       .since = 6,
                       .attrs = {real_attr("alpha", 1.67326319217681884765625),
                                 real_attr("gamma", 1.05070102214813232421875)}},
                      [](MeaningBuilder& b, Expr x) {
                        return b.real("gamma") * select(x <= 0, b.real("alpha") * ir::expm1(x), x);
                      });
}

}  // namespace tessera::ops::records
