// SPDX-License-Identifier: Apache-2.0
// The zip container of .npz (PKWARE APPNOTE 6.3), as much of it as NumPy writes and some more. The
// central directory rules; every size in it is checked against the file before memory is taken.
#include "types/npz.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>

#include "base/atomic_file.h"
#include "base/check.h"
#include "types/npy_format.h"

namespace tessera {
namespace {

constexpr uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50;
constexpr uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50;
constexpr uint32_t locator_signature = 0x07064b50;
constexpr size_t local_size = 30, central_size = 46, end_size = 22, locator_size = 20;
constexpr size_t end64_size = 56, longest_comment = 65535;
constexpr uint32_t full32 = 0xffffffff;
constexpr uint64_t deflate_ratio = 1032;  // the most that deflate can expand a byte (zlib manual)
constexpr std::string_view bf16_suffix = ":bf16";

class InputFile {
 public:
  explicit InputFile(const std::string& path) : path_(path) {
    descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat info {};
    if (descriptor_ < 0 || fstat(descriptor_, &info) != 0 || !S_ISREG(info.st_mode)) {
      if (descriptor_ >= 0) close(descriptor_);
      fail_user(ErrorKind::missing_resource, "cannot read '{}'", path);
    }
    size_ = static_cast<uint64_t>(info.st_size);
  }
  ~InputFile() { close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

  std::string read(uint64_t offset, uint64_t bytes) const {
    TESSERA_USER_CHECK(offset <= size_ && bytes <= size_ - offset, "{}: truncated archive", path_);
    std::string result(bytes, '\0');
    for (uint64_t done = 0; done < bytes;) {
      const ssize_t n =
          pread(descriptor_, result.data() + done, bytes - done, static_cast<off_t>(offset + done));
      if (n <= 0) fail_user(ErrorKind::missing_resource, "cannot read '{}'", path_);
      done += static_cast<uint64_t>(n);
    }
    return result;
  }

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

// Little-endian integer of `width` bytes. REQUIRES: it lies inside `bytes`.
uint64_t get(std::string_view bytes, size_t at, int width) {
  uint64_t value = 0;
  for (int k = 0; k < width; ++k)
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[at + k])) << (8 * k);
  return value;
}

struct Member {
  std::string name;
  uint64_t flags = 0, method = 0, crc = 0, compressed = 0, size = 0, offset = 0;
};

struct Directory {
  uint64_t offset = 0, bytes = 0, count = 0;
};

Directory find_directory(const InputFile& file) {
  const uint64_t tail_size = std::min<uint64_t>(file.size(), end_size + longest_comment);
  const uint64_t tail_start = file.size() - tail_size;
  const std::string tail = file.read(tail_start, tail_size);
  TESSERA_USER_CHECK(tail.size() >= end_size, "{}: not a .npz archive", file.path());
  size_t at = tail.size() - end_size;
  while (get(tail, at, 4) != end_signature) {
    TESSERA_USER_CHECK(at > 0, "{}: not a .npz archive", file.path());
    --at;
  }
  Directory d{get(tail, at + 16, 4), get(tail, at + 12, 4), get(tail, at + 10, 2)};
  if (d.offset != full32 && d.bytes != full32 && d.count != 0xffff) return d;
  // Zip64: the locator stands right before the end record.
  const uint64_t end_at = tail_start + at;
  if (end_at < locator_size) return d;
  const std::string locator = file.read(end_at - locator_size, locator_size);
  if (get(locator, 0, 4) != locator_signature) return d;
  const std::string end64 = file.read(get(locator, 8, 8), end64_size);
  TESSERA_USER_CHECK(get(end64, 0, 4) == end64_signature, "{}: malformed zip64 archive",
                     file.path());
  return {get(end64, 48, 8), get(end64, 40, 8), get(end64, 32, 8)};
}

// Fields that are all ones in the entry stand in the zip64 extra field, in this order.
void read_zip64(std::string_view extra, Member& member, const std::string& where) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const uint64_t id = get(extra, at, 2), bytes = get(extra, at + 2, 2);
    if (bytes > extra.size() - at - 4) break;
    if (id == 1) {
      const std::string_view body = extra.substr(at + 4, bytes);
      size_t used = 0;
      for (uint64_t* field : {&member.size, &member.compressed, &member.offset}) {
        if (*field != full32) continue;
        TESSERA_USER_CHECK(body.size() >= used + 8, "{}: malformed zip64 field", where);
        *field = get(body, used, 8);
        used += 8;
      }
    }
    at += 4 + bytes;
  }
}

