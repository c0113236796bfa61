// SPDX-License-Identifier: Apache-2.0
// Primitives and casts in LLVM instructions.
#include "codegen/emit_scalar.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/Module.h>

#include <bit>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "codegen/emit_math.h"
#include "ir/scalar_eval.h"

namespace tessera::codegen {
namespace {

using ir::Prim;
using llvm::IRBuilderBase;
using llvm::Type;
using llvm::Value;
using llvm::Intrinsic::ID;
namespace Intrinsic = llvm::Intrinsic;

int lanes_of(const Value* v) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return vector ? static_cast<int>(vector->getNumElements()) : 0;
}

// `type` with as many lanes as `like`.
Type* shaped(Type* type, const Value* like) {
  const int n = lanes_of(like);
  return n ? llvm::FixedVectorType::get(type, static_cast<unsigned>(n)) : type;
}

Value* fixed(const Value* like, double value) {
  return llvm::ConstantFP::get(like->getType(), value);
}
Value* fixed_int(const Value* like, int64_t value) {
  return llvm::ConstantInt::getSigned(like->getType(), value);
}
Value* unary(IRBuilderBase& b, ID id, Value* x) { return b.CreateUnaryIntrinsic(id, x); }
Value* is_nan(IRBuilderBase& b, Value* x) { return b.CreateFCmpUNO(x, x); }

// A constant that is no NaN, alike in all lanes.
bool is_number(const Value* v) {
  const auto* known = llvm::dyn_cast<llvm::Constant>(v);
  if (known && known->getType()->isVectorTy()) known = known->getSplatValue();
  const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(known);
  return number && !number->getValueAPF().isNaN();
}

// The processor's instruction gives its second operand where either is a NaN, so a bound that is a
// number comes first and needs no more. Which zero is the larger one no record says.
Value* extreme(IRBuilderBase& b, bool least, Value* x, Value* y) {
  const bool is_bound = is_number(y);
  if (is_bound) std::swap(x, y);
  Value* chosen = b.CreateSelect(least ? b.CreateFCmpOLT(x, y) : b.CreateFCmpOGT(x, y), x, y);
  return is_bound || is_number(x) ? chosen : b.CreateSelect(is_nan(b, x), x, chosen);
}

// f32 quotients are rounded and may reach the next integer: computed in f64.
Value* floored_quotient(IRBuilderBase& b, Value* x, Value* y) {
  Type* wide = shaped(b.getDoubleTy(), x);
  Value* exact = b.CreateFDiv(b.CreateFPExt(x, wide), b.CreateFPExt(y, wide));
  Value* q = unary(b, Intrinsic::floor, exact);
  return b.CreateFPTrunc(q, x->getType());
}

Value* floored_remainder(IRBuilderBase& b, Value* x, Value* y) {
  Value* r = emit_math(b, Prim::fmod, x, y);
  Value* zero = fixed(x, 0);
  Value* differ = b.CreateXor(b.CreateFCmpOLT(r, zero), b.CreateFCmpOLT(y, zero));
  Value* adjust = b.CreateAnd(b.CreateFCmpUNE(r, zero), differ);
  return b.CreateSelect(adjust, b.CreateFAdd(r, y), r);
}

Value* real_primitive(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  switch (prim) {
    case Prim::neg: return b.CreateFNeg(x);
    case Prim::abs: return unary(b, Intrinsic::fabs, x);
    case Prim::sign: {
      Value* negative = b.CreateSelect(b.CreateFCmpOLT(x, fixed(x, 0)), fixed(x, -1), x);
      return b.CreateSelect(b.CreateFCmpOGT(x, fixed(x, 0)), fixed(x, 1), negative);
    }
    case Prim::floor: return unary(b, Intrinsic::floor, x);
    case Prim::ceil: return unary(b, Intrinsic::ceil, x);
    case Prim::round: return unary(b, Intrinsic::roundeven, x);
    case Prim::trunc: return unary(b, Intrinsic::trunc, x);
    case Prim::sqrt: return unary(b, Intrinsic::sqrt, x);
    case Prim::is_nan: return is_nan(b, x);
    case Prim::add: return b.CreateFAdd(x, y);
    case Prim::sub: return b.CreateFSub(x, y);
    case Prim::mul: return b.CreateFMul(x, y);
    case Prim::div: return b.CreateFDiv(x, y);
    case Prim::floor_div: return floored_quotient(b, x, y);
    case Prim::mod: return floored_remainder(b, x, y);
    case Prim::min:
    case Prim::max: return extreme(b, prim == Prim::min, x, y);
    case Prim::eq: return b.CreateFCmpOEQ(x, y);
    case Prim::ne: return b.CreateFCmpUNE(x, y);
    case Prim::lt: return b.CreateFCmpOLT(x, y);
    case Prim::le: return b.CreateFCmpOLE(x, y);
    case Prim::exp:
    case Prim::expm1:
    case Prim::log:
    case Prim::log1p:
    case Prim::sin:
    case Prim::cos:
    case Prim::asin:
    case Prim::acos:
    case Prim::atan:
    case Prim::tanh:
    case Prim::erf:
    case Prim::fmod:
    case Prim::pow: return emit_math(b, prim, x, y);
    case Prim::logical_not:
    case Prim::bit_not:
    case Prim::logical_and:
    case Prim::logical_or:
    case Prim::bit_and:
    case Prim::bit_or:
    case Prim::bit_xor:
    case Prim::shift_left:
    case Prim::shift_right:
    case Prim::select: break;
  }
  TESSERA_CHECK(false, "{} of floats", to_string(prim));
  return nullptr;
}

// Quotient and remainder toward zero; dividing by zero gives 0 and 0, and the lowest number by −1
// wraps.
std::pair<Value*, Value*> divide(IRBuilderBase& b, Value* x, Value* y, bool is_signed) {
  Value* zero = fixed_int(x, 0);
  const auto* known = llvm::dyn_cast<llvm::Constant>(y);
  const auto* number = known ? llvm::dyn_cast_or_null<llvm::ConstantInt>(
                                   known->getType()->isVectorTy() ? known->getSplatValue() : known)
                             : nullptr;
  const bool is_safe = number && !number->isZero() && !number->isMinusOne();
  Value* by_zero = is_safe ? nullptr : b.CreateICmpEQ(y, zero);
  Value* by_minus_one = is_safe || !is_signed ? nullptr : b.CreateICmpEQ(y, fixed_int(y, -1));
  Value* unsafe = by_minus_one ? b.CreateOr(by_zero, by_minus_one) : by_zero;
  Value* divisor = unsafe ? b.CreateSelect(unsafe, fixed_int(y, 1), y) : y;
  Value* q = is_signed ? b.CreateSDiv(x, divisor) : b.CreateUDiv(x, divisor);
  if (by_minus_one) q = b.CreateSelect(by_minus_one, b.CreateNeg(x), q);
  if (by_zero) q = b.CreateSelect(by_zero, zero, q);
  Value* r = b.CreateSub(x, b.CreateMul(q, y));
  if (by_zero) r = b.CreateSelect(by_zero, zero, r);
  return {q, r};
}

Value* floored(IRBuilderBase& b, Prim prim, Value* x, Value* y, bool is_signed) {
  const auto [q, r] = divide(b, x, y, is_signed);
  if (!is_signed) return prim == Prim::mod ? r : q;
  Value* zero = fixed_int(x, 0);
  Value* differ = b.CreateICmpSLT(b.CreateXor(r, y), zero);
  Value* adjust = b.CreateAnd(b.CreateICmpNE(r, zero), differ);
  if (prim == Prim::mod) return b.CreateSelect(adjust, b.CreateAdd(r, y), r);
  return b.CreateSelect(adjust, b.CreateSub(q, fixed_int(x, 1)), q);
}

Value* shifted(IRBuilderBase& b, Prim prim, Value* x, Value* count, bool is_signed) {
  const int64_t width = x->getType()->getScalarSizeInBits();
  Value* valid = b.CreateICmpULT(count, fixed_int(x, width));
  Value* safe = b.CreateSelect(valid, count, fixed_int(x, 0));
  if (prim == Prim::shift_left) return b.CreateSelect(valid, b.CreateShl(x, safe), fixed_int(x, 0));
  if (!is_signed) return b.CreateSelect(valid, b.CreateLShr(x, safe), fixed_int(x, 0));
  return b.CreateAShr(x, b.CreateSelect(valid, count, fixed_int(x, width - 1)));
}

int64_t integer_power(int64_t base, int64_t exponent) {
  return ir::apply(Prim::pow, DType::i64, ir::Scalar::of_integer(base),
                   ir::Scalar::of_integer(exponent))
      .integer;
}

Value* powered(IRBuilderBase& b, Value* x, Value* y, bool is_signed) {
  Type* i64 = b.getInt64Ty();
  llvm::FunctionCallee callee =
      b.GetInsertBlock()->getModule()->getOrInsertFunction("tessera_integer_power", i64, i64, i64);
  const auto one = [&](Value* base, Value* exponent) {
    Value* wide = b.CreateCall(
        callee, {b.CreateIntCast(base, i64, is_signed), b.CreateIntCast(exponent, i64, is_signed)});
    return b.CreateIntCast(wide, base->getType(), is_signed);
  };
  const int n = lanes_of(x);
  if (!n) return one(x, y);
  Value* result = llvm::PoisonValue::get(x->getType());
  for (int k = 0; k < n; ++k)
    result = b.CreateInsertElement(
        result, one(b.CreateExtractElement(x, k), b.CreateExtractElement(y, k)), k);
  return result;
}

Value* integer_primitive(IRBuilderBase& b, Prim prim, Value* x, Value* y, bool is_signed) {
  Value* zero = fixed_int(x, 0);
  const auto flag = [&](Value* v) { return b.CreateICmpNE(v, zero); };
  switch (prim) {
    case Prim::neg: return b.CreateNeg(x);
    case Prim::abs: return is_signed ? b.CreateBinaryIntrinsic(Intrinsic::abs, x, b.getFalse()) : x;
    case Prim::sign: {
      Value* one = b.CreateZExt(flag(x), x->getType());
      return is_signed ? b.CreateSelect(b.CreateICmpSLT(x, zero), fixed_int(x, -1), one) : one;
    }
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return x;
    case Prim::logical_not: return b.CreateICmpEQ(x, zero);
    case Prim::bit_not: return b.CreateNot(x);
    case Prim::is_nan: return llvm::Constant::getNullValue(shaped(b.getInt1Ty(), x));
    case Prim::add: return b.CreateAdd(x, y);
    case Prim::sub: return b.CreateSub(x, y);
    case Prim::mul: return b.CreateMul(x, y);
    case Prim::div: return divide(b, x, y, is_signed).first;
    case Prim::fmod: return divide(b, x, y, is_signed).second;
    case Prim::floor_div:
    case Prim::mod: return floored(b, prim, x, y, is_signed);
    case Prim::pow: return powered(b, x, y, is_signed);
    case Prim::min:
      return b.CreateBinaryIntrinsic(is_signed ? Intrinsic::smin : Intrinsic::umin, x, y);
    case Prim::max:
      return b.CreateBinaryIntrinsic(is_signed ? Intrinsic::smax : Intrinsic::umax, x, y);
    case Prim::eq: return b.CreateICmpEQ(x, y);
    case Prim::ne: return b.CreateICmpNE(x, y);
    case Prim::lt: return is_signed ? b.CreateICmpSLT(x, y) : b.CreateICmpULT(x, y);
    case Prim::le: return is_signed ? b.CreateICmpSLE(x, y) : b.CreateICmpULE(x, y);
    case Prim::logical_and: return b.CreateAnd(flag(x), flag(y));
    case Prim::logical_or: return b.CreateOr(flag(x), flag(y));
    case Prim::bit_and: return b.CreateAnd(x, y);
    case Prim::bit_or: return b.CreateOr(x, y);
    case Prim::bit_xor: return b.CreateXor(x, y);
    case Prim::shift_left:
    case Prim::shift_right: return shifted(b, prim, x, y, is_signed);
    case Prim::sqrt:
    case Prim::exp:
    case Prim::expm1:
    case Prim::log:
    case Prim::log1p:
    case Prim::sin:
    case Prim::cos:
    case Prim::asin:
    case Prim::acos:
    case Prim::atan:
    case Prim::tanh:
    case Prim::erf:
    case Prim::select: break;
  }
  TESSERA_CHECK(false, "{} of integers", to_string(prim));
  return nullptr;
}

// bool is i1; arithmetic on it is that of integers followed by "is not zero".
Value* boolean_primitive(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  switch (prim) {
    case Prim::logical_and:
    case Prim::bit_and:
    case Prim::mul:
    case Prim::min: return b.CreateAnd(x, y);
    case Prim::logical_or:
    case Prim::bit_or:
    case Prim::add:
    case Prim::max: return b.CreateOr(x, y);
    case Prim::ne:
    case Prim::bit_xor:
    case Prim::sub: return b.CreateXor(x, y);
    case Prim::eq: return b.CreateNot(b.CreateXor(x, y));
    case Prim::logical_not: return b.CreateNot(x);
    default: break;
  }
  Type* wide = shaped(b.getInt8Ty(), x);
  Value* result =
      integer_primitive(b, prim, b.CreateZExt(x, wide), y ? b.CreateZExt(y, wide) : nullptr, true);
  return ir::gives_boolean(prim) ? result : b.CreateICmpNE(result, fixed_int(result, 0));
}

bool is_half(DType type) { return type == DType::f16 || type == DType::bf16; }

// f32 bits to bf16 bits, to nearest even; NaN keeps its sign and becomes quiet.
Value* to_bf16_bits(IRBuilderBase& b, Value* v) {
  Value* bits = b.CreateBitCast(v, shaped(b.getInt32Ty(), v));
  Value* odd = b.CreateAnd(b.CreateLShr(bits, fixed_int(bits, 16)), fixed_int(bits, 1));
  Value* rounded = b.CreateAdd(b.CreateAdd(bits, fixed_int(bits, 0x7fff)), odd);
  Value* quiet = b.CreateOr(bits, fixed_int(bits, 0x400000));
  Value* chosen = b.CreateSelect(is_nan(b, v), quiet, rounded);
  return b.CreateTrunc(b.CreateLShr(chosen, fixed_int(bits, 16)), shaped(b.getInt16Ty(), v));
}

// f64 to f32 rounded to odd, so that a second rounding to f16 or bf16 is the only one that counts.
Value* rounded_to_odd(IRBuilderBase& b, Value* v) {
  Value* narrow = b.CreateFPTrunc(v, shaped(b.getFloatTy(), v));
  Value* back = b.CreateFPExt(narrow, v->getType());
  Value* bits = b.CreateBitCast(narrow, shaped(b.getInt32Ty(), v));
  Value* too_large = b.CreateFCmpOGT(unary(b, Intrinsic::fabs, back), unary(b, Intrinsic::fabs, v));
  Value* lower = b.CreateSub(bits, b.CreateZExt(too_large, bits->getType()));
  Value* odd = b.CreateOr(lower, fixed_int(bits, 1));
  Value* exact = b.CreateNot(b.CreateFCmpONE(back, v));
  return b.CreateBitCast(b.CreateSelect(exact, bits, odd), narrow->getType());
}

// The lowest and the highest number that a float may be, NaN apart.
std::pair<double, double> bounds(const ir::ExprPool& pool, ir::ExprId id) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const ir::ExprNode& n = pool.node(id);
  if (n.kind == ir::ExprKind::constant && is_float(n.type))
    return {ir::real_value(n), ir::real_value(n)};
  if (n.kind != ir::ExprKind::primitive || (n.prim != Prim::min && n.prim != Prim::max))
    return {-infinity, infinity};
  const auto a = bounds(pool, n.args[0]), b = bounds(pool, n.args[1]);
  if (n.prim == Prim::min) return {std::min(a.first, b.first), std::min(a.second, b.second)};
  return {std::max(a.first, b.first), std::max(a.second, b.second)};
}

