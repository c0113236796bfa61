// SPDX-License-Identifier: Apache-2.0
// What the form of a sum tells of its sign over the reals.
#include <algorithm>
#include <cmath>

#include "algebra/algebra.h"

namespace tessera::algebra {
namespace {

Sum as_sum(Term t) { return {{std::move(t)}}; }

// max(0, s) · s is at least 0: whether `others` are the factors of s.
bool is_rectified(const Atom& a, std::vector<Factor> others) {
  if (a.head != "max" || a.entries.size() != 2) return false;
  const Sum* inside = nullptr;
  bool zero = false;
  for (const Entry& e : a.entries) {
    if (!e.bound.empty() || !e.guards.empty()) return false;
    if (e.body.is_zero()) zero = true;
    else inside = &e.body;
  }
  if (!zero || !inside || inside->terms.size() != 1) return false;
  const Term& s = inside->terms[0];
  if (!s.bound.empty() || !s.guards.empty() || s.coefficient <= 0) return false;
  Term all;
  all.factors = std::move(others);
  Term bare = s;
  bare.coefficient = 1;
  return print(as_sum(all)) == print(as_sum(bare));
}

// Values for the variables of an entry at which its reads are those of `other`.
std::vector<Substitution> alignments(const Entry& e, const Sum& other) {
  constexpr size_t most = 16;
  std::vector<Substitution> all{{}};
  for (const std::string& v : e.bound) {
    std::vector<Index> values;
    for (const Term& t : e.body.terms)
      for (const Factor& f : t.factors)
        for (const Term& u : other.terms)
          for (const Factor& g : u.factors) {
            if (f.atom->head != g.atom->head) continue;
            for (size_t k = 0; k < std::min(f.atom->indices.size(), g.atom->indices.size()); ++k) {
              Index c, rest;
              const Index& i = f.atom->indices[k];
              if (!mentions(i, v) || !split_linear(i, v, c, rest) || !(c == Index(1))) continue;
              const Index value = g.atom->indices[k] - rest;
              if (std::find(values.begin(), values.end(), value) == values.end())
                values.push_back(value);
            }
          }
    std::vector<Substitution> longer;
    for (const Substitution& s : all)
      for (const Index& value : values) {
        Substitution next = s;
        next.emplace(v, value);
        if (longer.size() < most) longer.push_back(std::move(next));
      }
    all = std::move(longer);
  }
  return all;
}

}  // namespace

bool Algebra::is_finite(const Sum& s, const Facts& facts) const {
  return std::all_of(s.terms.begin(), s.terms.end(), [&](const Term& t) {
    Facts inner = facts;
    for (const Guard& g : t.guards) inner.assume(g);
    return std::isfinite(t.coefficient) &&
           std::all_of(t.factors.begin(), t.factors.end(), [&](const Factor& f) {
             if (f.atom->head != "max") return true;
             return std::any_of(
                 f.atom->entries.begin(), f.atom->entries.end(), [&](const Entry& e) {
                   return has_witness(e.bound, e.guards, inner) && is_finite(e.body, inner);
                 });
           });
  });
}

// Some entry of the maximum is at least `least`.
bool Algebra::reaches(const Atom& maximum, const Sum& least, const Facts& facts) {
  for (const Entry& e : maximum.entries) {
    Facts inner = facts;
    for (const Guard& g : e.guards) inner.assume(g);
    const Sum above = add(e.body, scale(least, -1));
    if (has_plain_sign(above, inner) && has_witness(e.bound, e.guards, facts)) return true;
    if (e.bound.empty()) continue;
    for (const Substitution& at : alignments(e, least)) {
      bool open = false;
      for (const auto& [v, value] : at) open |= mentions_any(value, e.bound);
      if (open) continue;
      const std::vector<Guard> guards = substitute(e.guards, at);
      const bool inside = std::all_of(guards.begin(), guards.end(),
                                      [&](const Guard& g) { return facts.implies(g); });
      if (!inside) continue;
      const Sum there = simplified(substitute(above, at), facts);
      if (there.is_zero() || has_plain_sign(there, facts)) return true;
    }
  }
  return false;
}

// Each factor is positive, a square, or at least 0.
bool Algebra::has_plain_sign(const Term& t, const Facts& facts) {
  if (!(t.coefficient > 0)) return false;
  Facts inner = facts;
  for (const Guard& g : t.guards) inner.assume(g);
  std::vector<Factor> open;
  for (const Factor& f : t.factors) {
    const Atom& a = *f.atom;
    const bool known = f.power % 2 == 0 || a.boolean || a.head == "sqrt" || is_positive(a) ||
                       (a.head == "int" && inner.nonnegative(a.indices[0])) ||
                       (a.head == "max" && f.power > 0 && reaches(a, {}, inner)) ||
                       std::find(signs_.begin(), signs_.end(),
                                 sign_text(as_sum({1, {}, {}, {{f.atom, 1}}}))) != signs_.end();
    if (!known) open.push_back(f);
  }
  if (open.empty()) return true;
  return std::any_of(t.factors.begin(), t.factors.end(),
                     [&](const Factor& f) { return f.power == 1 && is_rectified(*f.atom, open); });
}

bool Algebra::has_plain_sign(const Sum& s, const Facts& facts) {
  return std::all_of(s.terms.begin(), s.terms.end(),
                     [&](const Term& t) { return has_plain_sign(t, facts); });
}

bool Algebra::is_nonnegative(const Sum& s, const Facts& facts) {
  if (s.is_zero() || has_plain_sign(s, facts)) return true;
  if (std::find(signs_.begin(), signs_.end(), sign_text(s)) != signs_.end()) return true;
  for (size_t k = 0; k < s.terms.size(); ++k) {  // c · max(S) + rest with an entry above −rest / c
    const Term& t = s.terms[k];
    const bool maximum = t.coefficient > 0 && t.bound.empty() && t.guards.empty() &&
                         t.factors.size() == 1 && t.factors[0].power == 1 &&
                         t.factors[0].atom->head == "max";
    if (!maximum) continue;
    Sum rest = s;
    rest.terms.erase(rest.terms.begin() + static_cast<long>(k));
    if (reaches(*t.factors[0].atom, scale(rest, -1 / t.coefficient), facts)) return true;
  }
  return false;
}

}  // namespace tessera::algebra
