// SPDX-License-Identifier: Apache-2.0
// Hasher over the streaming interface of XXH3-128.
#include "base/hash.h"

#include <fmt/core.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <bit>

namespace tessera {

struct Hasher::State {
  XXH3_state_t* stream = XXH3_createState();
  State() { XXH3_128bits_reset(stream); }
  ~State() { XXH3_freeState(stream); }
};

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

Hasher& Hasher::add(int64_t value) {
  XXH3_128bits_update(state_->stream, &value, sizeof value);
  return *this;
}

Hasher& Hasher::add(double value) { return add(std::bit_cast<int64_t>(value)); }

Hasher& Hasher::add(std::string_view text) {
  add(static_cast<int64_t>(text.size()));
  XXH3_128bits_update(state_->stream, text.data(), text.size());
  return *this;
}

Hasher& Hasher::add(const Hash128& hash) {
  return add(static_cast<int64_t>(hash.high)).add(static_cast<int64_t>(hash.low));
}

Hasher& Hasher::add_bytes(std::span<const std::byte> bytes) {
  add(static_cast<int64_t>(bytes.size()));
  XXH3_128bits_update(state_->stream, bytes.data(), bytes.size());
  return *this;
}

Hash128 Hasher::finish() const {
  const XXH128_hash_t digest = XXH3_128bits_digest(state_->stream);
  return {digest.high64, digest.low64};
}

std::string Hash128::to_string() const { return fmt::format("{:016x}{:016x}", high, low); }

}  // namespace tessera
