// SPDX-License-Identifier: Apache-2.0
// Normalization over groups of channels.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_group_normalization(Decomposition& d) {
  const Val x = d.in(0);
  d.check(x.rank() >= 2, "x must have rank 2 or more, found {}", x.rank());
  const Size groups = d.count("num_groups");
  const ir::Dims shape = x.shape();
  ir::Dims inner(shape.begin() + 1, shape.end());
  const DType work = x.dtype() == DType::f64 ? DType::f64 : d.dtype("stash");
  const Val grouped =
      reshape(cast(x, work), {shape[0], groups, sym::floor_div(sym::product(inner), groups)});
  const Val centred = grouped - reduce("reduce_mean", grouped, {2});
  const Val variance = reduce("reduce_mean", centred * centred, {2});
  const Val y = cast(reshape(centred / sqrt(variance + d.real("epsilon")), shape), x.dtype());
  ir::Dims channel(inner.size(), sym::Expr(1));
  channel[0] = shape[1];
  return {y * reshape(d.in(1), channel) + reshape(d.in(2), channel)};
}

// Operator set 18 has one scale and bias for each group, 21 for each channel.
std::vector<Val> import_group_normalization(OnnxImport& c) {
  const int64_t groups = c.attr_int("num_groups", 0);
  if (groups <= 0) c.fail("num_groups must be positive");
  const sym::Expr channels = c.input(0).dim(1);
  const auto parameter = [&](int k) {
    const Val p = c.input(k);
    if (c.opset() >= 21) return p;
    const Val wide = expand(reshape(p, {groups, 1}), {groups, sym::floor_div(channels, groups)});
    return reshape(wide, {channels});
  };
  ir::AttrMap attrs{{"num_groups", groups}, {"epsilon", c.attr_float("epsilon", 1e-5)}};
  const DType stash = c.dtype_of(c.attr_int("stash_type", 1));
  if (stash != DType::f32) attrs.emplace("stash", stash);
  return {c.op("group_normalization", {c.input(0), parameter(1), parameter(2)}, attrs)};
}

void export_group_normalization(OnnxExport& c) {
  ir::AttrMap attrs{{"num_groups", *c.attr("num_groups")}, {"epsilon", *c.attr("epsilon")}};
  const DType stash = std::get<DType>(*c.attr("stash"));
  if (stash != DType::f32) attrs.emplace("stash_type", c.onnx_type(stash));
  c.result(c.emit("GroupNormalization", export_inputs(c), attrs));
}

}  // namespace

OpDef group_normalization() {
  return {
      .name = "group_normalization",
      .doc =
          "(x − mean) / √(variance + epsilon) · scale + bias with statistics of groups of "
          "channels (Wu and He, 2018).",
      .inputs = {{"x"}, {"scale"}, {"bias"}},
      .attrs = {{.name = "num_groups"},
                {.name = "epsilon", .kind = ir::AttrKind::real, .default_value = 1e-5},
                {.name = "stash", .kind = ir::AttrKind::dtype, .default_value = DType::f32}},
      .decompose = decompose_group_normalization,
      .onnx = {{.op = "GroupNormalization", .since = 18, .import = import_group_normalization},
               {.op = "GroupNormalization",
                .since = 21,
                .import = import_group_normalization,
                .export_ = export_group_normalization}},
      .samples = {sample({{2, 4, 3, 3}, {4}, {4}}, {{"num_groups", int64_t{2}}})},
  };
}

}  // namespace tessera::ops::records
