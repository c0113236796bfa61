// SPDX-License-Identifier: Apache-2.0
// From a meaning to a tile program. Reductions become variables that loops add to, as far out as
// what they depend on allows; a sum of products becomes `dot`; a select that guards reads becomes
// their mask.
#include <algorithm>
#include <functional>
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "tile/program.h"

namespace tessera::tile {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;

template <typename... Args>
void supported(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) fail_user(ErrorKind::unsupported, format, std::forward<Args>(args)...);
}

class Lowering {
 public:
  Lowering(const ir::Meaning& meaning, const std::string& name)
      : m_(meaning), pool_(*meaning.pool) {
    p_.name = name;
  }

  Program run() {
    supported(m_.outputs.size() == 1, "{} has {} outputs; a tile program is made for one", p_.name,
              m_.outputs.size());
    const ir::MeaningOutput& out = m_.outputs[0];
    for (size_t k = 0; k < m_.inputs.size(); ++k) {
      const ir::ValueType& type = m_.inputs[k];
      number_.push_back(p_.params.size());
      if (!type.opaque) p_.params.push_back({fmt::format("x{}", k), type.dtype, type.shape});
    }
    p_.inputs = p_.params.size();
    p_.params.push_back({"y", out.body.type(), out.shape});
    for (size_t k = 0; k < out.shape.size(); ++k)
      p_.axes.push_back({fmt::format("i{}", k), out.shape[k]});
    find_dependence(out.body.id);
    place_axes(out.body.id);
    Statement store{.kind = Statement::Kind::store};
    store.target = static_cast<uint32_t>(p_.inputs);
    // Level 0 is outside of the loops over axes of the output, level k inside k of them.
    std::vector<std::vector<Statement>> levels(looped_.size() + 1);
    for (size_t k = 0; k <= looped_.size(); ++k) {
      Scope scope{&levels[k], {}};
      if (k > 0) scope.axes = {looped_[k - 1]};
      scopes_.push_back(scope);
    }
    store.value = value(out.body.id, none);
    for (size_t k = 0; k < out.shape.size(); ++k)
      store.indices.push_back(p_.add({.kind = Kind::index, .target = static_cast<AxisId>(k)}));
    levels.back().push_back(std::move(store));
    for (size_t k = looped_.size(); k-- > 0;) {
      Statement loop{.kind = Statement::Kind::loop, .target = looped_[k]};
      loop.body = std::move(levels[k + 1]);
      levels[k].push_back(std::move(loop));
    }
    p_.body = std::move(levels[0]);
    verify(p_);
    return std::move(p_);
  }

 private:
  // A place where statements go, and the axes of the loop around it.
  struct Scope {
    std::vector<Statement>* statements = nullptr;
    std::vector<AxisId> axes;
  };
  using Mask = uint64_t;

  // Which output axes a node depends on.
  Mask find_dependence(ExprId id) {
    if (const auto at = depends_.find(id); at != depends_.end()) return at->second;
    const ExprNode& n = pool_.node(id);
    Mask mask = 0;
    if (n.kind == ExprKind::variable && n.var.kind == ir::Var::Kind::output)
      mask = Mask{1} << n.var.number;
    for (ExprId a : n.args) mask |= find_dependence(a);
    depends_[id] = mask;
    return mask;
  }

  // An axis along which some reduction stays the same is a loop of each program.
  void place_axes(ExprId root) {
    const auto rank = m_.outputs[0].shape.size();
    Mask all = (Mask{1} << rank) - 1;
    Mask grid = all;
    const std::function<void(ExprId)> visit = [&](ExprId id) {
      const ExprNode& n = pool_.node(id);
      if (n.kind == ExprKind::reduce) grid &= depends_.at(id);
      for (ExprId a : n.args) visit(a);
    };
    if (pool_.node(root).height > 0) visit(root);
    for (AxisId a = 0; a < rank; ++a) {
      const bool is_unit = p_.axes[a].extent == sym::Expr(1);
      (is_unit || (grid >> a & 1) ? p_.grid : looped_).push_back(a);
    }
  }

  NodeId value(ExprId id, NodeId mask) {
    const auto key = std::pair(id, mask);
    if (const auto at = values_.find(key); at != values_.end()) return at->second;
    // A sum that is computed without a guard anyway needs none here.
    if (pool_.node(id).kind == ExprKind::reduce && is_float(pool_.node(id).type))
      if (const auto at = values_.find({id, none}); at != values_.end()) return at->second;
    const NodeId result = make(id, mask);
    // What a loop's variable takes part in means something else in another loop.
    if (free_variables(id) == 0) values_.emplace(key, result);
    return result;
  }

