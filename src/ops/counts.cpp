// SPDX-License-Identifier: Apache-2.0
// Counting over the expression DAG: each node is charged for the product of the extents of the
// loops that its value depends on.
#include "ops/counts.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/registry.h"

namespace tessera::ops {

bool is_transcendental(ir::Prim prim) {
  using ir::Prim;
  switch (prim) {
    case Prim::exp:
    case Prim::expm1:
    case Prim::log:
    case Prim::log1p:
    case Prim::sin:
    case Prim::cos:
    case Prim::asin:
    case Prim::acos:
    case Prim::atan:
    case Prim::tanh:
    case Prim::erf:
    case Prim::pow: return true;
    default: return false;
  }
}

namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

double known_size(const sym::Expr& size) {
  const auto value = size.constant();
  TESSERA_USER_CHECK(value.has_value(), "the size {} is unbound; bind it to count work",
                     size.to_string());
  return static_cast<double>(*value);
}

// A loop over an output axis or of a reduction. `over` are the loops its extent depends on.
struct Loop {
  double extent = 1;
  std::set<int> over;
};

class Counter {
 public:
  Counter(const ir::Meaning& meaning, const Dims& shape) : meaning_(meaning), pool_(*meaning.pool) {
    for (const sym::Expr& d : shape) loops_.push_back({known_size(d), {}});
    read_.resize(meaning.inputs.size());
  }

  /// Charges one output's body; equal subexpressions of several outputs are charged once.
  void add(ExprId body) { visit(body, true); }

  Counts finish() {
    for (size_t k = 0; k < read_.size(); ++k) {
      if (read_[k] == 0) continue;
      double elements = 1;
      for (const sym::Expr& d : meaning_.inputs[k].shape) elements *= known_size(d);
      total_.bytes_read +=
          std::min(read_[k], elements) * static_cast<double>(size_of(meaning_.inputs[k].dtype));
    }
    return total_;
  }

 private:
  using Loops = std::set<int>;
  // A node under the loops that its bound variables stand for: what is computed once per point.
  using Key = std::pair<ExprId, std::vector<int>>;
  struct Fact {
    Loops loops;        ///< that the value depends on
    bool data = false;  ///< holds a read, or is a float: counted, unlike index arithmetic
  };

  double points(const Loops& loops) const {
    Loops all = loops;
    for (int l : loops) all.insert(loops_[l].over.begin(), loops_[l].over.end());
    double product = 1;
    for (int l : all) product *= loops_[l].extent;
    return product;
  }

  // Bound variables that occur free in a node.
  const std::set<uint32_t>& free_bound(ExprId id) {
    if (auto at = free_.find(id); at != free_.end()) return at->second;
    std::set<uint32_t> result;
    const ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::variable && n.var.kind == ir::Var::Kind::bound)
      result.insert(n.var.number);
    if (n.kind == ExprKind::reduce) {
      result = free_bound(n.args[1]);
      result.erase(n.var.number);
      const auto extent = free_bound(n.args[0]);
      result.insert(extent.begin(), extent.end());
    } else {
      for (ExprId a : n.args) {
        const auto inner = free_bound(a);
        result.insert(inner.begin(), inner.end());
      }
    }
    return free_[id] = std::move(result);
  }

  Key key_of(ExprId id) {
    Key key{id, {}};
    for (uint32_t v : free_bound(id)) key.second.push_back(scope_.at(v));
    return key;
  }

