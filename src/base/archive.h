// SPDX-License-Identifier: Apache-2.0
// Writes several files as one: an uncompressed archive that `tar xf` opens (POSIX.1-1988 ustar).
#pragma once

#include <span>
#include <string>

namespace tessera {

struct ArchiveEntry {
  std::string name;       ///< in the archive, at most 99 bytes
  std::string text = {};  ///< the content, unless `file` is given
  std::string file = {};  ///< path of the file that is the content; at most 8 GB
};

/// False when the archive could not be written whole, or a file could not be read; what is left
/// then is removed.
bool write_archive(const std::string& path, std::span<const ArchiveEntry> entries);

}  // namespace tessera