// One instruction where the general form takes a dozen on vectors of f32.
Value* bounded_to_integer(IRBuilderBase& b, Value* v, DType to) {
  Value* narrow = b.CreateFPToSI(v, shaped(b.getInt32Ty(), v));
  Value* number = b.CreateSelect(is_nan(b, v), fixed_int(narrow, 0), narrow);
  return b.CreateSExtOrTrunc(number, shaped(b.getIntNTy(static_cast<unsigned>(bit_width(to))), v));
}

Value* real_to_integer(IRBuilderBase& b, Value* v, DType to) {
  Type* i64 = shaped(b.getInt64Ty(), v);
  Value* wide = b.CreateIntrinsic(Intrinsic::fptosi_sat, {i64, v->getType()}, {v});
  if (to == DType::u64) {
    Value* large = b.CreateIntrinsic(Intrinsic::fptoui_sat, {i64, v->getType()}, {v});
    wide = b.CreateSelect(b.CreateFCmpOGE(v, fixed(v, 0x1.0p63)), large, wide);
  }
  return b.CreateTrunc(wide, shaped(b.getIntNTy(static_cast<unsigned>(bit_width(to))), v));
}

const ExternalFunction functions[] = {
    {"tessera_integer_power", reinterpret_cast<const void*>(&integer_power)}};

}  // namespace

