// SPDX-License-Identifier: Apache-2.0
// Interpolation along one axis; resize is a sequence of these.
#include <cmath>

#include "ops/op_def.h"
#include "ops/resize_form.h"
#include "ops/resize_position.h"

namespace tessera::ops::records {
namespace {

Expr resize_axis_nearest(ResizeAxis& r, Expr o) {
  const std::string mode = r.b.string("nearest_mode");
  const bool to_nearest = mode == "round_prefer_floor" || mode == "round_prefer_ceil";
  if (const int64_t k = r.multiple(); k > 0) {
    if (r.transform == "asymmetric" && mode == "floor") return floor_div(o, k);
    if (r.transform == "half_pixel" && to_nearest) return floor_div(o, k);
  }
  const Expr x = r.position(o);
  Expr index = x;
  if (mode == "floor") index = ir::floor(x);
  else if (mode == "ceil") index = ir::ceil(x);
  else if (mode == "round_prefer_floor") index = ir::ceil(x - 0.5);
  else if (mode == "round_prefer_ceil") index = ir::floor(x + 0.5);
  else r.b.fail(fmt::format("unknown nearest mode '{}'", mode));
  return r.clamped(cast(index, DType::i64));
}

// Weighted mean of the input elements within the kernel's support around the position; with
// antialiasing the kernel is stretched when shrinking.
Expr resize_axis_weighted(ResizeAxis& r, const TensorArg& x, const Indices& at, int axis) {
  MeaningBuilder& b = r.b;
  const bool cubic = b.string("mode") == "cubic", exclude = b.flag("exclude_outside");
  const double a = b.real("cubic_coeff_a");
  double stretch = 1;
  if (b.flag("antialias")) {
    const auto in = r.in.constant(), out = r.out.constant();
    b.check(r.scale != 0 || (in && out), "antialiasing needs known extents");
    stretch = std::min(
        1.0, r.scale != 0 ? r.scale : static_cast<double>(*out) / static_cast<double>(*in));
  }
  b.check(stretch > 1e-6, "shrinking to less than a millionth with antialiasing");
  const auto first = static_cast<int64_t>(std::floor(-(cubic ? 2.0 : 1.0) / stretch)) + 1;
  const int64_t taps = 2 - 2 * first;
  const Expr position = r.position(at[axis]);
  const Expr base = cast(ir::floor(position), DType::i64) + first;
  const auto weight = [&](Expr t) {
    const Expr distance = ir::abs(cast(base + t, DType::f64) - position) * stretch;
    const Expr value = interpolation_kernel(cubic, a, distance);
    if (!exclude) return value;
    const Expr inside = b.integer(0) <= base + t && base + t < r.in;
    return ir::select(inside, value, literal_like(value, 0));
  };
  const auto term = [&](Expr t, Expr w) {
    Indices source = at;
    source[axis] = r.clamped(base + t);
    return cast(w, x.type()) * x(source);
  };
  if (stretch == 1 && !exclude) {
    Expr total = term(b.integer(0), weight(b.integer(0)));
    for (int64_t t = 1; t < taps; ++t) total = total + term(b.integer(t), weight(b.integer(t)));
    return total;
  }
  const Expr norm = b.sum(taps, weight);
  return b.sum(taps, [&](Expr t) { return term(t, weight(t) / norm); });
}

void resize_axis_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const int axis = b.axis("axis", x.rank());
  const Dims size = b.dims("size");
  b.check(size.size() == 1, "size must be one dimension");
  ResizeAxis r{b, x.dim(axis), size[0], b.real("scale"), b.string("transform")};
  const bool nearest = b.string("mode") == "nearest";
  b.check(nearest || is_float(x.type()), "interpolation needs floats, found {}",
          to_string(x.type()));
  Dims shape = x.shape();
  shape[axis] = size[0];
  if (!(size[0] == Size(0))) b.require_at_least(r.in, 1, "an empty axis cannot be resized");
  b.output(shape, [&](std::span<const Expr> i) {
    Indices at(i.begin(), i.end());
    Expr value;
    if (nearest) {
      at[axis] = resize_axis_nearest(r, i[axis]);
      value = x(at);
    } else {
      value = resize_axis_weighted(r, x, at, axis);
    }
    if (r.transform != "tf_crop_and_resize") return value;
    const Expr position = r.position(i[axis]);
    const Expr inside = r.real(0) <= position && position <= r.in_real() - 1;
    return ir::select(inside, value, literal_like(value, b.real("extrapolation_value")));
  });
}

}  // namespace

OpDef resize_axis() {
  using Names = std::string;
  const ir::AttrMap half{{"axis", int64_t{1}}, {"size", ir::Dims{6}}, {"mode", Names("linear")}};
  const ir::AttrMap shrink{{"axis", int64_t{-1}},
                           {"size", ir::Dims{3}},
                           {"mode", Names("cubic")},
                           {"antialias", int64_t{1}}};
  return {
      .name = "resize_axis",
      .doc = "x interpolated to another extent along `axis`.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis"},
                {.name = "size", .kind = ir::AttrKind::dims},
                {.name = "scale", .kind = ir::AttrKind::real, .default_value = 0.0},
                {.name = "mode", .kind = ir::AttrKind::string, .default_value = Names("nearest")},
                {.name = "nearest_mode",
                 .kind = ir::AttrKind::string,
                 .default_value = Names("round_prefer_floor")},
                {.name = "transform",
                 .kind = ir::AttrKind::string,
                 .default_value = Names("half_pixel")},
                {.name = "cubic_coeff_a", .kind = ir::AttrKind::real, .default_value = -0.75},
                {.name = "exclude_outside", .default_value = int64_t{0}},
                {.name = "antialias", .default_value = int64_t{0}},
                {.name = "extrapolation_value", .kind = ir::AttrKind::real, .default_value = 0.0},
                {.name = "roi_begin", .kind = ir::AttrKind::real, .default_value = 0.0},
                {.name = "roi_end", .kind = ir::AttrKind::real, .default_value = 1.0}},
      .meaning = resize_axis_meaning,
      .samples = {sample({2, 3}, DType::f32, half), sample({2, 7}, DType::f32, shrink),
                  sample({2, 3}, DType::i32, {{"axis", int64_t{1}}, {"size", ir::Dims{6}}})},
  };
}

}  // namespace tessera::ops::records
