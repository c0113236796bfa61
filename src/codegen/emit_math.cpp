// SPDX-License-Identifier: Apache-2.0
// exp, log, tanh, … on floats. The polynomials are minimax fits (reweighted least squares on
// Chebyshev nodes, in f64, then rounded to f32) of the functions named beside them; steps that
// must be exact use fused multiply-add. NaN flows through arithmetic; comparisons are arranged so
// that NaN takes a branch that keeps it.
#include "codegen/emit_math.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <initializer_list>
#include <limits>
#include <numeric>
#include <optional>

#include "base/check.h"

namespace tessera::codegen {
namespace {

using ir::Prim;
using llvm::IRBuilderBase;
using llvm::Type;
using llvm::Value;
namespace Intrinsic = llvm::Intrinsic;

constexpr double infinity = std::numeric_limits<double>::infinity();

// The C library's function, once per lane.
Value* call_library(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  Type* type = x->getType()->getScalarType();
  const std::string name = std::string(to_string(prim)) + (type->isFloatTy() ? "f" : "");
  llvm::Module* module = b.GetInsertBlock()->getModule();
  llvm::FunctionCallee callee = y ? module->getOrInsertFunction(name, type, type, type)
                                  : module->getOrInsertFunction(name, type, type);
  auto* function = llvm::cast<llvm::Function>(callee.getCallee());
  function->setDoesNotThrow();
  function->setDoesNotAccessMemory();
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  if (!vector) return y ? b.CreateCall(callee, {x, y}) : b.CreateCall(callee, {x});
  Value* result = llvm::PoisonValue::get(vector);
  for (unsigned k = 0; k < vector->getNumElements(); ++k) {
    Value* lane = b.CreateExtractElement(x, k);
    Value* value = y ? b.CreateCall(callee, {lane, b.CreateExtractElement(y, k)})
                     : b.CreateCall(callee, {lane});
    result = b.CreateInsertElement(result, value, k);
  }
  return result;
}

// Arithmetic on f32 values or vectors, spelled short.
class F32 {
 public:
  F32(IRBuilderBase& b, Value* like) : b_(b), type_(like->getType()) {}

  Value* number(double v) const { return llvm::ConstantFP::get(type_, v); }
  Value* integer(int64_t v) const { return llvm::ConstantInt::getSigned(bits_type(), v); }
  Value* add(Value* x, Value* y) const { return b_.CreateFAdd(x, y); }
  Value* sub(Value* x, Value* y) const { return b_.CreateFSub(x, y); }
  Value* mul(Value* x, Value* y) const { return b_.CreateFMul(x, y); }
  Value* div(Value* x, Value* y) const { return b_.CreateFDiv(x, y); }
  Value* fma(Value* x, Value* y, Value* z) const {
    return b_.CreateIntrinsic(Intrinsic::fma, {x->getType()}, {x, y, z});
  }
  Value* abs(Value* x) const { return b_.CreateUnaryIntrinsic(Intrinsic::fabs, x); }
  Value* with_sign(Value* x, Value* sign) const {
    return b_.CreateBinaryIntrinsic(Intrinsic::copysign, x, sign);
  }
  Value* select(Value* c, Value* x, Value* y) const { return b_.CreateSelect(c, x, y); }
  Value* less(Value* x, double y) const { return b_.CreateFCmpOLT(x, number(y)); }
  Value* greater(Value* x, double y) const { return b_.CreateFCmpOGT(x, number(y)); }
  Value* equal(Value* x, double y) const { return b_.CreateFCmpOEQ(x, number(y)); }
  Value* bits(Value* x) const { return b_.CreateBitCast(x, bits_type()); }
  Value* real(Value* x) const { return b_.CreateBitCast(x, type_); }
  /// c[0] + c[1]·x + c[2]·x² + …
  Value* polynomial(Value* x, std::initializer_list<double> c) const {
    Value* sum = number(*(c.end() - 1));
    for (auto at = c.end() - 1; at != c.begin();) sum = fma(sum, x, number(*--at));
    return sum;
  }
  Value* exp(Value* x) const;
  Value* expm1(Value* x) const;
  Value* log(Value* x) const;
  Value* log1p(Value* x) const;
  Value* tanh(Value* x) const;
  Value* erf(Value* x) const;
  Value* trigonometric(Value* x, int quarter) const;

