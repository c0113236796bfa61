// SPDX-License-Identifier: Apache-2.0
// Index arithmetic: sums hoisted term by term, lanes in 32 bits where the numbers fit, and reads
// as plain, masked or gathering loads.
#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <algorithm>

#include "base/check.h"
#include "codegen/emit_scalar.h"
#include "codegen/emitter.h"

namespace tessera::codegen {

using ir::ExprKind;
using ir::ExprNode;
using ir::Prim;
using llvm::Value;
using ops::Affine;
using ops::Interval;

namespace {

// Tensors of which prefetching rows pays: larger than the caches near a core.
constexpr int64_t far_bytes = 2 << 20;
constexpr int64_t line_bytes = 64;

bool fits_i32(Interval range) { return range.within(INT32_MIN / 2, INT32_MAX / 2); }

}  // namespace

// 0, stride, 2·stride, …
Value* Emitter::lane_numbers(int bits, int64_t stride) {
  std::vector<llvm::Constant*> numbers;
  llvm::Type* type = b_.getIntNTy(static_cast<unsigned>(bits));
  for (int k = 0; k < nest_.lanes; ++k)
    numbers.push_back(llvm::ConstantInt::getSigned(type, k * stride));
  return llvm::ConstantVector::get(numbers);
}

// The sum of all terms that are one number for all lanes (the lane variable counts as that of the
// first lane), or null. Partial sums stay in the scopes of their variables.
Value* Emitter::scalar_sum(const Affine& affine) {
  std::map<size_t, Terms> by_scope;
  for (const auto& term : affine.terms) {
    const ExprNode& n = nest_.pool.node(term.first);
    if (n.kind == ExprKind::variable || !is_lane(nest_.masks[term.first]))
      by_scope[scope_of(nest_.masks[term.first])].push_back(term);
  }
  Value* base = nullptr;
  Terms key;
  for (const auto& [s, terms] : by_scope) {
    key.insert(key.end(), terms.begin(), terms.end());
    if (auto known = scopes_[s].sums.find(key); known != scopes_[s].sums.end()) {
      base = known->second;
      continue;
    }
    for (const auto& [atom, coefficient] : terms) {
      const ExprNode& n = nest_.pool.node(atom);
      Value* v = n.kind == ExprKind::variable ? counter(n.var) : value(atom);
      at(s);
      v = b_.CreateMul(v, integer(coefficient));
      base = base ? b_.CreateAdd(base, v) : v;
    }
    scopes_[s].sums.emplace(key, base);
  }
  return base;
}

Emitter::Index Emitter::index(const Affine& affine) {
  Index result;
  result.constant = affine.constant;
  result.scalar = scalar_sum(affine);
  std::vector<std::pair<ExprId, int64_t>> atoms;
  for (const auto& term : affine.terms) {
    if (!is_lane(nest_.masks[term.first])) continue;
    const Interval lane{0, nest_.lanes - 1};
    const bool is_variable = nest_.pool.node(term.first).kind == ExprKind::variable;
    if (is_variable) result.lane_stride = term.second;
    else atoms.push_back(term);
    Interval part = is_variable ? lane : nest_.analysis.interval(term.first);
    if (!part.bounded() || std::abs(term.second) > INT32_MAX)
      part = {-Interval::far, Interval::far};
    const auto ends = std::minmax({static_cast<__int128>(part.low) * term.second,
                                   static_cast<__int128>(part.high) * term.second});
    result.range.low =
        static_cast<int64_t>(std::max<__int128>(ends.first + result.range.low, -Interval::far));
    result.range.high =
        static_cast<int64_t>(std::min<__int128>(ends.second + result.range.high, Interval::far));
  }
  result.is_plain = atoms.empty();
  if (result.is_plain && result.lane_stride == 0) return result;
  const int bits = fits_i32(result.range) ? 32 : 64;
  llvm::Type* type = llvm::FixedVectorType::get(b_.getIntNTy(static_cast<unsigned>(bits)),
                                                static_cast<unsigned>(nest_.lanes));
  result.vector = lane_numbers(bits, result.lane_stride);
  VarMask all = 0;
  for (const auto& atom : atoms) {
    all |= nest_.masks[atom.first];
    Value* v = narrow_value(atom.first);
    at(scope_of(all));
    v = b_.CreateMul(b_.CreateSExtOrTrunc(v, type),
                     llvm::ConstantInt::getSigned(type, atom.second));
    result.vector = b_.CreateAdd(result.vector, v);
  }
  return result;
}

// A vector of an i64 node in 32 bits where its numbers fit, in 64 otherwise.
Value* Emitter::narrow_value(ExprId id) {
  const size_t s = scope_of(nest_.masks[id]);
  if (auto known = scopes_[s].narrow.find(id); known != scopes_[s].narrow.end())
    return known->second;
  const ExprNode& n = nest_.pool.node(id);
  Value* v = nullptr;
  const bool divides =
      n.kind == ExprKind::primitive && (n.prim == Prim::floor_div || n.prim == Prim::mod);
  const Affine* divisor = divides ? &nest_.analysis.affine(n.args[1]) : nullptr;
  const Interval range = divides ? nest_.analysis.interval(n.args[0]) : Interval{0, 0};
  if (divides && divisor->terms.empty() && divisor->constant > 0 &&
      divisor->constant <= INT32_MAX && fits_i32(range)) {
    const Index part = index(nest_.analysis.affine(n.args[0]));
    at(s);
    llvm::Type* i32 = b_.getInt32Ty();
    Value* offset =
        part.scalar ? b_.CreateAdd(part.scalar, integer(part.constant)) : integer(part.constant);
    v = widened(b_.CreateTrunc(offset, i32), nest_.lanes);
    if (part.vector) v = b_.CreateAdd(v, b_.CreateSExtOrTrunc(part.vector, v->getType()));
    Value* by = llvm::ConstantInt::getSigned(v->getType(), divisor->constant);
    v = emit_primitive(b_, n.prim, DType::i32, v, by, range.low >= 0);
  } else {
    v = value(id);
    at(s);
    v = widened(v, nest_.lanes);
    if (fits_i32(nest_.analysis.interval(id)))
      v = b_.CreateTrunc(
          v, llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(nest_.lanes)));
  }
  scopes_[s].narrow.emplace(id, v);
  return v;
}

