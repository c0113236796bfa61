// SPDX-License-Identifier: Apache-2.0
// Matching happens twice: a reference at arbitrary sizes, whose constants match any constant, finds
// what its inputs would be; the reference at the sizes of these inputs then has to match exactly.
#include "plan/kernel_match.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/check.h"
#include "base/rng.h"
#include "codegen/tile_kernel.h"
#include "lang/parse.h"
#include "ops/evaluate.h"
#include "ops/hash.h"
#include "ops/registry.h"
#include "plan/passes.h"

namespace tessera::plan {
namespace {

using ir::Graph;
using ir::Node;
using ir::NodeId;
using ir::Value;
using Sizes = std::map<std::string, int64_t>;

constexpr int most_attempts = 200;  // orders of operands tried at one place
constexpr int64_t probes[] = {5, 7, 11, 13, 17, 19, 23, 29};

bool same_numbers(const Tensor& a, const Tensor& b) {
  if (a.type() != b.type() || a.size() != b.size()) return false;
  for (int64_t k = 0; k < a.size(); ++k) {
    if (!is_float(a.type())) {
      if (a.integer_at(k) != b.integer_at(k)) return false;
      continue;
    }
    const double x = a.float_at(k), y = b.float_at(k);
    if (x != y && !(std::fabs(x - y) <= 1e-6 * std::fabs(x)) && !(std::isnan(x) && std::isnan(y)))
      return false;
  }
  return true;
}

// Axes are counted from the last one where the place has more of them; sizes are left to the
// evaluation.
bool same_attribute(const std::string& name, const ir::AttrValue& a, int rank_a,
                    const ir::AttrValue& b, int rank_b) {
  if (a.index() != b.index()) return false;
  if (std::holds_alternative<ir::Dims>(a)) return true;
  if (ir::operator_equal(a, b) && rank_a == rank_b) return true;
  const auto from_end = [](int64_t axis, int rank) { return axis < 0 ? axis : axis - rank; };
  if (name == "axis" && std::holds_alternative<int64_t>(a))
    return from_end(std::get<int64_t>(a), rank_a) == from_end(std::get<int64_t>(b), rank_b);
  if (name == "axes" && std::holds_alternative<std::vector<int64_t>>(a)) {
    const auto &x = std::get<std::vector<int64_t>>(a), &y = std::get<std::vector<int64_t>>(b);
    return std::equal(x.begin(), x.end(), y.begin(), y.end(), [&](int64_t p, int64_t q) {
      return from_end(p, rank_a) == from_end(q, rank_b);
    });
  }
  if (name == "perm") return rank_a != rank_b || ir::operator_equal(a, b);
  return ir::operator_equal(a, b);
}

// Finds the ways in which a reference is a part of a graph.
class Unifier {
 public:
  using Values = std::map<Value, Value>;  // of the reference, in the graph
  using Accept = std::function<bool(const Values&)>;

  Unifier(const Graph& reference, const Graph& graph, bool exact, Accept accept)
      : r_(reference), g_(graph), exact_(exact), accept_(std::move(accept)) {}

  bool run(Value output) { return solve({{r_.outputs()[0].value, output}}, {}); }

 private:
  using Goals = std::vector<std::pair<Value, Value>>;

  bool solve(Goals goals, Values known) {
    while (!goals.empty()) {
      const auto [r, v] = goals.back();
      goals.pop_back();
      if (!v.present() || !r.present()) {
        if (v.present() != r.present()) return false;
        continue;
      }
      const auto [at, inserted] = known.emplace(r, v);
      if (!inserted) {
        if (at->second != v) return false;
        continue;
      }
      const Node &a = r_.node(r.node), &b = g_.node(v.node);
      if (r_.type(r).dtype != g_.type(v).dtype) return false;
      if (a.op == "input") continue;
      if (a.op != b.op) return false;
      if (a.op == "constant") {
        if (exact_ && !same_numbers(*r_.constant(r), *g_.constant(v))) return false;
        continue;
      }
      if (!same_node(a, b) || r.index != v.index) return false;
      if (a.inputs.size() == 2 && is_commutative(a)) {
        if (++attempts_ > most_attempts) return false;
        Goals other = goals;
        other.insert(other.end(), {{a.inputs[0], b.inputs[1]}, {a.inputs[1], b.inputs[0]}});
        goals.insert(goals.end(), {{a.inputs[0], b.inputs[0]}, {a.inputs[1], b.inputs[1]}});
        return solve(std::move(goals), known) || solve(std::move(other), std::move(known));
      }
      for (size_t k = 0; k < a.inputs.size(); ++k) goals.emplace_back(a.inputs[k], b.inputs[k]);
    }
    return accept_(known);
  }

