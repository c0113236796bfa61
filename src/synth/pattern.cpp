// SPDX-License-Identifier: Apache-2.0
// Matching, building and printing patterns.
#include "synth/pattern.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::synth {
namespace {

bool commutes(const PatternNode& p) {
  return p.args.size() == 2 && std::find(p.def->traits.begin(), p.def->traits.end(),
                                         ops::Trait::commutative) != p.def->traits.end();
}

bool match_parameters(const ir::AttrMap& attrs, const PatternNode& p, const TermPool& pool,
                      Match& match) {
  size_t matched = 0;
  for (const auto& [name, spec] : p.parameters) {
    const auto it = attrs.find(name);
    if (it == attrs.end()) return false;
    ++matched;
    if (spec.kind == ParameterSpec::Kind::literal) {
      if (!ir::operator_equal(it->second, spec.value)) return false;
    } else if (spec.kind == ParameterSpec::Kind::variable) {
      const auto [known, added] = match.parameters.try_emplace(spec.variable, it->second);
      if (!added && !ir::operator_equal(known->second, it->second)) return false;
    } else {
      const auto* dims = std::get_if<ir::Dims>(&it->second);
      if (!dims || dims->size() != spec.extents.size()) return false;
      // Variables below may not be bound yet: compared when the conditions are.
    }
  }
  if (p.rest < 0) return matched == attrs.size();
  ir::AttrMap others;
  for (const auto& [name, value] : attrs) {
    const bool named = std::any_of(p.parameters.begin(), p.parameters.end(),
                                   [&](const auto& own) { return own.first == name; });
    if (!named) others.emplace(name, value);
  }
  const auto [known, added] = match.rests.try_emplace(p.rest, others);
  (void)pool;
  return added || attributes_text(known->second) == attributes_text(others);
}

using Continue = std::function<bool(Match&)>;

// Continuation passing: commutative operators try both orders below whatever follows.
bool match_node(const TermPool& pool, const PatternNode& p, TermId id, Match& match,
                const Continue& next) {
  const Term& t = pool.term(id);
  if (p.number) {
    if (t.variable < 0) return true;
    const auto& elements = pool.variables()[static_cast<size_t>(t.variable)].elements;
    const auto same = [&](int64_t e) { return static_cast<double>(e) == *p.number; };
    if (!elements || !std::all_of(elements->begin(), elements->end(), same)) return true;
    return next(match);
  }
  if (!p.def) {
    auto& bound = match.variables[static_cast<size_t>(p.variable)];
    if (bound) return *bound == id ? next(match) : true;
    bound = id;
    const bool go_on = next(match);
    match.variables[static_cast<size_t>(p.variable)].reset();
    return go_on;
  }
  if (t.def != p.def || t.output != p.output || t.args.size() != p.args.size()) return true;
  const Match before = match;
  const auto try_order = [&](std::span<const TermId> order) {
    if (!match_parameters(pool.attrs(t), p, pool, match)) {
      match = before;
      return true;
    }
    if (p.name >= 0) match.nodes[p.name] = id;
    std::function<bool(size_t, Match&)> from = [&](size_t k, Match& m) -> bool {
      if (k == p.args.size()) return next(m);
      return match_node(pool, p.args[k], order[k], m, [&](Match& n) { return from(k + 1, n); });
    };
    const bool go_on = from(0, match);
    match = before;
    return go_on;
  };
  if (!try_order(t.args)) return false;
  if (commutes(p) && t.args[0] != t.args[1]) {
    const TermId swapped[] = {t.args[1], t.args[0]};
    return try_order(swapped);
  }
  return true;
}

std::string pattern_text(const PatternNode& p) {
  if (p.number) return fmt::format("{}", *p.number);
  if (!p.def) return "?" + variable_name(p.variable);
  std::string parameters;
  for (const auto& [name, spec] : p.parameters) {
    std::string value;
    if (spec.kind == ParameterSpec::Kind::literal) value = attribute_text(spec.value);
    if (spec.kind == ParameterSpec::Kind::variable) value = fmt::format("?p{}", spec.variable + 1);
    if (spec.kind == ParameterSpec::Kind::extents) {
      for (const auto& [variable, axis] : spec.extents)
        value += fmt::format("{}(dim ?{} {})", value.empty() ? "" : ", ", variable_name(variable),
                             axis < 0 ? fmt::format("?p{}", -axis) : std::to_string(axis));
      value = "{" + value + "}";
    }
    parameters += (parameters.empty() ? "" : ", ") + name + "=" + value;
  }
  if (p.rest >= 0) parameters += fmt::format("{}*?q{}", parameters.empty() ? "" : ", ", p.rest + 1);
  std::string s = p.name >= 0 ? fmt::format("?t{}:", p.name + 1) : "";
  s += "(" + p.def->name + (parameters.empty() ? "" : "[" + parameters + "]");
  for (const PatternNode& a : p.args) s += " " + pattern_text(a);
  return s + ")" + (p.output > 0 ? fmt::format(".{}", p.output) : "");
}

// An axis, or what the parameter that it names is bound to.
std::optional<int64_t> fixed_axis(const Match& match, int axis) {
  if (axis >= 0) return axis;
  const auto it = match.parameters.find(-1 - axis);
  const auto* value = it == match.parameters.end() ? nullptr : std::get_if<int64_t>(&it->second);
  return value ? std::optional<int64_t>(*value) : std::nullopt;
}

}  // namespace

