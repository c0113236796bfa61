// SPDX-License-Identifier: Apache-2.0
// Degrees of expressions in one input.
#include "ops/traits.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;

/// How an expression depends on the elements of the input: `zero` is linear and constant at once.
enum class Degree : uint8_t { zero, constant, linear, other };

class Degrees {
 public:
  Degrees(const ir::ExprPool& pool, uint32_t input) : pool_(pool), input_(input) {}

  Degree of(ExprId id) {
    if (auto at = known_.find(id); at != known_.end()) return at->second;
    return known_[id] = compute(pool_.node(id));
  }

 private:
  static bool is_constant(Degree d) { return d == Degree::zero || d == Degree::constant; }
  static bool is_linear(Degree d) { return d == Degree::zero || d == Degree::linear; }

  // The degree of a sum, or of a choice, of two.
  static Degree join(Degree a, Degree b) {
    if (a == b || b == Degree::zero) return a;
    if (a == Degree::zero) return b;
    return Degree::other;
  }

  Degree compute(const ExprNode& n) {
    bool all_constant = true;
    for (ExprId a : n.args) all_constant &= is_constant(of(a));
    switch (n.kind) {
      case ExprKind::constant:
        return n.bits == 0 ? Degree::zero : Degree::constant;  // −0.0 is a constant as good
      case ExprKind::size:
      case ExprKind::variable: return Degree::constant;
      case ExprKind::read:
        if (!all_constant) return Degree::other;
        return n.input == input_ ? Degree::linear : Degree::constant;
      case ExprKind::cast: {
        // Between floats a cast is the identity over the reals; wrapping integers to fewer bits
        // commutes with their arithmetic.
        const DType from = pool_.node(n.args[0]).type;
        const bool exact =
            (is_float(from) && is_float(n.type)) ||
            (is_integer(from) && is_integer(n.type) && bit_width(n.type) <= bit_width(from));
        return exact ? of(n.args[0]) : all_constant ? Degree::constant : Degree::other;
      }
      case ExprKind::reduce:
        if (!is_constant(of(n.args[0]))) return Degree::other;
        if (n.reduction == ir::Reduction::sum) return of(n.args[1]);
        return all_constant ? Degree::constant : Degree::other;
      case ExprKind::primitive: return primitive(n, all_constant);
    }
    return Degree::other;
  }

  Degree primitive(const ExprNode& n, bool all_constant) {
    const Degree a = of(n.args[0]), b = n.args.size() > 1 ? of(n.args[1]) : Degree::zero;
    switch (n.prim) {
      case Prim::add:
      case Prim::sub: return join(a, b);
      case Prim::neg: return a;
      case Prim::mul:
        if (a == Degree::zero || b == Degree::zero) return Degree::zero;
        if (all_constant) return Degree::constant;
        if ((a == Degree::linear && is_constant(b)) || (is_constant(a) && b == Degree::linear))
          return Degree::linear;
        return Degree::other;
      case Prim::div:
        if (all_constant) return Degree::constant;
        return is_float(n.type) && is_linear(a) && is_constant(b) ? Degree::linear : Degree::other;
      case Prim::select: return is_constant(a) ? join(b, of(n.args[2])) : Degree::other;
      default: return all_constant ? Degree::constant : Degree::other;
    }
  }

  const ir::ExprPool& pool_;
  uint32_t input_;
  std::unordered_map<ExprId, Degree> known_;
};

bool reads_nothing(const ir::ExprPool& pool, ExprId id) {
  const ExprNode& n = pool.node(id);
  return n.kind != ExprKind::read && n.kind != ExprKind::reduce &&
         std::all_of(n.args.begin(), n.args.end(),
                     [&](ExprId a) { return reads_nothing(pool, a); });
}

bool moves(const ir::ExprPool& pool, ExprId id) {
  const ExprNode& n = pool.node(id);
  if (n.kind == ExprKind::constant) return true;
  if (n.kind == ExprKind::read)
    return std::all_of(n.args.begin(), n.args.end(),
                       [&](ExprId a) { return reads_nothing(pool, a); });
  return n.kind == ExprKind::primitive && n.prim == Prim::select &&
         reads_nothing(pool, n.args[0]) && moves(pool, n.args[1]) && moves(pool, n.args[2]);
}

}  // namespace

bool linear_in(const ir::Meaning& meaning, uint32_t k) {
  Degrees degrees(*meaning.pool, k);
  return std::all_of(meaning.outputs.begin(), meaning.outputs.end(),
                     [&](const ir::MeaningOutput& o) {
                       const Degree d = degrees.of(o.body.id);
                       return d == Degree::linear || d == Degree::zero;
                     });
}

bool moves_only(const ir::Meaning& meaning) {
  return std::all_of(meaning.outputs.begin(), meaning.outputs.end(),
                     [&](const ir::MeaningOutput& o) { return moves(*meaning.pool, o.body.id); });
}

}  // namespace tessera::ops
