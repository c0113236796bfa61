// SPDX-License-Identifier: Apache-2.0
// Substitution in meanings.
#include "plan/rewrite.h"

#include <unordered_set>

namespace tessera::plan {
namespace {

using ir::Expr;
using ir::ExprId;
using ir::ExprKind;
using Memo = std::unordered_map<ExprId, Expr>;

struct Copying {
  ir::ExprPool& to;
  Extents& extents;
  const ir::ExprPool& from;
  std::span<const Expr> output;
  const OnRead& on_read;
  std::unordered_map<uint32_t, Expr> bound = {};

  Expr visit(ExprId id, Memo& memo) {
    if (auto at = memo.find(id); at != memo.end()) return at->second;
    const ir::ExprNode& n = from.node(id);
    Expr result;
    if (n.kind == ExprKind::reduce) {
      result = reduce(n, memo);
    } else {
      std::vector<Expr> args;
      for (ExprId a : n.args) args.push_back(visit(a, memo));
      result = make(n, args);
    }
    memo.emplace(id, result);
    return result;
  }

  Expr make(const ir::ExprNode& n, std::span<const Expr> args) {
    switch (n.kind) {
      case ExprKind::constant:
        return is_float(n.type) ? to.real(ir::real_value(n), n.type) : to.integer(n.bits, n.type);
      case ExprKind::size: return to.size_of(from.sizes()[n.size]);
      case ExprKind::variable:
        if (n.var.kind == ir::Var::Kind::output) return output[n.var.number];
        return bound.at(n.var.number);
      case ExprKind::read: return on_read(n.input, n.type, args);
      case ExprKind::primitive: return to.primitive(n.prim, args);
      case ExprKind::cast: return to.cast(args[0], n.type);
      case ExprKind::reduce: break;
    }
    return {};
  }

  Expr reduce(const ir::ExprNode& n, Memo& memo) {
    const Expr extent = visit(n.args[0], memo);
    const Expr fresh = to.fresh_variable();
    if (extent.node().kind == ExprKind::constant)
      extents.free[fresh.node().var.number] = extent.node().bits;
    const auto saved = bound.find(n.var.number);
    const bool shadows = saved != bound.end();
    const Expr previous = shadows ? saved->second : Expr{};
    bound.insert_or_assign(n.var.number, fresh);
    Memo inner;
    const Expr body = visit(n.args[1], inner);
    if (shadows) bound.insert_or_assign(n.var.number, previous);
    else bound.erase(n.var.number);
    return to.reduce(n.reduction, fresh, extent, body);
  }
};

// True if `found` holds for a node under the root.
template <typename Predicate>
bool any_node(Expr root, size_t* count, Predicate found) {
  std::unordered_set<ExprId> seen;
  std::vector<ExprId> todo{root.id};
  while (!todo.empty()) {
    const ExprId id = todo.back();
    todo.pop_back();
    if (!seen.insert(id).second) continue;
    const ir::ExprNode& n = root.pool->node(id);
    if (found(n)) return true;
    todo.insert(todo.end(), n.args.begin(), n.args.end());
  }
  if (count) *count = seen.size();
  return false;
}

}  // namespace

Expr Copier::copy(Expr root, std::span<const Expr> output, const OnRead& on_read) {
  Copying copying{target_, extents_, *root.pool, output, on_read};
  Memo memo;
  return copying.visit(root.id, memo);
}

std::vector<Expr> Copier::outputs() {
  std::vector<Expr> variables;
  for (uint32_t axis = 0; axis < extents_.output.size(); ++axis)
    variables.push_back(extents_.output[axis] == 1
                            ? target_.integer(0)
                            : target_.variable({ir::Var::Kind::output, axis}));
  return variables;
}

size_t node_count(Expr root) {
  size_t count = 0;
  any_node(root, &count, [](const ir::ExprNode&) { return false; });
  return count;
}

bool has_reduction(Expr root) { return root.node().height > 0; }

bool has_read(Expr root) {
  return any_node(root, nullptr, [](const ir::ExprNode& n) { return n.kind == ExprKind::read; });
}

}  // namespace tessera::plan
