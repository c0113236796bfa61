// SPDX-License-Identifier: Apache-2.0
// Scopes, loops over rows and lanes, values of nodes.
#include "codegen/emitter.h"

#include <llvm/Analysis/VectorUtils.h>
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>

#include "base/check.h"
#include "codegen/emit_scalar.h"

namespace tessera::codegen {

using ir::ExprId;
using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using llvm::Value;

Emitter::Emitter(LoopNest& nest, llvm::IRBuilderBase& builder, llvm::Module& module)
    : nest_(nest), reuse_(find_row_reuse(nest)), b_(builder), module_(module) {}

llvm::IRBuilderBase& Emitter::at(size_t scope) {
  b_.SetInsertPoint(scopes_[scope].block);
  return b_;
}

size_t Emitter::scope_of(VarMask mask) const {
  size_t s = scopes_.size() - 1;
  while (s > 0 && !(mask & scopes_[s].variables)) --s;
  return s;
}

VarMask Emitter::lane_bit() const {
  for (size_t s = scopes_.size(); s-- > 0;)
    if (scopes_[s].lane) return scopes_[s].lane;
  return 0;
}

Value* Emitter::mask() const {
  for (size_t s = scopes_.size(); s-- > 0;)
    if (scopes_[s].lane) return scopes_[s].mask;
  return nullptr;
}

Value* Emitter::integer(int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); }

llvm::BasicBlock* Emitter::new_block(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, function_);
}

// A loop inside the innermost scope, which becomes a scope itself. The scope outside keeps its
// block open: what is hoisted later still comes before the loop.
Emitter::Loop Emitter::open(Value* start, Value* limit, int64_t step, VarMask variables) {
  Loop loop;
  loop.header = new_block("loop");
  loop.exit = new_block("after");
  loop.start = start;
  loop.step = step;
  llvm::BasicBlock* body = new_block("body");
  b_.SetInsertPoint(loop.header);
  loop.counter = b_.CreatePHI(b_.getInt64Ty(), 2);
  b_.CreateCondBr(b_.CreateICmpSLT(loop.counter, limit), body, loop.exit);
  Scope scope;
  scope.variables = variables;
  scope.block = body;
  scope.counter = loop.counter;
  scopes_.push_back(std::move(scope));
  return loop;
}

void Emitter::close(const Loop& loop) {
  const size_t inner = scopes_.size() - 1;
  at(inner);
  Value* next = b_.CreateAdd(loop.counter, integer(loop.step), "", true, true);
  b_.CreateBr(loop.header);
  loop.counter->addIncoming(next, scopes_[inner].block);
  at(inner - 1);
  b_.CreateBr(loop.header);
  loop.counter->addIncoming(loop.start, scopes_[inner - 1].block);
  scopes_[inner - 1].block = loop.exit;
  scopes_.pop_back();
}

// A loop of `count` iterations without the loop: its counter is a constant in each copy.
void Emitter::unroll(int64_t count, VarMask variables, const std::function<void()>& body) {
  const size_t s = scopes_.size() - 1;
  copies_ *= count;
  llvm::BasicBlock *first = nullptr, *last = nullptr;
  for (int64_t k = 0; k <= count; ++k) {
    llvm::BasicBlock* block = new_block("copy");
    if (last) {
      b_.SetInsertPoint(last);
      b_.CreateBr(block);
    } else {
      first = block;
    }
    last = block;
    if (k == count) break;
    Scope scope;
    scope.variables = variables;
    scope.counter = integer(k);
    scope.block = block;
    scopes_.push_back(std::move(scope));
    body();
    last = scopes_.back().block;
    scopes_.pop_back();
  }
  copies_ /= count;
  at(s).CreateBr(first);
  scopes_[s].block = last;
}

// A variable of the function, set to `initial` where `scope` stands now.
llvm::AllocaInst* Emitter::new_cell(Value* initial, size_t scope) {
  b_.SetInsertPoint(cells_, cells_->begin());
  llvm::AllocaInst* cell = b_.CreateAlloca(initial->getType());
  at(scope).CreateStore(initial, cell);
  return cell;
}

// What depends on outer variables only is emitted with the deeper scopes out of sight.
std::vector<Emitter::Scope> Emitter::hide_above(size_t scope) {
  std::vector<Scope> hidden;
  for (size_t k = scope + 1; k < scopes_.size(); ++k) hidden.push_back(std::move(scopes_[k]));
  scopes_.resize(scope + 1);
  return hidden;
}