 private:
  Type* bits_type() const { return type_->getWithNewType(b_.getInt32Ty()); }
  Value* scaled_by_instruction(Value* p, Value* n) const;
  // 2^n for an integer n in [-126, 127].
  Value* power_of_two(Value* n) const {
    return real(b_.CreateShl(b_.CreateAdd(n, integer(127)), integer(23)));
  }

  IRBuilderBase& b_;
  Type* type_;
};

// (e^r − 1 − r) / r² for |r| <= ln 2 / 2, within 3.1e-9 of e^r.
constexpr std::initializer_list<double> exp_tail = {0x1.fffffcp-2, 0x1.55549p-3, 0x1.5558f4p-5,
                                                    0x1.123a38p-7, 0x1.6a22d4p-10};

// p · 2^n by AVX-512's instruction, 16 lanes at a time; null where it or the lanes are missing.
Value* F32::scaled_by_instruction(Value* p, Value* n) const {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type_);
  const int lanes = vector ? static_cast<int>(vector->getNumElements()) : 0;
  if (lanes == 0 || lanes % 16 != 0 ||
      !b_.GetInsertBlock()->getModule()->getModuleFlag(avx512_flag))
    return nullptr;
  Value* result = nullptr;
  for (int first = 0; first < lanes; first += 16) {
    std::vector<int> part(16);
    std::iota(part.begin(), part.end(), first);
    Value *x = b_.CreateShuffleVector(p, part), *y = b_.CreateShuffleVector(n, part);
    const auto current_rounding = b_.getInt32(4);
    Value* scaled = b_.CreateIntrinsic(
        Intrinsic::x86_avx512_mask_scalef_ps_512, {},
        {x, y, llvm::Constant::getNullValue(x->getType()), b_.getInt16(0xffff), current_rounding});
    if (!result) {
      result = scaled;
      continue;
    }
    // Pieces are joined from the left; the shorter operand of a shuffle is widened first.
    std::vector<int> widen(static_cast<size_t>(first), -1), join(static_cast<size_t>(first) + 16);
    for (int k = 0; k < std::min(first, 16); ++k) widen[static_cast<size_t>(k)] = k;
    if (first > 16) scaled = b_.CreateShuffleVector(scaled, widen);
    std::iota(join.begin(), join.end(), 0);
    result = b_.CreateShuffleVector(result, scaled, join);
  }
  return result;
}

// 2^n · e^r with n = round(x / ln 2). The scale is applied in two steps, so that the result may
// be subnormal.
Value* F32::exp(Value* x) const {
  x = select(greater(x, 89), number(89), x);
  x = select(less(x, -105), number(-105), x);
  const double magic = 0x1.8p23;  // adding it rounds to an integer, in the low bits
  Value* shifted = fma(x, number(0x1.715476p0), number(magic));
  Value* n = sub(shifted, number(magic));
  Value* r = fma(n, number(-0x1.62e4p-1), x);  // ln 2 in two parts; the first has 15 bits
  r = fma(n, number(-0x1.7f7d1cp-20), r);
  Value* p = add(fma(mul(r, r), polynomial(r, exp_tail), r), number(1));
  if (Value* scaled = scaled_by_instruction(p, n)) return scaled;
  Value* k = b_.CreateSub(bits(shifted), bits(number(magic)));
  Value* half = b_.CreateAShr(k, integer(1));
  return mul(mul(p, power_of_two(half)), power_of_two(b_.CreateSub(k, half)));
}

Value* F32::expm1(Value* x) const {
  Value* near = fma(mul(x, x), polynomial(x, exp_tail), x);
  return select(less(abs(x), 0.34), near, sub(exp(x), number(1)));
}

// e·ln 2 + log(1 + f) with x = 2^e · (1 + f), 1 + f in [√½, √2).
Value* F32::log(Value* x) const {
  Value* is_small = less(x, 0x1p-126);
  Value* scaled = select(is_small, mul(x, number(0x1p23)), x);
  Value* offset = b_.CreateSub(bits(scaled), integer(0x3f3504f3));  // bits of √½
  Value* e = b_.CreateAShr(offset, integer(23));
  Value* mantissa = b_.CreateSub(bits(scaled), b_.CreateShl(e, integer(23)));
  Value* f = sub(real(mantissa), number(1));
  Value* exponent = b_.CreateSIToFP(e, type_);
  exponent = select(is_small, sub(exponent, number(23)), exponent);
  // (log(1 + f) − f + f²/2) / f³, within 7.5e-10 of log(1 + f)
  Value* p =
      polynomial(f, {0x1.555548p-2, -0x1.000006p-2, 0x1.99a4b6p-3, -0x1.555c4cp-3, 0x1.233764p-3,
                     -0x1.fc2216p-4, 0x1.e6f0b6p-4, -0x1.de3bd6p-4, 0x1.1456bap-4});
  Value* square = mul(f, f);
  Value* tail = mul(mul(square, f), p);
  tail = fma(exponent, number(0x1.7f7d1cp-20), tail);  // the low part of ln 2
  tail = fma(square, number(-0.5), tail);
  Value* result = fma(exponent, number(0x1.62e4p-1), add(f, tail));
  result = select(b_.CreateFCmpULT(x, number(0)), number(std::numeric_limits<double>::quiet_NaN()),
                  result);
  result = select(equal(x, 0), number(-infinity), result);
  return select(equal(x, infinity), x, result);
}

// log(u) with u = 1 + x, corrected by what rounding u lost.
Value* F32::log1p(Value* x) const {
  Value* u = add(number(1), x);
  Value* lost = div(sub(x, sub(u, number(1))), u);
  Value* is_edge = b_.CreateOr(equal(u, 0), equal(u, infinity));
  return add(log(u), select(is_edge, number(0), lost));
}

Value* F32::tanh(Value* x) const {
  Value* size = abs(x);
  // (tanh(x) − x) / x³ in x², for |x| < 0.625, within 4.4e-9
  Value* square = mul(x, x);
  Value* p = polynomial(
      square, {-0x1.555532p-2, 0x1.110726p-3, -0x1.b83c56p-5, 0x1.522686p-6, -0x1.75e17ap-8});
  Value* near = fma(mul(square, p), x, x);
  Value* growth = add(exp(add(size, size)), number(1));
  Value* far = with_sign(sub(number(1), div(number(2), growth)), x);
  return select(less(size, 0.625), near, far);
}

Value* F32::erf(Value* x) const {
  Value* size = abs(x);
  // erf(x) / x in x², for |x| < 0.95, within 6.1e-10
  Value* square = mul(x, x);
  Value* near =
      mul(x, polynomial(square, {0x1.20dd76p+0, -0x1.812742p-2, 0x1.ce2dcap-4, -0x1.b80962p-6,
                                 0x1.549662p-8, -0x1.a88d84p-11, 0x1.574eb4p-14}));
  // log(1 − erf(t)) for t in [0.9, 4]; beyond, erf is 1 in f32
  Value* t = select(greater(size, 4), number(4), size);
  Value* p = polynomial(t, {0x1.62da32p-13, -0x1.212628p+0, -0x1.444d1ep-1, -0x1.bb4552p-4,
                            0x1.9aebcap-6, -0x1.10627ep-8, 0x1.c459bp-12, -0x1.5d72c4p-16});
  Value* far = with_sign(sub(number(1), exp(p)), x);
  return select(less(size, 0.95), near, far);
}

// sin (quarter 0) or cos (1), for |x| < 2^30: reduced in f64, where π/2 in two parts suffices.
Value* F32::trigonometric(Value* x, int quarter) const {
  Type* wide = type_->getWithNewType(b_.getDoubleTy());
  const auto wide_number = [&](double v) { return llvm::ConstantFP::get(wide, v); };
  Value* d = b_.CreateFPExt(x, wide);
  Value* n = b_.CreateUnaryIntrinsic(Intrinsic::roundeven,
                                     b_.CreateFMul(d, wide_number(0x1.45f306dc9c883p-1)));
  Value* r = fma(n, wide_number(-0x1.921fb54442d18p+0), d);
  r = fma(n, wide_number(-0x1.1a62633145c07p-54), r);
  Value* f = b_.CreateFPTrunc(r, type_);
  // NaN and infinity give a NaN in f, whatever the quadrant becomes.
  Value* q = b_.CreateIntrinsic(Intrinsic::fptosi_sat, {bits_type(), wide}, {n});
  q = b_.CreateAdd(q, integer(quarter));
  Value* square = mul(f, f);
  Value* sine =
      fma(mul(square,
              polynomial(square, {-0x1.555556p-3, 0x1.111108p-7, -0x1.a00f7ap-13, 0x1.6cd0a6p-19})),
          f, f);
  Value* cosine =
      fma(mul(square, square),
          polynomial(square, {0x1.555556p-5, -0x1.6c16b8p-10, 0x1.a0111cp-16, -0x1.2429fap-22}),
          fma(square, number(-0.5), number(1)));
  Value* odd = b_.CreateICmpNE(b_.CreateAnd(q, integer(1)), integer(0));
  Value* chosen = select(odd, cosine, sine);
  Value* sign = b_.CreateShl(b_.CreateAnd(q, integer(2)), integer(30));
  return real(b_.CreateXor(bits(chosen), sign));
}

// sin and cos as a function of the module: huge arguments in any lane go to the C library.
Value* call_trigonometric(IRBuilderBase& b, Prim prim, Value* x) {
  llvm::Module* module = b.GetInsertBlock()->getModule();
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x->getType());
  const std::string name =
      fmt::format("tessera_{}_{}", to_string(prim), vector ? vector->getNumElements() : 0);
  llvm::Function* function = module->getFunction(name);
  if (!function) {
    function = llvm::Function::Create(llvm::FunctionType::get(x->getType(), {x->getType()}, false),
                                      llvm::Function::InternalLinkage, name, module);
    function->setDoesNotThrow();
    auto& context = b.getContext();
    auto* entry = llvm::BasicBlock::Create(context, "entry", function);
    auto* quick = llvm::BasicBlock::Create(context, "quick", function);
    auto* slow = llvm::BasicBlock::Create(context, "slow", function);
    llvm::IRBuilder<> inner(entry);
    Value* argument = function->getArg(0);
    const F32 f(inner, argument);
    Value* huge = inner.CreateFCmpOGE(f.abs(argument), f.number(0x1p30));
    if (vector) huge = inner.CreateOrReduce(huge);
    inner.CreateCondBr(huge, slow, quick);
    inner.SetInsertPoint(quick);
    inner.CreateRet(f.trigonometric(argument, prim == Prim::cos ? 1 : 0));
    inner.SetInsertPoint(slow);
    inner.CreateRet(call_library(inner, prim, argument, nullptr));
  }
  return b.CreateCall(function, {x});
}

