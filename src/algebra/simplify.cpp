// SPDX-License-Identifier: Apache-2.0
// What facts do to normal forms: guards that hold vanish, terms whose guards cannot hold vanish,
// bound variables that an equation fixes are replaced, sums that count are multiplied out.
#include <algorithm>

#include "algebra/algebra.h"
#include "algebra/radix.h"
#include "base/check.h"

namespace tessera::algebra {
namespace {

bool contains(const std::vector<std::string>& all, const std::string& v) {
  return std::find(all.begin(), all.end(), v) != all.end();
}

Facts with(const Facts& facts, const std::vector<Guard>& guards, size_t but) {
  Facts all = facts;
  for (size_t k = 0; k < guards.size(); ++k)
    if (k != but) all.assume(guards[k]);
  return all;
}

// The only lower (upper) bound that guards state for a variable: v >= low, v <= high.
struct Range {
  std::vector<Index> low, high;
  bool other = false;  // the variable occurs in a guard that is no plain bound
};

Range range_of(const std::string& v, const std::vector<Guard>& guards) {
  Range r;
  for (const Guard& g : guards) {
    if (!mentions(g.value, v)) continue;
    Index c, rest;
    const bool linear = !g.equal && split_linear(g.value, v, c, rest);
    if (linear && c == Index(1)) r.low.push_back(-rest);
    else if (linear && c == Index(-1)) r.high.push_back(rest);
    else r.other = true;
  }
  return r;
}

}  // namespace

// Brings bound variables and guards into place; false if the guards contradict each other.
bool Algebra::place(std::vector<std::string>& bound, std::vector<Guard>& guards, const Facts& facts,
                    const std::function<void(const Substitution&)>& apply) const {
  const auto replace = [&](const std::string& v, const Index& by) {
    const Substitution s{{v, by}};
    guards = substitute(guards, s);
    apply(s);
  };
  for (int round = 0; round < 50; ++round) {
    bool changed = false;
    {
      Facts all = with(facts, guards, guards.size());
      for (Guard& g : guards) g.value = all.simplified(g.value);
    }
    // An equation fixes a bound variable.
    for (size_t k = 0; k < guards.size() && !changed; ++k) {
      if (!guards[k].equal) continue;
      for (const std::string& v : bound) {
        Index c, rest;
        if (!mentions(guards[k].value, v) || !split_linear(guards[k].value, v, c, rest)) continue;
        if (!(c == Index(1)) && !(c == Index(-1))) continue;
        const std::string gone = v;
        const Index value = c == Index(1) ? -rest : rest;
        guards.erase(guards.begin() + static_cast<long>(k));
        std::erase(bound, gone);
        replace(gone, value);
        changed = true;
        break;
      }
    }
    if (changed) continue;
    for (size_t k = 0; k < guards.size(); ++k) {
      const Facts others = with(facts, guards, k);
      if (others.refutes(guards[k])) return false;
      if (others.implies(guards[k])) {
        guards.erase(guards.begin() + static_cast<long>(k));
        changed = true;
        break;
      }
    }
    if (changed) continue;
    // Ranges start at 0; a range of one element is that element.
    for (const std::string& v : bound) {
      const Range r = range_of(v, guards);
      if (r.low.size() != 1) continue;
      const std::string name = v;
      if (r.high.size() == 1 && !r.other &&
          with(facts, guards, guards.size()).implies({r.high[0] - r.low[0], true})) {
        std::erase(bound, name);
        replace(name, r.low[0]);
        changed = true;
        break;
      }
      const bool free_of_bound = [&] {
        for (const std::string& w : variables_of(r.low[0]))
          if (contains(bound, w)) return false;
        return true;
      }();
      if (r.low[0] == Index(0) || !free_of_bound) continue;
      replace(name, Index::symbol(name) + r.low[0]);
      changed = true;
      break;
    }
    if (!changed) return true;
  }
  return true;
}

Sum Algebra::simplified(const Sum& s, const Facts& facts) {
  Sum total;
  for (const Term& t : s.terms) {
    const Sum one = simplified_term(t, facts);
    total.terms.insert(total.terms.end(), one.terms.begin(), one.terms.end());
  }
  return merged(std::move(total));
}

Sum Algebra::simplified_term(Term term, const Facts& facts) {
  constexpr int most_changes = 12;
  for (int round = 0; round < most_changes; ++round) {
    const bool possible = place(term.bound, term.guards, facts, [&](const Substitution& by) {
      for (Factor& f : term.factors) f.atom = substitute(f.atom, by);
    });
    if (!possible) return {};
    if (!change_radix(term, facts, [&] { return fresh_variable(); })) break;
  }
  Facts inner = facts;
  for (const Guard& g : term.guards) inner.assume(g);
  Term empty = term;
  empty.factors.clear();
  Sum product{{empty}};
  for (const Factor& f : term.factors) product = multiply(product, rebuilt(f, inner));
  if (domain_ == Domain::bits) return product;
  // Bound variables that only guards mention count.
  Sum total;
  for (Term& t : product.terms) {
    std::vector<Index> counts;
    for (bool found = true; found;) {
      found = false;
      for (const std::string& v : t.bound) {
        const bool used = std::any_of(t.factors.begin(), t.factors.end(),
                                      [&](const Factor& f) { return f.atom->free.contains(v); });
        const Range r = range_of(v, t.guards);
        if (used || r.other || r.low.size() != 1 || r.high.size() != 1) continue;
        bool alone = true;  // no other bound variable takes its range from this one
        for (const std::string& w : t.bound)
          alone &= w == v || (!mentions(r.low[0], w) && !mentions(r.high[0], w));
        const Index count = r.high[0] - r.low[0] + Index(1);
        if (!alone || !facts.nonnegative(count)) continue;
        const std::string gone = v;
        std::erase_if(t.guards, [&](const Guard& g) { return mentions(g.value, gone); });
        std::erase(t.bound, gone);
        counts.push_back(count);
        found = true;
        break;
      }
    }
    Sum part{{t}};
    for (const Index& c : counts) part = multiply(part, number(c));
    total.terms.insert(total.terms.end(), part.terms.begin(), part.terms.end());
  }
  return merged(std::move(total));
}

// One factor made again from simplified arguments.
Sum Algebra::rebuilt(const Factor& factor, const Facts& facts) {
  const Atom& a = *factor.atom;
  const auto raised = [&](const Sum& base) {
    if (factor.power == 1) return base;
    return factor.power > 0 ? power(base, factor.power)
                            : power(inverse(base, facts), -factor.power);
  };
  const bool has_arguments = !a.entries.empty();
  if (!has_arguments) {
    Atom copy = a;
    bool changed = false;
    for (Index& i : copy.indices) {
      const Index next = facts.simplified(i);
      changed |= !(next == i);
      i = next;
    }
    if (copy.head == "int" && domain_ == Domain::reals && changed)
      return raised(number(copy.indices[0]));
    return of_atom(changed ? std::move(copy) : a, factor.power);
  }
  if (a.head == "max" || a.head == "min") return raised(rebuilt_set(a.head, a.entries, facts));
  if (!a.entries[0].bound.empty()) {  // an opaque reduction
    Atom copy = a;
    for (Entry& e : copy.entries) {
      Facts inner = facts;
      for (const Guard& g : e.guards) inner.assume(g);
      e.body = simplified(e.body, inner);
    }
    return of_atom(std::move(copy), factor.power);
  }
  std::vector<Sum> args;
  for (const Entry& e : a.entries) args.push_back(simplified(e.body, facts));
  if (a.head == "paren")
    return factor.power > 0 ? power(args[0], factor.power)
                            : power(inverse(args[0], facts), -factor.power);
  return raised(function(a.head, args, facts));
}

}  // namespace tessera::algebra
