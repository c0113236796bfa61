// SPDX-License-Identifier: Apache-2.0
// Discrete Fourier transform along one axis.
#include <numbers>

#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

struct Transform {
  Size length;  ///< N
  Size terms;   ///< of the input along the axis that take part; what lacks up to N is zero
  bool inverse, onesided, complex;
  bool to_real() const { return inverse && onesided; }
};

// sin and cos of 2π m / n for 0 <= m < n. Both come from the sine of an angle in [0, π/2] that is
// reduced in integers, so that multiples of a quarter turn are exact.
struct UnitRoot {
  Expr sin, cos;
};
UnitRoot dft_root(MeaningBuilder& b, Expr m, const Size& length, DType type) {
  const Expr n = b.size(length);
  const auto sine = [&](Expr numerator, Expr denominator) {
    return ir::sin(std::numbers::pi * (ir::cast(numerator, type) / ir::cast(denominator, type)));
  };
  const auto negated = [](Expr condition, Expr value) { return select(condition, -value, value); };
  const Expr half = 2 * ir::min(m, n - m);       // angle π · half / n, in [0, π]
  const Expr quarter = ir::min(half, n - half);  // angle π · quarter / n, in [0, π/2]
  return {negated(n < 2 * m, sine(quarter, n)),
          negated(n < 2 * half, sine(n - 2 * quarter, 2 * n))};
}

// One component of Σ_t x_t e^(±2πi kt/N).
Expr dft_component(MeaningBuilder& b, const TensorArg& x, const Transform& f, Indices at, int axis,
                   bool imaginary) {
  const Expr k = at[axis];
  const DType type = x.type();
  const Expr sum = b.sum(f.terms, [&](Expr t) {
    const UnitRoot root = dft_root(b, ir::mod(k * t, f.length), f.length, type);
    const auto part = [&](int64_t which) {
      Indices source = at;
      source[axis] = t;
      source.back() = b.integer(which);
      return x(source);
    };
    const Expr c = root.cos, s = f.inverse ? root.sin : -root.sin;
    if (!f.complex) return part(0) * (imaginary ? s : c);
    const Expr term = imaginary ? part(1) * c + part(0) * s : part(0) * c - part(1) * s;
    if (!f.to_real()) return term;
    // The half that is not given mirrors this one, but for its ends.
    const Expr single = ir::eq(t, 0) || ir::eq(2 * t, b.size(f.length));
    return select(single, term, 2 * term);
  });
  return f.inverse ? sum / ir::cast(b.size(f.length), type) : sum;
}

void dft_meaning(MeaningBuilder& b) {
  const TensorArg x = b.in(0);
  check_domain(b, x.type(), Domain::floats);
  b.check(x.rank() >= 2, "x must have rank 2 or more, found {}", x.rank());
  const int axis = b.axis("axis", x.rank());
  b.check(axis != x.rank() - 1, "the last axis holds real and imaginary parts");
  const auto width = x.dim(-1).constant();
  b.check(width && (*width == 1 || *width == 2), "the last extent must be 1 or 2, found {}",
          x.dim(-1).to_string());
  const Dims length = b.dims("length");
  b.check(length.size() == 1, "length must be one size, found {}", length.size());
  b.require_at_least(length[0], 1, "length must be positive");
  Transform f{length[0], sym::min(length[0], x.dim(axis)), b.flag("inverse"), b.flag("onesided"),
              *width == 2};
  const Size half = sym::floor_div(f.length, 2) + Size(1);
  if (f.to_real()) f.terms = sym::min(half, x.dim(axis));
  Dims shape = x.shape();
  shape[axis] = f.onesided && !f.inverse ? half : f.length;
  shape.back() = f.to_real() ? 1 : 2;
  b.output(shape, [&](std::span<const Expr> i) {
    const Indices at(i.begin(), i.end());
    const Expr real = dft_component(b, x, f, at, axis, false);
    if (f.to_real()) return real;
    return select(ir::eq(at.back(), 0), real, dft_component(b, x, f, at, axis, true));
  });
}

std::vector<Val> import_dft(OnnxImport& c, int64_t stated_axis) {
  const Val x = c.input(0);
  const bool inverse = c.attr_int("inverse", 0) != 0, onesided = c.attr_int("onesided", 0) != 0;
  const int axis = normalize_axis(stated_axis, x.rank(), "DFT: axis");
  ir::Dims length{x.dim(axis)};
  if (inverse && onesided) length[0] = sym::Expr(2) * (length[0] - sym::Expr(1));
  if (c.has_input(1)) length = c.dims(1);
  return {c.op("dft", {x},
               {{"axis", int64_t{axis}},
                {"length", length},
                {"inverse", int64_t{inverse}},
                {"onesided", int64_t{onesided}}})};
}

void export_dft(OnnxExport& c) {
  const ir::Dims dims = c.attr_dims("length");
  const std::string scalar = c.constant(Tensor::from_integers(std::vector<int64_t>{}, {0}));
  const std::string length = c.emit("Reshape", {c.dims(dims), scalar})[0];
  ir::AttrMap attrs{{"inverse", *c.attr("inverse")}, {"onesided", *c.attr("onesided")}};
  const auto axis = std::get<int64_t>(*c.attr("axis"));
  std::vector<std::string> inputs{c.input(0), length};
  if (c.opset() < 20) attrs.emplace("axis", axis);
  else inputs.push_back(c.constant(Tensor::from_integers(std::vector{axis}, {})));
  c.result(c.emit("DFT", inputs, std::move(attrs)));
}

std::vector<Val> import_dft_20(OnnxImport& c) {
  if (!c.has_input(2)) return import_dft(c, -2);
  const auto axis = c.integers(2);
  if (axis.size() != 1) c.fail("axis must hold one element");
  return import_dft(c, axis[0]);
}

}  // namespace

OpDef dft() {
  const auto attrs = [](int64_t length, int64_t inverse, int64_t onesided) {
    return ir::AttrMap{{"axis", int64_t{1}},
                       {"length", ir::Dims{length}},
                       {"inverse", inverse},
                       {"onesided", onesided}};
  };
  return {
      .name = "dft",
      .doc =
          "The Fourier transform of `length` terms along `axis`; the last axis holds real and "
          "imaginary parts. `onesided`: only the first half of the result, or of an `inverse` "
          "transform's argument, whose result is then real.",
      .inputs = {{"x"}},
      .attrs = {{.name = "axis"},
                {.name = "length", .kind = ir::AttrKind::dims},
                int_attr("inverse", 0),
                int_attr("onesided", 0)},
      .meaning = dft_meaning,
      .onnx = {{.op = "DFT",
                .since = 17,
                .import = [](OnnxImport& c) { return import_dft(c, c.attr_int("axis", 1)); },
                .export_ = export_dft},
               {.op = "DFT", .since = 20, .import = import_dft_20, .export_ = export_dft}},
      .samples = {sample({2, 5, 1}, DType::f32, attrs(5, 0, 1)),
                  sample({2, 4, 2}, DType::f32, attrs(6, 1, 0)),
                  sample({1, 4, 2}, DType::f32, attrs(6, 1, 1))},
  };
}

}  // namespace tessera::ops::records
