// SPDX-License-Identifier: Apache-2.0
// Backtracking over patterns: goals form a linked list on the stack, bindings are undone by a
// trail.
#include "rules/matcher.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "ops/registry.h"

namespace tessera::rules {
namespace {

bool is_commutative(const ops::OpDef& def) {
  return std::find(def.traits.begin(), def.traits.end(), ops::Trait::commutative) !=
         def.traits.end();
}

double epsilon_of(DType type) {
  switch (type) {
    case DType::f16: return 0x1p-10;
    case DType::bf16: return 0x1p-7;
    case DType::f32: return 0x1p-23;
    default: return 0x1p-52;
  }
}

// A literal that half precision holds exactly must be met exactly; 0.7071… within two roundings of
// the constant's type, or of f32, in which exporters often compute.
bool literal_matches(double literal, double value, DType type) {
  if (literal == value) return !(literal == 0 && std::signbit(literal) != std::signbit(value));
  if (!is_float(type) || round_to(literal, DType::f16) == literal) return false;
  const double epsilon = std::max(epsilon_of(type), 0x1p-23);
  return std::abs(literal - value) <= 2 * epsilon * std::abs(literal);
}

class Matcher {
 public:
  using Found = std::function<bool()>;

  Matcher(const WorkGraph& graph, const Rule& rule) : graph_(graph), rule_(rule) {
    bindings_.resize(rule.variables.size());
  }

  struct Goal {
    const Pattern* pattern;
    ir::Value value;
    const Goal* next;
  };

  // Calls `found` for every solution until it returns false; returns whether to go on.
  bool solve(const Goal* goal, const Found& found) {
    if (!goal) return found();
    const Pattern& p = *goal->pattern;
    const ir::Value v = goal->value;
    if (!v.present()) return true;
    const size_t mark = trail_.size();
    bool go_on = true;
    switch (p.kind) {
      case Pattern::Kind::variable:
        if (bind_value(p.slot, v)) go_on = solve(goal->next, found);
        break;
      case Pattern::Kind::number: {
        const auto value = uniform_value(graph_, v);
        if (value && literal_matches(p.number, *value, graph_.type(v).dtype))
          go_on = solve(goal->next, found);
        break;
      }
      case Pattern::Kind::any:
        if (p.slot >= 0 && !bind_value(p.slot, v)) break;
        for (const Pattern& alternative : p.args) {
          const Goal first{&alternative, v, goal->next};
          go_on = go_on && solve(&first, found);
        }
        break;
      case Pattern::Kind::apply: go_on = solve_apply(p, v, goal->next, found); break;
      case Pattern::Kind::scalar: break;
    }
    undo(mark);
    return go_on;
  }

  Bindings& bindings() { return bindings_; }

  // All live nodes that match the one pattern of a group together with `node`, the first of them.
  void solve_group(ir::NodeId node, const std::function<bool(std::vector<ir::Value>)>& found) {
    const Pattern& p = rule_.lhs[0];
    const Goal first{&p, {node, static_cast<uint32_t>(p.output)}, nullptr};
    solve(&first, [&] {
      const Bindings seed = bindings_;
      std::vector<ir::Value> members;
      std::vector<Bindings> rows;
      for (ir::NodeId other : sharers(p)) {
        if (other < node) {
          if (matches_shared(p, other, seed)) return true;  // found when that node was the first
          continue;
        }
        bindings_ = shared_part(seed);
        const Goal goal{&p, {other, static_cast<uint32_t>(p.output)}, nullptr};
        bool taken = false;
        solve(&goal, [&] {
          if (!is_member()) return true;
          members.push_back({other, static_cast<uint32_t>(p.output)});
          rows.push_back(bindings_);
          taken = true;
          return false;
        });
        if (!taken && other == node) break;
      }
      bindings_ = seed;
      if (members.size() < 2) return true;
      for (size_t slot = 0; slot < seed.size(); ++slot) {
        if (!rule_.is_list[slot]) continue;
        Binding list;
        list.kind = Binding::Kind::list;
        for (const Bindings& row : rows) list.list.push_back(row[slot]);
        bindings_[slot] = std::move(list);
      }
      const bool go_on = found(members);
      bindings_ = seed;
      return go_on;
    });
  }

 private:
  Bindings shared_part(const Bindings& all) const {
    Bindings shared = all;
    for (size_t slot = 0; slot < shared.size(); ++slot)
      if (rule_.is_list[slot]) shared[slot] = {};
    return shared;
  }

  bool matches_shared(const Pattern& p, ir::NodeId node, const Bindings& seed) {
    const Bindings saved = bindings_;
    bindings_ = shared_part(seed);
    const Goal goal{&p, {node, static_cast<uint32_t>(p.output)}, nullptr};
    bool matched = false;
    solve(&goal, [&] {
      matched = true;
      return false;
    });
    bindings_ = saved;
    return matched;
  }

