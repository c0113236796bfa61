// SPDX-License-Identifier: Apache-2.0
// The ladder: normal form · multiply by divisors · coefficient extraction with one query for each
// skeleton · arithmetic of real numbers where nothing is summed.
//
// Coefficient extraction: a skeleton is a multiset of atoms whose index arguments are replaced by
// slots. The coefficient of a skeleton at slots p is Σ cᵢ · [Gᵢ(o, p, sizes)] after the bound
// variables of term i are eliminated from `index(k, o) = p`. Products of reads at given places are
// linearly independent, so the form is 0 if all these coefficients are.
#include "prove/decide.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::prove {
namespace {

constexpr int first_slot = 1'000'000;  // beyond every variable that an algebra makes
constexpr size_t most_arrangements = 720;

std::string slot_name(size_t k) { return fmt::format("%{}", first_slot + k); }

struct Part {
  double coefficient = 1;
  std::vector<Guard> guards;
};
using Parts = std::map<std::string, std::vector<Part>>;  // by skeleton

bool is_known_number(const Atom& a) { return a.free.empty() && a.head == "int"; }

// x·x is x(p)·x(q) with p = q.
std::vector<Printed> slotted_factors(const Term& t, std::string& fixed) {
  std::vector<Printed> all;
  std::vector<std::string> plain;
  for (const Factor& f : t.factors) {
    if (is_known_number(*f.atom)) {
      plain.push_back(fmt::format("{}^{}", f.atom->key, f.power));
      continue;
    }
    Printed p = print(*f.atom, true);
    if (f.power < 1 || f.power > 3) {
      p.text += fmt::format("^{}", f.power);
      all.push_back(std::move(p));
    } else {
      all.insert(all.end(), static_cast<size_t>(f.power), p);
    }
  }
  std::sort(plain.begin(), plain.end());
  for (const std::string& s : plain) fixed += s + "*";
  std::sort(all.begin(), all.end(),
            [](const Printed& a, const Printed& b) { return a.text < b.text; });
  return all;
}

// A bound variable with a stride, c·v = e, or the inner one of a tile, B·t + v = e, 0 <= v < B.
bool eliminate_division(std::vector<std::string>& bound, std::vector<Guard>& guards,
                        const Facts& facts) {
  for (size_t k = 0; k < guards.size(); ++k) {
    if (!guards[k].equal) continue;
    for (const std::string& v : bound) {
      Index c, rest;
      if (!mentions(guards[k].value, v) || !split_linear(guards[k].value, v, c, rest)) continue;
      Index divisor = c, dividend = -rest;
      if (!facts.nonnegative(c - Index(1))) {
        divisor = -c;
        dividend = rest;
      }
      if (!facts.nonnegative(divisor - Index(1)) || !variables_of(divisor).empty()) continue;
      const bool alone = std::none_of(bound.begin(), bound.end(), [&](const std::string& w) {
        return w != v && mentions(rest, w);
      });
      if (!alone) continue;
      const Index quotient = sym::floor_div(dividend, divisor);
      const std::string gone = v;
      std::erase(bound, gone);
      guards = substitute(guards, {{gone, quotient}});
      return true;
    }
  }
  // A tile: v within [0, B) of an equation B·t + v = e.
  for (size_t k = 0; k < guards.size(); ++k) {
    if (!guards[k].equal) continue;
    for (const std::string& t : bound)
      for (const std::string& v : bound) {
        Index big, one, rest, last;
        if (t == v || !split_linear(guards[k].value, t, big, rest) ||
            !split_linear(rest, v, one, last))
          continue;
        if (one == Index(-1)) {
          big = -big;
          last = -last;
          one = Index(1);
        }
        if (!(one == Index(1)) || !variables_of(big).empty()) continue;
        Facts all = facts;
        for (const Guard& g : guards)
          if (!g.equal) all.assume(g);
        const Index inner = Index::symbol(v);
        if (!all.nonnegative(inner) || !all.nonnegative(big - Index(1) - inner)) continue;
        const Index tile = sym::floor_div(-last, big);
        const std::string gone_t = t, gone_v = v;
        std::erase(bound, gone_t);
        std::erase(bound, gone_v);
        guards = substitute(guards, {{gone_t, tile}, {gone_v, -last - big * tile}});
        return true;
      }
  }
  return false;
}

class Extraction {
 public:
  Extraction(Algebra& algebra, const Facts& facts) : algebra_(algebra), facts_(facts) {}