  // The numbers of the bound variables that occur freely.
  Mask free_variables(ExprId id) {
    if (const auto at = free_.find(id); at != free_.end()) return at->second;
    const ExprNode& n = pool_.node(id);
    Mask mask = 0;
    for (ExprId a : n.args) mask |= free_variables(a);
    if (n.kind == ExprKind::variable && n.var.kind == ir::Var::Kind::bound) {
      supported(n.var.number < 64, "{}: reductions are nested too deeply", p_.name);
      mask |= Mask{1} << n.var.number;
    }
    if (n.kind == ExprKind::reduce) mask &= ~(Mask{1} << n.var.number);
    return free_[id] = mask;
  }

  NodeId make(ExprId id, NodeId mask) {
    const ExprNode& n = pool_.node(id);
    switch (n.kind) {
      case ExprKind::constant:
        return p_.add({.kind = Kind::constant, .type = n.type, .bits = n.bits});
      case ExprKind::size: return p_.add({.kind = Kind::size, .size = pool_.sizes()[n.size]});
      case ExprKind::variable: return variable(n);
      case ExprKind::cast:
        return p_.add({.kind = Kind::cast, .type = n.type, .args = {value(n.args[0], mask)}});
      case ExprKind::read: {
        Node load{.kind = Kind::load, .target = static_cast<uint32_t>(number_[n.input])};
        for (ExprId a : n.args) load.args.push_back(value(a, mask));
        load.masked = mask != none;
        if (load.masked) load.args.push_back(mask);
        return p_.add(std::move(load));
      }
      case ExprKind::primitive: return primitive(n, mask);
      case ExprKind::reduce: return reduce(id, mask);
    }
    TESSERA_CHECK(false, "an unknown expression");
    return none;
  }

  NodeId variable(const ExprNode& n) {
    if (n.var.kind == ir::Var::Kind::output)
      return p_.add({.kind = Kind::index, .target = n.var.number});
    const auto at = bound_.find(n.var.number);
    TESSERA_CHECK(at != bound_.end(), "a variable outside of its reduction");
    return p_.add({.kind = Kind::index, .target = at->second});
  }

  NodeId both(NodeId a, NodeId b) {
    if (a == none) return b;
    return p_.add({.kind = Kind::primitive, .prim = ir::Prim::logical_and, .args = {a, b}});
  }

  NodeId condition(ExprId id, NodeId mask) {
    const NodeId c = value(id, mask);
    if (p_.nodes[c].type == DType::boolean) return c;
    return p_.add({.kind = Kind::cast, .type = DType::boolean, .args = {c}});
  }

  NodeId primitive(const ExprNode& n, NodeId mask) {
    Node node{.kind = Kind::primitive, .prim = n.prim};
    if (n.prim != ir::Prim::select) {
      for (ExprId a : n.args) node.args.push_back(value(a, mask));
      return p_.add(std::move(node));
    }
    const NodeId chosen = condition(n.args[0], mask);
    const bool first_reads = reads(n.args[1]), second_reads = reads(n.args[2]);
    const NodeId a = value(n.args[1], first_reads ? both(mask, chosen) : mask);
    NodeId other = mask;
    if (second_reads)
      other = both(
          mask, p_.add({.kind = Kind::primitive, .prim = ir::Prim::logical_not, .args = {chosen}}));
    const NodeId b = value(n.args[2], other);
    // A masked load gives zero by itself.
    if (pool_.node(n.args[1]).kind == ExprKind::read && mask == none && is_zero(n.args[2]))
      return a;
    node.args = {chosen, a, b};
    return p_.add(std::move(node));
  }

