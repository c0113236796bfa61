// SPDX-License-Identifier: Apache-2.0
// Loss of log-probabilities against class labels.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// x is [N, C, …], the labels [N, …]. Labels equal to `ignore_index` count nothing, in the mean
// neither.
std::vector<Val> decompose_negative_log_likelihood_loss(Decomposition& d) {
  const Val x = d.in(0), labels = d.in(1);
  const DType type = x.dtype();
  const std::string& reduction = d.string("reduction");
  d.check(reduction == "none" || reduction == "sum" || reduction == "mean",
          "unknown reduction '{}'", reduction);
  const bool ignores = d.has_attr("ignore_index");
  Val index = labels, ignored;
  const Val zero = d.scalar(0, type);
  if (ignores) {
    const auto label = static_cast<double>(d.integer("ignore_index"));
    ignored = d.op("equal", {labels, d.scalar(label, labels.dtype())});
    index = where(ignored, d.scalar(0, labels.dtype()), labels);
  }
  const Val picked = d.op("gather_elements", {x, unsqueeze(index, {1})}, {{"axis", int64_t{1}}});
  Val loss = -squeeze(picked, {1});
  Val weight;
  if (d.has(2)) weight = d.op("gather", {d.in(2), index}, {{"axis", int64_t{0}}});
  else if (ignores) weight = expand(d.scalar(1, type), labels.shape());
  if (ignores) weight = where(ignored, zero, weight);
  if (weight.present()) loss = loss * weight;
  if (reduction == "none") return {loss};
  if (reduction == "mean" && !weight.present()) return {reduce("reduce_mean", loss, {}, false)};
  const Val total = reduce("reduce_sum", loss, {}, false);
  if (reduction == "sum") return {total};
  return {total / reduce("reduce_sum", weight, {}, false)};
}

}  // namespace

OpDef negative_log_likelihood_loss() {
  const ir::ValueType x{DType::f32, {3, 5, 2}}, labels{DType::i64, {3, 2}}, w{DType::f32, {5}};
  return {
      .name = "negative_log_likelihood_loss",
      .doc = "−x(n, label(n, …), …) · weight(label), reduced by `reduction`.",
      .inputs = {{"x"}, {"labels"}, {"weight", true}},
      .attrs = {{.name = "reduction",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("mean")},
                {.name = "ignore_index", .optional = true}},
      .decompose = decompose_negative_log_likelihood_loss,
      .onnx = {{.op = "NegativeLogLikelihoodLoss", .since = 12}},
      .samples = {{{x, labels}}, {{x, labels, w}, {{"ignore_index", int64_t{1}}}}},
  };
}

}  // namespace tessera::ops::records
