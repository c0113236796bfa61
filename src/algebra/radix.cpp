// SPDX-License-Identifier: Apache-2.0
// Sums over all digits of a number are sums over the number, and the reverse: what makes reshapes
// of summed axes vanish.
#include "algebra/radix.h"

#include <fmt/format.h>

#include <algorithm>

namespace tessera::algebra {
namespace {

bool is_division(const sym::Atom& a) {
  return a.kind == sym::AtomKind::floor_div || a.kind == sym::AtomKind::modulo;
}

// Calls `visit` with every division in an index, inner ones first, until it returns true.
bool any_division(const Index& e, const std::function<bool(const sym::Atom&)>& visit) {
  for (const sym::Term& t : e.terms())
    for (const sym::Atom& f : t.factors) {
      for (const Index& a : f.args)
        if (any_division(a, visit)) return true;
      if (is_division(f) && visit(f)) return true;
    }
  return false;
}

void visit_atom(const Atom& atom, const std::function<void(const Index&)>& visit) {
  for (const Index& i : atom.indices) visit(i);
  for (const Entry& e : atom.entries) {
    for (const Guard& g : e.guards) visit(g.value);
    visit_indices(e.body, visit);
  }
}

// What a bound variable runs over, [0, extent), if its guards say just that.
struct Extent {
  Index extent;
  std::vector<size_t> guards;  // which state it
};
std::optional<Extent> extent_of(const std::string& v, const Term& term) {
  Extent r;
  int low = 0, high = 0;
  for (size_t k = 0; k < term.guards.size(); ++k) {
    const Guard& g = term.guards[k];
    Index c, rest;
    if (g.equal || !mentions(g.value, v) || !split_linear(g.value, v, c, rest)) continue;
    if (c == Index(1) && rest == Index(0)) ++low;
    else if (c == Index(-1) && variables_of(rest).empty()) ++high, r.extent = rest + Index(1);
    else continue;
    r.guards.push_back(k);
  }
  if (low != 1 || high != 1) return std::nullopt;
  return r;
}

void replace_bound(Term& term, const Extent& range, const std::string& gone, const Index& by) {
  for (size_t k = range.guards.size(); k-- > 0;)
    term.guards.erase(term.guards.begin() + static_cast<long>(range.guards[k]));
  std::erase(term.bound, gone);
  term = substitute(term, {{gone, by}});
}

void add_bound(Term& term, const std::string& v, const Index& extent) {
  const Index e = Index::symbol(v);
  term.bound.push_back(v);
  term.guards.push_back({e, false});
  term.guards.push_back({extent - Index(1) - e, false});
}

bool split(Term& term, const Facts& facts, const std::function<std::string()>& fresh) {
  for (const std::string& v : term.bound) {
    const auto range = extent_of(v, term);
    if (!range) continue;
    std::optional<Division> found;
    visit_indices(term, [&](const Index& e) {
      if (!found) found = division_of(v, range->extent, e, facts);
    });
    if (!found) continue;
    const std::string high = fresh(), low = fresh();
    replace_bound(term, *range, found->variable,
                  found->base * Index::symbol(high) + Index::symbol(low));
    add_bound(term, high, found->count);
    add_bound(term, low, found->base);
    return true;
  }
  return false;
}

// base · i + j, with j in [0, base), anywhere inside of a division.
struct Digits {
  std::string high, low;
  Index base;
};
std::optional<Digits> digits_in(const Index& e, const Term& term) {
  std::optional<Digits> found;
  any_division(e, [&](const sym::Atom& a) {
    for (const std::string& low : term.bound) {
      Index c, rest;
      if (!mentions(a.args[0], low) || !split_linear(a.args[0], low, c, rest)) continue;
      const auto range = c == Index(1) ? extent_of(low, term) : std::nullopt;
      if (!range) continue;
      for (const std::string& high : term.bound) {
        Index others;
        if (high != low && mentions(rest, high) && split_linear(rest, high, c, others) &&
            c == range->extent && extent_of(high, term)) {
          found = {high, low, c};
          return true;
        }
      }
    }
    return false;
  });
  return found;
}

bool combine(Term& term, const std::function<std::string()>& fresh) {
  std::vector<Digits> candidates;
  visit_indices(term, [&](const Index& e) {
    if (const auto d = digits_in(e, term)) candidates.push_back(*d);
  });
  for (const Digits& d : candidates) {
    Term t = term;
    const std::string whole = fresh();
    const Index number = Index::symbol(whole), quotient = sym::floor_div(number, d.base);
    const Index extent = d.base * extent_of(d.high, t)->extent;
    replace_bound(t, *extent_of(d.low, t), d.low, number - d.base * quotient);
    replace_bound(t, *extent_of(d.high, t), d.high, quotient);
    bool left = false;  // where a digit occurs by itself
    visit_indices(t, [&](const Index& e) {
      left |= any_division(
          e, [&](const sym::Atom& a) { return a.args[0] == number && a.args[1] == d.base; });
    });
    if (left) continue;
    add_bound(t, whole, extent);
    term = std::move(t);
    return true;
  }
  return false;
}

}  // namespace

std::optional<Division> division_of(const std::string& variable, const Index& extent,
                                    const Index& index, const Facts& facts) {
  std::vector<Index> spellings{extent};
  for (const Guard& g : facts.guards())
    if (g.equal && variables_of(g.value).empty()) {
      spellings.push_back(extent + g.value);
      spellings.push_back(extent - g.value);
    }
  std::optional<Division> found;
  any_division(index, [&](const sym::Atom& a) {
    const Index& base = a.args[1];
    if (a.args[0].as_symbol() != variable || !variables_of(base).empty()) return false;
    for (const Index& e : spellings) {
      const Index count = sym::floor_div(e, base);
      if (!(count * base == e) || count == Index(1)) continue;
      found = {variable, base, count};
      return true;
    }
    return false;
  });
  return found;
}

void visit_indices(const Term& term, const std::function<void(const Index&)>& visit) {
  for (const Guard& g : term.guards) visit(g.value);
  for (const Factor& f : term.factors) visit_atom(*f.atom, visit);
}

void visit_indices(const Sum& sum, const std::function<void(const Index&)>& visit) {
  for (const Term& t : sum.terms) visit_indices(t, visit);
}

OutputRanges::OutputRanges(const std::vector<Index>& shape) {
  for (const Index& extent : shape) extents_.emplace_back(fmt::format("%{}", next_++), extent);
}

bool OutputRanges::split(const Index& index, const Facts& facts) {
  for (auto it = extents_.begin(); it != extents_.end(); ++it) {
    const auto division = division_of(it->first, it->second, index, facts);
    if (!division) continue;
    const std::string high = fmt::format("%{}", next_++), low = fmt::format("%{}", next_++);
    const Substitution digits{
        {division->variable, division->base * Index::symbol(high) + Index::symbol(low)}};
    for (auto& [k, value] : indices_) value = value.substitute(digits);
    const int whole = std::stoi(division->variable.substr(1));
    indices_.try_emplace(static_cast<uint32_t>(whole), digits.begin()->second);
    extents_.erase(it);
    extents_.emplace_back(high, division->count);
    extents_.emplace_back(low, division->base);
    return true;
  }
  return false;
}

void OutputRanges::assume_in(Facts& facts) const {
  for (const auto& [name, extent] : extents_) {
    const Index v = Index::symbol(name);
    facts.assume({v, false});
    facts.assume({extent - Index(1) - v, false});
  }
}

bool change_radix(Term& term, const Facts& facts, const std::function<std::string()>& fresh) {
  return split(term, facts, fresh) || combine(term, fresh);
}

}  // namespace tessera::algebra
