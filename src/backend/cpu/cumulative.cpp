// SPDX-License-Identifier: Apache-2.0
// Cumulative sums and products, a block of columns at a time.
#include "backend/cpu/direct.h"

#include <algorithm>
#include <array>

#include "backend/cpu/parallel.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::backend::cpu {
namespace {

constexpr int64_t block = 64;  // columns whose accumulators stay in registers and L1
constexpr int64_t elements_per_thread = 1 << 14;

// `lines` times [extent, inner] elements, accumulated along the middle axis. T in memory, A in the
// accumulator (unsigned, so that integers wrap).
template <typename T, typename A, bool product>
class CumulativeKernel : public runtime::Kernel {
 public:
  explicit CumulativeKernel(const codegen::LibraryRequest& r) {
    const ops::AttrReader attrs(ops::registry().get(r.op), r.attrs);
    const Shape& shape = r.dst.shape;
    const int axis = attrs.axis("axis", static_cast<int>(shape.size()));
    exclusive_ = attrs.flag("exclusive");
    reverse_ = attrs.flag("reverse");
    for (int k = 0; k < static_cast<int>(shape.size()); ++k) {
      const int64_t extent = shape[static_cast<size_t>(k)];
      (k < axis ? lines_ : k == axis ? extent_ : inner_) *= extent;
    }
  }

  void run(const runtime::KernelArgs& args) const override {
    const auto* x = reinterpret_cast<const T*>(args.src[0]);
    auto* y = reinterpret_cast<T*>(args.dst[0]);
    const int64_t blocks = (inner_ + block - 1) / block;
    const int64_t useful = lines_ * extent_ * inner_ / elements_per_thread + 1;
    parallel_for(static_cast<int>(std::min<int64_t>(args.threads, useful)), lines_ * blocks,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t k = begin; k < end; ++k) {
                     const int64_t column = k % blocks * block;
                     const int64_t first = k / blocks * extent_ * inner_ + column;
                     accumulate(x + first, y + first, std::min(block, inner_ - column));
                   }
                 });
  }

  std::string implementation() const override { return "one pass"; }

 private:
  void accumulate(const T* x, T* y, int64_t columns) const {
    std::array<A, block> total;
    total.fill(product ? A{1} : A{0});
    for (int64_t step = 0; step < extent_; ++step) {
      const int64_t row = (reverse_ ? extent_ - 1 - step : step) * inner_;
      for (int64_t c = 0; c < columns; ++c) {
        const A before = total[static_cast<size_t>(c)], next = static_cast<A>(x[row + c]);
        const A after = product ? before * next : before + next;
        y[row + c] = static_cast<T>(exclusive_ ? before : after);
        total[static_cast<size_t>(c)] = after;
      }
    }
  }

  int64_t lines_ = 1, extent_ = 1, inner_ = 1;
  bool exclusive_ = false, reverse_ = false;
};

template <bool product>
std::shared_ptr<const runtime::Kernel> make(const codegen::LibraryRequest& r) {
  switch (r.dst.dtype) {
    case DType::f32: return std::make_shared<CumulativeKernel<float, double, product>>(r);
    case DType::f64: return std::make_shared<CumulativeKernel<double, double, product>>(r);
    case DType::i32: return std::make_shared<CumulativeKernel<int32_t, uint64_t, product>>(r);
    case DType::i64: return std::make_shared<CumulativeKernel<int64_t, uint64_t, product>>(r);
    default: return nullptr;
  }
}

}  // namespace

std::shared_ptr<const runtime::Kernel> make_cumulative(const codegen::LibraryRequest& request) {
  return request.op == "cum_prod" ? make<true>(request) : make<false>(request);
}

}  // namespace tessera::backend::cpu
