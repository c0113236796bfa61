// SPDX-License-Identifier: Apache-2.0
// Symbolic integers: polynomials over named sizes, floor division, modulo, minimum and maximum, in
// a canonical form, so that equality of the forms is a (sound, incomplete) test of equality.
// Dimensions of tensors are sym::Expr; a known dimension is a constant.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tessera::sym {

struct Term;
struct Atom;
enum class AtomKind : uint8_t { symbol, floor_div, modulo, minimum, maximum };

/// Atoms of one expression, those inside of atoms too. Real sizes have less than ten; products of
/// sums and nested minima of hostile models would grow exponentially.
inline constexpr int64_t max_weight = 4096;

/// Integer-valued expression: constant + Σ coefficient · product of atoms. A value type.
/// Arithmetic throws UserError(invalid_input) when a coefficient overflows 64 bits, and
/// UserError(unsupported) when the result has more than max_weight atoms.
class Expr {
 public:
  Expr(int64_t constant = 0);  // implicit: dimensions are often numbers
  // Out of line, where Term is complete.
  ~Expr();
  Expr(const Expr& other);
  Expr(Expr&& other) noexcept;
  Expr& operator=(const Expr& other);
  Expr& operator=(Expr&& other) noexcept;
  static Expr symbol(std::string name);

  bool is_constant() const;
  /// The value, if the expression holds no symbol.
  std::optional<int64_t> constant() const;
  /// The name, if the expression is exactly one symbol.
  std::optional<std::string> as_symbol() const;

  int64_t constant_part() const { return constant_; }
  const std::vector<Term>& terms() const { return terms_; }

  Expr operator+(const Expr& other) const;
  Expr operator-(const Expr& other) const;
  Expr operator*(const Expr& other) const;
  Expr operator-() const;

  bool operator==(const Expr& other) const;
  std::strong_ordering operator<=>(const Expr& other) const;

  /// "2*N + M*(K div 3) - 1"; parsed back by ir::parse_size.
  std::string to_string() const;
  /// The same with each symbol's name as `symbol` spells it.
  std::string to_string(const std::function<std::string(const std::string&)>& symbol) const;
  /// Replaces symbols; symbols that are not in the map stay.
  Expr substitute(const std::map<std::string, Expr>& bindings) const;
  /// Adds the names of all symbols to `names`.
  void collect_symbols(std::map<std::string, Expr>& names) const;

 private:
  friend Expr make_atom(Atom atom);
  friend Expr operation(AtomKind kind, const Expr& a, const Expr& b);
  void add_term(const Term& term);

  int64_t constant_ = 0;
  int64_t weight_ = 0;       ///< of all terms
  std::vector<Term> terms_;  ///< sorted by factors, no zero coefficients, no equal factor lists
};

/// An indivisible factor: a symbol, or an operation that is no polynomial.
struct Atom {
  AtomKind kind = AtomKind::symbol;
  std::string name;        ///< of a symbol
  std::vector<Expr> args;  ///< two, of an operation
  int64_t weight = 1;      ///< itself and the atoms inside
  bool operator==(const Atom& other) const;
  std::strong_ordering operator<=>(const Atom& other) const;
};

struct Term {
  int64_t coefficient = 1;
  std::vector<Atom> factors;  ///< sorted
  bool operator==(const Term& other) const;
};

inline bool Expr::is_constant() const { return terms_.empty(); }
inline std::optional<int64_t> Expr::constant() const {
  return is_constant() ? std::optional(constant_) : std::nullopt;
}

/// ⌊a / b⌋ toward negative infinity. Throws UserError when b is the constant 0.
Expr floor_div(const Expr& a, const Expr& b);
/// a − b·⌊a / b⌋.
Expr modulo(const Expr& a, const Expr& b);
/// ⌈a / b⌉.
Expr ceil_div(const Expr& a, const Expr& b);
Expr min(const Expr& a, const Expr& b);
Expr max(const Expr& a, const Expr& b);

/// Floor division and modulo of plain integers. REQUIRES: b != 0.
int64_t floor_div(int64_t a, int64_t b);
int64_t modulo(int64_t a, int64_t b);

inline Expr operator+(int64_t a, const Expr& b) { return Expr(a) + b; }
inline Expr operator-(int64_t a, const Expr& b) { return Expr(a) - b; }
inline Expr operator*(int64_t a, const Expr& b) { return Expr(a) * b; }

/// Product of all dimensions.
Expr product(const std::vector<Expr>& dims);
/// The constant values, if every expression is constant.
std::optional<std::vector<int64_t>> constants(const std::vector<Expr>& exprs);
std::string to_string(const std::vector<Expr>& exprs);  ///< "[N,3]"

}  // namespace tessera::sym
