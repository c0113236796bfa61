// SPDX-License-Identifier: Apache-2.0
// Arithmetic in the field of 2^61 − 1 elements. Residues are always in [0, p).
#pragma once

#include <cstdint>

namespace tessera::synth {

inline constexpr uint64_t field_prime = (uint64_t{1} << 61) - 1;
using Wide = unsigned __int128;

/// REQUIRES: x < 2^122, which holds for a product of residues.
inline uint64_t field_reduce(Wide x) {
  const uint64_t sum = (static_cast<uint64_t>(x) & field_prime) + static_cast<uint64_t>(x >> 61);
  const uint64_t folded = (sum & field_prime) + (sum >> 61);
  return folded >= field_prime ? folded - field_prime : folded;
}
/// For any 128 bits: a sum of up to 63 products of residues.
inline uint64_t field_reduce_sum(Wide x) {
  const Wide folded = (x & field_prime) + (x >> 61);
  return field_reduce(folded);
}
inline uint64_t field_add(uint64_t a, uint64_t b) {
  const uint64_t sum = a + b;
  return sum >= field_prime ? sum - field_prime : sum;
}
inline uint64_t field_negate(uint64_t a) { return a == 0 ? 0 : field_prime - a; }
inline uint64_t field_subtract(uint64_t a, uint64_t b) { return field_add(a, field_negate(b)); }
inline uint64_t field_multiply(uint64_t a, uint64_t b) {
  return field_reduce(static_cast<Wide>(a) * b);
}
inline uint64_t field_power(uint64_t base, uint64_t exponent) {
  uint64_t result = 1;
  for (; exponent != 0; exponent >>= 1, base = field_multiply(base, base))
    if (exponent & 1) result = field_multiply(result, base);
  return result;
}
/// REQUIRES: a != 0.
inline uint64_t field_inverse(uint64_t a) { return field_power(a, field_prime - 2); }

inline uint64_t field_from_integer(int64_t v) {
  const int64_t rest = v % static_cast<int64_t>(field_prime);
  return rest < 0 ? static_cast<uint64_t>(rest + static_cast<int64_t>(field_prime))
                  : static_cast<uint64_t>(rest);
}
/// The representative nearest to zero.
inline int64_t field_to_integer(uint64_t a) {
  return a > field_prime / 2 ? static_cast<int64_t>(a) - static_cast<int64_t>(field_prime)
                             : static_cast<int64_t>(a);
}

/// A bijection of 64-bit words that mixes all bits (the finalizer of SplitMix64).
inline uint64_t mix_bits(uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace tessera::synth
