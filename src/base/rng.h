// SPDX-License-Identifier: Apache-2.0
// A small counter-based generator (SplitMix64, Steele et al. 2014): same seed, same numbers on
// every machine. Randomness is always a parameter, so every run can be repeated.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace tessera {

/// Deterministic pseudo-random numbers; not for cryptography. Not thread-safe.
class Rng {
 public:
  explicit Rng(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// Uniform in [0, 1), 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

  /// Uniform integer in [low, high], both inclusive. REQUIRES: low <= high.
  int64_t integer(int64_t low, int64_t high) {
    const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
    return static_cast<int64_t>(static_cast<uint64_t>(low) +
                                (range == 0 ? next() : next() % range));
  }

  /// Standard normal (Box–Muller, one of the pair).
  double normal() {
    const double u = 1.0 - uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * uniform());
  }

 private:
  uint64_t state_;
};

}  // namespace tessera
