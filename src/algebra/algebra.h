// SPDX-License-Identifier: Apache-2.0
// Arithmetic on normal forms in one domain. Every result is a normal form; facts tell which guards
// hold, so that cases that cannot occur vanish.
#pragma once

#include <functional>
#include <optional>
#include <span>

#include "algebra/term.h"

namespace tessera::algebra {

/// Known to be above 0 / to be other than 0 over the reals, wherever it is defined.
bool is_positive(const Atom& atom);
bool is_positive(const Sum& sum);
/// The term that comes first in canonical order: its sign is the sum's. REQUIRES: not 0.
const Term& leading(const Sum& sum);

class Algebra {
 public:
  explicit Algebra(Domain domain) : domain_(domain) {}

  Domain domain() const { return domain_; }
  std::string fresh_variable() { return "%" + std::to_string(next_++); }

  Sum constant(double value) const;
  /// An integer expression as a number.
  Sum number(const Index& value) const;
  Sum read(uint32_t input, std::vector<Index> indices, bool boolean) const;
  Sum add(const Sum& a, const Sum& b) const;
  Sum scale(const Sum& a, double factor) const;
  Sum multiply(const Sum& a, const Sum& b);
  Sum power(const Sum& a, int exponent);
  Sum guarded(const Sum& a, const std::vector<Guard>& guards) const;
  /// Σ over `variable` in [0, extent).
  Sum sum_over(const Sum& body, const std::string& variable, const Index& extent) const;
  /// max, prod or an opaque sum over `variable` in [0, extent).
  Sum reduce_over(const std::string& head, const Sum& body, const std::string& variable,
                  const Index& extent, const Facts& facts);
  Sum inverse(const Sum& a, const Facts& facts);
  /// A function of scalars by its name; arguments are split into cases first.
  Sum function(const std::string& head, std::span<const Sum> args, const Facts& facts);
  /// The sum over both truths of `split` of what `part` makes of the facts then, each under its
  /// guard.
  Sum by_cases(const Guard& split, const Facts& facts,
               const std::function<Sum(const Facts&)>& part);
  Sum maximum(const Sum& a, const Sum& b, const Facts& facts);

  /// Over the reals: hyperbolic tangents written as exponentials.
  Sum without_tanh(const Sum& s, const Facts& facts);
  /// Bit by bit: an atom of this key replaced, outside of reductions.
  Sum replaced(const Sum& s, const std::string& key, const Sum& by, const Facts& facts);
  /// The same with everything applied that the facts tell.
  Sum simplified(const Sum& s, const Facts& facts);

  /// Brings bound variables and guards into place: variables that an equation fixes are replaced
  /// (`apply` is told), guards that hold are dropped. False if the guards contradict each other.
  bool place(
      std::vector<std::string>& bound, std::vector<Guard>& guards, const Facts& facts,
      const std::function<void(const Substitution&)>& apply = [](const Substitution&) {}) const;

  /// Over the reals: at least 0 wherever it is defined, as far as its form tells.
  bool is_nonnegative(const Sum& s, const Facts& facts);

  /// Over the reals: a number wherever its steps are defined, not −∞ as an empty maximum is.
  bool is_finite(const Sum& s, const Facts& facts) const;

  /// Over the reals: states that a normal form without bound variables is at least 0. Maxima of
  /// entries that differ by it are decided; forget_sign() takes the last one back.
  void assume_nonnegative(const Sum& s) { signs_.push_back(sign_text(s)); }
  void forget_sign() { signs_.pop_back(); }

  /// Numbers that stand for any number, and their names.
  std::map<double, std::string> parameters;
  Sum parameter(const std::string& name) const;

  /// All divisors met so far that may be 0, by skeleton.
  const std::map<std::string, std::shared_ptr<const Atom>>& divisors() const { return divisors_; }
  void forget_divisors() { divisors_.clear(); }
  /// What functions that are not defined everywhere have demanded of their arguments so far.
  std::set<std::string> take_demands(const Facts& facts);
  /// A demand met since that is none of `left`; empty if there is none.
  std::string new_demand(const std::set<std::string>& left, const Facts& facts);

  /// The left side is lowered first: what it divides by is other than 0, what it demands holds. The
  /// right side's divisors and demands have to be shown.
  void end_of_assumptions() { assumes_ = false; }
  bool assumes() const { return assumes_; }
  /// Divisors and demands, to forget those of one branch only where data choose.
  struct Obligations;
  Obligations obligations() const;
  void restore(Obligations obligations);
  void keep_shared(const Obligations& others);

