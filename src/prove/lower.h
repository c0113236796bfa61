// SPDX-License-Identifier: Apache-2.0
// From graphs to normal forms: the meanings of all nodes of a value put into each other, and the
// resulting expression lowered into the algebra of one domain.
#pragma once

#include <optional>
#include <vector>

#include "algebra/algebra.h"
#include "algebra/radix.h"
#include "ir/graph.h"
#include "ir/meaning.h"

namespace tessera::prove {

using namespace algebra;  // proofs are written in its terms

/// The graph with every decomposition spelled out, so that each node has a meaning.
ir::Graph expanded(const ir::Graph& graph);

/// A wrong meaning, to test the prover with: the outputs of one node times 3 (negated if boolean),
/// or one index of the reads of one input shifted by 1.
struct Mutation {
  ir::NodeId node = 0;
  int input = -1;  ///< −1: the outputs
  int axis = 0;
};

/// One value of an expanded graph as a scalar expression over its output indices; reads are of the
/// graph's inputs by number. Constants of one value are literals; others are reads of numbers from
/// `first_constant` on, equal for equal tensors. Throws Undecided for a node without a meaning.
class Composer {
 public:
  static constexpr uint32_t first_constant = 1000, first_bits = 1'500'000'000,
                            first_parameter = 2'000'000'000;
  explicit Composer(const ir::Graph& graph, std::optional<Mutation> mutation = {});
  /// What constants of one value stand for, by their rounding.
  std::map<double, double> literals;
  /// Constants that stand for any number: number k of them is a read of first_parameter + k, so
  /// that nothing is computed with its value.
  std::set<double> parameters;
  /// REQUIRES: the value is not that of a node without meaning.
  ir::Expr compose(ir::Value value, ir::ExprPool& pool);
  /// Conditions without which a node of the graph is illegal.
  const std::vector<ir::Requirement>& requirements() const { return requirements_; }
  const ir::Meaning* meaning(ir::NodeId id) const {
    return meanings_[id] ? &*meanings_[id] : nullptr;
  }

 private:
  ir::Expr element(ir::Value value, ir::ExprPool& pool, std::span<const ir::Expr> indices,
                   DType type);

  const ir::Graph& graph_;
  std::vector<std::optional<ir::Meaning>> meanings_;
  std::vector<uint32_t> numbers_;  // of inputs and constants
  std::optional<Mutation> mutation_;
  std::vector<ir::Requirement> requirements_;
};

/// Lowers expressions. Output variable k is "%k" or as `outputs` says; `facts` must hold the ranges
/// of `variables` variables from "%0" on.
class Lowering {
 public:
  Lowering(Algebra& algebra, Facts facts, int variables, OutputIndices outputs = {})
      : algebra_(algebra), facts_(facts), outputs_(std::move(outputs)) {
    for (int k = 0; k < variables; ++k) algebra_.fresh_variable();
  }
  Sum value(ir::Expr e);
  /// Told of every read, with what is known where it happens.
  std::function<void(uint32_t, const std::vector<Index>&, const Facts&)> on_read;

 private:
  struct Cases {  ///< disjoint conjunctions
    std::vector<std::vector<Guard>> holds, fails;
  };
  bool is_index(ir::Expr e) const;
  Index index(ir::Expr e);
  std::optional<Cases> cases(ir::Expr condition);
  Sum condition(ir::Expr e);
  Sum primitive(ir::Expr e);
  Sum select(ir::Expr e);
  Sum reduce(ir::Expr e);
  Sum convert(ir::Expr e);
  Sum under(const std::vector<Guard>& guards, ir::Expr e);
  Sum call(const std::string& head, std::initializer_list<Sum> args) {
    return algebra_.function(head, std::span(args.begin(), args.size()), facts_);
  }
  Sum comparison(ir::Prim prim, ir::Expr a, ir::Expr b);

  Algebra& algebra_;
  Facts facts_;
  OutputIndices outputs_;
  std::map<uint32_t, Index> bound_;
};

}  // namespace tessera::prove
