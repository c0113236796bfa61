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

// Polynomials of odd functions that approach ±1, one for each multiple of a step: at t = n·step + u
// with |u| <= step / 2 the function is c[0][n] + c[1][n]·u + c[2][n]·u² + … The last multiple
// stands for everything beyond. Least squares on Chebyshev nodes relative to the function,
// coefficients rounded to f32 one after the other. Where f32 rounds every step the result is within
// 2 ulp.
constexpr double erf_step = 17.0 / 64, tanh_step = 19.0 / 64;

constexpr float erf_pieces[7][16] = {
    {0x0p+0F, 0x1.2bd9dcp-2F, 0x1.1855a6p-1F, 0x1.7b0058p-1F, 0x1.bbef1p-1F, 0x1.e11a3ep-1F,
     0x1.f39bc2p-1F, 0x1.fb9f6p-1F, 0x1.fea422p-1F, 0x1.ffa14ap-1F, 0x1.ffe96ap-1F, 0x1.fffb4ap-1F,
     0x1.ffff24p-1F, 0x1.ffffdep-1F, 0x1.fffffcp-1F, 0x1p+0F},
    {0x1.20dd76p+0F, 0x1.0d2fa6p+0F, 0x1.b3aafcp-1F, 0x1.32281ep-1F, 0x1.75a91cp-2F, 0x1.8c0732p-3F,
     0x1.6c7e64p-4F, 0x1.2351cp-5F, 0x1.94624cp-7F, 0x1.e7744ap-9F, 0x1.fe41ep-11F, 0x1.cfd4dap-13F,
     0x1.6e23c6p-15F, 0x1.f5f8dap-18F, 0x1.2acff6p-20F, 0x1.4951fcp-18F},
    {-0x1.748e4ep-17F, -0x1.1e03eep-2F, -0x1.cee5bcp-2F, -0x1.e7f15ep-2F, -0x1.8d047cp-2F,
     -0x1.06fb0ep-2F, -0x1.227314p-3F, -0x1.0edf14p-4F, -0x1.adbef2p-6F, -0x1.239c9ep-7F,
     -0x1.521a38p-9F, -0x1.5200bep-11F, -0x1.1e6732p-13F, -0x1.3afb36p-15F, -0x1.e39d88p-17F,
     0x1.49915ap-12F},
    {-0x1.80a2c2p-2F, -0x1.344494p-2F, -0x1.fa0052p-4F, 0x1.b8e00cp-5F, 0x1.39515p-3F,
     0x1.4db2e8p-3F, 0x1.efba56p-4F, 0x1.1f2d9ep-4F, 0x1.0ea59cp-5F, 0x1.a7af3p-7F, 0x1.16bdeep-8F,
     0x1.369fc4p-10F, 0x1.26ac76p-12F, 0x1.ddae0ap-15F, 0x1.4bb172p-17F, 0x1.15405p-7F},
    {-0x1.260804p-7F, 0x1.118786p-3F, 0x1.77dbf4p-3F, 0x1.1a8804p-3F, 0x1.8b82dcp-5F,
     -0x1.7d4852p-6F, -0x1.956e9ap-5F, -0x1.5a151cp-5F, -0x1.a6d14cp-6F, -0x1.7c352p-7F,
     -0x1.600272p-8F, -0x1.b74cb2p-10F, -0x1.5d2bf2p-11F, 0x1.2619c2p-10F, 0x1.11f7f4p-10F,
     0x1.b9da82p-4F},
    {0x1.73b29cp-3F, 0x1.36d31ap-4F, -0x1.e40dd4p-10F, -0x1.e6e38p-5F, -0x1.0d7a76p-4F,
     -0x1.2e407ep-5F, -0x1.51b58cp-8F, 0x1.645412p-7F, 0x1.9779d6p-7F, 0x1.0882dap-7F,
     0x1.f66c8ep-9F, 0x1.776812p-10F, 0x1.c80078p-12F, 0x1.ca68eep-14F, 0x1.819f1cp-16F,
     0x1.4debbcp-1F},
    {-0x1.8bf4ep-3F, -0x1.c71b06p-5F, -0x1.9403dcp-5F, -0x1.351334p-5F, 0x1.d3ba36p-11F,
     0x1.5d31aap-5F, 0x1.a12762p-6F, -0x1.6b6bdcp-6F, -0x1.2e5f32p-6F, -0x1.e87bf4p-6F,
     0x1.fab7eep-7F, 0x1.f60dcep-9F, 0x1.f2442p-8F, -0x1.2b6574p-5F, -0x1.05eba8p-5F,
     0x1.81874p+0F}};

