// SPDX-License-Identifier: Apache-2.0
// Element conversions and tensor helpers.
#include "types/tensor.h"

#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace tessera
