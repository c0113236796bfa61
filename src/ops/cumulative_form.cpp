// SPDX-License-Identifier: Apache-2.0
// Shared parts of the cumulative records.
#include "ops/cumulative_form.h"

#include "ops/elementwise_form.h"

namespace tessera::ops {
namespace {

void meaning(MeaningBuilder& b, ir::Reduction reduction) {
  const TensorArg x = b.in(0);
  check_domain(b, x.type(), Domain::numbers);
  const int axis = b.axis("axis", x.rank());
  const bool exclusive = b.flag("exclusive"), reverse = b.flag("reverse");
  b.output(x.shape(), [&](std::span<const Expr> i) {
    const Expr before = reverse ? x.dim(axis) - 1 - i[axis] : i[axis];
    const Expr extent = exclusive ? before : before + 1;
    return b.reduce(reduction, extent, [&](Expr r) {
      Indices source(i.begin(), i.end());
      source[axis] = reverse ? x.dim(axis) - 1 - r : r;
      return x(source);
    });
  });
}

}  // namespace

OpDef cumulative_record(std::string name, std::string doc, std::string onnx_op, int since,
                        ir::Reduction reduction) {
  OpDef def;
  def.name = name;
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = {{.name = "axis"}, int_attr("exclusive", 0), int_attr("reverse", 0)};
  def.meaning = [reduction](MeaningBuilder& b) { meaning(b, reduction); };
  OnnxForm form{.op = onnx_op, .since = since};
  form.import = [name](OnnxImport& c) -> std::vector<Val> {
    const auto axis = c.integers(1);
    if (axis.size() != 1) c.fail("axis must hold one element");
    return {c.op(name, {c.input(0)},
                 {{"axis", axis[0]},
                  {"exclusive", c.attr_int("exclusive", 0)},
                  {"reverse", c.attr_int("reverse", 0)}})};
  };
  form.export_ = [onnx_op](OnnxExport& c) {
    const std::vector<int64_t> axis{std::get<int64_t>(*c.attr("axis"))};
    c.result(c.emit(onnx_op, {c.input(0), c.constant(Tensor::from_integers(axis, {}))},
                    {{"exclusive", *c.attr("exclusive")}, {"reverse", *c.attr("reverse")}}));
  };
  def.onnx = {form};
  const int64_t one = 1;
  def.samples = {
      sample({5}, DType::f32, {{"axis", int64_t{0}}}),
      sample({2, 3}, DType::f16, {{"axis", int64_t{-1}}, {"exclusive", one}}),
      sample({3, 2}, DType::i32, {{"axis", int64_t{0}}, {"reverse", one}}),
      sample({3, 2}, DType::f32, {{"axis", int64_t{0}}, {"reverse", one}, {"exclusive", one}})};
  return def;
}

}  // namespace tessera::ops