void Emitter::restore(size_t scope, std::vector<Scope> hidden) {
  scopes_.resize(scope + 1);
  for (Scope& s : hidden) scopes_.push_back(std::move(s));
}

Value* Emitter::value(ExprId id) {
  const size_t s = scope_of(nest_.masks[id]);
  if (auto known = scopes_[s].values.find(id); known != scopes_[s].values.end())
    return known->second;
  const bool leaves = leaves_branch(s);
  soft_conditions_ += leaves ? 1 : 0;
  auto hidden = hide_above(s);
  Value* v = kept_value(id, s);
  if (!v) {
    v = make_value(id, s);
    keep(id, s, v);
  }
  restore(s, std::move(hidden));
  soft_conditions_ -= leaves ? 1 : 0;
  scopes_[s].values.emplace(id, v);
  return v;
}

// What an earlier loop over the row has stored, or null.
Value* Emitter::kept_value(ExprId id, size_t s) {
  const auto known = reuse_.kept.find(id);
  if (known == reuse_.kept.end() || !scopes_[s].lane) return nullptr;
  const RowReuse::Source& source = known->second;
  if (!reducing_.empty() && reducing_.back() == source.reduce) return nullptr;
  value(source.reduce);  // its loop comes before this one
  const auto kept = kept_.find(source.value);
  if (kept == kept_.end() || kept->second.reduce != source.reduce || !kept->second.stored)
    return nullptr;
  at(s);
  llvm::Type* type = register_type(b_, nest_.pool.node(id).type, 0);
  Value* address = b_.CreateGEP(type, kept->second.row, scopes_[s].counter);
  return b_.CreateAlignedLoad(register_type(b_, nest_.pool.node(id).type, nest_.lanes), address,
                              llvm::Align(size_of(nest_.pool.node(id).type)));
}

// Stores what a later loop over the row asks for. The buffer has room for a vector that is not
// full.
void Emitter::keep(ExprId id, size_t s, Value* v) {
  if (reducing_.empty() || !branch_scopes_.empty() || !scopes_[s].lane) return;
  const auto asks = [&](const auto& entry) {
    return entry.second.value == id && entry.second.reduce == reducing_.back() &&
           entry.second.variable == scopes_[s].lane;
  };
  const auto found = std::find_if(reuse_.kept.begin(), reuse_.kept.end(), asks);
  if (found == reuse_.kept.end()) return;
  llvm::Type* type = register_type(b_, nest_.pool.node(id).type, 0);
  Kept& kept = kept_[id];
  if (!kept.row) {
    b_.SetInsertPoint(cells_, cells_->begin());
    llvm::AllocaInst* row = b_.CreateAlloca(type, integer(found->second.extent + nest_.lanes));
    row->setAlignment(llvm::Align(64));
    kept = {reducing_.back(), row, true};
  }
  Value* address = at(s).CreateGEP(type, kept.row, scopes_[s].counter);
  b_.CreateAlignedStore(widened(v, nest_.lanes), address,
                        llvm::Align(size_of(nest_.pool.node(id).type)));
}

Value* Emitter::make_value(ExprId id, size_t s) {
  const ExprNode& n = nest_.pool.node(id);
  if (n.type == DType::i64 && n.kind != ExprKind::read && n.kind != ExprKind::reduce) {
    const ops::Affine& affine = nest_.analysis.affine(id);
    const bool is_atom = affine.terms.size() == 1 && affine.terms[0].first == id;
    if (!is_atom || n.kind == ExprKind::variable) return affine_value(affine, s);
  }
  switch (n.kind) {
    case ExprKind::constant: return constant(b_, n.type, n.bits);
    case ExprKind::read: return read(id, s);
    case ExprKind::cast: {
      Value* v = value(n.args[0]);
      return emit_cast(at(s), nest_.pool.node(n.args[0]).type, n.type, v,
                       is_bounded(nest_.pool, n.args[0]));
    }
    case ExprKind::primitive: return primitive(id, s);
    case ExprKind::reduce: return reduce(id, s);
    case ExprKind::variable:
    case ExprKind::size: break;
  }
  TESSERA_CHECK(false, "a size or variable of type {}", to_string(n.type));
  return nullptr;
}

