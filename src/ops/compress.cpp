// SPDX-License-Identifier: Apache-2.0
// The slices for which a condition holds.
#include <cstring>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// Positions below `extent` at which the condition holds; what it lacks counts as false.
std::vector<int64_t> compress_positions(const Tensor& condition, int64_t extent) {
  std::vector<int64_t> kept;
  for (int64_t i = 0; i < std::min(extent, condition.size()); ++i)
    if (condition.integer_at(i) != 0) kept.push_back(i);
  return kept;
}

std::vector<ir::ValueType> infer_compress(const Opaque::Context& c) {
  const ir::ValueType &x = *c.inputs[0], &condition = *c.inputs[1];
  TESSERA_USER_CHECK(condition.rank() == 1 && condition.dtype == DType::boolean,
                     "compress: the condition must be a vector of bool, found {}",
                     condition.to_string());
  const int axis = c.attrs.axis("axis", x.rank());
  const int64_t count = c.attrs.integer("count");
  TESSERA_USER_CHECK(count >= 0, "compress: count = {}", count);
  ir::ValueType type = x;
  type.shape[axis] = count;
  return {type};
}

std::vector<Tensor> evaluate_compress(const Opaque::Context& c) {
  const Tensor& x = *c.values[0];
  const int axis = c.attrs.axis("axis", x.rank());
  const auto kept = compress_positions(*c.values[1], x.shape()[axis]);
  const auto count = static_cast<int64_t>(kept.size());
  TESSERA_USER_CHECK(count == c.attrs.integer("count"),
                     "compress: the condition holds {} times, expected {}", count,
                     c.attrs.integer("count"));
  int64_t outer = 1;
  for (int a = 0; a < axis; ++a) outer *= x.shape()[a];
  size_t slice = size_of(x.type());
  for (int a = axis + 1; a < x.rank(); ++a) slice *= static_cast<size_t>(x.shape()[a]);
  Shape shape = x.shape();
  shape[axis] = count;
  Tensor result(x.type(), shape);
  std::byte* to = result.mutable_data();
  for (int64_t o = 0; o < outer && slice != 0; ++o)
    for (int64_t k : kept) {
      std::memcpy(to, x.data() + static_cast<size_t>(o * x.shape()[axis] + k) * slice, slice);
      to += slice;
    }
  return {result};
}

// A constant condition chooses by indices; otherwise its value decides the shape.
std::vector<Val> import_compress(OnnxImport& c) {
  Val x = c.input(0);
  if (!c.has_attr("axis")) x = reshape(x, {sym::product(x.shape())});
  const int64_t axis = normalize_axis(c.attr_int("axis", 0), x.rank(), "Compress: axis");
  const auto extent = x.dim(static_cast<int>(axis)).constant();
  if (!extent) c.unsupported("the compressed axis has a symbolic extent");
  const Val condition = c.input(1);
  const Tensor value = c.value(1);
  if (value.type() != DType::boolean || value.rank() != 1) c.fail("the condition must be bool[n]");
  const auto kept = compress_positions(value, *extent);
  if (c.builder().graph().constant(condition.value))
    return {c.op("gather", {x, c.builder().integers(kept)}, {{"axis", axis}})};
  return {c.op("compress", {x, condition},
               {{"axis", axis}, {"count", static_cast<int64_t>(kept.size())}})};
}

}  // namespace

/// Opaque because the shape depends on the condition; `count` fixes it, and evaluation refuses a
/// condition that holds another number of times.
OpDef compress() {
  return {
      .name = "compress",
      .doc = "The slices of x along `axis` at which the condition holds, which are `count`.",
      .inputs = {{"x"}, {"condition"}},
      .attrs = {{.name = "axis", .default_value = int64_t{0}}, {.name = "count"}},
      .opaque = Opaque{.infer = infer_compress, .evaluate = evaluate_compress},
      .onnx = {{.op = "Compress",
                .since = 9,
                .import = import_compress,
                .export_ =
                    [](OnnxExport& c) {
                      c.result(c.emit("Compress", {c.input(0), c.input(1)},
                                      {{"axis", *c.attr("axis")}}));
                    }}},
      .samples = {{{{DType::f32, {3, 2}}, {DType::boolean, {0}}},
                   {{"axis", int64_t{-1}}, {"count", int64_t{0}}}}},
  };
}

}  // namespace tessera::ops::records
