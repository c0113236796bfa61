// SPDX-License-Identifier: Apache-2.0
// Element types, their names in the text language and conversions of single elements.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

/// Element type of a tensor. Values are stable: they enter hashes and saved plans.
enum class DType : uint8_t { f32, f16, bf16, f64, i8, i16, i32, i64, u8, u16, u32, u64, boolean };

inline constexpr int dtype_count = 13;

/// "f32", "bf16", "i64", "bool", …
std::string_view to_string(DType type);
std::optional<DType> dtype_from_string(std::string_view name);

/// Bytes per element; bool takes one byte holding 0 or 1.
size_t size_of(DType type);

constexpr bool is_float(DType t) {
  return t == DType::f32 || t == DType::f16 || t == DType::bf16 || t == DType::f64;
}
constexpr bool is_signed_integer(DType t) {
  return t == DType::i8 || t == DType::i16 || t == DType::i32 || t == DType::i64;
}
constexpr bool is_unsigned_integer(DType t) {
  return t == DType::u8 || t == DType::u16 || t == DType::u32 || t == DType::u64;
}
constexpr bool is_integer(DType t) { return is_signed_integer(t) || is_unsigned_integer(t); }
/// Bits of an integer type.
int bit_width(DType t);

/// Smallest and largest value of an integer type, as the value's bits in 64-bit two's complement.
int64_t min_integer(DType t);
int64_t max_integer(DType t);  ///< for u64: -1, that is 2^64 - 1

/// Wraps a 64-bit value to the width of the integer type `t` (bool: value != 0).
int64_t wrap_integer(int64_t value, DType t);

/// Rounds a double to the float type `t` (round to nearest even, overflow to infinity).
double round_to(double value, DType t);

uint16_t f32_to_f16(float value);
float f16_to_f32(uint16_t bits);
uint16_t f32_to_bf16(float value);
float bf16_to_f32(uint16_t bits);
/// Double to half with a single rounding.
uint16_t f64_to_f16(double value);

/// Reads or writes one element of type `t` at `p` (unaligned is fine). Floats travel as double,
/// integers and bool as int64 (u64 by bit pattern).
double load_float(const std::byte* p, DType t);
int64_t load_integer(const std::byte* p, DType t);
void store_float(std::byte* p, DType t, double value);
void store_integer(std::byte* p, DType t, int64_t value);

}  // namespace tessera