  void add(const Term& t) {
    std::string fixed;
    std::vector<Printed> factors = slotted_factors(t, fixed);
    std::string skeleton = fixed;
    for (const Printed& f : factors) skeleton += "|" + f.text;
    // All ways to put atoms that look alike into their slots.
    std::vector<size_t> order(factors.size());
    for (size_t k = 0; k < order.size(); ++k) order[k] = k;
    std::vector<std::vector<size_t>> arrangements;
    do {
      bool fits = true;
      for (size_t k = 0; k < order.size(); ++k) fits &= factors[order[k]].text == factors[k].text;
      if (fits) arrangements.push_back(order);
      if (arrangements.size() > most_arrangements)
        throw Undecided{"too many factors that look alike"};
    } while (has_twins(factors) && std::next_permutation(order.begin(), order.end()));
    for (const auto& arrangement : arrangements) {
      std::vector<Index> holes;
      for (size_t k : arrangement)
        holes.insert(holes.end(), factors[k].holes.begin(), factors[k].holes.end());
      place(t, skeleton, holes, t.coefficient / static_cast<double>(arrangements.size()));
    }
  }

  Parts& parts() { return parts_; }

 private:
  static bool has_twins(const std::vector<Printed>& f) {
    for (size_t k = 1; k < f.size(); ++k)
      if (f[k].text == f[k - 1].text) return true;
    return false;
  }

  void place(const Term& t, const std::string& skeleton, const std::vector<Index>& holes,
             double coefficient) {
    Entry e;
    e.bound = t.bound;
    e.guards = t.guards;
    for (size_t k = 0; k < holes.size(); ++k)
      e.guards.push_back({holes[k] - Index::symbol(slot_name(k)), true});
    if (!algebra_.place(e.bound, e.guards, facts_)) return;
    while (!e.bound.empty() && eliminate_division(e.bound, e.guards, facts_))
      if (!algebra_.place(e.bound, e.guards, facts_)) return;
    // What only counts is a number.
    Term counted;
    counted.coefficient = coefficient;
    counted.bound = e.bound;
    counted.guards = e.guards;
    const Sum numbers = algebra_.simplified({{counted}}, facts_);
    for (const Term& n : numbers.terms) {
      if (!n.bound.empty()) throw Undecided{"a sum runs over elements that no tensor is read at"};
      std::string fixed;
      if (!slotted_factors(n, fixed).empty()) throw Undecided{"a count that depends on an index"};
      parts_[fixed + skeleton].push_back({n.coefficient, n.guards});
    }
  }