constexpr float tanh_pieces[7][32] = {
    {0x0p+0F,        0x1.275f7ep-2F, 0x1.10af48p-1F, 0x1.6c643ep-1F, 0x1.a8dbccp-1F, 0x1.cdf83ap-1F,
     0x1.e3c0bp-1F,  0x1.f0348cp-1F, 0x1.f73776p-1F, 0x1.fb2174p-1F, 0x1.fd4e2p-1F,  0x1.fe829p-1F,
     0x1.ff2d36p-1F, 0x1.ff8b8ep-1F, 0x1.ffbfaep-1F, 0x1.ffdc7ap-1F, 0x1.ffec62p-1F, 0x1.fff52ap-1F,
     0x1.fffa04p-1F, 0x1.fffcb2p-1F, 0x1.fffe2cp-1F, 0x1.fffefep-1F, 0x1.ffff72p-1F, 0x1.ffffb2p-1F,
     0x1.ffffd4p-1F, 0x1.ffffe8p-1F, 0x1.fffff2p-1F, 0x1.fffff8p-1F, 0x1.fffffcp-1F, 0x1.fffffep-1F,
     0x1.fffffep-1F, 0x1p+0F},
    {0x1p+0F,         0x1.d56658p-1F,  0x1.6ec58ap-1F,  0x1.f952c8p-2F,  0x1.3ee73p-2F,
     0x1.7cb01cp-3F,  0x1.b77d6ap-4F,  0x1.f1a2bap-5F,  0x1.16a7fcp-5F,  0x1.3627a6p-6F,
     0x1.5807fp-7F,   0x1.7ce18ap-8F,  0x1.a53bdp-9F,   0x1.d196fep-10F, 0x1.0139b6p-10F,
     0x1.1c2b5p-11F,  0x1.39e782p-12F, 0x1.5abb6cp-13F, 0x1.7efb44p-14F, 0x1.a7037cp-15F,
     0x1.d339d2p-16F, 0x1.02073ap-16F, 0x1.1cfe94p-17F, 0x1.3ac742p-18F, 0x1.5bacb2p-19F,
     0x1.80022ep-20F, 0x1.a823b2p-21F, 0x1.d476d2p-22F, 0x1.02b5e4p-22F, 0x1.1dbf3ep-23F,
     0x1.3b9be8p-24F, 0x1.4dc632p-18F},
    {-0x1.70646cp-24F, -0x1.0ecbe4p-2F,  -0x1.86ad5p-2F,   -0x1.67a33cp-2F,  -0x1.08a0f4p-2F,
     -0x1.577d3cp-3F,  -0x1.9f47cap-4F,  -0x1.e24c18p-5F,  -0x1.11d22ep-5F,  -0x1.33371ap-6F,
     -0x1.566cc4p-7F,  -0x1.7b88c2p-8F,  -0x1.a3ab04p-9F,  -0x1.d3aa22p-10F, -0x1.024622p-10F,
     -0x1.1f5766p-11F, -0x1.425c74p-12F, -0x1.5a21bcp-13F, -0x1.7d649cp-14F, -0x1.aa0c62p-15F,
     -0x1.5722bp-16F,  -0x1.06baecp-16F, -0x1.bd27b2p-17F, -0x1.7d057p-17F,  0x1.5c83acp-19F,
     -0x1.81663cp-20F, 0x1.ab0f5cp-18F,  0x1.98b1e6p-18F,  -0x1.5b7fbep-21F, -0x1.3d1decp-19F,
     0x1.e8ff04p-18F,  0x1.31e478p-12F},
    {-0x1.55530cp-2F, -0x1.d5a22ep-3F, -0x1.23b68cp-5F, 0x1.5e0c3p-4F,   0x1.c52736p-4F,
     0x1.6e10f2p-4F,  0x1.ebad8p-5F,   0x1.2d87c4p-5F,  0x1.6095dap-6F,  0x1.91cc6ep-7F,
     0x1.c37b64p-8F,  0x1.f768fcp-9F,  0x1.177714p-9F,  0x1.358feap-10F, 0x1.5674dap-11F,
     0x1.7a93cp-12F,  0x1.a259cep-13F, 0x1.ce312p-14F,  0x1.fe9112p-15F, 0x1.19fbaap-15F,
     0x1.3777e6p-16F, 0x1.58074ep-17F, 0x1.7bfb1cp-18F, 0x1.a3b24ap-19F, 0x1.cf8f5ep-20F,
     0x1.0000a2p-20F, 0x1.1ac132p-21F, 0x1.384eaep-22F, 0x1.58f0fcp-23F, 0x1.7cfd7p-24F,
     0x1.a4ce96p-25F, 0x1.cba3e2p-8F},
    {-0x1.224066p-12F, 0x1.3be804p-3F,   0x1.2b79cep-3F,   0x1.cb6066p-5F,   -0x1.668f3p-8F,
     -0x1.94ef64p-6F,  -0x1.6b0e1ap-6F,  -0x1.04bf4ep-6F,  -0x1.5a0edep-7F,  -0x1.7f0504p-8F,
     -0x1.762e78p-9F,  -0x1.2039fp-9F,   -0x1.a8b042p-10F, 0x1.9dcb32p-13F,  0x1.7912c2p-15F,
     0x1.5cc41ep-12F,  0x1.2ba618p-11F,  -0x1.45a6bp-14F,  -0x1.01a4eap-14F, 0x1.bc51c2p-17F,
     -0x1.45ccf4p-11F, 0x1.2f5178p-16F,  0x1.9b475ap-12F,  0x1.206294p-11F,  -0x1.c310e6p-12F,
     -0x1.9bab76p-25F, -0x1.368f46p-11F, -0x1.1b46p-11F,   0x1.196edap-15F,  0x1.82e956p-13F,
     -0x1.3f63dap-11F, 0x1.47c5e6p-4F},
    {0x1.18cce6p-3F,  0x1.aa7bf6p-5F,  -0x1.8ee312p-5F, -0x1.d47f78p-5F, -0x1.a06e26p-6F,
     -0x1.cd3c1p-9F,  0x1.04346ap-8F,  0x1.2e3e88p-8F,  0x1.bfc4d8p-9F,  0x1.1cf45p-9F,
     0x1.53406cp-10F, 0x1.85fe9p-11F,  0x1.b86212p-12F, 0x1.ec3106p-13F, 0x1.11be0ap-13F,
     0x1.2f79bp-14F,  0x1.4ef73cp-15F, 0x1.72ac1p-16F,  0x1.99e824p-17F, 0x1.c54c3ap-18F,
     0x1.f423aep-19F, 0x1.14093ap-19F, 0x1.318eb6p-20F, 0x1.51348ep-21F, 0x1.744bc2p-22F,
     0x1.9b4648p-23F, 0x1.c6a786p-24F, 0x1.f569e8p-25F, 0x1.155a5ap-25F, 0x1.32469cp-26F,
     0x1.5219c4p-27F, 0x1.bb4064p-2F},
    {-0x1.7dda34p-6F,  -0x1.20d88ap-4F,  -0x1.0e6358p-5F, 0x1.2972aap-6F,   0x1.991f26p-7F,
     0x1.d8549p-8F,    -0x1.0fe646p-6F,  -0x1.ddd9bcp-9F, 0x1.9c1e88p-7F,   -0x1.de56c2p-10F,
     -0x1.a4ad3p-7F,   0x1.cba95cp-8F,   0x1.b618f2p-7F,  -0x1.373d5ep-6F,  -0x1.26170cp-7F,
     -0x1.9589c6p-7F,  -0x1.090b2ep-6F,  0x1.190042p-11F, 0x1.854358p-11F,  -0x1.7c8b88p-11F,
     0x1.e2fd3ep-7F,   -0x1.2556c8p-11F, -0x1.37bfbcp-7F, -0x1.b3481cp-7F,  0x1.52c246p-7F,
     -0x1.5cb7f2p-17F, 0x1.d334dep-7F,   0x1.aa3b78p-7F,  -0x1.a898eap-11F, -0x1.233c58p-8F,
     0x1.e0afbap-7F,   0x1.c9e43cp-1F}};

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
  bool has_pieces() const;
  std::pair<Value*, Value*> split(Value* x) const;
  template <typename F>
  Value* in_pieces(Value* x, Value* y, F f) const;
  Value* scaled_by_instruction(Value* p, Value* n) const;
  template <size_t degrees, size_t multiples>
  Value* by_multiples(Value* x, const float (&c)[degrees][multiples], double step) const;
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

