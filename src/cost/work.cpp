// SPDX-License-Identifier: Apache-2.0
// Counting over scalar expressions.
#include "cost/work.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "ops/counts.h"

namespace tessera::cost {
namespace {

constexpr int64_t symbol_size = 64;

double size_value(const sym::Expr& e) {
  if (const auto c = e.constant()) return static_cast<double>(*c);
  std::map<std::string, sym::Expr> symbols;
  e.collect_symbols(symbols);
  for (auto& [name, value] : symbols) value = sym::Expr(symbol_size);
  const auto c = e.substitute(symbols).constant();
  return c ? static_cast<double>(*c) : static_cast<double>(symbol_size);
}

double weight(ir::Prim prim) {
  switch (prim) {
    case ir::Prim::div:
    case ir::Prim::sqrt:
    case ir::Prim::floor_div:
    case ir::Prim::mod:
    case ir::Prim::fmod: return 4;
    case ir::Prim::exp:
    case ir::Prim::expm1:
    case ir::Prim::log:
    case ir::Prim::log1p: return 10;
    case ir::Prim::sin:
    case ir::Prim::cos:
    case ir::Prim::asin:
    case ir::Prim::acos:
    case ir::Prim::atan:
    case ir::Prim::tanh:
    case ir::Prim::erf: return 14;
    case ir::Prim::pow: return 24;
    case ir::Prim::select: return 0;  // bounds are free
    default: return 1;
  }
}

class Counter {
 public:
  explicit Counter(const ir::ExprPool& pool) : pool_(pool) {}

  double flops = 0, reduction = 1;
  bool reduces = false, contracts = false, gathers = false;

  void visit(ir::ExprId id, double times) {
    if (!seen_.insert(id).second) return;
    const ir::ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ir::ExprKind::read:
        for (ir::ExprId a : n.args) indices(a);
        return;
      case ir::ExprKind::reduce: {
        const double extent = extent_of(n.args[0]);
        flops += times * extent;
        reduction = std::max(reduction, times * extent / std::max(1.0, outer_));
        reduces = true;
        if (n.reduction == ir::Reduction::sum) contracts |= is_product(n.args[1]);
        visit(n.args[1], times * extent);
        return;
      }
      case ir::ExprKind::primitive:
        if (is_float(n.type) || is_float(pool_.node(n.args[0]).type))
          flops += times * weight(n.prim);
        else if (n.type != DType::i64 && n.type != DType::boolean) flops += times;
        break;
      case ir::ExprKind::cast: flops += times; break;
      default: break;
    }
    for (ir::ExprId a : n.args) visit(a, times);
  }

  void start(double elements) {
    seen_.clear();
    outer_ = elements;
  }

 private:
  // Sums of products in which two different inputs are read.
  bool is_product(ir::ExprId id) const {
    const ir::ExprNode& n = pool_.node(id);
    if (n.kind == ir::ExprKind::reduce || n.kind == ir::ExprKind::cast)
      return is_product(n.args.back());
    if (n.kind != ir::ExprKind::primitive || n.prim != ir::Prim::mul) return false;
    std::set<uint32_t> inputs;
    collect_inputs(id, inputs);
    return inputs.size() >= 2;
  }
  void collect_inputs(ir::ExprId id, std::set<uint32_t>& inputs) const {
    const ir::ExprNode& n = pool_.node(id);
    if (n.kind == ir::ExprKind::read) inputs.insert(n.input);
    for (ir::ExprId a : n.args) collect_inputs(a, inputs);
  }
  void indices(ir::ExprId id) {
    const ir::ExprNode& n = pool_.node(id);
    gathers |= n.kind == ir::ExprKind::read;
    if (n.kind == ir::ExprKind::variable || n.kind == ir::ExprKind::constant) return;
    for (ir::ExprId a : n.args) indices(a);
  }
  double extent_of(ir::ExprId id) const {
    const ir::ExprNode& n = pool_.node(id);
    if (n.kind == ir::ExprKind::constant) return static_cast<double>(n.bits);
    if (n.kind == ir::ExprKind::size) return size_value(pool_.sizes()[n.size]);
    return 8;  // depends on outer indices
  }

