// SPDX-License-Identifier: Apache-2.0
// Temporary file, rename, and plain reading, over POSIX.
#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/check.h"

namespace tessera {
namespace {

constexpr mode_t file_mode = 0666;  // as every new file: the umask takes its share

// The file that a path finally names; the path itself where nothing is there yet.
std::string resolved(const std::string& path) {
  char* real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result = real;
  std::free(real);
  return result;
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(resolved(path)) {
  struct stat info {};
  const bool special = stat(path_.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  if (special) {
    descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0) fail("cannot open");
    return;
  }
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = fmt::format("{}.{}.{}.tmp", path_, getpid(), attempt);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file_mode);
    if (descriptor_ < 0 && errno != EEXIST) {
      temporary_.clear();
      fail("cannot create");
    }
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(descriptor_, at, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("cannot write");
    at += done;
    bytes -= static_cast<size_t>(done);
  }
}

void AtomicFile::commit() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (close(descriptor) != 0) fail("cannot write");
  if (temporary_.empty()) return;
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot replace");
  temporary_.clear();
}

void AtomicFile::fail(std::string_view what) const {
  fail_user(ErrorKind::missing_resource, "{} '{}': {}", what, path_, std::strerror(errno));
}

std::string read_file(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream contents;
  struct stat info {};
  const bool folder = stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  if (folder || !stream || !(contents << stream.rdbuf() || info.st_size == 0))
    fail_user(ErrorKind::missing_resource, "cannot read '{}'{}", path,
              folder ? ": it is a folder" : "");
  return std::move(contents).str();
}

}  // namespace tessera
