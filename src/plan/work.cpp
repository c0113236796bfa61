// SPDX-License-Identifier: Apache-2.0
// Operations and memory traffic of one step.
#include "plan/work.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "plan/layout.h"
#include "plan/rewrite.h"

namespace tessera::plan {
namespace {

using ir::Expr;
using ir::ExprId;
using ir::ExprKind;
using ir::Prim;

// An extent that is no constant (a triangular sum) counts as this.
constexpr double unknown_extent = 16;

double extent_of(const ir::ExprPool& pool, ExprId extent) {
  const ir::ExprNode& n = pool.node(extent);
  return n.kind == ExprKind::constant ? static_cast<double>(std::max<int64_t>(n.bits, 1))
                                      : unknown_extent;
}

// In simple vector operations; rough, from instruction tables and polynomial lengths.
double cost_of(Prim prim) {
  switch (prim) {
    case Prim::exp:
    case Prim::expm1:
    case Prim::log:
    case Prim::log1p:
    case Prim::tanh:
    case Prim::erf: return 16;
    case Prim::sin:
    case Prim::cos:
    case Prim::asin:
    case Prim::acos:
    case Prim::atan:
    case Prim::fmod: return 40;
    case Prim::pow: return 60;
    case Prim::div:
    case Prim::sqrt: return 6;
    default: return 1;
  }
}

// Walks a body and counts how often each read is evaluated.
class UseCounter {
 public:
  UseCounter(const Draft& d, const Step& s)
      : pool_(*s.meaning.pool), root_(s.meaning.outputs[0].body.id) {
    const Value& dst = d.values[s.dst[0]];
    shape_ = dst.shape;
    std::vector<int> order = dst.order;
    if (order.empty())
      for (size_t a = 0; a < shape_.size(); ++a) order.push_back(static_cast<int>(a));
    double product = 1;
    prefix_.assign(shape_.size(), 1);
    for (int axis : order) {
      product *= static_cast<double>(std::max<int64_t>(shape_[axis], 1));
      prefix_[axis] = product;
    }
  }

  std::vector<ReadUse> run() {
    visit(root_);
    return std::move(uses_);
  }
  double cost() const { return cost_; }

 private:
  struct Loop {
    uint32_t number;
    double iterations;  // of its body in all
  };
  // Output axes and bound variables that a node depends on.
  struct Dependence {
    std::set<uint32_t> axes, bound;
  };

  const Dependence& dependence(ExprId id) {
    if (auto at = dependence_.find(id); at != dependence_.end()) return at->second;
    Dependence own;
    const ir::ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::variable) {
      if (n.var.kind == ir::Var::Kind::output) own.axes.insert(n.var.number);
      else own.bound.insert(n.var.number);
    }
    for (ExprId a : n.args) {
      const Dependence& of = dependence(a);
      own.axes.insert(of.axes.begin(), of.axes.end());
      own.bound.insert(of.bound.begin(), of.bound.end());
    }
    if (n.kind == ExprKind::reduce) own.bound.erase(n.var.number);
    return dependence_.emplace(id, std::move(own)).first->second;
  }

  double evaluations(ExprId id) {
    const Dependence& of = dependence(id);
    for (size_t k = loops_.size(); k-- > 0;)
      if (of.bound.contains(loops_[k].number)) return loops_[k].iterations;
    double count = 1;
    for (uint32_t axis : of.axes) count = std::max(count, prefix_[axis]);
    return count;
  }

  // Loops around the node that it depends on, with those around them: outside the others it is
  // computed once for all of their iterations.
  size_t depth(ExprId id) {
    const Dependence& of = dependence(id);
    size_t k = loops_.size();
    while (k > 0 && !of.bound.contains(loops_[k - 1].number)) --k;
    return k;
  }

  // A node is visited once per chain of loops that it depends on.
  void visit(ExprId id) {
    const size_t around = depth(id);
    std::vector<Loop> inner(loops_.begin() + static_cast<long>(around), loops_.end());
    loops_.resize(around);
    visit_here(id);
    loops_.insert(loops_.end(), inner.begin(), inner.end());
  }

  void visit_here(ExprId id) {
    std::vector<uint32_t> context;
    for (const Loop& l : loops_) context.push_back(l.number);
    if (!seen_.emplace(id, context).second) return;
    const ir::ExprNode& n = pool_.node(id);
    add_cost(id, n);
    if (n.kind == ExprKind::read) uses_.push_back({n.input, evaluations(id), is_identity(n)});
    if (n.kind == ExprKind::reduce) {
      visit(n.args[0]);
      loops_.push_back({n.var.number, evaluations(id) * extent_of(pool_, n.args[0])});
      visit(n.args[1]);
      loops_.pop_back();
      return;
    }
    for (ExprId a : n.args) visit(a);
  }

  // Index arithmetic is strength-reduced and free.
  void add_cost(ExprId id, const ir::ExprNode& n) {
    if (n.kind == ExprKind::primitive && n.type != DType::i64)
      cost_ += evaluations(id) * cost_of(n.prim);
    else if (n.kind == ExprKind::cast) cost_ += evaluations(id);
    else if (n.kind == ExprKind::reduce) cost_ += evaluations(id) * extent_of(pool_, n.args[0]);
  }

