// SPDX-License-Identifier: Apache-2.0
// The scalar primitives modulo 2^61 − 1 and in extended precision.
#include "audit/arithmetic.h"

#include <cmath>
#include <limits>

namespace tessera::audit {
namespace {

using ir::Prim;

constexpr uint64_t prime = (uint64_t{1} << 61) - 1;

uint64_t reduced(unsigned __int128 v) {
  const auto folded = static_cast<uint64_t>(v & prime) + static_cast<uint64_t>(v >> 61);
  return folded >= prime ? folded - prime : folded;
}
uint64_t times(uint64_t a, uint64_t b) { return reduced(static_cast<unsigned __int128>(a) * b); }
uint64_t plus(uint64_t a, uint64_t b) { return reduced(static_cast<unsigned __int128>(a) + b); }
uint64_t minus(uint64_t a) { return a == 0 ? 0 : prime - a; }

uint64_t power(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent > 0; exponent >>= 1, base = times(base, base))
    if (exponent & 1) result = times(result, base);
  return result;
}

uint64_t inverse(uint64_t a) {
  if (a == 0) throw NotDefined{};
  return power(a, prime - 2);
}

// splitmix64 of the function's name and its arguments.
uint64_t random_function(Prim prim, uint64_t a, uint64_t b) {
  uint64_t h = a + 0x9e3779b97f4a7c15ULL * (static_cast<uint64_t>(prim) + 1);
  for (int round = 0; round < 2; ++round) {
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9ULL;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebULL;
    h ^= (h >> 31) ^ (round == 0 ? b : 0);
  }
  return h % prime;
}

}  // namespace

Field::Number Field::of(double v) {
  if (!std::isfinite(v)) throw NotDefined{};
  constexpr int digits = 53, order_of_two = 61;
  int exponent = 0;
  const auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(v, &exponent), digits));
  const int shift = ((exponent - digits) % order_of_two + order_of_two) % order_of_two;
  return times(of_integer(mantissa), reduced(static_cast<unsigned __int128>(1) << shift));
}

Field::Number Field::of_integer(int64_t v) {
  const uint64_t size = v < 0 ? uint64_t{0} - static_cast<uint64_t>(v) : static_cast<uint64_t>(v);
  return v < 0 ? minus(reduced(size)) : reduced(size);
}

Field::Number Field::random(Rng& rng, double) { return rng.next() % prime; }

Field::Number Field::apply(Prim prim, Number a, Number b) {
  switch (prim) {
    case Prim::neg: return minus(a);
    case Prim::add: return plus(a, b);
    case Prim::sub: return plus(a, minus(b));
    case Prim::mul: return times(a, b);
    case Prim::div: return times(a, inverse(b));
    case Prim::pow: {
      for (uint64_t k = 0; k <= 4; ++k)
        if (b == k) return power(a, k);
      return random_function(prim, a, b);
    }
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
    case Prim::erf: return random_function(prim, a, 0);
    default: throw NotDefined{};  // orders and roundings
  }
}

bool Field::compare(Prim prim, Number a, Number b) {
  if (prim == Prim::eq) return a == b;
  if (prim == Prim::ne) return a != b;
  throw NotDefined{};
}

Extended::Number Extended::apply(Prim prim, Number a, Number b) {
  switch (prim) {
    case Prim::neg: return -a;
    case Prim::abs: return std::fabs(a);
    case Prim::sign: return a > 0 ? 1 : a < 0 ? -1 : a;
    case Prim::floor: return std::floor(a);
    case Prim::ceil: return std::ceil(a);
    case Prim::round: return std::nearbyint(a);
    case Prim::trunc: return std::trunc(a);
    case Prim::sqrt: return std::sqrt(a);
    case Prim::exp: return std::exp(a);
    case Prim::expm1: return std::expm1(a);
    case Prim::log: return std::log(a);
    case Prim::log1p: return std::log1p(a);
    case Prim::sin: return std::sin(a);
    case Prim::cos: return std::cos(a);
    case Prim::asin: return std::asin(a);
    case Prim::acos: return std::acos(a);
    case Prim::atan: return std::atan(a);
    case Prim::tanh: return std::tanh(a);
    case Prim::erf: return std::erf(a);
    case Prim::add: return a + b;
    case Prim::sub: return a - b;
    case Prim::mul: return a * b;
    case Prim::div: return a / b;
    case Prim::floor_div: return std::floor(a / b);
    case Prim::fmod: return std::fmod(a, b);
    case Prim::mod: {
      const Number r = std::fmod(a, b);
      return r != 0 && (r < 0) != (b < 0) ? r + b : r;
    }
    case Prim::pow: return std::pow(a, b);
    case Prim::min: return std::isnan(a) || std::isnan(b) ? a + b : a < b ? a : b;
    case Prim::max: return std::isnan(a) || std::isnan(b) ? a + b : a < b ? b : a;
    default: throw NotDefined{};
  }
}

bool Extended::compare(Prim prim, Number a, Number b) {
  switch (prim) {
    case Prim::eq: return a == b;
    case Prim::ne: return a != b;
    case Prim::lt: return a < b;
    case Prim::le: return a <= b;
    case Prim::is_nan: return std::isnan(a);
    default: throw NotDefined{};
  }
}

bool Extended::same(Number a, Number b, long double allowed) {
  return std::isnan(a) || a == b || std::fabs(a - b) <= allowed;
}

long double Extended::magnitude(Number v) { return std::isfinite(v) ? std::fabs(v) : 0; }

}  // namespace tessera::audit
