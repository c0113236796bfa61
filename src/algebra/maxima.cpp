// SPDX-License-Identifier: Apache-2.0
// Maxima as sets of (bound variables, guards, body). Over the reals the greatest of a set takes out
// what all entries share: a summand, a nonnegative factor, an increasing function. The maximum of
// no entries is −∞, which every law but that of increasing functions keeps; that one asks for an
// entry.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "algebra/algebra.h"
#include "base/check.h"

namespace tessera::algebra {
namespace {

constexpr size_t most_opened = 64;  // entries that a maximum gets from maxima inside of sums

bool is_plain(const Term& t) { return t.bound.empty() && t.guards.empty(); }

// c · max(…) with c > 0.
bool is_maximum(const Term& t, const std::string& head) {
  return is_plain(t) && t.factors.size() == 1 && t.factors[0].power == 1 &&
         t.factors[0].atom->head == head;
}

bool is_lowest(const Entry& e) {
  const Sum& b = e.body;
  if (b.terms.size() != 1 || !is_plain(b.terms[0]) || b.terms[0].coefficient >= 0) return false;
  const std::vector<Factor>& f = b.terms[0].factors;
  return f.empty() ? std::isinf(b.terms[0].coefficient)
                   : f.size() == 1 && f[0].power == 1 && f[0].atom->head == "#inf";
}

bool depends(const Term& t, const std::vector<std::string>& variables) {
  for (const std::string& v : variables) {
    if (std::find(t.bound.begin(), t.bound.end(), v) != t.bound.end()) continue;
    for (const Guard& g : t.guards)
      if (mentions(g.value, v)) return true;
    for (const Factor& f : t.factors)
      if (f.atom->free.contains(v)) return true;
  }
  return false;
}

bool depends(const Sum& s, const std::vector<std::string>& variables) {
  return std::any_of(s.terms.begin(), s.terms.end(),
                     [&](const Term& t) { return depends(t, variables); });
}

Facts within(const Facts& facts, const Entry& e) {
  Facts all = facts;
  for (const Guard& g : e.guards) all.assume(g);
  return all;
}

bool has_element(const Entry& e, const Facts& facts) {
  return has_witness(e.bound, e.guards, facts);
}

// A variable that the body does not depend on only says whether there is an entry.
void drop_unused(Entry& e, const Facts& facts) {
  std::vector<std::string> unused, used;
  for (const std::string& v : e.bound) (depends(e.body, {v}) ? used : unused).push_back(v);
  if (unused.empty()) return;
  std::vector<Guard> about, rest;
  for (const Guard& g : e.guards) (mentions_any(g.value, unused) ? about : rest).push_back(g);
  Facts known = facts;
  for (const Guard& g : rest) known.assume(g);
  if (!has_witness(unused, about, known)) return;
  e.bound = std::move(used);
  e.guards = std::move(rest);
}

std::vector<std::string> all_bound(const std::vector<Entry>& entries) {
  std::vector<std::string> all;
  for (const Entry& e : entries) all.insert(all.end(), e.bound.begin(), e.bound.end());
  return all;
}

bool is_increasing(const std::string& head) {
  return head == "tanh" || head == "erf" || head == "atan" || head == "log" || head == "sqrt" ||
         head == "floor" || head == "ceil" || head == "sign" || head == "exp";
}

Sum of_factor(const Factor& f) { return {{{1, {}, {}, {f}}}}; }

void keep_unique(const std::string& head, std::vector<Entry>& entries) {
  std::map<std::string, Entry> unique;
  for (Entry& e : entries) {
    Atom alone;
    alone.head = head;
    alone.entries = {e};
    unique.emplace(make_atom(std::move(alone))->key, std::move(e));
  }
  entries.clear();
  for (auto& [text, e] : unique) entries.push_back(std::move(e));
}

}  // namespace

// An entry s + c · max(S): each element of S gives one.
bool Algebra::opened(const std::string& head, const Entry& e, std::vector<Entry>& entries) {
  const bool sums = head == "max" && domain_ == Domain::reals;
  for (size_t k = 0; k < e.body.terms.size(); ++k) {
    const Term& t = e.body.terms[k];
    if (!is_maximum(t, head)) continue;
    if (sums ? t.coefficient <= 0 : e.body.terms.size() > 1 || t.coefficient != 1) continue;
    const std::vector<Entry>& inner = t.factors[0].atom->entries;
    if (inner.empty() || (e.body.terms.size() > 1 && entries.size() + inner.size() > most_opened))
      continue;
    Sum rest = e.body;
    rest.terms.erase(rest.terms.begin() + static_cast<long>(k));
    const double c = t.coefficient;
    for (Entry part : inner) {
      Substitution by;
      for (std::string& v : part.bound) {
        const std::string w = fresh_variable();
        by.emplace(v, Index::symbol(w));
        v = w;
      }
      part.guards = substitute(part.guards, by);
      part.body = substitute(part.body, by);
      if (sums) part.body = add(rest, scale(part.body, c));
      part.bound.insert(part.bound.begin(), e.bound.begin(), e.bound.end());
      part.guards.insert(part.guards.end(), e.guards.begin(), e.guards.end());
      entries.push_back(std::move(part));
    }
    return true;
  }
  return false;
}

// A maximum as a set: nested maxima are flattened, bodies split so that each entry has one case.
Sum Algebra::rebuilt_set(const std::string& head, std::vector<Entry> entries, const Facts& facts) {
  std::vector<Entry> done;
  while (!entries.empty()) {
    Entry e = std::move(entries.back());
    entries.pop_back();
    const bool possible = place(e.bound, e.guards, facts,
                                [&](const Substitution& by) { e.body = substitute(e.body, by); });
    if (!possible) continue;
    e.body = simplified(e.body, within(facts, e));
    if (head == "max" && is_lowest(e)) continue;
    if (const Guard* g = outer_guard(e.body, {})) {
      const bool own = mentions_any(g->value, e.bound);
      std::vector<Guard> cases = negated(*g);
      cases.push_back(*g);
      if (!own) {  // the choice is made outside of the maximum
        Sum total;
        entries.insert(entries.end(), done.begin(), done.end());
        entries.push_back(e);
        for (const Guard& c : cases) {
          if (facts.refutes(c)) continue;
          Facts under = facts;
          under.assume(c);
          total = add(total, guarded(rebuilt_set(head, entries, under), {c}));
        }
        return total;
      }
      for (const Guard& c : cases) {
        Entry part = e;
        part.guards.push_back(c);
        entries.push_back(std::move(part));
      }
      continue;
    }
    if (!opened(head, e, entries)) done.push_back(std::move(e));
  }
  for (Entry& e : done) drop_unused(e, facts);
  keep_unique(head, done);
  if (head == "max" && domain_ == Domain::reals) return lattice(std::move(done), facts);
  if (done.size() == 1 && done[0].bound.empty() && done[0].guards.empty()) return done[0].body;
  Atom a;
  a.head = head;
  a.entries = std::move(done);
  return of_atom(std::move(a));
}

// The maximum over the reals.
Sum Algebra::lattice(std::vector<Entry> entries, const Facts& facts) {
  drop_dominated(entries, facts);
  const Sum shift = shifted_out(entries);
  const Sum factor = scaled_out(entries, facts);
  keep_unique("max", entries);
  Sum greatest;
  if (entries.size() == 1 && entries[0].bound.empty() && entries[0].guards.empty()) {
    greatest = entries[0].body;
  } else if (auto f = monotone_out(entries, facts)) {
    greatest = std::move(*f);
  } else if (auto m = minimum_out(entries, facts)) {
    greatest = std::move(*m);
  } else {
    Atom a;
    a.head = "max";
    a.entries = std::move(entries);
    greatest = of_atom(std::move(a));
  }
  return add(multiply(greatest, factor), shift);
}

// Entries that are known to be at most another one.
void Algebra::drop_dominated(std::vector<Entry>& entries, const Facts& facts) {
  for (size_t a = 0; a < entries.size();) {
    bool smaller = false;
    for (size_t b = 0; b < entries.size() && !smaller; ++b) {
      const Entry &low = entries[a], &high = entries[b];
      if (a == b || (!low.bound.empty() && !high.bound.empty()) || !has_element(high, facts))
        continue;
      const Facts inner = within(within(facts, low), high);
      smaller = is_nonnegative(add(high.body, scale(low.body, -1)), inner);
    }
    if (smaller) entries.erase(entries.begin() + static_cast<long>(a));
    else ++a;
  }
}

// Summands that no entry's variables occur in: taken out as often as all entries have them.
Sum Algebra::shifted_out(std::vector<Entry>& entries) const {
  const std::vector<std::string> bound = all_bound(entries);
  std::map<std::string, std::pair<Term, std::vector<double>>> shared;
  for (size_t k = 0; k < entries.size(); ++k)
    for (const Term& t : entries[k].body.terms) {
      if (depends(t, bound) || !std::isfinite(t.coefficient)) continue;
      Term bare = t;
      bare.coefficient = 1;
      auto& [term, counts] = shared[print(bare)];
      term = bare;
      counts.resize(entries.size(), 0.0);
      counts[k] = t.coefficient;
    }
  Sum shift;
  for (auto& [text, at] : shared) {
    Term t = at.first;
    t.coefficient = *std::min_element(at.second.begin(), at.second.end());
    if (t.coefficient != 0) shift.terms.push_back(std::move(t));
  }
  if (!shift.is_zero())
    for (Entry& e : entries) e.body = add(e.body, scale(shift, -1));
  return shift;
}

// The largest coefficient, and factors that are positive, or at least 0 where there is an entry.
Sum Algebra::scaled_out(std::vector<Entry>& entries, const Facts& facts) const {
  Term factor;
  double largest = 0;
  const Term* first = nullptr;
  for (const Entry& e : entries)
    for (const Term& t : e.body.terms) {
      largest = std::max(largest, std::abs(t.coefficient));
      if (!first) first = &t;
    }
  if (!first || !std::isfinite(largest)) return constant(1);
  factor.coefficient = largest;
  const std::vector<std::string> bound = all_bound(entries);
  const bool some = std::any_of(entries.begin(), entries.end(),
                                [&](const Entry& e) { return has_element(e, facts); });
  for (const Factor& f : first->factors) {
    const bool known =
        std::find(signs_.begin(), signs_.end(), sign_text(of_factor({f.atom, 1}))) != signs_.end();
    if (!is_positive(*f.atom) && !(known && some && f.power > 0)) continue;
    if (depends(of_factor(f), bound)) continue;
    int least = f.power;
    bool common = true;
    for (const Entry& e : entries)
      for (const Term& t : e.body.terms) {
        const auto at = std::find_if(t.factors.begin(), t.factors.end(), [&](const Factor& g) {
          return g.atom->key == f.atom->key && (g.power > 0) == (f.power > 0);
        });
        common &= at != t.factors.end() && !depends(of_factor(f), t.bound);
        if (common && std::abs(at->power) < std::abs(least)) least = at->power;
      }
    if (common) factor.factors.push_back({f.atom, least});
  }
  for (Entry& e : entries)
    for (Term& t : e.body.terms) {
      t.coefficient /= largest;
      for (const Factor& f : factor.factors)
        for (auto at = t.factors.begin(); at != t.factors.end(); ++at)
          if (at->atom->key == f.atom->key) {
            if ((at->power -= f.power) == 0) t.factors.erase(at);
            break;
          }
    }
  return {{factor}};
}

// One term without its sign as f(inside), f an increasing function or a power.
std::optional<Algebra::Inverted> Algebra::inverted(const Term& t) {
  if (t.factors.empty()) return std::nullopt;
  const auto all = [&](auto holds) {
    return std::all_of(t.factors.begin(), t.factors.end(), holds);
  };
  if (all([](const Factor& f) { return f.atom->head == "exp"; })) {
    Sum inside = constant(std::log(std::abs(t.coefficient)));
    for (const Factor& f : t.factors) inside = add(inside, scale(f.atom->entries[0].body, f.power));
    return Inverted{"exp", 1, inside};
  }
  if (std::abs(t.coefficient) != 1) return std::nullopt;
  const auto bare = [&](const Atom& a, int power) {
    return a.head == "paren" && power > 0 ? algebra::Algebra::power(a.entries[0].body, power)
                                          : of_atom(a, power);
  };
  const Factor& first = t.factors[0];
  if (t.factors.size() == 1 && first.power == 1 && is_increasing(first.atom->head))
    return Inverted{first.atom->head, 1, first.atom->entries[0].body};
  if (t.factors.size() == 1 && first.power > 1 && first.power % 2 == 1)
    return Inverted{"power", first.power, bare(*first.atom, 1)};
  if (!all([](const Factor& f) { return is_positive(*f.atom); })) return std::nullopt;
  int common = 0;
  for (const Factor& f : t.factors) common = std::gcd(common, f.power);
  const bool divides = std::any_of(t.factors.begin(), t.factors.end(), [](const Factor& f) {
    return f.atom->head == "paren" && f.power < 0;
  });
  if (common < 2 && !divides) return std::nullopt;
  const int power = common >= 2 ? common : -1;
  Sum inside = constant(1);
  for (const Factor& f : t.factors) inside = multiply(inside, bare(*f.atom, f.power / power));
  return Inverted{"power", power, inside};
}

// max f(s) = f(max s) for an increasing f, max f(s) = f(min s) for a decreasing one.
std::optional<Sum> Algebra::monotone_out(const std::vector<Entry>& entries, const Facts& facts) {
  if (std::none_of(entries.begin(), entries.end(),
                   [&](const Entry& e) { return has_element(e, facts); }))
    return std::nullopt;
  std::string head;
  double sign = 0;
  int power = 0;
  std::vector<Entry> inside = entries;
  for (Entry& e : inside) {
    if (e.body.terms.size() != 1 || !is_plain(e.body.terms[0])) return std::nullopt;
    const Term t = e.body.terms[0];
    const double own = t.coefficient < 0 ? -1 : 1;
    const auto part = inverted(t);
    if (!part) return std::nullopt;
    if (sign != 0 && (sign != own || head != part->head || power != part->power))
      return std::nullopt;
    sign = own;
    head = part->head;
    power = part->power;
    e.body = part->inside;
  }
  const bool rising = (sign > 0) == (power > 0);
  if (!rising)
    for (Entry& e : inside) e.body = scale(e.body, -1);
  Sum argument = rebuilt_set("max", inside, facts);
  if (!rising) argument = scale(argument, -1);
  if (power > 1) return scale(algebra::Algebra::power(argument, power), sign);
  if (power < 0) return scale(inverse(argument, facts), sign);
  return scale(function(head, std::array{argument}, facts), sign);
}

// max over k of r − c · max(a, f(k)) where nothing else depends on k: the greatest of minima is the
// minimum of the greatest.
std::optional<Sum> Algebra::minimum_out(const std::vector<Entry>& entries, const Facts& facts) {
  if (entries.size() != 1 || entries[0].bound.empty()) return std::nullopt;
  const Entry& e = entries[0];
  for (size_t k = 0; k < e.body.terms.size(); ++k) {
    const Term& t = e.body.terms[k];
    if (!is_maximum(t, "max") || t.coefficient >= 0) continue;
    Sum rest = e.body;
    rest.terms.erase(rest.terms.begin() + static_cast<long>(k));
    std::vector<Entry> others, own;
    bool plain = true;
    for (const Entry& part : t.factors[0].atom->entries) {
      plain &= part.bound.empty() && part.guards.empty();
      const Sum q = add(scale(part.body, -t.coefficient), scale(rest, -1));
      (depends(q, e.bound) ? own : others).push_back({{}, {}, q});
    }
    if (!plain || own.size() != 1 || others.empty()) continue;
    Entry least = e;
    least.body = scale(own[0].body, -1);
    others.push_back({{}, {}, scale(rebuilt_set("max", {least}, facts), -1)});
    return scale(rebuilt_set("max", others, facts), -1);
  }
  return std::nullopt;
}

}  // namespace tessera::algebra
