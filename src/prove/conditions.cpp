// SPDX-License-Identifier: Apache-2.0
// Evaluation of conditions where sizes are symbols.
#include "prove/conditions.h"

#include "prove/lower.h"

namespace tessera::prove {
namespace {

using rules::Pattern;
using RuleTerm = rules::Term;
using rules::TermValue;

void collect_slots(const RuleTerm& t, Questions& q, bool condition) {
  const bool value = t.kind == RuleTerm::Kind::call && t.name == "value";
  for (const RuleTerm& a : t.args) {
    if (value && a.kind == RuleTerm::Kind::variable) q.values.insert(a.slot);
    collect_slots(a, q, condition);
  }
  if (condition && t.kind == RuleTerm::Kind::variable) q.asked.insert(t.slot);
  if (t.name == "positive" && t.args[0].kind == RuleTerm::Kind::variable)
    q.positive.insert(t.args[0].slot);
  if (t.name == "blocks" && t.args[0].kind == RuleTerm::Kind::variable)
    q.blocks.insert(t.args[0].slot);
  if (t.name == "near" && t.args[0].kind == RuleTerm::Kind::variable) q.near.insert(t.args[0].slot);
}

void collect_slots(const Pattern& p, Questions& q, bool left) {
  if (p.kind == Pattern::Kind::variable && left) q.tensors.insert(p.slot);
  if (p.kind == Pattern::Kind::number) q.numbers.insert(p.number);
  if (p.kind == Pattern::Kind::scalar) collect_slots(p.term, q, false);
  for (const rules::AttrPattern& a : p.attrs) {
    collect_slots(a.term, q, false);
    q.permutations |= left && a.name == "perm";
  }
  for (const Pattern& a : p.args) collect_slots(a, q, left);
}

}  // namespace

Questions::Questions(const rules::Rule& rule) {
  for (const Pattern& p : rule.lhs) collect_slots(p, *this, true);
  for (const Pattern& p : rule.rhs) collect_slots(p, *this, false);
  for (const RuleTerm& c : rule.conditions) collect_slots(c, *this, true);
}

bool Conditions::collect(std::vector<Index>& equations, Problem& problem) const {
  for (const RuleTerm& c : rule_.conditions) {
    if (c.name == "each" || c.name == "all") {
      const int count = rules::repetitions(c.args.at(0), {graph_, rule_, bindings_, -1});
      for (int k = 0; k < std::max(count, 0); ++k)
        if (!one(c.args[0], k, equations, problem)) return false;
    } else if (!one(c, -1, equations, problem)) {
      return false;
    }
  }
  return true;
}

bool Conditions::equal(const TermValue& a, const TermValue& b,
                       std::vector<Index>& equations) const {
  if (const auto* x = std::get_if<Index>(&a), *y = std::get_if<Index>(&b); x && y) {
    const Index d = *x - *y;
    if (const auto c = d.constant()) return *c == 0;
    equations.push_back(d);
    return true;
  }
  using Sizes = std::vector<Index>;
  if (const auto* x = std::get_if<Sizes>(&a), *y = std::get_if<Sizes>(&b); x && y) {
    if (x->size() != y->size()) return false;
    for (size_t k = 0; k < x->size(); ++k)
      if (!equal((*x)[k], (*y)[k], equations)) return false;
    return true;
  }
  const auto real = [](const TermValue& v) -> std::optional<double> {
    if (const auto* d = std::get_if<double>(&v)) return *d;
    if (const auto* s = std::get_if<Index>(&v))
      if (s->constant()) return static_cast<double>(*s->constant());
    return std::nullopt;
  };
  if (real(a) && real(b)) return *real(a) == *real(b);
  return a == b;
}

// (unit-kernel ?w pads groups): a copy where each tap is what is padded in front. False if that
// cannot be told.
bool Conditions::unit_kernel(const RuleTerm& c, const rules::TermContext& context,
                             std::vector<Index>& equations) const {
  const auto kernel = kernels.find(c.args[0].slot);
  const auto pads = rules::evaluate(c.args[1], context),
             groups = rules::evaluate(c.args[2], context);
  const auto* at = pads ? std::get_if<std::vector<Index>>(&*pads) : nullptr;
  const auto* count = groups ? std::get_if<Index>(&*groups) : nullptr;
  if (kernel == kernels.end() || !at || !count) return false;
  equations.push_back(*count - kernel->second.copies);
  for (size_t axis = 0; axis < kernel->second.taps.size(); ++axis)
    equations.push_back((at->empty() ? Index(0) : at->at(axis)) - kernel->second.taps[axis]);
  return true;
}

bool Conditions::one(const RuleTerm& c, int repetition, std::vector<Index>& equations,
                     Problem& problem) const {
  const rules::TermContext context{graph_, rule_, bindings_, repetition};
  // These are about the place where the rule is applied, or true by construction.
  if (c.name == "const" || c.name == "uses" || c.name == "halves-equal" || c.name == "unit-matrix")
    return true;
  if (c.name == "=" && c.args.size() == 2 && c.args[0].name == "uses") return true;
  if (c.name == "unit-kernel") {
    problem.all_conditions &= unit_kernel(c, context, equations);
    return true;
  }
  if (c.name == "and") {
    for (const RuleTerm& a : c.args)
      if (!one(a, repetition, equations, problem)) return false;
    return true;
  }
  if (c.name == "pays") return one(c.args[0], repetition, equations, problem);
  if (c.name == "ones" || c.name == "nonnegative") {  // of every element of a list
    const auto v = rules::evaluate(c.args[0], context);
    const auto* list = v ? std::get_if<std::vector<Index>>(&*v) : nullptr;
    problem.all_conditions &= list != nullptr;
    for (const Index& e : list ? *list : std::vector<Index>{}) {
      const auto known = e.constant();
      if (known && (c.name == "ones" ? *known != 1 : *known < 0)) return false;
      if (known) continue;
      if (c.name == "ones") equations.push_back(e - Index(1));
      else problem.hypotheses.push_back({e, false});
    }
    return true;
  }
  if (c.name == "=" || c.name == "<" || c.name == "<=") {
    std::vector<TermValue> args;
    for (const RuleTerm& a : c.args) {
      auto v = rules::evaluate(a, context);
      if (!v) {  // undecided: proved without it
        problem.all_conditions = false;
        return true;
      }
      args.push_back(std::move(*v));
    }
    if (c.name == "=") {
      for (size_t k = 1; k < args.size(); ++k)
        if (!equal(args[0], args[k], equations)) return false;
      return true;
    }
    const auto *x = std::get_if<Index>(&args[0]), *y = std::get_if<Index>(&args[1]);
    if (x && y) {
      const Index slack = *y - *x - Index(c.name == "<" ? 1 : 0);
      if (const auto known = slack.constant()) return *known >= 0;
      problem.hypotheses.push_back({slack, false});
      return true;
    }
    const auto real = [](const TermValue& v) -> std::optional<double> {
      if (const auto* d = std::get_if<double>(&v)) return *d;
      if (const auto* s = std::get_if<Index>(&v))
        if (s->constant()) return static_cast<double>(*s->constant());
      return std::nullopt;
    };
    const auto a = real(args[0]), b = real(args[1]);
    if (a && b) problem.at_most.push_back({*a, *b});
    return true;
  }
  const auto v = rules::evaluate(c, context);
  const bool* holds = v ? std::get_if<bool>(&*v) : nullptr;
  problem.all_conditions &= holds != nullptr;
  return !holds || *holds;
}

std::vector<Index> required_equations(const ir::Graph& graph, std::vector<Index> equations) {
  const ir::Graph primitive = expanded(graph);
  const Composer composer(primitive);
  for (const ir::Requirement& r : composer.requirements())
    if (r.kind == ir::Requirement::Kind::equal) equations.push_back(r.lhs - r.rhs);
  return equations;
}

}  // namespace tessera::prove
