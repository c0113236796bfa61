// SPDX-License-Identifier: Apache-2.0
// A dense row-major tensor: element type, shape and a shared, possibly memory-mapped buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "types/dtype.h"

namespace tessera {

using Shape = std::vector<int64_t>;

/// Product of the extents, or nothing on overflow or a negative extent. Rank 0 has one element.
std::optional<int64_t> element_count(std::span<const int64_t> shape);

/// "[2,3]"
std::string shape_to_string(std::span<const int64_t> shape);

/// Row-major contiguous tensor. Copies share the buffer; treat a shared buffer as immutable.
class Tensor {
 public:
  Tensor() = default;
  /// Allocates zeroed memory, 64-byte aligned. Throws UserError(missing_resource) when the size
  /// overflows or memory is exhausted.
  Tensor(DType type, Shape shape);
  /// Views `data` (size_of(type) * element count bytes), kept alive by `owner`.
  Tensor(DType type, Shape shape, std::shared_ptr<const void> owner, const std::byte* data);
  /// The same for data that may lie on no boundary of their type, as in a mapped file: data()
  /// copies them when somebody asks, once for all copies of the tensor, and calls `copied` then.
  static Tensor loose(DType type, Shape shape, std::shared_ptr<const void> owner,
                      const std::byte* data, std::function<void()> copied);

  DType type() const { return type_; }
  const Shape& shape() const { return shape_; }
  int rank() const { return static_cast<int>(shape_.size()); }
  int64_t size() const { return size_; }
  size_t bytes() const { return static_cast<size_t>(size_) * size_of(type_); }
  /// On a boundary of the type. Thread-safe.
  const std::byte* data() const { return is_loose_ ? settle() : data_; }
  /// The bytes where they are now, on no particular boundary; they stay there as long as this
  /// tensor. Never copies.
  const std::byte* loose_data() const { return data_; }
  /// REQUIRES: the tensor was allocated by the first constructor and is not shared by a reader.
  std::byte* mutable_data() { return const_cast<std::byte*>(data_); }

  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data());
  }
  template <typename T>
  T* mutable_as() {
    return reinterpret_cast<T*>(mutable_data());
  }

  /// Element `i` in row-major order, as double (floats) or int64 (integers and bool).
  double float_at(int64_t i) const { return load_float(data_ + i * size_of(type_), type_); }
  int64_t integer_at(int64_t i) const { return load_integer(data_ + i * size_of(type_), type_); }
  void set_float(int64_t i, double v) {
    store_float(mutable_data() + i * size_of(type_), type_, v);
  }
  void set_integer(int64_t i, int64_t v) {
    store_integer(mutable_data() + i * size_of(type_), type_, v);
  }

  /// The same buffer under another shape with as many elements.
  Tensor reshaped(Shape shape) const;
  /// Elementwise conversion with the semantics of the scalar primitive `cast`.
  Tensor converted(DType type) const;
  /// Integer contents as a vector. REQUIRES: is_integer(type()) or bool.
  std::vector<int64_t> to_integers() const;

  static Tensor from_integers(std::span<const int64_t> values, Shape shape, DType = DType::i64);
  static Tensor from_floats(std::span<const double> values, Shape shape, DType = DType::f32);

 private:
  struct Loose;
  const std::byte* settle() const;

  DType type_ = DType::f32;
  bool is_loose_ = false;  ///< owner_ is a Loose
  Shape shape_;
  int64_t size_ = 0;
  std::shared_ptr<const void> owner_;
  const std::byte* data_ = nullptr;
};

/// Same type, shape and bytes.
bool identical(const Tensor& a, const Tensor& b);

/// Float to integer as the scalar primitive `cast` does: truncation toward zero; NaN gives 0 and
/// values outside the type saturate to 64 bits and then wrap.
int64_t float_to_integer(double value, DType to);

}  // namespace tessera