std::vector<Member> read_members(const InputFile& file) {
  const Directory directory = find_directory(file);
  const std::string bytes = file.read(directory.offset, directory.bytes);
  std::vector<Member> members;
  uint64_t total = 0;
  size_t at = 0;
  for (uint64_t k = 0; k < directory.count; ++k) {
    TESSERA_USER_CHECK(at + central_size <= bytes.size() && get(bytes, at, 4) == central_signature,
                       "{}: malformed directory", file.path());
    const std::string_view entry = std::string_view(bytes).substr(at);
    const size_t name = get(entry, 28, 2), extra = get(entry, 30, 2), comment = get(entry, 32, 2);
    TESSERA_USER_CHECK(central_size + name + extra + comment <= entry.size(),
                       "{}: malformed directory", file.path());
    Member m{.name = std::string(entry.substr(central_size, name)),
             .flags = get(entry, 8, 2),
             .method = get(entry, 10, 2),
             .crc = get(entry, 16, 4),
             .compressed = get(entry, 20, 4),
             .size = get(entry, 24, 4),
             .offset = get(entry, 42, 4)};
    read_zip64(entry.substr(central_size + name, extra), m, file.path());
    // Members that overlap could unpack to far more than the file holds.
    TESSERA_USER_CHECK(m.compressed <= file.size() && total + m.compressed <= file.size(),
                       "{}: the sizes of its members exceed the file", file.path());
    total += m.compressed;
    members.push_back(std::move(m));
    at += central_size + name + extra + comment;
  }
  return members;
}

std::string inflate_all(const std::string& packed, uint64_t size, const std::string& where) {
  TESSERA_USER_CHECK(size <= packed.size() * deflate_ratio + 64, "{}: impossible size {}", where,
                     size);
  std::string result(size, '\0');
  z_stream stream{};
  TESSERA_CHECK(inflateInit2(&stream, -MAX_WBITS) == Z_OK);  // negative: no zlib header
  size_t in = 0, out = 0;
  int status = Z_OK;
  constexpr size_t chunk = size_t{1} << 30;  // zlib counts in 32 bits
  while (status == Z_OK) {
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()) + in);
    stream.avail_in = static_cast<uInt>(std::min(chunk, packed.size() - in));
    stream.next_out = reinterpret_cast<Bytef*>(result.data() + out);
    stream.avail_out = static_cast<uInt>(std::min(chunk, result.size() - out));
    const size_t in_before = stream.avail_in, out_before = stream.avail_out;
    status = inflate(&stream, Z_NO_FLUSH);
    in += in_before - stream.avail_in;
    out += out_before - stream.avail_out;
  }
  inflateEnd(&stream);
  TESSERA_USER_CHECK(status == Z_STREAM_END && out == size, "{}: damaged compressed data", where);
  return result;
}

std::string unpack(const InputFile& file, const Member& m, const std::string& where) {
  if (m.flags & 1) fail_user(ErrorKind::unsupported, "{}: encrypted members are refused", where);
  if (m.method != 0 && m.method != 8)
    fail_user(ErrorKind::unsupported, "{}: compression method {} is not supported", where,
              m.method);
  const std::string local = file.read(m.offset, local_size);
  TESSERA_USER_CHECK(get(local, 0, 4) == local_signature, "{}: malformed member", where);
  const uint64_t start = m.offset + local_size + get(local, 26, 2) + get(local, 28, 2);
  std::string data = file.read(start, m.compressed);
  if (m.method == 8) data = inflate_all(data, m.size, where);
  TESSERA_USER_CHECK(data.size() == m.size, "{}: malformed member", where);
  uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(data.data()), data.size());
  TESSERA_USER_CHECK(crc == m.crc, "{}: checksum mismatch, the file is damaged", where);
  return data;
}

class Writer {
 public:
  explicit Writer(const std::string& path) : file_(path) {}

