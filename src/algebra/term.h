// SPDX-License-Identifier: Apache-2.0
// The normal form of scalar expressions:
//
//   Σ coefficient · Σ over bound variables [conjunction of guards] · product of atoms
//
// Atoms are reads of tensors, integers as numbers, and functions whose arguments are normal forms
// again. Disjunctions do not occur: choices are written as sums of disjoint guards. A maximum is a
// set of (bound variables, guards, body), with set semantics.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "algebra/facts.h"

namespace tessera::algebra {

/// What numbers are while a proof is made.
enum class Domain : uint8_t {
  reals,     ///< floats as real numbers
  bits,      ///< floats bit by bit, NaN and −0 included: arithmetic is opaque but for exact laws
  integers,  ///< integers modulo 2^n
  booleans,
};
std::string_view to_string(Domain domain);

/// Thrown where the method ends: a form too large, an expression it does not know.
struct Undecided {
  std::string reason;
};

struct Atom;

struct Factor {
  std::shared_ptr<const Atom> atom;
  int power = 1;
};

struct Term {
  double coefficient = 1;
  std::vector<std::string> bound;
  std::vector<Guard> guards;
  std::vector<Factor> factors;
};

struct Sum {
  std::vector<Term> terms;
  bool is_zero() const { return terms.empty(); }
};

/// An argument of an atom; only arguments of reductions bind variables.
struct Entry {
  std::vector<std::string> bound;
  std::vector<Guard> guards;
  Sum body;
};

struct Atom {
  std::string head;            ///< "x0" reads input 0; "int" is an integer; else a function
  std::vector<Index> indices;  ///< of reads and of int
  std::vector<Entry> entries;
  bool boolean = false;        ///< 0 or 1
  std::set<std::string> free;  ///< variables that occur free
  std::string key;             ///< canonical text, free variables by name
};

/// Canonical text in which bound variables are numbered. With `holes`, every part of an index that
/// does not depend on variables bound inside of an atom is replaced by '#' and listed.
struct Printed {
  std::string text;
  std::vector<Index> holes;
};
Printed print(const Atom& atom, bool holes);
std::string print(const Sum& sum);
/// For people: guards and factors of one term, bound variables named.
std::string print(const Term& term);

/// Completes an atom: free variables and key.
std::shared_ptr<const Atom> make_atom(Atom atom);

Sum substitute(const Sum& sum, const Substitution& by);
Term substitute(const Term& term, const Substitution& by);
std::shared_ptr<const Atom> substitute(const std::shared_ptr<const Atom>& a,
                                       const Substitution& by);
std::vector<Guard> substitute(const std::vector<Guard>& guards, const Substitution& by);

}  // namespace tessera::algebra
