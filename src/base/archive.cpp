// SPDX-License-Identifier: Apache-2.0
// Archive headers are blocks of 512 bytes with numbers in octal; contents are padded to such
// blocks.
#include "base/archive.h"

#include <fmt/core.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>

namespace tessera {
namespace {

constexpr size_t block = 512;
constexpr size_t max_name = 99;
constexpr uint64_t max_size = uint64_t{1} << 33;  // eleven octal digits

std::array<char, block> header(const std::string& name, uint64_t size) {
  std::array<char, block> h{};
  const auto put = [&](size_t at, const std::string& text) {
    std::memcpy(h.data() + at, text.data(), text.size());
  };
  put(0, name);
  put(100, "0000644");  // mode, owner, group
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", size));
  put(136, "00000000000");  // time of change
  put(148, "        ");     // the checksum counts itself as spaces
  h[156] = '0';             // a regular file
  put(257, std::string("ustar\0", 6) + "00");
  const unsigned sum = std::accumulate(h.begin(), h.end(), 0U, [](unsigned total, char c) {
    return total + static_cast<unsigned char>(c);
  });
  put(148, fmt::format("{:06o}", sum));
  h[154] = '\0';
  return h;
}

bool write_entry(std::ofstream& out, const ArchiveEntry& entry) {
  std::error_code error;
  const uint64_t size =
      entry.file.empty() ? entry.text.size() : std::filesystem::file_size(entry.file, error);
  if (error || size >= max_size || entry.name.size() > max_name) return false;
  const auto head = header(entry.name, size);
  out.write(head.data(), block);
  uint64_t written = entry.text.size();
  if (entry.file.empty()) {
    out << entry.text;
  } else {
    std::ifstream in(entry.file, std::ios::binary);
    std::array<char, 1 << 16> buffer;
    for (written = 0; in.read(buffer.data(), buffer.size()) || in.gcount() > 0;) {
      out.write(buffer.data(), in.gcount());
      written += static_cast<uint64_t>(in.gcount());
    }
  }
  const std::string padding((block - size % block) % block, '\0');
  out << padding;
  return written == size;
}

}  // namespace

bool write_archive(const std::string& path, std::span<const ArchiveEntry> entries) {
  std::ofstream out(path, std::ios::binary);
  bool complete = static_cast<bool>(out);
  for (const ArchiveEntry& entry : entries) complete = complete && write_entry(out, entry);
  out << std::string(2 * block, '\0');
  out.close();
  if (complete && out) return true;
  std::error_code ignored;
  std::filesystem::remove(path, ignored);
  return false;
}

}  // namespace tessera