  void add(const std::string& name, const Tensor& tensor) {
    const std::string header = npy_header(tensor);
    const auto* data = reinterpret_cast<const Bytef*>(tensor.data());
    uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    if (tensor.bytes() != 0) crc = crc32_z(crc, data, tensor.bytes());
    const uint64_t size = header.size() + tensor.bytes();
    const uint64_t offset = written_;
    const bool wide = size >= full32, far = offset >= full32;
    std::string extra;
    if (wide) {
      put(extra, 1, 2), put(extra, 16, 2), put(extra, size, 8), put(extra, size, 8);
    }
    std::string local;
    put(local, local_signature, 4);
    put_common(local, crc, size, wide, name.size(), extra.size());
    emit(local + name + extra);
    emit(header);
    file_.write(tensor.data(), tensor.bytes());
    written_ += tensor.bytes();

    std::string central_extra;
    if (wide || far) {
      put(central_extra, 1, 2), put(central_extra, (wide ? 16 : 0) + (far ? 8 : 0), 2);
      if (wide) put(central_extra, size, 8), put(central_extra, size, 8);
      if (far) put(central_extra, offset, 8);
    }
    put(directory_, central_signature, 4);
    put(directory_, 45, 2);  // made by: version 4.5
    put_common(directory_, crc, size, wide, name.size(), central_extra.size());
    put(directory_, 0, 2), put(directory_, 0, 2), put(directory_, 0, 2), put(directory_, 0, 4);
    put(directory_, far ? full32 : offset, 4);
    directory_ += name + central_extra;
    ++count_;
  }

  void finish() {
    const uint64_t offset = written_;
    emit(directory_);
    std::string end;
    if (offset >= full32 || count_ >= 0xffff) {
      put(end, end64_signature, 4), put(end, end64_size - 12, 8), put(end, 45, 2), put(end, 45, 2);
      put(end, 0, 4), put(end, 0, 4), put(end, count_, 8), put(end, count_, 8);
      put(end, directory_.size(), 8), put(end, offset, 8);
      put(end, locator_signature, 4), put(end, 0, 4);
      put(end, offset + directory_.size(), 8), put(end, 1, 4);
    }
    const uint64_t count = std::min<uint64_t>(count_, 0xffff);
    put(end, end_signature, 4), put(end, 0, 2), put(end, 0, 2);
    put(end, count, 2), put(end, count, 2), put(end, directory_.size(), 4);
    put(end, std::min<uint64_t>(offset, full32), 4), put(end, 0, 2);
    emit(end);
    file_.commit();
  }

 private:
  static void put(std::string& to, uint64_t value, int width) {
    for (int k = 0; k < width; ++k) to += static_cast<char>(value >> (8 * k));
  }
  // What local and central headers share: version, UTF-8 flag, method stored, a fixed date (the
  // same tensors give the same bytes), checksum, sizes and lengths.
  static void put_common(std::string& to, uint64_t crc, uint64_t size, bool wide, size_t name,
                         size_t extra) {
    put(to, wide ? 45 : 20, 2), put(to, 0x0800, 2), put(to, 0, 2), put(to, 0, 2);
    put(to, 0x21, 2);  // 1980-01-01
    put(to, crc, 4), put(to, wide ? full32 : size, 4), put(to, wide ? full32 : size, 4);
    put(to, name, 2), put(to, extra, 2);
  }
  void emit(const std::string& bytes) {
    file_.write(bytes);
    written_ += bytes.size();
  }

  AtomicFile file_;
  std::string directory_;
  uint64_t written_ = 0, count_ = 0;
};

}  // namespace

Tensor read_npy(const std::string& path) {
  const InputFile file(path);
  return decode_npy(file.read(0, file.size()), path);
}

std::map<std::string, Tensor> read_npz(const std::string& path) {
  const InputFile file(path);
  std::map<std::string, Tensor> tensors;
  for (const Member& member : read_members(file)) {
    const std::string where = fmt::format("{}: '{}'", path, member.name);
    std::string name = member.name;
    TESSERA_USER_CHECK(name.ends_with(".npy"), "{} is no .npy array", where);
    name.resize(name.size() - 4);
    Tensor tensor = decode_npy(unpack(file, member, where), where);
    if (name.ends_with(bf16_suffix) && tensor.type() == DType::u16) {
      name.resize(name.size() - bf16_suffix.size());
      auto owner = std::make_shared<Tensor>(tensor);
      tensor = Tensor(DType::bf16, tensor.shape(), owner, tensor.data());
    }
    TESSERA_USER_CHECK(tensors.emplace(std::move(name), std::move(tensor)).second,
                       "{} appears twice", where);
  }
  return tensors;
}

void write_npz(const std::string& path, const std::map<std::string, Tensor>& tensors) {
  Writer writer(path);
  for (const auto& [name, tensor] : tensors) {
    const std::string stored =
        name + (tensor.type() == DType::bf16 ? std::string(bf16_suffix) : "") + ".npy";
    TESSERA_USER_CHECK(stored.size() <= 0xffff, "the name '{:.40}…' is too long for .npz", name);
    writer.add(stored, tensor);
  }
  writer.finish();
}

}  // namespace tessera