  // Conditions (each …) say which nodes belong to a group.
  bool is_member() const {
    return std::all_of(rule_.conditions.begin(), rule_.conditions.end(), [&](const Term& c) {
      return c.name != "each" || holds(c.args.at(0), {graph_, rule_, bindings_});
    });
  }

  static int depth(const Pattern& p) {
    int deepest = 0;
    for (const Pattern& a : p.args) deepest = std::max(deepest, depth(a));
    return p.kind == Pattern::Kind::apply ? deepest + 1 : deepest;
  }

  // Nodes of the group's operator above the operand that its members share, in order of ids.
  std::vector<ir::NodeId> sharers(const Pattern& p) const {
    for (size_t slot = 0; slot < bindings_.size(); ++slot) {
      const Binding& b = bindings_[slot];
      if (rule_.is_list[slot] || b.kind != Binding::Kind::value) continue;
      std::set<ir::NodeId> level{b.value.node};
      for (int k = depth(p); k > 0; --k) {
        std::set<ir::NodeId> next;
        for (ir::NodeId id : level) next.insert(graph_.users(id).begin(), graph_.users(id).end());
        level = std::move(next);
      }
      std::vector<ir::NodeId> users(level.begin(), level.end());
      std::erase_if(users, [&](ir::NodeId id) { return &graph_.def(id) != p.def; });
      return users;
    }
    return {};
  }

  bool bind(int slot, Binding binding) {
    Binding& b = bindings_[slot];
    if (b.kind != Binding::Kind::unset) return b == binding;
    b = std::move(binding);
    trail_.push_back(slot);
    return true;
  }
  bool bind_value(int slot, ir::Value v) {
    Binding& b = bindings_[slot];
    if (b.kind == Binding::Kind::value) return b.value == v;
    Binding binding;
    binding.kind = Binding::Kind::value;
    binding.value = v;
    return bind(slot, std::move(binding));
  }
  bool bind_term(int slot, TermValue value) {
    Binding binding;
    binding.kind = Binding::Kind::term;
    binding.term = std::move(value);
    return bind(slot, std::move(binding));
  }
  void undo(size_t mark) {
    while (trail_.size() > mark) {
      bindings_[trail_.back()] = {};
      trail_.pop_back();
    }
  }

  bool solve_apply(const Pattern& p, ir::Value v, const Goal* next, const Found& found) {
    if (&graph_.def(v.node) != p.def) return true;
    if (p.output_slot >= 0) {
      if (!bind_term(p.output_slot, sym::Expr(static_cast<int64_t>(v.index)))) return true;
    } else if (static_cast<int>(v.index) != p.output) {
      return true;
    }
    const auto& operands = graph_.inputs(v.node);
    const bool repeated = !p.args.empty() && p.args.back().repeated;
    if (repeated ? operands.size() + 1 < p.args.size() : operands.size() != p.args.size())
      return true;
    if (p.slot >= 0 && !bind_value(p.slot, v)) return true;
    if (!match_attrs(p, v.node)) return true;
    if (repeated) {
      const size_t fixed = p.args.size() - 1;
      if (!match_repeated(p.args.back(),
                          {operands.begin() + static_cast<long>(fixed), operands.end()}))
        return true;
      return solve_operands(p, operands, fixed, false, next, found);
    }
    const bool swap = operands.size() == 2 && is_commutative(*p.def) && operands[0] != operands[1];
    if (!solve_operands(p, operands, operands.size(), false, next, found)) return false;
    return !swap || solve_operands(p, operands, 2, true, next, found);
  }

  bool solve_operands(const Pattern& p, const std::vector<ir::Value>& operands, size_t count,
                      bool swap, const Goal* next, const Found& found) {
    std::vector<Goal> goals(count);
    for (size_t k = 0; k < count; ++k) {
      const ir::Value operand = operands[swap ? 1 - k : k];
      goals[k] = {&p.args[k], operand, k + 1 < count ? &goals[k + 1] : next};
    }
    return solve(count ? goals.data() : next, found);
  }

  // Every operand by itself, first solution; what list variables meet becomes a list.
  bool match_repeated(const Pattern& p, const std::vector<ir::Value>& operands) {
    std::vector<Binding> lists(bindings_.size());
    for (ir::Value v : operands) {
      const Goal goal{&p, v, nullptr};
      bool matched = false;
      std::vector<std::pair<int, Binding>> kept;
      solve(&goal, [&] {
        matched = true;
        for (int slot : trail_)
          if (!rule_.is_list[slot]) kept.push_back({slot, bindings_[slot]});
        for (size_t slot = 0; slot < bindings_.size(); ++slot)
          if (rule_.is_list[slot] && bindings_[slot].kind != Binding::Kind::unset &&
              bindings_[slot].kind != Binding::Kind::list)
            lists[slot].list.push_back(bindings_[slot]);
        return false;
      });
      if (!matched) return false;
      for (auto& [slot, binding] : kept)
        if (!bind(slot, std::move(binding))) return false;
    }
    for (size_t slot = 0; slot < lists.size(); ++slot) {
      if (lists[slot].list.empty()) continue;
      lists[slot].kind = Binding::Kind::list;
      if (!bind(static_cast<int>(slot), std::move(lists[slot]))) return false;
    }
    return true;
  }