// Whether values are whole vectors of AVX-512.
bool F32::has_pieces() const {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type_);
  return vector && vector->getNumElements() % 16 == 0 &&
         b_.GetInsertBlock()->getModule()->getModuleFlag(avx512_flag);
}

// f of 16 lanes of x and y at a time.
template <typename F>
Value* F32::in_pieces(Value* x, Value* y, F f) const {
  const auto lanes = static_cast<int>(llvm::cast<llvm::FixedVectorType>(type_)->getNumElements());
  if (lanes == 16) return f(x, y);
  Value* result = nullptr;
  for (int first = 0; first < lanes; first += 16) {
    std::vector<int> part(16);
    std::iota(part.begin(), part.end(), first);
    Value* piece = f(b_.CreateShuffleVector(x, part), b_.CreateShuffleVector(y, part));
    if (!result) {
      result = piece;
      continue;
    }
    // Pieces are joined from the left; the shorter operand of a shuffle is widened first.
    std::vector<int> widen(static_cast<size_t>(first), -1), join(static_cast<size_t>(first) + 16);
    for (int k = 0; k < std::min(first, 16); ++k) widen[static_cast<size_t>(k)] = k;
    if (first > 16) piece = b_.CreateShuffleVector(piece, widen);
    std::iota(join.begin(), join.end(), 0);
    result = b_.CreateShuffleVector(result, piece, join);
  }
  return result;
}

