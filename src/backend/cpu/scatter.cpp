// SPDX-License-Identifier: Apache-2.0
// Scatters as a copy and a walk over the updates.
#include "backend/cpu/direct.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

#include "backend/cpu/parallel.h"
#include "base/check.h"
#include "ops/attr_reader.h"
#include "ops/registry.h"

namespace tessera::backend::cpu {
namespace {

constexpr int64_t copied_at_least = 64 << 10;  // bytes per thread
constexpr size_t max_rank = 64;

// dst[0, count) combined with src[0, count).
using Combine = void (*)(std::byte* dst, const std::byte* src, int64_t count);

template <size_t size>
void replace(std::byte* dst, const std::byte* src, int64_t count) {
  std::memcpy(dst, src, size * static_cast<size_t>(count));
}

// Integers wrap.
template <typename T, typename F>
T wrapping(T a, T b, F f) {
  if constexpr (std::is_floating_point_v<T>) return f(a, b);
  else return static_cast<T>(f(static_cast<uint64_t>(a), static_cast<uint64_t>(b)));
}
// Of a number and a NaN the NaN is both the larger and the smaller.
template <typename T>
T larger(T a, T b) {
  return a > b || a != a ? a : b;
}
template <typename T>
T smaller(T a, T b) {
  return a < b || a != a ? a : b;
}
template <typename T>
T sum(T a, T b) {
  return wrapping(a, b, [](auto x, auto y) { return x + y; });
}
template <typename T>
T product(T a, T b) {
  return wrapping(a, b, [](auto x, auto y) { return x * y; });
}

template <typename T, T (*join)(T, T)>
void combine(std::byte* dst, const std::byte* src, int64_t count) {
  auto* to = reinterpret_cast<T*>(dst);
  const auto* from = reinterpret_cast<const T*>(src);
  for (int64_t i = 0; i < count; ++i) to[i] = join(to[i], from[i]);
}

template <typename T>
Combine combine_of(const std::string& mode) {
  if (mode == "add") return combine<T, sum<T>>;
  if (mode == "mul") return combine<T, product<T>>;
  if (mode == "max") return combine<T, larger<T>>;
  return mode == "min" ? combine<T, smaller<T>> : nullptr;
}

Combine find_combine(const std::string& mode, DType type) {
  if (mode == "none") {
    switch (size_of(type)) {
      case 1: return replace<1>;
      case 2: return replace<2>;
      case 4: return replace<4>;
      default: return replace<8>;
    }
  }
  switch (type) {
    case DType::f32: return combine_of<float>(mode);
    case DType::f64: return combine_of<double>(mode);
    case DType::i32: return combine_of<int32_t>(mode);
    case DType::i64: return combine_of<int64_t>(mode);
    default: return nullptr;
  }
}

class ScatterKernel : public runtime::Kernel {
 public:
  ScatterKernel(const codegen::LibraryRequest& r, Combine combine)
      : combine_(combine),
        size_(static_cast<int64_t>(size_of(r.dst.dtype))),
        data_(r.dst.shape),
        strides_(codegen::dense_strides(r.dst.shape)),
        indices_(r.src[1].shape),
        wide_(r.src[1].dtype == DType::i64) {
    if (r.op == "scatter_nd") return;
    axis_ = ops::AttrReader(ops::registry().get(r.op), r.attrs)
                .axis("axis", static_cast<int>(data_.size()));
    if (r.constants[1]) find_rows(*r.constants[1]);
  }

  bool reads(size_t number) const override { return number != 1 || rows_.empty(); }

  void run(const runtime::KernelArgs& args) const override {
    copy(args);
    if (axis_ < 0) scatter_slices(args);
    else scatter_elements(args);
  }

  std::string implementation() const override { return "scatter"; }

 private:
  void copy(const runtime::KernelArgs& args) const {
    const int64_t bytes = *element_count(data_) * size_;
    if (args.dst[0] == args.src[0]) return;
    const auto threads = static_cast<int>(std::min<int64_t>(bytes / copied_at_least + 1, 1024));
    parallel_for(std::min(args.threads, threads), bytes, [&](int64_t begin, int64_t end) {
      std::memcpy(args.dst[0] + begin, args.src[0] + begin, static_cast<size_t>(end - begin));
    });
  }

