// SPDX-License-Identifier: Apache-2.0
// Where an element of a resized axis lies in the original: ONNX's coordinate transformations.
#pragma once

#include <cmath>
#include <string>

#include "ops/meaning_builder.h"

namespace tessera::ops {

/// One axis of extent `in` that becomes `out`.
struct ResizeAxis {
  MeaningBuilder& b;
  Size in, out;
  double scale;  // 0: out / in
  std::string transform;

  Expr real(double value) { return b.literal(value, DType::f64); }
  Expr in_real() { return cast(b.size(in), DType::f64); }
  Expr scale_real() { return scale != 0 ? real(scale) : cast(b.size(out), DType::f64) / in_real(); }
  /// The extent that the scale asks for, before it was rounded.
  Expr out_real() { return scale != 0 ? in_real() * scale : cast(b.size(out), DType::f64); }
  /// The integer k with out = k · in and scale = k, or 0.
  int64_t multiple() const {
    const auto known_in = in.constant(), known_out = out.constant();
    if (scale >= 1 && scale < 0x1p31 && scale == std::floor(scale) &&
        out == in * static_cast<int64_t>(scale))
      return static_cast<int64_t>(scale);
    const bool exact = scale == 0 && known_in && known_out && *known_in > 0;
    return exact && *known_out % *known_in == 0 ? *known_out / *known_in : 0;
  }

  /// The position in the input, in f64, of output index o.
  Expr position(Expr index) {
    const Expr o = cast(index, DType::f64);
    if (transform == "asymmetric") return o / scale_real();
    const Expr one_pixel = eq(out_real(), 1);
    if (transform == "align_corners")
      return ir::select(one_pixel, real(0), o * (in_real() - 1) / (out_real() - 1));
    const Expr half_pixel = (o + 0.5) / scale_real() - 0.5;
    if (transform == "pytorch_half_pixel") return ir::select(one_pixel, real(-0.5), half_pixel);
    if (transform == "half_pixel_symmetric") {
      if (scale == 0) return half_pixel;
      return (in_real() - cast(b.size(out), DType::f64) / scale_real()) / 2 + half_pixel;
    }
    if (transform == "tf_crop_and_resize") {
      const double begin = b.real("roi_begin"), end = b.real("roi_end");
      const Expr span = (in_real() - 1) * (end - begin);
      return ir::select(one_pixel, span / 2, o * span / (out_real() - 1)) + (in_real() - 1) * begin;
    }
    b.check(transform == "half_pixel", "unknown coordinate transformation '{}'", transform);
    return half_pixel;
  }
  Expr clamped(Expr index) { return max(min(index, in - 1), 0); }
};

}  // namespace tessera::ops