Value* Emitter::affine_value(const Affine& affine, size_t s) {
  const Index part = index(affine);
  at(s);
  Value* v =
      part.scalar ? b_.CreateAdd(part.scalar, integer(part.constant)) : integer(part.constant);
  if (!part.vector) return v;
  v = widened(v, nest_.lanes);
  return b_.CreateAdd(v, b_.CreateSExt(part.vector, v->getType()));
}

// room >= 0. The limit is brought into the range of the vector part, so that it fits its bits.
Value* Emitter::compare(const Affine& room, size_t s) {
  const Index part = index(room);
  at(s);
  Value* total =
      part.scalar ? b_.CreateAdd(part.scalar, integer(part.constant)) : integer(part.constant);
  if (!part.vector) return b_.CreateICmpSGE(total, integer(0));
  Value* limit = b_.CreateNeg(total);
  limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, limit, integer(part.range.low));
  limit = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, limit, integer(part.range.high + 1));
  llvm::Type* type = part.vector->getType()->getScalarType();
  limit = widened(b_.CreateTrunc(limit, type), nest_.lanes);
  return b_.CreateICmpSGE(part.vector, limit);
}

// 0 <= vector + offset < size, by lane.
Value* Emitter::between(Value* vector, Interval range, Value* offset, int64_t size) {
  const auto limit = [&](int64_t bound) {
    Value* v = b_.CreateSub(integer(bound), offset);
    v = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, v, integer(range.low));
    v = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, v, integer(range.high + 1));
    auto* type = llvm::cast<llvm::FixedVectorType>(vector->getType());
    return widened(b_.CreateTrunc(v, type->getElementType()),
                   static_cast<int>(type->getNumElements()));
  };
  Value* low = b_.CreateICmpSGE(vector, limit(0));
  return b_.CreateAnd(low, b_.CreateICmpSLT(vector, limit(size)));
}

// A read that a guard may keep inside its tensor is masked by its own bounds: what it gives in
// other lanes is never used, but it must not fault.
Value* Emitter::read(ExprId id, size_t s) {
  const ExprNode& n = nest_.pool.node(id);
  const Shape& shape = nest_.inputs[n.input];
  const int64_t size = *element_count(shape);
  if (size == 0) return llvm::Constant::getNullValue(register_type(b_, n.type, 0));
  bool is_safe = true;
  for (size_t axis = 0; axis < n.args.size(); ++axis)
    is_safe = is_safe && nest_.analysis.interval(n.args[axis]).within(0, shape[axis] - 1);
  // A guard that is a branch around the read, or decided, needs no mask.
  is_safe = is_safe || (soft_conditions_ == 0 && !nest_.unproven.contains(id));
  const Index part = index(nest_.analysis.offset(n, shape));
  at(s);
  llvm::Type* type = memory_type(b_, n.type);
  const llvm::Align align(size_of(n.type));
  Value* offset =
      part.scalar ? b_.CreateAdd(part.scalar, integer(part.constant)) : integer(part.constant);
  if (!part.vector) {
    if (!is_safe)
      offset = b_.CreateSelect(b_.CreateICmpULT(offset, integer(size)), offset, integer(0));
    Value* address = b_.CreateGEP(type, src_[n.input], offset);
    return from_memory(b_, n.type, b_.CreateAlignedLoad(type, address, align));
  }
  Value* active = mask();
  const bool is_contiguous = part.is_plain && part.lane_stride == 1;
  if (is_strided(part)) return from_memory(b_, n.type, strided_load(n, part, offset, size));
  if (!is_safe) {
    // Bytes suffice for the numbers of lanes.
    Value* inside = is_contiguous ? between(lane_numbers(8, 1), {0, nest_.lanes - 1}, offset, size)
                                  : between(part.vector, part.range, offset, size);
    active = active ? b_.CreateAnd(active, inside) : inside;
  }
  auto* vector_type = llvm::FixedVectorType::get(type, static_cast<unsigned>(nest_.lanes));
  Value* zero = llvm::Constant::getNullValue(vector_type);
  Value* address = b_.CreateGEP(type, src_[n.input], offset);
  Value* loaded = nullptr;
  if (is_contiguous) {
    prefetch_next_row(id, address);
    loaded = active ? b_.CreateMaskedLoad(vector_type, address, align, active, zero)
                    : static_cast<Value*>(b_.CreateAlignedLoad(vector_type, address, align));
  } else {
    Value* addresses = b_.CreateGEP(type, address, part.vector);
    loaded = b_.CreateMaskedGather(vector_type, addresses, align, active, active ? zero : nullptr);
  }
  return from_memory(b_, n.type, loaded);
}

