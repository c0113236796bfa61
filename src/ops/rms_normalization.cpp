// SPDX-License-Identifier: Apache-2.0
// Normalization by the root of the mean square over the trailing axes.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_rms_normalization(Decomposition& d) {
  const Val x = d.in(0);
  std::vector<int64_t> axes;
  for (int axis = d.axis("axis", x.rank()); axis < x.rank(); ++axis) axes.push_back(axis);
  const DType work = x.dtype() == DType::f64 ? DType::f64 : d.dtype("stash");
  const Val wide = cast(x, work);
  const Val mean_square = reduce("reduce_mean", wide * wide, axes);
  const Val y = cast(wide / sqrt(mean_square + d.real("epsilon")), x.dtype());
  return {cast(y, d.in(1).dtype()) * d.in(1)};
}

std::vector<Val> import_rms_normalization(OnnxImport& c) {
  ir::AttrMap attrs{{"axis", c.attr_int("axis", -1)}, {"epsilon", c.attr_float("epsilon", 1e-5)}};
  const DType stash = c.dtype_of(c.attr_int("stash_type", 1));
  if (stash != DType::f32) attrs.emplace("stash", stash);
  return {c.op("rms_normalization", {c.input(0), c.input(1)}, attrs)};
}

void export_rms_normalization(OnnxExport& c) {
  ir::AttrMap attrs{{"axis", *c.attr("axis")}, {"epsilon", *c.attr("epsilon")}};
  const DType stash = std::get<DType>(*c.attr("stash"));
  if (stash != DType::f32) attrs.emplace("stash_type", c.onnx_type(stash));
  c.result(c.emit("RMSNormalization", export_inputs(c), attrs));
}

}  // namespace

OpDef rms_normalization() {
  return {
      .name = "rms_normalization",
      .doc =
          "x / √(mean x² + epsilon) · scale over the axes from `axis` on (Zhang and Sennrich, "
          "2019).",
      .inputs = {{"x"}, {"scale"}},
      .attrs = {{.name = "axis", .default_value = int64_t{-1}},
                {.name = "epsilon", .kind = ir::AttrKind::real, .default_value = 1e-5},
                {.name = "stash", .kind = ir::AttrKind::dtype, .default_value = DType::f32}},
      .decompose = decompose_rms_normalization,
      .onnx = {{.op = "RMSNormalization",
                .since = 23,
                .import = import_rms_normalization,
                .export_ = export_rms_normalization}},
      .samples = {sample({{2, 3, 5}, {5}}), sample({{2, 3, 4}, {3, 4}}, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