 private:
  Sum of_atom(Atom atom, int power = 1) const;
  bool has_square(const Factor& f) const;
  Sum squared(const Factor& f);
  Sum simplified_term(Term term, const Facts& facts);
  Sum rebuilt(const Factor& factor, const Facts& facts);
  Sum rebuilt_set(const std::string& head, std::vector<Entry> entries, const Facts& facts);
  Sum by_truth(const std::string& head, std::span<const Sum> args,
               const std::shared_ptr<const Atom>& condition, const Facts& facts);
  Sum leaf(const std::string& head, const std::vector<Sum>& args, const Facts& facts);
  Sum plain_leaf(const std::string& head, const std::vector<Sum>& args, const Facts& facts);
  Sum leaf_reals(const std::string& head, const std::vector<Sum>& args, const Facts& facts);
  Sum leaf_bits(const std::string& head, const std::vector<Sum>& args, const Facts& facts);
  Sum leaf_integers(const std::string& head, const std::vector<Sum>& args) const;
  std::optional<Sum> converted(const std::string& head, const Sum& x, const Facts& facts);
  Sum opaque(const std::string& head, const std::vector<Sum>& args, bool boolean = false) const;
  Sum exponential(const Sum& a, const Facts& facts);
  Sum logarithm(const Sum& a);
  Sum raised(const Sum& base, const Sum& exponent, const Facts& facts);
  Sum sign_bearer(const Sum& a);
  void demand(const std::string& head, const std::vector<Sum>& args, const Facts& facts);
  Sum invert_simple(const Sum& a);
  /// Splits off what all terms share: returns the rest, sets coefficient and common factors.
  Sum content(const Sum& a, double& coefficient, std::vector<Factor>& common) const;
  void rename_apart(Term& term, const Term& other);
  static Sum merged(Sum s);

  static std::string sign_text(const Sum& s);

  // Maxima (maxima.cpp).
  bool opened(const std::string& head, const Entry& e, std::vector<Entry>& entries);
  Sum lattice(std::vector<Entry> entries, const Facts& facts);
  Sum shifted_out(std::vector<Entry>& entries) const;
  Sum scaled_out(std::vector<Entry>& entries, const Facts& facts) const;
  void drop_dominated(std::vector<Entry>& entries, const Facts& facts);
  struct Inverted {
    std::string head;
    int power = 1;  ///< of a head "power"
    Sum inside;
  };
  std::optional<Inverted> inverted(const Term& t);
  std::optional<Sum> monotone_out(const std::vector<Entry>& entries, const Facts& facts);
  std::optional<Sum> minimum_out(const std::vector<Entry>& entries, const Facts& facts);

  // Signs (signs.cpp).
  bool reaches(const Atom& maximum, const Sum& least, const Facts& facts);
  bool has_plain_sign(const Term& t, const Facts& facts);
  bool has_plain_sign(const Sum& s, const Facts& facts);

  struct Demand {
    std::string head;
    std::vector<Sum> args;
  };

  Domain domain_;
  bool assumes_ = true;
  std::map<std::string, Demand> demands_;
  bool demanding_ = true;        // until new_demand() has found nothing
  std::set<std::string> asked_;  // for demands that were made already
  std::vector<std::string> signs_;
  int next_ = 0;
  std::map<std::string, std::shared_ptr<const Atom>> divisors_;
  void divide_by(const std::shared_ptr<const Atom>& atom) {
    if (!is_positive(*atom)) divisors_.emplace(print(*atom, true).text, atom);
  }
};

struct Algebra::Obligations {
  std::map<std::string, std::shared_ptr<const Atom>> divisors;
  std::map<std::string, Demand> demands;
};
inline Algebra::Obligations Algebra::obligations() const { return {divisors_, demands_}; }
inline void Algebra::restore(Obligations obligations) {
  divisors_ = std::move(obligations.divisors);
  demands_ = std::move(obligations.demands);
  asked_.clear();
}
inline void Algebra::keep_shared(const Obligations& others) {
  std::erase_if(divisors_, [&](const auto& d) { return !others.divisors.contains(d.first); });
  std::erase_if(demands_, [&](const auto& d) { return !others.demands.contains(d.first); });
}

/// The first guard of these normal forms that no bound variable of its own term or of `bound`
/// occurs in.
const Guard* outer_guard(const Sum& s, const std::vector<std::string>& bound);
/// Whether one of the variables occurs.
bool mentions_any(const Index& e, const std::vector<std::string>& variables);
/// The disjoint cases in which a guard fails.
std::vector<Guard> negated(const Guard& g);

}  // namespace tessera::algebra
