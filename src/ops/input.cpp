// SPDX-License-Identifier: Apache-2.0
// A graph input: a value that the caller provides.
#include "ops/op_def.h"

namespace tessera::ops::records {

OpDef input() {
  return {
      .name = "input",
      .doc = "A graph input; its type is stated where it is declared.",
      .opaque = Opaque{.infer = [](const Opaque::Context&) -> std::vector<ir::ValueType> {
        fail_user(ErrorKind::invalid_input, "an input is declared, not applied");
      }},
      .structural = true,
  };
}

}  // namespace tessera::ops::records
