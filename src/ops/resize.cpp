// SPDX-License-Identifier: Apache-2.0
// Resampling of images: nearest, linear, cubic.
#include <cmath>

#include "ops/op_def.h"
#include "ops/resize_form.h"

namespace tessera::ops::records {
namespace {

// The interpolations are separable: one axis after the other. Integers are interpolated in f32 and
// rounded and saturated at the end.
std::vector<Val> decompose_resize(Decomposition& d) {
  const Val x = d.in(0);
  const auto axes = d.integers("axes");
  const auto sizes = d.dims("sizes");
  const auto scales = d.reals("scales"), roi = d.reals("roi");
  d.check(sizes.size() == axes.size() && (scales.empty() || scales.size() == axes.size()) &&
              (roi.empty() || roi.size() == 2 * axes.size()),
          "sizes, scales or roi do not fit the axes");
  const std::string& mode = d.string("mode");
  const bool integral = mode != "nearest" && !is_float(x.dtype());
  Val value = integral ? cast(x, DType::f32) : x;
  for (size_t k = 0; k < axes.size(); ++k) {
    const int axis = normalize_axis(axes[k], x.rank(), "resize: axes");
    ir::AttrMap attrs{{"axis", int64_t{axis}}, {"size", ir::Dims{sizes[k]}}, {"mode", mode}};
    if (!scales.empty()) attrs.emplace("scale", scales[k]);
    if (!roi.empty()) {
      attrs.emplace("roi_begin", roi[k]);
      attrs.emplace("roi_end", roi[k + axes.size()]);
    }
    for (const char* name : {"nearest_mode", "transform", "cubic_coeff_a", "exclude_outside",
                             "antialias", "extrapolation_value"})
      if (const auto at = d.attrs().find(name); at != d.attrs().end()) attrs.insert(*at);
    const bool whole = roi.empty() || (roi[k] == 0 && roi[k + axes.size()] == 1);
    const bool keeps = sizes[k] == value.dim(axis) && (scales.empty() || scales[k] == 1) && whole;
    if (!keeps) value = d.op("resize_axis", {value}, attrs);
  }
  if (!integral) return {value};
  const auto low = static_cast<double>(min_integer(x.dtype()));
  const double high = is_unsigned_integer(x.dtype()) && bit_width(x.dtype()) == 64
                          ? 0x1p64
                          : static_cast<double>(max_integer(x.dtype()));
  const Val rounded = d.op("round", {value});
  return {cast(
      d.op("min", {d.op("max", {rounded, d.scalar(low, DType::f32)}), d.scalar(high, DType::f32)}),
      x.dtype())};
}

}  // namespace

OpDef resize() {
  using Ints = std::vector<int64_t>;
  const auto text = [](const char* name, const char* value) {
    return AttrDef{.name = name, .kind = ir::AttrKind::string, .default_value = std::string(value)};
  };
  return {
      .name = "resize",
      .doc =
          "x resampled to `sizes` along `axes`; `scales` (default: sizes over extents) fix the "
          "coordinates.",
      .inputs = {{"x"}},
      .attrs =
          {{.name = "axes", .kind = ir::AttrKind::integers},
           {.name = "sizes", .kind = ir::AttrKind::dims},
           {.name = "scales", .kind = ir::AttrKind::reals, .default_value = std::vector<double>{}},
           {.name = "roi", .kind = ir::AttrKind::reals, .default_value = std::vector<double>{}},
           text("mode", "nearest"),
           text("nearest_mode", "round_prefer_floor"),
           text("transform", "half_pixel"),
           {.name = "cubic_coeff_a", .kind = ir::AttrKind::real, .default_value = -0.75},
           {.name = "exclude_outside", .default_value = int64_t{0}},
           {.name = "antialias", .default_value = int64_t{0}},
           {.name = "extrapolation_value", .kind = ir::AttrKind::real, .default_value = 0.0}},
      .decompose = decompose_resize,
      .onnx = resize_forms(),
      .samples = {sample({1, 2, 3, 3}, DType::f32,
                         {{"axes", Ints{2, 3}},
                          {"sizes", ir::Dims{6, 5}},
                          {"mode", std::string("linear")}}),
                  sample({1, 2, 3, 3}, DType::f32, {{"axes", Ints{3}}, {"sizes", ir::Dims{6}}})},
  };
}

}  // namespace tessera::ops::records
