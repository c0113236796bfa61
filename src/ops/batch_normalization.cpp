// SPDX-License-Identifier: Apache-2.0
// Batch normalization with given statistics; ONNX's training mode computes them on import.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// scale, bias and the statistics may be of another (wider) type than x; then x is computed in it.
void batch_normalization_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  b.check(x.rank() >= 1, "x is a scalar");
  const Size channels = x.rank() == 1 ? Size(1) : x.dim(1);
  for (int k = 1; k < 5; ++k) {
    b.check(b.in(k).rank() == 1, "input {} must have rank 1, found {}", k, b.in(k).rank());
    b.require_equal(b.in(k).dim(0), channels, "the parameters do not fit the channels");
  }
  const DType work = b.in(3).type();
  const double epsilon = b.real("epsilon");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr channel = x.rank() == 1 ? b.integer(0) : i[1];
    const auto parameter = [&](int k) { return cast(b.in(k)(channel), work); };
    const Expr factor = parameter(1) / ir::sqrt(parameter(4) + epsilon);
    return cast((cast(x(i), work) - parameter(3)) * factor + parameter(2), x.type());
  });
}

// Statistics of the batch in f32 (or f64), then the running ones.
std::vector<Val> import_batch_normalization_training(OnnxImport& c) {
  const Val x = c.input(0), mean = c.input(3), variance = c.input(4);
  const double momentum = c.attr_float("momentum", 0.9);
  const DType work = x.dtype() == DType::f64 ? DType::f64 : DType::f32;
  std::vector<int64_t> axes{0};
  ir::Dims channels{x.rank() > 1 ? x.dim(1) : sym::Expr(1)};
  for (int axis = 2; axis < x.rank(); ++axis) axes.push_back(axis);
  const Val wide = cast(x, work);
  const Val batch_mean = reduce("reduce_mean", wide, axes);
  const Val centred = wide - batch_mean;
  const Val batch_variance = reduce("reduce_mean", centred * centred, axes);
  const DType type = mean.dtype();
  const Val current_mean = cast(reshape(batch_mean, channels), type);
  const Val current_variance = cast(reshape(batch_variance, channels), type);
  const Val y =
      c.op("batch_normalization", {x, c.input(1), c.input(2), current_mean, current_variance},
           {{"epsilon", c.attr_float("epsilon", 1e-5)}});
  return {y, mean * momentum + current_mean * (1 - momentum),
          variance * momentum + current_variance * (1 - momentum)};
}

std::vector<Val> import_batch_normalization(OnnxImport& c) {
  if (c.attr_int("training_mode", 0) != 0) return import_batch_normalization_training(c);
  if (c.opset() < 9 && c.attr_int("spatial", 1) == 0)
    c.unsupported("statistics per element (spatial = 0)");
  for (int k = 1; k < c.output_count(); ++k)
    if (c.wants_output(k)) c.unsupported("outputs of training before operator set 14");
  return {c.op("batch_normalization", {c.input(0), c.input(1), c.input(2), c.input(3), c.input(4)},
               {{"epsilon", c.attr_float("epsilon", 1e-5)}})};
}

}  // namespace

OpDef batch_normalization() {
  return {
      .name = "batch_normalization",
      .doc =
          "(x − mean) / √(variance + epsilon) · scale + bias along axis 1 (Ioffe and Szegedy, "
          "2015).",
      .inputs = {{"x"}, {"scale"}, {"bias"}, {"mean"}, {"variance"}},
      .attrs = {{.name = "epsilon", .kind = ir::AttrKind::real, .default_value = 1e-5}},
      .meaning = batch_normalization_meaning,
      .onnx = {{.op = "BatchNormalization",
                .since = 7,
                .import = import_batch_normalization,
                .export_ = [](OnnxExport& c) { export_as(c, "BatchNormalization"); }}},
      .samples = {sample({{2, 3, 4, 4}, {3}, {3}, {3}, {3}}), sample({{4, 3}, {3}, {3}, {3}, {3}})},
  };
}

}  // namespace tessera::ops::records