  // `charge` is false inside indices and extents, whose arithmetic is free.
  const Fact& visit(ExprId id, bool charge) {
    const Key key = key_of(id);
    auto [at, fresh] = facts_.try_emplace(key);
    Fact& fact = at->second;
    const bool pay = charge && charged_.insert(key).second;
    if (!fresh && !pay) return fact;
    const ExprNode& n = pool_.node(id);
    fact.data = is_float(n.type);
    if (n.kind == ExprKind::variable) {
      fact.loops = {n.var.kind == ir::Var::Kind::output ? static_cast<int>(n.var.number)
                                                        : scope_.at(n.var.number)};
    } else if (n.kind == ExprKind::reduce) {
      reduce(n, key, fact, charge, pay);
    } else {
      for (ExprId a : n.args) {
        const Fact& operand = visit(a, charge && n.kind != ExprKind::read);
        fact.loops.insert(operand.loops.begin(), operand.loops.end());
        fact.data |= operand.data;
      }
    }
    if (n.kind == ExprKind::read) {
      fact.data = true;
      if (read_once_.insert(key).second) read_[n.input] += points(fact.loops);
    }
    if (pay && n.kind == ExprKind::primitive && fact.data) {
      if (is_transcendental(n.prim)) total_.transcendental += points(fact.loops);
      else if (n.prim != Prim::select) total_.flops += points(fact.loops);
    }
    return fact;
  }

  void reduce(const ExprNode& n, const Key& key, Fact& fact, bool charge, bool pay) {
    const Loops over = visit(n.args[0], false).loops;
    auto [at, fresh] = reductions_.try_emplace(key, static_cast<int>(loops_.size()));
    const int loop = at->second;
    if (fresh) loops_.push_back({std::max(0.0, mean(n.args[0])), over});
    const auto outer = scope_.find(n.var.number);
    const std::optional<int> saved =
        outer == scope_.end() ? std::nullopt : std::optional(outer->second);
    scope_[n.var.number] = loop;
    const Fact body = visit(n.args[1], charge);
    if (saved) scope_[n.var.number] = *saved;
    else scope_.erase(n.var.number);
    fact.loops = body.loops;
    fact.loops.erase(loop);
    fact.loops.insert(over.begin(), over.end());
    fact.data |= body.data;
    if (!pay || !fact.data) return;
    Loops steps = fact.loops;
    steps.insert(loop);
    total_.flops += points(steps);
  }

  // The mean of an extent: its value with every index at the middle of its range, exact for
  // affine extents.
  double mean(ExprId id) {
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant: return static_cast<double>(n.bits);
      case ExprKind::size: return known_size(pool_.sizes()[n.size]);
      case ExprKind::variable: {
        const int loop = n.var.kind == ir::Var::Kind::output ? static_cast<int>(n.var.number)
                                                             : scope_.at(n.var.number);
        return (loops_[loop].extent - 1) / 2;
      }
      case ExprKind::primitive: {
        if (n.prim == Prim::select) return (mean(n.args[1]) + mean(n.args[2])) / 2;
        const double a = mean(n.args[0]), b = n.args.size() > 1 ? mean(n.args[1]) : 0;
        if (n.prim == Prim::div || n.prim == Prim::floor_div) return b == 0 ? 0 : a / b;
        if (ir::gives_boolean(n.prim)) return 1;
        switch (n.prim) {  // those that doubles have
          case Prim::neg: return -a;
          case Prim::add: return a + b;
          case Prim::sub: return a - b;
          case Prim::mul: return a * b;
          case Prim::min: return std::min(a, b);
          case Prim::max: return std::max(a, b);
          default: return a;
        }
      }
      // Data decides: the tensor's extent is unknown here, one step is the least that can be said.
      case ExprKind::read:
      case ExprKind::reduce: return 1;
      case ExprKind::cast: return mean(n.args[0]);
    }
    return 1;
  }

  const ir::Meaning& meaning_;
  const ir::ExprPool& pool_;
  std::vector<Loop> loops_;
  std::unordered_map<uint32_t, int> scope_;  ///< bound variable number -> loop
  std::unordered_map<ExprId, std::set<uint32_t>> free_;
  std::map<Key, Fact> facts_;
  std::map<Key, int> reductions_;
  std::set<Key> charged_, read_once_;
  std::vector<double> read_;  ///< elements read of each input
  Counts total_;
};

double bytes_of(const ir::ValueType& type) {
  if (type.opaque) return 0;
  double elements = 1;
  for (const sym::Expr& d : type.shape) elements *= known_size(d);
  return elements * static_cast<double>(size_of(type.dtype));
}