std::string variable_name(int variable) {
  // Letters of the sample clause are sizes; variables have names of their own.
  return std::string(1, static_cast<char>('a' + variable % 26));
}

bool match_pattern(const TermPool& pool, const PatternNode& pattern, TermId term, Match& match,
                   const std::function<bool(const Match&)>& found) {
  return match_node(pool, pattern, term, match, [&](Match& m) { return found(m); });
}

std::optional<TermId> build_pattern(TermPool& pool, const PatternNode& p, const Match& match) {
  if (p.number) return {};  // constants have no type of their own
  if (!p.def) return match.variables[static_cast<size_t>(p.variable)];
  ir::AttrMap attrs;
  if (p.rest >= 0) {
    const auto it = match.rests.find(p.rest);
    if (it == match.rests.end()) return {};
    attrs = it->second;
  }
  for (const auto& [name, spec] : p.parameters) {
    if (spec.kind == ParameterSpec::Kind::literal) {
      attrs[name] = spec.value;
    } else if (spec.kind == ParameterSpec::Kind::variable) {
      const auto it = match.parameters.find(spec.variable);
      if (it == match.parameters.end()) return {};
      attrs[name] = it->second;
    } else {
      ir::Dims dims;
      for (const auto& [variable, axis] : spec.extents) {
        const auto bound = match.variables[static_cast<size_t>(variable)];
        const auto at = fixed_axis(match, axis);
        if (!bound || !at || *at < 0 || pool.term(*bound).type.rank() <= *at) return {};
        dims.push_back(pool.term(*bound).type.shape[static_cast<size_t>(*at)]);
      }
      attrs[name] = dims;
    }
  }
  std::vector<TermId> args;
  for (const PatternNode& a : p.args) {
    const auto arg = build_pattern(pool, a, match);
    if (!arg) return {};
    args.push_back(*arg);
  }
  return pool.apply(*p.def, attrs, p.output, std::move(args));
}

bool holds(const TermPool& pool, std::span<const Condition> conditions, const Match& match) {
  return std::all_of(conditions.begin(), conditions.end(),
                     [&](const Condition& c) { return c.holds(pool, match); });
}

std::string LearnedRule::statement() const {
  const auto side = [](const PatternNode& p, const std::optional<PatternNode>& second) {
    return pattern_text(p) + (second ? " & " + pattern_text(*second) : "");
  };
  std::string s =
      side(left, second_left) + (both_ways ? " <=> " : " => ") + side(right, second_right);
  if (!conditions.empty()) s += " if";
  for (const Condition& c : conditions) s += " " + c.text;
  return s;
}

std::string LearnedRule::text() const {
  std::string s = name + " : " + statement() + (exact ? " mode exact" : " mode real");
  if (!both_ways) s += " when cheaper";
  for (size_t k = 0; k < samples.size(); ++k) s += (k == 0 ? " on " : " | ") + samples[k];
  return s;
}

}  // namespace tessera::synth
