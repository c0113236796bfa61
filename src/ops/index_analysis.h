// SPDX-License-Identifier: Apache-2.0
// What can be said of index arithmetic before it runs: affine forms, intervals, and which reads
// are certain to stay inside their tensors. Sizes must be known.
#pragma once

#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "ir/scalar.h"
#include "types/tensor.h"

namespace tessera::ops {

/// constant + Σ coefficient · atom, where an atom is a node of type i64 that is no such sum.
struct Affine {
  int64_t constant = 0;
  std::vector<std::pair<ir::ExprId, int64_t>> terms;  ///< sorted by id, no zero coefficient
  bool operator==(const Affine&) const = default;
};
Affine operator+(const Affine& a, const Affine& b);
Affine operator*(const Affine& a, int64_t factor);

/// Inclusive bounds. Beyond ±far a bound says nothing.
struct Interval {
  int64_t low, high;
  static constexpr int64_t far = INT64_MAX / 4;
  bool bounded() const { return low > -far && high < far; }
  bool within(int64_t first, int64_t last) const { return low >= first && high <= last; }
};

/// Lazily computed facts on the nodes of one output's body. A bound variable's interval is the
/// union over all reductions that bind its number, so a fact holds wherever the node occurs.
class IndexAnalysis {
 public:
  /// Throws UserError when a size is unbound.
  /// `roots` are bodies of outputs of one shape.
  IndexAnalysis(const ir::ExprPool& pool, std::vector<ir::ExprId> roots,
                std::span<const int64_t> output_shape);

  /// REQUIRES: the node has type i64. Divisions and remainders by constants vanish where the
  /// intervals allow it.
  const Affine& affine(ir::ExprId id);
  Interval interval(ir::ExprId id);
  Interval interval(const Affine& affine);
  /// The same number with c·⌊e / c⌋ + (e mod c) replaced by e.
  Affine joined(Affine affine);
  /// Row-major offset of a read's element, joined.
  Affine offset(const ir::ExprNode& read, const Shape& shape);
  /// Whether the node is reached from a root.
  bool is_used(ir::ExprId id) const { return id < used_.size() && used_[id]; }

  /// The reads under the roots that an index may lead outside of their tensor on some path, as far
  /// as intervals and the conditions of enclosing selects tell.
  std::set<ir::ExprId> unproven_reads(std::span<const Shape> inputs);

 private:
  using Facts = std::vector<Affine>;  // each is >= 0
  Affine make_affine(ir::ExprId id);
  Affine divided(ir::ExprId id, const ir::ExprNode& n);
  Interval make_interval(ir::ExprId id);
  void add_facts(ir::ExprId condition, bool holds, Facts& facts);
  bool not_negative(const Affine& value, const Facts& facts);
  bool is_combination(const Affine& value, const Facts& facts, size_t first, int depth);
  void visit(ir::ExprId id, const Facts& facts, int context, std::span<const Shape> inputs);

  const ir::ExprPool& pool_;
  std::vector<ir::ExprId> roots_;
  std::vector<int64_t> output_shape_;
  std::map<uint32_t, int64_t> bound_extent_;
  std::map<ir::ExprId, Affine> affine_;
  std::map<ir::ExprId, Interval> interval_;
  std::vector<bool> reads_;  // by node: holds a read
  std::vector<bool> used_;
  std::map<std::pair<ir::ExprId, ir::ExprId>, ir::ExprId> quotients_;  // by operands
  std::set<std::pair<ir::ExprId, int>> visited_;
  int contexts_ = 0;
  std::set<ir::ExprId> unproven_;
};

}  // namespace tessera::ops
