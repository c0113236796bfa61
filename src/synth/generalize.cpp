// SPDX-License-Identifier: Apache-2.0
// Forms of a rule, general to special, and their tests.
#include "synth/generalize.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/check.h"
#include "ops/registry.h"
#include "ops/traits.h"
#include "rules/sample.h"
#include "synth/samples.h"
#include "synth/terms.h"

namespace tessera::synth {
namespace {

/// Which freedoms a form takes.
struct Form {
  bool parameters = true;   ///< equal parameters on both sides become variables
  bool whole_sets = false;  ///< … whole sets of parameters at once
  bool any_rank = true;     ///< no conditions on ranks
  bool any_shape = true;    ///< no conditions on shapes either
  bool drawn = false;       ///< random shapes, without a sample clause
};

bool is_number(const Variable& v) {
  return v.elements && !v.elements->empty() &&
         std::all_of(v.elements->begin(), v.elements->end(),
                     [&](int64_t e) { return e == v.elements->front(); });
}

// Sizes of a split as dimensions of variables: what the extent of the split axis is the sum of, if
// those are the sizes in this order.
std::optional<std::vector<std::pair<int, int>>> as_extents(const Sides& s, TermId operand,
                                                           const ir::Dims& sizes, int64_t axis) {
  Letters letters(s.pool, s.pool.variables_of(operand));
  letters.add(operand);  // what must be equal, first
  const auto shape = letters.shape_of(operand);
  if (!shape || axis < 0 || axis >= static_cast<int64_t>(shape->size())) return {};
  auto summands = letters.summands((*shape)[static_cast<size_t>(axis)]);
  if (!summands || summands->size() != sizes.size()) return {};
  for (size_t k = 0; k < sizes.size(); ++k) {
    auto& [variable, at] = (*summands)[k];
    if (s.pool.variables()[static_cast<size_t>(variable)].type.shape[static_cast<size_t>(at)] !=
        sizes[k])
      return {};
    variable = s.numbering.at(variable);
  }
  return summands;
}

PatternNode to_pattern(Sides& s, TermId id, const Form& form, bool left) {
  const Term t = s.pool.term(id);
  PatternNode p;
  if (!t.def) {
    const Variable& v = s.pool.variables()[static_cast<size_t>(t.variable)];
    if (is_number(v)) {
      p.number = static_cast<double>(v.elements->front());
      return p;
    }
    p.variable =
        s.numbering.try_emplace(t.variable, static_cast<int>(s.numbering.size())).first->second;
    return p;
  }
  p.def = t.def;
  p.output = t.output;
  for (TermId a : t.args) p.args.push_back(to_pattern(s, a, form, left));
  const ir::AttrMap attrs = s.pool.attrs(t);
  // Groups are never among them: what merges or parts channels is false in general, and random
  // instances show it too rarely.
  const bool grouped = std::any_of(t.def->attrs.begin(), t.def->attrs.end(),
                                   [](const ops::AttrDef& a) { return a.name == "group"; });
  if (form.whole_sets && !grouped && t.def->attrs.size() > 2) {
    const std::string key = t.def->name + attributes_text(attrs);
    const auto it = s.rests.find(key);
    if (left || it != s.rests.end()) {
      p.rest = left ? s.rests.try_emplace(key, static_cast<int>(s.rests.size())).first->second
                    : it->second;
      return p;
    }
  }
  const auto axis = attrs.find("axis");
  for (const auto& [name, value] : attrs) {
    ParameterSpec spec;
    spec.value = value;
    const std::string key = name + "=" + attribute_text(value);
    const bool free_kind =
        name == "axis" || name == "perm" || name == "axes" || name == "keepdims" || name == "sizes";
    const bool known = form.parameters && s.parameters.contains(key);
    if (name == "sizes" && !left && !known && axis != attrs.end()) {
      const auto extents =
          as_extents(s, t.args[0], std::get<ir::Dims>(value), std::get<int64_t>(axis->second));
      if (extents) {
        spec.kind = ParameterSpec::Kind::extents;
        spec.extents = *extents;
      }
    } else if (form.parameters && free_kind) {
      const auto it = s.parameters.find(key);
      if (left || it != s.parameters.end()) {
        spec.kind = ParameterSpec::Kind::variable;
        spec.variable =
            left
                ? s.parameters.try_emplace(key, static_cast<int>(s.parameters.size())).first->second
                : it->second;
      }
    }
    p.parameters.emplace_back(name, std::move(spec));
  }
  return p;
}

bool has_rest(const PatternNode& p, int rest) {
  return p.rest == rest || std::any_of(p.args.begin(), p.args.end(),
                                       [&](const PatternNode& a) { return has_rest(a, rest); });
}

// Elementwise operands of one shape stay of one shape: otherwise broadcasting comes in.
void require_equal_shapes(Sides& s, PatternNode& p, TermId id, LearnedRule& rule) {
  const Term t = s.pool.term(id);
  if (!t.def) return;
  for (size_t k = 0; k < p.args.size(); ++k) require_equal_shapes(s, p.args[k], t.args[k], rule);
  if (p.args.size() != 2 || !is_pointwise(*t.def, 2)) return;
  const auto which = [&](PatternNode& a) -> std::optional<int> {
    if (a.number) return {};
    if (!a.def) return a.variable;
    if (a.output != 0) return {};
    if (a.name < 0) a.name = s.next_name++;
    return -1 - a.name;
  };
  const Term &x = s.pool.term(t.args[0]), &y = s.pool.term(t.args[1]);
  if (t.args[0] == t.args[1] || x.type.shape != y.type.shape) return;
  const auto a = which(p.args[0]), b = which(p.args[1]);
  if (!a || !b) return;
  auto& known = rule.conditions.equal_shapes;
  const std::pair condition(*a, *b);
  if (std::find(known.begin(), known.end(), condition) == known.end()) known.push_back(condition);
}

std::vector<int> sorted(std::vector<int> v) {
  std::sort(v.begin(), v.end());
  return v;
}

std::optional<LearnedRule> make_form(TermPool& pool, std::span<const Equation> equations,
                                     const Form& form) {
  Sides s{pool, {}, {}, {}, 0};
  LearnedRule rule;
  rule.left_term = equations[0].left;
  rule.right_term = equations[0].right;
  const bool pair = equations.size() > 1;
  rule.left = to_pattern(s, equations[0].left, form, true);
  if (pair) rule.second_left = to_pattern(s, equations[1].left, form, true);
  const size_t left_variables = s.numbering.size();
  rule.right = to_pattern(s, equations[0].right, form, false);
  if (pair) rule.second_right = to_pattern(s, equations[1].right, form, false);
  if (s.numbering.size() > left_variables || !rule.left.def) return {};
  // Parameters of a whole set do not vanish.
  for (const auto& [key, number] : s.rests)
    if (!has_rest(rule.right, number) && !(pair && has_rest(*rule.second_right, number))) return {};
  rule.types.resize(s.numbering.size());
  for (const auto& [own, number] : s.numbering)
    rule.types[static_cast<size_t>(number)] = pool.variables()[static_cast<size_t>(own)].type;
  // Scalars stay scalars: the samples have nothing else to say about them.
  for (size_t k = 0; k < rule.types.size(); ++k)
    if (!form.any_rank || (!form.drawn && rule.types[k].rank() == 0))
      rule.conditions.ranks.emplace_back(static_cast<int>(k), rule.types[k].rank());
  if (!form.any_shape) {
    require_equal_shapes(s, rule.left, equations[0].left, rule);
    if (pair) require_equal_shapes(s, *rule.second_left, equations[1].left, rule);
  }
  const SampleWriter writer(s, equations);
  rule.adverse = writer.adverse(form.any_rank, form.any_rank && !form.drawn);
  if (!form.drawn) {
    rule.samples = {writer.free(Extension::none), writer.found()};
    if (form.any_rank) {
      rule.samples.push_back(writer.free(Extension::leading));
      rule.samples.push_back(writer.free(Extension::trailing));
    }
  }
  rule.name = "candidate";
  return rule;
}

// Whether random instances agree: some on the rule's own samples, those with an axis more when it
// names no rank, the adverse ones, and at last many.
bool holds_on_samples(LearnedRule& rule, int instances) {
  const auto check = [&](const std::vector<std::string>& samples, int count, int attempts) {
    LearnedRule other = rule;
    other.samples = samples;
    const rules::Rule parsed = rules::parse_rule(other.text(), "learned", 1);
    return rules::check_rule(parsed, {.instances = count, .attempts = attempts, .seed = 11});
  };
  const auto differs = [](const rules::SampleReport& r) {
    return !r.ok && r.message.find("differ") != std::string::npos;
  };
  constexpr int few = 12;
  try {
    const auto first = check(rule.samples, few, 40 * few);
    if (!first.ok || first.instances < few) return false;
    if (rule.samples.size() == 4) {
      const auto larger = check({rule.samples[2], rule.samples[3]}, few / 2, 20 * few);
      if (!larger.ok || larger.instances < few / 2) return false;
    }
    const int clauses = static_cast<int>(rule.adverse.size());
    if (clauses > 0 && differs(check(rule.adverse, 3 * clauses, 6 * clauses))) return false;
    const auto last = check(rule.samples, instances, 6 * instances);
    rule.instances = last.instances;
    return !differs(last);
  } catch (const UserError&) {
    return false;  // the rule language does not accept it
  }
}

// Instances of convolutions cost a thousand times more than those of sums.
int instances_for(const TermPool& pool, std::span<const Equation> equations, int thousand) {
  int rank = 0;
  for (const Equation& e : equations)
    for (TermId side : {e.left, e.right})
      for (TermId t : pool.subterms(side)) rank = std::max(rank, pool.term(t).type.rank());
  return rank >= 4 ? thousand / 10 : thousand;
}

bool shape_agnostic(const TermPool& pool, TermId id) {
  for (TermId t : pool.subterms(id)) {
    const Term& n = pool.term(t);
    if (is_pointwise(*n.def, n.args.size())) continue;
    const std::string& name = n.def->name;
    if (name != "concat" && name != "transpose") return false;
  }
  return true;
}

// Bits are kept at most by rules that only move elements or exchange moves with functions.
bool may_be_exact(const TermPool& pool, const Equation& e) {
  for (TermId side : {e.left, e.right})
    for (TermId t : pool.subterms(side)) {
      const Term& n = pool.term(t);
      if (!n.def->meaning) return false;
      std::vector<const ir::ValueType*> types;
      for (TermId a : n.args) types.push_back(&pool.term(a).type);
      const ir::Meaning meaning = ops::instantiate(*n.def, types, pool.attrs(n));
      if (!ops::moves_only(meaning) && !is_pointwise(*n.def, n.args.size())) return false;
    }
  return true;
}

}  // namespace

bool is_pointwise(const ops::OpDef& def, size_t inputs) {
  if (!def.meaning || inputs == 0) return false;
  const ir::ValueType type{DType::f32, {2, 3}};
  const std::vector<const ir::ValueType*> types(inputs, &type);
  try {
    const ir::Meaning meaning = ops::instantiate(def, types, {});
    if (meaning.outputs.size() != 1 || meaning.outputs[0].shape != type.shape) return false;
    for (ir::ExprId id = 0; id < meaning.pool->size(); ++id) {
      const ir::ExprNode& n = meaning.pool->node(id);
      if (n.kind == ir::ExprKind::reduce) return false;
      if (n.kind != ir::ExprKind::read) continue;
      for (size_t axis = 0; axis < n.args.size(); ++axis) {
        const ir::ExprNode& index = meaning.pool->node(n.args[axis]);
        if (index.kind != ir::ExprKind::variable || index.var.kind != ir::Var::Kind::output ||
            index.var.number != axis)
          return false;
      }
    }
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::optional<LearnedRule> Generalizer::most_general(std::span<const Equation> equations,
                                                     bool same_variables) {
  bool agnostic = true, exact = true;
  for (const Equation& e : equations) {
    agnostic = agnostic && shape_agnostic(pool_, e.left) && shape_agnostic(pool_, e.right);
    exact = exact && may_be_exact(pool_, e);
  }
  const int instances = instances_for(pool_, equations, instances_);
  std::vector<Form> forms;
  if (agnostic && equations.size() == 1) {
    forms.push_back({.any_rank = true, .any_shape = true, .drawn = true});
    forms.push_back({.any_rank = true, .any_shape = false, .drawn = true});
  }
  forms.push_back({.any_rank = true, .any_shape = false});
  forms.push_back({.whole_sets = true, .any_rank = false, .any_shape = false});
  forms.push_back({.any_rank = false, .any_shape = false});
  forms.push_back({.parameters = false, .any_rank = false, .any_shape = false});
  for (const Form& form : forms) {
    auto rule = make_form(pool_, equations, form);
    if (!rule) continue;
    // A bare variable on the right has no operator to match from.
    const bool reversible = same_variables && rule->right.def && !rule->second_left;
    for (const bool both : {true, false}) {
      if (both && !reversible) continue;
      rule->both_ways = both;
      if (exact && passes(*rule, true, instances)) return rule;
      if (passes(*rule, false, instances)) return rule;
    }
  }
  return {};
}

bool Generalizer::passes(LearnedRule& rule, bool exact, int instances) {
  rule.exact = exact;
  const std::string statement = rule.identity();
  if (banned_.contains(statement)) return false;
  if (const auto it = passed_.find(statement); it != passed_.end()) {
    rule.instances = it->second;
    return true;
  }
  const std::string text = rule.text();
  if (failed_.contains(text)) return false;
  if (!holds_on_samples(rule, instances)) {
    failed_.insert(text);
    return false;
  }
  passed_[statement] = rule.instances;
  return true;
}

bool Generalizer::confirm(LearnedRule& rule, int instances) {
  if (const auto it = confirmed_.find(rule.identity()); it != confirmed_.end()) {
    rule.instances = it->second;
    return true;
  }
  const Equation e{rule.left_term, rule.right_term};
  const int count = instances_for(pool_, std::span(&e, 1), instances);
  const rules::Rule parsed = rules::parse_rule(rule.text(), "learned", 1);
  const auto report =
      rules::check_rule(parsed, {.instances = count, .attempts = 8 * count, .seed = 4711});
  rule.instances = report.instances;
  if (report.ok) {
    confirmed_[rule.identity()] = rule.instances;
    return true;
  }
  ban(rule);
  return false;
}

std::optional<LearnedRule> Generalizer::one(const Equation& equation) {
  Equation e = equation;
  const auto left = sorted(pool_.variables_of(e.left)), right = sorted(pool_.variables_of(e.right));
  if (!std::includes(left.begin(), left.end(), right.begin(), right.end())) {
    if (!std::includes(right.begin(), right.end(), left.begin(), left.end())) return {};
    std::swap(e.left, e.right);
  }
  return most_general(std::span(&e, 1), left == right);
}

std::optional<LearnedRule> Generalizer::pair(const Equation& first, const Equation& second) {
  const Equation all[] = {first, second};
  return most_general(all, false);
}

}  // namespace tessera::synth