  bool is_identity(const ir::ExprNode& read) const {
    if (read.args.size() != shape_.size()) return false;
    for (uint32_t axis = 0; axis < read.args.size(); ++axis) {
      const ir::ExprNode& i = pool_.node(read.args[axis]);
      const bool own =
          i.kind == ExprKind::variable && i.var == ir::Var{ir::Var::Kind::output, axis};
      if (!own && !(shape_[axis] == 1 && i.kind == ExprKind::constant && i.bits == 0)) return false;
    }
    return true;
  }

  const ir::ExprPool& pool_;
  ExprId root_;
  Shape shape_;
  std::vector<double> prefix_;  ///< by axis: iterations of the loop nest down to it
  std::vector<Loop> loops_;
  std::map<ExprId, Dependence> dependence_;
  std::set<std::pair<ExprId, std::vector<uint32_t>>> seen_;
  std::vector<ReadUse> uses_;
  double cost_ = 0;
};

}  // namespace

std::vector<ReadUse> read_uses(const Draft& draft, const Step& step) {
  return UseCounter(draft, step).run();
}

double total_cost(const Draft& draft, const Step& step) {
  UseCounter counter(draft, step);
  counter.run();
  return counter.cost();
}

std::vector<std::vector<size_t>> find_consumers(const Draft& draft) {
  std::vector<std::vector<size_t>> consumers(draft.values.size());
  for (size_t k = 0; k < draft.steps.size(); ++k) {
    if (draft.steps[k].dead) continue;
    for (ValueId v : draft.steps[k].src)
      if (v != no_value && (consumers[v].empty() || consumers[v].back() != k))
        consumers[v].push_back(k);
  }
  for (ValueId v : draft.outputs) consumers[v].push_back(draft.steps.size());
  return consumers;
}

void inline_producer(const Draft& draft, Step& consumer, const Step& producer) {
  ir::Meaning result;
  result.pool = std::make_unique<ir::ExprPool>();
  std::vector<ValueId> src;
  std::map<ValueId, uint32_t> numbers;
  const auto number = [&](ValueId v) {
    const auto [at, inserted] = numbers.emplace(v, static_cast<uint32_t>(src.size()));
    if (inserted) {
      const Value& value = draft.values[v];
      src.push_back(v);
      result.inputs.push_back({value.dtype, ir::Dims(value.shape.begin(), value.shape.end())});
    }
    return at->second;
  };
  Copier copier(*result.pool, draft.values[consumer.dst[0]].shape);
  const OnRead read_producer = [&](uint32_t input, DType type, std::span<const Expr> at) {
    return result.pool->read(number(producer.src[input]), type, at);
  };
  const OnRead read_consumer = [&](uint32_t input, DType type, std::span<const Expr> at) {
    const ValueId v = consumer.src[input];
    if (v != producer.dst[0]) return result.pool->read(number(v), type, at);
    return copier.copy(producer.meaning.outputs[0].body, at, read_producer);
  };
  const Expr body = copier.copy(consumer.meaning.outputs[0].body, copier.outputs(), read_consumer);
  result.outputs = {{consumer.meaning.outputs[0].shape, body}};
  consumer.op.clear();
  consumer.meaning = std::move(result);
  consumer.src = std::move(src);
  size_t at = 0;
  for (size_t k = 0; k < producer.names.size(); ++k) {
    bool known = false;  // already taken in for another read
    for (size_t n = 0; n < consumer.names.size(); ++n)
      known |= consumer.names[n] == producer.names[k] && consumer.nodes[n] == producer.nodes[k];
    if (known) continue;
    consumer.names.insert(consumer.names.begin() + static_cast<long>(at), producer.names[k]);
    consumer.nodes.insert(consumer.nodes.begin() + static_cast<long>(at++), producer.nodes[k]);
  }
}

void predict_orders(Draft& d) {
  std::vector<bool> wishes(d.values.size(), false);
  for (const Step& s : d.steps)
    if (!s.dead && s.kind == Step::Kind::library && s.op != "matmul") wishes[s.src[0]] = true;
  for (const Step& s : d.steps) {
    if (s.dead) continue;
    const ValueId dst = s.dst[0];
    const size_t rank = d.values[dst].shape.size();
    if (s.kind == Step::Kind::library && s.op != "matmul")
      d.values[dst].order = channels_last(rank);
    if (s.kind != Step::Kind::loops || rank < 3) continue;
    if (wishes[dst]) {
      d.values[dst].order = channels_last(rank);
      continue;
    }
    int64_t largest = 0;
    for (size_t k = 0; k < s.src.size(); ++k) {
      const ValueId v = s.src[k];
      if (v == no_value || d.values[v].constant || d.values[v].shape.size() != rank) continue;
      if (d.values[v].elements() <= largest) continue;
      largest = d.values[v].elements();
      d.values[dst].order = order_like_source(d, s, k, d.values[v].order);
    }
  }
}

}  // namespace tessera::plan
