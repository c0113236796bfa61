// SPDX-License-Identifier: Apache-2.0
// A head, then texts, each after its length.
#include "base/journal.h"

#include <charconv>
#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "base/hash.h"

namespace tessera {

Journal::Journal(std::string path, const std::string& head) : path_(std::move(path)) {
  namespace fs = std::filesystem;
  const std::string all = fs::exists(path_) ? read_file(path_) : std::string();
  std::string whole = head + "\n";
  if (all.starts_with(whole)) {
    size_t at = whole.size();
    while (true) {
      const size_t line = all.find('\n', at);
      if (line == std::string::npos) break;
      size_t size = 0;
      const char* end = all.data() + line;
      const auto read = std::from_chars(all.data() + at, end, size);
      if (read.ec != std::errc() || read.ptr != end || size > all.size() - line - 1) break;
      texts_ += all.substr(line + 1, size);
      at = line + 1 + size;
    }
    whole = all.substr(0, at);
  }
  if (whole == all) return;
  if (fs::path(path_).has_parent_path()) fs::create_directories(fs::path(path_).parent_path());
  AtomicFile file(path_);
  file.write(whole);
  file.commit();
}

void Journal::add(const std::string& text) {
  if (text.empty()) return;
  std::ofstream file(path_, std::ios::app);
  file << text.size() << '\n' << text;
  if (!file.flush()) fail_user(ErrorKind::missing_resource, "{} cannot be written", path_);
}

std::string program_hash() {
  return Hasher().add(read_file("/proc/self/exe")).finish().to_string();
}

}  // namespace tessera