Type* register_type(IRBuilderBase& b, DType type, int lanes) {
  Type* one = type == DType::f64       ? b.getDoubleTy()
              : is_float(type)         ? b.getFloatTy()
              : type == DType::boolean ? static_cast<Type*>(b.getInt1Ty())
                                       : b.getIntNTy(static_cast<unsigned>(bit_width(type)));
  return lanes ? llvm::FixedVectorType::get(one, static_cast<unsigned>(lanes)) : one;
}

Type* memory_type(IRBuilderBase& b, DType type) {
  if (type == DType::f16) return b.getHalfTy();
  if (type == DType::bf16) return b.getInt16Ty();
  if (type == DType::boolean) return b.getInt8Ty();
  return register_type(b, type, 0);
}

Value* from_memory(IRBuilderBase& b, DType type, Value* v) {
  if (type == DType::f16) return b.CreateFPExt(v, shaped(b.getFloatTy(), v));
  if (type == DType::boolean) return b.CreateICmpNE(v, fixed_int(v, 0));
  if (type != DType::bf16) return v;
  Value* wide = b.CreateZExt(v, shaped(b.getInt32Ty(), v));
  return b.CreateBitCast(b.CreateShl(wide, fixed_int(wide, 16)), shaped(b.getFloatTy(), v));
}

