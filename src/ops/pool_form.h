// SPDX-License-Identifier: Apache-2.0
// What convolutions and poolings share: the arithmetic of windows that slide over spatial axes, its
// attributes, and the resolution of ONNX's auto_pad into explicit pads.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ops/op_def.h"

namespace tessera::ops {

/// Windows over `rank` spatial axes. Along an axis, element k of window o lies at
/// o * stride + k * dilation - pad_begin of the input. Models state numbers; proofs state sizes.
struct Windows {
  std::vector<Size> input, kernel;
  std::vector<Size> strides, dilations, begin, end;
  bool ceil = false;

  int rank() const { return static_cast<int>(input.size()); }
  /// Number of windows along an axis. With `ceil`, a last partial window counts if it starts
  /// inside the input or its leading padding.
  Size count(int axis) const;
  std::vector<Size> counts() const;
  Expr position(int axis, Expr window, Expr element) const;
  /// Whether positions may lie outside the input; then reads need a guard.
  bool may_leave(int axis) const;
  /// `inside` if all positions are within the input, else `outside`; plain when nothing can leave.
  Expr guarded(MeaningBuilder& b, std::span<const Expr> positions, Expr inside, Expr outside) const;
  /// Elements of a window that lie within [-before, input + after) along an axis.
  Expr elements_within(int axis, Expr window, const Size& before, const Size& after) const;
};

/// Reads strides, dilations, pads and ceil_mode (where the record has them).
Windows windows_of(MeaningBuilder& b, std::vector<Size> input, std::vector<Size> kernel);

/// The attributes of windows_of(); an empty list means ones (strides, dilations) or zeros (pads).
std::vector<AttrDef> window_attrs();

/// Windows of attribute `kernel_shape` over the spatial axes of x[N, C, …].
Windows pool_windows(MeaningBuilder& b, const TensorArg& x);
/// [N, C, windows along each spatial axis…].
Dims pool_shape(const TensorArg& x, const Windows& windows);
/// The elements of the window that output element `i` stands for, each as `of(element)`, combined;
/// `outside` stands for padding.
Expr combine_window(MeaningBuilder& b, const TensorArg& x, const Windows& windows,
                    std::span<const Expr> i, ir::Reduction reduction, Expr outside,
                    const std::function<Expr(Expr)>& of = nullptr);
/// The attributes of pool_windows().
std::vector<AttrDef> pool_attrs();
/// The attributes of an ONNX node as those of pool_windows().
ir::AttrMap import_pool(OnnxImport& c);
/// Attributes of the convolution of input 0 with weights (M, C/group, kernel…) in input `weights`.
ir::AttrMap import_convolution(OnnxImport& c, int weights);
/// All inputs of an ONNX node, none of which may be absent in between.
std::vector<Val> all_inputs(OnnxImport& c);

/// Attributes strides, dilations and pads of an ONNX node with auto_pad resolved. `input` are the
/// spatial extents.
ir::AttrMap import_windows(OnnxImport& c, const ir::Dims& input,
                           const std::vector<int64_t>& kernel);

/// An attribute that ONNX's operator has only since a version.
struct AttrSince {
  const char* name;
  int opset;
};
/// Exports the node as `op` with its inputs and the attributes it states; refuses attributes that
/// the operator set does not have yet.
void export_as(OnnxExport& c, const std::string& op, std::initializer_list<AttrSince> newer = {});
/// The names of a node's inputs without absent ones at the end.
std::vector<std::string> export_inputs(OnnxExport& c);

}  // namespace tessera::ops