// p · 2^n by AVX-512's instruction; null where it or the lanes are missing.
Value* F32::scaled_by_instruction(Value* p, Value* n) const {
  if (!has_pieces()) return nullptr;
  return in_pieces(p, n, [&](Value* x, Value* y) {
    const auto current_rounding = b_.getInt32(4);
    return b_.CreateIntrinsic(
        Intrinsic::x86_avx512_mask_scalef_ps_512, {},
        {x, y, llvm::Constant::getNullValue(x->getType()), b_.getInt16(0xffff), current_rounding});
  });
}

// An odd function by its polynomials. REQUIRES: has_pieces().
template <size_t degrees, size_t multiples>
Value* F32::by_multiples(Value* x, const float (&c)[degrees][multiples], double step) const {
  const double last = step * static_cast<double>(multiples - 1);
  Value* size = abs(x);
  Value* t = select(greater(size, last), number(last), size);  // a NaN stays
  const double magic = 0x1.8p23;
  Value* shifted = fma(t, number(1 / step), number(magic));
  Value* u = fma(sub(shifted, number(magic)), number(-step), t);
  Value* sum = nullptr;
  for (size_t degree = degrees; degree-- > 0;) {
    Value* coefficient = in_pieces(shifted, u, [&](Value* at, Value*) -> Value* {
      const auto entries = [&](size_t first) {
        const auto row = llvm::ArrayRef<float>(c[degree]).slice(first, 16);
        return llvm::ConstantDataVector::get(b_.getContext(), row);
      };
      Value* n = b_.CreateBitCast(at, llvm::FixedVectorType::get(b_.getInt32Ty(), 16));
      if (multiples == 16)
        return b_.CreateIntrinsic(Intrinsic::x86_avx512_permvar_sf_512, {}, {entries(0), n});
      return b_.CreateIntrinsic(Intrinsic::x86_avx512_vpermi2var_ps_512, {},
                                {entries(0), n, entries(multiples - 16)});
    });
    sum = sum ? fma(sum, u, coefficient) : coefficient;
  }
  return with_sign(sum, x);
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

// x as 2^e · (1 + f), 1 + f in [√½, √2); e and f are anything for 0, ∞ and what has no logarithm.
std::pair<Value*, Value*> F32::split(Value* x) const {
  if (has_pieces()) {
    const auto all = b_.getInt16(0xffff);
    const auto current_rounding = b_.getInt32(4);
    Value* e = in_pieces(x, x, [&](Value* y, Value*) {
      Value* none = llvm::Constant::getNullValue(y->getType());
      return b_.CreateIntrinsic(Intrinsic::x86_avx512_mask_getexp_ps_512, {},
                                {y, none, all, current_rounding});
    });
    Value* m = in_pieces(x, x, [&](Value* y, Value*) {  // in [1, 2)
      Value* none = llvm::Constant::getNullValue(y->getType());
      return b_.CreateIntrinsic(Intrinsic::x86_avx512_mask_getmant_ps_512, {},
                                {y, b_.getInt32(0), none, all, current_rounding});
    });
    Value* large = greater(m, 0x1.6a09e6p0);  // √2
    m = select(large, mul(m, number(0.5)), m);
    return {select(large, add(e, number(1)), e), sub(m, number(1))};
  }
  Value* is_small = less(x, 0x1p-126);
  Value* scaled = select(is_small, mul(x, number(0x1p23)), x);
  Value* offset = b_.CreateSub(bits(scaled), integer(0x3f3504f3));  // bits of √½
  Value* e = b_.CreateAShr(offset, integer(23));
  Value* mantissa = b_.CreateSub(bits(scaled), b_.CreateShl(e, integer(23)));
  Value* exponent = b_.CreateSIToFP(e, type_);
  exponent = select(is_small, sub(exponent, number(23)), exponent);
  return {exponent, sub(real(mantissa), number(1))};
}

// e·ln 2 + log(1 + f)
Value* F32::log(Value* x) const {
  const auto [exponent, f] = split(x);
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
  if (has_pieces()) return by_multiples(x, tanh_pieces, tanh_step);
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
  if (has_pieces()) return by_multiples(x, erf_pieces, erf_step);
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
