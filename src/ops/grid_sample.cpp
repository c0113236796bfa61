// SPDX-License-Identifier: Apache-2.0
// Elements of images interpolated at positions given by a grid.
#include "ops/op_def.h"
#include "ops/resize_form.h"

namespace tessera::ops::records {
namespace {

struct GridSampler {
  MeaningBuilder& b;
  TensorArg x, grid;
  bool corners, cubic;
  std::string padding;

  int spatial() const { return x.rank() - 2; }
  DType type() const { return grid.type(); }
  Expr extent(int axis) { return cast(b.size(x.dim(axis + 2)), type()); }
  Expr low() { return b.literal(corners ? 0.0 : -0.5, type()); }
  Expr high(int axis) { return extent(axis) - (corners ? 1.0 : 0.5); }

  // A position mirrored at the borders until it lies within.
  Expr reflected(int axis, Expr at) {
    const Expr range = high(axis) - low(), period = range * 2;
    const Expr way = fmod(ir::abs(at - low()), max(period, 1));
    const Expr mirrored = low() + ir::select(way <= range, way, period - way);
    return ir::select(b.literal(0, type()) < range, mirrored, low());
  }

  // The grid counts from −1 to 1, its last axis from the innermost spatial axis outward.
  Expr position(int axis, std::span<const Expr> o, bool nearest) {
    Indices at{o[0]};
    at.insert(at.end(), o.begin() + 2, o.end());
    at.push_back(b.integer(spatial() - 1 - axis));
    const Expr n = grid(at);
    Expr p = corners ? (n + 1) / 2 * (extent(axis) - 1) : ((n + 1) * extent(axis) - 1) / 2;
    if (nearest) p = ir::round(p);
    const Expr inside = low() <= p && p <= high(axis);
    // PyTorch and ONNX Runtime clamp the elements that a cubic reads, not its position.
    if (padding == "border" && cubic) return p;
    if (padding == "border") return ir::select(inside, p, max(min(p, extent(axis) - 1), 0));
    if (padding == "reflection") return ir::select(inside, p, reflected(axis, p));
    return p;
  }

  // The element at integral positions, given as floats.
  Expr element(std::span<const Expr> o, const Indices& positions) {
    Indices at{o[0], o[1]};
    std::optional<Expr> inside;
    for (int axis = 0; axis < spatial(); ++axis) {
      Expr p = positions[axis];
      if (padding == "zeros") {
        const Expr within = b.literal(0, type()) <= p && p <= extent(axis) - 1;
        inside = inside ? (*inside && within) : within;
      } else {
        if (padding == "reflection") {
          const Expr own = low() <= p && p <= high(axis);
          p = ir::select(own, p, ir::trunc(reflected(axis, p)));
        }
        p = max(min(p, extent(axis) - 1), 0);
      }
      at.push_back(cast(p, DType::i64));
    }
    const Expr value = x(at);
    return inside ? ir::select(*inside, value, literal_like(value, 0)) : value;
  }

  Expr interpolated(std::span<const Expr> o) {
    Indices base, position_of;
    for (int axis = 0; axis < spatial(); ++axis) {
      position_of.push_back(position(axis, o, false));
      base.push_back(ir::floor(position_of.back()) - (cubic ? 1.0 : 0.0));
    }
    const std::vector<Size> taps(static_cast<size_t>(spatial()), Size(cubic ? 4 : 2));
    return b.reduce(ir::Reduction::sum, taps, [&](std::span<const Expr> t) {
      Indices at;
      Expr weight = b.literal(1, type());
      for (int axis = 0; axis < spatial(); ++axis) {
        at.push_back(base[axis] + cast(t[axis], type()));
        weight = weight * interpolation_kernel(cubic, -0.75, ir::abs(at[axis] - position_of[axis]));
      }
      return cast(weight, x.type()) * element(o, at);
    });
  }
};

void grid_sample_meaning(MeaningBuilder& b) {
  const std::string mode = b.string("mode");
  GridSampler s{
      b, b.in(0), b.in(1), b.flag("align_corners"), mode == "cubic", b.string("padding_mode")};
  b.check(mode == "nearest" || mode == "linear" || mode == "cubic", "unknown mode '{}'", mode);
  b.check(s.padding == "zeros" || s.padding == "border" || s.padding == "reflection",
          "unknown padding mode '{}'", s.padding);
  b.check(s.x.rank() >= 3 && s.grid.rank() == s.x.rank() && is_float(s.grid.type()),
          "operands of ranks {} and {}", s.x.rank(), s.grid.rank());
  b.check(mode == "nearest" || is_float(s.x.type()), "interpolation needs floats");
  b.require_equal(s.grid.dim(0), s.x.dim(0), "x and grid differ in their batch");
  b.require_equal(s.grid.dim(-1), s.spatial(), "the grid's last axis does not fit");
  Dims shape{s.x.dim(0), s.x.dim(1)};
  shape.insert(shape.end(), s.grid.shape().begin() + 1, s.grid.shape().end() - 1);
  b.output(shape, [&](std::span<const Expr> o) {
    if (mode != "nearest") return s.interpolated(o);
    Indices at;
    for (int axis = 0; axis < s.spatial(); ++axis) at.push_back(s.position(axis, o, true));
    return s.element(o, at);
  });
}

// Operator set 16 called the modes bilinear and bicubic.
std::vector<Val> import_grid_sample_16(OnnxImport& c) {
  const std::string mode = c.attr_string("mode", "bilinear");
  return {c.op("grid_sample", {c.input(0), c.input(1)},
               {{"mode", mode == "bilinear"  ? "linear"
                         : mode == "bicubic" ? "cubic"
                                             : mode},
                {"padding_mode", c.attr_string("padding_mode", "zeros")},
                {"align_corners", c.attr_int("align_corners", 0)}})};
}

}  // namespace

OpDef grid_sample() {
  const ir::AttrMap cubic{{"mode", std::string("cubic")},
                          {"padding_mode", std::string("reflection")}};
  return {
      .name = "grid_sample",
      .doc = "x interpolated at the positions of a grid that spans [−1, 1] along every axis.",
      .inputs = {{"x"}, {"grid"}},
      .attrs = {{.name = "mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("linear")},
                {.name = "padding_mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("zeros")},
                {.name = "align_corners", .default_value = int64_t{0}}},
      .meaning = grid_sample_meaning,
      .onnx = {{.op = "GridSample", .since = 16, .import = import_grid_sample_16},
               {.op = "GridSample", .since = 20}},
      .samples = {sample({{1, 2, 4, 3}, {1, 2, 5, 2}}),
                  sample({{1, 1, 3, 3}, {1, 2, 2, 2}}, cubic)},
  };
}

}  // namespace tessera::ops::records
