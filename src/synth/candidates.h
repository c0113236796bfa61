// SPDX-License-Identifier: Apache-2.0
// From graphs with equal fingerprints to equations, and the pruning that needs no rules: renaming,
// symmetry, common subgraphs.
#pragma once

#include <span>

#include "synth/bank.h"
#include "synth/enumerate.h"
#include "synth/generalize.h"

namespace tessera::synth {

/// Turns records of one bank into terms of a pool.
class Terms {
 public:
  Terms(const Bank& bank, TermPool& pool);
  TermId of(const Record& record);

 private:
  TermId of_value(ValueId id);
  TermId of_application(uint16_t tmpl, ValueId a, ValueId b, int output);

  const Bank& bank_;
  TermPool& pool_;
  std::map<ValueId, TermId> known_;
};

/// The equation with the smallest numbers among all renamings of interchangeable variables, sides
/// in order: two equations are renamings of each other if and only if these agree.
Equation canonical(TermPool& pool, const Equation& equation);

/// Replaces subgraphs of the left side by variables, on the right side too where they occur,
/// wherever the sides stay equal: the more general equation.
Equation without_common_subgraphs(TermPool& pool, Equation equation);

/// True if the sides have one root and operands that are equal one by one: the equation follows
/// from smaller ones.
bool is_congruence(TermPool& pool, const Equation& equation);

}  // namespace tessera::synth
