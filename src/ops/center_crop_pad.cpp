// SPDX-License-Identifier: Apache-2.0
// Cropping or zero padding around the centre.
#include <numeric>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

std::vector<Val> decompose_center_crop_pad(Decomposition& d) {
  const Val x = d.in(0);
  const ir::Dims target = d.dims("shape");
  std::vector<int64_t> axes = d.integers("axes");
  if (axes.empty()) {
    axes.resize(static_cast<size_t>(x.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  d.check(axes.size() == target.size(), "{} axes and {} extents", axes.size(), target.size());
  const size_t rank = static_cast<size_t>(x.rank());
  ir::Dims pads(2 * rank, 0);
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<size_t>(normalize_axis(axes[k], x.rank(), "center_crop_pad"));
    const auto growth = (target[k] - x.shape()[axis]).constant();
    d.check(growth.has_value(), "whether {} crops or pads {} is unknown", target[k].to_string(),
            x.shape()[axis].to_string());
    // Half rounds toward zero: the odd element is cut or added at the end.
    pads[axis] = *growth / 2;
    pads[rank + axis] = *growth - *growth / 2;
  }
  return {d.op("pad", {x}, {{"pads", pads}})};
}

std::vector<Val> import_center_crop_pad(OnnxImport& c) {
  return {c.op("center_crop_pad", {c.input(0)},
               {{"shape", c.dims(1)}, {"axes", c.attr_ints("axes", {})}})};
}

void export_center_crop_pad(OnnxExport& c) {
  const ir::Dims shape = c.attr_dims("shape");
  const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
  ir::AttrMap attrs;
  if (!axes.empty()) attrs.emplace("axes", axes);
  c.result(c.emit("CenterCropPad", {c.input(0), c.dims(shape)}, std::move(attrs)));
}

}  // namespace

OpDef center_crop_pad() {
  return {
      .name = "center_crop_pad",
      .doc =
          "x cropped or padded with zeros on both sides so that `axes` (default: all) get the "
          "extents `shape`; the odd element is at the end.",
      .inputs = {{"x"}},
      .attrs = {{.name = "shape", .kind = ir::AttrKind::dims},
                {.name = "axes",
                 .kind = ir::AttrKind::integers,
                 .default_value = std::vector<int64_t>{}}},
      .decompose = decompose_center_crop_pad,
      .onnx = {{.op = "CenterCropPad",
                .since = 18,
                .import = import_center_crop_pad,
                .export_ = export_center_crop_pad}},
      .samples = {sample({5, 4}, DType::f32, {{"shape", ir::Dims{2, 7}}}),
                  sample({3, 4}, DType::f32,
                         {{"shape", ir::Dims{6}}, {"axes", std::vector<int64_t>{-2}}})},
  };
}

}  // namespace tessera::ops::records
