// SPDX-License-Identifier: Apache-2.0
// Gaussian error linear unit.
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {

OpDef gelu() {
  return unary_record({.name = "gelu",
                       .doc = "x · Φ(x), elementwise, with Φ through erf or, if `approximate` is "
                              "tanh, the approximation of Hendrycks and Gimpel 2016.",
                       .onnx_op = "Gelu",
                       .since = 20,
                       .attrs = {{.name = "approximate",
                                  .kind = ir::AttrKind::string,
                                  .default_value = std::string("none")}}},
                      [](MeaningBuilder& b, Expr x) {
                        const std::string& mode = b.string("approximate");
                        b.check(mode == "none" || mode == "tanh", "approximate = '{}'", mode);
                        if (mode == "none")
                          return 0.5 * x * (1 + ir::erf(x * (std::numbers::sqrt2 / 2)));
                        const double scale =
                            std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // √(2/π)
                        return 0.5 * x * (1 + ir::tanh(scale * (x + 0.044715 * x * x * x)));
                      });
}

}  // namespace tessera::ops::records
