// SPDX-License-Identifier: Apache-2.0
// The identity, and what is one at inference time.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// At inference every element is kept; the mask says so.
std::vector<Val> dropped_nothing(OnnxImport& c, DType mask_type) {
  const Val x = c.input(0);
  std::vector<Val> results{c.op("identity", {x})};
  if (c.wants_output(1)) results.push_back(expand(c.builder().scalar(1, mask_type), x.shape()));
  return results;
}

std::vector<Val> import_dropout_12(OnnxImport& c) {
  const bool training = c.has_input(2) && c.value(2).integer_at(0) != 0;
  const double ratio = c.has_input(1) ? c.value(1).converted(DType::f64).float_at(0) : 0.5;
  if (training && ratio != 0) c.unsupported("dropout in training mode is random");
  return dropped_nothing(c, DType::boolean);
}

}  // namespace

OpDef identity() {
  return {
      .name = "identity",
      .doc = "x.",
      .inputs = {{"x"}},
      .meaning = elementwise([](Expr x) { return x; }),
      .traits = {Trait::idempotent, Trait::involution},
      .onnx = {{.op = "Identity"},
               {.op = "Dropout",
                .since = 7,
                .import = [](OnnxImport& c) { return dropped_nothing(c, c.input(0).dtype()); }},
               {.op = "Dropout",
                .since = 10,
                .import = [](OnnxImport& c) { return dropped_nothing(c, DType::boolean); }},
               {.op = "Dropout", .since = 12, .import = import_dropout_12}},
      .samples = {sample({}), sample({3, 5}), sample({2, 0}, DType::boolean)},
  };
}

}  // namespace tessera::ops::records
