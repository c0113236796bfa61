// SPDX-License-Identifier: Apache-2.0
// Scalar primitives on doubles and wrapped integers.
#include "ir/scalar_eval.h"

#include <cmath>
#include <limits>

#include "base/check.h"
#include "types/tensor.h"

namespace tessera::ir {
namespace {

double sign_of(double x) { return x > 0 ? 1.0 : x < 0 ? -1.0 : x; }
double nan_max(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return std::fmax(a, b);
}
double nan_min(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return std::fmin(a, b);
}
double floor_mod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}

Scalar boolean(bool v) { return Scalar::of_integer(v ? 1 : 0); }

Scalar apply_real(Prim prim, double a, double b) {
  switch (prim) {
    case Prim::neg: return Scalar::of(-a);
    case Prim::abs: return Scalar::of(std::fabs(a));
    case Prim::sign: return Scalar::of(sign_of(a));
    case Prim::floor: return Scalar::of(std::floor(a));
    case Prim::ceil: return Scalar::of(std::ceil(a));
    case Prim::round: return Scalar::of(std::nearbyint(a));
    case Prim::trunc: return Scalar::of(std::trunc(a));
    case Prim::sqrt: return Scalar::of(std::sqrt(a));
    case Prim::exp: return Scalar::of(std::exp(a));
    case Prim::expm1: return Scalar::of(std::expm1(a));
    case Prim::log: return Scalar::of(std::log(a));
    case Prim::log1p: return Scalar::of(std::log1p(a));
    case Prim::sin: return Scalar::of(std::sin(a));
    case Prim::cos: return Scalar::of(std::cos(a));
    case Prim::asin: return Scalar::of(std::asin(a));
    case Prim::acos: return Scalar::of(std::acos(a));
    case Prim::atan: return Scalar::of(std::atan(a));
    case Prim::tanh: return Scalar::of(std::tanh(a));
    case Prim::erf: return Scalar::of(std::erf(a));
    case Prim::is_nan: return boolean(std::isnan(a));
    case Prim::add: return Scalar::of(a + b);
    case Prim::sub: return Scalar::of(a - b);
    case Prim::mul: return Scalar::of(a * b);
    case Prim::div: return Scalar::of(a / b);
    case Prim::floor_div: return Scalar::of(std::floor(a / b));
    case Prim::mod: return Scalar::of(floor_mod(a, b));
    case Prim::fmod: return Scalar::of(std::fmod(a, b));
    case Prim::pow: return Scalar::of(std::pow(a, b));
    case Prim::min: return Scalar::of(nan_min(a, b));
    case Prim::max: return Scalar::of(nan_max(a, b));
    case Prim::eq: return boolean(a == b);
    case Prim::ne: return boolean(a != b);
    case Prim::lt: return boolean(a < b);
    case Prim::le: return boolean(a <= b);
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
  return {};
}

int64_t wrapping_pow(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1, factor = static_cast<uint64_t>(base);
  for (; exponent > 0; exponent >>= 1, factor *= factor)
    if (exponent & 1) result *= factor;
  return static_cast<int64_t>(result);
}

int64_t truncated_div(int64_t a, int64_t b, bool is_unsigned) {
  if (b == 0) return 0;
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  if (is_unsigned) return static_cast<int64_t>(ua / ub);
  if (b == -1) return static_cast<int64_t>(uint64_t{0} - ua);
  return a / b;
}

int64_t shift(Prim prim, DType type, int64_t a, int64_t count) {
  const bool arithmetic = prim == Prim::shift_right && is_signed_integer(type) && a < 0;
  if (count < 0 || count >= bit_width(type)) return arithmetic ? -1 : 0;
  if (prim == Prim::shift_left) return static_cast<int64_t>(static_cast<uint64_t>(a) << count);
  return is_signed_integer(type) ? a >> count
                                 : static_cast<int64_t>(static_cast<uint64_t>(a) >> count);
}

int64_t apply_integer(Prim prim, DType type, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a), ub = static_cast<uint64_t>(b);
  const bool is_unsigned = !is_signed_integer(type);
  const bool less = is_unsigned ? ua < ub : a < b;
  switch (prim) {
    case Prim::neg: return static_cast<int64_t>(uint64_t{0} - ua);
    case Prim::abs: return is_unsigned || a >= 0 ? a : static_cast<int64_t>(uint64_t{0} - ua);
    case Prim::sign: return is_unsigned ? a != 0 : (a > 0) - (a < 0);
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return a;
    case Prim::logical_not: return a == 0;
    case Prim::bit_not: return ~a;
    case Prim::is_nan: return 0;
    case Prim::add: return static_cast<int64_t>(ua + ub);
    case Prim::sub: return static_cast<int64_t>(ua - ub);
    case Prim::mul: return static_cast<int64_t>(ua * ub);
    case Prim::div: return truncated_div(a, b, is_unsigned);
    case Prim::floor_div:
      if (b == 0) return 0;
      return is_unsigned || b == -1 ? truncated_div(a, b, is_unsigned) : sym::floor_div(a, b);
    case Prim::mod:
      if (b == 0) return 0;
      return is_unsigned ? static_cast<int64_t>(ua % ub) : sym::modulo(a, b);
    case Prim::fmod:
      if (b == 0) return 0;
      return is_unsigned ? static_cast<int64_t>(ua % ub) : b == -1 ? 0 : a % b;
    case Prim::pow: return wrapping_pow(a, b);
    case Prim::min: return less ? a : b;
    case Prim::max: return less ? b : a;
    case Prim::eq: return a == b;
    case Prim::ne: return a != b;
    case Prim::lt: return less;
    case Prim::le: return less || a == b;
    case Prim::logical_and: return a != 0 && b != 0;
    case Prim::logical_or: return a != 0 || b != 0;
    case Prim::bit_and: return a & b;
    case Prim::bit_or: return a | b;
    case Prim::bit_xor: return a ^ b;
    case Prim::shift_left:
    case Prim::shift_right: return shift(prim, type, a, b);
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
  TESSERA_CHECK(false, "{} of {}", to_string(prim), to_string(type));
  return 0;
}

}  // namespace

Scalar apply(Prim prim, DType type, Scalar a, Scalar b) {
  if (is_float(type)) return apply_real(prim, a.real, b.real);
  const int64_t value = apply_integer(prim, type, a.integer, b.integer);
  return Scalar::of_integer(wrap_integer(value, gives_boolean(prim) ? DType::boolean : type));
}

Scalar convert(Scalar value, DType from, DType to) {
  if (is_float(from))
    return is_float(to) ? Scalar::of(round_to(value.real, to))
                        : Scalar::of_integer(float_to_integer(value.real, to));
  if (!is_float(to)) return Scalar::of_integer(wrap_integer(value.integer, to));
  const double real = from == DType::u64 ? static_cast<double>(static_cast<uint64_t>(value.integer))
                                         : static_cast<double>(value.integer);
  return Scalar::of(round_to(real, to));
}

Scalar identity(Reduction reduction, DType type) {
  const double infinity = std::numeric_limits<double>::infinity();
  switch (reduction) {
    case Reduction::sum: return {0.0, 0};
    case Reduction::prod: return {1.0, 1};
    case Reduction::max: return {-infinity, is_float(type) ? 0 : min_integer(type)};
    case Reduction::min: return {infinity, is_float(type) ? 0 : max_integer(type)};
  }
  return {};
}

Prim combiner(Reduction reduction) {
  switch (reduction) {
    case Reduction::sum: return Prim::add;
    case Reduction::prod: return Prim::mul;
    case Reduction::max: return Prim::max;
    case Reduction::min: return Prim::min;
  }
  return Prim::add;
}

}  // namespace tessera::ir