  bool match_attrs(const Pattern& p, ir::NodeId id) {
    const ir::AttrMap& attrs = graph_.node(id).attrs;
    if (graph_.node(id).regions.size() != 0) return false;
    ir::AttrMap rest;
    for (const ops::AttrDef& def : p.def->attrs) {
      const auto stated = attrs.find(def.name);
      const ir::AttrValue* value = stated != attrs.end() ? &stated->second
                                   : def.default_value   ? &*def.default_value
                                                         : nullptr;
      const auto wanted = std::find_if(p.attrs.begin(), p.attrs.end(),
                                       [&](const AttrPattern& a) { return a.name == def.name; });
      if (wanted != p.attrs.end()) {
        if (!value || !match_attr(*wanted, *value)) return false;
      } else if (p.rest >= 0) {
        if (stated != attrs.end()) rest.emplace(def.name, *value);
      } else if (value && (!def.default_value || !ir::operator_equal(*value, *def.default_value))) {
        return false;
      }
    }
    if (p.rest < 0) return true;
    Binding binding;
    binding.kind = Binding::Kind::attrs;
    binding.attrs = std::move(rest);
    return bind(p.rest, std::move(binding));
  }

  bool match_attr(const AttrPattern& wanted, const ir::AttrValue& value) {
    auto found = to_term_value(value);
    if (!found) return false;
    if (wanted.term.kind == Term::Kind::variable) return bind_term(wanted.term.slot, *found);
    const auto expected = evaluate(wanted.term, {graph_, rule_, bindings_});
    if (!expected) return false;
    const auto as_attr = to_attribute(*expected, ir::kind_of(value));
    return as_attr && ir::operator_equal(*as_attr, value);
  }

  const WorkGraph& graph_;
  const Rule& rule_;
  Bindings bindings_;
  std::vector<int> trail_;
};

bool conditions_hold(const WorkGraph& graph, const Rule& rule, const Bindings& bindings) {
  const TermContext context{graph, rule, bindings};
  return std::all_of(rule.conditions.begin(), rule.conditions.end(),
                     [&](const Term& c) { return c.name == "each" || holds(c, context); });
}

// A rule over the reals says nothing about integers; moves (mode exact) hold for every type.
bool domain_allows(const WorkGraph& graph, const Rule& rule, const std::vector<ir::Value>& roots) {
  return rule.mode == Mode::exact || std::all_of(roots.begin(), roots.end(), [&](ir::Value v) {
           return is_float(graph.type(v).dtype);
         });
}

}  // namespace

void find_matches(const WorkGraph& graph, const Rule& rule, ir::NodeId node,
                  const std::function<bool(const Match&)>& found) {
  if (!graph.alive(node) || &graph.def(node) != rule.lhs[0].def) return;
  Matcher matcher(graph, rule);
  Match match;
  match.rule = &rule;
  const auto complete = [&](std::vector<ir::Value> roots) {
    if (!domain_allows(graph, rule, roots) || !conditions_hold(graph, rule, matcher.bindings()))
      return true;
    match.roots = std::move(roots);
    match.bindings = matcher.bindings();
    const bool go_on = found(match);
    ++match.ordinal;
    return go_on;
  };
  if (rule.is_group()) return matcher.solve_group(node, complete);
  for (uint32_t k = 0; k < graph.node(node).outputs.size(); ++k) {
    const Matcher::Goal goal{&rule.lhs[0], {node, k}, nullptr};
    const bool go_on = matcher.solve(&goal, [&] {
      if (rule.lhs.size() == 1) return complete({{node, k}});
      // The second pattern is looked for at the users of what the first one bound.
      const Pattern& second = rule.lhs[1];
      std::vector<ir::NodeId> candidates;
      for (const Binding& b : matcher.bindings())
        if (b.kind == Binding::Kind::value)
          for (ir::NodeId user : graph.users(b.value.node))
            if (&graph.def(user) == second.def && user != node) candidates.push_back(user);
      std::sort(candidates.begin(), candidates.end());
      candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
      for (ir::NodeId other : candidates) {
        const ir::Value v{other, static_cast<uint32_t>(second.output)};
        const Matcher::Goal next{&second, v, nullptr};
        if (!matcher.solve(&next, [&] { return complete({{node, k}, v}); })) return false;
      }
      return true;
    });
    if (!go_on) return;
  }
}

}  // namespace tessera::rules
