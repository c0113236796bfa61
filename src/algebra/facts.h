// SPDX-License-Identifier: Apache-2.0
// What is known of integers while a proof is made: constraints on sizes and index variables, and
// the quick, sound and incomplete test whether they imply another one.
//
// Index variables are symbols whose names start with '%' ("%3"), so that they never meet the name
// of a size; every size is at least 1 (tensors with an empty axis are outside of what is proved).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sym/expr.h"

namespace tessera::algebra {

using Index = sym::Expr;
using Substitution = std::map<std::string, Index>;

/// `value` >= 0, or == 0.
struct Guard {
  Index value;
  bool equal = false;
  bool operator==(const Guard&) const = default;
};

inline bool is_variable(const std::string& symbol) { return symbol.starts_with('%'); }
/// Index variables that occur, inside of divisions too.
std::set<std::string> variables_of(const Index& e);
bool mentions(const Index& e, const std::string& variable);
/// e = coefficient · variable + rest. False if the variable occurs in any other way.
bool split_linear(const Index& e, const std::string& variable, Index& coefficient, Index& rest);
/// At least 0 for all sizes, by the signs of a polynomial's coefficients.
bool is_never_negative(const Index& e);
/// The expression that a term of a polynomial is.
Index term_value(const sym::Term& term);

class Facts {
 public:
  void assume(Guard guard);
  const std::vector<Guard>& guards() const { return guards_; }

  /// True only if `e` >= 0 wherever the facts hold.
  bool nonnegative(const Index& e) const;
  bool implies(const Guard& g) const;
  bool refutes(const Guard& g) const;
  /// Divisions whose value the facts tell vanish.
  Index simplified(const Index& e) const;

 private:
  bool search(const Index& e, int depth, int& budget) const;
  bool by_division(const Index& e, int depth, int& budget) const;
  bool by_sizes(const Index& e, int depth) const;
  Index divided(const Index& a, const Index& b, int depth) const;
  Index simplified(const Index& e, int depth) const;

  std::vector<Guard> guards_;
};

/// True only if, wherever the facts hold, some values of `variables` satisfy all `guards`: bounds
/// that the guards state and small numbers are tried, each for all places at once.
bool has_witness(const std::vector<std::string>& variables, const std::vector<Guard>& guards,
                 const Facts& facts);

}  // namespace tessera::algebra
