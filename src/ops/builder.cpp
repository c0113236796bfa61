// SPDX-License-Identifier: Apache-2.0
// Inference while building, and the arithmetic of Val.
#include "ops/builder.h"

#include <array>

#include "base/check.h"
#include "ops/registry.h"

namespace tessera::ops {

ir::ValueType Val::type() const {
  // A model that leaves out an input which an operator needs shows here.
  TESSERA_USER_CHECK(present(), "an input that the operator needs is missing");
  return builder->graph().type(value);
}

sym::Expr Val::dim(int axis) const {
  const ir::Dims dims = shape();
  const int r = static_cast<int>(dims.size());
  TESSERA_USER_CHECK(axis >= -r && axis < r, "axis {} of a value of rank {}", axis, r);
  return dims[axis < 0 ? axis + r : axis];
}

Val Builder::input(std::string name, ir::ValueType type) {
  return wrap(graph_.input(std::move(name), std::move(type)));
}

Val Builder::constant(Tensor tensor, std::string name) {
  return wrap(graph_.constant(std::move(tensor), std::move(name)));
}

Val Builder::scalar(double value, DType type) {
  Tensor tensor(type, {});
  if (is_float(type)) tensor.set_float(0, value);
  else tensor.set_integer(0, static_cast<int64_t>(value));
  return constant(std::move(tensor));
}

Val Builder::integers(std::span<const int64_t> values, DType type) {
  return constant(Tensor::from_integers(values, {static_cast<int64_t>(values.size())}, type));
}

std::vector<Val> Builder::op_n(std::string_view op, std::vector<Val> inputs, ir::AttrMap attrs,
                               std::vector<std::shared_ptr<const ir::Graph>> regions,
                               std::string name) {
  const OpDef& def = registry().get(op);
  ir::Node node;
  node.op = def.name;
  InputTypes types;
  std::vector<const Tensor*> values;
  for (const Val& v : inputs) {
    TESSERA_CHECK(!v.present() || v.builder == this, "{}: value of another builder", op);
    node.inputs.push_back(v.value);
    types.push_back(v.present() ? &graph().type(v.value) : nullptr);
    values.push_back(graph().constant(v.value));
  }
  try {
    check_signature(def, inputs.size(), attrs);
    node.outputs = infer(def, types, attrs, regions, values, &work_);
  } catch (const UserError& e) {
    if (name.empty()) throw;
    throw UserError(e.kind(), fmt::format("node '{}': {}", name, e.what()));
  }
  node.attrs = std::move(attrs);
  node.regions = std::move(regions);
  node.name = std::move(name);
  const auto count = static_cast<uint32_t>(node.outputs.size());
  const ir::NodeId id = graph_.add(std::move(node));
  std::vector<Val> results;
  for (uint32_t k = 0; k < count; ++k) results.push_back(wrap({id, k}));
  return results;
}

Val Builder::op(std::string_view op, std::vector<Val> inputs, ir::AttrMap attrs, std::string name) {
  return op_n(op, std::move(inputs), std::move(attrs), {}, std::move(name)).front();
}

namespace {

// A model that leaves out an input which an operator needs shows here, too.
Builder& builder_of(const Val& v) {
  TESSERA_USER_CHECK(v.present(), "an input that the operator needs is missing");
  return *v.builder;
}

}  // namespace

#define TESSERA_VAL_OPERATOR(symbol, name)                                                     \
  Val operator symbol(Val a, Val b) { return builder_of(a).op(name, {a, b}); }                 \
  Val operator symbol(Val a, double b) { return a symbol builder_of(a).scalar(b, a.dtype()); } \
  Val operator symbol(double a, Val b) { return builder_of(b).scalar(a, b.dtype()) symbol b; }
TESSERA_VAL_OPERATOR(+, "add")
TESSERA_VAL_OPERATOR(-, "sub")
TESSERA_VAL_OPERATOR(*, "mul")
TESSERA_VAL_OPERATOR(/, "div")
#undef TESSERA_VAL_OPERATOR

Val operator-(Val a) { return builder_of(a).op("neg", {a}); }
Val matmul(Val a, Val b) { return builder_of(a).op("matmul", {a, b}); }
Val reshape(Val x, ir::Dims shape) {
  return builder_of(x).op("reshape", {x}, {{"shape", std::move(shape)}});
}
Val expand(Val x, ir::Dims shape) {
  return builder_of(x).op("expand", {x}, {{"shape", std::move(shape)}});
}
Val transpose(Val x, std::vector<int64_t> perm) {
  return builder_of(x).op("transpose", {x}, {{"perm", std::move(perm)}});
}
Val cast(Val x, DType type) {
  return x.dtype() == type ? x : builder_of(x).op("cast", {x}, {{"to", type}});
}
Val reduce(std::string_view op, Val x, std::vector<int64_t> axes, bool keepdims) {
  return builder_of(x).op(op, {x}, {{"axes", std::move(axes)}, {"keepdims", int64_t{keepdims}}});
}
Val concat(std::vector<Val> parts, int64_t axis) {
  Builder& b = builder_of(parts.front());
  return b.op("concat", std::move(parts), {{"axis", axis}});
}
Val slice(Val x, std::vector<int64_t> axes, ir::Dims starts, ir::Dims ends) {
  return builder_of(x).op(
      "slice", {x},
      {{"axes", std::move(axes)}, {"starts", std::move(starts)}, {"ends", std::move(ends)}});
}
Val unsqueeze(Val x, std::vector<int64_t> axes) {
  return builder_of(x).op("unsqueeze", {x}, {{"axes", std::move(axes)}});
}
Val squeeze(Val x, std::vector<int64_t> axes) {
  return builder_of(x).op("squeeze", {x}, {{"axes", std::move(axes)}});
}
Val exp(Val x) { return builder_of(x).op("exp", {x}); }
Val log(Val x) { return builder_of(x).op("log", {x}); }
Val sqrt(Val x) { return builder_of(x).op("sqrt", {x}); }
Val tanh(Val x) { return builder_of(x).op("tanh", {x}); }
Val sigmoid(Val x) { return builder_of(x).op("sigmoid", {x}); }
Val where(Val condition, Val a, Val b) { return builder_of(a).op("where", {condition, a, b}); }

}  // namespace tessera::ops