// The scalar value of a variable: its loop's counter. A variable that melted into another is 0.
Value* Emitter::counter(ir::Var var) {
  if (var.kind == ir::Var::Kind::output)
    if (auto known = row_variables_.find(var.number); known != row_variables_.end())
      return known->second;
  const size_t s = scope_of(variable_bit(var));
  return s == 0 ? integer(0) : scopes_[s].counter;
}

Value* Emitter::condition(ExprId id, size_t s) {
  Value* v = value(id);
  if (nest_.pool.node(id).type == DType::boolean) return v;
  return at(s).CreateICmpNE(v, llvm::Constant::getNullValue(v->getType()));
}

Value* Emitter::widened(Value* v, int lanes) { return splat(b_, v, lanes); }

Value* Emitter::primitive(ExprId id, size_t s) {
  const ExprNode& n = nest_.pool.node(id);
  constexpr int most_branches = 128;
  if (n.prim == Prim::select)
    if (const auto chosen = decided(n.args[0])) {
      Value* v = value(n.args[*chosen ? 1 : 2]);
      const bool is_vector = is_lane(nest_.masks[id]);
      at(s);
      return is_vector ? widened(v, nest_.lanes) : v;
    }
  if (n.prim == Prim::select && is_lane(nest_.masks[id]) && branches_ < most_branches &&
      is_worth_a_branch(n)) {
    ++branches_;
    return branch(n, s);
  }
  const DType type = nest_.pool.node(n.args[0]).type;
  if ((n.prim == Prim::le || n.prim == Prim::lt) && type == DType::i64) {
    ops::Affine room = nest_.analysis.affine(n.args[1]) + nest_.analysis.affine(n.args[0]) * -1;
    if (nest_.analysis.interval(room).bounded()) {
      if (n.prim == Prim::lt) room.constant -= 1;
      return compare(room, s);
    }
  }
  if (is_lane(nest_.masks[id]) && is_shared_count(n)) {
    Value* x = value(n.args[0]);
    Value* factor = reciprocal(n.args[1]);
    at(s);
    return b_.CreateFMul(widened(x, nest_.lanes), widened(factor, nest_.lanes));
  }
  const bool is_soft =
      n.prim == Prim::select || n.prim == Prim::logical_and || n.prim == Prim::logical_or;
  std::vector<Value*> args;
  soft_conditions_ += is_soft ? 1 : 0;
  for (ExprId a : n.args) args.push_back(value(a));
  soft_conditions_ -= is_soft ? 1 : 0;
  if (n.prim == Prim::select) args[0] = condition(n.args[0], s);
  at(s);
  bool any_vector = false;
  for (Value* a : args) any_vector = any_vector || a->getType()->isVectorTy();
  if (n.prim == Prim::select) {
    for (size_t k = 1; k < 3; ++k)
      if (any_vector) args[k] = widened(args[k], nest_.lanes);
    return b_.CreateSelect(args[0], args[1], args[2]);
  }
  for (Value*& a : args)
    if (any_vector) a = widened(a, nest_.lanes);
  bool is_natural = false;
  if (type == DType::i64 && (n.prim == Prim::floor_div || n.prim == Prim::mod))
    is_natural =
        nest_.analysis.interval(n.args[0]).low >= 0 && nest_.analysis.interval(n.args[1]).low >= 1;
  return emit_primitive(b_, n.prim, type, args[0], args.size() > 1 ? args[1] : nullptr, is_natural);
}

// A division by a whole number that the lanes share (the elements of a window): a product by its
// reciprocal, which is computed once. Such numbers have no reciprocal that overflows or vanishes.
bool Emitter::is_shared_count(const ExprNode& n) const {
  if (n.prim != Prim::div || n.type != DType::f32) return false;
  const ExprNode& by = nest_.pool.node(n.args[1]);
  return by.kind == ExprKind::cast && nest_.pool.node(by.args[0]).type == DType::i64 &&
         !is_lane(nest_.masks[n.args[1]]);
}

Value* Emitter::reciprocal(ExprId count) {
  Value* number = value(count);
  const size_t s = scope_of(nest_.masks[count]);
  Value*& known = scopes_[s].reciprocals[count];
  if (!known) known = at(s).CreateFDiv(llvm::ConstantFP::get(number->getType(), 1), number);
  return known;
}