// Of loops over one row the first waits for memory and the last for its stores, while those between
// compute. So the second asks for what the first will read of the next row, and the first for the
// places that the last will write.
void Emitter::prefetch_next_row(ExprId id, Value* address) {
  const ExprNode& n = nest_.pool.node(id);
  const auto element = static_cast<int64_t>(size_of(n.type));
  if (!reuse_.again.contains(id) || nest_.outer.empty() ||
      *element_count(nest_.inputs[n.input]) * element < far_bytes)
    return;
  const VarMask next = VarMask{1} << nest_.outer.back().variable;
  int64_t stride = 0;
  for (const auto& [term, coefficient] : nest_.analysis.offset(n, nest_.inputs[n.input]).terms)
    if (nest_.masks[term] == next) stride = coefficient;
  if (stride == 0) return;
  prefetch(b_.CreateGEP(b_.getInt8Ty(), address, integer(stride * element)), nest_.lanes * element,
           false);
}

void Emitter::prefetch_own_row(ExprId reduce) {
  constexpr size_t rows = 1;
  if (reuse_.first != reduce || nest_.roots.size() != 1 || scopes_.size() != rows + 2) return;
  const DType type = nest_.pool.node(nest_.roots[0]).type;
  const auto element = static_cast<int64_t>(size_of(type));
  if (*element_count(nest_.shape) * element < far_bytes) return;
  at(scopes_.size() - 1);
  Value* first = b_.CreateMul(scopes_[rows].counter, integer(nest_.inner->extent));
  Value* place = b_.CreateAdd(first, scopes_.back().counter);
  prefetch(b_.CreateGEP(memory_type(b_, type), dst_[0], place), nest_.lanes * element, true);
}

void Emitter::prefetch(Value* address, int64_t bytes, bool to_write) {
  for (int64_t at = 0; at < bytes; at += line_bytes) {
    Value* place = b_.CreateGEP(b_.getInt8Ty(), address, integer(at));
    b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {place->getType()},
                       {place, b_.getInt32(to_write ? 1 : 0), b_.getInt32(3), b_.getInt32(1)});
  }
}

// Small strides: everything in between is loaded, as far as the tensor goes, and every k-th kept.
bool Emitter::is_strided(const Index& part) const {
  return part.is_plain && part.lane_stride > 1 && part.lane_stride * nest_.lanes <= 64;
}

Value* Emitter::strided_load(const ExprNode& n, const Index& part, Value* offset, int64_t size) {
  llvm::Type* type = memory_type(b_, n.type);
  const auto count = static_cast<unsigned>(part.lane_stride * nest_.lanes);
  std::vector<llvm::Constant*> numbers;
  for (unsigned k = 0; k < count; ++k) numbers.push_back(b_.getInt8(static_cast<uint8_t>(k)));
  Value* inside = between(llvm::ConstantVector::get(numbers), {0, count - 1}, offset, size);
  auto* wide = llvm::FixedVectorType::get(type, count);
  Value* all =
      b_.CreateMaskedLoad(wide, b_.CreateGEP(type, src_[n.input], offset),
                          llvm::Align(size_of(n.type)), inside, llvm::Constant::getNullValue(wide));
  std::vector<int> kept;
  for (int k = 0; k < nest_.lanes; ++k) kept.push_back(k * static_cast<int>(part.lane_stride));
  return b_.CreateShuffleVector(all, kept);
}

Value* Emitter::outside(Value* index, int64_t extent, size_t s) {
  at(s);
  return b_.CreateICmpUGE(index, llvm::ConstantInt::getSigned(index->getType(), extent));
}

}  // namespace tessera::codegen
