// SPDX-License-Identifier: Apache-2.0
// Concatenation as copies of rows.
#include "backend/cpu/direct.h"

#include <algorithm>
#include <cstring>

#include "backend/cpu/parallel.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::backend::cpu {
namespace {

// Below this a second thread costs more than it copies.
constexpr size_t min_bytes_per_thread = 64 << 10;

// The destination is `rows` rows, each made of one piece of every part.
class ConcatKernel : public runtime::Kernel {
 public:
  explicit ConcatKernel(const codegen::LibraryRequest& r) {
    const codegen::View& dst = r.dst;
    const int axis = ops::AttrReader(ops::registry().get("concat"), r.attrs)
                         .axis("axis", static_cast<int>(dst.shape.size()));
    int64_t inner = static_cast<int64_t>(size_of(dst.dtype));
    for (size_t a = 0; a < dst.shape.size(); ++a) {
      if (static_cast<int>(a) == axis || dst.shape[a] == 1) continue;
      if (dst.strides[a] < dst.strides[axis]) inner *= dst.shape[a];
      else rows_ *= dst.shape[a];
    }
    for (size_t k = 0; k < r.src.size(); ++k) {
      pieces_.push_back(static_cast<size_t>(r.src[k].shape[axis] * inner));
      row_bytes_ += pieces_.back();
    }
  }

  void run(const runtime::KernelArgs& args) const override {
    const auto copy = [&](int64_t begin, int64_t end) {
      size_t offset = 0;
      for (size_t k = 0; k < pieces_.size(); ++k) {
        const size_t bytes = pieces_[k];
        for (int64_t row = begin; row < end && bytes != 0; ++row)
          std::memcpy(args.dst[0] + static_cast<size_t>(row) * row_bytes_ + offset,
                      args.src[k] + static_cast<size_t>(row) * bytes, bytes);
        offset += bytes;
      }
    };
    const size_t total = static_cast<size_t>(rows_) * row_bytes_;
    const auto useful = static_cast<int>(std::min<size_t>(total / min_bytes_per_thread + 1, 1024));
    parallel_for(std::min(args.threads, useful), rows_, copy);
  }

  std::string implementation() const override { return "copies of rows"; }

 private:
  std::vector<size_t> pieces_;
  size_t row_bytes_ = 0;
  int64_t rows_ = 1;
};

}  // namespace

std::shared_ptr<const runtime::Kernel> make_concat(const codegen::LibraryRequest& request) {
  return std::make_shared<ConcatKernel>(request);
}

}  // namespace tessera::backend::cpu
