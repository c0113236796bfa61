// SPDX-License-Identifier: Apache-2.0
// Regions of images pooled to one size with interpolation.
#include "ops/pool_form.h"

namespace tessera::ops::records {
namespace {

struct RoiAlign {
  MeaningBuilder& b;
  TensorArg x, rois, batch;
  double scale, shift;
  int64_t ratio;
  bool half_pixel;
  Size pooled[2];  // rows, columns

  DType type() const { return x.type(); }
  Expr start(Expr roi, int axis) { return rois(roi, b.integer(1 - axis)) * scale - shift; }
  // Extent of a region along an axis (0: rows); without half pixels at least one.
  Expr span(Expr roi, int axis) {
    const Expr extent = rois(roi, b.integer(3 - axis)) * scale - shift - start(roi, axis);
    return half_pixel ? extent : max(extent, 1);
  }
  Expr bin(Expr roi, int axis) { return span(roi, axis) / cast(b.size(pooled[axis]), type()); }
  Expr samples(Expr roi, int axis) {
    if (ratio > 0) return b.integer(ratio);
    return cast(ir::ceil(bin(roi, axis)), DType::i64);
  }
  Expr position(std::span<const Expr> o, int axis, Expr sample) {
    const Expr inside = (cast(sample, type()) + 0.5) / cast(samples(o[0], axis), type());
    return start(o[0], axis) + (cast(o[axis + 2], type()) + inside) * bin(o[0], axis);
  }

  // The interpolated value at a sample: `join` combines the four weighted neighbours. Positions
  // more than one beyond the image give 0, nearer ones the border.
  Expr value(std::span<const Expr> o, std::span<const Expr> s, bool largest) {
    std::optional<Expr> inside;
    Expr low[2], high[2], fraction[2];
    for (int axis = 0; axis < 2; ++axis) {
      const Expr at = position(o, axis, s[axis]);
      const Expr extent = cast(b.size(x.dim(axis + 2)), type());
      const Expr within = b.literal(-1, type()) <= at && at <= extent;
      inside = inside ? (*inside && within) : within;
      const Expr clamped = min(max(at, 0), extent - 1);
      const Expr floor = ir::floor(clamped);
      fraction[axis] = clamped - floor;
      low[axis] = cast(floor, DType::i64);
      high[axis] = min(low[axis] + 1, x.dim(axis + 2) - 1);
    }
    const Expr image = cast(batch(o[0]), DType::i64), zero = b.literal(0, type());
    const auto corner = [&](bool down, bool right) {
      const Expr wy = down ? fraction[0] : 1.0 - fraction[0];
      const Expr wx = right ? fraction[1] : 1.0 - fraction[1];
      return wy * wx * x(image, o[1], down ? high[0] : low[0], right ? high[1] : low[1]);
    };
    const Expr a = corner(false, false), c = corner(false, true), d = corner(true, false),
               e = corner(true, true);
    return ir::select(*inside, largest ? max(max(a, c), max(d, e)) : a + c + d + e, zero);
  }
};

void roi_align_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0), rois = b.in(1), batch = b.in(2);
  b.check(x.rank() == 4 && rois.rank() == 2 && batch.rank() == 1 && x.type() == rois.type() &&
              is_float(x.type()),
          "operands of ranks {}, {} and {}", x.rank(), rois.rank(), batch.rank());
  b.require_equal(rois.dim(1), 4, "regions must have four coordinates");
  b.require_equal(rois.dim(0), batch.dim(0), "regions and batch indices differ in number");
  const bool half = b.string("coordinate_transformation_mode") == "half_pixel";
  RoiAlign r{b,
             x,
             rois,
             batch,
             b.real("spatial_scale"),
             half ? 0.5 : 0.0,
             b.integer("sampling_ratio"),
             half,
             {Size(b.integer("output_height")), Size(b.integer("output_width"))}};
  const std::string mode = b.string("mode");
  b.check(mode == "avg" || mode == "max", "unknown mode '{}'", mode);
  b.output({rois.dim(0), x.dim(1), r.pooled[0], r.pooled[1]}, [&](std::span<const Expr> o) {
    const Expr rows = r.samples(o[0], 0), columns = r.samples(o[0], 1);
    const bool largest = mode == "max";
    const auto reduction = largest ? ir::Reduction::max : ir::Reduction::sum;
    const Expr total = b.reduce(reduction, rows, [&](Expr i) {
      return b.reduce(reduction, columns, [&](Expr j) {
        return r.value(o, std::array{i, j}, largest);
      });
    });
    const Expr count = rows * columns;
    if (largest) return ir::select(count < b.integer(1), literal_like(total, 0), total);
    return total / cast(max(count, 1), x.type());
  });
}

std::vector<Val> import_roi_align(OnnxImport& c) {
  const std::string old = c.opset() < 16 ? "output_half_pixel" : "half_pixel";
  return {c.op(
      "roi_align", {c.input(0), c.input(1), c.input(2)},
      {{"coordinate_transformation_mode", c.attr_string("coordinate_transformation_mode", old)},
       {"mode", c.attr_string("mode", "avg")},
       {"output_height", c.attr_int("output_height", 1)},
       {"output_width", c.attr_int("output_width", 1)},
       {"sampling_ratio", c.attr_int("sampling_ratio", 0)},
       {"spatial_scale", c.attr_float("spatial_scale", 1)}})};
}

void export_roi_align(OnnxExport& c) {
  ir::AttrMap attrs = c.node().attrs;
  const std::string transform = std::get<std::string>(*c.attr("coordinate_transformation_mode"));
  if (c.opset() < 16) {
    if (transform != "output_half_pixel") c.unsupported("half_pixel needs operator set 16");
    attrs.erase("coordinate_transformation_mode");
  }
  c.result(c.emit("RoiAlign", export_inputs(c), attrs));
}

}  // namespace

OpDef roi_align() {
  const ir::ValueType x{DType::f32, {1, 2, 6, 6}}, rois{DType::f32, {2, 4}}, batch{DType::i64, {2}};
  const auto text = [](const char* name, const char* value) {
    return AttrDef{.name = name, .kind = ir::AttrKind::string, .default_value = std::string(value)};
  };
  return {
      .name = "roi_align",
      .doc = "Mean or maximum of interpolated samples in the bins of regions (He et al., 2017).",
      .inputs = {{"x"}, {"rois"}, {"batch_indices"}},
      .attrs = {text("coordinate_transformation_mode", "half_pixel"),
                text("mode", "avg"),
                {.name = "output_height", .default_value = int64_t{1}},
                {.name = "output_width", .default_value = int64_t{1}},
                {.name = "sampling_ratio", .default_value = int64_t{0}},
                {.name = "spatial_scale", .kind = ir::AttrKind::real, .default_value = 1.0}},
      .meaning = roi_align_meaning,
      .onnx = {{.op = "RoiAlign",
                .since = 10,
                .import = import_roi_align,
                .export_ = export_roi_align}},
      .samples = {{{x, rois, batch},
                   {{"output_height", int64_t{2}},
                    {"output_width", int64_t{2}},
                    {"sampling_ratio", int64_t{2}}}}},
  };
}

}  // namespace tessera::ops::records