  Algebra& algebra_;
  const Facts& facts_;
  Parts parts_;
};

std::string text_of(std::vector<Guard> guards) {
  std::vector<std::string> all;
  for (const Guard& g : guards) {
    const std::string a = g.value.to_string(), b = (-g.value).to_string();
    all.push_back(g.equal ? "0=" + std::min(a, b) : "0<=" + a);
  }
  std::sort(all.begin(), all.end());
  std::string text;
  for (const std::string& s : all) text += s + "]";
  return text;
}

// Parts with the same guards are added; what is left must cancel by counting.
Answer settle(std::vector<Part>& parts, const Facts& facts, const SolverLimits& limits,
              bool& asked) {
  std::map<std::string, Part> by_guards;
  double scale = 0;
  for (Part& p : parts) {
    scale = std::max(scale, std::abs(p.coefficient));
    const auto [it, added] = by_guards.try_emplace(text_of(p.guards), p);
    if (!added) it->second.coefficient += p.coefficient;
  }
  Counting counting;
  counting.facts = facts.guards();
  for (auto& [text, p] : by_guards)
    if (std::abs(p.coefficient) > 1e-9 * scale) counting.terms.push_back({p.coefficient, p.guards});
  if (counting.terms.empty()) return Answer::unsatisfiable;
  asked = true;
  return can_differ(counting, limits);
}

bool has_bound(const Sum& s) {
  return std::any_of(s.terms.begin(), s.terms.end(),
                     [](const Term& t) { return !t.bound.empty(); });
}

// A divisor that every term may be multiplied by.
const Factor* common_divisor(const Sum& s) {
  for (const Term& t : s.terms)
    for (const Factor& f : t.factors) {
      if (f.power >= 0 || f.atom->head == "int") continue;
      bool inside = false;
      for (const std::string& v : t.bound) inside |= f.atom->free.contains(v);
      if (!inside) return &f;
    }
  return nullptr;
}

Sum stable(Algebra& algebra, Sum s, const Facts& facts) {
  std::string text = print(s);
  for (int round = 0; round < 6; ++round) {
    s = algebra.simplified(s, facts);
    std::string next = print(s);
    if (next == text) break;
    text = std::move(next);
  }
  return s;
}

// A maximum of plain entries at the output's own indices, wherever it occurs.
const Atom* choice(const Sum& s, const std::set<std::string>& outer) {
  for (const Term& t : s.terms)
    for (const Factor& f : t.factors) {
      const Atom& a = *f.atom;
      bool plain = a.head == "max" && a.entries.size() >= 2 &&
                   std::includes(outer.begin(), outer.end(), a.free.begin(), a.free.end());
      for (const Entry& e : a.entries) plain &= e.bound.empty() && e.guards.empty();
      if (plain) return &a;
      for (const Entry& e : a.entries)
        if (const Atom* inner = choice(e.body, outer)) return inner;
    }
  return nullptr;
}

// Over the reals: u >= v or v >= u for two entries of a maximum.
bool zero_by_cases(Algebra& algebra, const Sum& s, const Facts& facts,
                   const std::vector<Sum>& nonnegative, const SolverLimits& limits, int depth) {
  std::set<std::string> outer;
  for (const Guard& g : facts.guards()) outer.merge(variables_of(g.value));
  const Atom* a = depth > 0 ? choice(s, outer) : nullptr;
  if (!a) return false;
  const Sum d = algebra.add(a->entries[0].body, algebra.scale(a->entries[1].body, -1));
  for (const double sign : {1.0, -1.0}) {
    algebra.assume_nonnegative(algebra.scale(d, sign));
    const Sum under = stable(algebra, s, facts);
    bool zero = under.is_zero();
    if (!zero && print(under) != print(s)) {
      const Decision plain = decide_zero(algebra, under, facts, nonnegative, limits, depth - 1);
      zero = plain.kind == Decision::Kind::zero;
    }
    algebra.forget_sign();
    if (!zero) return false;
  }
  return true;
}

// Sums a + b and (−a) + (−b) that both occur at the output's own indices.
const Atom* opposite_sum(const Algebra& algebra, const Sum& s, const std::set<std::string>& outer,
                         std::map<std::string, const Atom*>& met, Sum& mirrored) {
  for (const Term& t : s.terms)
    for (const Factor& f : t.factors) {
      const Atom& a = *f.atom;
      if (a.head == "add" &&
          std::includes(outer.begin(), outer.end(), a.free.begin(), a.free.end())) {
        Atom other = a;
        for (Entry& e : other.entries) e.body = algebra.scale(e.body, -1);
        const auto negated = make_atom(std::move(other));
        if (met.contains(negated->key)) {
          mirrored = {{{1, {}, {}, {{negated, 1}}}}};
          return &a;
        }
        met.emplace(a.key, &a);
      }
      for (const Entry& e : a.entries)
        if (const Atom* found = opposite_sum(algebra, e.body, outer, met, mirrored)) return found;
    }
  return nullptr;
}

// Bit by bit, (−a) + (−b) is −(a + b), but for zeros: then both sums may be +0, the same.
bool zero_by_signs(Algebra& algebra, const Sum& s, const Facts& facts, int depth) {
  std::set<std::string> outer;
  for (const Guard& g : facts.guards()) outer.merge(variables_of(g.value));
  std::map<std::string, const Atom*> met;
  Sum mirrored;
  const Atom* a = depth > 0 ? opposite_sum(algebra, s, outer, met, mirrored) : nullptr;
  if (!a) return false;
  const std::string key = a->key;
  for (const double sign : {1.0, -1.0}) {
    const Sum under =
        stable(algebra, algebra.replaced(s, key, algebra.scale(mirrored, sign), facts), facts);
    if (!under.is_zero() && !zero_by_signs(algebra, under, facts, depth - 1)) return false;
  }
  return true;
}

// Multiplies by divisors while there are any; true if nothing is left.
bool divided_out(Algebra& algebra, Sum& s, const Facts& facts) {
  for (int round = 0; round < 6; ++round) {
    const Factor* d = common_divisor(s);
    if (!d) return false;
    Term by;
    by.factors = {{d->atom, -d->power}};
    s = stable(algebra, algebra.multiply(s, {{by}}), facts);
    if (s.is_zero()) return true;
  }
  return false;
}

bool has_tanh(const Sum& s) {
  return std::any_of(s.terms.begin(), s.terms.end(), [](const Term& t) {
    return std::any_of(t.factors.begin(), t.factors.end(),
                       [](const Factor& f) { return f.atom->head == "tanh"; });
  });
}

}  // namespace