  bool same_node(const Node& a, const Node& b) const {
    if (a.inputs.size() != b.inputs.size() || a.attrs.size() != b.attrs.size() ||
        a.outputs.size() != b.outputs.size() || !a.regions.empty() || !b.regions.empty())
      return false;
    const auto rank = [](const Graph& g, const Node& n) {
      return n.inputs.empty() || !n.inputs[0].present() ? 0 : g.type(n.inputs[0]).rank();
    };
    return std::equal(a.attrs.begin(), a.attrs.end(), b.attrs.begin(), [&](auto& x, auto& y) {
      return x.first == y.first &&
             same_attribute(x.first, x.second, rank(r_, a), y.second, rank(g_, b));
    });
  }

  static bool is_commutative(const Node& n) {
    const auto& traits = ops::registry().get(n.op).traits;
    return std::find(traits.begin(), traits.end(), ops::Trait::commutative) != traits.end();
  }

  const Graph &r_, &g_;
  bool exact_;
  Accept accept_;
  int attempts_ = 0;
};

Tensor reshaped(const Tensor& t, Shape shape) {
  Tensor result(t.type(), std::move(shape));
  std::copy_n(t.data(), t.bytes(), result.mutable_data());
  return result;
}

// The nodes of a place as a graph of its own; values that are no constants become inputs.
Graph cut_out(const Graph& graph, const KernelMatch& match) {
  ir::GraphBuilder builder("place");
  std::map<Value, Value> values;
  const auto bring = [&](Value v) {
    if (values.contains(v)) return;
    const Tensor* constant = graph.constant(v);
    values[v] = constant ? builder.constant(*constant)
                         : builder.input(fmt::format("x{}", values.size()), graph.type(v));
  };
  for (Value v : match.inputs) bring(v);
  for (NodeId id : match.nodes) {
    Node node = graph.node(id);
    for (Value& v : node.inputs) {
      if (!v.present()) continue;
      if (!values.contains(v)) bring(v);  // a constant of the reference
      v = values.at(v);
    }
    const NodeId made = builder.add(std::move(node));
    for (uint32_t k = 0; k < graph.node(id).outputs.size(); ++k) values[{id, k}] = {made, k};
  }
  builder.output("y", values.at(match.output));
  return std::move(builder).finish();
}

class KernelMatcher {
 public:
  KernelMatcher(const Graph& graph, const std::shared_ptr<const tile::File>& kernel,
                const std::function<void(const std::string&)>& warn)
      : g_(graph), kernel_(kernel), warn_(warn) {}

  // The match whose output is `output`, if there is one.
  std::optional<KernelMatch> at(Value output) {
    for (size_t n = 0; n < kernel_->references.size(); ++n) {
      const Graph* probe = instance(n, probe_sizes());
      if (!probe || probe->node(probe->outputs()[0].value.node).op != g_.node(output.node).op)
        continue;
      std::optional<KernelMatch> found;
      Unifier(*probe, g_, false, [&](const Unifier::Values& values) {
        found = confirm(n, output, inputs_of(*probe, values));
        return found.has_value();
      }).run(output);
      if (found) return found;
    }
    return std::nullopt;
  }

 private:
  using Inputs = std::vector<Value>;  // absent where the reference does not use one

  static Inputs inputs_of(const Graph& reference, const Unifier::Values& values) {
    Inputs inputs;
    for (NodeId id : reference.inputs()) {
      const auto at = values.find({id, 0});
      inputs.push_back(at == values.end() ? Value{} : at->second);
    }
    return inputs;
  }

  Sizes probe_sizes() const {
    std::map<std::string, sym::Expr> names;
    for (const tile::Param& param : kernel_->program.params)
      for (const sym::Expr& d : param.shape) d.collect_symbols(names);
    Sizes sizes;
    for (const auto& [name, expr] : names) sizes.emplace(name, probes[sizes.size() % 8]);
    return sizes;
  }

  // A reference at known sizes, expanded; null where it has no meaning at them.
  const Graph* instance(size_t number, const Sizes& sizes) {
    const auto [at, inserted] = instances_.try_emplace({number, sizes});
    if (inserted) {
      try {
        at->second =
            expand(lang::parse_program(kernel_->references[number].text, "reference", sizes));
      } catch (const UserError&) {
      }
    }
    return at->second ? &*at->second : nullptr;
  }

