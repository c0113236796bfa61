// SPDX-License-Identifier: Apache-2.0
// Forms of a rule, general to special, and their tests.
#include "synth/generalize.h"

#include <algorithm>
#include <istream>
#include <numeric>
#include <set>

#include "base/check.h"
#include "base/hash.h"
#include "ops/registry.h"
#include "ops/traits.h"
#include "rules/sample.h"
#include "synth/samples.h"

namespace tessera::synth {
namespace {

/// Which freedoms a form takes. Conditions are searched for.
struct Form {
  bool parameters = true;              ///< equal parameters on both sides become variables
  bool whole_sets = false;             ///< … whole sets of parameters at once, but for groups
  bool drawn = false;                  ///< random shapes, without a sample clause
  std::set<std::string> literal = {};  ///< parameters that stay out of whole sets
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
  ir::AttrMap attrs = s.pool.attrs(t);
  // Groups are a variable of their own: what merges or parts channels needs a condition on them.
  const bool whole = form.whole_sets && t.def->attrs.size() > 2;
  for (const ops::AttrDef& def : t.def->attrs)
    if (whole && def.name == "group" && def.default_value)
      attrs.try_emplace("group", *def.default_value);
  ir::AttrMap rest = attrs;
  for (const auto& [name, value] : attrs)
    if (name == "group" || form.literal.contains(name)) rest.erase(name);
  if (whole) {
    const std::string key = t.def->name + attributes_text(rest);
    const auto it = s.rests.find(key);
    if (left || it != s.rests.end())
      p.rest = left ? s.rests.try_emplace(key, static_cast<int>(s.rests.size())).first->second
                    : it->second;
  }
  const auto axis = attrs.find("axis");
  std::optional<int> axis_parameter;
  for (const auto& [name, value] : attrs) {
    if (p.rest >= 0 && rest.contains(name)) continue;
    ParameterSpec spec;
    spec.value = value;
    const std::string key = name + "=" + attribute_text(value);
    const bool free_kind = name == "axis" || name == "perm" || name == "axes" ||
                           name == "keepdims" || name == "sizes" ||
                           (name == "group" && p.rest >= 0);
    const bool known = form.parameters && s.parameters.contains(key);
    if (name == "sizes" && !left && !known && axis != attrs.end()) {
      const auto extents =
          as_extents(s, t.args[0], std::get<ir::Dims>(value), std::get<int64_t>(axis->second));
      if (extents) {
        spec.kind = ParameterSpec::Kind::extents;
        spec.extents = *extents;
        for (auto& [variable, at] : spec.extents)
          if (axis_parameter && at == std::get<int64_t>(axis->second)) at = -1 - *axis_parameter;
      }
    } else if (form.parameters && free_kind) {
      const auto it = s.parameters.find(key);
      if (left || it != s.parameters.end()) {
        spec.kind = ParameterSpec::Kind::variable;
        spec.variable =
            left
                ? s.parameters.try_emplace(key, static_cast<int>(s.parameters.size())).first->second
                : it->second;
        if (name == "axis") axis_parameter = spec.variable;
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

using ShapePairs = std::vector<std::pair<int, int>>;

// Elementwise operands of one shape, which broadcasting would make differ.
void find_equal_shapes(Sides& s, PatternNode& p, TermId id, ShapePairs& known) {
  const Term t = s.pool.term(id);
  if (!t.def) return;
  for (size_t k = 0; k < p.args.size(); ++k) find_equal_shapes(s, p.args[k], t.args[k], known);
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
  const std::pair condition(*a, *b);
  if (std::find(known.begin(), known.end(), condition) == known.end()) known.push_back(condition);
}

std::vector<int> sorted(std::vector<int> v) {
  std::sort(v.begin(), v.end());
  return v;
}

// A rule without conditions, and the pairs of shapes that could be among them.
struct Draft {
  LearnedRule rule;
  ShapePairs shapes;
};

std::optional<Draft> make_draft(TermPool& pool, std::span<const Equation> equations,
                                const Form& form) {
  Sides s{pool, {}, {}, {}, 0};
  Draft draft;
  LearnedRule& rule = draft.rule;
  rule.left_term = equations[0].left;
  rule.right_term = equations[0].right;
  const bool pair = equations.size() > 1;
  rule.left = to_pattern(s, equations[0].left, form, true);
  if (pair) rule.second_left = to_pattern(s, equations[1].left, form, true);
  const size_t left_variables = s.numbering.size();
  rule.right = to_pattern(s, equations[0].right, form, false);
  if (pair) rule.second_right = to_pattern(s, equations[1].right, form, false);
  if (s.numbering.size() > left_variables || !rule.left.def) return {};
  if (form.whole_sets && s.rests.empty()) return {};
  // Parameters of a whole set do not vanish.
  for (const auto& [key, number] : s.rests)
    if (!has_rest(rule.right, number) && !(pair && has_rest(*rule.second_right, number))) return {};
  rule.types.resize(s.numbering.size());
  for (const auto& [own, number] : s.numbering)
    rule.types[static_cast<size_t>(number)] = pool.variables()[static_cast<size_t>(own)].type;
  find_equal_shapes(s, rule.left, equations[0].left, draft.shapes);
  if (pair) find_equal_shapes(s, *rule.second_left, equations[1].left, draft.shapes);
  const SampleWriter writer(s, equations);
  rule.adverse = writer.adverse(!form.whole_sets, !form.drawn);
  if (!form.drawn) {
    rule.samples = {writer.free(Extension::none), writer.found()};
    if (!form.whole_sets) {
      rule.samples.push_back(writer.free(Extension::leading));
      rule.samples.push_back(writer.free(Extension::trailing));
    } else {
      writer.add_grouped(rule.samples, true);
    }
  }
  rule.name = "candidate";
  return draft;
}

bool mentions(const std::string& text, const std::string& variable) {
  for (size_t at = text.find(variable); at != std::string::npos; at = text.find(variable, at + 1))
    if (at + variable.size() == text.size() || !std::isdigit(text[at + variable.size()]))
      return true;
  return false;
}

void make_literal(PatternNode& p, int parameter) {
  for (auto& [name, spec] : p.parameters)
    if (spec.kind == ParameterSpec::Kind::variable && spec.variable == parameter)
      spec.kind = ParameterSpec::Kind::literal;
  for (PatternNode& a : p.args) make_literal(a, parameter);
}

void strip_names(PatternNode& p, const std::vector<Condition>& conditions) {
  const std::string name = fmt::format("?t{}", p.name + 1);
  if (p.name >= 0 && std::none_of(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return mentions(c.text, name); }))
    p.name = -1;
  for (PatternNode& a : p.args) strip_names(a, conditions);
}

void for_sides(LearnedRule& rule, const std::function<void(PatternNode&)>& each) {
  each(rule.left);
  each(rule.right);
  if (rule.second_left) each(*rule.second_left);
  if (rule.second_right) each(*rule.second_right);
}

// A parameter that a condition fixes, and nothing else mentions, is written as its value.
void inline_parameters(LearnedRule& rule) {
  for (size_t k = rule.conditions.size(); k-- > 0;) {
    const int parameter = rule.conditions[k].parameter;
    if (parameter < 0) continue;
    LearnedRule without = rule;
    without.conditions.erase(without.conditions.begin() + static_cast<long>(k));
    for_sides(without, [&](PatternNode& p) { make_literal(p, parameter); });
    const std::string name = fmt::format("?p{}", parameter + 1);
    if (mentions(without.statement(), name)) continue;
    for (std::string& sample : without.samples) {
      const size_t from = sample.find(" " + name + "=");
      if (from != std::string::npos) sample.erase(from, sample.find(" ?", from + 1) - from);
    }
    rule = std::move(without);
  }
}

// The draft under conditions, with the clauses that have instances there.
LearnedRule finished(const LearnedRule& draft, const std::vector<Condition>& candidates,
                     ConditionSet set, const std::vector<size_t>& clauses) {
  LearnedRule rule = draft;
  for (size_t k = 0; k < candidates.size(); ++k)
    if (set >> k & 1) rule.conditions.push_back(candidates[k]);
  if (!draft.samples.empty()) {
    rule.samples.clear();
    for (const size_t k : clauses) rule.samples.push_back(draft.samples[k]);
  }
  for_sides(rule, [&](PatternNode& p) { strip_names(p, rule.conditions); });
  inline_parameters(rule);
  return rule;
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

bool Generalizer::show_forms(std::span<const Equation> equations, bool reversible,
                             const Visitor& visit) {
  using Kind = Opinion::Kind;
  bool agnostic = true, exact = true;
  std::vector<Equation> reversed(equations.begin(), equations.end());
  for (Equation& e : reversed) {
    agnostic = agnostic && shape_agnostic(pool_, e.left) && shape_agnostic(pool_, e.right);
    exact = exact && may_be_exact(pool_, e);
    std::swap(e.left, e.right);
  }
  std::vector<Form> forms;
  if (agnostic && equations.size() == 1) forms.push_back({.drawn = true});
  forms.push_back({.whole_sets = true});
  for (const char* name : {"pads", "strides", "dilations"})
    forms.push_back({.whole_sets = true, .literal = {name}});
  forms.push_back({});
  forms.push_back({.parameters = false});
  enum class Direction : uint8_t { both, forward, backward };
  for (const Form& form : forms) {
    bool wanted[] = {reversible, true, reversible};
    for (const Direction d : {Direction::both, Direction::forward, Direction::backward}) {
      if (!wanted[static_cast<int>(d)]) continue;
      auto draft = make_draft(
          pool_, d == Direction::backward ? std::span<const Equation>(reversed) : equations, form);
      if (!draft) continue;
      draft->rule.both_ways = d == Direction::both;
      for (const bool bits : {true, false}) {
        if (bits && !exact) continue;
        draft->rule.exact = bits;
        const Opinion o = under_conditions(draft->rule, draft->shapes, visit);
        if (o.kind == Kind::take || o.kind == Kind::stop) return true;
        if (d != Direction::both || bits) continue;
        wanted[1] = !o.not_forward;
        wanted[2] = !o.not_backward;
      }
    }
  }
  return false;
}

const std::vector<Generalizer::Choice>& Generalizer::choices(
    const LearnedRule& draft, const std::vector<Condition>& candidates, int round) {
  Hasher hasher;
  hasher.add(static_cast<int64_t>(round)).add(draft.text());
  for (const std::string& clause : draft.adverse) hasher.add(clause);
  for (const Condition& c : candidates) hasher.add(c.text);
  const std::string key = hasher.finish().to_string();
  const auto [it, added] = choices_.try_emplace(key);
  if (!added) return it->second;
  try {
    // Where a rule fell that earlier evidence spoke for, more of it is asked for.
    const Evidence evidence(draft, candidates, instances_ * round,
                            static_cast<uint64_t>(10 + round));
    constexpr size_t most_sets = 6;
    constexpr int few = 12;
    for (const ConditionSet set : evidence.sufficient(most_sets)) {
      Choice choice{set, evidence.supporting(set), evidence.clauses(set)};
      if (choice.instances >= few && (draft.samples.empty() || !choice.clauses.empty()))
        it->second.push_back(std::move(choice));
    }
  } catch (const UserError&) {
    // The rule language does not accept it.
  }
  news_ += fmt::format("choices {} {}\n", key, it->second.size());
  for (const Choice& c : it->second) {
    news_ += fmt::format("{} {} {}", c.set, c.instances, c.clauses.size());
    for (const size_t k : c.clauses) news_ += fmt::format(" {}", k);
    news_ += "\n";
  }
  return it->second;
}

void Generalizer::learn(const std::string& word, std::istream& in) {
  std::string key;
  int count = 0;
  in >> key >> count;
  if (word == "confirmed") {
    confirmed_[key] = count;
    return;
  }
  std::vector<Choice> known(static_cast<size_t>(count));
  for (Choice& c : known) {
    size_t clauses = 0;
    in >> c.set >> c.instances >> clauses;
    c.clauses.resize(clauses);
    for (size_t& k : c.clauses) in >> k;
  }
  choices_.try_emplace(key, std::move(known));
}

Generalizer::Opinion Generalizer::under_conditions(const LearnedRule& draft,
                                                   const std::vector<std::pair<int, int>>& shapes,
                                                   const Visitor& visit) {
  using Kind = Opinion::Kind;
  const std::vector<Condition> candidates = candidate_conditions(draft, shapes);
  std::set<std::string> shown;
  Opinion first{Kind::weak};
  constexpr int rounds = 2;
  for (int round = 1; round <= rounds; ++round) {
    Opinion last{Kind::weak};
    for (const Choice& choice : choices(draft, candidates, round)) {
      LearnedRule rule = finished(draft, candidates, choice.set, choice.clauses);
      rule.instances = choice.instances;
      if (!shown.insert(rule.identity()).second) continue;
      last = visit(rule);
      if (shown.size() == 1) first = last;
      if (last.kind == Kind::take || last.kind == Kind::stop) return last;
      if (last.kind == Kind::wrong && round < rounds) break;
    }
    if (last.kind != Kind::wrong) break;
  }
  return first;
}

bool Generalizer::confirm(LearnedRule& rule, int instances) {
  const std::string text = rule.text();
  const std::string key = Hasher().add(text).finish().to_string();
  auto it = confirmed_.find(key);
  if (it == confirmed_.end()) {
    const Equation e{rule.left_term, rule.right_term};
    const int count = instances_for(pool_, std::span(&e, 1), instances);
    const auto report =
        rules::check_rule(rules::parse_rule(text, "learned", 1),
                          {.instances = count, .attempts = 8 * count, .seed = 4711});
    it = confirmed_.emplace(key, report.ok ? report.instances : -1).first;
    news_ += fmt::format("confirmed {} {}\n", key, it->second);
  }
  if (it->second < 0) return false;
  rule.instances = it->second;
  return true;
}

void Generalizer::forms(const Equation& equation, const Visitor& visit) {
  Equation e = equation;
  const auto left = sorted(pool_.variables_of(e.left)), right = sorted(pool_.variables_of(e.right));
  if (!std::includes(left.begin(), left.end(), right.begin(), right.end())) {
    if (!std::includes(right.begin(), right.end(), left.begin(), left.end())) return;
    std::swap(e.left, e.right);
  }
  // A bare variable on the right has no operator to match from.
  const bool reversible = left == right && pool_.term(e.right).def && pool_.term(e.left).def;
  show_forms(std::span(&e, 1), reversible, visit);
}

void Generalizer::pair_forms(const Equation& first, const Equation& second, const Visitor& visit) {
  const Equation all[] = {first, second};
  show_forms(all, false, visit);
}

std::optional<LearnedRule> Generalizer::one(const Equation& equation) {
  std::optional<LearnedRule> result;
  forms(equation, [&](LearnedRule& rule) {
    result = rule;
    return Opinion{};
  });
  return result;
}

std::optional<LearnedRule> Generalizer::pair(const Equation& first, const Equation& second) {
  std::optional<LearnedRule> result;
  pair_forms(first, second, [&](LearnedRule& rule) {
    result = rule;
    return Opinion{};
  });
  return result;
}

}  // namespace tessera::synth
