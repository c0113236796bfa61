// SPDX-License-Identifier: Apache-2.0
// Allocation and whole-tensor helpers of Tensor.
#include "types/tensor.h"

#include <sys/mman.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "base/check.h"

namespace tessera {
namespace {

constexpr size_t buffer_alignment = 64;  // one cache line, one AVX-512 register
constexpr size_t huge_page = size_t{2} << 20;
constexpr size_t page = 4096;

// Memory in huge pages where the system has them: a page is zeroed and mapped at once, and streams
// of weights miss fewer translations.
std::shared_ptr<std::byte> allocate_huge(size_t bytes) {
  if (bytes > SIZE_MAX - 2 * huge_page) return {};
  const size_t rounded = (bytes + page - 1) / page * page;  // the rest lies in small pages
  void* const memory = mmap(nullptr, rounded + huge_page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return {};
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t aligned = (address + huge_page - 1) / huge_page * huge_page;
  auto* const start = reinterpret_cast<std::byte*>(aligned);
  if (aligned != address) munmap(memory, aligned - address);
  if (const size_t rest = address + huge_page - aligned) munmap(start + rounded, rest);
  madvise(start, rounded, MADV_HUGEPAGE);
  return {start, [rounded](std::byte* p) { munmap(p, rounded); }};
}

// calloc hands out pages that the system zeroes when they are first touched, so a large tensor
// costs nothing until it is written.
std::shared_ptr<std::byte> allocate(size_t bytes) {
  if (bytes >= huge_page)
    if (auto memory = allocate_huge(bytes)) return memory;
  void* memory = std::calloc(1, bytes + buffer_alignment);
  if (memory == nullptr)
    fail_user(ErrorKind::missing_resource, "cannot allocate {} bytes for a tensor", bytes);
  const auto address = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t aligned = (address + buffer_alignment - 1) / buffer_alignment * buffer_alignment;
  return {reinterpret_cast<std::byte*>(aligned), [memory](std::byte*) { std::free(memory); }};
}

}  // namespace

std::optional<int64_t> element_count(std::span<const int64_t> shape) {
  int64_t count = 1;
  bool empty = false, overflow = false;
  for (int64_t extent : shape) {
    if (extent < 0) return std::nullopt;
    if (extent == 0) empty = true;
    else if (__builtin_mul_overflow(count, extent, &count)) overflow = true;
  }
  if (empty) return 0;
  if (overflow) return std::nullopt;
  return count;
}

std::string shape_to_string(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += fmt::format("{}{}", i ? "," : "", shape[i]);
  return text + "]";
}

Tensor::Tensor(DType type, Shape shape) : type_(type), shape_(std::move(shape)) {
  const auto count = element_count(shape_);
  int64_t bytes = 0;
  if (!count || __builtin_mul_overflow(*count, static_cast<int64_t>(size_of(type)), &bytes))
    fail_user(ErrorKind::missing_resource, "a tensor of shape {} is too large",
              shape_to_string(shape_));
  size_ = *count;
  auto memory = allocate(static_cast<size_t>(bytes));
  data_ = memory.get();
  owner_ = std::move(memory);
}

Tensor::Tensor(DType type, Shape shape, std::shared_ptr<const void> owner, const std::byte* data)
    : type_(type), shape_(std::move(shape)), owner_(std::move(owner)), data_(data) {
  const auto count = element_count(shape_);
  TESSERA_CHECK(count.has_value(), "shape {}", shape_to_string(shape_));
  size_ = *count;
}

// Data on no boundary, and their copy as soon as there is one.
struct Tensor::Loose {
  std::shared_ptr<const void> owner;
  std::function<void()> copied;
  std::once_flag once;
  std::shared_ptr<std::byte> copy;
};

Tensor Tensor::loose(DType type, Shape shape, std::shared_ptr<const void> owner,
                     const std::byte* data, std::function<void()> copied) {
  if (reinterpret_cast<uintptr_t>(data) % size_of(type) == 0)
    return Tensor(type, std::move(shape), std::move(owner), data);
  auto loose = std::make_shared<Loose>();
  loose->owner = std::move(owner);
  loose->copied = std::move(copied);
  Tensor result(type, std::move(shape), std::move(loose), data);
  result.is_loose_ = true;
  return result;
}

const std::byte* Tensor::settle() const {
  auto* const loose = static_cast<Loose*>(const_cast<void*>(owner_.get()));
  std::call_once(loose->once, [&] {
    auto copy = allocate(bytes());
    if (bytes() > 0) std::memcpy(copy.get(), data_, bytes());
    loose->copy = std::move(copy);
    if (loose->copied) loose->copied();
  });
  return loose->copy.get();
}

Tensor Tensor::reshaped(Shape shape) const {
  TESSERA_CHECK(element_count(shape) == size_, "cannot view {} as {}", shape_to_string(shape_),
                shape_to_string(shape));
  Tensor result(type_, std::move(shape), owner_, data_);
  result.is_loose_ = is_loose_;
  return result;
}

int64_t float_to_integer(double value, DType to) {
  if (to == DType::boolean) return value != 0;
  if (std::isnan(value)) return 0;
  if (to == DType::u64 && value >= 0x1.0p63)
    return value >= 0x1.0p64 ? -1 : static_cast<int64_t>(static_cast<uint64_t>(value));
  if (value >= 0x1.0p63) return wrap_integer(INT64_MAX, to);
  if (value < -0x1.0p63) return wrap_integer(INT64_MIN, to);
  return wrap_integer(static_cast<int64_t>(value), to);
}

Tensor Tensor::converted(DType type) const {
  if (type == type_) return *this;
  Tensor result(type, shape_);
  for (int64_t i = 0; i < size_; ++i) {
    if (is_float(type_)) {
      const double v = float_at(i);
      is_float(type) ? result.set_float(i, v) : result.set_integer(i, float_to_integer(v, type));
    } else {
      const int64_t v = integer_at(i);
      if (!is_float(type)) result.set_integer(i, v);
      else
        result.set_float(i, type_ == DType::u64 ? static_cast<double>(static_cast<uint64_t>(v))
                                                : static_cast<double>(v));
    }
  }
  return result;
}

std::vector<int64_t> Tensor::to_integers() const {
  std::vector<int64_t> values(static_cast<size_t>(size_));
  for (int64_t i = 0; i < size_; ++i) values[i] = integer_at(i);
  return values;
}

Tensor Tensor::from_integers(std::span<const int64_t> values, Shape shape, DType type) {
  Tensor result(type, std::move(shape));
  TESSERA_CHECK(result.size() == static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) result.set_integer(i, values[i]);
  return result;
}

Tensor Tensor::from_floats(std::span<const double> values, Shape shape, DType type) {
  Tensor result(type, std::move(shape));
  TESSERA_CHECK(result.size() == static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) result.set_float(i, values[i]);
  return result;
}

bool identical(const Tensor& a, const Tensor& b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.loose_data(), b.loose_data(), a.bytes()) == 0);
}

}  // namespace tessera
