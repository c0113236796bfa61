// SPDX-License-Identifier: Apache-2.0
// Layer normalization over the trailing axes.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

// Statistics are computed in the type number `stash_type` (1: f32, 11: f64), as ONNX has it.
std::vector<Val> decompose_layer_normalization(Decomposition& d) {
  const Val x = d.in(0);
  const int first = d.axis("axis", x.rank());
  std::vector<int64_t> axes;
  for (int axis = first; axis < x.rank(); ++axis) axes.push_back(axis);
  const DType type = x.dtype();
  const DType work = type == DType::f64 ? DType::f64 : d.dtype("stash");
  const Val wide = cast(x, work);
  const Val mean = reduce("reduce_mean", wide, axes);
  const Val centred = wide - mean;
  const Val variance = reduce("reduce_mean", centred * centred, axes);
  const Val inverse = 1.0 / sqrt(variance + d.real("epsilon"));
  Val y = cast(centred * inverse, type) * d.in(1);
  if (d.has(2)) y = y + d.in(2);
  return {y, mean, inverse};
}

std::vector<Val> import_layer_normalization(OnnxImport& c) {
  std::vector<Val> inputs{c.input(0), c.input(1)};
  if (c.has_input(2)) inputs.push_back(c.input(2));
  const DType stash = c.dtype_of(c.attr_int("stash_type", 1));
  ir::AttrMap attrs{{"axis", c.attr_int("axis", -1)}, {"epsilon", c.attr_float("epsilon", 1e-5)}};
  if (stash != DType::f32) attrs.emplace("stash", stash);
  return c.builder().op_n("layer_normalization", inputs, attrs);
}

void export_layer_normalization(OnnxExport& c) {
  ir::AttrMap attrs{{"axis", *c.attr("axis")}, {"epsilon", *c.attr("epsilon")}};
  const DType stash = std::get<DType>(*c.attr("stash"));
  if (stash != DType::f32) attrs.emplace("stash_type", c.onnx_type(stash));
  c.result(c.emit("LayerNormalization", export_inputs(c), attrs, 3));
}

}  // namespace

OpDef layer_normalization() {
  return {
      .name = "layer_normalization",
      .doc =
          "(x − mean) / √(variance + epsilon) · scale + bias over the axes from `axis` on; also "
          "the mean and the inverse deviation (Ba et al., 2016).",
      .inputs = {{"x"}, {"scale"}, {"bias", true}},
      .attrs = {{.name = "axis", .default_value = int64_t{-1}},
                {.name = "epsilon", .kind = ir::AttrKind::real, .default_value = 1e-5},
                {.name = "stash", .kind = ir::AttrKind::dtype, .default_value = DType::f32}},
      .decompose = decompose_layer_normalization,
      .onnx = {{.op = "LayerNormalization",
                .since = 17,
                .import = import_layer_normalization,
                .export_ = export_layer_normalization}},
      .samples = {sample({{2, 3, 5}, {5}, {5}}),
                  sample({{2, 3, 4}, {3, 4}}, {{"axis", int64_t{1}}})},
  };
}

}  // namespace tessera::ops::records
