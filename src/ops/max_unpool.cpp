// SPDX-License-Identifier: Apache-2.0
// Values put back to where a maximum pooling found them.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// Indices count the elements of the tensor that was pooled, of shape `pooled`; a larger
// `output_shape` adds zeros at the ends.
std::vector<Val> decompose_max_unpool(Decomposition& d) {
  const Val x = d.in(0), indices = d.in(1);
  const ir::Dims pooled = d.dims("pooled"), target = d.dims("output_shape");
  const auto flat = [](Val v) { return reshape(v, {sym::product(v.shape())}); };
  const Val zeros = expand(d.scalar(0, x.dtype()), {sym::product(pooled)});
  const Val put = reshape(d.op("scatter_elements", {zeros, flat(indices), flat(x)}), pooled);
  if (target.empty() || target == pooled) return {put};
  d.check(target.size() == pooled.size(), "output_shape of {} axes for rank {}", target.size(),
          pooled.size());
  ir::Dims pads(pooled.size(), 0);
  for (size_t k = 0; k < pooled.size(); ++k) pads.push_back(target[k] - pooled[k]);
  return {d.op("pad", {put}, {{"pads", pads}})};
}

std::vector<Val> import_max_unpool(OnnxImport& c) {
  const Val x = c.input(0);
  ir::Dims pooled = x.shape();
  const auto kernel = c.attr_ints("kernel_shape", {});
  const size_t axes = kernel.size();
  if (axes == 0 || pooled.size() != axes + 2) c.fail("kernel_shape does not fit the rank");
  const auto strides = c.attr_ints("strides", std::vector<int64_t>(axes, 1));
  const auto pads = c.attr_ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (strides.size() != axes || pads.size() != 2 * axes) c.fail("strides or pads do not fit");
  for (size_t k = 0; k < axes; ++k)
    pooled[k + 2] = (pooled[k + 2] - sym::Expr(1)) * sym::Expr(strides[k]) +
                    sym::Expr(kernel[k] - pads[k] - pads[axes + k]);
  return {c.op("max_unpool", {x, c.input(1)},
               {{"pooled", pooled}, {"output_shape", c.has_input(2) ? c.dims(2) : ir::Dims{}}})};
}

}  // namespace

OpDef max_unpool() {
  return {
      .name = "max_unpool",
      .doc =
          "Zeros of shape `pooled` with x at the row-major positions that the indices give; then "
          "zeros up to `output_shape`, if there is one.",
      .inputs = {{"x"}, {"indices"}},
      .attrs = {{.name = "pooled", .kind = ir::AttrKind::dims},
                {.name = "output_shape", .kind = ir::AttrKind::dims, .default_value = ir::Dims{}}},
      .decompose = decompose_max_unpool,
      .onnx = {{.op = "MaxUnpool", .since = 9, .import = import_max_unpool}},
      .samples = {{{{DType::f32, {1, 1, 2, 2}}, {DType::i64, {1, 1, 2, 2}}},
                   {{"pooled", ir::Dims{1, 1, 4, 4}}}},
                  {{{DType::f32, {1, 1, 2, 2}}, {DType::i64, {1, 1, 2, 2}}},
                   {{"pooled", ir::Dims{1, 1, 4, 4}}, {"output_shape", ir::Dims{1, 1, 5, 5}}}}},
  };
}

}  // namespace tessera::ops::records
