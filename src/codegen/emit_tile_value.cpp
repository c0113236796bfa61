// SPDX-License-Identifier: Apache-2.0
// Expressions of tile programs: one value where nothing varies over lanes, a vector elsewhere.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "codegen/emit_scalar.h"
#include "codegen/emit_tile.h"
#include "ir/scalar_eval.h"

namespace tessera::codegen {

using llvm::Value;
using tile::AxisId;
using tile::Kind;
using tile::Node;
using tile::NodeId;
using tile::Place;

namespace {

bool is_vector(const Value* v) { return v->getType()->isVectorTy(); }

llvm::FixedVectorType* one_lane(llvm::Type* type) { return llvm::FixedVectorType::get(type, 1); }

constexpr int accumulators = 4;  // hide the latency of an addition

}  // namespace

Value* TileEmitter::lane_numbers() {
  std::vector<llvm::Constant*> numbers;
  for (int k = 0; k < lanes_; ++k) numbers.push_back(b_.getInt64(static_cast<uint64_t>(k)));
  return llvm::ConstantVector::get(numbers);
}

Value* TileEmitter::widened_to_lanes(Value* v) { return splat(b_, v, lanes_); }

Value* TileEmitter::widened(Value* v) { return lane_.axis == tile::none ? v : widened_to_lanes(v); }

Value* TileEmitter::value(NodeId id) {
  for (size_t k = known_.size(); k-- > 0;)
    if (const auto at = known_[k].find(id); at != known_[k].end()) return at->second;
  Value* v = make(id);
  known_.back().emplace(id, v);
  return v;
}

Value* TileEmitter::make(NodeId id) {
  const Node& n = p_.nodes[id];
  switch (n.kind) {
    case Kind::constant: return constant(b_, n.type, n.bits);
    case Kind::size: break;
    case Kind::index: return index(places_.place(id));
    case Kind::program_id: return blocks_[n.target].number;
    case Kind::load: return load(n);
    case Kind::variable: return read_cell(variables_[n.target], n.type);
    case Kind::primitive: return primitive(n);
    case Kind::cast: return emit_cast(b_, p_.nodes[n.args[0]].type, n.type, value(n.args[0]));
    case Kind::reduce:
    case Kind::dot: return reduce(n);
  }
  TESSERA_CHECK(false, "{}: a size is not known", p_.name);
  return nullptr;
}

// A comparison of places that are one apart from lane to lane: lane numbers in 32 bits against a
// limit. Null for other comparisons.
Value* TileEmitter::compare_lanes(const Node& n) {
  const bool orders = n.prim == ir::Prim::lt || n.prim == ir::Prim::le;
  if (!orders || lane_.axis == tile::none || p_.nodes[n.args[0]].type != DType::i64) return nullptr;
  Place room = places_.place(n.args[1]);  // not negative where it holds
  room.add(places_.place(n.args[0]), -1);
  if (n.prim == ir::Prim::lt) --room.constant;
  const auto at = room.factors.find(lane_.axis);
  if (at == room.factors.end() || std::abs(at->second) != 1) return nullptr;
  for (const auto& [node, factor] : room.rest)
    if (places_.depends(node, lane_.axis)) return nullptr;
  Value* first = first_index(room);
  const bool falls = at->second < 0;  // lanes up to `first`, else from −first on
  Value* limit = falls ? first : b_.CreateNeg(first);
  limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, limit, number(-1));
  limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, limit, number(lanes_));
  limit = widened_to_lanes(b_.CreateTrunc(limit, b_.getInt32Ty()));
  std::vector<llvm::Constant*> numbers;
  for (int k = 0; k < lanes_; ++k) numbers.push_back(b_.getInt32(static_cast<uint32_t>(k)));
  Value* lanes = llvm::ConstantVector::get(numbers);
  return falls ? b_.CreateICmpSLE(lanes, limit) : b_.CreateICmpSGE(lanes, limit);
}

