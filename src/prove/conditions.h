// SPDX-License-Identifier: Apache-2.0
// The conditions of a rule at symbolic sizes: equations to solve, hypotheses to assume.
#pragma once

#include "prove/known.h"
#include "prove/problem.h"
#include "rules/bindings.h"

namespace tessera::prove {

/// What a rule asks of its variables.
struct Questions {
  explicit Questions(const rules::Rule& rule);
  std::set<int> tensors;      ///< slots that stand for tensors that are no results of the left side
  std::set<int> values;       ///< constants whose one value is used
  std::set<int> asked;        ///< slots that conditions mention
  std::set<int> near;         ///< numbers that a condition fixes up to rounding
  std::set<int> positive;     ///< tensors that a condition says are above 0
  std::set<double> numbers;   ///< literals of the patterns
  std::set<int> blocks;       ///< tensors whose blocks on the diagonal are counted
  bool permutations = false;  ///< an attribute `perm` is left open
};

class Conditions {
 public:
  Conditions(const rules::Rule& rule, const rules::WorkGraph& graph,
             const rules::Bindings& bindings)
      : rule_(rule), graph_(graph), bindings_(bindings) {}

  /// Adds what must be 0 to `equations` and what may be assumed to `problem`. False if a condition
  /// does not hold. A condition that cannot be evaluated at symbolic sizes is not assumed.
  bool collect(std::vector<Index>& equations, Problem& problem) const;

  std::map<int, UnitKernel> kernels;  ///< by slot

 private:
  bool unit_kernel(const rules::Term& condition, const rules::TermContext& context,
                   std::vector<Index>& equations) const;
  bool one(const rules::Term& condition, int repetition, std::vector<Index>& equations,
           Problem& problem) const;
  bool equal(const rules::TermValue& a, const rules::TermValue& b,
             std::vector<Index>& equations) const;

  const rules::Rule& rule_;
  const rules::WorkGraph& graph_;
  const rules::Bindings& bindings_;
};

/// `equations` and those that the graph requires.
std::vector<Index> required_equations(const ir::Graph& graph, std::vector<Index> equations);

}  // namespace tessera::prove