Value* Emitter::either(size_t s, Value* a, Value* b) {
  if (!a || a == b) return b;
  if (!b) return a;
  at(s);
  const bool any_vector = a->getType()->isVectorTy() || b->getType()->isVectorTy();
  const int n = any_vector ? nest_.lanes : 0;
  return b_.CreateOr(widened(a, n), widened(b, n));
}

// Whether computing the node reads outside a tensor without a guard; null: it never does.
Value* Emitter::poison(ExprId id) {
  if (!nest_.tainted[id]) return nullptr;
  const size_t s = scope_of(nest_.masks[id]);
  if (nest_.pool.node(id).kind == ExprKind::reduce) value(id);  // remembers its poison
  if (auto known = scopes_[s].poisons.find(id); known != scopes_[s].poisons.end())
    return known->second;
  ++soft_conditions_;  // poison is computed on all paths
  auto hidden = hide_above(s);
  Value* v = make_poison(id, s);
  restore(s, std::move(hidden));
  --soft_conditions_;
  scopes_[s].poisons.emplace(id, v);
  return v;
}

Value* Emitter::make_poison(ExprId id, size_t s) {
  const ExprNode& n = nest_.pool.node(id);
  const bool is_primitive = n.kind == ExprKind::primitive;
  if (is_primitive &&
      (n.prim == Prim::select || n.prim == Prim::logical_and || n.prim == Prim::logical_or)) {
    const bool is_select = n.prim == Prim::select;
    Value *when_true = nullptr, *when_false = nullptr;
    if (is_select || n.prim == Prim::logical_and) when_true = poison(n.args[1]);
    if (is_select || n.prim == Prim::logical_or) when_false = poison(n.args[is_select ? 2 : 1]);
    Value* branch = nullptr;
    if (when_true || when_false) {
      Value* chosen = condition(n.args[0], s);
      at(s);
      const auto part = [&](Value* v) { return v ? v : b_.getFalse(); };
      Value *a = part(when_true), *c = part(when_false);
      const bool any_vector = chosen->getType()->isVectorTy() || a->getType()->isVectorTy() ||
                              c->getType()->isVectorTy();
      const int lanes = any_vector ? nest_.lanes : 0;
      branch = b_.CreateSelect(chosen, widened(a, lanes), widened(c, lanes));
    }
    return either(s, poison(n.args[0]), branch);
  }
  Value* all = nullptr;
  for (ExprId a : n.args) all = either(s, all, poison(a));
  if (n.kind != ExprKind::read) return all;
  for (size_t axis = 0; axis < n.args.size(); ++axis) {
    const int64_t extent = nest_.inputs[n.input][axis];
    if (!nest_.analysis.interval(n.args[axis]).within(0, extent - 1))
      all = either(s, all, outside(value(n.args[axis]), extent, s));
  }
  return all;
}

void Emitter::emit(const std::string& name) {
  llvm::Type *pointer = b_.getPtrTy(), *i64 = b_.getInt64Ty();
  auto* type = llvm::FunctionType::get(i64, {pointer, pointer, i64, i64}, false);
  function_ = llvm::Function::Create(type, llvm::Function::ExternalLinkage, name, module_);
  function_->addFnAttr(llvm::Attribute::NoUnwind);
  cells_ = new_block("entry");
  llvm::BasicBlock* start = new_block("start");
  scopes_.emplace_back();
  scopes_[0].block = start;
  at(0);
  const auto pointers = [&](unsigned argument, size_t count) {
    std::vector<Value*> loaded;
    for (size_t k = 0; k < count; ++k)
      loaded.push_back(b_.CreateLoad(
          pointer, b_.CreateConstInBoundsGEP1_64(pointer, function_->getArg(argument), k)));
    return loaded;
  };
  src_ = pointers(0, nest_.inputs.size());
  dst_ = pointers(1, nest_.roots.size());
  error_ = new_cell(b_.getFalse(), 0);
  VarMask rows = 0;
  for (const NestAxis& axis : nest_.outer)
    if (nest_.group == 1 || axis.variable != nest_.outer.back().variable)
      rows |= VarMask{1} << axis.variable;
  find_interior();
  const Loop loop = open(function_->getArg(2), function_->getArg(3), 1, rows);
  emit_row(loop.counter);
  close(loop);
  at(0);
  b_.CreateRet(b_.CreateZExt(b_.CreateLoad(b_.getInt1Ty(), error_), i64));
  b_.SetInsertPoint(cells_);
  b_.CreateBr(start);
}

