// SPDX-License-Identifier: Apache-2.0
// Builds right sides.
#include <algorithm>

#include "base/check.h"
#include "ops/registry.h"
#include "rules/matcher.h"

namespace tessera::rules {
namespace {

/// The right side cannot be built here.
struct Refused {};

class RightSide {
 public:
  RightSide(WorkGraph& graph, const Match& match) : graph_(graph), match_(match) {}

  ir::Value build(const Pattern& p, int repetition, DType literal_type) {
    switch (p.kind) {
      case Pattern::Kind::variable: return variable(p.slot, repetition);
      case Pattern::Kind::number: return graph_.add_scalar(p.number, literal_type);
      case Pattern::Kind::scalar: return scalar(p.term, repetition, literal_type);
      case Pattern::Kind::apply: return apply(p, repetition, literal_type);
      case Pattern::Kind::any: break;
    }
    throw Refused{};
  }

 private:
  TermContext context(int repetition) const {
    return {graph_, *match_.rule, match_.bindings, repetition};
  }

  // A number; where it is made of symbolic sizes, the arithmetic on them.
  ir::Value scalar(const Term& term, int repetition, DType type) {
    if (const auto v = evaluate(term, context(repetition))) {
      if (const auto* d = std::get_if<double>(&*v)) return graph_.add_scalar(*d, type);
      const auto* s = std::get_if<sym::Expr>(&*v);
      if (s && s->constant()) return graph_.add_scalar(static_cast<double>(*s->constant()), type);
      if (s && graph_.options().symbolic_counts) return size_as_number(*s, type);
    }
    const bool divides = term.kind == Term::Kind::call && term.name == "/";
    const bool multiplies = term.kind == Term::Kind::call && term.name == "*";
    if (!graph_.options().symbolic_counts || !(divides || multiplies)) throw Refused{};
    ir::Value result = scalar(term.args.at(0), repetition, type);
    for (size_t k = 1; k < term.args.size(); ++k) {
      const ir::Value operand = scalar(term.args[k], repetition, type);
      result = {graph_.add(divides ? "div" : "mul", {result, operand}, {}), 0};
    }
    return result;
  }

  ir::Value size_as_number(const sym::Expr& size, DType type) {
    const ir::NodeId sizes = graph_.add("shape_of", {}, {{"dims", ir::Dims{size}}});
    const ir::NodeId one = graph_.add("reshape", {{sizes, 0}}, {{"shape", ir::Dims{}}});
    return {graph_.add("cast", {{one, 0}}, {{"to", type}}), 0};
  }

  ir::Value variable(int slot, int repetition) const {
    const Binding* b = &match_.bindings[slot];
    if (b->kind == Binding::Kind::list) {
      if (repetition < 0) throw Refused{};
      b = &b->list.at(repetition);
    }
    if (b->kind != Binding::Kind::value) throw Refused{};
    return b->value;
  }

  ir::AttrMap attributes(const Pattern& p, int repetition) const {
    ir::AttrMap attrs;
    if (p.rest >= 0) {
      const Binding* b = &match_.bindings[p.rest];
      if (b->kind == Binding::Kind::list) {
        if (repetition < 0) throw Refused{};
        b = &b->list.at(repetition);
      }
      attrs = b->attrs;
    }
    for (const AttrPattern& a : p.attrs) {
      const auto def = std::find_if(p.def->attrs.begin(), p.def->attrs.end(),
                                    [&](const ops::AttrDef& d) { return d.name == a.name; });
      const auto value = evaluate(a.term, context(repetition));
      auto attr = value ? to_attribute(*value, def->kind) : std::nullopt;
      if (!attr) throw Refused{};
      const bool symbolic =
          def->kind == ir::AttrKind::integer && ir::kind_of(*attr) == ir::AttrKind::dims;
      if (symbolic && !graph_.options().symbolic_counts) throw Refused{};
      if (def->default_value && ir::operator_equal(*attr, *def->default_value)) attrs.erase(a.name);
      else attrs[a.name] = std::move(*attr);
    }
    return attrs;
  }

  // Literals take the element type of their last sibling that has one of its own.
  ir::Value apply(const Pattern& p, int repetition, DType literal_type) {
    const auto is_literal = [](const Pattern& a) {
      return a.kind == Pattern::Kind::number || a.kind == Pattern::Kind::scalar;
    };
    std::vector<std::vector<ir::Value>> operands(p.args.size());
    DType type = literal_type;
    for (const bool literals : {false, true})
      for (size_t k = 0; k < p.args.size(); ++k) {
        const Pattern& a = p.args[k];
        if (is_literal(a) != literals) continue;
        if (a.repeated) {
          const int count = repetitions(a, context(-1));
          for (int i = 0; i < count; ++i) operands[k].push_back(build(a, i, type));
        } else {
          operands[k].push_back(build(a, repetition, type));
        }
        if (!literals && !operands[k].empty()) type = graph_.type(operands[k].back()).dtype;
      }
    std::vector<ir::Value> inputs;
    for (const auto& group : operands) inputs.insert(inputs.end(), group.begin(), group.end());
    const ir::NodeId id = graph_.add(p.def->name, std::move(inputs), attributes(p, repetition));
    uint32_t output = static_cast<uint32_t>(p.output);
    if (p.output_slot >= 0) {
      const auto& b = match_.bindings[p.output_slot];
      output = static_cast<uint32_t>(*std::get<sym::Expr>(*b.term).constant());
    }
    if (output >= graph_.node(id).outputs.size()) throw Refused{};
    return {id, output};
  }