Value* TileEmitter::primitive(const Node& n) {
  if (Value* v = compare_lanes(n)) return v;
  std::vector<Value*> args;
  bool wide = false;
  for (NodeId a : n.args) {
    args.push_back(value(a));
    wide = wide || is_vector(args.back());
  }
  if (wide)
    for (Value*& v : args) v = widened(v);
  if (n.prim == ir::Prim::select) return b_.CreateSelect(args[0], args[1], args[2]);
  return emit_primitive(b_, n.prim, p_.nodes[n.args[0]].type, args[0],
                        args.size() > 1 ? args[1] : nullptr);
}

// The place in the first lane.
Value* TileEmitter::first_index(const Place& place) {
  Value* sum = number(place.constant);
  for (const auto& [axis, factor] : place.factors)
    sum = b_.CreateAdd(sum, b_.CreateMul(elements_[axis], number(factor)));
  for (const auto& [node, factor] : place.rest)
    if (Value* v = value(node); !is_vector(v))
      sum = b_.CreateAdd(sum, b_.CreateMul(v, number(factor)));
  return sum;
}

Value* TileEmitter::index(const Place& place) {
  Value* sum = first_index(place);
  if (lane_.axis == tile::none) return sum;
  if (const auto at = place.factors.find(lane_.axis); at != place.factors.end())
    sum = b_.CreateAdd(widened(sum),
                       b_.CreateMul(lane_numbers(), widened_to_lanes(number(at->second))));
  for (const auto& [node, factor] : place.rest)
    if (Value* v = value(node); is_vector(v))
      sum = b_.CreateAdd(widened(sum), b_.CreateMul(v, widened_to_lanes(number(factor))));
  return sum;
}

Value* TileEmitter::both(Value* a, Value* b) {
  if (!a) return b;
  if (!b) return a;
  if (is_vector(a) || is_vector(b)) a = widened(a), b = widened(b);
  return b_.CreateAnd(a, b);
}

// Where indices are not known to lie inside: whether they do (else null). Notes where they do not
// although the mask holds.
Value* TileEmitter::inside(uint32_t param, std::span<const NodeId> indices, NodeId mask,
                           Value* active) {
  Value* all = nullptr;
  for (size_t k = 0; k < indices.size(); ++k) {
    const Place place = places_.place(indices[k]);
    const int64_t size = places_.shape(param)[k];
    if (places_.is_inside(place, size, mask)) continue;
    Value* at = index(place);
    all = both(all, b_.CreateICmpULT(at, llvm::ConstantInt::getSigned(at->getType(), size)));
  }
  if (!all) return nullptr;
  Value* wrong = both(b_.CreateNot(all), active);
  if (is_vector(wrong)) {
    if (lane_.mask) wrong = b_.CreateAnd(wrong, lane_.mask);
    wrong = b_.CreateOrReduce(wrong);
  }
  b_.CreateStore(b_.CreateOr(b_.CreateLoad(b_.getInt1Ty(), bad_), wrong), bad_);
  return all;
}

Value* TileEmitter::load(const Node& n) {
  const auto indices = std::span(n.args).first(n.args.size() - (n.masked ? 1 : 0));
  Value* active = n.masked ? value(n.args.back()) : nullptr;
  active = both(active, inside(n.target, indices, n.masked ? n.args.back() : tile::none, active));
  return load_at(n.type, memory_[n.target], places_.offset(n.target, indices), active);
}

bool TileEmitter::is_neighbours(const Place& place) const {
  const auto at = place.factors.find(lane_.axis);
  return at != place.factors.end() && at->second == 1 &&
         std::none_of(place.rest.begin(), place.rest.end(),
                      [&](const auto& term) { return places_.depends(term.first, lane_.axis); });
}