  bool is_zero(ExprId id) const {
    const ExprNode& n = pool_.node(id);
    return n.kind == ExprKind::constant && n.bits == 0;
  }
  bool reads(ExprId id) const {
    const ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::read) return true;
    return std::any_of(n.args.begin(), n.args.end(), [&](ExprId a) { return reads(a); });
  }

  // The innermost scope that binds something the reduction depends on.
  size_t scope_of(ExprId id) {
    std::vector<AxisId> axes;
    for (AxisId a = 0; a < m_.outputs[0].shape.size(); ++a)
      if (find_dependence(id) >> a & 1) axes.push_back(a);
    for (const auto& [number, axis] : bound_)
      if (free_variables(id) >> number & 1) axes.push_back(axis);
    for (size_t k = scopes_.size(); k-- > 1;)
      for (AxisId a : scopes_[k].axes)
        if (std::find(axes.begin(), axes.end(), a) != axes.end()) return k;
    return 0;
  }

  NodeId reduce(ExprId id, NodeId mask) {
    const ExprNode& first = pool_.node(id);
    // A mask that a loop's own axes take part in cannot be used outside of the loop; the loads
    // inside carry the masks of their own guards.
    supported(mask == none || p_.nodes[mask].axes.empty() || !reads(id),
              "{}: a reduction whose loads are guarded from outside", p_.name);
    const size_t at = scope_of(id);
    std::vector<Scope> hidden(scopes_.begin() + static_cast<long>(at) + 1, scopes_.end());
    scopes_.resize(at + 1);
    std::vector<AxisId> chain;
    const auto saved = bound_;
    ExprId body = id;
    uint32_t last = 0;
    do {
      const ExprNode& n = pool_.node(body);
      last = n.var.number;
      supported(is_closed(n.args[0]), "{}: a reduction whose extent varies", p_.name);
      const AxisId axis = new_axis(n.args[0]);
      bound_[n.var.number] = axis;
      chain.push_back(axis);
      body = n.args[1];
    } while (pool_.node(body).kind == ExprKind::reduce &&
             pool_.node(body).reduction == first.reduction && (free_variables(body) >> last & 1));
    const NodeId result = accumulate(first, chain, body);
    bound_ = saved;
    for (Scope& s : hidden) scopes_.push_back(s);
    return result;
  }

  bool is_closed(ExprId id) const {
    return pool_.node(id).kind == ExprKind::constant || pool_.node(id).kind == ExprKind::size;
  }
  AxisId new_axis(ExprId extent) {
    const ExprNode& n = pool_.node(extent);
    const sym::Expr size = n.kind == ExprKind::constant ? sym::Expr(n.bits) : pool_.sizes()[n.size];
    p_.axes.push_back({fmt::format("r{}", p_.axes.size() - m_.outputs[0].shape.size()), size});
    return static_cast<AxisId>(p_.axes.size() - 1);
  }

  // var t = identity; for … { t = t ∘ reduce(chain: body) }
  NodeId accumulate(const ExprNode& first, const std::vector<AxisId>& chain, ExprId body) {
    const size_t outer = scopes_.size() - 1;
    std::vector<Statement> inner;
    Scope scope{&inner, chain};
    scopes_.push_back(scope);
    const NodeId part = partial(first, chain, body);
    scopes_.pop_back();
    const auto number = static_cast<uint32_t>(p_.variables.size());
    p_.variables.push_back({fmt::format("t{}", number), first.type, p_.nodes[part].axes});
    Statement define{.kind = Statement::Kind::define, .target = number};
    const ir::Scalar start = ir::identity(first.reduction, first.type);
    define.value =
        is_float(first.type)
            ? p_.real(start.real, first.type)
            : p_.add({.kind = Kind::constant, .type = first.type, .bits = start.integer});
    const NodeId before = p_.add({.kind = Kind::variable, .target = number});
    Statement assign{.kind = Statement::Kind::assign, .target = number};
    assign.value = p_.add(
        {.kind = Kind::primitive, .prim = ir::combiner(first.reduction), .args = {before, part}});
    inner.push_back(std::move(assign));
    for (size_t k = chain.size(); k-- > 0;) {
      Statement loop{.kind = Statement::Kind::loop, .target = chain[k]};
      loop.body = std::move(inner);
      inner = {};
      inner.push_back(std::move(loop));
    }
    scopes_[outer].statements->push_back(std::move(define));
    scopes_[outer].statements->push_back(std::move(inner[0]));
    return p_.add({.kind = Kind::variable, .target = number});
  }

  NodeId partial(const ExprNode& first, const std::vector<AxisId>& chain, ExprId body) {
    const ExprNode& n = pool_.node(body);
    if (first.reduction == ir::Reduction::sum && n.kind == ExprKind::primitive &&
        n.prim == ir::Prim::mul && is_float(n.type))
      return p_.add({.kind = Kind::dot,
                     .args = {value(n.args[0], none), value(n.args[1], none)},
                     .reduced = chain});
    return p_.add({.kind = Kind::reduce,
                   .reduction = first.reduction,
                   .args = {value(body, none)},
                   .reduced = chain});
  }

  const ir::Meaning& m_;
  const ir::ExprPool& pool_;
  Program p_;
  std::vector<size_t> number_;  // parameter of each input
  std::vector<AxisId> looped_;  // axes of the output that are loops
  std::unordered_map<ExprId, Mask> depends_, free_;
  std::map<std::pair<ExprId, NodeId>, NodeId> values_;
  std::map<uint32_t, AxisId> bound_;
  std::vector<Scope> scopes_;
};

}  // namespace

Program lower(const ir::Meaning& meaning, const std::string& name) {
  return Lowering(meaning, name).run();
}

}  // namespace tessera::tile