// x to a constant power that a few operations give, or null.
Value* constant_power(IRBuilderBase& b, Value* x, Value* y) {
  const auto* known = llvm::dyn_cast<llvm::Constant>(y);
  if (known && known->getType()->isVectorTy()) known = known->getSplatValue();
  const auto* number = llvm::dyn_cast_or_null<llvm::ConstantFP>(known);
  if (!number) return nullptr;
  const auto fixed = [&](double v) { return llvm::ConstantFP::get(x->getType(), v); };
  llvm::APFloat exact = number->getValueAPF();
  const double power = exact.convertToDouble();
  Value* square = b.CreateFMul(x, x);
  if (power == 0) return fixed(1);
  if (power == 1) return x;
  if (power == 2) return square;
  if (power == 3) return b.CreateFMul(square, x);
  if (power == 4) return b.CreateFMul(square, square);
  if (power == -1) return b.CreateFDiv(fixed(1), x);
  if (power == -2) return b.CreateFDiv(fixed(1), square);
  if (power != 0.5 && power != -0.5) return nullptr;
  // Unlike the square root's, the powers of −0 and −∞ are positive.
  Value* root = b.CreateUnaryIntrinsic(Intrinsic::sqrt, b.CreateFAdd(x, fixed(0)));
  root = b.CreateSelect(b.CreateFCmpOEQ(x, fixed(-infinity)), fixed(infinity), root);
  return power > 0 ? root : b.CreateFDiv(fixed(1), root);
}

}  // namespace

Value* emit_math(IRBuilderBase& b, Prim prim, Value* x, Value* y) {
  if (prim == Prim::pow)
    if (Value* v = constant_power(b, x, y)) return v;
  if (!x->getType()->getScalarType()->isFloatTy()) return call_library(b, prim, x, y);
  const F32 f(b, x);
  switch (prim) {
    case Prim::exp: return f.exp(x);
    case Prim::expm1: return f.expm1(x);
    case Prim::log: return f.log(x);
    case Prim::log1p: return f.log1p(x);
    case Prim::tanh: return f.tanh(x);
    case Prim::erf: return f.erf(x);
    case Prim::sin:
    case Prim::cos: return call_trigonometric(b, prim, x);
    default: return call_library(b, prim, x, y);
  }
}

}  // namespace tessera::codegen