Value* to_memory(IRBuilderBase& b, DType type, Value* v) {
  if (type == DType::f16) return b.CreateFPTrunc(v, shaped(b.getHalfTy(), v));
  if (type == DType::bf16) return to_bf16_bits(b, v);
  if (type == DType::boolean) return b.CreateZExt(v, shaped(b.getInt8Ty(), v));
  return v;
}

Value* constant(IRBuilderBase& b, DType type, int64_t bits) {
  Type* t = register_type(b, type, 0);
  if (!is_float(type)) return llvm::ConstantInt::getSigned(t, bits);
  const auto real = std::bit_cast<double>(bits);
  if (std::isnan(real)) return llvm::ConstantFP::getNaN(t);
  return llvm::ConstantFP::get(t, type == DType::f64 ? real : static_cast<float>(real));
}

Value* splat(IRBuilderBase& b, Value* v, int lanes) {
  if (lanes == 0 || v->getType()->isVectorTy()) return v;
  return b.CreateVectorSplat(static_cast<unsigned>(lanes), v);
}

Value* emit_primitive(IRBuilderBase& b, Prim prim, DType type, Value* x, Value* y,
                      bool is_natural) {
  if (is_float(type)) return real_primitive(b, prim, x, y);
  if (type == DType::boolean) return boolean_primitive(b, prim, x, y);
  return integer_primitive(b, prim, x, y, is_signed_integer(type) && !is_natural);
}

