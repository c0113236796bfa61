// SPDX-License-Identifier: Apache-2.0
// Functions where every bit counts: floats bit by bit, integers modulo 2^n, booleans.
#include <cmath>

#include "algebra/algebra.h"
#include "types/dtype.h"

namespace tessera::algebra {
namespace {

bool gives_boolean(const std::string& head) {
  return head == "lt" || head == "le" || head == "eq" || head == "is_nan" || head == "cast:bool";
}

// ±1 times one atom, as all values are bit by bit.
const Atom* as_value(const Sum& s) {
  const bool one = s.terms.size() == 1 && s.terms[0].factors.size() == 1 &&
                   s.terms[0].factors[0].power == 1 && s.terms[0].guards.empty() &&
                   s.terms[0].bound.empty();
  return one ? s.terms[0].factors[0].atom.get() : nullptr;
}

bool is_negated(const Sum& s) { return s.terms.size() == 1 && s.terms[0].coefficient < 0; }

bool is_number(const Sum& s, const char* text) {
  const Atom* a = as_value(s);
  return a && a->head == std::string("#") + text;
}

bool is_call(const Sum& s, const char* head) {
  const Atom* a = as_value(s);
  return a && a->head == head;
}

Sum with_sign(Sum s, double sign) {
  for (Term& t : s.terms) t.coefficient *= sign;
  return s;
}

struct Conversion {
  DType from, to;
};

std::optional<Conversion> conversion_of(const std::string& head) {
  if (!head.starts_with("cast:")) return std::nullopt;
  const size_t at = head.find(':', 5);
  if (at == std::string::npos) return std::nullopt;
  const auto from = dtype_from_string(head.substr(5, at - 5));
  const auto to = dtype_from_string(head.substr(at + 1));
  return from && to ? std::optional(Conversion{*from, *to}) : std::nullopt;
}

// Order, zeros and their signs survive. Narrower floats may turn numbers into zeros, and of −0 and
// +0 either may be the larger.
bool keeps_maxima(const Conversion& c) {
  if (!is_float(c.to) || c.from == DType::boolean) return false;
  return !is_float(c.from) || c.from == c.to || size_of(c.to) > size_of(c.from);
}

}  // namespace

Sum Algebra::leaf_integers(const std::string& head, const std::vector<Sum>& args) const {
  if (head.starts_with("abs:u")) return args[0];
  if (head.starts_with("abs:i")) {  // signed: |−x| = ||x|| = |x| modulo 2^n
    const Sum& a = args[0];
    const Atom* inner = as_value(a);
    if (inner && inner->head == head && std::abs(a.terms[0].coefficient) == 1)
      return scale(a, a.terms[0].coefficient);
    if (!a.is_zero() && leading(a).coefficient < 0) return opaque(head, {scale(a, -1)});
  }
  if (head == "zero" && args[0].is_zero()) return constant(1);
  if (head == "lt" && print(args[0]) == print(args[1])) return {};
  const bool boolean = head == "zero" || gives_boolean(head);
  return opaque(head, args, boolean);
}

// Conversions of signs, constants and maxima.
std::optional<Sum> Algebra::converted(const std::string& head, const Sum& x, const Facts& facts) {
  const auto c = conversion_of(head);
  const Atom* a = c ? as_value(x) : nullptr;
  if (!a) return std::nullopt;
  const bool floats = is_float(c->from) && is_float(c->to);
  if (a->head == "#0" && (floats || !is_negated(x))) return x;
  if (a->head == "#inf" && floats) return x;
  if (floats && is_negated(x))
    return with_sign(function(head, std::vector<Sum>{with_sign(x, -1)}, facts), -1);
  if (a->head != "max" || is_negated(x) || !keeps_maxima(*c)) return std::nullopt;
  bool some = is_float(c->from);  // of no entries: −∞ in all float types
  std::vector<Entry> entries = a->entries;
  for (Entry& e : entries) {
    Facts inner = facts;
    for (const Guard& g : e.guards) inner.assume(g);
    some |= has_witness(e.bound, e.guards, facts);
    e.body = function(head, std::vector<Sum>{e.body}, inner);
  }
  if (!some) return std::nullopt;
  return rebuilt_set("max", std::move(entries), facts);
}

// Laws that keep every bit.
Sum Algebra::leaf_bits(const std::string& head, const std::vector<Sum>& args, const Facts& facts) {
  if (head == "add") {
    for (int k = 0; k < 2; ++k)
      if (is_number(args[k], "0") && is_negated(args[k])) return args[1 - k];  // x + −0 = x
    if (is_number(args[0], "0") && is_number(args[1], "0")) return args[0];
    return opaque(head, args);
  }
  if (head == "mul" || head == "div") {
    // Signs go to the front; x · 1 = x / 1 = x.
    double sign = 1;
    std::vector<Sum> bare = args;
    for (Sum& s : bare)
      if (is_negated(s)) {
        sign = -sign;
        s = scale(s, -1);
      }
    for (int k = head == "mul" ? 0 : 1; k < 2; ++k)
      if (is_number(bare[k], "1")) return scale(bare[1 - k], sign);
    if (head == "mul" && is_number(bare[0], "0") && is_number(bare[1], "0"))
      return scale(bare[0], sign);
    if (head == "mul" && is_call(bare[0], "abs") && print(bare[0]) == print(bare[1]))
      for (Sum& s : bare) s = s.terms[0].factors[0].atom->entries[0].body;
    return scale(opaque(head, bare), sign);
  }
  if (head == "abs") {
    const Sum bare = is_negated(args[0]) ? scale(args[0], -1) : args[0];
    if (is_call(bare, "abs")) return bare;
    return opaque(head, {bare});
  }
  if (head == "lt") {  // NaN is less than nothing
    if (print(args[0]) == print(args[1])) return constant(0);
    if (is_call(args[0], "abs") && !is_negated(args[0]) && is_number(args[1], "0"))
      return constant(0);
  }
  if (head.starts_with("cast:"))
    if (auto c = converted(head, args[0], facts)) return std::move(*c);
  return opaque(head, args, gives_boolean(head));
}

Sum Algebra::replaced(const Sum& s, const std::string& key, const Sum& by, const Facts& facts) {
  Sum total;
  for (const Term& t : s.terms) {
    const bool single = t.bound.empty() && t.factors.size() == 1 && t.factors[0].power == 1;
    Sum part{{t}};
    if (single) {
      const Atom& a = *t.factors[0].atom;
      std::vector<Sum> args;
      bool plain = !a.entries.empty();
      for (const Entry& e : a.entries) {
        plain &= e.bound.empty() && e.guards.empty();
        if (plain) args.push_back(replaced(e.body, key, by, facts));
      }
      if (a.key == key || plain)
        part = guarded(with_sign(a.key == key ? by : function(a.head, args, facts), t.coefficient),
                       t.guards);
    }
    total.terms.insert(total.terms.end(), part.terms.begin(), part.terms.end());
  }
  return merged(std::move(total));
}

}  // namespace tessera::algebra
