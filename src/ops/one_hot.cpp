// SPDX-License-Identifier: Apache-2.0
// Indices as one-hot vectors.
#include "ops/elementwise_form.h"

namespace tessera::ops::records {
namespace {

void one_hot_meaning(MeaningBuilder& b) {
  const TensorArg indices = b.in(0), values = b.in(1);
  check_domain(b, indices.type(), Domain::numbers);
  b.check(values.rank() == 1, "values must be [off, on], found rank {}", values.rank());
  b.require_equal(values.dim(0), 2, "values must be [off, on]");
  const int axis = b.axis("axis", indices.rank() + 1);
  const Dims depth = b.dims("depth");
  b.check(depth.size() == 1, "depth must be one size, found {}", depth.size());
  Dims shape = indices.shape();
  shape.insert(shape.begin() + axis, depth[0]);
  b.output(shape, [&](std::span<const Expr> i) {
    Indices at(i.begin(), i.end());
    at.erase(at.begin() + axis);
    const Expr index = ir::cast(indices(at), DType::i64);
    const Expr position = select(index < 0, index + depth[0], index);
    return select(ir::eq(position, i[axis]), values(b.integer(1)), values(b.integer(0)));
  });
}

// The depth may have any number type; only a symbolic one must be an integer.
std::vector<Val> import_one_hot(OnnxImport& c) {
  ir::Dims depth;
  if (is_float(c.input(1).dtype())) {
    const Tensor value = c.value(1).converted(DType::f64);
    if (value.size() != 1) c.fail("the depth must be one number");
    depth = {float_to_integer(value.float_at(0), DType::i64)};
  } else {
    depth = c.dims(1);
  }
  return {c.op("one_hot", {c.input(0), c.input(2)},
               {{"depth", depth}, {"axis", c.attr_int("axis", -1)}})};
}

void export_one_hot(OnnxExport& c) {
  const ir::Dims depth = c.attr_dims("depth");
  c.result(c.emit("OneHot", {c.input(0), c.dims(depth), c.input(1)}, {{"axis", *c.attr("axis")}}));
}

}  // namespace

OpDef one_hot() {
  const ir::ValueType values{DType::f32, {2}};
  return {
      .name = "one_hot",
      .doc =
          "A new `axis` of extent `depth` holding values[1] where its index equals that of the "
          "input, else values[0]; negative indices count from the end.",
      .inputs = {{"indices"}, {"values"}},
      .attrs = {{.name = "depth", .kind = ir::AttrKind::dims}, int_attr("axis", -1)},
      .meaning = one_hot_meaning,
      .onnx = {{.op = "OneHot", .since = 9, .import = import_one_hot, .export_ = export_one_hot}},
      .samples = {{{{DType::i64, {2, 3}}, values}, {{"depth", ir::Dims{4}}}},
                  {{{DType::f32, {3}}, values}, {{"depth", ir::Dims{3}}, {"axis", int64_t{0}}}}},
  };
}

}  // namespace tessera::ops::records
