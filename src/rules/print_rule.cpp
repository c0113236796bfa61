// SPDX-License-Identifier: Apache-2.0
// The canonical spelling of rules.
#include "rules/rule.h"

#include <fmt/format.h>

namespace tessera::rules {
namespace {

struct Printer {
  const Rule& rule;

  std::string variable(int slot) const { return "?" + rule.variables[slot]; }

  std::string term(const Term& t) const {
    switch (t.kind) {
      case Term::Kind::integer: return std::to_string(t.integer);
      case Term::Kind::real: {
        std::string s = fmt::format("{}", t.real);
        return s.find_first_of(".ei") == std::string::npos ? s + ".0" : s;
      }
      case Term::Kind::symbol: return t.name;
      case Term::Kind::variable: return variable(t.slot);
      case Term::Kind::call: break;
    }
    std::string s;
    if (t.name == "list") {
      for (const Term& a : t.args) s += (s.empty() ? "" : ", ") + term(a);
      return "{" + s + "}";
    }
    for (const Term& a : t.args) s += " " + term(a);
    return "(" + t.name + s + ")";
  }

  std::string pattern(const Pattern& p) const {
    std::string s;
    switch (p.kind) {
      case Pattern::Kind::variable: s = variable(p.slot); break;
      case Pattern::Kind::number: s = p.text; break;
      case Pattern::Kind::scalar: s = "(scalar " + term(p.term) + ")"; break;
      case Pattern::Kind::any:
      case Pattern::Kind::apply: {
        if (p.slot >= 0) s = variable(p.slot) + ":";
        s += "(" + (p.def ? p.def->name : std::string("any"));
        std::string attrs;
        for (const AttrPattern& a : p.attrs)
          attrs += (attrs.empty() ? "" : ", ") + a.name + "=" + term(a.term);
        if (p.rest >= 0) attrs += (attrs.empty() ? "*" : ", *") + variable(p.rest);
        if (!attrs.empty()) s += "[" + attrs + "]";
        for (const Pattern& a : p.args) s += " " + pattern(a);
        s += ")";
        if (p.output_slot >= 0) s += "." + variable(p.output_slot);
        else if (p.output != 0) s += "." + std::to_string(p.output);
      }
    }
    return p.repeated ? s + "..." : s;
  }

  std::string sides(const std::vector<Pattern>& patterns) const {
    std::string s;
    for (const Pattern& p : patterns) s += (s.empty() ? "" : " & ") + pattern(p);
    return s;
  }

  std::string sample(const RuleSample& specs) const {
    std::string s;
    for (const SampleSpec& spec : specs) {
      s += (s.empty() ? "" : " ") + variable(spec.slot);
      if (spec.is_tensor) {
        std::string dims;
        for (const std::string& d : spec.dims) dims += (dims.empty() ? "" : ",") + d;
        s += "[" + dims + "]";
        if (spec.dtype) s += ":" + std::string(tessera::to_string(*spec.dtype));
        if (spec.positive) s += ">0";
        if (spec.twice) s += "twice";
        if (spec.eye) s += "eye";
        if (spec.blocks) s += "blocks";
        if (spec.value) s += fmt::format("={}", *spec.value);
      } else {
        s += (spec.attr.empty() ? "" : "." + spec.attr) + "=" + term(*spec.term);
      }
    }
    return s;
  }
};

}  // namespace

std::string Rule::left_text() const { return Printer{*this}.sides(lhs); }
std::string Rule::right_text() const { return Printer{*this}.sides(rhs); }

std::string Rule::condition_text() const {
  std::string s;
  for (const Term& c : conditions) s += (s.empty() ? "" : " ") + Printer{*this}.term(c);
  return s;
}

std::string Rule::to_string() const {
  std::string s = name + " : " + left_text() + (both_ways ? " <=> " : " => ") + right_text();
  if (!conditions.empty()) s += " if " + condition_text();
  s += " mode " + std::string(rules::to_string(mode));
  if (when_asked) s += " when asked";
  else if (when_cheaper && !both_ways) s += " when cheaper";
  for (size_t k = 0; k < samples.size(); ++k)
    s += (k == 0 ? " on " : " | ") + Printer{*this}.sample(samples[k]);
  return s;
}

}  // namespace tessera::rules
