// SPDX-License-Identifier: Apache-2.0
// From an expression to a lane program: hoisting, affine folding, poison of unguarded reads.
#include "ops/loop_program.h"

#include <bit>
#include <map>
#include <unordered_map>

#include "base/check.h"
#include "ir/scalar_eval.h"
#include "ops/index_analysis.h"

namespace tessera::ops {
namespace {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using Terms = std::vector<std::pair<Register, int64_t>>;
using Op = Instruction::Op;

// A loop that is open while its body is compiled; the outermost scope is the block itself.
struct Scope {
  uint64_t variable = 1;  // as a bit of Compiler::masks_
  double trips = 1;
  std::vector<Instruction>* code = nullptr;
  std::unordered_map<ExprId, Register> values, poisons;
  std::map<Terms, Register> lane_sums, uniform_sums;
};

class Compiler {
 public:
  Compiler(const ir::Meaning& meaning, size_t output, std::span<const Shape> inputs, bool wide)
      : pool_(*meaning.pool),
        root_(meaning.outputs[output].body.id),
        inputs_(inputs),
        wide_(wide),
        shape_(meaning.output_type(output).concrete_shape()),
        analysis_(pool_, {root_}, shape_) {}

  LoopProgram run() {
    find_masks();
    scopes_.emplace_back();
    scopes_[0].code = &program_.code;
    program_.result = value(root_);
    program_.poison = poison(root_);
    return std::move(program_);
  }

 private:
  // Which variables a node depends on: bit 0 any output variable, bit k the bound variable k.
  void find_masks() {
    masks_.resize(root_ + 1);
    tainted_.resize(root_ + 1);
    const std::set<ExprId> unproven = analysis_.unproven_reads(inputs_);
    for (ExprId id = 0; id <= root_; ++id) {
      const ExprNode& n = pool_.node(id);
      for (ExprId a : n.args) {
        masks_[id] |= masks_[a];
        tainted_[id] = tainted_[id] || tainted_[a];
      }
      if (unproven.contains(id)) tainted_[id] = true;
      // Free variables are left over from building.
      if (n.kind == ExprKind::variable && n.var.kind != ir::Var::Kind::free)
        masks_[id] = bit(n.var);
      if (n.kind == ExprKind::reduce && n.var.kind == ir::Var::Kind::bound)
        masks_[id] = masks_[n.args[0]] | (masks_[n.args[1]] & ~bit(n.var));
    }
  }

  static uint64_t bit(ir::Var var) {
    if (var.kind == ir::Var::Kind::output) return 1;
    TESSERA_CHECK(var.number < 64, "reductions nest {} deep", var.number);
    return uint64_t{1} << var.number;
  }

  size_t scope_of(ExprId id) const {
    size_t s = scopes_.size() - 1;
    while (s > 0 && !(masks_[id] & scopes_[s].variable)) --s;
    return s;
  }

  Register fresh() { return program_.registers++; }

  Register emit(size_t scope, Instruction instruction) {
    instruction.dst = fresh();
    scopes_[scope].code->push_back(instruction);
    program_.work_per_lane += scopes_[scope].trips;
    return instruction.dst;
  }

  Register constant(int64_t bits) {
    const auto [at, is_new] = constants_.try_emplace(bits, program_.registers);
    if (is_new) program_.constants.emplace_back(fresh(), bits);
    return at->second;
  }

  bool rounds(DType type) const { return !wide_ && is_float(type) && type != DType::f64; }

  Register value(ExprId id) {
    const size_t s = scope_of(id);
    if (auto at = scopes_[s].values.find(id); at != scopes_[s].values.end()) return at->second;
    const Register r = make_value(id, s);
    scopes_[s].values.emplace(id, r);
    return r;
  }

  Register make_value(ExprId id, size_t s) {
    const ExprNode& n = pool_.node(id);
    if (n.type == DType::i64 && n.kind != ExprKind::read && n.kind != ExprKind::reduce) {
      const Affine& affine = analysis_.affine(id);
      const bool is_atom = affine.terms.size() == 1 && affine.terms[0].first == id;
      if (!is_atom) return affine_value(affine);
    }
    switch (n.kind) {
      case ExprKind::constant: {
        if (!is_float(n.type)) return constant(n.bits);
        const double real = ir::real_value(n);
        return constant(std::bit_cast<int64_t>(rounds(n.type) ? static_cast<float>(real) : real));
      }
      case ExprKind::variable: return variable(n.var);
      case ExprKind::read: return read(id, s);
      case ExprKind::cast: {
        const DType to = wide_ && is_float(n.type) ? DType::f64 : n.type;
        return emit(s, {.op = Op::cast,
                        .type = pool_.node(n.args[0]).type,
                        .to = to,
                        .args = {value(n.args[0])}});
      }
      case ExprKind::primitive: return primitive(n, s);
      case ExprKind::reduce: return reduce(id, s);
      case ExprKind::size: break;
    }
    TESSERA_CHECK(false, "a size of type {}", to_string(n.type));
    return no_register;
  }

