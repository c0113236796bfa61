// SPDX-License-Identifier: Apache-2.0
// Results that are dear to compute (compiled code), kept on disk under the hash of everything they
// depend on. One file per entry: a header with a checksum, then the bytes.
//
// The folder and its files belong to the user alone: a folder that someone else owns or may write
// to is not used, nor is a file. Files appear by renaming, so processes may share a folder.
// Whatever is wrong with an entry (damaged, cut short, from another format) makes it a miss, never
// an error.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"

namespace tessera {

struct DiskCacheOptions {
  std::string folder;                        ///< empty: nothing is kept and nothing is found
  bool require_hit = false;                  ///< a miss is the user's error (see fail_required)
  uint64_t max_bytes = uint64_t{256} << 20;  ///< the oldest entries go when there are more
};

/// Thread-safe.
class DiskCache {
 public:
  using Bytes = std::vector<std::byte>;

  /// Makes the folder (with mode 0700) when it is missing. Throws UserError only where a hit is
  /// required and the folder cannot be used.
  explicit DiskCache(DiskCacheOptions options);
  ~DiskCache();
  DiskCache(const DiskCache&) = delete;
  DiskCache& operator=(const DiskCache&) = delete;

  /// The bytes stored under `key`, if they are there and whole.
  std::optional<Bytes> load(const Hash128& key);
  /// Keeps the bytes if that is possible. Now and then the folder is pruned.
  void store(const Hash128& key, std::span<const std::byte> bytes);
  /// Throws UserError(missing_resource) about `what` when options require a hit.
  void require(const std::string& what) const;

  bool enabled() const { return enabled_; }
  /// Why the folder is not used; empty while it is, and when none was named.
  const std::string& refusal() const { return refusal_; }
  uint64_t hits() const { return hits_; }
  uint64_t misses() const { return misses_; }

 private:
  std::string path_of(const Hash128& key) const;
  void prune();

  DiskCacheOptions options_;
  bool enabled_ = false;
  std::string refusal_;
  std::atomic<uint64_t> hits_{0}, misses_{0};
  std::atomic<uint64_t> stored_{0};  ///< bytes since the folder was last looked through
};

}  // namespace tessera