  std::optional<KernelMatch> confirm(size_t number, Value output, const Inputs& inputs) {
    const tile::Program& p = kernel_->program;
    std::vector<Shape> shapes;
    for (size_t k = 0; k < inputs.size(); ++k) {
      if (!inputs[k].present()) return std::nullopt;
      shapes.push_back(folded(g_.type(inputs[k]).concrete_shape(), p.params[k].shape.size()));
    }
    KernelMatch match{nullptr, inputs, output, {}};
    auto bound = std::make_shared<tile::File>(*kernel_);
    Sizes sizes;
    try {
      sizes = tile::match_shapes(p, shapes);
      bound->program = tile::bind(p, sizes);
    } catch (const UserError&) {
      return std::nullopt;  // of other sizes
    }
    const tile::Param& result = bound->program.params.back();
    const Shape shape = ir::ValueType{result.type, result.shape}.concrete_shape();
    if (folded(g_.type(output).concrete_shape(), shape.size()) != shape) return std::nullopt;
    const Graph* reference = instance(number, sizes);
    if (!reference) return std::nullopt;
    const bool exact = Unifier(*reference, g_, true, [&](const Unifier::Values& values) {
                         if (inputs_of(*reference, values) != inputs) return false;
                         std::set<NodeId> nodes;
                         for (const auto& [r, v] : values)
                           if (const std::string& op = reference->node(r.node).op;
                               op != "input" && op != "constant")
                             nodes.insert(v.node);
                         match.nodes.assign(nodes.begin(), nodes.end());
                         return true;
                       }).run(output);
    if (!exact || !computes_the_same(match, *reference, shapes, sizes)) return std::nullopt;
    try {
      codegen::tile_kernel(bound->program, bound->schedule);
    } catch (const UserError& e) {
      if (warn_) warn_(fmt::format("a kernel is not used: {}", e.what()));
      return std::nullopt;
    }
    match.kernel = std::move(bound);
    return match;
  }

  // In f64, on random numbers; constants of the model that are inputs of the reference are given.
  bool computes_the_same(const KernelMatch& match, const Graph& reference,
                         const std::vector<Shape>& shapes, const Sizes& sizes) {
    const Graph place = cut_out(g_, match);
    const auto [at, inserted] = same_.try_emplace({ops::identity_hash(place), sizes}, false);
    if (!inserted) return at->second;
    Rng rng(17);
    std::vector<Tensor> given, folded_inputs;
    std::map<Value, Tensor> known;
    for (size_t k = 0; k < match.inputs.size(); ++k) {
      const Value v = match.inputs[k];
      const ir::ValueType& type = g_.type(v);
      const bool fresh = !known.contains(v);
      if (fresh) {
        const Tensor* constant = g_.constant(v);
        Tensor t = constant ? *constant : Tensor(type.dtype, type.concrete_shape());
        for (int64_t i = 0; !constant && i < t.size(); ++i)
          if (is_float(type.dtype)) t.set_float(i, rng.normal());
          else t.set_integer(i, rng.integer(0, 1));
        known[v] = t;
        if (!constant) given.push_back(t);
      }
      folded_inputs.push_back(reshaped(known.at(v), shapes[k]));
    }
    const Tensor found = ops::evaluate(place, given)[0];
    const Tensor expected = ops::evaluate(reference, folded_inputs)[0];
    bool same = found.size() == expected.size();
    for (int64_t i = 0; same && i < found.size(); ++i) {
      if (!is_float(found.type())) {
        same = found.integer_at(i) == expected.integer_at(i);
        continue;
      }
      const double x = found.float_at(i), y = expected.float_at(i);
      same = std::fabs(x - y) <= 1e-9 * (1 + std::fabs(y)) || (std::isnan(x) && std::isnan(y));
    }
    return at->second = same;
  }

  const Graph& g_;
  std::shared_ptr<const tile::File> kernel_;
  const std::function<void(const std::string&)>& warn_;
  std::map<std::pair<size_t, Sizes>, std::optional<Graph>> instances_;
  std::map<std::pair<Hash128, Sizes>, bool> same_;  // by place
};

}  // namespace

Shape folded(const Shape& shape, size_t rank) {
  Shape result(shape.begin(), shape.end());
  while (result.size() > rank) {
    const int64_t first = result.front();
    result.erase(result.begin());
    if (result.empty()) return first == 1 ? result : shape;
    result.front() *= first;
  }
  result.insert(result.begin(), rank - result.size(), 1);
  return result;
}

std::vector<KernelMatch> match_kernels(const Graph& graph, const Kernels& kernels,
                                       const std::function<void(const std::string&)>& warn) {
  std::vector<KernelMatch> matches;
  std::vector<bool> taken(graph.node_count(), false);
  for (const auto& kernel : kernels) {
    KernelMatcher matcher(graph, kernel, warn);
    for (NodeId id = static_cast<NodeId>(graph.node_count()); id-- > 0;) {
      const Node& node = graph.node(id);
      if (taken[id] || node.op == "input" || node.op == "constant" || node.outputs.size() != 1)
        continue;
      auto match = matcher.at({id, 0});
      if (!match ||
          std::any_of(match->nodes.begin(), match->nodes.end(), [&](NodeId n) { return taken[n]; }))
        continue;
      for (NodeId n : match->nodes) taken[n] = true;
      matches.push_back(std::move(*match));
    }
  }
  return matches;
}

}  // namespace tessera::plan
