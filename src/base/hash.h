// SPDX-License-Identifier: Apache-2.0
// 128-bit content hashes, stable across runs and machines (XXH3-128 over a canonical byte stream).
// Never feed pointers, addresses or iteration orders of unordered containers into a Hasher.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace tessera {

/// A 128-bit digest. Ordered, so that hashes sort canonically.
struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const Hash128&) const = default;
  /// 32 lower-case hexadecimal digits.
  std::string to_string() const;
};

/// Accumulates values into a Hash128. Every `add` is self-delimiting, so ("ab","c") != ("a","bc").
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  Hasher& add(int64_t value);
  Hasher& add(double value);  ///< by bit pattern: -0.0 and 0.0 differ, NaN payloads differ
  Hasher& add(std::string_view text);
  Hasher& add(const Hash128& hash);
  Hasher& add_bytes(std::span<const std::byte> bytes);
  Hash128 finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Mixes `value` into `seed`; for hash tables only, not stable across versions.
inline size_t hash_combine(size_t seed, size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

}  // namespace tessera

template <>
struct std::hash<tessera::Hash128> {
  size_t operator()(const tessera::Hash128& h) const { return h.low; }
};