double elements_of(const ir::ValueType& type) {
  return bytes_of(type) / static_cast<double>(size_of(type.dtype));
}

// Each input value once, whatever it is used for.
Counts boundary(const ir::Graph& graph, const ir::Node& node) {
  Counts counts;
  const std::set<ir::Value> inputs(node.inputs.begin(), node.inputs.end());
  for (ir::Value v : inputs)
    if (v.present()) counts.bytes_read += bytes_of(graph.type(v));
  for (const ir::ValueType& type : node.outputs) counts.bytes_written += bytes_of(type);
  return counts;
}

}  // namespace

Counts& Counts::operator+=(const Counts& other) {
  flops += other.flops;
  transcendental += other.transcendental;
  bytes_read += other.bytes_read;
  bytes_written += other.bytes_written;
  return *this;
}

Counts count(const ir::Meaning& meaning) {
  Counts counts;
  // Outputs of one shape are one loop nest and share subexpressions.
  std::vector<bool> done(meaning.outputs.size(), false);
  for (size_t k = 0; k < meaning.outputs.size(); ++k) {
    counts.bytes_written += bytes_of(meaning.output_type(k));
    if (done[k]) continue;
    Counter counter(meaning, meaning.outputs[k].shape);
    for (size_t other = k; other < meaning.outputs.size(); ++other) {
      if (meaning.outputs[other].shape != meaning.outputs[k].shape) continue;
      counter.add(meaning.outputs[other].body.id);
      done[other] = true;
    }
    counts += counter.finish();
  }
  return counts;
}

Counts count(const ir::Graph& graph, const ir::Node& node) {
  if (node.op == "input" || node.op == "constant") return {};
  const OpDef& def = registry().get(node.op);
  if (def.meaning) {
    Counts counts = count(instantiate(graph, node));
    counts.bytes_read = std::min(counts.bytes_read, boundary(graph, node).bytes_read);
    return counts;
  }
  Counts counts = boundary(graph, node);
  if (def.decompose) {
    const Counts inner = count(decompose(graph, node));
    counts.flops = inner.flops;
    counts.transcendental = inner.transcendental;
  } else if (node.op == "scan") {
    const AttrReader attrs(def, node.attrs);
    const double steps = known_size(attrs.dims("length").at(0));
    const Counts step = count(*node.regions.at(0));
    counts = {step.flops * steps, step.transcendental * steps, step.bytes_read * steps,
              step.bytes_written * steps};
  } else {
    for (ir::Value v : node.inputs)
      if (v.present()) counts.flops += elements_of(graph.type(v));
    for (const ir::ValueType& type : node.outputs) counts.flops += elements_of(type);
  }
  return counts;
}

Counts count(const ir::Graph& graph) {
  Counts counts;
  for (const ir::Node& node : graph.nodes()) counts += count(graph, node);
  return counts;
}

int64_t peak_bytes(const ir::Graph& graph) {
  std::vector<uint32_t> uses = graph.use_counts();
  const auto node_bytes = [&](const ir::Node& node) {
    int64_t bytes = 0;
    if (node.op != "input" && node.op != "constant")
      for (const ir::ValueType& type : node.outputs) bytes += static_cast<int64_t>(bytes_of(type));
    return bytes;
  };
  int64_t live = 0, peak = 0;
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    const ir::Node& node = graph.node(id);
    live += node_bytes(node);
    peak = std::max(peak, live);
    if (uses[id] == 0) live -= node_bytes(node);
    for (ir::Value v : node.inputs)
      if (v.present() && --uses[v.node] == 0) live -= node_bytes(graph.node(v.node));
  }
  return peak;
}

int64_t constant_bytes(const ir::Graph& graph) {
  int64_t bytes = 0;
  for (ir::NodeId id = 0; id < graph.node_count(); ++id) {
    if (const Tensor* tensor = graph.constant({id, 0}))
      bytes += static_cast<int64_t>(tensor->bytes());
    for (const auto& region : graph.node(id).regions) bytes += constant_bytes(*region);
  }
  return bytes;
}

}  // namespace tessera::ops
