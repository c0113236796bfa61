// SPDX-License-Identifier: Apache-2.0
// Import and export of resize.
#include "ops/resize_form.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/attr_reader.h"

namespace tessera::ops {
namespace {

struct ResizeRequest {
  std::vector<int64_t> axes;
  std::vector<double> scales;  // empty: sizes
  ir::Dims sizes;
  std::vector<double> roi;
  ir::AttrMap attrs;
};

std::vector<double> resize_reals(const Tensor& given) {
  const Tensor tensor = given.converted(DType::f64);
  std::vector<double> values;
  for (int64_t i = 0; i < tensor.size(); ++i) values.push_back(tensor.float_at(i));
  return values;
}

int64_t whole_extent(OnnxImport& c, double extent) {
  if (!(extent >= 0 && extent < 0x1p53)) c.fail(fmt::format("a size of {}", extent));
  return static_cast<int64_t>(std::floor(extent));
}

// Output extent along an axis for a given scale: ⌊in · scale⌋.
sym::Expr scaled_extent(OnnxImport& c, const sym::Expr& in, double scale) {
  if (!(scale > 0)) c.fail(fmt::format("scale {} is not positive", scale));
  if (const auto known = in.constant()) return whole_extent(c, static_cast<double>(*known) * scale);
  if (scale == std::floor(scale)) return in * whole_extent(c, scale);
  const double inverse = 1 / scale;
  if (inverse != std::floor(inverse))
    c.unsupported("a fractional scale of a symbolic extent; bind the input's dimensions");
  return sym::floor_div(in, whole_extent(c, inverse));
}

// Keeps one scale for all axes; sizes are rounded half up.
void keep_aspect_ratio(OnnxImport& c, ResizeRequest& r, const std::string& policy) {
  const auto sizes = sym::constants(r.sizes);
  double scale = 0;
  std::vector<int64_t> extents;
  for (size_t k = 0; k < r.axes.size(); ++k) {
    const auto in = c.input(0).dim(static_cast<int>(r.axes[k])).constant();
    if (!sizes || !in) c.unsupported("keep_aspect_ratio_policy over symbolic extents");
    const double own = static_cast<double>((*sizes)[k]) / static_cast<double>(*in);
    const bool better = policy == "not_larger" ? own < scale : own > scale;
    if (k == 0 || better) scale = own;
    extents.push_back(*in);
  }
  for (size_t k = 0; k < r.axes.size(); ++k)
    r.sizes[k] = whole_extent(c, static_cast<double>(extents[k]) * scale + 0.5);
  r.scales.assign(r.axes.size(), scale);
}

// Drops the axes along which nothing happens and adds the node.
std::vector<Val> add_resize(OnnxImport& c, const ResizeRequest& r) {
  const Val x = c.input(0);
  std::vector<int64_t> axes;
  std::vector<double> scales, begin, end;
  ir::Dims sizes;
  for (size_t k = 0; k < r.axes.size(); ++k) {
    const bool whole = r.roi.empty() || (r.roi[k] == 0 && r.roi[k + r.axes.size()] == 1);
    const bool keeps = r.sizes[k] == x.dim(static_cast<int>(r.axes[k])) && whole &&
                       (r.scales.empty() || r.scales[k] == 1);
    if (keeps) continue;
    axes.push_back(r.axes[k]);
    sizes.push_back(r.sizes[k]);
    if (!r.scales.empty()) scales.push_back(r.scales[k]);
    if (r.roi.empty()) continue;
    begin.push_back(r.roi[k]);
    end.push_back(r.roi[k + r.axes.size()]);
  }
  if (axes.empty()) return {c.op("identity", {x})};
  ir::AttrMap attrs = r.attrs;
  attrs.emplace("axes", axes);
  attrs.emplace("sizes", sizes);
  if (!scales.empty()) attrs.emplace("scales", scales);
  begin.insert(begin.end(), end.begin(), end.end());
  if (!begin.empty()) attrs.emplace("roi", begin);
  return {c.op("resize", {x}, attrs)};
}

std::vector<int64_t> every_axis(int rank) {
  std::vector<int64_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

// Upsample, and Resize-10: scales of all axes, coordinates o / scale, nearest rounds down.
std::vector<Val> import_asymmetric(OnnxImport& c, std::vector<double> scales) {
  ResizeRequest r;
  r.axes = every_axis(c.input(0).rank());
  if (scales.size() != r.axes.size()) c.fail("needs one scale for each axis");
  const std::string mode = c.attr_string("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "bilinear")
    c.fail(fmt::format("unknown mode '{}'", mode));
  r.attrs = {{"mode", std::string(mode == "nearest" ? "nearest" : "linear")},
             {"transform", std::string("asymmetric")},
             {"nearest_mode", std::string("floor")}};
  for (size_t k = 0; k < r.axes.size(); ++k)
    r.sizes.push_back(scaled_extent(c, c.input(0).dim(static_cast<int>(k)), scales[k]));
  r.scales = std::move(scales);
  return add_resize(c, r);
}

std::vector<Val> import_resize(OnnxImport& c) {
  const Val x = c.input(0);
  ResizeRequest r;
  r.axes = c.attr_ints("axes", every_axis(x.rank()));
  for (int64_t& axis : r.axes) axis = normalize_axis(axis, x.rank(), "Resize: axes");
  const std::string transform = c.attr_string("coordinate_transformation_mode", "half_pixel");
  const std::string mode = c.attr_string("mode", "nearest");
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    c.fail(fmt::format("unknown mode '{}'", mode));
  // Operator set 11 spelled this transformation differently.
  const bool old = transform == "tf_half_pixel_for_nn";
  if (old) c.unsupported("coordinate_transformation_mode tf_half_pixel_for_nn");
  r.attrs = {{"mode", mode}, {"transform", transform}};
  if (mode == "nearest")
    r.attrs.emplace("nearest_mode", c.attr_string("nearest_mode", "round_prefer_floor"));
  if (mode == "cubic") r.attrs.emplace("cubic_coeff_a", c.attr_float("cubic_coeff_a", -0.75));
  for (const char* flag : {"exclude_outside", "antialias"})
    if (mode != "nearest" && c.attr_int(flag, 0) != 0) r.attrs.emplace(flag, int64_t{1});
  if (transform == "tf_crop_and_resize") {
    r.attrs.emplace("extrapolation_value", c.attr_float("extrapolation_value", 0));
    if (!c.has_input(1)) c.fail("tf_crop_and_resize needs a region of interest");
    r.roi = resize_reals(c.value(1));
    if (r.roi.size() != 2 * r.axes.size()) c.fail("the region of interest has the wrong length");
  }
  // Exporters write an empty tensor for scales that are absent.
  const bool no_sizes = !c.has_input(3) || c.input(3).dim(0) == sym::Expr(0);
  if (no_sizes) {
    if (!c.has_input(2)) c.fail("needs scales or sizes");
    r.scales = resize_reals(c.value(2));
    if (r.scales.size() != r.axes.size()) c.fail("needs one scale for each axis");
    for (size_t k = 0; k < r.axes.size(); ++k)
      r.sizes.push_back(scaled_extent(c, x.dim(static_cast<int>(r.axes[k])), r.scales[k]));
  } else {
    r.sizes = c.dims(3);
    if (r.sizes.size() != r.axes.size()) c.fail("needs one size for each axis");
    const std::string policy = c.attr_string("keep_aspect_ratio_policy", "stretch");
    if (policy == "not_larger" || policy == "not_smaller") keep_aspect_ratio(c, r, policy);
    else if (policy != "stretch") c.fail(fmt::format("unknown policy '{}'", policy));
  }
  return add_resize(c, r);
}

void export_resize(OnnxExport& c) {
  const auto text = [&](const char* name) { return std::get<std::string>(*c.attr(name)); };
  const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
  const auto& scales = std::get<std::vector<double>>(*c.attr("scales"));
  const auto& region = std::get<std::vector<double>>(*c.attr("roi"));
  ir::Dims sizes = c.input_type(0).shape;
  const auto rank = static_cast<int64_t>(sizes.size());
  std::vector<double> factors(sizes.size(), 1.0), roi(2 * sizes.size(), 0.0);
  std::fill(roi.begin() + rank, roi.end(), 1.0);
  const ir::Dims wanted = c.attr_dims("sizes");
  for (size_t k = 0; k < axes.size(); ++k) {
    const auto axis = static_cast<size_t>(axes[k] < 0 ? axes[k] + rank : axes[k]);
    const auto in = sizes[axis].constant(), out = wanted[k].constant();
    if (!scales.empty()) {
      if (in && out &&
          std::floor(static_cast<double>(*in) * scales[k]) != static_cast<double>(*out))
        c.unsupported("resize whose scales do not give its sizes");
      factors[axis] = scales[k];
    }
    sizes[axis] = wanted[k];
    if (region.empty()) continue;
    roi[axis] = region[k];
    roi[axis + static_cast<size_t>(rank)] = region[k + axes.size()];
  }
  ir::AttrMap attrs{{"mode", text("mode")},
                    {"nearest_mode", text("nearest_mode")},
                    {"coordinate_transformation_mode", text("transform")},
                    {"cubic_coeff_a", *c.attr("cubic_coeff_a")},
                    {"extrapolation_value", *c.attr("extrapolation_value")},
                    {"exclude_outside", *c.attr("exclude_outside")}};
  if (std::get<int64_t>(*c.attr("antialias")) != 0) {
    if (c.opset() < 18) c.unsupported("antialiasing needs operator set 18");
    attrs.emplace("antialias", int64_t{1});
  }
  std::string roi_name;
  if (!region.empty()) roi_name = c.constant(Tensor::from_floats(roi, {2 * rank}));
  else if (c.opset() < 13) roi_name = c.constant(Tensor(DType::f32, {0}));
  std::vector<std::string> inputs{c.input(0), roi_name};
  if (!scales.empty()) {
    inputs.push_back(c.constant(Tensor::from_floats(factors, {rank})));
  } else {
    inputs.push_back(c.opset() < 13 ? c.constant(Tensor(DType::f32, {0})) : std::string());
    inputs.push_back(c.dims(sizes));
  }
  c.result(c.emit("Resize", inputs, attrs));
}

// Before operator set 11 there is only what import_asymmetric() reads.
void export_asymmetric(OnnxExport& c, const char* op) {
  const auto text = [&](const char* name) { return std::get<std::string>(*c.attr(name)); };
  const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
  const auto& scales = std::get<std::vector<double>>(*c.attr("scales"));
  const std::string mode = text("mode");
  const bool plain = text("transform") == "asymmetric" && !scales.empty() &&
                     (mode == "linear" || (mode == "nearest" && text("nearest_mode") == "floor")) &&
                     std::get<int64_t>(*c.attr("antialias")) == 0 &&
                     std::get<int64_t>(*c.attr("exclude_outside")) == 0;
  const bool gone = std::string_view(op) == "Upsample" && c.opset() >= 10;
  if (!plain || gone) c.unsupported("this resize needs operator set 11");
  const auto rank = static_cast<int64_t>(c.input_type(0).shape.size());
  std::vector<double> factors(static_cast<size_t>(rank), 1.0);
  for (size_t k = 0; k < axes.size(); ++k)
    factors[static_cast<size_t>(axes[k] < 0 ? axes[k] + rank : axes[k])] = scales[k];
  c.result(
      c.emit(op, {c.input(0), c.constant(Tensor::from_floats(factors, {rank}))}, {{"mode", mode}}));
}

}  // namespace

std::vector<OnnxForm> resize_forms() {
  const auto by_input = [](OnnxImport& c) {
    return import_asymmetric(c, resize_reals(c.value(1)));
  };
  // For export the first that fits counts.
  return {{.op = "Resize", .since = 11, .import = import_resize, .export_ = export_resize},
          {.op = "Resize",
           .since = 10,
           .import = by_input,
           .export_ = [](OnnxExport& c) { export_asymmetric(c, "Resize"); }},
          {.op = "Upsample",
           .since = 9,
           .import = by_input,
           .export_ = [](OnnxExport& c) { export_asymmetric(c, "Upsample"); }},
          {.op = "Upsample", .since = 7, .import = [](OnnxImport& c) {
             return import_asymmetric(c, c.attr_floats("scales", {}));
           }}};
}

}  // namespace tessera::ops
