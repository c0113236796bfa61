// SPDX-License-Identifier: Apache-2.0
// Output files that appear whole or not at all: bytes go to a temporary file in the same folder,
// which is renamed over the target by commit().
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tessera {

/// Writes one file. Without commit() the target stays as it was and the temporary file vanishes.
/// Devices and pipes are written directly; a symbolic link keeps pointing where it points.
/// Failures throw UserError(missing_resource) naming the path. Not thread-safe.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Makes the file visible under its name. REQUIRES: called once, last.
  void commit();

 private:
  [[noreturn]] void fail(std::string_view what) const;

  std::string path_;
  std::string temporary_;  ///< empty when the target is written directly
  int descriptor_ = -1;
};

/// The whole contents of a file; throws UserError(missing_resource) when it cannot be read.
std::string read_file(const std::string& path);

}  // namespace tessera
