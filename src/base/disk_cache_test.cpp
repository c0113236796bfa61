// SPDX-License-Identifier: Apache-2.0
// Private folders, damaged entries, pruning, required hits.
#include "base/disk_cache.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/check.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

class DiskCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tessera-cache-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
    folder_ = (root_ / "kernels").string();
  }
  void TearDown() override { fs::remove_all(root_); }

  static Hash128 key(int64_t n) { return Hasher().add(n).finish(); }
  static DiskCache::Bytes bytes(size_t count, int value) {
    return DiskCache::Bytes(count, static_cast<std::byte>(value));
  }
  std::string file(int64_t n) const { return folder_ + "/" + key(n).to_string() + ".entry"; }

  fs::path root_;
  std::string folder_;
};

TEST_F(DiskCacheTest, finds_what_was_stored_in_a_later_process) {
  DiskCache(DiskCacheOptions{folder_}).store(key(1), bytes(100, 7));
  DiskCache again(DiskCacheOptions{folder_});
  EXPECT_EQ(again.load(key(1)), bytes(100, 7));
  EXPECT_EQ(again.load(key(2)), std::nullopt);
  EXPECT_EQ(again.hits(), 1u);
  EXPECT_EQ(again.misses(), 1u);
}

TEST_F(DiskCacheTest, keeps_others_out) {
  DiskCache cache(DiskCacheOptions{folder_});
  cache.store(key(1), bytes(10, 1));
  struct stat info {};
  ASSERT_EQ(stat(folder_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(file(1).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(chmod(file(1).c_str(), 0622), 0);
  EXPECT_EQ(cache.load(key(1)), std::nullopt);
  ASSERT_EQ(chmod(folder_.c_str(), 0777), 0);
  const DiskCache refused(DiskCacheOptions{folder_});
  EXPECT_FALSE(refused.enabled());
  EXPECT_NE(refused.refusal().find("others may write"), std::string::npos);
}

TEST_F(DiskCacheTest, every_damaged_byte_is_a_miss) {
  DiskCache cache(DiskCacheOptions{folder_});
  cache.store(key(1), bytes(40, 3));
  const auto size = fs::file_size(file(1));
  for (uintmax_t at = 0; at < size; ++at) {
    const auto flip = [&] {
      std::fstream f(file(1), std::ios::in | std::ios::out | std::ios::binary);
      f.seekg(static_cast<std::streamoff>(at));
      const int old = f.get();
      f.seekp(static_cast<std::streamoff>(at));
      f.put(static_cast<char>(old ^ 0x10));
    };
    flip();
    EXPECT_EQ(cache.load(key(1)), std::nullopt) << "byte " << at;
    flip();
  }
  EXPECT_EQ(cache.load(key(1)), bytes(40, 3));
  for (const uintmax_t cut : {size - 1, uintmax_t{64}, uintmax_t{5}, uintmax_t{0}}) {
    fs::resize_file(file(1), cut);
    EXPECT_EQ(cache.load(key(1)), std::nullopt) << "cut to " << cut;
  }
}

TEST_F(DiskCacheTest, an_entry_under_another_name_is_a_miss) {
  DiskCache cache(DiskCacheOptions{folder_});
  cache.store(key(1), bytes(10, 1));
  fs::copy_file(file(1), file(2));
  EXPECT_EQ(cache.load(key(2)), std::nullopt);
  fs::create_symlink(file(1), file(3));
  EXPECT_EQ(cache.load(key(3)), std::nullopt);
}

TEST_F(DiskCacheTest, drops_what_was_unused_longest) {
  DiskCache cache(DiskCacheOptions{.folder = folder_, .max_bytes = 10000});
  const auto now = fs::file_time_type::clock::now();
  for (int n = 0; n < 8; ++n) {
    cache.store(key(n), bytes(1000, n));
    fs::last_write_time(file(n), now - std::chrono::hours(100 - n));
  }
  EXPECT_TRUE(cache.load(key(0)));  // marks it as used
  for (int n = 8; n < 11; ++n) cache.store(key(n), bytes(1000, n));
  EXPECT_TRUE(fs::exists(file(0)));
  EXPECT_FALSE(fs::exists(file(1)));
  EXPECT_TRUE(fs::exists(file(10)));
}

TEST_F(DiskCacheTest, required_hits_and_missing_folders_are_the_users_errors) {
  DiskCache cache(DiskCacheOptions{.folder = folder_, .require_hit = true});
  EXPECT_EQ(cache.load(key(1)), std::nullopt);
  EXPECT_THROW(cache.require("kernel 'x'"), UserError);
  EXPECT_THROW(DiskCache(DiskCacheOptions{.require_hit = true}), UserError);
  DiskCache none(DiskCacheOptions{});
  none.store(key(1), bytes(1, 1));
  EXPECT_EQ(none.load(key(1)), std::nullopt);
  EXPECT_NO_THROW(none.require("kernel 'x'"));
}

TEST_F(DiskCacheTest, a_folder_that_cannot_be_made_is_no_error) {
  std::ofstream(root_ / "file") << "x";
  DiskCache cache(DiskCacheOptions{(root_ / "file" / "kernels").string()});
  EXPECT_FALSE(cache.enabled());
  cache.store(key(1), bytes(1, 1));
  EXPECT_EQ(cache.load(key(1)), std::nullopt);
}

TEST_F(DiskCacheTest, threads_share_it) {
  DiskCache cache(DiskCacheOptions{folder_});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int n = 0; n < 50; ++n) {
        cache.store(key(n), bytes(100, n));
        EXPECT_EQ(cache.load(key(n)), bytes(100, n));
      }
    });
  for (std::thread& t : threads) t.join();
}

}  // namespace
}  // namespace tessera