  const ir::ExprPool& pool_;
  std::set<ir::ExprId> seen_;
  double outer_ = 1;
};

bool is_view(const std::string& op) {
  return op == "reshape" || op == "squeeze" || op == "unsqueeze" || op == "flatten" ||
         op == "identity" || op == "split";
}

Work count_meaning(const ir::Meaning& meaning) {
  Work work;
  Counter counter(*meaning.pool);
  for (const ir::MeaningOutput& out : meaning.outputs) {
    double elements = 1;
    for (const sym::Expr& d : out.shape) elements *= size_value(d);
    counter.start(elements);
    counter.visit(out.body.id, elements);
  }
  work.flops = counter.flops;
  try {  // better where sizes are known: what does not depend on a loop is taken out of it
    const ops::Counts counts = ops::count(meaning);
    work.flops = counts.flops + 10 * counts.transcendental;
  } catch (const UserError&) {
  }
  work.reduction = counter.reduction;
  work.kind = counter.contracts    ? WorkKind::contraction
              : counter.reduces    ? WorkKind::reduce
              : counter.flops == 0 ? WorkKind::move
                                   : WorkKind::map;
  return work;
}

}  // namespace

std::string_view to_string(WorkKind kind) {
  switch (kind) {
    case WorkKind::view: return "view";
    case WorkKind::move: return "move";
    case WorkKind::map: return "map";
    case WorkKind::reduce: return "reduce";
    case WorkKind::contraction: return "contraction";
    case WorkKind::other: return "other";
  }
  return "";
}

double elements_of(const ir::ValueType& type) {
  double n = 1;
  for (const sym::Expr& d : type.shape) n *= size_value(d);
  return n;
}

double bytes_of(const ir::ValueType& type) {
  return elements_of(type) * static_cast<double>(size_of(type.dtype));
}

Work count_work(const ops::OpDef& def, const ops::InputTypes& inputs, const ir::Node& node) {
  Work work;
  double elements = 0;
  for (const ir::ValueType& t : node.outputs)
    if (!t.opaque) {
      work.output_bytes += bytes_of(t);
      elements += elements_of(t);
    }
  const double output_bytes = work.output_bytes;
  work.flops = elements;
  try {
    if (def.meaning) {
      work = count_meaning(ops::instantiate(def, inputs, node.attrs));
      if (is_view(def.name)) work.kind = WorkKind::view;
    } else if (def.decompose) {
      const ir::Graph body = ops::decompose(def, inputs, node.attrs, node.regions);
      work = {.kind = WorkKind::view};
      for (const ir::Node& inner : body.nodes()) {
        if (inner.op == "input" || inner.op == "constant") continue;
        const Work part =
            count_work(ops::registry().get(inner.op), ops::input_types(body, inner), inner);
        work.flops += part.flops;
        work.reduction = std::max(work.reduction, part.reduction);
        work.kind = std::max(work.kind, part.kind);
      }
    } else if (def.name == "scan" && !node.regions.empty()) {
      const auto length = node.attrs.find("length");
      double steps = symbol_size;
      if (length != node.attrs.end())
        if (const auto* dims = std::get_if<ir::Dims>(&length->second))
          steps = size_value(dims->at(0));
      work.flops = 0;
      for (const ir::Node& inner : node.regions[0]->nodes())
        if (inner.op != "input" && inner.op != "constant")
          work.flops += steps * count_work(ops::registry().get(inner.op),
                                           ops::input_types(*node.regions[0], inner), inner)
                                    .flops;
    }
  } catch (const UserError&) {  // sizes that are decided by data: the default stands
  }
  work.output_bytes = output_bytes;
  return work;
}

}  // namespace tessera::cost
