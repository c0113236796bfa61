// SPDX-License-Identifier: Apache-2.0
// Slices of a tensor chosen by a tensor of indices.
#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void gather_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), indices = b.in(1);
  b.check(is_signed_integer(indices.type()), "indices must be signed integers, found {}",
          to_string(indices.type()));
  const int axis = b.axis("axis", x.rank());
  Dims shape(x.shape().begin(), x.shape().begin() + axis);
  shape.insert(shape.end(), indices.shape().begin(), indices.shape().end());
  shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
  b.output(shape, [&](std::span<const Expr> i) {
    const Expr chosen = ir::cast(indices(i.subspan(axis, indices.rank())), DType::i64);
    Indices source(i.begin(), i.begin() + axis);
    source.push_back(select(chosen < 0, chosen + x.dim(axis), chosen));
    source.insert(source.end(), i.begin() + axis + indices.rank(), i.end());
    return x(source);
  });
}

// The last axis is chosen from; the indices count as a vector, and a vector as one row.
std::vector<Val> import_array_feature_extractor(OnnxImport& c) {
  const Val x = c.input(0), indices = c.input(1);
  const Val flat = reshape(indices, {sym::product(indices.shape())});
  const Val rows = x.rank() == 1 ? unsqueeze(x, {0}) : x;
  return {c.op("gather", {rows, flat}, {{"axis", int64_t{-1}}})};
}

}  // namespace

OpDef gather() {
  const ir::ValueType x{DType::f32, {3, 4, 5}};
  return {
      .name = "gather",
      .doc =
          "x with `axis` replaced by the axes of the indices; negative indices count from the "
          "end.",
      .inputs = {{"x"}, {"indices"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}}},
      .meaning = gather_meaning,
      .onnx = {{.op = "Gather"},
               {.op = "ArrayFeatureExtractor",
                .domain = "ai.onnx.ml",
                .import = import_array_feature_extractor}},
      .samples = {{{x, {DType::i64, {2, 2}}}},
                  {{x, {DType::i32, {}}}, {{"axis", int64_t{1}}}},
                  {{x, {DType::i64, {0}}}, {{"axis", int64_t{-1}}}}},
  };
}

}  // namespace tessera::ops::records
