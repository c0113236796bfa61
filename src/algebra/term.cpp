// SPDX-License-Identifier: Apache-2.0
// Canonical text and substitution of normal forms.
#include "algebra/term.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::algebra {
namespace {

constexpr size_t most_orders = 24;  // of bound variables that look alike

using Renaming = std::map<std::string, std::string>;  // bound variable → canonical name

std::string number(double c) { return fmt::format("{:.9g}", c); }

class Printer {
 public:
  explicit Printer(bool holes) : holes_(holes) {}

  Printed index(const Index& e, const Renaming& names) const {
    Substitution by;
    for (const std::string& v : variables_of(e))
      if (const auto at = names.find(v); at != names.end())
        by.emplace(v, Index::symbol(at->second));
    const Index renamed = by.empty() ? e : e.substitute(by);
    if (!holes_) return {renamed.to_string(), {}};
    Index outer(renamed.constant_part()), inner(0);
    for (const sym::Term& t : renamed.terms()) {
      const Index value = term_value(t);
      bool bound = false, free = false;
      for (const std::string& v : variables_of(value)) (v.starts_with("%b") ? bound : free) = true;
      if (bound && free) throw Undecided{"an index with a product of variables"};
      if (bound) inner = inner + value;
      else outer = outer + value;
    }
    return {"#+" + inner.to_string(), {outer}};
  }

  Printed guard(const Guard& g, const Renaming& names) const {
    Printed p = index(g.value, names);
    p.text = (g.equal ? "0=" : "0<=") + p.text;
    return p;
  }

  Printed factor(const Factor& f, const Renaming& names) const {
    Printed p = atom(*f.atom, names);
    if (f.power != 1) p.text += fmt::format("^{}", f.power);
    return p;
  }

  Printed atom(const Atom& a, const Renaming& names) const {
    const bool touched =
        std::any_of(a.free.begin(), a.free.end(), [&](const auto& v) { return names.contains(v); });
    if (!holes_ && !touched && !a.key.empty()) return {a.key, {}};
    Printed p{a.head + "(", {}};
    for (const Index& i : a.indices) append(p, index(i, names), ",");
    std::vector<Printed> entries;
    for (const Entry& e : a.entries) entries.push_back(entry(e, names));
    if (a.head == "max" || a.head == "min" || a.head == "add" || a.head == "mul" ||
        a.head == "zero")
      sort(entries);
    for (const Printed& e : entries) append(p, e, ";");
    p.text += ")";
    return p;
  }

  Printed term(const Term& t, const Renaming& names, bool coefficient) const {
    return scoped(t.bound, names, [&](const Renaming& inner) {
      std::vector<Printed> guards, factors;
      for (const Guard& g : t.guards) guards.push_back(guard(g, inner));
      for (const Factor& f : t.factors) factors.push_back(factor(f, inner));
      sort(guards);
      sort(factors);
      Printed p;
      for (const Printed& g : guards) append(p, g, "]");
      p.text += fmt::format("S{}:", t.bound.size());
      for (const Printed& f : factors) append(p, f, "*");
      if (coefficient) p.text = number(t.coefficient) + "*" + p.text;
      return p;
    });
  }

  Printed entry(const Entry& e, const Renaming& names) const {
    return scoped(e.bound, names, [&](const Renaming& inner) {
      std::vector<Printed> guards;
      for (const Guard& g : e.guards) guards.push_back(guard(g, inner));
      sort(guards);
      Printed p;
      for (const Printed& g : guards) append(p, g, "]");
      p.text += fmt::format("B{}:", e.bound.size());
      append(p, sum(e.body, inner), "");
      return p;
    });
  }

  Printed sum(const Sum& s, const Renaming& names) const {
    std::vector<Printed> terms;
    for (const Term& t : s.terms) terms.push_back(term(t, names, true));
    sort(terms);
    Printed p;
    for (const Printed& t : terms) append(p, t, "+");
    if (terms.empty()) p.text = "0";
    return p;
  }

 private:
  static void append(Printed& to, const Printed& p, const char* after) {
    to.text += p.text + after;
    to.holes.insert(to.holes.end(), p.holes.begin(), p.holes.end());
  }
  static void sort(std::vector<Printed>& all) {
    std::sort(all.begin(), all.end(), [](const Printed& a, const Printed& b) {
      if (a.text != b.text) return a.text < b.text;
      return a.holes < b.holes;
    });
  }

