// SPDX-License-Identifier: Apache-2.0
// What all reductions over axes share: attributes, output shape, and the ONNX forms, in which
// `axes` moved from an attribute to an input.
#pragma once

#include <functional>

#include "ops/op_def.h"

namespace tessera::ops {

/// The axes that one instance reduces, and how input indices are made of output and bound ones.
struct ReducedAxes {
  int rank = 0;
  std::vector<int> axes;      ///< sorted
  std::vector<Size> extents;  ///< of `axes`
  bool keepdims = true;
  /// Input indices: `reduced` along the axes, `kept` (the output's) elsewhere.
  Indices index(std::span<const Expr> kept, std::span<const Expr> reduced) const;
};

using ReductionBody = std::function<Expr(MeaningBuilder&, const TensorArg&, const ReducedAxes&,
                                         std::span<const Expr> output_indices)>;

/// A record with attributes `axes` (ints; empty reduces all) and `keepdims`. `axes_input_since` is
/// the operator set in which ONNX made `axes` an input.
OpDef reduction_record(std::string name, std::string doc, std::string onnx_op, int axes_input_since,
                       ReductionBody body);

/// The ONNX forms of such a record: importing turns `noop_with_empty_axes` into an identity.
std::vector<OnnxForm> reduction_forms(const std::string& record, const std::string& onnx_op,
                                      int axes_input_since);

}  // namespace tessera::ops
