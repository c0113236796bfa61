// SPDX-License-Identifier: Apache-2.0
// What the quantization records share: which scale belongs to an element, and saturation.
#pragma once

#include <string>
#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

/// Element of a scale or zero point that belongs to element `i` of a tensor of rank `rank`: one for
/// all, one for each index of `axis`, or one for each block of `block` indices of `axis`.
inline Expr quantization_parameter(MeaningBuilder& b, const TensorArg& p, std::span<const Expr> i,
                                   const Dims& shape, int64_t axis, int64_t block) {
  if (p.rank() == 0) return p(Indices{});
  if (p.rank() == 1 && p.dim(0) == Size(1)) return p(b.integer(0));
  const int at = normalize_axis(axis, static_cast<int>(shape.size()), "quantization: axis");
  if (block == 0) {
    b.check(p.rank() == 1, "a scale of rank {} without block_size", p.rank());
    b.require_equal(p.dim(0), shape[at], "the scale does not fit the axis");
    return p(i[at]);
  }
  b.check(p.rank() == static_cast<int>(shape.size()) && block > 0,
          "a blocked scale of rank {} for rank {}", p.rank(), shape.size());
  Indices index(i.begin(), i.end());
  for (int k = 0; k < p.rank(); ++k)
    b.require_equal(p.dim(k), k == at ? sym::ceil_div(shape[k], block) : shape[k],
                    "the blocked scale does not fit");
  index[at] = floor_div(i[at], block);
  return p(index);
}

/// A node of ONNX's QuantizeLinear or DequantizeLinear as one of `op`.
inline std::vector<Val> import_linear_quantization(OnnxImport& c, const std::string& op) {
  ir::AttrMap attrs{{"axis", c.attr_int("axis", 1)}};
  if (const int64_t block = c.attr_int("block_size", 0); block != 0)
    attrs.emplace("block_size", block);
  if (const int64_t type = c.attr_int("output_dtype", 0); type != 0)
    attrs.emplace("to", c.dtype_of(type));
  std::vector<Val> inputs{c.input(0), c.input(1)};
  if (c.has_input(2)) inputs.push_back(c.input(2));
  return {c.op(op, inputs, attrs)};
}

/// Clamps a float to the range of an integer type of up to 32 bits and converts.
inline Expr saturate(MeaningBuilder& b, Expr value, DType to) {
  b.check(is_integer(to) && bit_width(to) <= 32, "cannot quantize to {}", to_string(to));
  return cast(
      max(min(value, static_cast<double>(max_integer(to))), static_cast<double>(min_integer(to))),
      to);
}

/// round(x) + zero_point, saturated to the zero point's type; for decompositions, x in f32.
inline Val requantize(Decomposition& d, Val x, Val zero_point) {
  const DType to = zero_point.dtype();
  const Val shifted = d.op("round", {x}) + cast(zero_point, x.dtype());
  const Val low = d.scalar(static_cast<double>(min_integer(to)), x.dtype());
  const Val high = d.scalar(static_cast<double>(max_integer(to)), x.dtype());
  return cast(d.op("min", {d.op("max", {shifted, low}), high}), to);
}

/// A scale or zero point along one axis, shaped to broadcast: [n] becomes [n, 1, …] with
/// `trailing` ones. Scalars and other shapes stay.
inline Val along_axis(Val p, int trailing) {
  if (p.rank() != 1) return p;
  ir::Dims shape(static_cast<size_t>(trailing) + 1, sym::Expr(1));
  shape[0] = p.dim(0);
  return reshape(p, shape);
}

}  // namespace tessera::ops