// Zero where `active` (null: always) does not hold.
Value* TileEmitter::load_at(DType type, Value* base, const Place& place, Value* active) {
  llvm::Type* element = memory_type(b_, type);
  const llvm::Align align(size_of(type));
  const bool wide = lane_.axis != tile::none &&
                    (places_.depends(place, lane_.axis) || (active && is_vector(active)));
  if (!wide) {
    Value* address = b_.CreateGEP(element, base, first_index(place));
    if (!active) return from_memory(b_, type, b_.CreateAlignedLoad(element, address, align));
    Value* one =
        b_.CreateMaskedLoad(one_lane(element), address, align, b_.CreateVectorSplat(1, active),
                            llvm::Constant::getNullValue(one_lane(element)));
    return from_memory(b_, type, b_.CreateExtractElement(one, uint64_t{0}));
  }
  if (active) active = widened(active);
  active = both(active, lane_.mask);
  auto* vector = llvm::FixedVectorType::get(element, static_cast<unsigned>(lanes_));
  Value* zero = llvm::Constant::getNullValue(vector);
  Value* loaded = nullptr;
  if (is_neighbours(place)) {
    Value* address = b_.CreateGEP(element, base, first_index(place));
    loaded = active ? b_.CreateMaskedLoad(vector, address, align, active, zero)
                    : static_cast<Value*>(b_.CreateAlignedLoad(vector, address, align));
  } else {
    Value* addresses = b_.CreateGEP(element, base, widened(index(place)));
    loaded = b_.CreateMaskedGather(vector, addresses, align, active, active ? zero : nullptr);
  }
  return from_memory(b_, type, loaded);
}

void TileEmitter::store_at(DType type, Value* base, const Place& place, Value* active, Value* v) {
  llvm::Type* element = memory_type(b_, type);
  const llvm::Align align(size_of(type));
  const bool wide = lane_.axis != tile::none && (places_.depends(place, lane_.axis) ||
                                                 is_vector(v) || (active && is_vector(active)));
  if (!wide) {
    Value* address = b_.CreateGEP(element, base, first_index(place));
    v = to_memory(b_, type, v);
    if (!active) {
      b_.CreateAlignedStore(v, address, align);
    } else {
      Value* one =
          b_.CreateInsertElement(llvm::PoisonValue::get(one_lane(element)), v, uint64_t{0});
      b_.CreateMaskedStore(one, address, align, b_.CreateVectorSplat(1, active));
    }
    return;
  }
  if (active) active = widened(active);
  active = both(active, lane_.mask);
  v = to_memory(b_, type, widened(v));
  if (is_neighbours(place)) {
    Value* address = b_.CreateGEP(element, base, first_index(place));
    if (active) b_.CreateMaskedStore(v, address, align, active);
    else b_.CreateAlignedStore(v, address, align);
  } else {
    b_.CreateMaskedScatter(v, b_.CreateGEP(element, base, widened(index(place))), align, active);
  }
}

// Element of an array of a variable in the current blocks, from a base that may lie before it.
Place TileEmitter::cell_place(const Cell& cell, Value*& base, llvm::Type* element) {
  Place place;
  Value* before = number(0);
  for (size_t k = 0; k < cell.axes.size(); ++k) {
    place.factors[cell.axes[k]] = cell.strides[k];
    before =
        b_.CreateAdd(before, b_.CreateMul(blocks_[cell.axes[k]].first, number(-cell.strides[k])));
  }
  base = b_.CreateGEP(element, base, before);
  return place;
}

Value* TileEmitter::read_cell(const Cell& cell, DType type) {
  llvm::Type* element = cell.memory->getAllocatedType();
  if (cell.axes.empty()) return b_.CreateLoad(element, cell.memory);
  Value* base = cell.memory;
  const Place place = cell_place(cell, base, element);
  if (!cell.is_wide) return load_at(type, base, place, nullptr);
  Value* address = b_.CreateGEP(element, base, first_index(place));
  return from_memory(b_, type, b_.CreateLoad(element, address));
}

void TileEmitter::write_cell(const Cell& cell, DType type, Value* to, Value* v) {
  llvm::Type* element = cell.memory->getAllocatedType();
  const Place place = cell_place(cell, to, element);
  if (!cell.is_wide) return store_at(type, to, place, nullptr, v);
  Value* address = b_.CreateGEP(element, to, first_index(place));
  b_.CreateStore(to_memory(b_, type, widened(v)), address);
}

bool TileEmitter::reads_itself(NodeId id, uint32_t variable, bool reduced) const {
  const Node& n = p_.nodes[id];
  if (n.kind == Kind::variable) return reduced && n.target == variable;
  reduced = reduced || n.kind == Kind::reduce || n.kind == Kind::dot;
  return std::any_of(n.args.begin(), n.args.end(),
                     [&](NodeId a) { return reads_itself(a, variable, reduced); });
}

