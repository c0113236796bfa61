// SPDX-License-Identifier: Apache-2.0
// Sizes as data.
#include <algorithm>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

void shape_of_meaning(MeaningBuilder& b) {
  const Dims dims = b.dims("dims");
  b.output({static_cast<int64_t>(dims.size())}, [&](std::span<const Expr> i) {
    if (dims.empty()) return b.integer(0);
    Expr element = b.size(dims.back());
    for (size_t k = dims.size() - 1; k-- > 0;)
      element = select(ir::eq(i[0], static_cast<int64_t>(k)), b.size(dims[k]), element);
    return element;
  });
}

std::vector<Val> import_shape(OnnxImport& c) {
  const ir::Dims shape = c.input(0).shape();
  const auto rank = static_cast<int64_t>(shape.size());
  const auto bound = [&](int64_t v) { return std::clamp<int64_t>(v < 0 ? v + rank : v, 0, rank); };
  const int64_t start = bound(c.attr_int("start", 0)), end = bound(c.attr_int("end", rank));
  ir::Dims dims;
  if (start < end) dims.assign(shape.begin() + start, shape.begin() + end);
  return {c.op("shape_of", {}, {{"dims", dims}})};
}

std::vector<Val> import_size(OnnxImport& c) {
  const Val count = c.op("shape_of", {}, {{"dims", ir::Dims{sym::product(c.input(0).shape())}}});
  return {reshape(count, {})};
}

void export_shape_of(OnnxExport& c) { c.result({c.dims(c.attr_dims("dims"))}); }

}  // namespace

/// What ONNX's Shape becomes: the shape is known here, if only symbolically, so the tensor is not
/// an input.
OpDef shape_of() {
  return {
      .name = "shape_of",
      .doc = "The sizes `dims` as a vector of i64.",
      .inputs = {},
      .attrs = {{.name = "dims", .kind = ir::AttrKind::dims}},
      .meaning = shape_of_meaning,
      .onnx = {{.op = "Shape", .import = import_shape, .export_ = export_shape_of},
               {.op = "Size", .import = import_size}},
      .samples = {{{}, {{"dims", ir::Dims{2, 3, 5}}}}, {{}, {{"dims", ir::Dims{}}}}},
  };
}

}  // namespace tessera::ops::records
