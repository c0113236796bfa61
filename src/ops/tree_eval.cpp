// SPDX-License-Identifier: Apache-2.0
// The arbiter: evaluates a meaning element by element by walking its expression tree. Nothing is
// clever here on purpose.
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/evaluate.h"

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using ir::Scalar;

class TreeWalker {
 public:
  TreeWalker(const ir::ExprPool& pool, std::span<const Tensor> inputs, bool wide)
      : pool_(pool), inputs_(inputs), wide_(wide) {}

  std::vector<int64_t>& output_index() { return output_index_; }

  Scalar eval(ExprId id);

 private:
  Scalar rounded(Scalar value, DType type) const;
  int64_t variable(ir::Var var) const;
  bool depends_on_data(ExprId id) const;
  Scalar read(const ExprNode& n);
  Scalar primitive(const ExprNode& n);
  Scalar reduce(const ExprNode& n);

  const ir::ExprPool& pool_;
  std::span<const Tensor> inputs_;
  bool wide_;
  std::vector<int64_t> output_index_;
  std::unordered_map<uint32_t, int64_t> bound_;
};

Scalar TreeWalker::eval(ExprId id) {
  const ExprNode& n = pool_.node(id);
  switch (n.kind) {
    case ExprKind::constant:
      return is_float(n.type) ? rounded(Scalar::of(ir::real_value(n)), n.type)
                              : Scalar::of_integer(n.bits);
    case ExprKind::size: {
      const auto value = pool_.sizes()[n.size].constant();
      TESSERA_USER_CHECK(value.has_value(), "the size {} is unbound",
                         pool_.sizes()[n.size].to_string());
      return Scalar::of_integer(*value);
    }
    case ExprKind::variable: return Scalar::of_integer(variable(n.var));
    case ExprKind::read: return read(n);
    case ExprKind::cast: {
      const DType from = pool_.node(n.args[0]).type;
      const DType to = wide_ && is_float(n.type) ? DType::f64 : n.type;
      return ir::convert(eval(n.args[0]), from, to);
    }
    case ExprKind::primitive: return primitive(n);
    case ExprKind::reduce: return reduce(n);
  }
  return {};
}

// Floats narrower than f32 are computed in f32 (scalar.h, Semantics).
Scalar TreeWalker::rounded(Scalar value, DType type) const {
  if (!wide_ && is_float(type) && type != DType::f64) value.real = static_cast<float>(value.real);
  return value;
}

int64_t TreeWalker::variable(ir::Var var) const {
  if (var.kind == ir::Var::Kind::output) return output_index_[var.number];
  return bound_.at(var.number);
}

bool TreeWalker::depends_on_data(ExprId id) const {
  const ExprNode& n = pool_.node(id);
  if (n.kind == ExprKind::read) return true;
  for (ExprId a : n.args)
    if (depends_on_data(a)) return true;
  return false;
}

Scalar TreeWalker::read(const ExprNode& n) {
  const Tensor& tensor = inputs_[n.input];
  int64_t offset = 0;
  for (size_t axis = 0; axis < n.args.size(); ++axis) {
    const int64_t i = eval(n.args[axis]).integer;
    const int64_t extent = tensor.shape()[axis];
    if (i < 0 || i >= extent) {
      TESSERA_USER_CHECK(!depends_on_data(n.args[axis]), "index {} is outside axis {} of extent {}",
                         i, axis, extent);
      TESSERA_CHECK(false, "read of input {} at {} outside axis {} of extent {}", n.input, i, axis,
                    extent);
    }
    offset = offset * extent + i;
  }
  return is_float(n.type) ? Scalar::of(tensor.float_at(offset))
                          : Scalar::of_integer(tensor.integer_at(offset));
}

Scalar TreeWalker::primitive(const ExprNode& n) {
  if (n.prim == Prim::select) return eval(n.args[0]).integer ? eval(n.args[1]) : eval(n.args[2]);
  const Scalar a = eval(n.args[0]);
  // The connectives are lazy too, so that a bound may be tested before an element is read.
  if (n.prim == Prim::logical_and && !a.integer) return a;
  if (n.prim == Prim::logical_or && a.integer) return a;
  const Scalar b = n.args.size() > 1 ? eval(n.args[1]) : Scalar{};
  const DType type = pool_.node(n.args[0]).type;
  return rounded(ir::apply(n.prim, type, a, b), n.type);
}

Scalar TreeWalker::reduce(const ExprNode& n) {
  const int64_t extent = eval(n.args[0]).integer;
  const Prim combine = ir::combiner(n.reduction);
  Scalar total = ir::identity(n.reduction, n.type);
  for (int64_t i = 0; i < extent; ++i) {
    bound_[n.var.number] = i;
    total = rounded(ir::apply(combine, n.type, total, eval(n.args[1])), n.type);
  }
  return total;
}

// Advances a row-major multi-index.
void advance(std::vector<int64_t>& index, const Shape& shape) {
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (++index[axis] < shape[axis]) return;
    index[axis] = 0;
  }
}

}  // namespace

void tree_evaluate_element(const ir::Meaning& meaning, size_t k, std::span<const Tensor> inputs,
                           bool wide, int64_t index) {
  const Shape shape = meaning.output_type(k).concrete_shape();
  TreeWalker walker(*meaning.pool, inputs, wide);
  walker.output_index().assign(shape.size(), 0);
  for (size_t axis = shape.size(); axis-- > 0; index /= shape[axis])
    walker.output_index()[axis] = index % shape[axis];
  walker.eval(meaning.outputs[k].body.id);
}

std::vector<Tensor> tree_evaluate(const ir::Meaning& meaning, std::span<const Tensor> inputs,
                                  bool wide) {
  std::vector<Tensor> results;
  for (size_t k = 0; k < meaning.outputs.size(); ++k) {
    const ir::ValueType type = meaning.output_type(k);
    Tensor result(evaluated_type(type.dtype, wide), type.concrete_shape());
    TreeWalker walker(*meaning.pool, inputs, wide);
    walker.output_index().assign(result.rank(), 0);
    for (int64_t i = 0; i < result.size(); ++i) {
      const Scalar value = walker.eval(meaning.outputs[k].body.id);
      if (is_float(type.dtype)) result.set_float(i, value.real);
      else result.set_integer(i, value.integer);
      advance(walker.output_index(), result.shape());
    }
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace tessera::ops
