// SPDX-License-Identifier: Apache-2.0
// Shared parts of the reduction records.
#include "ops/reduce_form.h"

#include <numeric>

#include "base/check.h"

namespace tessera::ops {

Indices ReducedAxes::index(std::span<const Expr> kept, std::span<const Expr> reduced) const {
  Indices result;
  size_t next_kept = 0, next_reduced = 0;
  for (int axis = 0; axis < rank; ++axis) {
    const bool is_reduced = next_reduced < axes.size() && axes[next_reduced] == axis;
    if (is_reduced) {
      result.push_back(reduced[next_reduced++]);
      if (keepdims) ++next_kept;
    } else {
      result.push_back(kept[next_kept++]);
    }
  }
  return result;
}

std::vector<OnnxForm> reduction_forms(const std::string& record, const std::string& onnx_op,
                                      int axes_input_since) {
  const auto import_with = [record](OnnxImport& c, std::vector<int64_t> axes,
                                    bool keep_if_empty) -> std::vector<Val> {
    if (axes.empty() && keep_if_empty) return {c.op("identity", {c.input(0)})};
    return {c.op(record, {c.input(0)},
                 {{"axes", std::move(axes)}, {"keepdims", c.attr_int("keepdims", 1)}})};
  };
  OnnxForm attribute_form;
  attribute_form.op = onnx_op;
  attribute_form.import = [import_with](OnnxImport& c) {
    return import_with(c, c.attr_ints("axes", {}), false);
  };
  attribute_form.export_ = [onnx_op](OnnxExport& c) {
    ir::AttrMap attrs{{"keepdims", *c.attr("keepdims")}};
    const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
    if (!axes.empty()) attrs.emplace("axes", axes);
    c.result(c.emit(onnx_op, {c.input(0)}, attrs));
  };
  OnnxForm input_form;
  input_form.op = onnx_op;
  input_form.since = axes_input_since;
  input_form.import = [import_with](OnnxImport& c) {
    return import_with(c, c.has_input(1) ? c.integers(1) : std::vector<int64_t>{},
                       c.attr_int("noop_with_empty_axes", 0) != 0);
  };
  input_form.export_ = [onnx_op](OnnxExport& c) {
    std::vector<std::string> inputs{c.input(0)};
    const auto& axes = std::get<std::vector<int64_t>>(*c.attr("axes"));
    if (!axes.empty())
      inputs.push_back(
          c.constant(Tensor::from_integers(axes, {static_cast<int64_t>(axes.size())})));
    c.result(c.emit(onnx_op, inputs, {{"keepdims", *c.attr("keepdims")}}));
  };
  return {attribute_form, input_form};
}

OpDef reduction_record(std::string name, std::string doc, std::string onnx_op, int axes_input_since,
                       ReductionBody body) {
  OpDef def;
  def.name = name;
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = {
      {.name = "axes", .kind = ir::AttrKind::integers, .default_value = std::vector<int64_t>{}},
      {.name = "keepdims", .default_value = int64_t{1}}};
  def.meaning = [body = std::move(body)](MeaningBuilder& b) {
    const TensorArg x = b.in(0);
    ReducedAxes reduced;
    reduced.rank = x.rank();
    reduced.axes = b.axes("axes", x.rank());
    reduced.keepdims = b.flag("keepdims");
    if (reduced.axes.empty()) {
      reduced.axes.resize(x.rank());
      std::iota(reduced.axes.begin(), reduced.axes.end(), 0);
    }
    Dims shape;
    for (int axis = 0; axis < x.rank(); ++axis) {
      const bool is_reduced =
          std::find(reduced.axes.begin(), reduced.axes.end(), axis) != reduced.axes.end();
      if (is_reduced) reduced.extents.push_back(x.dim(axis));
      if (!is_reduced) shape.push_back(x.dim(axis));
      else if (reduced.keepdims) shape.push_back(1);
    }
    b.output(shape, [&](std::span<const Expr> i) { return body(b, x, reduced, i); });
  };
  def.onnx = reduction_forms(name, onnx_op, axes_input_since);
  const std::vector<int64_t> last{-1}, first{0};
  def.samples = {sample({3, 5}), sample({2, 3, 4}, DType::f32, {{"axes", last}}),
                 sample({3, 4}, DType::f32, {{"axes", first}, {"keepdims", int64_t{0}}})};
  return def;
}

}  // namespace tessera::ops
