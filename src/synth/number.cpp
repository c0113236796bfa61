// SPDX-License-Identifier: Apache-2.0
// Primitives on field elements, and what is random about them.
#include "synth/number.h"

#include <cmath>

#include "base/check.h"

namespace tessera::synth {
namespace {

using ir::Prim;

double magnitude(Number a) { return std::abs(static_cast<double>(field_to_integer(a.residue))); }

uint64_t random_residue(Prim prim, uint64_t a, uint64_t b, uint64_t seed) {
  const uint64_t word = mix_bits(mix_bits(mix_bits(seed + static_cast<uint64_t>(prim)) ^ a) ^ b);
  return word % (field_prime - 1) + 1;
}
Number random_number(Prim prim, Number a, uint64_t seed, uint64_t b = 0) {
  return {random_residue(prim, a.residue, b, seed), false};
}

bool is_upper(uint64_t residue) { return residue > field_prime / 2; }
Number negative(Number a) { return {field_negate(a.residue), a.whole}; }

bool is_positive(Number a, uint64_t seed) {
  if (a.residue == 0) return false;
  if (a.whole) return !is_upper(a.residue);
  const bool upper = is_upper(a.residue);
  const uint64_t lower = upper ? field_prime - a.residue : a.residue;
  return ((mix_bits(lower ^ mix_bits(seed)) & 1) != 0) != upper;
}

Number sum(Number a, Number b) {
  return {field_add(a.residue, b.residue),
          a.whole && b.whole && magnitude(a) + magnitude(b) < whole_limit};
}
Number product(Number a, Number b) {
  return {field_multiply(a.residue, b.residue),
          a.whole && b.whole && magnitude(a) * magnitude(b) < whole_limit};
}
Number quotient(Number a, Number b, uint64_t seed) {
  if (b.residue == 0) return random_number(Prim::div, a, seed);
  const bool unit = b.residue == 1 || b.residue == field_prime - 1;
  return {field_multiply(a.residue, field_inverse(b.residue)), (a.whole && unit) || a.residue == 0};
}

// g^x, or a random h with h(−x)·h(x) = 1.
Number exponential(Number a, uint64_t seed) {
  if (a.residue == 0) return number_of(int64_t{1});
  const bool upper = is_upper(a.residue);
  const uint64_t lower = upper ? field_prime - a.residue : a.residue;
  const uint64_t power = a.whole ? field_power(random_residue(Prim::exp, 0, 1, seed), lower)
                                 : random_residue(Prim::exp, lower, 0, seed);
  return {upper ? field_inverse(power) : power, false};
}

Number odd_function(Prim prim, Number a, uint64_t seed) {
  if (a.residue == 0) return a;
  if (!is_upper(a.residue)) return random_number(prim, a, seed);
  return negative(random_number(prim, negative(a), seed));
}

Number square_root(Number a, uint64_t seed) {
  if (a.residue <= 1) return a;
  if (!is_positive(a, seed)) return random_number(Prim::sqrt, a, seed);
  return {field_power(a.residue, (field_prime + 1) / 4), false};
}

Number tangent(Number a, uint64_t seed) {
  const Number power = exponential(sum(a, a), seed), one = number_of(int64_t{1});
  return quotient(sum(power, negative(one)), sum(power, one), seed);
}

Number power(Number a, Number b, uint64_t seed) {
  const bool small = b.whole && magnitude(b) <= 8;
  if (!small) return random_number(Prim::pow, a, seed, b.residue);
  const int64_t exponent = field_to_integer(b.residue);
  Number result = number_of(int64_t{1});
  for (int64_t k = std::abs(exponent); k > 0; --k) result = product(result, a);
  return exponent < 0 ? quotient(number_of(int64_t{1}), result, seed) : result;
}

Number truth(bool value, bool whole = true) { return {uint64_t{value}, whole}; }

// What was chosen by a random sign is not whole: another sign might be the true one.
Number chosen(bool first, Number a, Number b, Number difference) {
  const Number c = first ? a : b;
  return {c.residue, c.whole && difference.whole};
}

}  // namespace

Number number_of(int64_t value) {
  return {field_from_integer(value), std::abs(static_cast<double>(value)) < whole_limit};
}

Number number_of(double value) {
  TESSERA_CHECK(std::isfinite(value), "{} has no place in a field", value);
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);  // value = fraction · 2^exponent
  uint64_t residue = field_from_integer(static_cast<int64_t>(std::ldexp(fraction, 53)));
  exponent -= 53;
  const uint64_t two = exponent < 0 ? field_inverse(2) : 2;
  residue = field_multiply(residue, field_power(two, static_cast<uint64_t>(std::abs(exponent))));
  return {residue, std::trunc(value) == value && std::abs(value) < whole_limit};
}