  Register variable(ir::Var var) {
    const Register r = fresh();
    TESSERA_CHECK(var.kind == ir::Var::Kind::output, "variable out of its reduction");
    program_.axes.emplace_back(r, var.number);
    return r;
  }

  Register primitive(const ExprNode& n, size_t s) {
    const DType type = pool_.node(n.args[0]).type;
    if (n.prim == Prim::select) {
      return emit(
          s, {.op = Op::select, .args = {value(n.args[0]), value(n.args[1]), value(n.args[2])}});
    }
    if ((n.prim == Prim::le || n.prim == Prim::lt) && type == DType::i64) {
      Affine room = analysis_.affine(n.args[1]) + analysis_.affine(n.args[0]) * -1;
      if (analysis_.interval(room).bounded()) {
        if (n.prim == Prim::lt) room.constant -= 1;
        const auto [lanes, uniform] = parts(room);
        program_.sums.push_back({room.constant, {}});
        return emit(s, {.op = Op::not_negative,
                        .args = {lanes, uniform},
                        .detail = static_cast<uint32_t>(program_.sums.size() - 1)});
      }
    }
    Instruction instruction{
        .op = Op::primitive, .prim = n.prim, .type = type, .rounds = rounds(n.type)};
    for (size_t k = 0; k < n.args.size(); ++k) instruction.args[k] = value(n.args[k]);
    return emit(s, instruction);
  }

  // The sum of terms, those of outer scopes first, so that every partial sum is hoisted.
  Register part(const std::vector<std::pair<ExprId, int64_t>>& terms, bool lanes) {
    std::map<size_t, Terms> by_scope;
    for (const auto& [atom, coefficient] : terms)
      if (((masks_[atom] & 1) != 0) == lanes)
        by_scope[scope_of(atom)].emplace_back(value(atom), coefficient);
    Register base = no_register;
    for (auto& [s, own] : by_scope) {
      if (base != no_register) own.emplace_back(base, 1);
      if (!lanes && own.size() == 1 && own[0].second == 1) {
        base = own[0].first;
        continue;
      }
      auto& known = lanes ? scopes_[s].lane_sums : scopes_[s].uniform_sums;
      const auto [at, is_new] = known.try_emplace(own, no_register);
      if (is_new) {
        program_.sums.push_back({0, own});
        at->second = emit(s, {.op = Op::sum,
                              .summarize = lanes,
                              .detail = static_cast<uint32_t>(program_.sums.size() - 1)});
      }
      base = at->second;
    }
    return base;
  }

  std::pair<Register, Register> parts(const Affine& affine) {
    return {part(affine.terms, true), part(affine.terms, false)};
  }

  Register affine_value(const Affine& affine) {
    if (affine.terms.empty()) return constant(affine.constant);
    const auto [lanes, uniform] = parts(affine);
    if (affine.constant == 0 && (lanes == no_register || uniform == no_register))
      return lanes == no_register ? uniform : lanes;
    LaneSum sum{affine.constant, {}};
    size_t s = 0;
    for (const auto& term : affine.terms) s = std::max(s, scope_of(term.first));
    if (lanes != no_register) sum.terms.emplace_back(lanes, 1);
    if (uniform != no_register) sum.terms.emplace_back(uniform, 1);
    program_.sums.push_back(std::move(sum));
    return emit(s, {.op = Op::sum, .detail = static_cast<uint32_t>(program_.sums.size() - 1)});
  }

  Register read(ExprId id, size_t s) {
    const ExprNode& n = pool_.node(id);
    const Shape& shape = inputs_[n.input];
    const Affine offset = analysis_.offset(n, shape);
    const auto [lanes, uniform] = parts(offset);
    program_.loads.push_back({n.input, offset.constant, lanes, uniform});
    return emit(s, {.op = Op::load, .detail = static_cast<uint32_t>(program_.loads.size() - 1)});
  }

