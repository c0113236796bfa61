// SPDX-License-Identifier: Apache-2.0
// Kernels from the disk cache: the same bits, found by content, compiled again when damaged.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "base/check.h"
#include "codegen/kernel_check.h"
#include "ops/registry.h"

namespace tessera::codegen {
namespace {

namespace fs = std::filesystem;

ir::Meaning sample(const std::string& op) {
  const ops::OpDef& def = ops::registry().get(op);
  ops::InputTypes types;
  for (const ir::ValueType& type : def.samples[0].inputs) types.push_back(&type);
  return ops::instantiate(def, types, def.samples[0].attrs);
}

class JitCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tessera-jit-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const char* op : {"tanh", "gather", "reduce_sum"}) meanings_.push_back(sample(op));
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<DiskCache> cache(bool require_hit = false) const {
    return std::make_shared<DiskCache>(
        DiskCacheOptions{.folder = folder_, .require_hit = require_hit});
  }

  // The outputs of all kernels on fixed inputs.
  std::vector<Tensor> run(const std::shared_ptr<DiskCache>& cache) const {
    Jit jit({.threads = 2, .dump = nullptr, .cache = cache});
    std::vector<const ir::Meaning*> pointers;
    for (const ir::Meaning& m : meanings_) pointers.push_back(&m);
    pointers.push_back(pointers[0]);  // a kernel twice in one library
    const std::vector<LoopKernel> kernels = jit.compile(pointers);
    std::vector<Tensor> results;
    Rng rng(1);
    for (size_t k = 0; k < kernels.size(); ++k) {
      std::vector<Tensor> inputs;
      for (const ir::ValueType& type : pointers[k]->inputs)
        inputs.push_back(type.dtype == DType::i64 ? Tensor(DType::i64, type.concrete_shape())
                                                  : random_tensor(type, Numbers::usual, rng));
      for (Tensor& t : run_kernel(kernels[k], *pointers[k], inputs, 1)) results.push_back(t);
    }
    return results;
  }

  static void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); ++k) EXPECT_TRUE(identical(a[k], b[k])) << k;
  }

  std::string folder_;
  std::vector<ir::Meaning> meanings_;
};

TEST_F(JitCacheTest, later_processes_find_the_same_kernels) {
  const std::vector<Tensor> plain = run(nullptr);
  const auto first = cache();
  expect_same(run(first), plain);
  EXPECT_EQ(first->hits() + first->misses(), meanings_.size() + 1);
  EXPECT_GE(first->misses(), meanings_.size());
  const auto second = cache(true);
  expect_same(run(second), plain);
  EXPECT_EQ(second->hits(), meanings_.size() + 1);
}

TEST_F(JitCacheTest, damaged_entries_are_compiled_again) {
  const std::vector<Tensor> plain = run(cache());
  for (const auto& file : fs::directory_iterator(folder_))
    fs::resize_file(file.path(), fs::file_size(file.path()) / 2);
  const auto again = cache();
  expect_same(run(again), plain);
  EXPECT_GE(again->misses(), meanings_.size());
  EXPECT_THROW(
      {
        fs::remove_all(folder_);
        run(cache(true));
      },
      UserError);
}

}  // namespace
}  // namespace tessera::codegen