bool has_number_form(Prim prim) {
  switch (prim) {
    case Prim::bit_not:
    case Prim::bit_and:
    case Prim::bit_or:
    case Prim::bit_xor:
    case Prim::shift_left:
    case Prim::shift_right: return false;
    default: return true;
  }
}

Number apply_number(Prim prim, Number a, Number b, uint64_t seed) {
  const Number one = number_of(int64_t{1});
  switch (prim) {
    case Prim::neg: return negative(a);
    case Prim::add: return sum(a, b);
    case Prim::sub: return sum(a, negative(b));
    case Prim::mul: return product(a, b);
    case Prim::div: return quotient(a, b, seed);
    case Prim::abs: return chosen(is_positive(a, seed), a, negative(a), a);
    case Prim::sign:
      return a.residue == 0 ? a : chosen(is_positive(a, seed), one, negative(one), a);
    case Prim::max: {
      const Number d = sum(a, negative(b));
      return chosen(is_positive(d, seed), a, b, d);
    }
    case Prim::min: {
      const Number d = sum(b, negative(a));
      return chosen(is_positive(d, seed), a, b, d);
    }
    case Prim::lt: {
      const Number d = sum(b, negative(a));
      return truth(is_positive(d, seed), d.whole);
    }
    case Prim::le: {
      const Number d = sum(a, negative(b));
      return truth(!is_positive(d, seed), d.whole);
    }
    case Prim::eq: return truth(a.residue == b.residue);
    case Prim::ne: return truth(a.residue != b.residue);
    case Prim::is_nan: return truth(false);
    case Prim::logical_not: return sum(one, negative(a));
    case Prim::logical_and: return product(a, b);
    case Prim::logical_or: return sum(sum(a, b), negative(product(a, b)));
    case Prim::exp: return exponential(a, seed);
    case Prim::expm1: return sum(exponential(a, seed), negative(one));
    case Prim::log1p: return apply_number(Prim::log, sum(one, a), {}, seed);
    case Prim::tanh: return tangent(a, seed);
    case Prim::sqrt: return square_root(a, seed);
    case Prim::pow: return power(a, b, seed);
    case Prim::sin:
    case Prim::asin:
    case Prim::atan:
    case Prim::erf: return odd_function(prim, a, seed);
    case Prim::cos: return random_number(prim, is_upper(a.residue) ? negative(a) : a, seed);
    case Prim::log: return a.residue == 1 ? Number{} : random_number(prim, a, seed);
    case Prim::acos:
    case Prim::floor:
    case Prim::ceil:
    case Prim::round:
    case Prim::trunc: return random_number(prim, a, seed);
    case Prim::floor_div:
    case Prim::mod:
    case Prim::fmod: return random_number(prim, a, seed, b.residue);
    case Prim::select:
    case Prim::bit_not:
    case Prim::bit_and:
    case Prim::bit_or:
    case Prim::bit_xor:
    case Prim::shift_left:
    case Prim::shift_right: break;
  }
  TESSERA_CHECK(false, "{} has no form over a field", ir::to_string(prim));
  return {};
}

}  // namespace tessera::synth
