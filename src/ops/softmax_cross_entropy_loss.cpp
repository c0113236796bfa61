// SPDX-License-Identifier: Apache-2.0
// Loss of scores against class labels.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_softmax_cross_entropy_loss(Decomposition& d) {
  const Val log_prob = d.op("log_softmax", {d.in(0)}, {{"axis", int64_t{1}}});
  std::vector<Val> inputs{log_prob, d.in(1)};
  if (d.has(2)) inputs.push_back(d.in(2));
  return {d.op("negative_log_likelihood_loss", inputs, d.attrs()), log_prob};
}

}  // namespace

OpDef softmax_cross_entropy_loss() {
  const ir::ValueType x{DType::f32, {3, 5, 2}}, labels{DType::i64, {3, 2}}, w{DType::f32, {5}};
  return {
      .name = "softmax_cross_entropy_loss",
      .doc = "Negative log-likelihood loss of log_softmax(x, axis 1); also the log-probabilities.",
      .inputs = {{"x"}, {"labels"}, {"weight", true}},
      .attrs = {{.name = "reduction",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("mean")},
                {.name = "ignore_index", .optional = true}},
      .decompose = decompose_softmax_cross_entropy_loss,
      .onnx = {{.op = "SoftmaxCrossEntropyLoss", .since = 12}},
      .samples = {{{x, labels}}, {{x, labels, w}, {{"reduction", std::string("sum")}}}},
  };
}

}  // namespace tessera::ops::records
