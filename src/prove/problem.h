// SPDX-License-Identifier: Apache-2.0
// One pair of graphs with symbolic sizes, and what may be assumed of it.
#pragma once

#include "prove/lower.h"
#include "prove/prove.h"

namespace tessera::prove {

struct Problem {
  ir::Graph left, right;
  std::vector<Guard> hypotheses;  ///< on sizes
  std::vector<Index> sizes;       ///< that equations made from others: at least `least`
  int least = 1;                  ///< of every extent
  /// Real numbers that stand for any number.
  std::set<double> parameters;
  /// Numbers of which constants hold the rounding.
  std::map<double, double> literals;
  /// a <= b, of parameters and plain numbers.
  std::vector<std::pair<double, double>> at_most;
  /// False if a condition of the rule could not be decided, so that the pair need not be equal.
  bool all_conditions = true;
  /// An equation was divided by sizes, so that these are at least 1.
  bool divided = false;
  std::optional<Mutation> mutation;  ///< of the right side
  Domain domain = Domain::reals;
  std::string description;  ///< for people: shapes and attributes
};

struct Outcome {
  enum class Kind : uint8_t { proved, unknown, refuted };
  Kind kind = Kind::unknown;
  std::string reason, how;
};

/// The graph with sizes replaced in the types of inputs and in attributes, and real numbers in
/// constants of one element and in attributes; types are inferred anew.
/// Throws UserError when a record refuses the sizes.
ir::Graph resized(const ir::Graph& graph, const Substitution& sizes,
                  const std::map<double, double>& numbers = {});

/// Replaces sizes that an equation among the hypotheses or the left side's requirements fixes.
/// False if the equations contradict each other.
bool unify(Problem& problem);

/// For people: the types of the inputs, attributes with sizes.
std::string describe(const ir::Graph& left);

/// What the numbers of a graph are in a proof of this mode.
Domain domain_of(const ir::Graph& graph, rules::Mode mode);

Outcome decide(Problem problem, const ProveOptions& options);

/// The same with tensors that may be empty; nothing if their extents are no plain sizes.
std::optional<Problem> with_empty_tensors(const Problem& problem);

/// What the left side requires of sizes becomes hypotheses.
void assume_requirements(Problem& problem);

/// Evaluates both sides at random small sizes that the hypotheses allow. Describes the first
/// difference; empty if there is none. `tried` counts the instances that could be evaluated.
std::string replay(const Problem& problem, int attempts, uint64_t seed, int& tried);

enum class Solution : uint8_t { one, none, never };
/// Solves the first of the equations e = 0 that can be solved; `never` where one contradicts
/// itself.
/// Sets `divided` where it divides an equation by sizes.
Solution solve_one(const std::vector<Index>& equations, std::string& name, Index& value,
                   bool& divided);

/// The name of a size, if `e` is ±(that size) + something without it; solves e = 0 for it.
bool solve(const Index& e, std::string& name, Index& value);

}  // namespace tessera::prove
