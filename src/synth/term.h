// SPDX-License-Identifier: Apache-2.0
// Graphs as hash-consed terms over variables of known types: equality is identity. What comes after
// the enumeration (comparing, renaming, generalizing, deriving) works on these.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "synth/instance.h"

namespace tessera::synth {

using TermId = uint32_t;

struct Term {
  const ops::OpDef* def = nullptr;  ///< null: a variable or a constant
  uint32_t attrs = 0;               ///< number of an attribute set of the pool
  int output = 0;
  std::vector<TermId> args;
  int variable = -1;
  ir::ValueType type;
  int operators = 0;  ///< distinct nodes; the outputs of one node count once
};

/// A variable stands for any tensor of its type, unless `elements` fix it.
struct Variable {
  std::string name;
  ir::ValueType type;
  int group = -1;  ///< variables of one group are interchangeable; −1: none are
  std::optional<std::vector<int64_t>> elements = {};
  TermId term = 0;
};

class TermPool {
 public:
  TermPool() = default;
  TermPool(const TermPool&) = delete;
  TermPool& operator=(const TermPool&) = delete;

  const Term& term(TermId id) const { return terms_[id]; }
  const ir::AttrMap& attrs(const Term& t) const { return attr_sets_[t.attrs]; }
  const std::vector<Variable>& variables() const { return variables_; }

  TermId add_variable(Variable v);
  /// The term, operands of commutative operators in the pool's order; nothing if the record does
  /// not take the operands.
  std::optional<TermId> apply(const ops::OpDef& def, const ir::AttrMap& attrs, int output,
                              std::vector<TermId> args);
  /// Replaces subterms; nothing if the result is not legal.
  std::optional<TermId> replace(TermId term, const std::map<TermId, TermId>& by);
  /// Subterms that are operators, operands first, each once.
  std::vector<TermId> subterms(TermId term) const;
  /// Variables in the order of their first occurrence.
  std::vector<int> variables_of(TermId term) const;
  std::string text(TermId term) const;

  /// The value under `seed`: all elements in all lanes. REQUIRES: the operators have field forms.
  const std::vector<uint64_t>& evaluate(TermId term, uint64_t seed);
  /// True if both have one type and the same elements under `seeds` further seeds.
  bool equal(TermId a, TermId b, int seeds);
  /// True if all elements are zero.
  bool is_zero(TermId term);
  /// Operators with repetition: shared ones count as often as they are used.
  int tree_size(TermId term) const;
  /// Evaluations are kept per seed until this is called.
  void forget_values() { values_.clear(); }

 private:
  using Key = std::tuple<std::string, uint32_t, int, std::vector<TermId>>;
  struct Evaluated {
    std::vector<uint64_t> elements;
    double bound = 0;
  };
  uint32_t intern_attrs(const ir::AttrMap& attrs);
  const Evaluated& evaluated(TermId term, uint64_t seed);
  const Instance& instance(const Term& t);

  std::vector<Term> terms_;
  std::vector<Variable> variables_;
  std::vector<ir::AttrMap> attr_sets_;
  std::map<std::string, uint32_t> attr_index_;
  std::map<Key, std::optional<TermId>> index_;
  std::map<std::string, std::unique_ptr<Instance>> instances_;
  std::map<std::pair<uint64_t, TermId>, Evaluated> values_;
  Scratch scratch_;
};

int64_t element_count(const ir::ValueType& type);

/// "[axis=1, sizes={2, 3}]" in the rule language, or nothing when there are no attributes.
std::string attributes_text(const ir::AttrMap& attrs);
/// One value as a term: 1, 0.5, {2, 3}, name.
std::string attribute_text(const ir::AttrValue& value);

}  // namespace tessera::synth