  Register reduce(ExprId id, size_t s) {
    const ExprNode& n = pool_.node(id);
    const Register extent = value(n.args[0]);
    const Register extent_poison = poison(n.args[0]);
    // Deeper scopes are hidden: the reduction does not depend on their variables.
    std::vector<Scope> hidden;
    for (size_t k = s + 1; k < scopes_.size(); ++k) hidden.push_back(std::move(scopes_[k]));
    scopes_.resize(s + 1);
    ReduceLoop& loop = program_.loops.emplace_back();
    const auto detail = static_cast<uint32_t>(program_.loops.size() - 1);
    program_.reduces = true;
    Scope inner;
    inner.variable = bit(n.var);
    inner.trips =
        scopes_[s].trips * static_cast<double>(std::max<int64_t>(
                               1, std::min<int64_t>(analysis_.interval(n.args[0]).high, 1 << 30)));
    inner.code = &loop.code;
    loop.variable = fresh();
    loop.extent = extent;
    loop.reduction = n.reduction;
    loop.type = n.type;
    scopes_.push_back(std::move(inner));
    register_variable(n.var, loop.variable);
    const ExprNode& body = pool_.node(n.args[1]);
    const bool is_product = n.reduction == ir::Reduction::sum && is_float(n.type) &&
                            !rounds(n.type) && body.kind == ExprKind::primitive &&
                            body.prim == Prim::mul;
    loop.value = value(is_product ? body.args[0] : n.args[1]);
    if (is_product) loop.factor = value(body.args[1]);
    loop.poison = poison(n.args[1]);
    scopes_.resize(s + 1);
    if (loop.poison != no_register) loop.any_poison = fresh();
    loop.total =
        emit(s, {.op = Op::reduce, .type = n.type, .rounds = rounds(n.type), .detail = detail});
    scopes_[s].poisons.emplace(id, either(s, loop.any_poison, extent_poison));
    for (Scope& scope : hidden) scopes_.push_back(std::move(scope));
    return loop.total;
  }

  void register_variable(ir::Var var, Register r) {
    for (ExprId id = 0; id <= root_; ++id) {
      const ExprNode& n = pool_.node(id);
      if (n.kind == ExprKind::variable && n.var == var) scopes_.back().values.emplace(id, r);
    }
  }

  Register poison(ExprId id) {
    if (!tainted_[id]) return no_register;
    const size_t s = scope_of(id);
    const ExprNode& n = pool_.node(id);
    if (n.kind == ExprKind::reduce) value(id);  // remembers its poison
    if (auto at = scopes_[s].poisons.find(id); at != scopes_[s].poisons.end()) return at->second;
    const Register r = make_poison(n, s);
    scopes_[s].poisons.emplace(id, r);
    return r;
  }

  Register either(size_t s, Register a, Register b) {
    if (a == no_register || a == b) return b;
    if (b == no_register) return a;
    return emit(
        s, {.op = Op::primitive, .prim = Prim::logical_or, .type = DType::boolean, .args = {a, b}});
  }

  Register make_poison(const ExprNode& n, size_t s) {
    const bool is_primitive = n.kind == ExprKind::primitive;
    if (is_primitive &&
        (n.prim == Prim::select || n.prim == Prim::logical_and || n.prim == Prim::logical_or)) {
      const bool is_select = n.prim == Prim::select;
      Register when_true = no_register, when_false = no_register;
      if (is_select || n.prim == Prim::logical_and) when_true = poison(n.args[1]);
      if (is_select || n.prim == Prim::logical_or) when_false = poison(n.args[is_select ? 2 : 1]);
      Register branch = no_register;
      if (when_true != no_register || when_false != no_register) {
        branch =
            emit(s, {.op = Op::select,
                     .args = {value(n.args[0]), when_true == no_register ? constant(0) : when_true,
                              when_false == no_register ? constant(0) : when_false}});
      }
      return either(s, poison(n.args[0]), branch);
    }
    Register all = no_register;
    for (ExprId a : n.args) all = either(s, all, poison(a));
    if (n.kind != ExprKind::read) return all;
    BoundsCheck check;
    for (size_t axis = 0; axis < n.args.size(); ++axis) {
      const int64_t extent = inputs_[n.input][axis];
      if (!analysis_.interval(n.args[axis]).within(0, extent - 1))
        check.indices.emplace_back(value(n.args[axis]), extent);
    }
    if (check.indices.empty()) return all;
    program_.checks.push_back(std::move(check));
    const Register outside =
        emit(s, {.op = Op::outside, .detail = static_cast<uint32_t>(program_.checks.size() - 1)});
    return either(s, all, outside);
  }

  const ir::ExprPool& pool_;
  ExprId root_;
  std::span<const Shape> inputs_;
  bool wide_;
  Shape shape_;
  IndexAnalysis analysis_;
  LoopProgram program_;
  std::vector<Scope> scopes_;
  std::vector<uint64_t> masks_;
  std::vector<bool> tainted_;
  std::unordered_map<int64_t, Register> constants_;
};

}  // namespace

LoopProgram compile_loops(const ir::Meaning& meaning, size_t output, std::span<const Shape> inputs,
                          bool wide) {
  return Compiler(meaning, output, inputs, wide).run();
}

}  // namespace tessera::ops
