// SPDX-License-Identifier: Apache-2.0
// Element conversions and tensor helpers.
#include "types/tensor.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <thread>

#include "base/check.h"
#include "base/rng.h"

namespace tessera {
namespace {

TEST(DTypeConversion, every_half_round_trips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = f16_to_f32(static_cast<uint16_t>(bits));
    if (std::isnan(value)) EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    else EXPECT_EQ(f32_to_f16(value), bits);
  }
}

TEST(DTypeConversion, halves_round_to_nearest_even) {
  EXPECT_EQ(round_to(2049.0, DType::f16), 2048.0);
  EXPECT_EQ(round_to(2051.0, DType::f16), 2052.0);
  EXPECT_TRUE(std::isinf(round_to(65520.0, DType::f16)));
  EXPECT_EQ(round_to(65519.9, DType::f16), 65504.0);
  EXPECT_EQ(round_to(0x1.0p-25, DType::f16), 0.0);
  EXPECT_EQ(round_to(0x1.8p-25, DType::f16), 0x1.0p-24);
}

// A double just above a tie must round up although its nearest float is the tie itself.
TEST(DTypeConversion, doubles_round_once) {
  EXPECT_EQ(round_to(2049.0 + 1e-12, DType::f16), 2050.0);
  EXPECT_EQ(round_to(257.0 + 1e-12, DType::bf16), 258.0);
  EXPECT_EQ(round_to(257.0, DType::bf16), 256.0);
}

TEST(DTypeConversion, integers_wrap_and_floats_truncate) {
  EXPECT_EQ(wrap_integer(300, DType::u8), 44);
  EXPECT_EQ(min_integer(DType::i16), -32768);
  EXPECT_EQ(max_integer(DType::u32), 4294967295);
  EXPECT_EQ(float_to_integer(3.99, DType::i8), 3);
  EXPECT_EQ(float_to_integer(0x1.0p63, DType::u64), INT64_MIN);  // 2^63 by bit pattern
}

TEST(TensorShape, overflow_is_an_error_and_emptiness_is_not) {
  EXPECT_EQ(element_count(Shape{}), 1);
  EXPECT_EQ(element_count(Shape{0, INT64_MAX, INT64_MAX}), 0);
  EXPECT_EQ(element_count(Shape{INT64_MAX, 2}), std::nullopt);
  EXPECT_EQ(element_count(Shape{-1}), std::nullopt);
  EXPECT_THROW(Tensor(DType::f32, {INT64_MAX, 2}), UserError);
  EXPECT_EQ(Tensor(DType::f32, {0, 3}).size(), 0);
}

TEST(TensorShape, buffers_are_aligned_and_shared) {
  const Tensor tensor(DType::f32, {4, 4});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 64, 0u);
  EXPECT_EQ(tensor.reshaped({16}).data(), tensor.data());
}

TEST(LooseTensor, is_copied_once_when_somebody_needs_its_boundary) {
  constexpr size_t count = 1000;
  const auto bytes = std::make_shared<std::vector<std::byte>>(count * sizeof(float) + 8);
  const auto start = reinterpret_cast<uintptr_t>(bytes->data());
  std::byte* const odd = bytes->data() + (start % 4 == 1 ? 0 : (5 - start % 4) % 4);
  for (size_t k = 0; k < count; ++k) {
    const auto x = static_cast<float>(k);
    std::memcpy(odd + k * sizeof x, &x, sizeof x);
  }
  int copies = 0;
  const Tensor loose = Tensor::loose(DType::f32, {count}, bytes, odd, [&] { ++copies; });
  const Tensor square = loose.reshaped({10, 100}), copy = loose;
  EXPECT_EQ(loose.float_at(7), 7);
  EXPECT_EQ(square.loose_data(), odd);
  EXPECT_TRUE(identical(loose, copy));
  EXPECT_EQ(copies, 0) << "what reads bytes wherever they are needs no copy";
  std::vector<std::thread> readers;
  std::vector<const std::byte*> found(4);
  for (size_t k = 0; k < found.size(); ++k)
    readers.emplace_back([&, k] { found[k] = (k % 2 ? square : copy).data(); });
  for (std::thread& t : readers) t.join();
  EXPECT_EQ(copies, 1);
  for (const std::byte* at : found) EXPECT_EQ(at, loose.data());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(loose.data()) % 64, 0u);
  for (size_t k = 0; k < count; ++k) ASSERT_EQ(loose.as<float>()[k], static_cast<float>(k));
  EXPECT_EQ(loose.loose_data(), odd) << "the bytes stay where they are";
}

TEST(LooseTensor, on_a_boundary_is_never_copied) {
  const Tensor owner = Tensor::from_floats(std::vector<double>{1, 2, 3}, {3});
  const auto keep = std::make_shared<Tensor>(owner);
  const Tensor view = Tensor::loose(DType::f32, {2}, keep, owner.data() + 4, [] { FAIL(); });
  EXPECT_EQ(view.data(), owner.data() + 4);
  EXPECT_EQ(view.float_at(1), 3);
}

}  // namespace
}  // namespace tessera
