// SPDX-License-Identifier: Apache-2.0
// Borders around a tensor, or cut off.

#include "ops/op_def.h"

namespace tessera::ops::records {
namespace {

// One axis: `before` and `after` new elements around [cut, cut + core) of the input.
struct PadAxis {
  Size before, after, cut, core;
};

// Negative pads cut off before borders are made; symbolic ones are refused but in mode constant.
PadAxis pad_axis(MeaningBuilder& b, const Size& extent, const Size& begin, const Size& end,
                 bool constant_mode) {
  const auto cut = [&](const Size& pad) {
    if (!pad.is_constant() && !constant_mode)
      b.require_at_least(pad, Size(0), "a symbolic pad must not be negative");
    return pad.is_constant() && pad.constant_part() < 0 ? -pad : Size(0);
  };
  const Size cut_begin = cut(begin), cut_end = cut(end);
  return {begin + cut_begin, end + cut_end, cut_begin, extent - cut_begin - cut_end};
}

Expr pad_source(MeaningBuilder& b, const PadAxis& p, const std::string& mode, Expr i) {
  if (p.before == Size(0) && p.after == Size(0)) return i + p.cut;
  b.require_at_least(p.core, 1, "nothing is left to make a border of");
  const Expr at = i - p.before;
  if (mode == "edge") return ir::max(0, ir::min(at, p.core - Size(1))) + p.cut;
  // Borders of less than one period need no division.
  const auto fits = [&](const Size& border) {
    const auto spare = (p.core - Size(1) - border).constant();
    return spare && *spare >= 0;
  };
  const bool once = fits(p.before) && fits(p.after);
  if (mode == "wrap" && once)
    return select(at < 0, at + p.core, select(at < p.core, at, at - p.core)) + p.cut;
  if (mode == "wrap") return ir::mod(at, p.core) + p.cut;
  const Expr last = b.size(p.core - Size(1));
  if (once) return last - ir::abs(last - ir::abs(at)) + p.cut;
  // Reflection has the period 2·(n − 1); for n = 1 modulo 0 gives the only element.
  const Size period = Size(2) * (p.core - Size(1));
  const Expr phase = ir::mod(at, period);
  return ir::min(phase, period - phase) + p.cut;
}

void pad_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  const std::string& mode = b.string("mode");
  const bool constant = mode == "constant";
  b.check(constant || mode == "edge" || mode == "reflect" || mode == "wrap", "mode = '{}'", mode);
  const Dims pads = b.dims("pads");
  const size_t rank = x.shape().size();
  b.check(pads.size() == 2 * rank, "{} pads for rank {}", pads.size(), rank);
  b.common_type();
  if (b.has(1))
    for (const Size& d : b.in(1).shape()) b.require_equal(d, 1, "the value must be a scalar");
  Dims shape;
  std::vector<PadAxis> axes;
  for (size_t a = 0; a < rank; ++a) {
    shape.push_back(x.shape()[a] + pads[a] + pads[rank + a]);
    axes.push_back(pad_axis(b, x.shape()[a], pads[a], pads[rank + a], constant));
  }
  b.output(shape, [&](std::span<const Expr> i) {
    Indices source;
    Expr inside = b.literal(1, DType::boolean);
    for (size_t a = 0; a < rank; ++a) {
      const PadAxis& p = axes[a];
      if (!constant) {
        source.push_back(pad_source(b, p, mode, i[a]));
        continue;
      }
      source.push_back(i[a] - pads[a]);
      if (p.before != Size(0)) inside = inside && 0 <= source.back();
      if (p.after != Size(0)) inside = inside && source.back() < x.shape()[a];
    }
    const Expr border =
        b.has(1) ? b.in(1)(Indices(b.in(1).shape().size(), b.integer(0))) : b.literal(0, x.type());
    return select(inside, x(source), border);
  });
}

std::vector<Val> import_pad_2(OnnxImport& c) {
  const Val x = c.input(0);
  const Val value =
      c.has_attr("value") ? c.builder().scalar(c.attr_float("value", 0), x.dtype()) : Val{};
  return {c.op("pad", {x, value},
               {{"pads", c.attr_ints("pads", {})}, {"mode", c.attr_string("mode", "constant")}})};
}

std::vector<Val> import_pad_11(OnnxImport& c) {
  const Val x = c.input(0);
  ir::Dims given = c.dims(1);
  if (c.has_input(3)) {
    const std::vector<int64_t> axes = c.integers(3);
    const size_t rank = static_cast<size_t>(x.rank());
    ir::Dims pads(2 * rank, 0);
    if (given.size() != 2 * axes.size()) c.fail("pads and axes differ in length");
    for (size_t k = 0; k < axes.size(); ++k) {
      const auto axis = static_cast<size_t>(normalize_axis(axes[k], x.rank(), "Pad: axes"));
      pads[axis] = given[k];
      pads[rank + axis] = given[axes.size() + k];
    }
    given = pads;
  }
  return {c.op("pad", {x, c.has_input(2) ? c.input(2) : Val{}},
               {{"pads", given}, {"mode", c.attr_string("mode", "constant")}})};
}

void export_pad(OnnxExport& c) {
  const ir::Dims pads = c.attr_dims("pads");
  if (c.opset() < 11) c.unsupported("pads that are inputs need operator set 11");
  if (std::get<std::string>(*c.attr("mode")) == "wrap" && c.opset() < 19)
    c.unsupported("mode wrap needs operator set 19");
  std::vector<std::string> inputs{c.input(0), c.dims(pads)};
  if (c.has_input(1)) inputs.push_back(c.input(1));
  c.result(c.emit("Pad", inputs, {{"mode", *c.attr("mode")}}));
}

}  // namespace

OpDef pad() {
  const auto attrs = [](const char* mode, std::vector<int64_t> pads) {
    return ir::AttrMap{{"mode", std::string(mode)}, {"pads", std::move(pads)}};
  };
  const ir::ValueType x{DType::f32, {3, 4}}, value{DType::f32, {}};
  return {
      .name = "pad",
      .doc =
          "x with a border of pads = [begins…, ends…] elements: the value (default 0), or by "
          "`mode` the nearest (edge), mirrored (reflect) or periodic (wrap) element; negative "
          "pads cut off.",
      .inputs = {{"x"}, {.name = "value", .optional = true}},
      .attrs = {{.name = "pads", .kind = ir::AttrKind::dims},
                {.name = "mode",
                 .kind = ir::AttrKind::string,
                 .default_value = std::string("constant")}},
      .meaning = pad_meaning,
      .onnx = {{.op = "Pad", .since = 2, .import = import_pad_2, .export_ = export_pad},
               {.op = "Pad", .since = 11, .import = import_pad_11, .export_ = export_pad}},
      .samples = {{{x, value}, attrs("constant", {1, 0, 0, 2})},
                  {{x}, attrs("constant", {-1, 2, 0, -2})},
                  {{x}, attrs("edge", {1, 2, 3, 1})},
                  {{x}, attrs("reflect", {2, -1, 1, 3})},
                  {{x}, attrs("wrap", {4, 0, 5, -1})}},
  };
}

}  // namespace tessera::ops::records
