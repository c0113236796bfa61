// SPDX-License-Identifier: Apache-2.0
// Mapping of model files and of the external data beside them.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "onnx/tensor_proto.h"

namespace tessera::onnx {
namespace {

std::shared_ptr<const std::byte> map_descriptor(int fd, int64_t bytes, const std::string& what) {
  if (bytes == 0) return {};
  void* memory = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED)
    fail_user(ErrorKind::missing_resource, "cannot map '{}': {}", what, std::strerror(errno));
  return {static_cast<const std::byte*>(memory), [bytes](const std::byte* p) {
            munmap(const_cast<std::byte*>(p), static_cast<size_t>(bytes));
          }};
}

struct Descriptor {
  int fd = -1;
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
};

// Without openat2 (kernels before 5.6): component by component, following no link.
int open_by_components(int folder, const std::string& location) {
  int at = dup(folder);
  size_t begin = 0;
  while (at >= 0) {
    const size_t end = location.find('/', begin);
    const bool last = end == std::string::npos;
    const std::string part = location.substr(begin, last ? std::string::npos : end - begin);
    if (part == "..") {
      close(at);
      errno = EXDEV;
      return -1;
    }
    const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | (last ? 0 : O_DIRECTORY);
    const int next = part.empty() || part == "." ? dup(at) : openat(at, part.c_str(), flags);
    close(at);
    if (last) return next;
    at = next;
    begin = end + 1;
  }
  return -1;
}

int open_beneath(int folder, const std::string& location) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const auto fd =
      static_cast<int>(syscall(SYS_openat2, folder, location.c_str(), &how, sizeof(how)));
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return open_by_components(folder, location);
  return fd;
}

}  // namespace

MappedFile map_file(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (file.fd < 0 || fstat(file.fd, &info) != 0)
    fail_user(ErrorKind::invalid_input, "cannot read '{}': {}", path, std::strerror(errno));
  TESSERA_USER_CHECK(S_ISREG(info.st_mode), "'{}' is not a regular file", path);
  return {map_descriptor(file.fd, info.st_size, path), info.st_size};
}

ExternalFiles::ExternalFiles(std::string folder) : folder_(std::move(folder)) {
  if (!folder_.empty()) folder_fd_ = ::open(folder_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
}

ExternalFiles::~ExternalFiles() {
  if (folder_fd_ >= 0) close(folder_fd_);
}

const ExternalFiles::File& ExternalFiles::open(const std::string& location) {
  const auto known = files_.find(location);
  if (known != files_.end()) return known->second;
  TESSERA_USER_CHECK(folder_fd_ >= 0, "external data '{}' has no folder to lie in", location);
  TESSERA_USER_CHECK(
      !location.empty() && location[0] != '/' && location.find('\0') == std::string::npos,
      "external data '{}' must be a relative path", location);
  const Descriptor file(open_beneath(folder_fd_, location));
  TESSERA_USER_CHECK(file.fd >= 0 || (errno != EXDEV && errno != ELOOP),
                     "external data '{}' must lie in the model's folder, without links", location);
  struct stat info {};
  TESSERA_USER_CHECK(file.fd >= 0 && fstat(file.fd, &info) == 0,
                     "cannot read external data '{}': {}", location, std::strerror(errno));
  TESSERA_USER_CHECK(S_ISREG(info.st_mode), "external data '{}' is not a regular file", location);
  TESSERA_USER_CHECK(info.st_nlink == 1, "external data '{}' has {} hard links, expected 1",
                     location, info.st_nlink);
  File mapped{map_descriptor(file.fd, info.st_size, location), info.st_size};
  return files_.emplace(location, std::move(mapped)).first->second;
}

Tensor ExternalFiles::tensor(const std::string& location, int64_t offset, DType type, Shape shape) {
  const File& file = open(location);
  const auto count = element_count(shape);
  TESSERA_CHECK(count.has_value());
  int64_t bytes = 0, end = 0;
  const bool fits = !__builtin_mul_overflow(*count, static_cast<int64_t>(size_of(type)), &bytes) &&
                    offset >= 0 && !__builtin_add_overflow(offset, bytes, &end) &&
                    end <= file.bytes;
  TESSERA_USER_CHECK(fits, "external data '{}' has {} bytes, expected {} from offset {}", location,
                     file.bytes, bytes, offset);
  if (*count == 0) return Tensor(type, std::move(shape));
  const std::byte* data = file.data.get() + offset;
  if (offset % static_cast<int64_t>(size_of(type)) == 0)
    return Tensor(type, std::move(shape), file.data, data);
  Tensor copy(type, std::move(shape));
  std::memcpy(copy.mutable_data(), data, copy.bytes());
  return copy;
}

}  // namespace tessera::onnx
