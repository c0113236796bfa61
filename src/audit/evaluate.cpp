// SPDX-License-Identifier: Apache-2.0
// Graphs from the meanings of their operators, one element at a time. Composite operators are
// expanded; integers and indices are plain 64-bit arithmetic.
#include <map>
#include <unordered_map>

#include "audit/arithmetic.h"
#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/registry.h"

namespace tessera::audit {
namespace {

using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

template <class A>
struct Scalar {
  typename A::Number number{};
  int64_t integer = 0;
};

template <class A>
class Walker {
 public:
  Walker(const ir::ExprPool& pool, const std::vector<const Values<A>*>& inputs)
      : pool_(pool), inputs_(inputs) {}

  Scalar<A> eval(ir::ExprId id) {
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant:
        return is_float(n.type) ? number(A::of(ir::real_value(n))) : whole(n.bits);
      case ExprKind::size: {
        const auto size = pool_.sizes()[n.size].constant();
        TESSERA_USER_CHECK(size.has_value(), "a size is unbound");
        return whole(*size);
      }
      case ExprKind::variable:
        return whole(n.var.kind == ir::Var::Kind::output ? at[n.var.number]
                                                         : bound_.at(n.var.number));
      case ExprKind::read: return read(n);
      case ExprKind::cast: return cast(n);
      case ExprKind::primitive: return primitive(n);
      case ExprKind::reduce: return reduce(n);
    }
    return {};
  }

  std::vector<int64_t> at;  ///< the output's index

 private:
  static Scalar<A> number(typename A::Number v) { return {v, 0}; }
  static Scalar<A> whole(int64_t v) { return {{}, v}; }

  Scalar<A> read(const ExprNode& n) {
    const Values<A>& t = *inputs_[n.input];
    int64_t offset = 0;
    for (size_t axis = 0; axis < n.args.size(); ++axis) {
      const int64_t i = eval(n.args[axis]).integer;
      TESSERA_USER_CHECK(i >= 0 && i < t.shape[axis], "index {} is outside of axis {}", i, axis);
      offset = offset * t.shape[axis] + i;
    }
    return is_float(t.type) ? number(t.numbers[offset]) : whole(t.integers[offset]);
  }

  Scalar<A> cast(const ExprNode& n) {
    const Scalar<A> v = eval(n.args[0]);
    const DType from = pool_.node(n.args[0]).type;
    if (is_float(n.type)) return is_float(from) ? v : number(A::of_integer(v.integer));
    if (!is_float(from)) return whole(ir::convert({0, v.integer}, from, n.type).integer);
    return whole(ir::convert({A::to_double(v.number), 0}, from, n.type).integer);
  }

  Scalar<A> primitive(const ExprNode& n) {
    const Scalar<A> a = eval(n.args[0]);
    if (n.prim == Prim::select) return eval(n.args[a.integer ? 1 : 2]);
    if (n.prim == Prim::logical_and && !a.integer) return a;
    if (n.prim == Prim::logical_or && a.integer) return a;
    const Scalar<A> b = n.args.size() > 1 ? eval(n.args[1]) : Scalar<A>{};
    const DType type = pool_.node(n.args[0]).type;
    if (!is_float(type))
      return whole(ir::apply(n.prim, type, {0, a.integer}, {0, b.integer}).integer);
    if (ir::gives_boolean(n.prim)) return whole(A::compare(n.prim, a.number, b.number));
    return number(A::apply(n.prim, a.number, b.number));
  }

  Scalar<A> reduce(const ExprNode& n) {
    const int64_t extent = eval(n.args[0]).integer;
    const Prim combine = ir::combiner(n.reduction);
    const ir::Scalar identity = ir::identity(n.reduction, n.type);
    if (!is_float(n.type)) {
      int64_t total = identity.integer;
      for (int64_t k = 0; k < extent; ++k) {
        bound_[n.var.number] = k;
        total = ir::apply(combine, n.type, {0, total}, {0, eval(n.args[1]).integer}).integer;
      }
      return whole(total);
    }
    if (extent <= 0) return number(A::of(identity.real));
    typename A::Number total{};
    for (int64_t k = 0; k < extent; ++k) {
      bound_[n.var.number] = k;
      const typename A::Number v = eval(n.args[1]).number;
      total = k == 0 ? v : A::apply(combine, total, v);
    }
    return number(total);
  }

  const ir::ExprPool& pool_;
  const std::vector<const Values<A>*>& inputs_;
  std::unordered_map<uint32_t, int64_t> bound_;
};

template <class A>
Values<A> of_tensor(const Tensor& t) {
  Values<A> v{t.type(), t.shape(), {}, {}};
  for (int64_t k = 0; k < t.size(); ++k)
    if (is_float(t.type())) v.numbers.push_back(A::of(t.float_at(k)));
    else v.integers.push_back(t.integer_at(k));
  return v;
}

template <class A>
Values<A> output_of(const ir::Meaning& m, size_t k, const std::vector<const Values<A>*>& inputs) {
  const ir::ValueType type = m.output_type(k);
  Values<A> result{type.dtype, type.concrete_shape(), {}, {}};
  int64_t count = 1;
  for (int64_t extent : result.shape) count *= extent;
  Walker<A> walker(*m.pool, inputs);
  walker.at.assign(result.shape.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    int64_t rest = i;
    for (size_t axis = result.shape.size(); axis-- > 0; rest /= result.shape[axis])
      walker.at[axis] = rest % result.shape[axis];
    const Scalar<A> v = walker.eval(m.outputs[k].body.id);
    if (is_float(type.dtype)) result.numbers.push_back(v.number);
    else result.integers.push_back(v.integer);
  }
  return result;
}

}  // namespace

template <class A>
std::vector<Values<A>> evaluate(const ir::Graph& graph, std::span<const Values<A>> inputs) {
  std::map<ir::Value, Values<A>> known;
  for (size_t k = 0; k < graph.inputs().size(); ++k) known[{graph.inputs()[k], 0}] = inputs[k];
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& n = graph.node(id);
    if (n.op == "input") continue;
    if (const Tensor* t = graph.constant({id, 0})) {
      known[{id, 0}] = of_tensor<A>(*t);
      continue;
    }
    const ops::OpDef& def = ops::registry().get(n.op);
    std::vector<Values<A>> results;
    if (def.decompose) {
      std::vector<Values<A>> present;
      for (ir::Value v : n.inputs)
        if (v.present()) present.push_back(known.at(v));
      results = evaluate<A>(ops::decompose(graph, n), present);
    } else {
      TESSERA_USER_CHECK(def.meaning && !def.impure, "{} has no meaning", n.op);
      std::vector<const Values<A>*> operands;
      for (ir::Value v : n.inputs) operands.push_back(v.present() ? &known.at(v) : nullptr);
      const ir::Meaning m = ops::instantiate(graph, n);
      for (size_t k = 0; k < m.outputs.size(); ++k) results.push_back(output_of<A>(m, k, operands));
    }
    for (uint32_t k = 0; k < results.size(); ++k) known[{id, k}] = std::move(results[k]);
  }
  std::vector<Values<A>> outputs;
  for (const ir::GraphOutput& o : graph.outputs()) outputs.push_back(known.at(o.value));
  return outputs;
}

template std::vector<Values<Field>> evaluate<Field>(const ir::Graph&,
                                                    std::span<const Values<Field>>);
template std::vector<Values<Extended>> evaluate<Extended>(const ir::Graph&,
                                                          std::span<const Values<Extended>>);

}  // namespace tessera::audit