// Splits the row's number into the outer variables and the tile of the inner axis.
void Emitter::emit_row(Value* row) {
  const size_t s = scopes_.size() - 1;
  at(s);
  const auto split = [&](Value*& rest, int64_t extent) {
    Value* next = b_.CreateUDiv(rest, integer(extent));
    Value* index = b_.CreateSub(rest, b_.CreateMul(next, integer(extent)));
    rest = next;
    return index;
  };
  const bool is_grouped = nest_.group > 1;
  const int64_t tiles = nest_.inner ? (nest_.inner->extent + nest_.tile - 1) / nest_.tile : 1;
  Value *rest = row, *tile = tiles > 1 ? split(rest, tiles) : nullptr;
  Value *first_neighbour = nullptr, *outer = rest;
  for (size_t k = nest_.outer.size(); k-- > 0;) {
    const NestAxis& axis = nest_.outer[k];
    const bool is_last = k + 1 == nest_.outer.size();
    const int64_t extent = is_last ? (axis.extent + nest_.group - 1) / nest_.group : axis.extent;
    Value* index = k > 0 ? split(rest, extent) : rest;
    if (is_last && is_grouped) {
      first_neighbour = b_.CreateMul(index, integer(nest_.group));
      outer = k > 0 ? rest : integer(0);
    } else {
      row_variables_[axis.variable] = index;
    }
  }
  if (!nest_.inner) {
    store_offset_ = row;
    return emit_stores();
  }
  Value *first = integer(0), *limit = integer(nest_.inner->extent);
  if (tile) {
    first = b_.CreateMul(tile, integer(nest_.tile));
    limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                     b_.CreateAdd(first, integer(nest_.tile)), limit);
  }
  Value* last_neighbour = nullptr;
  if (is_grouped)
    last_neighbour = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin,
                                              b_.CreateAdd(first_neighbour, integer(nest_.group)),
                                              integer(nest_.outer.back().extent));
  const auto lanes_body = [&] {
    const size_t lanes = scopes_.size() - 1;
    Value* at_lane = scopes_[lanes].counter;
    if (!is_grouped) {
      Value* start = at(lanes).CreateMul(outer, integer(nest_.inner->extent));
      store_offset_ = b_.CreateAdd(start, at_lane);
      return nest_.interleaved ? emit_interleaved() : emit_stores();
    }
    const NestAxis& axis = nest_.outer.back();
    const Loop loop = open(first_neighbour, last_neighbour, 1, VarMask{1} << axis.variable);
    at(scopes_.size() - 1);
    Value* line = b_.CreateAdd(b_.CreateMul(outer, integer(axis.extent)), loop.counter);
    store_offset_ = b_.CreateAdd(b_.CreateMul(line, integer(nest_.inner->extent)), at_lane);
    emit_stores();
    close(loop);
  };
  for_interior([&] { for_segments(first, limit, tile != nullptr, lanes_body); });
}

// The lanes of the inner axis from `first` to `limit` (a tile of it, or all), by segments in which
// conditions on the lane alone are decided.
void Emitter::for_segments(Value* first, Value* limit, bool is_tile,
                           const std::function<void()>& body) {
  const size_t s = scopes_.size() - 1;
  std::vector<int64_t> cuts = lane_cuts();
  const auto segments = static_cast<int64_t>(cuts.size()) + 1;
  const int64_t extent = nest_.inner->extent;
  cuts.push_back(extent);
  copies_ *= segments;
  int64_t low = 0;
  for (const int64_t high : cuts) {
    at(s);
    Value *from = first, *to = limit;
    if (low > 0) from = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, first, integer(low));
    if (high < extent) to = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, limit, integer(high));
    segment_ = ops::Interval{low, high - 1};
    const bool has_rest = (high - low) % nest_.lanes != 0 || (is_tile && segments > 1);
    for_lanes(from, to, VarMask{1} << nest_.inner->variable, has_rest, body);
    low = high;
  }
  segment_.reset();
  copies_ /= segments;
}

