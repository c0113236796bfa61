// SPDX-License-Identifier: Apache-2.0
// Round trips of .npz files, files made by hand, and damaged ones.
#include "types/npz.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "base/atomic_file.h"
#include "base/check.h"
#include "types/npy_format.h"

namespace tessera {
namespace {

class Npz : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("tessera_npz_{}", reinterpret_cast<uintptr_t>(this));
    std::filesystem::create_directory(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name = "x.npz") const { return folder_ / name; }

 private:
  std::filesystem::path folder_;
};

void put(std::string& to, uint64_t value, int width) {
  for (int k = 0; k < width; ++k) to += static_cast<char>(value >> (8 * k));
}

// A one-member archive, deflated.
std::string deflated_archive(const std::string& name, const std::string& contents) {
  std::string packed(contents.size() + 100, '\0');
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(contents.data()));
  stream.avail_in = static_cast<uInt>(contents.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  const uLong crc =
      crc32(0, reinterpret_cast<const Bytef*>(contents.data()), static_cast<uInt>(contents.size()));
  std::string common;
  for (uint64_t v : {20, 0, 8, 0, 0}) put(common, v, 2);
  put(common, crc, 4), put(common, packed.size(), 4), put(common, contents.size(), 4);
  put(common, name.size(), 2), put(common, 0, 2);
  std::string archive("PK\3\4");
  archive += common + name + packed;
  std::string directory("PK\1\2");
  put(directory, 20, 2);
  directory += common;
  put(directory, 0, 6), put(directory, 0, 4), put(directory, 0, 4);
  directory += name;
  const size_t offset = archive.size();
  archive += directory;
  archive += "PK\5\6";
  put(archive, 0, 4), put(archive, 1, 2), put(archive, 1, 2);
  put(archive, directory.size(), 4), put(archive, offset, 4), put(archive, 0, 2);
  return archive;
}

std::string npy(const std::string& header, const std::string& data) {
  std::string file("\x93NUMPY\1");
  file += '\0';
  put(file, header.size(), 2);
  return file + header + data;
}

TEST_F(Npz, keeps_every_type) {
  std::map<std::string, Tensor> tensors;
  for (int t = 0; t < dtype_count; ++t) {
    const auto type = static_cast<DType>(t);
    Tensor tensor(type, {2, 3});
    for (int i = 0; i < 6; ++i)
      is_float(type) ? tensor.set_float(i, i - 2.5) : tensor.set_integer(i, i - 2);
    tensors.emplace(std::string(to_string(type)), tensor);
  }
  tensors.emplace("scalar", Tensor(DType::f64, {}));
  tensors.emplace("empty", Tensor(DType::f32, {0, 4}));
  tensors.emplace("vector", Tensor(DType::i32, {5}));
  write_npz(path(), tensors);
  const auto read = read_npz(path());
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) EXPECT_TRUE(identical(tensor, read.at(name))) << name;
}

TEST_F(Npz, writes_the_same_bytes_each_time) {
  const std::map<std::string, Tensor> tensors{{"a", Tensor(DType::f32, {3})}};
  write_npz(path(), tensors);
  const std::string first = read_file(path());
  write_npz(path(), tensors);
  EXPECT_EQ(first, read_file(path()));
}

TEST_F(Npz, reads_deflated_members_in_fortran_order) {
  std::string data;
  for (int i = 0; i < 6; ++i) put(data, i, 2);
  const std::string member =
      npy("{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }\n", data);
  std::ofstream(path(), std::ios::binary) << deflated_archive("x.npy", member);
  const Tensor x = read_npz(path()).at("x");
  EXPECT_EQ(x.shape(), (Shape{2, 3}));
  EXPECT_EQ(x.to_integers(), (std::vector<int64_t>{0, 2, 4, 1, 3, 5}));
}

TEST_F(Npz, refuses_what_it_cannot_represent) {
  for (const char* descr : {"|O", "<U3", ">f4", "<c8", "|S5", "<M8[ns]"})
    EXPECT_THROW(
        decode_npy(
            npy(fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': (1,)}}", descr),
                std::string(8, '\0')),
            "x"),
        UserError)
        << descr;
}

TEST_F(Npz, refuses_sizes_that_the_data_does_not_fill) {
  for (const char* shape : {"(3,)", "(9223372036854775807, 4)", "(99999999999999999999,)", "(-1,)",
                            "(1, 1", "(0, 9223372036854775807, 9223372036854775807)"})
    EXPECT_THROW(
        decode_npy(
            npy(fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': {}}}", shape),
                std::string(4, '\0')),
            "x"),
        UserError)
        << shape;
}

TEST_F(Npz, refuses_every_truncation_and_flipped_byte_cleanly) {
  Tensor tensor(DType::f32, {4});
  write_npz(path(), {{"a", tensor}});
  const std::string good = read_file(path());
  const auto attempt = [&](const std::string& bytes) {
    std::ofstream(path("bad.npz"), std::ios::binary) << bytes;
    try {
      return read_npz(path("bad.npz")).size();
    } catch (const UserError&) {
      return size_t{0};
    }
  };
  for (size_t n = 0; n < good.size(); ++n) EXPECT_EQ(attempt(good.substr(0, n)), 0u) << n;
  for (size_t n = 0; n < good.size(); ++n) {
    std::string bad = good;
    bad[n] = static_cast<char>(bad[n] ^ 0xff);
    attempt(bad);
  }
}

TEST_F(Npz, leaves_no_file_behind_when_writing_fails) {
  EXPECT_THROW(write_npz(path("missing/x.npz"), {}), UserError);
  {
    AtomicFile file(path("half"));
    file.write("abc");
  }
  EXPECT_TRUE(std::filesystem::is_empty(std::filesystem::path(path()).parent_path()));
}

}  // namespace
}  // namespace tessera