bool is_bounded(const ir::ExprPool& pool, ir::ExprId id) {
  const auto [low, high] = bounds(pool, id);
  return low >= -0x1.0p31 && high < 0x1.0p31;
}

Value* emit_cast(IRBuilderBase& b, DType from, DType to, Value* v, bool is_bounded) {
  if (is_float(from)) {
    if (to == DType::boolean) return b.CreateFCmpUNE(v, fixed(v, 0));
    if (!is_float(to)) return is_bounded ? bounded_to_integer(b, v, to) : real_to_integer(b, v, to);
    if (to == DType::f64)
      return from == DType::f64 ? v : b.CreateFPExt(v, shaped(b.getDoubleTy(), v));
    if (from == DType::f64)
      v = is_half(to) ? rounded_to_odd(b, v) : b.CreateFPTrunc(v, shaped(b.getFloatTy(), v));
    return is_half(to) && from != to ? from_memory(b, to, to_memory(b, to, v)) : v;
  }
  const bool is_signed = is_signed_integer(from);
  if (is_float(to)) {
    Type* real = shaped(to == DType::f64 ? b.getDoubleTy() : b.getFloatTy(), v);
    Value* r = is_signed ? b.CreateSIToFP(v, real) : b.CreateUIToFP(v, real);
    return is_half(to) ? from_memory(b, to, to_memory(b, to, r)) : r;
  }
  if (to == DType::boolean) return from == DType::boolean ? v : b.CreateICmpNE(v, fixed_int(v, 0));
  return b.CreateIntCast(v, shaped(register_type(b, to, 0), v), is_signed);
}