// Full vectors first, then one with the lanes that are left; nothing when limit <= first.
void Emitter::for_lanes(Value* first, Value* limit, VarMask variable, bool has_rest,
                        const std::function<void()>& body) {
  const size_t s = scopes_.size() - 1;
  const int64_t n = nest_.lanes;
  at(s);
  Value* full_limit = b_.CreateSub(limit, integer(n - 1));
  const auto* full = llvm::dyn_cast<llvm::ConstantInt>(full_limit);
  if (!full || full->getSExtValue() > 0) {
    const Loop loop = open(first, full_limit, n, variable);
    scopes_.back().lane = variable;
    body();
    close(loop);
  }
  if (!has_rest) return;
  at(s);
  Value* count =
      b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, b_.CreateSub(limit, first), integer(0));
  Value* done = b_.CreateAdd(first, b_.CreateSub(count, b_.CreateURem(count, integer(n))));
  const Loop loop = open(done, limit, n, variable);
  scopes_.back().lane = variable;
  at(s + 1);
  Value* left = b_.CreateTrunc(b_.CreateSub(limit, loop.counter), b_.getInt32Ty());
  scopes_.back().mask = b_.CreateICmpSLT(lane_numbers(32, 1), widened(left, nest_.lanes));
  body();
  close(loop);
}

void Emitter::emit_stores() {
  std::vector<Value*> results;
  Value* bad = nullptr;
  const size_t s = scopes_.size() - 1;
  for (ExprId root : nest_.roots) {
    results.push_back(value(root));
    bad = either(s, bad, poison(root));
  }
  at(s);
  const bool is_vector = nest_.inner.has_value();
  Value* active = mask();
  for (size_t k = 0; k < results.size(); ++k) {
    const DType type = nest_.pool.node(nest_.roots[k]).type;
    Value* v = results[k];
    if (is_vector) v = widened(v, nest_.lanes);
    v = to_memory(b_, type, v);
    Value* address = b_.CreateGEP(memory_type(b_, type), dst_[k], store_offset_);
    const llvm::Align align(size_of(type));
    if (active) b_.CreateMaskedStore(v, address, align, active);
    else b_.CreateAlignedStore(v, address, align);
  }
  report(bad);
}

// Vectors of all elements of the short axis, stored as one.
void Emitter::emit_interleaved() {
  const auto count = static_cast<unsigned>(nest_.interleaved->extent);
  const auto n = static_cast<unsigned>(nest_.lanes);
  std::vector<std::vector<Value*>> results(nest_.roots.size());
  Value* bad = nullptr;
  unroll(count, VarMask{1} << nest_.interleaved->variable, [&] {
    const size_t s = scopes_.size() - 1;
    for (size_t k = 0; k < nest_.roots.size(); ++k) {
      Value* v = value(nest_.roots[k]);
      bad = either(s, bad, poison(nest_.roots[k]));
      at(s);
      results[k].push_back(
          to_memory(b_, nest_.pool.node(nest_.roots[k]).type, widened(v, nest_.lanes)));
    }
  });
  at(scopes_.size() - 1);
  Value* offset = b_.CreateMul(store_offset_, integer(count));
  Value* active = mask();
  if (active)
    active = b_.CreateShuffleVector(
        active, llvm::createReplicatedMask(static_cast<int>(count), static_cast<int>(n)));
  for (size_t k = 0; k < nest_.roots.size(); ++k) {
    const DType type = nest_.pool.node(nest_.roots[k]).type;
    Value* v = b_.CreateShuffleVector(llvm::concatenateVectors(b_, results[k]),
                                      llvm::createInterleaveMask(n, count));
    Value* address = b_.CreateGEP(memory_type(b_, type), dst_[k], offset);
    const llvm::Align align(size_of(type));
    if (active) b_.CreateMaskedStore(v, address, align, active);
    else b_.CreateAlignedStore(v, address, align);
  }
  report(bad);
}

// Remembers that one of the lanes that count read outside a tensor.
void Emitter::report(Value* bad) {
  if (!bad) return;
  Value* active = mask();
  if (bad->getType()->isVectorTy()) {
    if (active) bad = b_.CreateAnd(bad, active);
    bad = b_.CreateOrReduce(bad);
  }
  Value* before = b_.CreateLoad(b_.getInt1Ty(), error_);
  b_.CreateStore(b_.CreateOr(before, bad), error_);
}

}  // namespace tessera::codegen
