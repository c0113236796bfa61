// SPDX-License-Identifier: Apache-2.0
// The hash-consed pool of scalar expressions: interning, folding, rewriting.
#include "ir/scalar.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/check.h"
#include "base/hash.h"
#include "ir/scalar_eval.h"

namespace tessera::ir {
namespace {

struct PrimInfo {
  std::string_view name;
  int arity;
};

constexpr PrimInfo prim_table[] = {
#define X(name, arity) {#name, arity},
    TESSERA_SCALAR_PRIMITIVES(X)
#undef X
};

size_t hash_of(const ExprNode& n) {
  size_t h = static_cast<size_t>(n.kind) * 31 + static_cast<size_t>(n.type);
  h = hash_combine(h, static_cast<size_t>(n.prim));
  h = hash_combine(h, static_cast<size_t>(n.reduction));
  h = hash_combine(h, static_cast<size_t>(n.var.kind) * 65537 + n.var.number);
  h = hash_combine(h, n.input);
  h = hash_combine(h, static_cast<size_t>(n.bits));
  h = hash_combine(h, n.size);
  for (ExprId a : n.args) h = hash_combine(h, a);
  return h;
}

bool same(const ExprNode& a, const ExprNode& b) {
  return a.kind == b.kind && a.type == b.type && a.prim == b.prim && a.reduction == b.reduction &&
         a.var == b.var && a.input == b.input && a.bits == b.bits && a.size == b.size &&
         a.args == b.args;
}

Scalar scalar_of(const ExprNode& constant) {
  return is_float(constant.type) ? Scalar::of(real_value(constant))
                                 : Scalar::of_integer(constant.bits);
}

bool is_integer_constant(Expr e, int64_t value) {
  const ExprNode& n = e.node();
  return n.kind == ExprKind::constant && !is_float(n.type) && n.bits == value;
}

Expr make_constant(ExprPool& pool, Scalar value, DType type) {
  return is_float(type) ? pool.real(value.real, type) : pool.integer(value.integer, type);
}

// Exact identities on integers and booleans; floats keep every operation (−0, NaN).
std::optional<Expr> simplify(Prim prim, std::span<const Expr> a) {
  if (prim == Prim::select) {
    if (a[0].node().kind == ExprKind::constant) return a[0].node().bits ? a[1] : a[2];
    if (a[1] == a[2]) return a[1];
    return std::nullopt;
  }
  if (is_float(a[0].type())) return std::nullopt;
  switch (prim) {
    case Prim::add:
      if (is_integer_constant(a[0], 0)) return a[1];
      if (is_integer_constant(a[1], 0)) return a[0];
      break;
    case Prim::sub:
      if (is_integer_constant(a[1], 0)) return a[0];
      break;
    case Prim::mul:
      if (is_integer_constant(a[0], 1)) return a[1];
      if (is_integer_constant(a[1], 1)) return a[0];
      if (is_integer_constant(a[0], 0)) return a[0];
      if (is_integer_constant(a[1], 0)) return a[1];
      break;
    case Prim::div:
    case Prim::floor_div:
      if (is_integer_constant(a[1], 1)) return a[0];
      break;
    case Prim::logical_and:
      if (is_integer_constant(a[0], 1)) return a[1];
      if (is_integer_constant(a[1], 1)) return a[0];
      if (is_integer_constant(a[0], 0)) return a[0];
      if (is_integer_constant(a[1], 0)) return a[1];
      break;
    case Prim::logical_or:
      if (is_integer_constant(a[0], 0)) return a[1];
      if (is_integer_constant(a[1], 0)) return a[0];
      break;
    default: break;
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Prim prim) { return prim_table[static_cast<size_t>(prim)].name; }

std::optional<Prim> prim_from_string(std::string_view name) {
  for (size_t i = 0; i < std::size(prim_table); ++i)
    if (prim_table[i].name == name) return static_cast<Prim>(i);
  return std::nullopt;
}

int arity(Prim prim) { return prim_table[static_cast<size_t>(prim)].arity; }

bool gives_boolean(Prim prim) {
  switch (prim) {
    case Prim::is_nan:
    case Prim::logical_not:
    case Prim::eq:
    case Prim::ne:
    case Prim::lt:
    case Prim::le:
    case Prim::logical_and:
    case Prim::logical_or: return true;
    default: return false;
  }
}

std::string_view to_string(Reduction reduction) {
  static constexpr std::array<std::string_view, 4> names = {"sum", "prod", "max", "min"};
  return names[static_cast<size_t>(reduction)];
}

double real_value(const ExprNode& constant) { return std::bit_cast<double>(constant.bits); }

ExprPool::ExprPool() = default;
ExprPool::~ExprPool() = default;

Expr ExprPool::intern(ExprNode node) {
  const size_t h = hash_of(node);
  for (auto [at, end] = index_.equal_range(h); at != end; ++at)
    if (same(nodes_[at->second], node)) return {this, at->second};
  for (ExprId arg : node.args) node.height = std::max(node.height, nodes_[arg].height);
  if (node.kind == ExprKind::reduce) node.height = node.var.number;
  nodes_.push_back(std::move(node));
  const auto id = static_cast<ExprId>(nodes_.size() - 1);
  index_.emplace(h, id);
  return {this, id};
}

Expr ExprPool::integer(int64_t value, DType type) {
  TESSERA_CHECK(!is_float(type), "integer constant of type {}", to_string(type));
  ExprNode n;
  n.type = type;
  n.bits = wrap_integer(value, type);
  return intern(std::move(n));
}

Expr ExprPool::real(double value, DType type) {
  TESSERA_CHECK(is_float(type), "float constant of type {}", to_string(type));
  ExprNode n;
  n.type = type;
  n.bits = std::bit_cast<int64_t>(value);
  return intern(std::move(n));
}

Expr ExprPool::literal(double value, DType type) {
  return is_float(type) ? real(value, type) : integer(static_cast<int64_t>(value), type);
}

Expr ExprPool::size_of(const sym::Expr& size) {
  if (auto value = size.constant()) return integer(*value);
  ExprNode n;
  n.kind = ExprKind::size;
  const auto at = std::find(sizes_.begin(), sizes_.end(), size);
  n.size = static_cast<uint32_t>(at - sizes_.begin());
  if (at == sizes_.end()) sizes_.push_back(size);
  return intern(std::move(n));
}

Expr ExprPool::variable(Var var) {
  ExprNode n;
  n.kind = ExprKind::variable;
  n.var = var;
  return intern(std::move(n));
}

Expr ExprPool::fresh_variable() { return variable({Var::Kind::free, next_free_++}); }

Expr ExprPool::read(uint32_t input, DType type, std::span<const Expr> indices) {
  ExprNode n;
  n.kind = ExprKind::read;
  n.type = type;
  n.input = input;
  for (Expr i : indices) {
    TESSERA_CHECK(i.type() == DType::i64, "index of type {}", to_string(i.type()));
    n.args.push_back(i.id);
  }
  return intern(std::move(n));
}

Expr ExprPool::primitive(Prim prim, std::span<const Expr> args) {
  TESSERA_CHECK(static_cast<int>(args.size()) == arity(prim), "{} of {} operands", to_string(prim),
                args.size());
  const Expr first = prim == Prim::select ? args[1] : args[0];
  const Expr last = args.back();
  TESSERA_CHECK(first.type() == last.type(), "{} of {} and {}", to_string(prim),
                to_string(first.type()), to_string(last.type()));
  if (auto simpler = simplify(prim, args)) return *simpler;
  const DType type = gives_boolean(prim) ? DType::boolean : first.type();
  const bool all_constant = std::all_of(args.begin(), args.end(),
                                        [](Expr e) { return e.node().kind == ExprKind::constant; });
  if (all_constant && prim != Prim::select) {
    const Scalar b = args.size() > 1 ? scalar_of(args[1].node()) : Scalar{};
    return make_constant(*this, apply(prim, first.type(), scalar_of(args[0].node()), b), type);
  }
  ExprNode n;
  n.kind = ExprKind::primitive;
  n.type = type;
  n.prim = prim;
  for (Expr e : args) n.args.push_back(e.id);
  return intern(std::move(n));
}

Expr ExprPool::cast(Expr value, DType type) {
  if (value.type() == type) return value;
  if (value.node().kind == ExprKind::constant)
    return make_constant(*this, convert(scalar_of(value.node()), value.type(), type), type);
  ExprNode n;
  n.kind = ExprKind::cast;
  n.type = type;
  n.args = {value.id};
  return intern(std::move(n));
}

Expr ExprPool::reduce(Reduction reduction, Expr variable, Expr extent, Expr body) {
  const Var free = variable.node().var;
  TESSERA_CHECK(free.kind == Var::Kind::free, "a reduction binds a fresh variable");
  if (is_integer_constant(extent, 1)) {
    const Expr zero = integer(0);
    return rewrite(body,
                   [&](Expr e) { return e == variable ? std::optional(zero) : std::nullopt; });
  }
  ExprNode n;
  n.kind = ExprKind::reduce;
  n.type = body.type();
  n.reduction = reduction;
  n.var = {Var::Kind::bound, body.node().height + 1};
  const Expr bound = this->variable(n.var);
  // Inside `body` every bound variable in scope is lower than n.var, so plain substitution is safe.
  std::unordered_map<ExprId, ExprId> done;
  std::function<ExprId(ExprId)> replace = [&](ExprId id) -> ExprId {
    if (id == variable.id) return bound.id;
    if (auto at = done.find(id); at != done.end()) return at->second;
    ExprNode copy = nodes_[id];
    bool changed = false;
    for (ExprId& arg : copy.args) {
      const ExprId next = replace(arg);
      changed |= next != arg;
      arg = next;
    }
    const ExprId result = changed ? intern(std::move(copy)).id : id;
    return done[id] = result;
  };
  n.args = {extent.id, replace(body.id)};
  return intern(std::move(n));
}

Expr ExprPool::rewrite(Expr root, const std::function<std::optional<Expr>(Expr)>& replace) {
  // A bound variable stands for another free one in every scope, so results are remembered per
  // scope; `scopes` holds the renaming, and a fresh memo starts inside each reduction.
  using Memo = std::unordered_map<ExprId, Expr>;
  std::unordered_map<uint32_t, Expr> renaming;
  std::function<Expr(Expr, Memo&)> visit = [&](Expr e, Memo& memo) -> Expr {
    if (auto at = memo.find(e.id); at != memo.end()) return at->second;
    Expr result = e;
    const ExprNode n = e.node();
    if (auto replaced = replace(e)) {
      TESSERA_CHECK(replaced->type() == n.type, "replacement changes the type");
      result = *replaced;
    } else if (n.kind == ExprKind::variable && n.var.kind == Var::Kind::bound) {
      if (auto at = renaming.find(n.var.number); at != renaming.end()) result = at->second;
    } else if (n.kind == ExprKind::reduce) {
      const Expr extent = visit({this, n.args[0]}, memo);
      const Expr fresh = fresh_variable();
      const auto saved = renaming.find(n.var.number);
      const std::optional<Expr> previous =
          saved == renaming.end() ? std::nullopt : std::optional(saved->second);
      renaming.insert_or_assign(n.var.number, fresh);
      Memo inner;
      const Expr body = visit({this, n.args[1]}, inner);
      if (previous) renaming.insert_or_assign(n.var.number, *previous);
      else renaming.erase(n.var.number);
      result = reduce(n.reduction, fresh, extent, body);
    } else if (!n.args.empty()) {
      std::vector<Expr> args;
      for (ExprId a : n.args) args.push_back(visit({this, a}, memo));
      if (n.kind == ExprKind::read) result = read(n.input, n.type, args);
      else if (n.kind == ExprKind::cast) result = cast(args[0], n.type);
      else result = primitive(n.prim, args);
    }
    memo.emplace(e.id, result);
    return result;
  };
  Memo memo;
  return visit(root, memo);
}

Expr ExprPool::import(Expr root, std::span<const Expr> output,
                      const std::function<Expr(uint32_t, DType, std::span<const Expr>)>& on_read) {
  using Memo = std::unordered_map<ExprId, Expr>;
  const ExprPool& other = *root.pool;
  std::unordered_map<uint32_t, Expr> renaming;
  std::function<Expr(ExprId, Memo&)> visit = [&](ExprId id, Memo& memo) -> Expr {
    if (auto at = memo.find(id); at != memo.end()) return at->second;
    const ExprNode n = other.node(id);
    Expr result;
    std::vector<Expr> args;
    if (n.kind != ExprKind::reduce)
      for (ExprId a : n.args) args.push_back(visit(a, memo));
    switch (n.kind) {
      case ExprKind::constant: result = intern(n); break;
      case ExprKind::size: result = size_of(other.sizes()[n.size]); break;
      case ExprKind::variable:
        if (n.var.kind == Var::Kind::output && !output.empty()) result = output[n.var.number];
        else if (n.var.kind == Var::Kind::bound && renaming.contains(n.var.number))
          result = renaming.at(n.var.number);
        else result = variable(n.var);
        break;
      case ExprKind::read:
        result = on_read ? on_read(n.input, n.type, args) : read(n.input, n.type, args);
        break;
      case ExprKind::primitive: result = primitive(n.prim, args); break;
      case ExprKind::cast: result = cast(args[0], n.type); break;
      case ExprKind::reduce: {
        const Expr extent = visit(n.args[0], memo);
        const Expr fresh = fresh_variable();
        const auto saved = renaming.find(n.var.number);
        const std::optional<Expr> previous =
            saved == renaming.end() ? std::nullopt : std::optional(saved->second);
        renaming.insert_or_assign(n.var.number, fresh);
        Memo inner;
        const Expr body = visit(n.args[1], inner);
        if (previous) renaming.insert_or_assign(n.var.number, *previous);
        else renaming.erase(n.var.number);
        result = reduce(n.reduction, fresh, extent, body);
        break;
      }
    }
    memo.emplace(id, result);
    return result;
  };
  Memo memo;
  return visit(root.id, memo);
}

Expr unary(Prim prim, Expr x) { return x.pool->primitive(prim, std::array{x}); }
Expr binary(Prim prim, Expr a, Expr b) { return a.pool->primitive(prim, std::array{a, b}); }
Expr select(Expr condition, Expr a, Expr b) {
  return a.pool->primitive(Prim::select, std::array{condition, a, b});
}
Expr cast(Expr value, DType type) { return value.pool->cast(value, type); }

}  // namespace tessera::ir