  WorkGraph& graph_;
  const Match& match_;
};

std::vector<ir::Value> build_results(WorkGraph& graph, const Match& match) {
  const Rule& rule = *match.rule;
  RightSide right(graph, match);
  std::vector<ir::Value> results;
  for (size_t k = 0; k < rule.rhs.size(); ++k)
    results.push_back(right.build(rule.rhs[k], -1, graph.type(match.roots[k]).dtype));
  if (rule.is_group()) {
    const ir::NodeId node = results[0].node;
    if (graph.node(node).outputs.size() != match.roots.size()) throw Refused{};
    results.clear();
    for (uint32_t k = 0; k < match.roots.size(); ++k) results.push_back({node, k});
  }
  return results;
}

bool acceptable(const WorkGraph& graph, const Match& match, const std::vector<ir::Value>& results) {
  bool changes = false;
  for (size_t k = 0; k < results.size(); ++k) {
    if (!(graph.type(results[k]) == graph.type(match.roots[k]))) return false;
    changes |= results[k] != match.roots[k];
  }
  if (!changes) return false;
  for (ir::Value result : results)
    for (ir::Value root : match.roots)
      if (result.node == root.node || graph.depends_on(result.node, root.node)) return false;
  return true;
}

bool has_symbol(const WorkGraph& graph, ir::NodeId id) {
  for (ir::Value v : graph.inputs(id))
    if (v.present() && !sym::constants(graph.type(v).shape)) return true;
  return false;
}

using Equations = std::vector<sym::Expr>;

// What must be 0 for the records of a node to accept it.
void add_equations(const ops::OpDef& def, const ops::InputTypes& types, const ir::AttrMap& attrs,
                   Equations& to) {
  if (def.meaning) {
    for (const ir::Requirement& r : ops::instantiate(def, types, attrs).requirements)
      if (r.kind == ir::Requirement::Kind::equal) to.push_back(r.lhs - r.rhs);
  } else if (def.decompose) {
    const ir::Graph inner = ops::decompose(def, types, attrs);
    for (const ir::Node& n : inner.nodes()) {
      ops::InputTypes operands;
      for (ir::Value v : n.inputs) operands.push_back(v.present() ? &inner.type(v) : nullptr);
      add_equations(ops::registry().get(n.op), operands, n.attrs, to);
    }
  }
}

void add_equations(const WorkGraph& graph, ir::NodeId id, Equations& to) {
  ops::InputTypes types;
  for (ir::Value v : graph.inputs(id)) types.push_back(v.present() ? &graph.type(v) : nullptr);
  add_equations(graph.def(id), types, graph.node(id).attrs, to);
}

// Symbolic sizes may turn out to be any numbers: new nodes may require of them only what old nodes
// require already.
bool requires_more(const WorkGraph& graph, size_t mark) {
  Equations fresh, known;
  for (size_t id = mark; id < graph.node_limit(); ++id)
    if (graph.alive(id) && has_symbol(graph, id)) add_equations(graph, id, fresh);
  if (fresh.empty()) return false;
  for (size_t id = 0; id < mark; ++id)
    if (graph.alive(id) && has_symbol(graph, id)) add_equations(graph, id, known);
  return std::any_of(fresh.begin(), fresh.end(), [&](const sym::Expr& e) {
    return std::none_of(known.begin(), known.end(),
                        [&](const sym::Expr& k) { return k == e || k == -e; });
  });
}

std::string joined_names(const WorkGraph& graph, const Match& match) {
  std::string names;
  for (ir::Value root : match.roots) {
    const ir::Node& n = graph.node(root.node);
    const auto it = n.metadata.find("tessera.sources");
    const std::string& name = it != n.metadata.end() ? it->second : n.name;
    if (!name.empty() && names.size() < 400) names += (names.empty() ? "" : ",") + name;
  }
  return names;
}

}  // namespace

std::optional<std::vector<ir::Value>> add_right_side(WorkGraph& graph, const Match& match) {
  try {
    return build_results(graph, match);
  } catch (const Refused&) {
  } catch (const UserError&) {  // a record refuses the shapes or attributes
  }
  return std::nullopt;
}

bool apply(WorkGraph& graph, const Match& match) {
  const size_t mark = graph.node_limit();
  std::vector<ir::Value> results;
  bool built = false;
  try {
    results = build_results(graph, match);
    built = acceptable(graph, match, results) && !requires_more(graph, mark);
  } catch (const Refused&) {
  } catch (const UserError&) {  // a record refuses the shapes or attributes
  }
  if (!built) {
    graph.roll_back(mark);
    return false;
  }
  const std::string sources = joined_names(graph, match);
  const std::string name = graph.node(match.roots[0].node).name;
  for (size_t id = mark; id < graph.node_limit(); ++id) {
    const bool is_result =
        std::any_of(results.begin(), results.end(), [&](ir::Value v) { return v.node == id; });
    graph.annotate(static_cast<ir::NodeId>(id), is_result ? name : "", match.rule->name, sources);
  }
  for (size_t k = 0; k < results.size(); ++k) graph.replace(match.roots[k], results[k]);
  for (size_t id = mark; id < graph.node_limit(); ++id)
    graph.remove_if_dead(static_cast<ir::NodeId>(id));  // folded away while building
  return true;
}

}  // namespace tessera::rules
