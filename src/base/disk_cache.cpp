// SPDX-License-Identifier: Apache-2.0
// Files of a folder that only its owner can reach.
#include "base/disk_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/check.h"

namespace tessera {
namespace {

constexpr uint64_t magic = 0x3145484341435354;  // "TSCACHE1"
constexpr const char* suffix = ".entry";
// A hit marks its entry as used; marks this fresh need not be renewed.
constexpr time_t mark_seconds = 3600;
// Pruning leaves room, so that it does not happen at every store.
constexpr double pruned_share = 0.8;

struct Header {
  uint64_t magic = 0, bytes = 0;
  Hash128 key, checksum;
};

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }

 private:
  int number_;
};

Hash128 checksum_of(std::span<const std::byte> bytes) { return Hasher().add_bytes(bytes).finish(); }

bool read_all(int file, void* to, size_t bytes) {
  char* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t done = read(file, at, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    bytes -= static_cast<size_t>(done);
  }
  return true;
}

bool write_all(int file, const void* from, size_t bytes) {
  const char* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t done = write(file, at, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    at += done;
    bytes -= static_cast<size_t>(done);
  }
  return true;
}

bool is_private(const struct stat& info) {
  return info.st_uid == geteuid() && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Why the folder cannot be trusted; empty when it can.
std::string prepare(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path(folder);
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return fmt::format("cannot create '{}': {}", folder, std::strerror(errno));
  struct stat info {};
  if (lstat(folder.c_str(), &info) != 0)
    return fmt::format("cannot use '{}': {}", folder, std::strerror(errno));
  if (!S_ISDIR(info.st_mode)) return fmt::format("'{}' is no folder", folder);
  if (!is_private(info)) return fmt::format("others may write to '{}'", folder);
  return {};
}

}  // namespace

DiskCache::DiskCache(DiskCacheOptions options) : options_(std::move(options)) {
  if (!options_.folder.empty()) {
    refusal_ = prepare(options_.folder);
    enabled_ = refusal_.empty();
  }
  if (options_.require_hit && !enabled_)
    fail_user(ErrorKind::missing_resource, "a cache hit is required, but {}",
              refusal_.empty() ? "there is no cache folder" : refusal_);
}

DiskCache::~DiskCache() {
  if (stored_ > 0) prune();
}

std::string DiskCache::path_of(const Hash128& key) const {
  return options_.folder + "/" + key.to_string() + suffix;
}

std::optional<DiskCache::Bytes> DiskCache::load(const Hash128& key) {
  const auto miss = [this] {
    ++misses_;
    return std::nullopt;
  };
  if (!enabled_) return miss();
  const std::string path = path_of(key);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat info {};
  Header header;
  if (file.get() < 0 || fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode) ||
      !is_private(info) || !read_all(file.get(), &header, sizeof header))
    return miss();
  if (header.magic != magic || header.key != key ||
      header.bytes + sizeof header != static_cast<uint64_t>(info.st_size))
    return miss();
  Bytes bytes(header.bytes);
  if (!read_all(file.get(), bytes.data(), bytes.size()) || checksum_of(bytes) != header.checksum)
    return miss();
  if (time(nullptr) - info.st_mtime > mark_seconds) futimens(file.get(), nullptr);
  ++hits_;
  return bytes;
}

void DiskCache::store(const Hash128& key, std::span<const std::byte> bytes) {
  if (!enabled_) return;
  // Unique among processes and threads; a leftover of a killed process is overwritten.
  const std::string temporary =
      fmt::format("{}/{}.{}.tmp", options_.folder, getpid(),
                  std::hash<std::thread::id>()(std::this_thread::get_id()));
  {
    const Descriptor file(
        open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    const Header header{magic, bytes.size(), key, checksum_of(bytes)};
    if (file.get() < 0) return;
    if (!write_all(file.get(), &header, sizeof header) ||
        !write_all(file.get(), bytes.data(), bytes.size())) {
      unlink(temporary.c_str());
      return;
    }
  }
  if (rename(temporary.c_str(), path_of(key).c_str()) != 0) unlink(temporary.c_str());
  if (stored_ += bytes.size(); stored_ > options_.max_bytes / 8) prune();
}

void DiskCache::require(const std::string& what) const {
  if (options_.require_hit)
    fail_user(ErrorKind::missing_resource, "{} is not in the cache '{}'", what, options_.folder);
}

void DiskCache::prune() {
  struct Entry {
    std::filesystem::file_time_type used;
    uint64_t bytes = 0;
    std::filesystem::path path;
  };
  stored_ = 0;
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator(options_.folder, error)) {
    const auto name = file.path().extension();
    if (name != suffix && name != ".tmp") continue;
    Entry e{file.last_write_time(error), 0, file.path()};
    if (error) continue;  // another process removed it
    e.bytes = file.file_size(error);
    if (error) continue;
    total += e.bytes;
    entries.push_back(std::move(e));
  }
  if (total <= options_.max_bytes) return;
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.used < b.used; });
  const auto wanted = static_cast<uint64_t>(pruned_share * static_cast<double>(options_.max_bytes));
  for (const Entry& e : entries) {
    if (total <= wanted) break;
    std::filesystem::remove(e.path, error);
    total -= e.bytes;
  }
}

}  // namespace tessera