// Of x the code generator asks beside the loop's chain whether it is a NaN. Which zero is the
// larger one no record says.
Value* emit_combine(IRBuilderBase& b, Prim prim, DType type, Value* x, Value* total) {
  if (!is_float(type) || (prim != Prim::max && prim != Prim::min))
    return emit_primitive(b, prim, type, x, total);
  const ID id = prim == Prim::max ? Intrinsic::maximum : Intrinsic::minimum;
  Value* v = b.CreateBinaryIntrinsic(id, x, total);
  llvm::cast<llvm::Instruction>(v)->setHasNoSignedZeros(true);
  return v;
}

Value* emit_horizontal(IRBuilderBase& b, Prim prim, DType type, Value* v) {
  for (int n = lanes_of(v); n > 1; n /= 2) {
    std::vector<int> low, high;
    for (int k = 0; k < n / 2; ++k) low.push_back(k), high.push_back(k + n / 2);
    v = emit_combine(b, prim, type, b.CreateShuffleVector(v, low), b.CreateShuffleVector(v, high));
  }
  return b.CreateExtractElement(v, uint64_t{0});
}

std::span<const ExternalFunction> external_functions() { return functions; }

std::vector<Value*> emit_transposed(llvm::IRBuilderBase& b, std::vector<Value*> rows) {
  const auto lanes = static_cast<int>(rows.size());
  for (int half = lanes / 2; half > 0; half /= 2) {
    std::vector<int> low, high;
    for (int k = 0; k < lanes; ++k) {
      const bool upper = (k & half) != 0;
      low.push_back(upper ? k - half + lanes : k);
      high.push_back(upper ? k + lanes : k + half);
    }
    std::vector<Value*> next(rows.size());
    for (int r = 0; r < lanes; ++r) {
      if (r & half) continue;
      const auto x = static_cast<size_t>(r), y = x + static_cast<size_t>(half);
      next[x] = b.CreateShuffleVector(rows[x], rows[y], low);
      next[y] = b.CreateShuffleVector(rows[x], rows[y], high);
    }
    rows = std::move(next);
  }
  return rows;
}

}  // namespace tessera::codegen