  // Known indices that are one for each row, as those of messages along edges, are kept as such.
  void find_rows(const Tensor& indices) {
    const size_t last = data_.size() - 1;
    if (static_cast<size_t>(axis_) == last || indices.size() == 0) return;
    const int64_t width = indices_[last];
    for (int64_t i = 0; i < indices.size(); i += width)
      if (equal_from(indices.data(), i, width) != width) return rows_.clear();
      else rows_.push_back(raw_index(indices.data(), i));
  }

  int64_t raw_index(const std::byte* indices, int64_t i) const {
    return wide_ ? reinterpret_cast<const int64_t*>(indices)[i]
                 : reinterpret_cast<const int32_t*>(indices)[i];
  }

  // How many of the `most` indices from number `i` on equal the first.
  int64_t equal_from(const std::byte* indices, int64_t i, int64_t most) const {
    int64_t count = 1;
    while (count < most && raw_index(indices, i + count) == raw_index(indices, i)) ++count;
    return count;
  }

  // Index number `i`, which selects along `axis`, as a place in [0, extent).
  int64_t index(const std::byte* indices, int64_t i, size_t axis) const {
    return place(raw_index(indices, i), axis);
  }

  int64_t place(int64_t raw, size_t axis) const {
    const int64_t at = raw < 0 ? raw + data_[axis] : raw;
    TESSERA_USER_CHECK(at >= 0 && at < data_[axis],
                       "an index lies outside the tensor that it selects from");
    return at;
  }

  // The tuples along the last axis of the indices name slices.
  void scatter_slices(const runtime::KernelArgs& args) const {
    const int64_t depth = indices_.back();
    int64_t slice = 1, tuples = 1;
    for (size_t k = static_cast<size_t>(depth); k < data_.size(); ++k) slice *= data_[k];
    for (size_t k = 0; k + 1 < indices_.size(); ++k) tuples *= indices_[k];
    for (int64_t t = 0; t < tuples; ++t) {
      int64_t offset = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const auto axis = static_cast<size_t>(k);
        offset += index(args.src[1], t * depth + k, axis) * strides_[axis];
      }
      combine_(args.dst[0] + offset * size_, args.src[2] + t * slice * size_, slice);
    }
  }

  // Neighbours along the last axis with one index go together.
  void scatter_elements(const runtime::KernelArgs& args) const {
    const auto axis = static_cast<size_t>(axis_);
    const size_t last = data_.size() - 1;
    std::array<int64_t, max_rank> at{};
    const int64_t count = *element_count(indices_), width = indices_[last];
    int64_t row = 0;
    for (int64_t i = 0; i < count; i += width, ++row) {
      int64_t base = 0;
      for (size_t k = 0; k < last; ++k)
        if (k != axis) base += at[k] * strides_[k];
      for (int64_t j = 0; j < width;) {
        const bool known = !rows_.empty();
        const int64_t run = known          ? width
                            : axis == last ? 1
                                           : equal_from(args.src[1], i + j, width - j);
        const int64_t to =
            known ? place(rows_[static_cast<size_t>(row)], axis) : index(args.src[1], i + j, axis);
        const int64_t offset = base + to * strides_[axis] + (axis == last ? 0 : j);
        combine_(args.dst[0] + offset * size_, args.src[2] + (i + j) * size_, run);
        j += run;
      }
      for (size_t k = last; k-- > 0;) {
        if (++at[k] < indices_[k]) break;
        at[k] = 0;
      }
    }
  }

  Combine combine_;
  int64_t size_;
  Shape data_;
  std::vector<int64_t> strides_;
  Shape indices_;
  bool wide_;
  int axis_ = -1;              // of scatter_elements
  std::vector<int64_t> rows_;  // its indices, where they are known and one for each row
};

}  // namespace

std::shared_ptr<const runtime::Kernel> make_scatter(const codegen::LibraryRequest& request) {
  const ops::AttrReader attrs(ops::registry().get(request.op), request.attrs);
  const Combine combine = find_combine(attrs.string("reduction"), request.dst.dtype);
  const DType indices = request.src[1].dtype;
  const bool fits =
      (indices == DType::i64 || indices == DType::i32) && request.dst.shape.size() <= max_rank;
  if (combine == nullptr || !fits) return nullptr;
  return std::make_shared<ScatterKernel>(request, combine);
}

}  // namespace tessera::backend::cpu