void TileEmitter::hoist(NodeId id, const Axes& inner, std::set<NodeId>& seen) {
  const Node& n = p_.nodes[id];
  if (n.kind == Kind::constant || n.kind == Kind::index || !seen.insert(id).second) return;
  const bool inside =
      std::any_of(n.axes.begin(), n.axes.end(), [&](AxisId a) { return inner.contains(a); });
  if (!inside) {
    value(id);
    return;
  }
  Axes deeper = inner;
  deeper.insert(n.reduced.begin(), n.reduced.end());
  for (NodeId a : n.args) hoist(a, deeper, seen);
}

Value* TileEmitter::reduce(const Node& n) {
  const Lane outer = lane_;
  const bool wide =
      lane_.axis != tile::none && std::binary_search(n.axes.begin(), n.axes.end(), lane_.axis);
  std::vector<AxisId> axes = n.reduced;
  AxisId lane = tile::none;
  if (!wide) {
    lane_ = {};
    lane = best_lane(axes, [&](AxisId a) {
      double total = 0;
      for (NodeId arg : n.args) total += places_.score(a, arg);
      return total;
    });
  }
  const AxisId innermost = lane != tile::none ? lane : axes.back();
  axes.erase(std::find(axes.begin(), axes.end(), innermost));
  const int width = wide || lane != tile::none ? lanes_ : 0;
  const int step = lane != tile::none ? lanes_ : 1;
  const int copies = block_size(p_, schedule_, innermost) >= accumulators * step ? accumulators : 1;
  const auto kind = n.kind == Kind::dot ? ir::Reduction::sum : n.reduction;
  const ir::Scalar start = ir::identity(kind, n.type);
  Value* first =
      constant(b_, n.type, is_float(n.type) ? std::bit_cast<int64_t>(start.real) : start.integer);
  std::vector<llvm::AllocaInst*> totals;
  for (int k = 0; k < copies; ++k) {
    totals.push_back(new_cell(register_type(b_, n.type, width)));
    b_.CreateStore(splat(b_, first, width), totals.back());
  }
  for_axes(axes, tile::none, n.args, {innermost}, [&] {
    for_steps(innermost, step, copies, [&](int copy) { accumulate(n, totals[copy]); });
  });
  const ir::Prim combine = ir::combiner(kind);
  Value* total = nullptr;
  for (llvm::AllocaInst* part : totals) {
    Value* v = b_.CreateLoad(part->getAllocatedType(), part);
    total = total ? emit_primitive(b_, combine, n.type, total, v) : v;
  }
  lane_ = outer;
  return lane != tile::none ? emit_horizontal(b_, combine, n.type, total) : total;
}

void TileEmitter::accumulate(const Node& n, llvm::AllocaInst* total) {
  const bool is_sum = n.kind == Kind::dot || n.reduction == ir::Reduction::sum;
  const Node* product = &n;
  if (n.kind == Kind::reduce) product = &p_.nodes[n.args[0]];
  const bool fused =
      is_sum && is_float(n.type) &&
      (n.kind == Kind::dot || (product->kind == Kind::primitive && product->prim == ir::Prim::mul));
  Value* x = value(fused ? product->args[0] : n.args[0]);
  Value* y = fused || n.kind == Kind::dot ? value(product->args[1]) : nullptr;
  llvm::Type* type = total->getAllocatedType();
  if (type->isVectorTy()) {
    x = widened_to_lanes(x);
    if (y) y = widened_to_lanes(y);
  }
  Value* before = b_.CreateLoad(type, total);
  Value* after = nullptr;
  if (fused) {
    after = b_.CreateIntrinsic(llvm::Intrinsic::fmuladd, {type}, {x, y, before});
  } else {
    if (y) x = emit_primitive(b_, ir::Prim::mul, n.type, x, y);
    const auto kind = n.kind == Kind::dot ? ir::Reduction::sum : n.reduction;
    after = emit_primitive(b_, ir::combiner(kind), n.type, before, x);
  }
  if (lane_.mask && type->isVectorTy()) after = b_.CreateSelect(lane_.mask, after, before);
  b_.CreateStore(after, total);
}

}  // namespace tessera::codegen
