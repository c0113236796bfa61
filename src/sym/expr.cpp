// SPDX-License-Identifier: Apache-2.0
// Canonical arithmetic of symbolic integers.
#include "sym/expr.h"

#include <algorithm>

#include "base/check.h"

namespace tessera::sym {
namespace {

int64_t checked_add(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_add_overflow(a, b, &r))
    fail_user(ErrorKind::invalid_input, "integer overflow in {} + {}", a, b);
  return r;
}

int64_t checked_mul(int64_t a, int64_t b) {
  int64_t r = 0;
  if (__builtin_mul_overflow(a, b, &r))
    fail_user(ErrorKind::invalid_input, "integer overflow in {} * {}", a, b);
  return r;
}

void check_weight(int64_t weight) {
  if (weight > max_weight)
    fail_user(ErrorKind::unsupported, "a symbolic size has more than {} parts", max_weight);
}

std::strong_ordering compare(const std::vector<Atom>& a, const std::vector<Atom>& b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace

Expr make_atom(Atom atom) {
  Expr e;
  e.weight_ = atom.weight;
  e.terms_.push_back({1, {std::move(atom)}});
  return e;
}

Expr::Expr(int64_t constant) : constant_(constant) {}
Expr::~Expr() = default;
Expr::Expr(const Expr& other) = default;
Expr::Expr(Expr&& other) noexcept = default;
Expr& Expr::operator=(const Expr& other) = default;
Expr& Expr::operator=(Expr&& other) noexcept = default;

bool Atom::operator==(const Atom& o) const {
  return kind == o.kind && name == o.name && args == o.args;
}

std::strong_ordering Atom::operator<=>(const Atom& o) const {
  if (auto c = kind <=> o.kind; c != 0) return c;
  if (auto c = name <=> o.name; c != 0) return c;
  return std::lexicographical_compare_three_way(args.begin(), args.end(), o.args.begin(),
                                                o.args.end());
}

bool Term::operator==(const Term& o) const {
  return coefficient == o.coefficient && factors == o.factors;
}

bool Expr::operator==(const Expr& o) const {
  return constant_ == o.constant_ && terms_ == o.terms_;
}

std::strong_ordering Expr::operator<=>(const Expr& o) const {
  const size_t n = std::min(terms_.size(), o.terms_.size());
  for (size_t i = 0; i < n; ++i) {
    if (auto c = compare(terms_[i].factors, o.terms_[i].factors); c != 0) return c;
    if (auto c = terms_[i].coefficient <=> o.terms_[i].coefficient; c != 0) return c;
  }
  if (auto c = terms_.size() <=> o.terms_.size(); c != 0) return c;
  return constant_ <=> o.constant_;
}

Expr Expr::symbol(std::string name) {
  Atom atom;
  atom.name = std::move(name);
  return make_atom(std::move(atom));
}

std::optional<std::string> Expr::as_symbol() const {
  if (constant_ != 0 || terms_.size() != 1 || terms_[0].coefficient != 1) return std::nullopt;
  const auto& factors = terms_[0].factors;
  if (factors.size() != 1 || factors[0].kind != AtomKind::symbol) return std::nullopt;
  return factors[0].name;
}

void Expr::add_term(const Term& term) {
  auto at = std::lower_bound(terms_.begin(), terms_.end(), term, [](const Term& a, const Term& b) {
    return compare(a.factors, b.factors) < 0;
  });
  int64_t weight = 0;
  for (const Atom& f : term.factors) weight += f.weight;
  if (at == terms_.end() || !(at->factors == term.factors)) {
    check_weight(weight_ + weight);
    weight_ += weight;
    terms_.insert(at, term);
    return;
  }
  at->coefficient = checked_add(at->coefficient, term.coefficient);
  if (at->coefficient != 0) return;
  terms_.erase(at);
  weight_ -= weight;
}

Expr Expr::operator+(const Expr& o) const {
  Expr r = *this;
  r.constant_ = checked_add(r.constant_, o.constant_);
  for (const Term& t : o.terms_) r.add_term(t);
  return r;
}

Expr Expr::operator-() const {
  Expr r = *this;
  r.constant_ = checked_mul(constant_, -1);
  for (Term& t : r.terms_) t.coefficient = checked_mul(t.coefficient, -1);
  return r;
}

Expr Expr::operator-(const Expr& o) const {
  Expr r = *this;
  r.constant_ = checked_add(r.constant_, checked_mul(o.constant_, -1));
  for (const Term& t : o.terms_) r.add_term({checked_mul(t.coefficient, -1), t.factors});
  return r;
}

Expr Expr::operator*(const Expr& o) const {
  Expr r(checked_mul(constant_, o.constant_));
  if (o.constant_ != 0)
    for (const Term& t : terms_) r.add_term({checked_mul(t.coefficient, o.constant_), t.factors});
  if (constant_ != 0)
    for (const Term& t : o.terms_) r.add_term({checked_mul(t.coefficient, constant_), t.factors});
  for (const Term& a : terms_)
    for (const Term& b : o.terms_) {
      Term t{checked_mul(a.coefficient, b.coefficient), a.factors};
      t.factors.insert(t.factors.end(), b.factors.begin(), b.factors.end());
      std::sort(t.factors.begin(), t.factors.end());
      r.add_term(t);
    }
  return r;
}

int64_t floor_div(int64_t a, int64_t b) {
  if (b == -1) return checked_mul(a, -1);
  return a / b - (a % b != 0 && ((a < 0) != (b < 0)) ? 1 : 0);
}

int64_t modulo(int64_t a, int64_t b) {
  const int64_t r = b == -1 ? 0 : a % b;
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

namespace {

// Splits a = b·quotient + rest, taking every term of `a` whose coefficient the constant b divides,
// or the terms that contain b as a factor.
void split_divisible(const Expr& a, const Expr& b, Expr& quotient, Expr& rest) {
  quotient = Expr(0);
  rest = Expr(0);
  if (auto d = b.constant()) {
    quotient = Expr(floor_div(a.constant_part(), *d));
    rest = Expr(modulo(a.constant_part(), *d));
  } else {
    rest = Expr(a.constant_part());
  }
  for (const Term& term : a.terms()) {
    Expr whole(term.coefficient);
    for (const Atom& f : term.factors) whole = whole * make_atom(f);
    if (auto d = b.constant()) {
      if (modulo(term.coefficient, *d) == 0) {
        Expr part(floor_div(term.coefficient, *d));
        for (const Atom& f : term.factors) part = part * make_atom(f);
        quotient = quotient + part;
        continue;
      }
    } else if (b.constant_part() == 0 && b.terms().size() == 1) {
      // b is one monomial: divide when its factors are contained in the term's.
      const Term& divisor = b.terms()[0];
      std::vector<Atom> left = term.factors;
      bool contained = modulo(term.coefficient, divisor.coefficient) == 0;
      for (const Atom& f : divisor.factors) {
        auto at = std::find(left.begin(), left.end(), f);
        if (at == left.end()) {
          contained = false;
          break;
        }
        left.erase(at);
      }
      if (contained) {
        Expr part(floor_div(term.coefficient, divisor.coefficient));
        for (const Atom& f : left) part = part * make_atom(f);
        quotient = quotient + part;
        continue;
      }
    }
    rest = rest + whole;
  }
}

}  // namespace

Expr operation(AtomKind kind, const Expr& a, const Expr& b) {
  Atom atom;
  atom.kind = kind;
  atom.weight = 1 + a.weight_ + b.weight_;
  check_weight(atom.weight);
  atom.args = {a, b};
  return make_atom(std::move(atom));
}

Expr floor_div(const Expr& a, const Expr& b) {
  if (b.is_constant() && b.constant_part() == 0)
    fail_user(ErrorKind::invalid_input, "division of {} by zero", a.to_string());
  if (a.is_constant() && b.is_constant()) return floor_div(a.constant_part(), b.constant_part());
  if (b == Expr(1)) return a;
  if (a == b) return 1;  // sizes that are divided by are positive wherever the result is used
  if (!b.is_constant()) {
    // A sum as divisor: a = c·b for a constant c.
    if (!b.terms().empty() && a.terms().size() == b.terms().size()) {
      const int64_t c = floor_div(a.terms()[0].coefficient, b.terms()[0].coefficient);
      if (a == Expr(c) * b) return c;
    }
  }
  Expr quotient, rest;
  split_divisible(a, b, quotient, rest);
  if (rest == Expr(0)) return quotient;
  if (rest.is_constant() && b.is_constant())
    return quotient + floor_div(rest.constant_part(), b.constant_part());
  return quotient + operation(AtomKind::floor_div, rest, b);
}

Expr modulo(const Expr& a, const Expr& b) {
  if (a.is_constant() && b.is_constant() && b.constant_part() != 0)
    return modulo(a.constant_part(), b.constant_part());
  return a - b * floor_div(a, b);
}

Expr ceil_div(const Expr& a, const Expr& b) { return floor_div(a + b - Expr(1), b); }

Expr min(const Expr& a, const Expr& b) {
  if (auto d = (a - b).constant()) return *d <= 0 ? a : b;
  return a < b ? operation(AtomKind::minimum, a, b) : operation(AtomKind::minimum, b, a);
}

Expr max(const Expr& a, const Expr& b) {
  if (auto d = (a - b).constant()) return *d >= 0 ? a : b;
  return a < b ? operation(AtomKind::maximum, a, b) : operation(AtomKind::maximum, b, a);
}

namespace {

using Spelling = std::function<std::string(const std::string&)>;

std::string atom_to_string(const Atom& atom, const Spelling& symbol) {
  if (atom.kind == AtomKind::symbol) return symbol(atom.name);
  static constexpr const char* names[] = {"", "div", "mod", "min", "max"};
  return fmt::format("{}({}, {})", names[static_cast<int>(atom.kind)],
                     atom.args[0].to_string(symbol), atom.args[1].to_string(symbol));
}

}  // namespace

std::string Expr::to_string() const {
  return to_string([](const std::string& name) { return name; });
}

std::string Expr::to_string(const Spelling& symbol) const {
  std::string text;
  auto append = [&](int64_t coefficient, const std::string& body) {
    const bool negative = coefficient < 0;
    if (text.empty()) text = negative ? "-" : "";
    else text += negative ? " - " : " + ";
    const uint64_t magnitude =
        negative ? uint64_t{0} - static_cast<uint64_t>(coefficient) : coefficient;
    if (body.empty()) text += fmt::format("{}", magnitude);
    else if (magnitude == 1) text += body;
    else text += fmt::format("{}*{}", magnitude, body);
  };
  for (const Term& term : terms_) {
    std::string body;
    for (const Atom& f : term.factors)
      body += (body.empty() ? "" : "*") + atom_to_string(f, symbol);
    append(term.coefficient, body);
  }
  if (constant_ != 0 || terms_.empty()) append(constant_, "");
  return text;
}

Expr Expr::substitute(const std::map<std::string, Expr>& bindings) const {
  Expr result(constant_);
  for (const Term& term : terms_) {
    Expr product(term.coefficient);
    for (const Atom& f : term.factors) {
      Expr factor;
      if (f.kind == AtomKind::symbol) {
        auto at = bindings.find(f.name);
        factor = at == bindings.end() ? make_atom(f) : at->second;
      } else {
        const Expr a = f.args[0].substitute(bindings), b = f.args[1].substitute(bindings);
        factor = f.kind == AtomKind::floor_div ? floor_div(a, b)
                 : f.kind == AtomKind::modulo  ? modulo(a, b)
                 : f.kind == AtomKind::minimum ? min(a, b)
                                               : max(a, b);
      }
      product = product * factor;
    }
    result = result + product;
  }
  return result;
}

void Expr::collect_symbols(std::map<std::string, Expr>& names) const {
  for (const Term& term : terms_)
    for (const Atom& f : term.factors) {
      if (f.kind == AtomKind::symbol) names.emplace(f.name, make_atom(f));
      for (const Expr& arg : f.args) arg.collect_symbols(names);
    }
}

Expr product(const std::vector<Expr>& dims) {
  Expr result(1);
  for (const Expr& d : dims) result = result * d;
  return result;
}

std::optional<std::vector<int64_t>> constants(const std::vector<Expr>& exprs) {
  std::vector<int64_t> values;
  for (const Expr& e : exprs) {
    if (!e.is_constant()) return std::nullopt;
    values.push_back(e.constant_part());
  }
  return values;
}

std::string to_string(const std::vector<Expr>& exprs) {
  std::string text = "[";
  for (size_t i = 0; i < exprs.size(); ++i) text += (i ? "," : "") + exprs[i].to_string();
  return text + "]";
}

}  // namespace tessera::sym