  // The least text over the orders in which bound variables can be numbered; variables that look
  // different get their places at once.
  template <typename Body>
  Printed scoped(const std::vector<std::string>& bound, const Renaming& names, Body body) const {
    if (bound.empty()) return body(names);
    const auto name = [&](size_t k) { return fmt::format("%b{}", names.size() + k); };
    Renaming inner = names;
    if (bound.size() == 1) {
      inner[bound[0]] = name(0);
      return body(inner);
    }
    std::vector<std::pair<std::string, std::string>> looks;
    for (const std::string& v : bound) {
      for (const std::string& w : bound) inner[w] = w == v ? "%b!" : "%b?";
      looks.push_back({body(inner).text, v});
    }
    std::stable_sort(looks.begin(), looks.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    // Only variables that look alike change places: runs of equal looks are permuted.
    std::vector<size_t> order(bound.size()), ends;
    for (size_t k = 0; k < order.size(); ++k) {
      order[k] = k;
      if (k + 1 == order.size() || looks[k].first != looks[k + 1].first) ends.push_back(k + 1);
    }
    const auto next_order = [&] {
      for (size_t g = ends.size(); g-- > 0;) {
        const size_t begin = g == 0 ? 0 : ends[g - 1];
        if (std::next_permutation(order.begin() + static_cast<long>(begin),
                                  order.begin() + static_cast<long>(ends[g])))
          return true;
      }
      return false;
    };
    Printed best;
    size_t tries = 0;
    do {
      for (size_t k = 0; k < order.size(); ++k) inner[looks[order[k]].second] = name(k);
      Printed p = body(inner);
      if (tries == 0 || p.text < best.text) best = std::move(p);
    } while (++tries < most_orders && next_order());
    return best;
  }

  bool holes_;
};

void collect(const Index& e, const std::vector<std::string>& bound, std::set<std::string>& free) {
  for (const std::string& v : variables_of(e))
    if (std::find(bound.begin(), bound.end(), v) == bound.end()) free.insert(v);
}

void collect(const Entry& entry, std::set<std::string>& free) {
  std::set<std::string> all;
  for (const Guard& g : entry.guards) collect(g.value, entry.bound, all);
  for (const Term& t : entry.body.terms) {
    for (const Guard& g : t.guards) collect(g.value, t.bound, all);
    for (const Factor& f : t.factors)
      for (const std::string& v : f.atom->free)
        if (std::find(t.bound.begin(), t.bound.end(), v) == t.bound.end()) all.insert(v);
  }
  for (const std::string& v : entry.bound) all.erase(v);
  free.insert(all.begin(), all.end());
}

}  // namespace

std::string_view to_string(Domain domain) {
  switch (domain) {
    case Domain::reals: return "reals";
    case Domain::bits: return "bits";
    case Domain::integers: return "integers";
    case Domain::booleans: return "booleans";
  }
  return "";
}

Printed print(const Atom& atom, bool holes) { return Printer(holes).atom(atom, {}); }
std::string print(const Sum& sum) { return Printer(false).sum(sum, {}).text; }
std::string print(const Term& term) { return Printer(false).term(term, {}, true).text; }

std::shared_ptr<const Atom> make_atom(Atom atom) {
  atom.free.clear();
  for (const Index& i : atom.indices) collect(i, {}, atom.free);
  for (const Entry& e : atom.entries) collect(e, atom.free);
  atom.key.clear();
  atom.key = print(atom, false).text;
  return std::make_shared<const Atom>(std::move(atom));
}

std::vector<Guard> substitute(const std::vector<Guard>& guards, const Substitution& by) {
  std::vector<Guard> result;
  for (const Guard& g : guards) result.push_back({g.value.substitute(by), g.equal});
  return result;
}

std::shared_ptr<const Atom> substitute(const std::shared_ptr<const Atom>& a,
                                       const Substitution& by) {
  const bool touched = std::any_of(by.begin(), by.end(), [&](const auto& s) {
    return !is_variable(s.first) || a->free.contains(s.first);
  });
  if (!touched) return a;
  Atom copy = *a;
  for (Index& i : copy.indices) i = i.substitute(by);
  for (Entry& e : copy.entries) {
    e.guards = substitute(e.guards, by);
    e.body = substitute(e.body, by);
  }
  return make_atom(std::move(copy));
}

Term substitute(const Term& term, const Substitution& by) {
  Term t = term;
  t.guards = substitute(t.guards, by);
  for (Factor& f : t.factors) f.atom = substitute(f.atom, by);
  return t;
}

Sum substitute(const Sum& sum, const Substitution& by) {
  Sum s;
  for (const Term& t : sum.terms) s.terms.push_back(substitute(t, by));
  return s;
}

}  // namespace tessera::algebra