int step_rank(const std::string& how) {
  static const std::vector<std::string> ladder{"",         "structure", "division", "extraction",
                                               "counting", "reals",     "cases"};
  return static_cast<int>(std::find(ladder.begin(), ladder.end(), how) - ladder.begin());
}

Decision decide_zero(Algebra& algebra, const Sum& difference, const Facts& facts,
                     const std::vector<Sum>& nonnegative, const SolverLimits& limits, int cases) {
  Sum s = stable(algebra, difference, facts);
  if (s.is_zero()) return {Decision::Kind::zero, "structure"};
  if (algebra.domain() == Domain::bits) {
    if (zero_by_signs(algebra, s, facts, cases)) return {Decision::Kind::zero, "cases"};
  } else if (divided_out(algebra, s, facts)) {
    return {Decision::Kind::zero, "division"};
  }
  if (algebra.domain() == Domain::reals && has_tanh(s)) {
    Sum other = stable(algebra, algebra.without_tanh(s, facts), facts);
    if (other.is_zero() || divided_out(algebra, other, facts))
      return {Decision::Kind::zero, "division"};
  }
  std::string reason;
  try {
    Extraction extraction(algebra, facts);
    for (const Term& t : s.terms) extraction.add(t);
    bool all = true, satisfiable = false, asked = false;
    for (auto& [skeleton, parts] : extraction.parts()) {
      const Answer a = settle(parts, facts, limits, asked);
      all &= a == Answer::unsatisfiable;
      satisfiable |= a == Answer::satisfiable;
      if (a != Answer::unsatisfiable && reason.empty())
        reason = "left over at " + skeleton.substr(0, 200);
    }
    if (all) return {Decision::Kind::zero, asked ? "counting" : "extraction"};
    if (satisfiable) reason = "the sides differ: " + reason;
  } catch (const Undecided& u) {
    reason = u.reason;
  }
  if (algebra.domain() == Domain::reals && !has_bound(s)) {
    // Guards that all terms share play no part.
    const Answer a = can_differ(s, nonnegative, limits);
    if (a == Answer::unsatisfiable) return {Decision::Kind::zero, "reals"};
  }
  if (algebra.domain() == Domain::reals &&
      zero_by_cases(algebra, s, facts, nonnegative, limits, cases))
    return {Decision::Kind::zero, "cases"};
  const bool plain = std::all_of(s.terms.begin(), s.terms.end(), [](const Term& t) {
    return std::all_of(t.factors.begin(), t.factors.end(),
                       [](const Factor& f) { return f.atom->entries.empty() && f.power > 0; });
  });
  return {plain && reason.starts_with("the sides differ") ? Decision::Kind::nonzero
                                                          : Decision::Kind::unknown,
          reason};
}

}  // namespace tessera::prove
