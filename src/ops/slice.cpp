// SPDX-License-Identifier: Apache-2.0
// Ranges with steps along axes.
#include <limits>
#include <numeric>

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// Models write 10^9, 2^31 − 1 or 2^63 − 1 for "to the end".
constexpr int64_t slice_far = 1'000'000'000;

// A bound counted from 0 and clamped to [low, high]. Where a symbolic size leaves the clamping
// undecided, the bound is required to lie inside, so that shapes stay simple.
Size slice_bound(MeaningBuilder& b, Size bound, const Size& extent, const Size& low,
                 const Size& high) {
  const auto number = bound.constant();
  if (number && *number >= slice_far && !extent.is_constant()) return high;
  if (number && *number <= -slice_far && !extent.is_constant()) return low;
  if (number && *number < 0) {
    if (*number < -std::numeric_limits<int64_t>::max() / 2) return low;
    bound = bound + extent;
  }
  const auto above = (high - bound).constant();
  if (above && *above < 0) return high;
  const auto below = (bound - low).constant();
  if (below && *below < 0) return low;
  if (!below) b.require_at_least(bound, low, "a symbolic slice bound must not be negative");
  if (!above) b.require_at_least(high, bound, "a symbolic slice bound must lie inside the axis");
  return bound;
}

void slice_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const Dims starts = b.dims("starts"), ends = b.dims("ends");
  std::vector<int64_t> axes = b.integers("axes");
  Dims steps = b.dims("steps");
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.assign(axes.size(), Size(1));
  b.check(axes.size() == starts.size() && axes.size() == ends.size() && axes.size() == steps.size(),
          "{} axes, {} starts, {} ends and {} steps", axes.size(), starts.size(), ends.size(),
          steps.size());
  b.axes("axes", x.rank());  // inside the rank and distinct
  Dims shape = x.shape();
  std::vector<Size> first(x.shape().size(), Size(0));
  std::vector<Size> stride(x.shape().size(), Size(1));
  for (size_t k = 0; k < axes.size(); ++k) {
    const int axis = normalize_axis(axes[k], x.rank(), "slice: axes");
    const Size extent = x.dim(axis);
    const Size step = steps[k];
    const auto number = step.constant();
    b.check(number != 0 && number.value_or(1) > -slice_far * slice_far, "a step of {}",
            step.to_string());
    const bool down = number ? *number < 0 : step.terms()[0].coefficient < 0;
    const Size magnitude = down ? -step : step;  // a symbol counts up, its negation down
    b.require_at_least(magnitude, Size(1), "a symbolic step must not be 0");
    const Size high = down ? extent - Size(1) : extent;
    const Size begin = extent == Size(0) ? Size(0) : slice_bound(b, starts[k], extent, 0, high);
    const Size end =
        extent == Size(0) ? Size(0) : slice_bound(b, ends[k], extent, down ? -1 : 0, high);
    const Size length = down ? begin - end : end - begin;
    first[axis] = begin;
    stride[axis] = step;
    if (length.is_constant() && length.constant_part() <= 0) {
      shape[axis] = 0;
      continue;
    }
    if (!length.is_constant())
      b.require_at_least(length, Size(0), "a symbolic slice ends before it starts");
    const bool one =
        length.is_constant() && number && magnitude.constant_part() >= length.constant_part();
    shape[axis] = one ? Size(1) : sym::ceil_div(length, magnitude);
  }
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source;
    for (size_t axis = 0; axis < i.size(); ++axis)
      source.push_back(i[axis] * stride[axis] + first[axis]);
    return x(source);
  });
}

std::vector<Val> import_slice_1(OnnxImport& c) {
  return {c.op("slice", {c.input(0)},
               {{"axes", c.attr_ints("axes", {})},
                {"starts", c.attr_ints("starts", {})},
                {"ends", c.attr_ints("ends", {})}})};
}

std::vector<Val> import_slice_10(OnnxImport& c) {
  ir::AttrMap attrs{{"starts", c.dims(1)}, {"ends", c.dims(2)}};
  if (c.has_input(3)) attrs.emplace("axes", c.integers(3));
  if (c.has_input(4)) attrs.emplace("steps", c.integers(4));
  return {c.op("slice", {c.input(0)}, std::move(attrs))};
}

void export_slice_1(OnnxExport& c) {
  const ir::Dims steps = c.attr_dims("steps");
  for (const sym::Expr& s : steps)
    if (s != sym::Expr(1)) c.unsupported("steps need operator set 10");
  const auto starts = sym::constants(c.attr_dims("starts"));
  const auto ends = sym::constants(c.attr_dims("ends"));
  if (!starts || !ends) c.unsupported("symbolic bounds need operator set 10");
  ir::AttrMap attrs{{"starts", *starts}, {"ends", *ends}};
  const auto axes = sym::constants(c.attr_dims("axes"));
  if (!axes->empty()) attrs.emplace("axes", *axes);
  c.result(c.emit("Slice", {c.input(0)}, std::move(attrs)));
}

void export_slice_10(OnnxExport& c) {
  const ir::Dims axes = c.attr_dims("axes"), steps = c.attr_dims("steps");
  std::vector<std::string> inputs{c.input(0), c.dims(c.attr_dims("starts")),
                                  c.dims(c.attr_dims("ends"))};
  if (!axes.empty() || !steps.empty()) inputs.push_back(axes.empty() ? "" : c.dims(axes));
  if (!steps.empty()) inputs.push_back(c.dims(steps));
  c.result(c.emit("Slice", inputs));
}

}  // namespace

OpDef slice() {
  const std::vector<int64_t> none{};
  const auto attrs = [](std::vector<int64_t> axes, std::vector<int64_t> starts,
                        std::vector<int64_t> ends, std::vector<int64_t> steps) {
    return ir::AttrMap{{"axes", axes}, {"starts", starts}, {"ends", ends}, {"steps", steps}};
  };
  return {
      .name = "slice",
      .doc =
          "x[start : end : step] along `axes` (default: the first ones); negative bounds count "
          "from the end, bounds outside are clamped, steps may be negative.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axes", .kind = ir::AttrKind::integers, .default_value = none},
                {.name = "starts", .kind = ir::AttrKind::dims},
                {.name = "ends", .kind = ir::AttrKind::dims},
                {.name = "steps", .kind = ir::AttrKind::integers, .default_value = none}},
      .meaning = slice_meaning,
      .onnx = {{.op = "Slice", .import = import_slice_1, .export_ = export_slice_1},
               {.op = "Slice", .since = 10, .import = import_slice_10, .export_ = export_slice_10}},
      .samples = {sample({5, 6}, DType::f32, attrs({}, {1, 2}, {3, 100}, {})),
                  sample({5, 6}, DType::f32, attrs({-1}, {-1}, {-100}, {-2})),
                  sample({5, 6}, DType::i64, attrs({1, 0}, {0, -3}, {-1, -1}, {2, 1})),
                  sample({5, 6}, DType::f32, attrs({0}, {3}, {1}, {1}))},
  };
}

}  // namespace tessera::ops::records
